//! What can be wrong with a connection: each thing made wrong, and then said.

use super::rows;
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::{Server, command};
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Each check by its name, once `look` is content.
#[track_caller]
fn checks(
    server: &mut Server,
    look: impl Fn(&BTreeMap<String, Value>) -> bool,
) -> BTreeMap<String, Value> {
    wait_until("the checks", || {
        let rows = rows(server, "environment/check", json!({}));
        let named = rows.into_iter().map(|row| (row["check"].as_str().unwrap().to_owned(), row));
        let checks: BTreeMap<String, Value> = named.collect();
        if look(&checks) { Ok(checks) } else { Err(checks) }
    })
}

fn statuses(checks: &BTreeMap<String, Value>) -> BTreeMap<&str, &str> {
    checks.iter().map(|(name, row)| (name.as_str(), row["status"].as_str().unwrap())).collect()
}

fn is(status: &str) -> impl Fn(&BTreeMap<String, Value>) -> bool {
    move |checks| checks["task events"]["status"] == status
}

#[test]
fn a_cluster_in_order_is_ok() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    let first = checks(&mut server, |checks| checks.contains_key("task events"));
    assert_eq!(first["task events"]["evidence"], "not known yet of w1@lab");
    Sender::start(&redis, App::Default).send("lab.add", json!([1, 2]));
    let checks = checks(&mut server, is("ok"));
    let all = ["broker", "broker memory", "result backend", "task events", "url", "workers"];
    assert_eq!(statuses(&checks), all.map(|name| (name, "ok")).into(), "{checks:#?}");
    assert_eq!(checks["workers"]["evidence"], "online: w1@lab");
    assert!(checks["broker"]["evidence"].as_str().unwrap().starts_with("Redis "), "{checks:#?}");
}

/// A worker shows by its tasks alone whether it sends events: a check listens for them a while.
#[test]
fn a_check_hears_the_tasks_that_run_meanwhile() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut sender = Sender::start(&redis, App::Default);
    let mut server = Server::on(&redis);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let every = std::time::Duration::from_millis(100);
    let checks = std::thread::scope(|scope| {
        scope.spawn(move || {
            while stopped.recv_timeout(every) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                sender.send("lab.add", json!([1, 2]));
            }
        });
        let rows = rows(&mut server, "environment/check", json!({}));
        drop(stop);
        rows
    });
    let events = checks.iter().find(|row| row["check"] == "task events").unwrap();
    assert_eq!((&events["status"], &events["evidence"]), (&json!("ok"), &json!("on")), "{events}");
}

#[test]
fn missing_events_are_told_with_the_fix() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { events: false, ..Options::default() });
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let events = wait_until("task events to count as off", || {
        // Only a worker that runs tasks shows that it sends none.
        sender.send("lab.add", json!([1, 2]));
        let rows = rows(&mut server, "environment/check", json!({}));
        let events = rows.into_iter().find(|row| row["check"] == "task events");
        events.filter(|row| row["evidence"] == "off at w1@lab").ok_or("not yet")
    });
    assert_eq!(events["status"], "warn");
    assert!(events["fix"].as_str().unwrap().contains("-E"), "{events}");
}

#[test]
fn a_missing_backend_is_told_as_the_worker_tells_it() {
    let redis = Redis::start();
    redis.command::<String>(&["ACL", "SETUSER", "lab", "on", ">lab-secret", "~*", "&*", "+@all"]);
    let options = Options { app: App::Configured, ..Options::default() };
    let _worker = CeleryWorker::start(&redis, options);
    let mut server = Server::start(&["--broker", &redis.url(0)], &[]);
    let told = |checks: &BTreeMap<String, Value>| {
        checks["result backend"]["evidence"].as_str().unwrap().contains("store results in")
    };
    let backend = checks(&mut server, told)["result backend"].clone();
    assert_eq!(backend["status"], "warn");
    assert!(backend["evidence"].as_str().unwrap().contains("redis://lab:********@"), "{backend}");
    assert!(backend["fix"].as_str().unwrap().contains("workers mask it"), "{backend}");
    assert!(!backend.to_string().contains("lab-secret"), "{backend}");

    let mut server = Server::start(&["--broker", &redis.url(0), "--backend", &redis.url(7)], &[]);
    let warns = |checks: &BTreeMap<String, Value>| checks["result backend"]["status"] == "warn";
    let backend = checks(&mut server, warns)["result backend"].clone();
    let evidence = backend["evidence"].as_str().unwrap();
    assert!(evidence.contains("/7;") && evidence.contains("/1"), "{evidence}");
    // Another name and a masked password, but the same place.
    let mut server = Server::on(&redis);
    let answers = |checks: &BTreeMap<String, Value>| checks["result backend"]["status"] == "ok";
    checks(&mut server, answers);
}

/// Managed servers forbid INFO: one row, no error, and everything else works.
#[test]
fn f26_what_a_hardened_redis_forbids_is_one_row() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    redis.command::<String>(&["ACL", "SETUSER", "default", "-info", "-role", "-config", "-client"]);
    let mut server = Server::on(&redis);
    rows(&mut server, "environment/check", json!({}));
    Sender::start(&redis, App::Default).send("lab.add", json!([1, 2]));
    let checks = checks(&mut server, is("ok"));
    let permissions = &checks["permissions"];
    assert_eq!(permissions["status"], "warn");
    assert!(permissions["evidence"].as_str().unwrap().starts_with("INFO: NOPERM"), "{permissions}");
    let others = statuses(&checks);
    let wrong: Vec<_> = others.into_iter().filter(|(_, status)| *status != "ok").collect();
    assert_eq!(wrong, [("permissions", "warn")], "{checks:#?}");
    assert!(!checks.contains_key("broker memory"), "unknown, so not told: {checks:#?}");
}

#[test]
fn queues_that_may_be_evicted_and_a_full_broker_are_told() {
    let redis = Redis::start();
    redis.command::<String>(&["CONFIG", "SET", "maxmemory", "512mb"]);
    redis.command::<String>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let mut server = Server::on(&redis);
    let memory = |server: &mut Server, meaning: &str| {
        let said = |memory: &Value| memory["meaning"].as_str().unwrap().contains(meaning);
        checks(server, |checks| said(&checks["broker memory"]))["broker memory"].clone()
    };
    let evicting = memory(&mut server, "evicts whole queues");
    assert!(evicting["fix"].as_str().unwrap().contains("noeviction"), "{evicting}");
    redis.command::<String>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.command::<String>(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(memory(&mut server, "nearly full")["status"], "warn");
}

#[test]
fn f51_a_broker_that_cannot_save_is_told() {
    let disk = tempfile::tempdir().unwrap();
    let redis = Redis::start_with(&["--dir", disk.path().to_str().unwrap(), "--save", "3600 1"]);
    let mut server = Server::on(&redis);
    assert!(!checks(&mut server, |_| true).contains_key("broker disk"));
    drop(disk);
    redis.command::<String>(&["BGSAVE"]);
    let checks = checks(&mut server, |checks| checks.contains_key("broker disk"));
    assert_eq!(checks["broker disk"]["status"], "warn");
    assert!(checks["broker disk"]["fix"].as_str().unwrap().contains("full"));
    assert_eq!(checks["broker"]["status"], "ok", "it can be watched: {checks:#?}");
    // Also by who comes later.
    let answer = Server::on(&redis).call("queue/list", json!({})).unwrap();
    assert_eq!(answer.get("incomplete"), None, "{answer}");
}

#[test]
fn people_read_it_and_scripts_its_status() {
    let redis = Redis::start();
    let home = tempfile::tempdir().unwrap();
    let run = |url: &str| {
        let output = command(home.path()).args(["--broker", url, "check"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = run(&redis.url(0));
    assert_eq!(status, Some(0), "a warning is no failure: {text}");
    assert!(text.contains("  ok    broker          Redis "), "{text}");
    assert!(text.contains("  warn  workers         no worker answered"), "{text}");
    assert!(text.contains("-> start one"), "{text}");
    let (status, text) = run("amqp://localhost");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("watching a cluster is not supported by amqp"), "{text}");
    assert!(text.contains("-> only Redis without TLS"), "{text}");
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
    let (status, text) = run(&redis.url(0));
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("NOAUTH") && text.contains("(the URL has no password)"), "{text}");
    redis.kill();
    let (status, text) = run(&redis.url(0));
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(&format!("is not connected to {}: ", redis.url(0))), "{text}");
    assert!(text.contains("  FAIL  broker"), "{text}");
    assert!(!text.contains("workers  "), "what is behind it is not known: {text}");
}

#[test]
fn f16_answers_that_nobody_fetches_are_counted_and_left_alone() {
    let redis = Redis::start();
    let mine = "0f4d0d4c-6f1c-3a2b-9c1d-000000000001.reply.celery.pidbox";
    for list in [mine, "b.reply.other.pidbox", "fresh.reply.celery.pidbox"] {
        redis.command::<()>(&["LPUSH", list, &"x".repeat(3 << 20)]);
    }
    let age = "redis.call('RESTORE', KEYS[1], 0, redis.call('DUMP', KEYS[1]), 'REPLACE', \
               'IDLETIME', 7200)";
    redis.command::<()>(&["EVAL", age, "1", mine]);
    let mut server = Server::on(&redis);
    let found = checks(&mut server, |checks| checks.contains_key("leftover replies"));
    let row = &found["leftover replies"];
    let evidence = row["evidence"].as_str().unwrap();
    assert!(evidence.starts_with("1 list, 3.0 MiB; 0f4d0d4c"), "{row}");
    assert!(evidence.ends_with("120 min"), "{row}");
    assert_eq!(redis.command::<u64>(&["LLEN", mine]), 1, "they are somebody else's");
}

#[test]
fn f56_f17_bindings_that_are_malformed_or_double_are_told_with_what_to_do() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    for (exchange, member) in
        [("reply.celery.pidbox", "old\x06\x16left"), ("celery", "celery\x06\x16\x06\x16other")]
    {
        redis.command::<u64>(&["SADD", &format!("_kombu.binding.{exchange}"), member]);
    }
    let checks = checks(&mut server, |checks| checks.contains_key("bindings"));
    let fix = checks["bindings"]["fix"].as_str().unwrap();
    let command = r#"SREM "_kombu.binding.reply.celery.pidbox" "old\x06\x16left""#;
    assert!(fix.contains(command), "{fix}");
    let double = &checks["double bindings"];
    assert_eq!(
        double["evidence"], "`celery` and `other` by the key `celery` of `celery`",
        "{double}"
    );

    // Whoever asks from here needs no binding.
    let ping = json!({ "method": "ping", "destination": [worker.hostname()] });
    let answer = server.call("worker/inspect", ping).unwrap();
    assert_eq!(answer["replies"][worker.hostname()]["ok"], "pong", "{answer}");
    assert_eq!(redis.typed(command), ":1", "it can be typed as it is told");
}

#[test]
fn advice_fits_what_is_wrong() {
    let text = "[environments.prog]\nbroker_url_command = ['nosuch-program']\n\
                [environments.refused]\nbroker_url = 'redis://127.0.0.1:1/0'\n\
                [environments.unknown]\nbroker_url = 'redis://nowhere.invalid/0'\n";
    let home = crate::support::server::configured(text);
    for (environment, advice) in [
        ("prog", "-> install that program, or correct the command"),
        ("refused", "-> nothing listens there: start it, or correct host and port"),
        ("unknown", "-> nobody knows that host: correct its name"),
    ] {
        let mut check = command(home.path());
        let output = check.args(["--environment", environment, "check"]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(advice), "{told}");
        assert_eq!(told.matches("FAIL").count(), 1, "{told}");
    }
}
