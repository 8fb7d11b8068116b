//! Tasks that are sent again, as exactly as they are known.

use super::{wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::PathBuf;

/// A cluster whose environment is connected, and hears events, but looks at nothing while no call
/// needs it: no message is seen on its way.
fn connected(redis: &Redis, app: App) -> (CeleryWorker, Server, Sender) {
    let worker = CeleryWorker::start(redis, Options { app, ..Options::default() });
    let mut server = Server::on(redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    (worker, server, Sender::start(redis, app))
}

#[track_caller]
fn wait_for_result(sender: &mut Sender, uuid: &str, state: &str) -> Value {
    wait_until(&format!("{uuid} to be {state}"), || {
        let (now, result) = sender.result(uuid);
        if now == state { Ok(result) } else { Err((now, result)) }
    })
}

/// What a task that was to be sent again became: its new id, and what was said of it.
#[track_caller]
fn retried(server: &mut Server, params: Value) -> (String, Value) {
    let answer = server.call("task/retry", params).unwrap();
    let sent = answer["sent"].as_array().unwrap();
    assert_eq!((sent.len(), answer.get("refused")), (1, None), "{answer}");
    (sent[0]["uuid"].as_str().unwrap().to_owned(), sent[0].clone())
}

#[track_caller]
fn refusal(server: &mut Server, params: Value) -> (String, String) {
    let answer = server.call("task/retry", params).unwrap();
    assert_eq!(answer["sent"], json!([]), "{answer}");
    let refused = &answer["refused"][0];
    let text = |name: &str| refused[name].as_str().unwrap().to_owned();
    (text("kind"), text("reason"))
}

fn ran(path: &PathBuf) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(String::from).collect()
}

#[test]
fn a_failed_task_runs_again_from_its_extended_result() {
    let redis = Redis::start();
    let (_worker, mut server, mut sender) = connected(&redis, App::Talkative);
    let path = server.home().join("there");
    let options = json!({ "kwargs": { "k": [1.5, "é"] }, "expires": 3600, "argsrepr": "('***',)" });
    let failed = sender.send_with("lab.need", json!([path, "C:\\new", "x".repeat(2000)]), options);
    wait_for_result(&mut sender, &failed, "FAILURE");
    File::create(&path).unwrap();

    let dry = json!({ "uuids": [failed], "dry_run": true });
    let (_, foreseen) = retried(&mut server, dry);
    assert_eq!(server.call("job/list", json!({})).unwrap()["total"], 0);
    assert_eq!(foreseen.get("args_json"), None, "too long to be shown: {foreseen}");
    let (new, sent) = retried(&mut server, json!({ "uuids": [failed, failed] }));
    for name in ["from", "queue", "source", "dropped"] {
        assert_eq!(sent[name], foreseen[name], "{name}");
    }
    assert_eq!((&sent["source"], &sent["queue"]), (&json!("backend"), &json!("celery")));
    assert_eq!(sent["dropped"], json!(["expires", "unknown"]), "its message was not seen");
    assert_eq!(wait_for_result(&mut sender, &new, "SUCCESS"), 2);
    let once =
        format!("[[\"C:\\\\new\", \"{}\"], {{\"k\": [1.5, \"\\u00e9\"]}}]", "x".repeat(2000));
    assert_eq!(ran(&path), [once], "once, with what it was called with");
    assert_eq!(sender.result(&failed).0, "FAILURE", "the old result stays");

    let task = wait_for_task(&mut server, &new, |task| task["state"] == "SUCCESS");
    assert_eq!((&task["retry_of"], &task["parent_id"]), (&json!(failed), &json!(failed)));
    assert_eq!(task["args"], "('***',)", "what was hidden stays hidden: {task}");
    let old = wait_for_task(&mut server, &failed, |_| true);
    assert_eq!((&old["retried_as"], &old["state"]), (&json!(new), &json!("FAILURE")));
}

#[test]
fn f01_f02_f03_a_repr_is_never_exact() {
    let redis = Redis::start();
    let (_worker, mut server, mut sender) = connected(&redis, App::Default);
    let path = server.home().join("there");
    let plain = sender.send("lab.need", json!([path, "plain", 1]));
    let escaped = sender.send("lab.need", json!([path, "C:\\new\\table"]));
    let long = sender.send("lab.need", json!([path, "y".repeat(1100)]));
    for uuid in [&plain, &escaped, &long] {
        wait_for_result(&mut sender, uuid, "FAILURE");
    }
    File::create(&path).unwrap();
    for uuid in [&plain, &escaped, &long] {
        let (kind, _) = refusal(&mut server, json!({ "uuids": [uuid] }));
        assert_eq!(kind, "inexact");
    }
    for uuid in [&escaped, &long] {
        let params = json!({ "uuids": [uuid], "accept_inexact": true });
        let (kind, reason) = refusal(&mut server, params);
        assert!(kind == "inexact" && reason.contains("give `args`"), "{reason}");
    }
    let (new, sent) = retried(&mut server, json!({ "uuids": [plain], "accept_inexact": true }));
    assert_eq!(sent["source"], "repr");
    assert_eq!(wait_for_result(&mut sender, &new, "SUCCESS"), 2);
    let given = json!({ "uuids": [long], "args": [path, "other"], "kwargs": { "k": 1 } });
    let (new, sent) = retried(&mut server, given);
    assert_eq!(sent["source"], "given");
    assert_eq!(wait_for_result(&mut sender, &new, "SUCCESS"), 1);
    assert_eq!(ran(&path), ["[[\"plain\", 1], {}]", "[[\"other\"], {\"k\": 1}]"]);

    let both = json!({ "uuids": ["nosuch", plain], "accept_inexact": true, "dry_run": true });
    let answer = server.call("task/retry", both).unwrap();
    assert_eq!(answer["refused"][0]["kind"], "unknown_task");
    let foreseen = &answer["sent"][0];
    assert_eq!(foreseen["from"], plain.as_str(), "one that is refused stops no other");
    let args = json!([path, "plain", 1]);
    let shown: Value = serde_json::from_str(foreseen["args_json"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&foreseen["name"], shown),
        (&json!("lab.need"), args),
        "what it would be sent with"
    );
    let warning = &answer["warnings"][0];
    assert_eq!(
        (&warning["uuid"], &warning["kind"]),
        (&json!(plain), &json!("retried")),
        "{answer}"
    );
}

/// Sends something while nobody consumes, so that its messages are seen; then lets a worker fail.
fn seen_and_failed(
    redis: &Redis,
    server: &mut Server,
    send: impl FnOnce(&mut Sender) -> Vec<String>,
    failing: usize,
) -> (CeleryWorker, Sender, Vec<String>) {
    let mut sender = Sender::start(redis, App::Default);
    let uuids = send(&mut sender);
    wait_for_row(server, "task/list", &uuids[failing], |row| row["place"] == "queue");
    let worker = CeleryWorker::start(redis, Options::default());
    wait_for_result(&mut sender, &uuids[failing], "FAILURE");
    (worker, sender, uuids)
}

#[test]
fn a_message_that_was_seen_is_sent_again_byte_for_byte() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let path = server.home().join("there");
    let body = format!(
        "[[{path:?}, 1.50, 1000000000000000000000000000000, NaN, \"\\ud83d\"], {{\"k\" : 1E2}}, {{}}]"
    );
    let queued = json!({
        "body": body, "content-type": "application/json", "content-encoding": "utf-8",
        "headers": { "lang": "py", "task": "lab.need", "id": "seen/1 é", "retries": 0, "eta": null,
            "expires": null, "timelimit": [60, null], "root_id": "seen/1 é", "tenant": { "id": 7 } },
        "properties": { "delivery_tag": "d1", "delivery_info": { "exchange": "", "routing_key": "celery" },
            "correlation_id": "seen/1 é", "reply_to": "", "delivery_mode": 2, "priority": 4 },
    });
    let uuid = "seen/1 é".to_owned();
    let (_worker, mut sender, _) = seen_and_failed(
        &redis,
        &mut server,
        |sender| {
            // Declares the queue.
            sender.send("lab.add", json!([1, 2]));
            redis.command::<u64>(&["LPUSH", "celery", &queued.to_string()]);
            vec![uuid.clone()]
        },
        0,
    );
    File::create(&path).unwrap();
    let monitor = redis.monitor();
    let (new, sent) = retried(&mut server, json!({ "uuids": [uuid] }));
    assert_eq!((&sent["source"], &sent["dropped"]), (&json!("queue"), &json!([])));
    wait_for_result(&mut sender, &new, "SUCCESS");
    assert_eq!(
        ran(&path),
        ["[[1.5, 1000000000000000000000000000000, NaN, \"\\ud83d\"], {\"k\": 100.0}]"]
    );
    let pushed = wait_until("the message", || {
        let lines = monitor.lines();
        lines.iter().find(|line| line.contains("\"LPUSH\" \"celery\\x06\\x163\"")).cloned()
    });
    for kept in ["tenant", "{\\\\\\\"id\\\\\\\":7}", "[60,null]"] {
        let plain = kept.replace("\\\\\\\"", "\\\"");
        assert!(pushed.contains(kept) || pushed.contains(&plain), "{kept}: {pushed}");
    }
}

#[test]
fn a_chain_goes_on_only_where_that_is_asked_for() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let path = server.home().join("there");
    let chain = |sender: &mut Sender| sender.workflow_with("interrupted", json!([path]));
    let (_worker, mut sender, uuids) = seen_and_failed(&redis, &mut server, chain, 1);
    let [last, first] = uuids.as_slice() else { panic!("{uuids:?}") };
    wait_for_result(&mut sender, last, "FAILURE");
    File::create(&path).unwrap();
    let (new, sent) = retried(&mut server, json!({ "uuids": [first] }));
    assert_eq!(sent["dropped"], json!(["chain"]));
    wait_for_result(&mut sender, &new, "SUCCESS");
    assert_eq!(sender.result(last).0, "FAILURE", "it ended there");
    let (new, sent) = retried(&mut server, json!({ "uuids": [first], "keep_links": true }));
    assert_eq!(sent["dropped"], json!([]));
    wait_for_result(&mut sender, &new, "SUCCESS");
    assert_eq!(wait_for_result(&mut sender, last, "SUCCESS"), 3);
    let same = json!({ "uuids": [last], "same_id": true });
    let (kind, _) = refusal(&mut server, same);
    assert_eq!(kind, "same_id", "its new result would be lost");
}

#[test]
fn callbacks_are_called_only_where_that_is_asked_for() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let [path, well, badly] = ["there", "well", "badly"].map(|name| server.home().join(name));
    let answered =
        |sender: &mut Sender| sender.workflow_with("answered", json!([path, well, badly]));
    let (_worker, mut sender, uuids) = seen_and_failed(&redis, &mut server, answered, 0);
    wait_until("its errback", || badly.exists().then_some(()));
    File::create(&path).unwrap();
    let (new, sent) = retried(&mut server, json!({ "uuids": uuids }));
    assert_eq!(sent["dropped"], json!(["callbacks", "errbacks"]));
    wait_for_result(&mut sender, &new, "SUCCESS");
    let (new, sent) = retried(&mut server, json!({ "uuids": uuids, "keep_links": true }));
    assert_eq!(sent["dropped"], json!([]));
    wait_for_result(&mut sender, &new, "SUCCESS");
    wait_until("its callback", || well.exists().then_some(()));
    assert_eq!((ran(&well).len(), ran(&badly).len()), (1, 1), "of the second one, and the first");
}

#[test]
fn an_eta_is_kept_while_it_lies_ahead() {
    let redis = Redis::start();
    let (_worker, mut server, mut sender) = connected(&redis, App::Default);
    let path = server.home().join("there");
    let passed = sender.send_with("lab.need", json!([path]), json!({ "countdown": 0.5 }));
    let ahead = sender.send_with("lab.add", json!([1, 2]), json!({ "countdown": 3600 }));
    let waiting = wait_for_task(&mut server, &ahead, |task| task["place"] == "scheduled");
    let eta = waiting["eta"].as_f64().unwrap();
    server.call("task/revoke", json!({ "uuids": [ahead] })).unwrap();
    wait_for_task(&mut server, &ahead, |task| task["state"] == "REVOKED");
    wait_for_result(&mut sender, &passed, "FAILURE");
    File::create(&path).unwrap();

    let given = json!({ "accept_inexact": true, "args": [path], "kwargs": {} });
    let mut again = |uuid: &str, more: Value| {
        let mut params = given.clone();
        params["uuids"] = json!([uuid]);
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        retried(&mut server, params).0
    };
    let [kept, at_once] = [(&ahead, json!({ "args": [1, 2] })), (&passed, json!({}))]
        .map(|(uuid, more)| again(uuid, more));
    let sooner = again(&ahead, json!({ "args": [1, 2], "countdown": 0 }));
    for uuid in [&at_once, &sooner] {
        wait_for_result(&mut sender, uuid, "SUCCESS");
    }
    let task = wait_for_task(&mut server, &kept, |task| task["place"] == "scheduled");
    assert_eq!(task["eta"].as_f64(), Some(eta), "{task}");
}

#[test]
fn a_member_of_a_chord_leaves_it() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let path = server.home().join("there");
    let chord = |sender: &mut Sender| sender.workflow_with("joined_by", json!([path]));
    let (_worker, mut sender, uuids) = seen_and_failed(&redis, &mut server, chord, 2);
    let (body, member) = (&uuids[0], &uuids[2]);
    wait_for_result(&mut sender, body, "FAILURE");
    File::create(&path).unwrap();
    for keep_links in [false, true] {
        let params = json!({ "uuids": [member], "keep_links": keep_links });
        let (new, sent) = retried(&mut server, params);
        assert_eq!(sent["dropped"], json!(["group", "chord"]), "it was counted already");
        wait_for_result(&mut sender, &new, "SUCCESS");
        assert_eq!(sender.result(body).0, "FAILURE");
    }
    let (same, sent) = retried(&mut server, json!({ "uuids": [member], "same_id": true }));
    assert_eq!((&same, &sent["from"]), (member, &json!(member)));
    wait_for_result(&mut sender, member, "SUCCESS");
    assert_eq!(ran(&path).len(), 3);
}

#[test]
fn a_member_of_a_group_runs_again_on_its_own() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let path = server.home().join("there");
    let fanned = |sender: &mut Sender| sender.workflow_with("fanned_by", json!([path]));
    let (_worker, mut sender, uuids) = seen_and_failed(&redis, &mut server, fanned, 1);
    let [well, member] = uuids.as_slice() else { panic!("{uuids:?}") };
    wait_for_result(&mut sender, well, "SUCCESS");
    File::create(&path).unwrap();
    for keep_links in [false, true] {
        let params = json!({ "uuids": [member], "keep_links": keep_links });
        let (new, sent) = retried(&mut server, params);
        assert_eq!(sent["dropped"], json!(["group"]));
        assert_eq!(wait_for_result(&mut sender, &new, "SUCCESS"), 0);
        assert_eq!(sender.result(member).0, "FAILURE", "the group's own member stays as it ended");
    }
    assert_eq!(ran(&path).len(), 2);
}

#[test]
fn what_waits_is_refused_and_what_runs_is_warned_of() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let path = server.home().join("go");
    let mut sender = Sender::start(&redis, App::Pickling);
    let waiting = sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "nobodys" }));
    wait_for_row(&mut server, "task/list", &waiting, |row| row["place"] == "queue");
    let (kind, reason) = refusal(&mut server, json!({ "uuids": [waiting] }));
    assert_eq!(
        (kind.as_str(), reason.as_str()),
        ("waiting", "it still waits in `nobodys`, and will run")
    );

    let options = Options { app: App::Pickling, ..Options::default() };
    let _worker = CeleryWorker::start(&redis, options);
    let late = sender.send_with("lab.hold_late", json!([path]), json!({ "serializer": "pickle" }));
    wait_for_row(&mut server, "task/list", &late, |row| row["place"] == "active");
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    let answer = server.call("task/retry", json!({ "uuids": [late] })).unwrap();
    let warned = answer["warnings"].as_array().unwrap().iter().map(|warning| &warning["kind"]);
    assert_eq!(warned.collect::<Vec<_>>(), ["links", "running"], "{answer}");
    let sent = &answer["sent"][0];
    assert_eq!((&sent["source"], &sent["dropped"]), (&json!("unacked"), &json!([])), "{answer}");
    File::create(&path).unwrap();
    for uuid in [late.as_str(), sent["uuid"].as_str().unwrap()] {
        assert_eq!(wait_for_result(&mut sender, uuid, "SUCCESS"), json!(path), "pickled as it was");
    }
}

#[test]
fn a_filter_is_retried_at_a_rate_and_stopped() {
    let redis = Redis::start();
    let (_worker, mut server, mut sender) = connected(&redis, App::Talkative);
    let path = server.home().join("there");
    let failed: Vec<String> =
        (0..30).map(|number| sender.send("lab.need", json!([path, number]))).collect();
    for uuid in &failed {
        wait_for_result(&mut sender, uuid, "FAILURE");
        wait_for_task(&mut server, uuid, |task| task["state"] == "FAILURE");
    }
    File::create(&path).unwrap();
    let params =
        json!({ "filter": "state:failure name:lab.need", "rate": 10, "progressToken": "p" });
    server.send(&json!({ "jsonrpc": "2.0", "id": 100, "method": "task/retry", "params": params }));
    wait_until("some of them", || {
        let jobs = server.call("job/list", json!({})).unwrap();
        let job = &jobs["rows"][0];
        let some = job["total"] == 30 && job["done"].as_u64() >= Some(3);
        if some { Ok(()) } else { Err(jobs) }
    });
    server.call("job/cancel", json!(["job-1"])).unwrap();
    let mut told = Vec::new();
    let answer = loop {
        let note = server.next_notification();
        if note["id"] == 100 {
            break note["result"].clone();
        }
        told.push(note["params"]["value"].clone());
    };
    assert_eq!(answer["cancelled"], true, "{answer}");
    let sent = answer["sent"].as_array().unwrap();
    assert!((3..30).contains(&sent.len()), "{}", sent.len());
    let known = |sent: &Value| failed.iter().any(|uuid| sent["from"] == uuid.as_str());
    assert!(sent.iter().all(known), "{answer}");
    assert_eq!((&told[0]["kind"], &told.last().unwrap()["kind"]), (&json!("begin"), &json!("end")));
    for sent in sent {
        wait_for_result(&mut sender, sent["uuid"].as_str().unwrap(), "SUCCESS");
    }
    assert_eq!(ran(&path).len(), sent.len(), "each once, and no other");
    let got = server.call("job/get", json!(["job-1"])).unwrap();
    assert_eq!((&got["status"], &got["outcome"]["sent"]), (&json!("cancelled"), &answer["sent"]));

    // A script that says no more is told what was done until the session ends.
    let params = json!({ "uuids": failed, "rate": 1 });
    server.send(&json!({ "jsonrpc": "2.0", "id": 101, "method": "task/retry", "params": params }));
    wait_until("the job", || server.call("job/list", json!({})).unwrap()["total"] == 2);
    let (last, status) = server.finish();
    assert!(status.success(), "{status}");
    let answer = last.iter().find(|message| message["id"] == 101).unwrap();
    assert_eq!(answer["result"]["cancelled"], true, "{answer}");
}
