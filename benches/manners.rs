//! What others feel while we watch, and what a large result backend or a second worker costs: the
//! real program on a real Redis with real workers.

use crate::support::celery::{CeleryWorker, Options};
use crate::support::redis::Redis;
use crate::support::server::Server;
use serde_json::json;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Pings of one figure.
const PINGS: usize = 5_000;

/// Between two pings of somebody who is not in a hurry.
const APART: Duration = Duration::from_millis(2);

/// How long a server that shows nothing is watched.
const IDLE: Duration = Duration::from_secs(10);

/// Prints a table, with so many stored results.
pub fn measure(results: usize) {
    println!("\n| figure | times | p50 ms | p99 ms | max ms | |");
    println!("|---|--:|--:|--:|--:|---|");
    let redis = Redis::start();
    let first = CeleryWorker::start(&redis, Options::default());
    let idle = [Duration::ZERO, APART].map(|apart| pings(&redis, apart));
    row("PING of another client at once, nobody watches", &idle[0], "");
    row("PING of another client now and then, nobody watches", &idle[1], "");
    inspect(&redis, "inspect of one worker, `ping`");
    let second = CeleryWorker::start(&redis, Options { name: "second", ..Options::default() });
    inspect(&redis, "inspect of two workers, `ping`");
    watched(&redis, &idle);
    drop((first, second));
    lists(&redis, "first list, no stored results");
    store(&redis, results);
    lists(&redis, &format!("first list, {results} stored results"));
    quiet(&redis);
}

fn pings(redis: &Redis, apart: Duration) -> Vec<Duration> {
    let mut line = redis::Client::open(redis.url(0)).unwrap().get_connection().unwrap();
    let mut ping = || {
        let began = Instant::now();
        redis::cmd("PING").query::<()>(&mut line).unwrap();
        let took = began.elapsed();
        thread::sleep(apart);
        took
    };
    (0..PINGS).map(|_| ping()).collect()
}

/// With every list open: while we come and ask everybody for everything, and from then on.
fn watched(redis: &Redis, idle: &[Vec<Duration>; 2]) {
    let mut server = Server::on(redis);
    for method in ["worker/subscribe", "task/subscribe", "queue/subscribe"] {
        server.subscribe(method, json!({}));
    }
    for (name, apart, idle) in [
        ("PING of another client at once, all lists just opened", Duration::ZERO, &idle[0]),
        ("PING of another client now and then, all lists open", APART, &idle[1]),
    ] {
        let watched = pings(redis, apart);
        let ratio = at(&watched, 99).as_secs_f64() / at(idle, 99).as_secs_f64();
        row(name, &watched, &format!("p99 {ratio:.2} × idle"));
    }
}

fn inspect(redis: &Redis, name: &str) {
    let mut server = Server::on(redis);
    let _ = server.call("worker/list", json!({}));
    let taken: Vec<Duration> = (0..20)
        .map(|_| {
            let began = Instant::now();
            server.call("worker/inspect", json!({ "method": "ping" })).unwrap();
            began.elapsed()
        })
        .collect();
    row(name, &taken, "");
}

/// As most clusters have it: results are stored in the broker's own db.
fn lists(redis: &Redis, name: &str) {
    let url = redis.url(0);
    let taken: Vec<Duration> = (0..10)
        .map(|_| {
            let began = Instant::now();
            let mut server = Server::start(&["--broker", &url, "--backend", &url], &[]);
            server.call("task/list", json!({})).unwrap();
            began.elapsed()
        })
        .collect();
    row(name, &taken, "the start of the server included");
}

fn store(redis: &Redis, results: usize) {
    let meta = json!({"status": "SUCCESS", "result": 3, "traceback": null, "children": [],
                      "date_done": "2026-11-24T12:00:00", "task_id": "t"});
    let many =
        format!("for i = 1, {results} do redis.call('SET', 'celery-task-meta-' .. i, ARGV[1]) end");
    redis.command::<()>(&["EVAL", &many, "0", &meta.to_string()]);
}

/// What a server costs that nobody asks anything: ticks of its own, bytes of Redis.
fn quiet(redis: &Redis) {
    let mut server = Server::on(redis);
    server.call("initialize", json!({})).unwrap();
    let read = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        let fields: Vec<i64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // The state, a letter, is no number: 13 and 14 of the page are 10 and 11 here.
        fields[10] + fields[11]
    };
    let commands = || {
        let info: String = redis.command(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let own = commands().abs_diff(commands());
    let (ticks, asked) = (read(), commands());
    thread::sleep(IDLE);
    let (ticks, asked) = (read() - ticks, commands() - asked - own);
    let remark = format!("{ticks} ticks of 10 ms, {asked} commands to Redis");
    row("a server that shows nothing", &[IDLE], &remark);
}

fn at(taken: &[Duration], share: usize) -> Duration {
    let mut taken = taken.to_vec();
    taken.sort_unstable();
    taken[(taken.len() - 1) * share / 100]
}

fn row(name: &str, taken: &[Duration], remark: &str) {
    let ms = |share: usize| at(taken, share).as_secs_f64() * 1e3;
    let (middle, late, most) = (ms(50), ms(99), ms(100));
    println!("| {name} | {} | {middle:.3} | {late:.3} | {most:.3} | {remark} |", taken.len());
}
