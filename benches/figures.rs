//! How fast events come in, as a table for `docs/measurements.md`: from the raw envelope to the
//! state on one thread, and over a real Redis against a reader that decodes nothing, in one run.
//!
//! `--quick` takes a hundredth of the events: to try this program, not to measure. `--events`,
//! `--scale`, `--search`, `--export` and `--manners` take the first table, those of the modules or a
//! part of one alone.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod exporting;
mod manners;
mod scale;
#[path = "../tests/support/mod.rs"]
mod support;
mod waiting;

use lazycelery::broker::url::BrokerUrl;
use lazycelery::broker::{self, Delivery, Options};
use lazycelery::celery::event;
use lazycelery::message::{Body, Message};
use lazycelery::state::{Counts, Kind, Micros, Observation, Rules, State};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use support::redis::Redis;

/// As the program has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks of one measurement; each sends three events, those that never finish two.
const TASKS: usize = 100_000;

/// Tasks that a large cluster leaves behind.
const MANY: usize = 1_000_000;

/// Of a hundred tasks, these never finish.
const UNFINISHED: usize = 2;

/// Each figure is the median of so many.
const RUNS: usize = 3;

/// A worker sends what gathered in its buffer as one message.
const BUFFERED: usize = 24;

/// Messages published in one go.
const PIPELINE: usize = 500;

/// Events a second of a large cluster.
const PACE: usize = 100_000;

/// Room for all tasks of a measurement, and room for a part of them.
const ROOMY: usize = 1 << 30;
const TIGHT: usize = 16 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--weigh") {
        return scale::weigh(&arguments[1..]);
    }
    let is = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let shorter = if is("--quick") { 100 } else { 1 };
    let tasks = TASKS / shorter;
    if is("--events") {
        return events(tasks);
    }
    if is("--manners") {
        return manners::measure(MANY / shorter);
    }
    if is("--export") {
        return exporting::measure(MANY / shorter);
    }
    if is("--scale") {
        return scale::measure(MANY / shorter);
    }
    if is("--search") {
        return scale::search(MANY / shorter);
    }
    events(tasks);
    scale::measure(MANY / shorter);
    exporting::measure(MANY / shorter);
    manners::measure(MANY / shorter);
    waiting::measure();
}

/// How fast events come in.
fn events(tasks: usize) {
    println!("{tasks} tasks, {UNFINISHED} % of them never finish; median of {RUNS} runs\n");
    println!("| figure | messages | events | seconds | events a second | |");
    println!("|---|--:|--:|--:|--:|---|");
    for together in [1, BUFFERED] {
        let traffic = Traffic::new(tasks, together);
        for (room, budget) in [("all kept", ROOMY), ("past its budget", TIGHT / (TASKS / tasks))] {
            let name = format!("envelope to state, {together} a message, {room}");
            let runs = (0..RUNS).map(|_| to_state(&traffic, budget)).collect();
            let (took, counts) = median(runs);
            let kept = format!("{} tasks kept, {} let go", counts.tasks, counts.dropped);
            traffic.row(&name, took, &kept);
        }
    }
    for together in [1, BUFFERED] {
        over_redis(&Traffic::new(tasks, together), together);
        at_a_pace(&Traffic::new(tasks, together), together);
    }
}

/// Envelopes, as workers would publish them.
#[derive(Clone)]
struct Traffic {
    envelopes: Vec<Vec<u8>>,
    events: usize,
    /// From one to the next; none: as fast as they are taken.
    pace: Option<Duration>,
}

impl Traffic {
    fn new(tasks: usize, together: usize) -> Traffic {
        let events: Vec<Value> = (0..tasks).flat_map(life).collect();
        let envelope = |events: &[Value]| {
            Message::json(&json!(events), "celeryev", "task.multi").to_envelope()
        };
        let envelopes = events.chunks(together).map(envelope).collect();
        Traffic { envelopes, events: events.len(), pace: None }
    }

    fn bytes(&self) -> usize {
        self.envelopes.iter().map(Vec::len).sum()
    }

    fn row(&self, name: &str, took: Duration, remark: &str) {
        let (messages, events, seconds) = (self.envelopes.len(), self.events, took.as_secs_f64());
        let rate = events as f64 / seconds;
        println!("| {name} | {messages} | {events} | {seconds:.3} | {rate:.0} | {remark} |");
    }
}

/// What a worker says of one task.
fn life(number: usize) -> Vec<Value> {
    let at = 1_795_494_675.0 + number as f64 / 1_000.0;
    let event = |kind: &str, later: f64, own: Value| {
        let mut event = json!({
            "type": kind, "uuid": format!("{number:08x}-7b1e-4d55-9a6c-2f0c5d1e8a90"),
            "hostname": format!("w{}@lab", number % 8), "pid": 4711, "clock": number,
            "utcoffset": 0, "timestamp": at + later,
        });
        event.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        event
    };
    let received = json!({
        "name": format!("shop.orders.task_{}", number % 40),
        "args": format!("({number}, 'customer-{}')", number % 997), "kwargs": "{'priority': 'high'}",
        "root_id": null, "parent_id": null, "retries": 0, "eta": null, "expires": null,
    });
    let succeeded = json!({ "result": format!("'order {number} shipped'"), "runtime": 0.125 });
    let mut life =
        vec![event("task-received", 0.0, received), event("task-started", 0.01, json!({}))];
    if number % 100 >= UNFINISHED {
        life.push(event("task-succeeded", 0.135, succeeded));
    }
    life
}

fn to_state(traffic: &Traffic, budget: usize) -> (Duration, Counts) {
    let mut state = State::new(Rules::Ours, budget);
    let began = Instant::now();
    for (now, envelope) in (0..).zip(&traffic.envelopes) {
        merge(&mut state, &Body::from_envelope(envelope).unwrap(), now);
    }
    let took = began.elapsed();
    let counts = state.counts();
    assert_eq!(counts.undecodable, 0);
    (took, counts)
}

/// Decodes a message and merges what it says; answers how many events that were.
fn merge(state: &mut State, body: &Body, now: Micros) -> usize {
    let decoded = event::decode(body);
    assert!(decoded.bad.is_empty(), "{:?}", decoded.bad);
    let events = decoded.events.len();
    for event in decoded.events {
        state.apply(&Observation { seen: 1_795_494_675_000_000 + now, kind: Kind::Event(event) });
    }
    events
}

/// A reader that only counts bytes, ours up to the state, and both together as a ratio.
fn over_redis(traffic: &Traffic, together: usize) {
    let redis = Redis::start();
    // A reader that falls behind is measured here, not cut.
    redis.command::<()>(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..RUNS {
        bare.push((bare_reader(&redis, traffic), ()));
        ours.push((our_reader(&redis, traffic), ()));
    }
    let ((bare, ()), (ours, ())) = (median(bare), median(ours));
    let mebibytes = traffic.bytes() >> 20;
    let name = |reader| format!("Redis to {reader}, {together} a message");
    traffic.row(&name("a bare socket"), bare, &format!("{mebibytes} MiB, nothing decoded"));
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    traffic.row(&name("the state"), ours, &format!("{ratio:.2} of the bare socket"));
}

/// Both readers of a Redis as it comes, which cuts who falls behind, at a pace of many workers.
fn at_a_pace(traffic: &Traffic, together: usize) {
    let redis = Redis::start();
    let pace = traffic.events as f64 / PACE as f64 / traffic.envelopes.len() as f64;
    let traffic = Traffic { pace: Some(Duration::from_secs_f64(pace)), ..traffic.clone() };
    let bare = bare_reader(&redis, &traffic);
    let ours = our_reader(&redis, &traffic);
    let name = |reader| format!("{PACE} events a second to {reader}, {together} a message");
    traffic.row(&name("a bare socket"), bare, "");
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    traffic.row(&name("the state"), ours, &format!("{ratio:.2} of the bare socket, none lost"));
}

/// Publishes everything while `read` reads; answers how long `read` took.
fn publishing(redis: &Redis, traffic: &Traffic, read: impl FnOnce()) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut line = redis::Client::open(redis.url(0)).unwrap().get_connection().unwrap();
            let mut published = 0;
            for envelopes in traffic.envelopes.chunks(PIPELINE) {
                let mut pipe = redis::pipe();
                for envelope in envelopes {
                    pipe.cmd("PUBLISH").arg("/0.celeryev/task.multi").arg(envelope).ignore();
                }
                pipe.query::<()>(&mut line).unwrap();
                published += envelopes.len() as u32;
                let due = traffic.pace.map_or(Duration::ZERO, |pace| pace * published);
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
        });
        read();
        let took = began.elapsed();
        publisher.join().unwrap();
        took
    })
}

fn bare_reader(redis: &Redis, traffic: &Traffic) -> Duration {
    let pattern = "/0.celeryev/*";
    let channel = "/0.celeryev/task.multi";
    let mut line = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    let subscribe = format!("*2\r\n$10\r\nPSUBSCRIBE\r\n${}\r\n{pattern}\r\n", pattern.len());
    line.write_all(subscribe.as_bytes()).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let confirmed = line.read(&mut buffer).unwrap();
    assert!(buffer[..confirmed].starts_with(b"*3\r\n"), "no confirmation");
    let head = format!(
        "*4\r\n$8\r\npmessage\r\n${}\r\n{pattern}\r\n${}\r\n{channel}\r\n$",
        pattern.len(),
        channel.len()
    );
    let framed =
        |envelope: &Vec<u8>| head.len() + envelope.len().to_string().len() + 2 + envelope.len() + 2;
    let mut left: usize = traffic.envelopes.iter().map(framed).sum();
    publishing(redis, traffic, || {
        while left > 0 {
            let read = line.read(&mut buffer).unwrap();
            assert!(read > 0, "the line was cut, {left} bytes before the end");
            left -= read;
        }
    })
}

fn our_reader(redis: &Redis, traffic: &Traffic) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = BrokerUrl::parse(&redis.url(0)).unwrap();
    let mut events = runtime.block_on(async {
        let broker = broker::connect(&url, &Options::default()).await.unwrap();
        broker.subscribe("celeryev").await.unwrap()
    });
    let mut state = State::new(Rules::Ours, ROOMY);
    publishing(redis, traffic, || {
        runtime.block_on(async {
            let (mut heard, mut now) = (0, 0);
            let mut batch: Vec<Delivery> = Vec::new();
            while heard < traffic.events {
                events.next(256, &mut batch).await.unwrap();
                for delivery in batch.drain(..) {
                    heard += merge(&mut state, &delivery.unwrap(), now);
                    now += 1;
                }
            }
        });
    })
}

fn median<T>(mut runs: Vec<(Duration, T)>) -> (Duration, T) {
    runs.sort_by_key(|(took, _)| *took);
    runs.swap_remove(runs.len() / 2)
}
