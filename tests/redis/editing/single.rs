//! `queue/delete_messages` and `queue/move_messages`, and `queue/restore` of what they saved.

use super::*;
use crate::support::celery::{CeleryWorker, Options};
use crate::support::proxy::Proxy;
use crate::support::wait::wait_until;
use std::collections::BTreeMap;

/// A queue that bindings name, so that it is known while it is empty.
/// The tasks of a queue, next to run first.
fn tasks(redis: &Redis, queue: &str) -> Vec<String> {
    list(redis, queue).iter().rev().map(|raw| task(raw)).collect()
}

#[test]
fn messages_are_deleted_by_uuid_and_by_key_and_put_back_where_they_were_next_to() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 9));
    let mut server = Server::on(&redis);
    let mut params = json!({
        "queue": "celery", "uuids": ["t-0", "t-8", "t-0", "nosuch"], "keys": ["tag-t-1"],
        "dry_run": true,
    });
    let missed = json!([{ "key": "nosuch", "reason": "not in the queue" }]);
    let tried = call(&mut server, "queue/delete_messages", params.clone());
    assert_eq!(tried, json!({ "done": ["t-0", "t-1", "t-8"], "missed": missed }));
    assert!(list(&redis, "celery") == before && files(server.home()).is_empty(), "only tried");

    params["dry_run"] = false.into();
    let answer = call(&mut server, "queue/delete_messages", params);
    assert_eq!((&answer["done"], &answer["missed"]), (&tried["done"], &missed));
    assert_eq!(tasks(&redis, "celery"), ["t-2", "t-3", "t-4", "t-5", "t-6", "t-7"]);
    let saved_as = json!({ "saved_as": answer["saved_as"] });
    let restored = call(&mut server, "queue/restore", saved_as);
    assert_eq!(restored, json!({ "restored": 3, "skipped": [] }));
    assert!(list(&redis, "celery") == before, "the same bytes in the same order");
}

/// F48, F42
#[test]
fn f48_what_is_no_celery_message_is_deleted_and_moved_as_it_is() {
    let redis = Redis::start();
    bind(&redis, "other");
    for raw in ["{\"order\": 5}", "{\"order\": 5}", "no json", "orders/2026#1?x=%2F y"] {
        redis.command::<u64>(&["LPUSH", "celery", raw]);
    }
    let mut server = Server::on(&redis);
    let page = call(&mut server, "queue/messages", json!(["celery"]));
    let keys: Vec<&Value> =
        page["rows"].as_array().unwrap().iter().map(|row| &row["key"]).collect();
    let params = json!({ "queue": "celery", "keys": [keys[0], keys[1], keys[3]] });
    let answer = call(&mut server, "queue/delete_messages", params);
    assert_eq!(answer["done"].as_array().unwrap().len(), 3, "{answer}");
    assert_eq!(list(&redis, "celery"), [b"no json"]);
    let params = json!({ "queue": "celery", "to": "other", "keys": [keys[2]] });
    let answer = wait_until("the other queue to be known", || {
        server.call("queue/move_messages", params.clone())
    });
    assert_eq!(kinds(&answer), HashSet::from(["verbatim", "no_consumer"]), "{answer}");
    assert_eq!(list(&redis, "other"), [b"no json"]);
}

#[test]
fn a_moved_message_belongs_where_it_is_and_runs_with_the_very_arguments() {
    for scripts in [true, false] {
        let redis = Redis::start();
        let right = if scripts { "+eval" } else { "-eval" };
        redis.command::<()>(&["ACL", "SETUSER", "us", "on", ">p", "~*", "&*", "+@all", right]);
        let url = redis.url(0).replace("redis://", "redis://us:p@");
        let template = Template::of(&redis, "lab.echo", json!([1e300, "é"]));
        let source = format!("celery{SEP}3");
        let before = template.fill(&redis, "celery", &source, &names("t", 5));
        bind(&redis, "other");
        let mut server = Server::start(&["--broker", &url], &[]);
        let params = json!({ "queue": "celery", "to": "other", "uuids": ["t-3", "t-1"] });
        let answer = wait_until("the other queue to be known", || {
            server.call("queue/move_messages", params.clone())
        });
        assert_eq!(answer["done"], json!(["t-1", "t-3"]), "{answer}");
        let target = format!("other{SEP}3");
        assert_eq!(tasks(&redis, &target), ["t-1", "t-3"], "in order, of the same priority");
        let copy: Value = serde_json::from_slice(&list(&redis, &target)[1]).unwrap();
        let properties = &copy["properties"];
        let way_back = json!({ "exchange": "", "routing_key": "other" });
        assert_eq!(properties["delivery_info"], way_back);
        assert_ne!(properties["delivery_tag"], "tag-t-1");
        let original: Value = serde_json::from_slice(&before[3]).unwrap();
        assert_eq!((&copy["body"], &copy["headers"]), (&original["body"], &original["headers"]));

        // A worker takes the first one.
        redis.command::<String>(&["RPOP", &target]);
        let saved_as = json!({ "saved_as": answer["saved_as"] });
        let restored = call(&mut server, "queue/restore", saved_as.clone());
        assert_eq!(restored["restored"], 1, "{restored}");
        assert_eq!(restored["skipped"][0]["uuid"], "t-1");
        assert_eq!(redis.command::<u64>(&["EXISTS", &target]), 0);
        let back: HashSet<_> = list(&redis, &source).into_iter().collect();
        assert!(back.contains(&before[1]) && back.len() == 4, "the very bytes");
        assert_eq!(call(&mut server, "queue/restore", saved_as)["restored"], 0);
    }
}

/// What a script has done stays done where one of its commands is refused.
#[test]
fn a_message_that_may_not_be_put_there_or_not_be_removed_stays_and_stands_once() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 5));
    redis.command::<u64>(&["LPUSH", "other", "bystander"]);
    for refused in [&["-lpush"][..], &["-lrem"], &["-lpush", "-eval"], &["-lrem", "-eval"]] {
        let user = ["ACL", "SETUSER", "us", "reset", "on", ">p", "~*", "&*", "+@all"];
        redis.command::<()>(&[&user, refused].concat());
        let url = redis.url(0).replace("redis://", "redis://us:p@");
        let mut server = Server::start(&["--broker", &url], &[]);
        let single = json!({ "queue": "celery", "to": "other", "uuids": ["t-1"] });
        let answer = call(&mut server, "queue/move_messages", single);
        assert_eq!(answer["done"], json!([]), "{refused:?}: {answer}");
        assert!(kinds(&answer).contains("broker"), "{refused:?}: {answer}");
        let answer = call(&mut server, "queue/move", json!(["celery", "other"]));
        assert_eq!(answer["moved"], 0, "{refused:?}: {answer}");
        assert!(kinds(&answer).contains("broker"), "{refused:?}: {answer}");
        assert!(list(&redis, "celery") == before, "{refused:?}");
        assert_eq!(list(&redis, "other"), [b"bystander"], "{refused:?}");
    }
}

/// F13
#[test]
fn f13_nothing_is_moved_where_nobody_reads() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    template.fill(&redis, "waiting", "waiting", &names("t", 2));
    let queues = &["celery", "notices"];
    let app = App::Broadcasting;
    let worker = CeleryWorker::start(&redis, Options { app, queues, ..Options::default() });
    let mut server = Server::on(&redis);
    let own = wait_until("the worker's own copy", || {
        let details = server.call("worker/get", json!([worker.hostname()]))?;
        let queues = details["active_queues"].as_array().into_iter().flatten();
        let mut names = queues.filter_map(|queue| queue["name"].as_str());
        names.find(|name| name.starts_with("bcast.")).map(String::from).ok_or(details.clone())
    });
    for (queue, code) in [
        ("waiting", -32602),
        ("celery.pidbox", -32028),
        ("celeryev", -32028),
        ("notices", -32028),
        (own.as_str(), -32028),
        ("nosuch", -32024),
    ] {
        let params = json!({ "queue": "waiting", "to": queue, "uuids": ["t-0"] });
        let error = server.call("queue/move_messages", params).unwrap_err();
        assert_eq!(error["code"], code, "{error}");
    }
    assert_eq!(tasks(&redis, "waiting"), ["t-0", "t-1"]);
}

#[test]
fn far_inside_a_long_queue_the_cost_is_named_first() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let mut pipe = ::redis::pipe();
    for side in ["RPUSH", "LPUSH"] {
        for _ in 0..40 {
            pipe.cmd(side).arg("celery").arg(vec!["x"; 1_000]).ignore();
        }
    }
    let mut line = line(&redis);
    line_push(&mut line, &template.message("deep", "celery"));
    pipe.query::<()>(&mut line).unwrap();
    let mut server = Server::on(&redis);
    let mut params = json!({ "queue": "celery", "uuids": ["deep"] });
    let answer = call(&mut server, "queue/delete_messages", params.clone());
    assert_eq!((&answer["done"], answer.get("saved_as")), (&json!([]), None), "{answer}");
    assert_eq!(answer["refused"][0]["kind"], "blocking");
    assert!(answer["refused"][0]["reason"].as_str().unwrap().contains(" 8 ms"), "{answer}");
    params["accept_blocking"] = true.into();
    let answer = call(&mut server, "queue/delete_messages", params);
    assert_eq!(answer["done"], json!(["deep"]), "{answer}");
}

fn line_push(line: &mut Connection, message: &str) {
    ::redis::cmd("LPUSH").arg("celery").arg(message).query::<()>(line).unwrap();
}

#[test]
fn while_workers_take_messages_each_runs_once_or_is_in_the_file() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let tally = folder.path().join("tally");
    let template = Template::of(&redis, "lab.tally", json!([tally]));
    let all = names("t", 1_000);
    template.fill(&redis, "celery", "celery", &all);
    let queues = &["celery", "other"];
    let worker = Options { pool: "threads", queues, ..Options::default() };
    let _worker = CeleryWorker::start(&redis, worker);
    let mut server = Server::on(&redis);
    // Those that run next are taken meanwhile, surely some of the others not.
    let every = |which: usize| -> Vec<&String> { all.iter().skip(which).step_by(5).collect() };
    let deleting = json!({ "queue": "celery", "uuids": every(0) });
    let deleted = call(&mut server, "queue/delete_messages", deleting);
    let moving = json!({ "queue": "celery", "to": "other", "uuids": every(1) });
    let moved = call(&mut server, "queue/move_messages", moving);
    for answer in [&deleted, &moved] {
        let count = |member: &str| answer[member].as_array().unwrap().len();
        assert_eq!(count("done") + count("missed"), 200, "{answer}");
    }
    let gone: HashSet<&str> =
        deleted["done"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let counts = wait_until("all others to have run", || {
        let text = fs::read_to_string(&tally).unwrap_or_default();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        text.lines().for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
        if counts.len() + gone.len() >= all.len() { Ok(counts) } else { Err(counts.len()) }
    });
    for name in &all {
        let wanted = (!gone.contains(name.as_str())).then_some(&1);
        assert_eq!(counts.get(name), wanted, "{name}");
    }
}

#[test]
fn a_deletion_and_a_move_that_are_broken_off_lose_nothing() {
    for (method, to) in [("queue/delete_messages", None), ("queue/move_messages", Some("other"))] {
        let redis = Redis::start();
        let template = Template::of(&redis, "lab.add", json!([1, 2]));
        let before = template.fill(&redis, "celery", "celery", &names("t", 300));
        bind(&redis, "other");
        let proxy = Proxy::to(redis.port());
        let mut server = Server::start(&["--broker", &proxy.url(0)], &[]);
        wait_until("the other queue to be known", || {
            let queues = server.call("queue/list", json!({})).unwrap();
            queues["rows"].as_array().unwrap().iter().any(|row| row["name"] == "other")
        });
        let mut params = json!({ "queue": "celery", "uuids": names("t", 300), "rate": 500 });
        if let Some(to) = to {
            params["to"] = to.into();
        }
        server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": method, "params": params }));
        wait_until("something to be removed", || list(&redis, "celery").len() < 250);
        proxy.cut();
        let answer = loop {
            let message = server.read().unwrap();
            if message["id"] == 99 {
                break message["result"].clone();
            }
        };
        assert!(kinds(&answer).contains("broker"), "{answer}");
        let saved_as = json!({ "saved_as": answer["saved_as"] });
        wait_until("the connection to be back", || server.call("queue/restore", saved_as.clone()));
        let (mut before, mut after) = (before, list(&redis, "celery"));
        before.sort();
        after.sort();
        assert!(before == after, "{method}: all are back, once");
        assert_eq!(list(&redis, "other"), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn f42_ids_of_any_text_are_deleted_moved_revoked_and_come_back() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let ids = ["orders/2026#1?x=%2F y", "A70C67FF-0000-4000-8000-00000000000A", "été\u{202e}1"];
    let ids = ids.map(String::from).to_vec();
    let before = template.fill(&redis, "celery", "celery", &ids);
    ["celery", "other"].iter().for_each(|queue| bind(&redis, queue));
    let mut server = Server::on(&redis);
    wait_until("the queue to be read", || {
        let known = server.call("task/list", json!({ "filter": "queue:celery" })).unwrap();
        if known["total"] == 3 { Ok(()) } else { Err(known) }
    });
    let others = json!(["a70c67ff-0000-4000-8000-00000000000a", "orders/2026"]);
    let params = json!({ "queue": "celery", "uuids": others });
    let answer = call(&mut server, "queue/delete_messages", params);
    assert_eq!(answer["done"], json!([]), "no case is folded, and nothing cut: {answer}");
    for (method, done, mut params) in [
        ("queue/delete_messages", "done", json!({ "queue": "celery" })),
        ("queue/move_messages", "done", json!({ "queue": "celery", "to": "other" })),
        ("task/revoke", "deleted", json!({ "delete": true })),
    ] {
        params["uuids"] = json!(ids);
        let answer = call(&mut server, method, params);
        assert_eq!(answer[done], json!(ids), "{method}: {answer}");
        assert_eq!(list(&redis, "celery"), Vec::<Vec<u8>>::new(), "{method}");
        let back = json!({ "saved_as": answer["saved_as"] });
        assert_eq!(call(&mut server, "queue/restore", back)["restored"], 3, "{method}");
        assert!(list(&redis, "celery") == before, "{method}: as they were");
    }
}
