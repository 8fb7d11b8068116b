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
    let known = wait_until("as many as are known of a queue", || {
        let known =
            server.call("task/list", json!({ "filter": "queue:bulk", "limit": 1 })).unwrap();
        if known["total"].as_u64() >= Some(1000) { Ok(known) } else { Err(known) }
    });
    assert_eq!((&known["exact"], &known["incomplete"]), (&json!(false), &json!(["messages"])));
    let by_root = revoke(&mut server, json!({ "root_id": first, "dry_run": true }));
    let by_filter = revoke(&mut server, json!({ "filter": "queue:bulk", "dry_run": true }));
    for answer in [&by_root, &by_filter] {
        assert_eq!(kinds(&answer["warnings"]), ["partial"], "more may be meant");
    }
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

#[test]
fn what_waits_is_deleted_where_that_is_asked_for_and_comes_back() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { name: "w1", ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    let mut sender = Sender::start(&redis, App::Default);
    let mut send = |queue: &str, countdown: u64| {
        let options = json!({ "queue": queue, "countdown": countdown });
        sender.send_with("lab.add", json!([1, 2]), options)
    };
    // Nobody reads those two queues.
    let waiting = [send("here", 0), send("there", 0)];
    let (kept, held) = (send("here", 0), send("celery", 3600));
    for (uuid, place) in
        [(&waiting[0], "queue"), (&waiting[1], "queue"), (&kept, "queue"), (&held, "scheduled")]
    {
        wait_for_row(&mut server, "task/list", uuid, |row| row["place"] == place);
    }
    let raws = |queue: &str| redis.command::<Vec<String>>(&["LRANGE", queue, "0", "-1"]);
    let before = (raws("here"), raws("there"));
    let mut params = json!({ "uuids": [waiting[0], waiting[1], held, "nosuch"], "delete": true, "dry_run": true });
    let foreseen = revoke(&mut server, params.clone());
    assert_eq!((&raws("here"), &raws("there")), (&before.0, &before.1), "nothing was done");
    params["dry_run"] = false.into();
    let answer = revoke(&mut server, params);
    for name in ["revoked", "deleted", "missed", "refused", "warnings"] {
        assert_eq!(foreseen.get(name), answer.get(name), "{name}: {foreseen} {answer}");
    }
    assert_eq!(texts(&answer["deleted"]), [waiting[0].as_str(), waiting[1].as_str()], "{answer}");
    assert_eq!(answer["missed"][0]["uuid"], "nosuch", "{answer}");
    assert_eq!(kinds(&answer["warnings"]), ["held", "unknown_task", "untold"], "{answer}");
    assert_eq!((raws("here"), raws("there").len()), (vec![before.0[0].clone()], 0));
    // Its worker stored it, since it was told.
    wait_until("whoever waits to be told", || sender.result(&waiting[0]).0 == "REVOKED");
    let told = sender.inspect("revoked", 1);
    assert_eq!(texts(&told[worker.hostname()]).len(), 4, "{told}");

    let saved_as = json!({ "saved_as": answer["saved_as"] });
    let restored = server.call("queue/restore", saved_as).unwrap();
    assert_eq!(restored["restored"], 2, "{restored}");
    assert_eq!((raws("here"), raws("there")), before, "byte for byte, each in its queue");

    // One that was only revoked before: workers stored that, and its message waits.
    revoke(&mut server, json!({ "uuids": [kept] }));
    wait_for_task(&mut server, &kept, |task| task["state"] == "REVOKED");
    let answer = revoke(&mut server, json!({ "uuids": [kept], "delete": true }));
    assert_eq!(texts(&answer["deleted"]), [kept.as_str()], "{answer}");

    let error = server.call("task/revoke", json!({ "uuids": ["a"], "accept_blocking": true }));
    assert_eq!(error.unwrap_err()["code"], -32602);
}

/// F37
#[test]
fn f37_what_has_ended_since_it_was_seen_is_not_said_to_be_terminated() {
    let redis = Redis::start();
    let options = Options { concurrency: 1, events: false, ..Options::default() };
    let worker = CeleryWorker::start(&redis, options);
    // Without events and without a result backend it is learned by asking, every few seconds.
    let mut server = Server::start(&["--broker", &redis.url(0)], &[]);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["pool"] == "prefork");
    let mut sender = Sender::start(&redis, App::Default);
    let go = [server.home().join("first"), server.home().join("next")];
    let first = sender.send("lab.hold", json!([go[0]]));
    wait_for_row(&mut server, "task/list", &first, |row| row["place"] == "active");
    let terminate = json!({ "uuids": [first], "terminate": true, "dry_run": true });
    assert_eq!(revoke(&mut server, terminate.clone()).get("warnings"), None, "it runs");

    let announced = server.home().join("announced");
    let next = sender.send("lab.hold", json!([go[1], announced]));
    File::create(&go[0]).unwrap();
    wait_until("the same process to be at the next one", || announced.exists());
    let mut now = terminate;
    now["dry_run"] = false.into();
    let answer = revoke(&mut server, now);
    assert_eq!(kinds(&answer["warnings"]), ["not_running"], "{answer}");
    let text = answer["warnings"][0]["text"].as_str().unwrap();
    assert_eq!(text, "it no longer runs on w1@lab: it is only revoked");
    File::create(&go[1]).unwrap();
    wait_until("the next one to end well", || sender.result(&next).0 == "SUCCESS");
    assert_eq!(sender.result(&first).0, "SUCCESS", "what ended stays as it ended");
}

#[test]
fn f34_the_queued_copy_of_a_running_task_is_deleted_and_the_run_goes_on() {
    let redis = Redis::start();
    let _worker = worker(&redis, "w1");
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    let mut sender = Sender::start(&redis, App::Default);
    let go = server.home().join("go");
    // Nobody reads `parked`: the copy in `celery` runs.
    let uuid = sender.send_with("lab.hold", json!([go]), json!({ "queue": "parked" }));
    let raw: String = redis.command(&["LINDEX", "parked", "0"]);
    redis.command::<u64>(&["LPUSH", "celery", &raw]);
    // A worker that shuts down puts back what it runs, marked like this.
    let mut back: Value = serde_json::from_str(&raw).unwrap();
    back["headers"]["redelivered"] = true.into();
    back["properties"]["delivery_info"]["redelivered"] = true.into();
    redis.command::<String>(&["LSET", "parked", "0", &back.to_string()]);
    wait_for_task(&mut server, &uuid, |task| {
        task["place"] == "active" && task["also"][0]["queue"] == "parked"
    });
    let answer = revoke(&mut server, json!({ "uuids": [uuid], "delete": true }));
    assert_eq!(kinds(&answer["warnings"]), ["running", "untold"], "{answer}");
    assert_eq!(texts(&answer["deleted"]), [uuid.as_str()], "{answer}");
    assert_eq!(redis.command::<u64>(&["LLEN", "parked"]), 0);
    File::create(&go).unwrap();
    wait_until("its client to be told", || sender.result(&uuid).0 == "SUCCESS");
}
