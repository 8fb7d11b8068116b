//! What is not as it should be: brokers that are away, connections that are cut, foreign traffic.

use super::{rows, wait_for_environment, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::{wait_until, wait_within};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn beat(redis: &Redis, hostname: &str) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    publish(
        redis,
        &json!({ "type": "worker-heartbeat", "hostname": hostname, "timestamp": now.as_secs_f64(),
            "pid": 7, "freq": 2.0, "active": 0, "processed": 0 })
        .to_string(),
    )
}

fn publish(redis: &Redis, body: &str) -> i64 {
    let envelope = json!({ "body": body, "content-type": "application/json", "headers": {},
        "properties": { "delivery_tag": "t", "delivery_info": {} } });
    redis.command(&["PUBLISH", "/0.celeryev/worker.heartbeat", &envelope.to_string()])
}

#[test]
fn a_broker_that_is_absent_at_first() {
    let redis = Redis::start();
    redis.kill();
    let mut server = Server::on(&redis);
    let asked = Instant::now();
    let error = server.call("worker/list", json!({})).unwrap_err();
    assert_eq!(error["data"]["kind"], "not_connected", "{error}");
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let row = wait_for_environment(&mut server, |row| row["status"] != "connected");
    assert!(row["error"].is_string(), "{row}");

    redis.restart();
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    wait_until("somebody to listen", || beat(&redis, "late@lab") > 0);
    wait_for_row(&mut server, "worker/list", "late@lab", |row| row["status"] == "online");
}

#[test]
fn a_broker_that_is_killed_while_events_flow() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    rows(&mut server, "task/list", json!({}));
    let before = sender.send("lab.add", json!([1, 2]));
    wait_for_task(&mut server, &before, |task| task["state"] == "SUCCESS");

    redis.kill();
    wait_for_environment(&mut server, |row| row["status"] != "connected");
    let kept = rows(&mut server, "task/list", json!({}));
    assert!(kept.iter().any(|row| row["uuid"] == json!(before)), "what was known stays: {kept:#?}");

    redis.restart();
    let row = wait_for_environment(&mut server, |row| {
        row["status"] == "connected" && row["missed"][0]["refilled"] == json!(true)
    });
    assert!(row["missed"][0]["to"].as_f64() > row["missed"][0]["from"].as_f64(), "{row}");
    let mut sender = Sender::start(&redis, App::Default);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
    let after = sender.send("lab.add", json!([3, 4]));
    let task = wait_for_task(&mut server, &after, |task| task["state"] == "SUCCESS");
    assert_eq!(task["name"], "lab.add", "events flow again: {task}");
}

#[test]
fn f54_a_connection_that_is_cut_often() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    for round in 0..10 {
        for kind in ["pubsub", "normal"] {
            redis.command::<i64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        }
        let hostname = format!("round{round}@lab");
        // What is published just before a cut is lost with the line that took it.
        wait_until("a worker that is heard", || {
            beat(&redis, &hostname);
            let rows = rows(&mut server, "worker/list", json!({}));
            rows.iter().any(|row| row["hostname"] == json!(hostname)).then_some(()).ok_or(rows)
        });
    }
    wait_for_environment(&mut server, |row| row["status"] == "connected");
}

#[test]
fn f29_foreign_traffic_is_counted_and_harms_nothing() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    let good = r#"{"type":"task-started","uuid":"good","hostname":"w1@lab","timestamp":1,"pid":7}"#;
    wait_until("somebody to listen", || publish(&redis, "[]") > 0);
    for body in [
        r#"{"type":"deploy"}"#,
        r#"{"type":"task-audit"}"#,
        r#"{"type":"worker-note","hostname":"gen7@x","timestamp":1}"#,
        &format!("[null,{good}]"),
        "no JSON",
    ] {
        publish(&redis, body);
    }
    redis.command::<i64>(&["PUBLISH", "/0.celeryev/a.b.c.d", "no envelope"]);
    let row = wait_for_environment(&mut server, |row| row["counts"]["undecodable"] == 6);
    assert_eq!(row["status"], "connected", "{row}");
    wait_for_row(&mut server, "task/list", "good", |row| row["state"] == "STARTED");
    let workers = rows(&mut server, "worker/list", json!({}));
    assert!(workers.iter().all(|row| row["hostname"] == "w1@lab"), "{workers:#?}");
}

#[test]
fn f21_f14_a_broker_that_cannot_be_says_why_and_hides_the_secret() {
    for url in ["redis://:topsecret@127.0.0.1:1/0", "redis://:topsecret@nowhere.invalid/0"] {
        let mut server = Server::start(&["--broker", url], &[]);
        let error = server.call("worker/list", json!({})).unwrap_err();
        assert_eq!(error["data"]["kind"], "not_connected", "{error}");
        let row = &rows(&mut server, "environment/list", json!({}))[0];
        for text in [error.to_string(), row.to_string()] {
            assert!(!text.contains("topsecret"), "{text}");
        }
        assert!(error["data"]["reason"].is_string() && row["error"].is_string(), "{error} {row}");
    }
}

#[test]
fn f54_a_line_that_goes_dead_without_an_end_is_found_and_mended() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let mut server = Server::start(&["--broker", &proxy.url(0)], &[]);
    // Nothing but events is awaited: the roll was called, and is again in a minute.
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    proxy.swallow();
    let row = wait_within(Duration::from_secs(40), "the dead line to be told", || {
        let row = rows(&mut server, "environment/list", json!({})).swap_remove(0);
        if row["status"] == "connected" { Err(row) } else { Ok(row) }
    });
    assert!(row["status"] != "connected", "{row}");
    let asked = Instant::now();
    let kept = server.call("worker/list", json!({}));
    assert!(kept.is_ok() && asked.elapsed() < Duration::from_secs(4), "what was known: {kept:?}");
    proxy.clear();
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    wait_until("somebody to listen", || beat(&redis, "after@lab") > 0);
    wait_for_row(&mut server, "worker/list", "after@lab", |_| true);
}

/// A worker that beat once and never again is told to be silent.
#[track_caller]
fn wait_for_silence(redis: &Redis, server: &mut Server, hostname: &str) {
    wait_until("somebody to listen", || beat(redis, hostname) > 0);
    wait_for_row(server, "worker/list", hostname, |row| row["status"] == "online");
    wait_for_row(server, "worker/list", hostname, |row| row["status"] == "silent");
}

#[test]
fn a_dead_worker_does_not_stay_online_though_the_broker_was_away() {
    let redis = Redis::start();
    redis.kill();
    let mut server = Server::on(&redis);
    server.call("worker/list", json!({})).unwrap_err();
    for hostname in ["first@lab", "later@lab"] {
        redis.kill();
        wait_for_environment(&mut server, |row| row["retry_in"].is_number());
        redis.restart();
        wait_for_environment(&mut server, |row| row["status"] == "connected");
        wait_for_silence(&redis, &mut server, hostname);
    }
}

#[test]
fn f26_replies_that_may_not_be_read_are_not_asked_for_in_a_loop() {
    let redis = Redis::start();
    let user = ["lim", "on", ">pw", "resetchannels", "&*", "~*", "+@all", "-brpop"];
    redis.command::<String>(&[["ACL", "SETUSER"].as_slice(), &user].concat());
    let _worker = CeleryWorker::start(&redis, Options::default());
    let url = format!("redis://lim:pw@127.0.0.1:{}/0", redis.port());
    let mut server = Server::start(&["--broker", &url], &[]);
    let refused = || {
        let info = redis.command::<String>(&["INFO", "commandstats"]);
        let stats = info.lines().find(|line| line.starts_with("cmdstat_brpop:"));
        let count = stats.and_then(|line| line.split_once("rejected_calls=")?.1.split(',').next());
        count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
    };
    let ping = json!({ "method": "ping", "timeout": 2 });
    server.call("worker/inspect", ping).unwrap_err();
    let refused = refused();
    assert!((1..20).contains(&refused), "{refused} reads within seconds");
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
}

#[test]
fn what_is_held_beyond_what_is_read_is_told() {
    let redis = Redis::start();
    let message = |uuid: &str, filling: usize| {
        let body = json!([["x".repeat(filling)], {}, {}]).to_string();
        let envelope = json!({ "body": body, "content-type": "application/json",
            "content-encoding": "utf-8", "properties": { "delivery_tag": uuid,
            "delivery_info": { "exchange": "", "routing_key": "celery" } },
            "headers": { "id": uuid, "task": "lab.echo" } });
        json!([envelope, "", "celery"]).to_string()
    };
    for (at, (uuid, filling)) in [("small", 1), ("huge", 9 << 20), ("other", 1)].iter().enumerate()
    {
        redis.command::<()>(&["HSET", "unacked", uuid, &message(uuid, *filling)]);
        redis.command::<()>(&["ZADD", "unacked_index", &at.to_string(), uuid]);
    }
    let mut server = Server::start(&["--broker", &redis.url(0)], &[]);
    for uuid in ["small", "other"] {
        wait_for_row(&mut server, "task/list", uuid, |row| row["name"] == "lab.echo");
    }
    let answer = server.call("task/list", json!({})).unwrap();
    assert_eq!(answer["incomplete"], json!(["unacked"]), "{answer}");
    redis.command::<()>(&["HDEL", "unacked", "huge"]);
    redis.command::<()>(&["ZREM", "unacked_index", "huge"]);
    wait_until("a whole look", || {
        let answer = server.call("task/list", json!({}))?;
        if answer.get("incomplete").is_none() { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn nobody_answers_a_control_command() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    worker.freeze();
    for destination in [json!(["w1@lab"]), json!(["nobody@lab"])] {
        let params =
            json!({ "method": "enable_events", "destination": destination, "timeout": 0.3 });
        let error = server.call("worker/control", params).unwrap_err();
        assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32027), &json!("no_reply")));
        assert_eq!(error["data"]["destination"], destination, "{error}");
    }
    worker.thaw();
    let audit =
        std::fs::read_to_string(server.home().join("state/lazycelery/audit.jsonl")).unwrap();
    let told = audit.lines().filter(|line| line.contains("no worker answered"));
    assert_eq!(told.count(), 2, "{audit}");
}
