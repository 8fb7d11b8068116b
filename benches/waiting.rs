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

/// Rows of a list, and changes of them, while the main loop is watched.
const ROWS: usize = 5_000;
const CHANGES: usize = 5_000;

/// Updates of an hour, at the view's interval of 100 ms.
const AN_HOUR: usize = 36_000;

/// Prints all, as rows of tables.
pub fn measure() {
    println!("\n| figure | times | p50 ms | p99 ms | max ms |");
    println!("|---|--:|--:|--:|--:|");
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    row("start of the server to the first worker", (0..STARTS).map(|_| first_worker(&redis)));
    let mut nvim = watching(&redis, &worker.hostname());
    row("event to changed screen", (0..EVENTS).map(|event| to_screen(&redis, &mut nvim, event)));
    drop(nvim);
    let mut nvim = five_thousand(&redis);
    row("turn of the main loop, 5,000 rows changing, CPU", turns(&redis, &mut nvim).into_iter());
    let [before, after] = an_hour(&redis, &mut nvim);
    println!("\n| Neovim holds, with 5,000 rows | Lua MB | process MB |\n|---|--:|--:|");
    println!("| at first | {:.1} | {:.0} |", before[0], before[1]);
    println!("| after an hour's worth of updates | {:.1} | {:.0} |", after[0], after[1]);
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

/// A view of 5,000 tasks.
fn five_thousand(redis: &Redis) -> Neovim {
    let mut nvim = Neovim::start(Size(200, 50), &["--broker", &redis.url(0)]);
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen("No task is known yet");
    for number in 0..ROWS {
        publish(redis, number, "received", json!({"name": "shop.tasks.charge", "args": "(1,)"}));
    }
    let line_count = "return vim.api.nvim_buf_line_count(0)";
    while nvim.lua(line_count, vec![]).as_i64() < Some(ROWS as i64) {
        nvim.keys("G");
    }
    nvim.keys("gg");
    nvim
}

/// All of them change, a thousand a second and in any order; how long each turn of Neovim's main
/// loop computes, as a timer in it sees that is due every millisecond: what others of this machine
/// take from it is no block of ours.
fn turns(redis: &Redis, nvim: &mut Neovim) -> Vec<Duration> {
    nvim.lua(
        "local function computed()
           local used = vim.uv.getrusage()
           local user, system = used.utime, used.stime
           return (user.sec + system.sec) * 1e9 + (user.usec + system.usec) * 1e3
         end
         turns, last = {}, computed()
         watch = vim.uv.new_timer()
         watch:start(0, 1, function()
           local now = computed()
           turns[#turns + 1], last = now - last, now
         end)",
        vec![],
    );
    for step in 0..CHANGES {
        let task = step * 7919 % ROWS;
        publish(redis, task, if step % 2 == 0 { "started" } else { "retried" }, json!({}));
        std::thread::sleep(Duration::from_micros(900));
    }
    let turns = nvim.lua("watch:stop() return turns", vec![]);
    let nanos = turns.as_array().unwrap().iter().filter_map(|turn| turn.as_f64());
    nanos.map(|nanos| Duration::from_secs_f64(nanos / 1e9)).collect()
}

/// What Neovim holds before an hour's worth of updates, and after it.
fn an_hour(redis: &Redis, nvim: &mut Neovim) -> [[f64; 2]; 2] {
    let source = include_str!("hour.lua");
    nvim.lua(&format!("hour = (function() {source} end)()"), vec![]);
    while nvim.lua("return hour.known()", vec![]).as_bool() != Some(true) {
        publish(redis, 0, "started", json!({}));
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = held(nvim);
    nvim.lua("hour.begin(...)", vec![AN_HOUR.into()]);
    while nvim.lua("return hour.over", vec![]).as_bool() != Some(true) {
        std::thread::sleep(Duration::from_millis(100));
    }
    [before, held(nvim)]
}

/// Megabytes of its Lua, and of the whole process.
fn held(nvim: &mut Neovim) -> [f64; 2] {
    let held = nvim.lua("return hour.held()", vec![]);
    [0, 1].map(|at| held[at].as_f64().unwrap())
}

fn publish(redis: &Redis, task: usize, what: &str, more: serde_json::Value) {
    let mut event = json!({
        "type": format!("task-{what}"), "uuid": format!("{task:08}-3b7e-4d1c-9a55-0f6f3e2d1c77"),
        "hostname": "bench@lab", "timestamp": 1_795_494_675.0, "pid": 1, "clock": 1,
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let envelope = Message::json(&event, "celeryev", &format!("task.{what}")).to_envelope();
    let envelope = String::from_utf8(envelope).unwrap();
    let channel = format!("/0.celeryev/task.{what}");
    let _: i64 = redis.command(&["PUBLISH", &channel, &envelope]);
}

fn row(name: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<f64> = times.map(|took| took.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("| {name} | {} | {:.1} | {:.1} | {:.1} |", times.len(), at(50), at(99), at(100));
}
