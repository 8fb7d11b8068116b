//! What a person waits for: from the server's start to the first worker, and from an event to the
//! changed screen of a real Neovim. The worker is real; the events are published as one would.

use crate::support::celery::{CeleryWorker, Options};
use crate::support::neovim::{Neovim, Size};
use crate::support::redis::Redis;
use crate::support::server::Server;
use lazycelery::message::Message;
use serde_json::json;
use std::time::{Duration, Instant};

/// Starts, and events, that are measured.
const STARTS: usize = 20;
const EVENTS: usize = 200;

/// Prints both, as rows of a table.
pub fn measure() {
    println!("\n| figure | times | p50 ms | p99 ms | max ms |");
    println!("|---|--:|--:|--:|--:|");
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    row("start of the server to the first worker", (0..STARTS).map(|_| first_worker(&redis)));
    let mut nvim = watching(&redis, &worker.hostname());
    row("event to changed screen", (0..EVENTS).map(|event| to_screen(&redis, &mut nvim, event)));
}

fn first_worker(redis: &Redis) -> Duration {
    let began = Instant::now();
    let mut server = Server::on(redis);
    let feed = server.subscribe("worker/subscribe", json!({ "interval": 0.01 }));
    while server.next_of(feed)["result"]["rows"].as_array().is_none_or(Vec::is_empty) {}
    began.elapsed()
}

fn watching(redis: &Redis, hostname: &str) -> Neovim {
    let mut nvim = Neovim::start(Size(80, 24), &["--broker", &redis.url(0)]);
    nvim.command("LazyCelery workers");
    nvim.wait_for_screen(hostname);
    nvim
}

/// The interval of the view, 100 ms, is part of what a person waits for.
fn to_screen(redis: &Redis, nvim: &mut Neovim, event: usize) -> Duration {
    let active = 1_000 + event;
    let beat = json!({
        "type": "worker-heartbeat", "hostname": "bench@lab", "timestamp": 1_795_494_675.0, "pid": 1,
        "clock": event, "freq": 60.0, "active": active, "processed": event,
        "loadavg": [0.1, 0.2, 0.3], "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
    });
    let envelope = Message::json(&beat, "celeryev", "worker.heartbeat").to_envelope();
    let envelope = String::from_utf8(envelope).unwrap();
    let began = Instant::now();
    let _: i64 = redis.command(&["PUBLISH", "/0.celeryev/worker.heartbeat", &envelope]);
    while !nvim.screen().contains(&active.to_string()) {
        assert!(began.elapsed() < Duration::from_secs(5), "no {active} on the screen");
    }
    began.elapsed()
}

fn row(name: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<f64> = times.map(|took| took.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("| {name} | {} | {:.1} | {:.1} | {:.1} |", times.len(), at(50), at(99), at(100));
}
