//! Tasks that workers are told not to run, or to end.

use super::{texts, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs::File;

fn worker(redis: &Redis, name: &'static str) -> CeleryWorker {
    CeleryWorker::start(redis, Options { name, ..Options::default() })
}

#[track_caller]
fn revoke(server: &mut Server, params: Value) -> Value {
    server.call("task/revoke", params).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn kinds(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(|one| one["kind"].as_str()).collect()
}

#[test]
fn a_revoked_task_does_not_run_on_any_worker_of_now_or_later() {
    let redis = Redis::start();
    let _workers = [worker(&redis, "w1"), worker(&redis, "w2")];
    let mut server = Server::on(&redis);
    for name in ["w1@lab", "w2@lab"] {
        wait_for_row(&mut server, "worker/list", name, |row| row["queues"].is_array());
    }
    let mut sender = Sender::start(&redis, App::Default);
    let path = server.home().join("ran");
    // Nobody reads that queue yet.
    let waiting = sender.send_with("lab.note", json!([path]), json!({ "queue": "later" }));
    wait_for_row(&mut server, "task/list", &waiting, |row| row["place"] == "queue");

    let dry = revoke(&mut server, json!({ "uuids": [waiting], "dry_run": true }));
    assert_eq!((&dry["revoked"], &dry["replies"]), (&json!([waiting]), &json!({})));
    assert!(!sender.inspect("revoked", 2).to_string().contains(&waiting), "nothing was done");
    let answer = revoke(&mut server, json!({ "uuids": [waiting] }));
    assert_eq!((&answer["revoked"], &answer["missing"]), (&json!([waiting]), &json!([])));
    let replies = answer["replies"].as_object().unwrap();
    assert_eq!(replies.keys().collect::<Vec<_>>(), ["w1@lab", "w2@lab"]);
    assert!(replies["w1@lab"]["ok"].as_str().unwrap().contains("flagged as revoked"), "{answer}");
    let told = sender.inspect("revoked", 2);
    for name in ["w1@lab", "w2@lab"] {
        assert_eq!(texts(&told[name]), [waiting.as_str()], "{told}");
    }

    // It asks no peer what they know.
    let options = Options {
        name: "late",
        queues: &["celery", "later"],
        extra: &["--without-mingle", "--prefetch-multiplier", "1"],
        ..Options::default()
    };
    redis.command::<bool>(&["RENAME", "later", "kept"]);
    let _late = CeleryWorker::start(&redis, options);
    wait_until("the newcomer to be told", || {
        let told = sender.inspect("revoked", 3);
        if texts(&told["late@lab"]) == [waiting.as_str()] { Ok(()) } else { Err(told) }
    });
    redis.command::<bool>(&["RENAME", "kept", "later"]);
    let task = wait_for_task(&mut server, &waiting, |task| task["state"] == "REVOKED");
    assert_eq!(task["place"], "done");
    assert_eq!(sender.result(&waiting).0, "REVOKED");
    assert!(!path.exists(), "it never ran");
    let audit = server.home().join("state/lazycelery/audit.jsonl");
    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(audit.contains("\"again\":\"late@lab\""), "{audit}");
}

#[test]
fn what_runs_is_ended_only_where_that_is_asked_for() {
    let redis = Redis::start();
    let _worker = worker(&redis, "w1");
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["pool"] == "prefork");
    let mut sender = Sender::start(&redis, App::Default);
    let (go, other) = (server.home().join("go"), server.home().join("other"));
    let kept = sender.send("lab.hold", json!([go]));
    let ended = sender.send("lab.hold", json!([other]));
    for uuid in [&kept, &ended] {
        wait_for_row(&mut server, "task/list", uuid, |row| row["place"] == "active");
    }
    let answer = revoke(&mut server, json!({ "uuids": [kept] }));
    assert_eq!(kinds(&answer["warnings"]), ["running"], "{answer}");
    let answer = revoke(&mut server, json!({ "uuids": [ended], "terminate": true }));
    assert_eq!(answer.get("warnings"), None, "{answer}");
    let said = answer["replies"]["w1@lab"]["ok"].as_str().unwrap();
    assert!(said.starts_with("terminate:") && said.contains(&ended), "{answer}");
    let task = wait_for_task(&mut server, &ended, |task| task["state"] == "REVOKED");
    assert_eq!(task["place"], "done", "{task}");
    wait_until("its client to be told", || sender.result(&ended).0 == "REVOKED");
    File::create(&go).unwrap();
    wait_for_task(&mut server, &kept, |task| task["state"] == "SUCCESS");
    wait_until("its client to be told", || sender.result(&kept).0 == "SUCCESS");

    let over = json!({ "uuids": [kept, "nosuch"], "dry_run": true });
    let answer = revoke(&mut server, over);
    assert_eq!(kinds(&answer["refused"]), ["over"], "{answer}");
    assert_eq!(
        (&answer["revoked"], kinds(&answer["warnings"])),
        (&json!(["nosuch"]), vec!["unknown_task"])
    );
    for wrong in [
        json!({ "uuids": ["a"], "signal": "SIGKILL" }),
        json!({ "uuids": ["a"], "terminate": true, "signal": "9" }),
        json!({ "uuids": [] }),
        json!({}),
        json!({ "uuids": ["a"], "filter": "state:failure" }),
    ] {
        assert_eq!(server.call("task/revoke", wrong).unwrap_err()["code"], -32602);
    }
}

#[test]
fn f37_many_are_revoked_by_one_broadcast_for_a_thousand() {
    let redis = Redis::start();
    let worker = worker(&redis, "w1");
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    let mut sender = Sender::start(&redis, App::Default);
    // Declares the queue.
    let first = sender.send_with("lab.add", json!([0, 0]), json!({ "queue": "bulk" }));
    let body = json!([[1, 2], {}, {}]).to_string();
    for number in 1..1500 {
        let id = format!("bulk-{number}");
        let message = json!({
            "body": body, "content-type": "application/json", "content-encoding": "utf-8",
            "headers": { "lang": "py", "task": "lab.add", "id": id, "root_id": first },
            "properties": { "delivery_tag": id, "delivery_info": { "exchange": "", "routing_key": "bulk" } },
        });
        redis.command::<u64>(&["LPUSH", "bulk", &message.to_string()]);
    }
    let all: Vec<String> =
        (1..1500).map(|number| format!("bulk-{number}")).chain([first.clone()]).collect();
    wait_for_row(&mut server, "task/list", &first, |row| row["place"] == "queue");
    wait_until("as many as are known of a queue", || {
        let known =
            server.call("task/list", json!({ "filter": "queue:bulk", "limit": 1 })).unwrap();
        if known["total"].as_u64() >= Some(1000) { Ok(()) } else { Err(known) }
    });
    let by_root = revoke(&mut server, json!({ "root_id": first, "dry_run": true }));
    assert!(texts(&by_root["revoked"]).len() >= 500, "the workflow, as far as it is known");
    assert_eq!(by_root["revoked"][0], first.as_str());

    let monitor = redis.monitor();
    let answer = revoke(&mut server, json!({ "uuids": all }));
    assert_eq!(texts(&answer["revoked"]).len(), 1500);
    // What waits behind the first thousand of a queue is counted, not known.
    assert!(kinds(&answer["warnings"]).iter().all(|kind| *kind == "unknown_task"));
    wait_until("two broadcasts", || {
        let lines = monitor.lines().into_iter();
        let large = |line: &String| line.contains("celery.pidbox\"") && line.len() > 5_000;
        let sent = lines.filter(large).count();
        if sent == 2 { Ok(()) } else { Err(sent) }
    });
    let told = sender.inspect("revoked", 1);
    assert_eq!(texts(&told[worker.hostname()]).len(), 1500);
}

#[test]
fn nobody_who_listens_is_said_and_a_silent_worker_is_named() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let waiting = sender.send("lab.add", json!([1, 2]));
    let answer = revoke(&mut server, json!({ "uuids": [waiting] }));
    assert_eq!((kinds(&answer["warnings"]), &answer["replies"]), (vec!["no_worker"], &json!({})));
    let first = worker(&redis, "w1");
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    first.freeze();
    let answer = revoke(&mut server, json!({ "uuids": ["another"] }));
    assert_eq!(texts(&answer["missing"]), ["w1@lab"], "{answer}");
    first.thaw();
}
