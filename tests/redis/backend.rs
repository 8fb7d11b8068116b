//! The result backend beside a cluster: away, refusing, back again; and asked only for a reason.

use super::{rows, wait_for_environment, wait_for_row};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::{wait_until, wait_within};
use serde_json::{Value, json};
use std::time::Duration;

fn on(broker: &Redis, backend: &str) -> Server {
    Server::start(&["--broker", &broker.url(0), "--backend", backend], &[])
}

/// The whole answer to `task/list`.
#[track_caller]
fn tasks(server: &mut Server) -> Value {
    server.call("task/list", json!({})).unwrap_or_else(|error| panic!("{error}"))
}

fn store(backend: &Redis, uuid: &str) {
    let meta = r#"{"status": "SUCCESS", "result": 3, "traceback": null, "children": []}"#;
    backend.command::<()>(&["SETEX", &format!("celery-task-meta-{uuid}"), "600", meta]);
}

#[test]
fn a_backend_that_is_away_is_told_and_found_again() {
    let (broker, backend) = (Redis::start(), Redis::start());
    backend.kill();
    let mut server = on(&broker, &backend.url(0));
    let answer = tasks(&mut server);
    assert_eq!(answer["incomplete"], json!(["results"]), "{answer}");
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    let row = wait_for_environment(&mut server, |_| true);
    assert_eq!(row["status"], "connected", "it harms nothing else: {row}");

    backend.restart();
    store(&backend, "kept");
    wait_for_row(&mut server, "task/list", "kept", |row| row["state"] == "SUCCESS");
    assert_eq!(tasks(&mut server).get("incomplete"), None);
}

#[test]
fn what_is_stored_beyond_what_a_first_look_reads_is_told_and_read_bit_by_bit() {
    const STORED: u64 = 8_000;
    let (broker, backend) = (Redis::start(), Redis::start());
    let fill = "for i=1,ARGV[2] do redis.call('SET', 'celery-task-meta-'..i, ARGV[1]) end";
    let meta = r#"{"status": "FAILURE", "result": {"exc_type": "E", "exc_message": ["x"]}}"#;
    backend.command::<()>(&["EVAL", fill, "0", meta, &STORED.to_string()]);
    let mut server = on(&broker, &backend.url(0));
    let failures = json!({ "filter": "state:failure", "limit": 1 });
    let answer = server.call("task/list", failures.clone()).unwrap();
    let some = answer["total"].as_u64().is_some_and(|total| (1..STORED).contains(&total));
    assert!(some && answer["exact"] == false, "a part, and told to be one: {answer}");
    assert_eq!(answer["incomplete"], json!(["results"]), "{answer}");
    let answer = wait_within(Duration::from_secs(90), "all of them", || {
        let answer = server.call("task/list", failures.clone())?;
        let whole = answer["exact"] == true && answer.get("incomplete").is_none();
        if whole { Ok(answer) } else { Err(answer["total"].clone()) }
    });
    assert_eq!(answer["total"], json!(STORED));
}

#[test]
fn f54_a_backend_whose_connection_breaks_is_connected_to_anew() {
    let (broker, backend) = (Redis::start(), Redis::start());
    let mut server = on(&broker, &backend.url(0));
    assert_eq!(tasks(&mut server).get("incomplete"), None);
    for uuid in ["one", "two"] {
        store(&backend, uuid);
        backend.command::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        wait_until("a result that is asked for", || {
            let task = server.call("task/get", json!({ "uuid": uuid }))?;
            if task["state"] == "SUCCESS" { Ok(()) } else { Err(task) }
        });
    }
}

#[test]
fn f26_a_backend_that_may_not_be_scanned_still_answers() {
    let (broker, backend) = (Redis::start(), Redis::start());
    store(&backend, "asked");
    let user = ["lim", "on", ">pw", "resetchannels", "~*", "+@all", "-scan", "-@dangerous"];
    backend.command::<String>(&[["ACL", "SETUSER"].as_slice(), &user].concat());
    let url = format!("redis://lim:pw@127.0.0.1:{}/0", backend.port());
    let mut server = on(&broker, &url);
    let answer = tasks(&mut server);
    assert_eq!(answer["incomplete"], json!(["results"]), "{answer}");
    let connections = || {
        let info = backend.command::<String>(&["INFO", "commandstats"]);
        let auth = info.lines().find_map(|line| line.strip_prefix("cmdstat_auth:calls="));
        auth.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = connections();
    let task = server.call("task/get", json!({ "uuid": "asked" })).unwrap();
    assert_eq!(task["state"], "SUCCESS", "{task}");
    assert_eq!(connections(), before, "a refused command is no lost connection");
}

#[test]
fn a_backend_that_nobody_needs_is_not_contacted() {
    let (broker, backend) = (Redis::start(), Redis::start());
    let connections = || {
        let info = backend.command::<String>(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap()
    };
    let monitor = broker.monitor();
    let mut server = on(&broker, &backend.url(0));
    let feed = server.subscribe("queue/subscribe", json!({}));
    server.next_of(feed);
    let before = connections();
    wait_until("four seconds of looks", || {
        monitor.lines().iter().filter(|line| line.contains("\"SCAN\"")).count() > 0
            && monitor.lines().iter().filter(|line| line.contains("\"ZRANGE\"")).count() >= 3
    });
    // The question itself is a connection.
    assert_eq!(connections(), before + 1, "nothing is unexplained, so nothing is asked");
}
