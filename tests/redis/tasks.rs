//! Tasks wherever they are: waiting, reserved, scheduled, active, done.

use super::{rows, texts, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs;

fn ended(task: &Value) -> bool {
    matches!(task["state"].as_str(), Some("SUCCESS" | "FAILURE"))
}

#[test]
fn what_a_default_cluster_with_events_tells() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let mut sender = Sender::start(&redis, App::Default);

    let added = sender.send("lab.add", json!([2, 3]));
    let task = wait_for_task(&mut server, &added, |task| task["runtime"].is_number());
    assert_eq!((&task["state"], &task["name"]), (&json!("SUCCESS"), &json!("lab.add")), "{task}");
    assert_eq!((&task["args"], &task["result"]), (&json!("[2, 3]"), &json!("5")), "{task}");
    assert_eq!((&task["worker"], &task["place"]), (&json!("w1@lab"), &json!("done")), "{task}");
    assert_eq!(task["queue"], "celery", "it consumes only one: {task}");
    // Or we looked just while it was held.
    let source = task["sources"]["queue"].as_str();
    assert!(matches!(source, Some("worker" | "unacked")), "{task}");
    assert!(task["runtime"].as_f64().is_some() && task["received"].as_f64().is_some(), "{task}");

    let failed = sender.send("lab.fail", json!([7]));
    let task = wait_for_task(&mut server, &failed, ended);
    assert_eq!(task["exception"], "CardDeclined('insufficient funds for 7')", "{task}");
    let frames = task["traceback"]["frames"].as_array().unwrap();
    let last = frames.last().unwrap();
    assert!(last["file"].as_str().unwrap().ends_with("lab/gateway.py"), "{frames:?}");
    assert_eq!((&last["function"], last["line"].is_u64()), (&json!("pay"), true), "{last}");

    let retried = sender.send("lab.retry", json!([2]));
    let task = wait_for_task(&mut server, &retried, ended);
    assert_eq!((&task["state"], &task["retries"]), (&json!("SUCCESS"), &json!(2)), "{task}");
    let attempts = task["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{attempts:#?}");
    assert_eq!(attempts[0]["state"], "RETRY", "{attempts:#?}");
    let history = task["history"].as_array().unwrap();
    let types: Vec<_> = history.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(types.iter().filter(|kind| kind.ends_with("retried")).count(), 2, "{types:?}");
}

#[test]
fn workflows_are_linked() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let mut sender = Sender::start(&redis, App::Default);
    let chain = sender.workflow("linked");
    let last = wait_for_task(&mut server, &chain[0], ended);
    assert_eq!(last["result"], "10", "{last}");
    assert_eq!(last["parent_id"], json!(chain[1]), "{last}");
    let root = wait_for_task(&mut server, &chain[2], |task| {
        task["workflow"].as_array().is_some_and(|tasks| tasks.len() >= 2)
    });
    assert!(root["workflow"].to_string().contains(&chain[1]), "{root}");

    let chord = sender.workflow("broken_chord");
    let body = wait_for_task(&mut server, &chord[0], ended);
    assert_eq!(body["state"], "FAILURE", "it never ran, only the backend knows: {body}");
}

#[test]
fn without_task_events_results_are_still_heard() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { events: false, ..Options::default() });
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let before = sender.send("lab.add", json!([1, 1]));
    wait_for_row(&mut server, "task/list", &before, |row| row["state"] == "SUCCESS");
    let uuid = sender.send("lab.fail", json!([9]));
    let row = wait_for_row(&mut server, "task/list", &uuid, |row| row["state"] == "FAILURE");
    assert_eq!(row["exception"], "CardDeclined('insufficient funds for 9')", "{row}");
    let task = server.call("task/get", json!({ "uuid": uuid })).unwrap();
    assert_eq!(task["sources"]["state"], "backend", "{task}");
    // A look may have met it in its queue or at its worker. A default result does not tell it.
    assert_ne!(task["sources"]["name"], "backend", "{task}");
}

#[test]
fn what_a_talkative_cluster_tells() {
    let redis = Redis::start();
    let options =
        Options { app: App::Talkative, queues: &["celery", "other"], ..Options::default() };
    let _worker = CeleryWorker::start(&redis, options);
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let mut sender = Sender::start(&redis, App::Talkative);
    let uuid = sender.send_with(
        "lab.echo",
        json!([1.5, "é"]),
        json!({ "queue": "other", "kwargs": { "k": null } }),
    );
    let task =
        wait_for_task(&mut server, &uuid, |task| ended(task) && task["args_json"].is_string());
    assert_eq!(task["args_json"], r#"[1.5, "\u00e9"]"#, "{task}");
    assert_eq!(task["kwargs_json"], r#"{"k": null}"#, "{task}");
    assert_eq!(task["queue"], "other", "{task}");
    assert!(task["sent"].as_f64().is_some(), "{task}");
}

#[test]
fn a_task_is_where_it_is() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { concurrency: 1, ..Options::default() });
    let mut sender = Sender::start(&redis, App::Default);
    // Before we come: a queue that nobody consumes is found by the search, which is soon over.
    let queued = sender.send_with("lab.add", json!([5, 6]), json!({ "queue": "nobody" }));
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let folder = tempfile::tempdir().unwrap();
    let (end, begun) = (folder.path().join("end"), folder.path().join("begun"));
    let active = sender.send("lab.hold_late", json!([end, begun]));
    wait_until("the task to run", || begun.exists());
    let reserved = sender.send("lab.add", json!([1, 2]));
    let scheduled = sender.send_with("lab.add", json!([3, 4]), json!({ "countdown": 3600 }));

    for (uuid, place, state) in [
        (&active, "active", "STARTED"),
        (&reserved, "reserved", "RECEIVED"),
        (&scheduled, "scheduled", "RECEIVED"),
        (&queued, "queue", "PENDING"),
    ] {
        let row = wait_for_row(&mut server, "task/list", uuid, |row| row["place"] == place);
        assert_eq!((&row["state"], &row["name"].is_string()), (&json!(state), &true), "{row}");
        let filter = json!({ "filter": format!("place:{place}") });
        let found = rows(&mut server, "task/list", filter);
        assert_eq!(found.len(), 1, "place:{place}: {found:#?}");
    }
    let row =
        wait_for_row(&mut server, "task/list", &scheduled, |row| row["eta"].as_f64().is_some());
    assert_eq!(row["queue"], "celery", "{row}");
    let task = server.call("task/get", json!({ "uuid": queued })).unwrap();
    assert_eq!((&task["args_json"], &task["position"]), (&json!("[5, 6]"), &json!(0)), "{task}");
    let task = server.call("task/get", json!({ "uuid": reserved })).unwrap();
    assert_eq!(task["args_json"], "[1, 2]", "unacked holds the message itself: {task}");
    wait_for_row(&mut server, "queue/list", "celery", |row| {
        row["unacked"] == 3 && texts(&row["workers"]) == ["w1@lab"]
    });
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["active"] == 1);

    fs::write(&end, "").unwrap();
    for uuid in [&active, &reserved] {
        wait_for_row(&mut server, "task/list", uuid, |row| row["place"] == "done");
    }
}

#[test]
fn f58_progress_is_shown_as_the_task_wrote_it() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let folder = tempfile::tempdir().unwrap();
    let steps = folder.path().join("steps");
    let uuid = Sender::start(&redis, App::Default).send("lab.progress", json!([steps, 2]));
    let of =
        |row: &Value, current: u64| row["progress"] == json!({ "current": current, "total": 2 });
    wait_for_row(&mut server, "task/list", &uuid, |row| of(row, 0));
    fs::write(&steps, "x").unwrap();
    wait_for_row(&mut server, "task/list", &uuid, |row| of(row, 1));
    fs::write(&steps, "xx").unwrap();
    wait_for_row(&mut server, "task/list", &uuid, |row| row["state"] == "SUCCESS");

    let nan = r#"{"type":"task-progress","uuid":"nan","hostname":"w1@lab","timestamp":1,
        "current":NaN,"total":Infinity}"#;
    let envelope =
        json!({ "body": nan, "headers": {}, "properties": {}, "content-type": "application/json" });
    redis.command::<i64>(&["PUBLISH", "/0.celeryev/task.progress", &envelope.to_string()]);
    let row = wait_for_row(&mut server, "task/list", "nan", |_| true);
    let progress = row["progress"].as_object().cloned().unwrap_or_default();
    assert!(progress.values().all(|value| !value.is_null()), "{row}");
}

#[test]
fn f42_ids_are_arbitrary_text() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { pool: "threads", ..Options::default() });
    let mut server = Server::on(&redis);
    rows(&mut server, "task/list", json!({}));
    let mut sender = Sender::start(&redis, App::Default);
    let long = "x".repeat(155);
    for uuid in
        ["orders/2026#1?x=%2F y", "été-\u{202e}\n1", "A70C67FF-0000-4000-8000-ABCDEF012345", &long]
    {
        let options = json!({ "task_id": uuid, "shadow": "pretty/name ü" });
        assert_eq!(sender.send_with("lab.add", json!([1, 2]), options), uuid);
        let task = wait_for_task(&mut server, uuid, ended);
        assert_eq!((&task["uuid"], &task["result"]), (&json!(uuid), &json!("3")), "{task}");
        assert_eq!(task["name"], "pretty/name ü", "{task}");
    }
    let unknown = server.call("task/get", json!({ "uuid": "nosuch" })).unwrap_err();
    assert_eq!(
        (&unknown["code"], &unknown["data"]["kind"]),
        (&json!(-32023), &json!("unknown_task"))
    );
}

/// A task that runs longer than the visibility timeout is put back by Celery itself while it runs.
#[test]
fn f34_a_running_task_whose_message_was_put_back_is_at_both_places() {
    let redis = Redis::start();
    let options = Options {
        app: App::Impatient,
        concurrency: 1,
        extra: &["--prefetch-multiplier", "1"],
        ..Options::default()
    };
    let _worker = CeleryWorker::start(&redis, options);
    let mut server = Server::on(&redis);
    let folder = tempfile::tempdir().unwrap();
    let (end, begun) = (folder.path().join("end"), folder.path().join("begun"));
    let mut sender = Sender::start(&redis, App::Default);
    let uuid = sender.send("lab.hold_late", json!([end, begun]));
    wait_until("the task to run", || begun.exists());
    let task = wait_for_task(&mut server, &uuid, |task| task.get("also").is_some());
    let waiting = json!([{ "place": "queue", "queue": "celery" }]);
    assert_eq!((&task["place"], &task["also"]), (&json!("active"), &waiting), "{task}");
    assert_eq!((&task["worker"], &task["redelivered"]), (&json!("w1@lab"), &json!(true)), "{task}");
    let row = wait_for_row(&mut server, "queue/list", "celery", |row| row["messages"] == 1);
    assert_eq!(row["workers"], json!(["w1@lab"]), "{row}");

    fs::write(&end, "").unwrap();
    let task = wait_for_task(&mut server, &uuid, |task| {
        task["attempts"].as_array().is_some_and(|runs| runs.len() == 2) && ended(task)
    });
    assert_eq!((&task["place"], task.get("also")), (&json!("done"), None), "it ran twice: {task}");
}
