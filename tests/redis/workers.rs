//! Workers: who is there, what they say of themselves, how they go.

use super::{rows, texts, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::server::{Feed, Server, command};
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

#[test]
fn the_first_call_knows_every_pool() {
    let redis = Redis::start();
    let pools = [("w1", "prefork", true), ("w2", "threads", true), ("w3", "solo", false)];
    let mut workers = pools.map(|(name, pool, events)| {
        CeleryWorker::launch(&redis, Options { name, pool, events, ..Options::default() })
    });
    workers.iter_mut().for_each(CeleryWorker::wait_until_ready);

    let mut server = Server::on(&redis);
    let shown = rows(&mut server, "worker/list", json!({}));
    assert_eq!(shown.len(), 3, "{shown:#?}");
    for (row, (worker, (_, pool, _))) in shown.iter().zip(workers.iter().zip(pools)) {
        assert_eq!(row["hostname"], json!(worker.hostname()), "{row}");
        assert_eq!((&row["status"], &row["pool"]), (&json!("online"), &json!(pool)), "{row}");
        assert_eq!(row["concurrency"], json!(if pool == "solo" { 1 } else { 2 }), "{row}");
        assert_eq!((&row["pid"], &row["active"]), (&json!(worker.pid()), &json!(0)), "{row}");
        assert_eq!(texts(&row["queues"]), ["celery"], "{row}");
    }
    for worker in &workers {
        let row = wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| {
            row["heartbeats"].as_array().is_some_and(|beats| beats.len() >= 2)
        });
        assert_eq!(row["software"]["ident"], "py-celery", "{row}");
        assert!(row["loadavg"].is_array() && row["freq"] == 2.0, "{row}");
        assert!(row["skew"].as_f64().is_some_and(|skew| skew.abs() < 2.0), "one clock: {row}");
    }
}

#[test]
fn details_are_asked_for_and_dated() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    let details = server.call("worker/get", json!({ "hostname": worker.hostname() })).unwrap();
    assert_eq!(details["hostname"], json!(worker.hostname()), "{details}");
    assert_eq!(details["stats"]["pid"], json!(worker.pid()), "{details}");
    assert_eq!(details["active_queues"][0]["name"], "celery", "{details}");
    let registered = details["registered"].as_array().unwrap();
    assert!(registered.iter().any(|task| task["name"] == "lab.retry"), "{registered:?}");
    assert!(details["as_of"]["stats"].as_f64().is_some(), "{details}");
    assert!(!details.to_string().contains(&format!(":{}", redis.url(0))), "secrets are masked");

    let unknown = server.call("worker/get", json!({ "hostname": "celery@nowhere" })).unwrap_err();
    assert_eq!(
        (&unknown["code"], &unknown["data"]["kind"]),
        (&json!(-32022), &json!("unknown_worker"))
    );
}

#[test]
fn f49_a_worker_that_starts_later_is_asked_at_once() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    let mut feed = Feed::new(server.subscribe("worker/subscribe", json!({})));
    let worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let row = server.follow(&mut feed, "the worker with its pool", |feed| {
        feed.row(&worker.hostname()).filter(|row| row["pool"] == "solo").cloned()
    });
    assert_eq!(row["status"], "online", "{row}");
}

#[test]
fn a_worker_says_goodbye_or_does_not() {
    let redis = Redis::start();
    let options = |name| Options { name, concurrency: 1, ..Options::default() };
    let mut leaver = CeleryWorker::launch(&redis, options("leaver"));
    let mut victim =
        CeleryWorker::launch(&redis, Options { queues: &["victims"], ..options("victim") });
    leaver.wait_until_ready();
    victim.wait_until_ready();
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, Default::default());
    let folder = tempfile::tempdir().unwrap();
    let (end, begun) = (folder.path().join("end"), folder.path().join("begun"));
    let uuid = sender.send_with("lab.hold", json!([end, begun]), json!({ "queue": "victims" }));
    wait_until("the task to run", || begun.exists());
    wait_for_task(&mut server, &uuid, |task| task["place"] == "active");

    victim.kill9();
    leaver.term();
    wait_for_row(&mut server, "worker/list", "leaver@lab", |row| row["status"] == "offline");
    let row =
        wait_for_row(&mut server, "worker/list", "victim@lab", |row| row["status"] == "silent");
    assert!(row["evidence"].is_string() || row["evidence"].is_object(), "{row}");
    let task = server.call("task/get", json!({ "uuid": uuid })).unwrap();
    assert_eq!(task["state"], "STARTED", "nobody knows how it ended: {task}");
}

#[test]
fn a_busy_solo_worker_is_named_and_not_given_up() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    let ping = json!({ "method": "ping", "timeout": 1 });
    let answer = server.call("worker/inspect", ping.clone()).unwrap();
    assert_eq!(answer, json!({ "replies": { "w1@lab": { "ok": "pong" } }, "missing": [] }));

    let folder = tempfile::tempdir().unwrap();
    let (end, begun) = (folder.path().join("end"), folder.path().join("begun"));
    Sender::start(&redis, Default::default()).send("lab.hold", json!([end, begun]));
    wait_until("the task to run", || begun.exists());
    let named = json!({ "method": "ping", "timeout": 1, "destination": [worker.hostname()] });
    for params in [&ping, &named] {
        let error = server.call("worker/inspect", params.clone()).unwrap_err();
        assert_eq!(error["data"]["kind"], "no_reply", "{error}");
    }
    // Its heartbeats stop as well: that it runs a task, and listens, is the evidence.
    let row = wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "silent");
    assert!(row["evidence"].is_string(), "{row}");

    fs::write(&end, "").unwrap();
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
    wait_until("the worker to answer again", || {
        let answer = server.call("worker/inspect", ping.clone())?;
        if texts(&answer["missing"]).is_empty() { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn a_worker_that_never_spoke_is_counted() {
    let redis = Redis::start();
    let options = |name| Options { name, pool: "solo", ..Options::default() };
    let mut workers = ["w1", "w2"].map(|name| CeleryWorker::launch(&redis, options(name)));
    workers.iter_mut().for_each(CeleryWorker::wait_until_ready);
    // A worker says that it is ready before it listens: one of another process hears when it does.
    let mut other = Server::on(&redis);
    for worker in &workers {
        wait_until("both to listen", || {
            let ping = json!({ "method": "ping", "destination": [worker.hostname()] });
            let answer = other.call("worker/inspect", ping)?;
            if answer["missing"] == json!([]) { Ok(()) } else { Err(answer) }
        });
    }
    workers[1].freeze();
    let inspect = |server: &mut Server| {
        server.call("worker/inspect", json!({ "method": "ping", "timeout": 3 })).unwrap()
    };
    let mut server = Server::on(&redis);
    let answer = inspect(&mut server);
    let replies = json!({ "w1@lab": { "ok": "pong" } });
    assert_eq!(answer, json!({ "replies": replies, "missing": [], "unnamed": 1 }));
    let mut call = command(server.home());
    call.args(["--broker", &redis.url(0), "call", "worker/inspect", r#"["ping"]"#]);
    assert_eq!(call.output().unwrap().status.code(), Some(3), "somebody did not answer");

    workers[1].thaw();
    wait_for_row(&mut server, "worker/list", "w2@lab", |row| row["status"] == "online");
    let answer = inspect(&mut server);
    assert_eq!(answer.get("unnamed"), None, "{answer}");
    wait_until("everybody to answer a new process", || {
        let output = call.output().unwrap();
        output.status.success().then_some(()).ok_or(output)
    });
}

#[test]
fn a_worker_that_was_killed_is_lost_in_the_end() {
    let redis = Redis::start();
    let mut worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let mut server = Server::on(&redis);
    let mut feed = Feed::new(server.subscribe("worker/subscribe", json!({})));
    server.follow(&mut feed, "the worker", |feed| feed.row("w1@lab").map(drop));
    worker.kill9();
    let status = |feed: &Feed, status: &str| {
        feed.row("w1@lab").filter(|row| row["status"] == status).cloned()
    };
    server.follow(&mut feed, "silence", |feed| status(feed, "silent"));
    server.be_patient(Duration::from_secs(90));
    let row = server.follow(&mut feed, "its loss", |feed| status(feed, "lost"));
    assert!(row["evidence"].is_string(), "{row}");
}

#[test]
fn task_events_are_turned_on_and_that_is_written_down() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { events: false, ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    let enable = json!({ "method": "enable_events", "destination": [worker.hostname()] });
    let answer = server.call("worker/control", enable.clone()).unwrap();
    assert_eq!(answer["replies"]["w1@lab"], json!({ "ok": "task events enabled" }), "{answer}");
    assert_eq!(texts(&answer["missing"]), [""; 0]);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["events"] == "on");
    let uuid = Sender::start(&redis, Default::default()).send("lab.add", json!([1, 2]));
    let task = wait_for_task(&mut server, &uuid, |task| task["state"] == "SUCCESS");
    assert_eq!(task["name"], "lab.add", "only an event tells the name: {task}");

    let audit = fs::read_to_string(server.home().join("state/lazycelery/audit.jsonl")).unwrap();
    assert!(audit.contains("enable_events") && audit.contains("w1@lab"), "{audit}");

    let refused = json!({ "method": "shutdown" });
    assert_eq!(server.call("worker/control", refused).unwrap_err()["code"], -32602);
    let mut guest = Server::start(&["--broker", &redis.url(0), "--read-only"], &[]);
    assert_eq!(guest.call("worker/control", enable).unwrap_err()["data"]["kind"], "forbidden");
}

#[test]
fn f05_a_worker_that_cannot_encode_its_answer_is_not_said_to_hold_nothing() {
    let redis = Redis::start();
    let options = Options { app: App::Pickling, ..Options::default() };
    let worker = CeleryWorker::start(&redis, options);
    let uuid = Sender::start(&redis, App::Pickling).workflow("pickled").remove(0);
    let mut server = Server::on(&redis);
    let row = wait_for_row(&mut server, "task/list", &uuid, |row| {
        row["worker"].is_string() || row["queue"].is_string()
    });
    assert_eq!((&row["name"], &row["place"]), (&json!("lab.echo"), &json!("scheduled")), "{row}");
    let mute = json!({ "method": "scheduled" });
    let error = server.call("worker/inspect", mute).unwrap_err();
    assert_eq!(error["data"]["kind"], "no_reply", "{error}");
    let hostname = json!({ "hostname": worker.hostname() });
    let details = server.call("worker/get", hostname.clone()).unwrap();
    let why = details["untold"]["scheduled"].as_str().unwrap();
    assert!(why.starts_with("it cannot encode its answer"), "{why}");
    let listed = &details["scheduled_tasks"];
    assert_eq!((&listed[0]["uuid"], listed.get(1)), (&json!(uuid), None), "from `unacked`");
    assert_eq!((&details["status"], &details["active_tasks"]), (&json!("online"), &json!([])));
    assert_eq!(details["reserved_tasks"], json!([]), "that it can tell");

    // Each try writes a traceback into the worker's log: one was ours above, one `worker/get`'s.
    let feed = server.subscribe("worker/watch", hostname.clone());
    let mut looks = BTreeSet::new();
    wait_until("two more looks at what it can tell", || {
        server.call("worker/get", hostname.clone()).unwrap();
        let row = server.next_of(feed)["result"]["row"].take();
        looks.insert(row["as_of"]["reserved_tasks"].to_string());
        if looks.len() > 2 { Ok(()) } else { Err(looks.clone()) }
    });
    assert_eq!(worker.log().matches("Control command error: EncodeError").count(), 2);
}

/// The one line on which it waits for messages went dead without an end: it beats and answers on others.
#[test]
fn f31_a_worker_that_is_alive_and_takes_nothing_is_told() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let options = |name| Options { name, pool: "solo", ..Options::default() };
    let broker = Some(proxy.port());
    let mut ghost = CeleryWorker::launch(&redis, Options { broker, ..options("ghost") });
    let queues = &["elsewhere"];
    let mut other = CeleryWorker::launch(&redis, Options { queues, ..options("other") });
    ghost.wait_until_ready();
    other.wait_until_ready();
    proxy.lose("BRPOP");
    wait_until("the line to be lost", || proxy.lost() > 0);
    Sender::start(&redis, App::Default).send("lab.add", json!([1, 2]));

    let mut server = Server::on(&redis);
    server.be_patient(Duration::from_secs(90));
    let mut feed = Feed::new(server.subscribe("worker/subscribe", json!({})));
    let row = server.follow(&mut feed, "what it ignores", |feed| {
        feed.row("ghost@lab").filter(|row| row.get("ignores").is_some()).cloned()
    });
    assert_eq!((&row["status"], &row["ignores"][0]["queue"]), (&json!("online"), &json!("celery")));
    assert!(row["ignores"][0]["since"].is_number(), "{row}");
    let other = feed.row("other@lab").unwrap();
    assert_eq!(other.get("ignores"), None, "nothing waits for it: {other}");
    let checks = rows(&mut server, "environment/check", json!({}));
    let told = checks.iter().find(|row| row["check"] == "consumption").unwrap();
    assert!(told["evidence"].as_str().unwrap().ends_with("ghost@lab from `celery`"), "{told}");
    assert_eq!(told["fix"], "restart them", "{told}");

    // Whoever takes the message ends the warning.
    let _third = CeleryWorker::start(&redis, options("third"));
    server.follow(&mut feed, "no warning any more", |feed| {
        feed.row("ghost@lab").filter(|row| row.get("ignores").is_none()).map(drop)
    });
}
