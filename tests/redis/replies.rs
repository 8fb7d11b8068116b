//! Our reply list: who is late is still heard, and nothing of ours stays that does not expire.

use super::{rows, wait_for_environment, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use serde_json::json;

/// Length and time to live of every list of ours.
fn reply_lists(redis: &Redis) -> Vec<(i64, i64)> {
    let keys: Vec<String> = redis.command(&["KEYS", "lazycelery.*"]);
    let ask = |what: &str, key: &str| redis.command::<i64>(&[what, key]);
    let lists = keys.iter().map(|key| (ask("LLEN", key), ask("TTL", key)));
    // One that was read empty since it was named is gone.
    lists.filter(|list| *list != (0, -2)).collect()
}

/// Lets a frozen worker answer, and waits until it has, and until every list of ours expires within
/// the hour: one that a living server is about to read is gone a moment later.
#[track_caller]
fn thaw(redis: &Redis, worker: &CeleryWorker) {
    let monitor = redis.monitor();
    worker.thaw();
    wait_until("a late answer, and no list that stays", || {
        let answer = |line: &String| line.contains("\"LPUSH\" \"lazycelery.");
        let (answered, left) = (monitor.lines().iter().any(answer), reply_lists(redis));
        let expiring = left.iter().all(|(_, expires)| (1..=3600).contains(expires));
        if answered && expiring { Ok(()) } else { Err((answered, left)) }
    });
}

/// Asks a frozen worker.
#[track_caller]
fn ask_in_vain(server: &mut Server) {
    let silent = server.call("worker/inspect", json!({ "method": "ping" })).unwrap_err();
    assert_eq!(silent["data"]["kind"], "no_reply", "{silent}");
}

/// A worker that was frozen and asked, and the proxy between it and who asked.
fn asked_in_vain() -> (Redis, CeleryWorker, Proxy, Server) {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let proxy = Proxy::to(redis.port());
    let mut server = Server::start(&["--broker", &proxy.url(0)], &[]);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    worker.freeze();
    ask_in_vain(&mut server);
    (redis, worker, proxy, server)
}

#[test]
fn an_answer_that_is_out_is_waited_for_with_long_reads() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    let monitor = redis.monitor();
    worker.freeze();
    ask_in_vain(&mut server);
    wait_until("a long read", || {
        let long = |line: &String| line.contains("\"BRPOP\"") && line.ends_with("\"30\"");
        monitor.lines().iter().any(long)
    });
    worker.thaw();
    // A worker answers in order: who has answered this has answered what was asked in vain before.
    wait_until("an answer", || server.call("worker/inspect", json!({ "method": "ping" })));
    wait_until("the late answer to be taken", || {
        let lists = reply_lists(&redis);
        if lists.is_empty() { Ok(()) } else { Err(lists) }
    });
    server.finish();
    // The server has asked who came back by itself; what is still out then expires.
    let left = reply_lists(&redis);
    assert!(left.iter().all(|(_, expires)| (1..=3600).contains(expires)), "{left:?}");
}

#[test]
fn f16_an_answer_that_comes_after_the_end_expires() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    worker.freeze();
    ask_in_vain(&mut server);
    server.finish();
    thaw(&redis, &worker);
}

#[test]
fn f16_an_answer_that_comes_after_the_connection_was_lost_expires() {
    let (redis, worker, proxy, mut server) = asked_in_vain();
    proxy.cut();
    wait_for_environment(&mut server, |row| {
        row["status"] == "connected"
            && row["missed"].as_array().is_some_and(|gaps| !gaps.is_empty())
    });
    wait_until("the list to be left", || !reply_lists(&redis).is_empty());
    thaw(&redis, &worker);
    server.finish();
}

#[test]
fn f16_a_connection_that_is_lost_just_before_the_end_leaves_a_list_that_expires() {
    let (redis, worker, proxy, mut server) = asked_in_vain();
    proxy.refuse();
    wait_for_environment(&mut server, |row| {
        row["retry_in"].as_f64().is_some_and(|wait| wait > 2.0)
    });
    proxy.clear();
    server.finish();
    thaw(&redis, &worker);
}

#[test]
fn f16_what_a_killed_process_left_gets_an_hour_to_live() {
    let redis = Redis::start();
    let list = "lazycelery.elsewhere.7.0123456789abcdef.reply";
    redis.command::<()>(&["LPUSH", list, "an answer of last week"]);
    redis.command::<()>(&["LPUSH", "lazycelery.notes", "somebody else's"]);
    let expires = |key: &str| redis.command::<i64>(&["TTL", key]);
    let mut server = Server::on(&redis);
    wait_until("the search", || {
        rows(&mut server, "queue/list", json!({}));
        if expires(list) > 0 { Ok(()) } else { Err(expires(list)) }
    });
    assert!(expires(list) <= 3600);
    assert_eq!(expires("lazycelery.notes"), -1);
    wait_for_row(&mut server, "environment/list", "default", |row| row["status"] == "connected");
}

#[test]
fn f16_an_answer_that_is_too_large_is_told_and_not_read() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let mut sender = Sender::start(&redis, App::Default);
    let large = "x".repeat(1 << 20);
    let options = json!({ "countdown": 3600 });
    let uuids: Vec<String> = (0..14)
        .map(|number| sender.send_with("lab.echo", json!([number, large]), options.clone()))
        .collect();
    let mut server = Server::on(&redis);
    for uuid in &uuids {
        wait_for_task(&mut server, uuid, |task| task["place"] == "scheduled");
    }
    let ask = json!({ "method": "scheduled", "timeout": 20 });
    let answer = server.call("worker/inspect", ask).unwrap();
    assert_eq!((&answer["replies"], &answer["missing"]), (&json!({}), &json!([])), "{answer}");
    let bytes = answer["too_large"]["w1@lab"].as_u64().unwrap();
    assert!(bytes > 16 << 20, "{bytes}");

    let details = server.call("worker/get", json!({ "hostname": worker.hostname() })).unwrap();
    let why = details["untold"]["scheduled"].as_str().unwrap();
    assert!(why.ends_with("MiB is too large to be read"), "{why}");
    assert_eq!(details["as_of"].get("scheduled_tasks"), None, "it was not told");
    let listed: Vec<_> = details["scheduled_tasks"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), uuids.len(), "events and `unacked` tell of them");
    assert!(listed.iter().all(|task| task["name"] == "lab.echo" && task["eta"].is_number()));
    assert_eq!((&details["status"], &details["reserved_tasks"]), (&json!("online"), &json!([])));
    wait_until("the list to be read", || reply_lists(&redis).is_empty());
}
