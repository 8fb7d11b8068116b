//! What is sent, and that Celery takes it for its own.

use super::{rows, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Elder, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use base64_simd::STANDARD;
use serde_json::{Map, Value, json};
use std::fs;

/// Members that differ from one message to the next.
const OWN: [&str; 8] =
    ["id", "root_id", "correlation_id", "origin", "reply_to", "delivery_tag", "eta", "expires"];

/// The messages of one list, the newest first.
fn messages(redis: &Redis, key: &str) -> Vec<Value> {
    let raw: Vec<String> = redis.command(&["LRANGE", key, "0", "-1"]);
    let mut messages: Vec<Value> =
        raw.iter().map(|raw| serde_json::from_str(raw).unwrap()).collect();
    for message in &mut messages {
        let body = STANDARD.decode_to_vec(message["body"].as_str().unwrap()).unwrap();
        message["body"] = String::from_utf8(body).unwrap().into();
    }
    messages
}

/// The same members in the same order, and the same in all that is not one message's own.
#[track_caller]
fn alike(ours: &Map<String, Value>, theirs: &Map<String, Value>) {
    let names = |members: &Map<String, Value>| members.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs));
    for (name, value) in ours {
        let same_kind = std::mem::discriminant(value) == std::mem::discriminant(&theirs[name]);
        assert!(same_kind, "{name}: {value} {}", theirs[name]);
        match name.as_str() {
            name if OWN.contains(&name) => {}
            "expiration" => {
                let milliseconds = |value: &Value| value.as_str().unwrap().parse::<i64>().unwrap();
                let apart = (milliseconds(value) - milliseconds(&theirs[name])).abs();
                assert!(apart < 60_000, "{value} {}", theirs[name]);
            }
            // A client that reads JSON has a list where a program writes a tuple.
            "argsrepr" => assert_eq!(value, "(1, 'é it\\'s', 1.5, None)"),
            _ => assert_eq!(value, &theirs[name], "{name}"),
        }
    }
}

#[test]
fn a_message_is_what_celerys_own_client_writes() {
    let redis = Redis::start();
    let args = json!([1, "é it's", 1.5, null]);
    let kwargs = json!({ "deep": { "er": [[{ "x": 1 }]] }, "flag": true });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let options = json!({
        "kwargs": kwargs, "countdown": 3600, "expires": 7200, "priority": 5,
        "headers": { "tenant": 7 }, "time_limit": 10, "soft_time_limit": 5, "shadow": "seen",
        "ignore_result": false,
    });
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.echo", args.clone(), options.clone());
    let mut params = options.as_object().unwrap().clone();
    params.extend([
        ("name".into(), json!("lab.echo")),
        ("args".into(), args),
        ("expires".into(), json!(now.as_secs_f64() + 7200.0)),
    ]);
    let mut server = Server::on(&redis);
    let sent = server.call("task/send", params.into()).unwrap();
    assert_eq!(
        (&sent["queue"], &sent["warnings"][0]["kind"]),
        (&json!("celery"), &json!("no_consumer"))
    );

    let found = messages(&redis, "celery\x06\x163");
    let [ours, theirs] = found.as_slice() else { panic!("{found:?}") };
    for part in ["headers", "properties"] {
        alike(ours[part].as_object().unwrap(), theirs[part].as_object().unwrap());
    }
    assert_eq!(ours["headers"]["id"], sent["uuid"]);
    for part in ["id", "root_id"] {
        assert_eq!(ours["headers"][part], ours["properties"]["correlation_id"], "{part}");
    }
    let shape = |time: &Value| time.as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "0");
    for time in ["eta", "expires"] {
        let (ours, theirs) = (&ours["headers"][time], &theirs["headers"][time]);
        assert_eq!(shape(ours), shape(theirs), "{time}");
        let moment = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let apart = (moment(ours).as_second() - moment(theirs).as_second()).abs();
        assert!(apart < 60, "{time}: {ours} {theirs}");
    }
    let body = |message: &Value| -> Value {
        serde_json::from_str(message["body"].as_str().unwrap()).unwrap()
    };
    assert_eq!(body(ours), body(theirs));
    for part in ["content-type", "content-encoding"] {
        assert_eq!(ours[part], theirs[part]);
    }
    let names = |message: &Value| {
        let mut names: Vec<_> = message.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(ours), names(theirs));
}

#[test]
fn a_worker_runs_once_what_was_sent_and_its_client_reads_the_result() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    let path = server.home().join("ran");
    let sent = server
        .call(
            "task/send",
            json!({
                "name": "lab.note",
                "args_json": format!("[{:?}, 1.50, 1000000000000000000000000000000, NaN, \"\\ud83d\"]", path),
                "kwargs_json": "{\"k\":\n [ ] }",
            }),
        )
        .unwrap();
    assert_eq!(sent.get("warnings"), None, "{sent}");
    let uuid = sent["uuid"].as_str().unwrap();
    let task = wait_for_task(&mut server, uuid, |task| task["state"] == "SUCCESS");
    assert_eq!(task["name"], "lab.note");
    let mut sender = Sender::start(&redis, App::Default);
    assert_eq!(sender.result(uuid), ("SUCCESS".into(), json!(4)));
    let ran = fs::read_to_string(&path).unwrap();
    let exactly = "[[1.5, 1000000000000000000000000000000, NaN, \"\\ud83d\"], {\"k\": []}]\n";
    assert_eq!(ran, exactly, "once, and with what was given");

    let late = json!({ "name": "lab.add", "args": [1, 2], "countdown": 3600, "uuid": "été/1 ?" });
    server.call("task/send", late).unwrap();
    let task = wait_for_task(&mut server, "été/1 ?", |task| task["place"] == "scheduled");
    assert_eq!((&task["args"], &task["args_json"]), (&json!("(1, 2)"), &json!("[1,2]")));
    let scheduled = sender.inspect("scheduled", 1);
    assert_eq!(scheduled["w1@lab"][0]["request"]["id"], "été/1 ?", "{scheduled}");
}

#[test]
fn f11_f19_what_would_stop_a_worker_is_not_sent() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({}));
    let mut server = Server::on(&redis);
    for (wrong, why) in [
        (json!({ "eta": "9999-12-31T23:59:59-12:00" }), "`eta` is Unix seconds or"),
        (json!({ "expires": "2026-13-45T00:00:00" }), "`expires` is Unix seconds or"),
        (json!({ "expires": 60 }), "`expires` has passed"),
        (json!({ "countdown": -1 }), "`countdown` is 0 to"),
        (json!({ "countdown": 1, "eta": 1e9 }), "one of them is enough"),
        (json!({ "headers": { "stamps": "mine" } }), "`stamps` is an object"),
        (json!({ "headers": { "retries": 7 } }), "`retries` is Celery's own"),
        (json!({ "headers": { "id": 7 } }), "`id` is Celery's own"),
        (json!({ "uuid": "" }), "`uuid` has 1 to 155"),
        (json!({ "uuid": "x".repeat(156) }), "`uuid` has 1 to 155"),
        (json!({ "priority": 10 }), "`priority` is 0 to 9"),
        (json!({ "time_limit": 0 }), "`time_limit` is more than 0"),
        (json!({ "args": {} }), "`args`: expected an array at line 1, column 1"),
        (json!({ "kwargs_json": "{\"a\": 1,\n \"b\": }" }), "at line 2, column 7"),
        (json!({ "args": [], "args_json": "[]" }), "one of them is enough"),
        (json!({ "name": "" }), "`name` is empty"),
        (json!({ "headers_json": "{\"a\": 1,\n}" }), "`headers_json`: "),
        (json!({ "headers_json": "{\"id\": 7}" }), "`id` is Celery's own"),
        (json!({ "headers": {}, "headers_json": "{}" }), "one of them is enough"),
    ] {
        let mut params = json!({ "name": "lab.add" });
        params.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let error = server.call("task/send", params).unwrap_err();
        assert_eq!(error["code"], -32602, "{wrong}: {error}");
        assert!(error["message"].as_str().unwrap().contains(why), "{wrong}: {error}");
    }
    let mistake = json!({ "name": "lab.add", "args_json": "[1," });
    let error = server.call("task/send", mistake).unwrap_err();
    assert_eq!(error["data"], json!({ "parameter": "args_json", "line": 1, "column": 4 }));
    // Blank is none.
    let blank =
        json!({ "name": "lab.add", "eta": "", "expires": " ", "headers": { "stamps": {} } });
    server.call("task/send", blank).unwrap();
    let found = messages(&redis, "celery");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (&found[0]["headers"]["eta"], &found[0]["headers"]["expires"]),
        (&Value::Null, &Value::Null)
    );
}

/// What an editor changes of a task is changed, and nothing else.
#[test]
fn in_place_of_another_it_keeps_what_was_not_given() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let options = json!({
        "time_limit": 60, "shadow": "seen", "ignore_result": true, "expires": 3600,
        "headers": { "tenant": { "id": 1.50 } }, "queue": "celery",
    });
    let old = sender.send_with("lab.add", json!([1, 2]), options);
    wait_for_task(&mut server, &old, |task| task["message"].is_object());
    let seen = server.call("task/get", json!([old])).unwrap();
    assert_eq!(seen["message"]["own_headers_json"], "{\"tenant\": {\"id\": 1.5}}", "{seen}");

    let text = "{\"tenant\": {\"id\":  9007199254740993}, \"t\": 1.0, \"t\": 2.0}";
    let params = json!({
        "name": "lab.add", "args_json": "[3]", "headers_json": text, "retry_of": old,
    });
    let mut dry = params.clone();
    dry["dry_run"] = json!(true);
    let foreseen = server.call("task/send", dry).unwrap();
    assert_eq!(foreseen["dropped"], json!(["expires"]), "{foreseen}");
    assert_eq!(foreseen["warnings"][0]["kind"], "waiting", "{foreseen}");
    server.call("task/send", params).unwrap();
    let raw: Vec<String> = redis.command(&["LRANGE", "celery", "0", "0"]);
    for kept in
        ["9007199254740993", "\"t\":2.0", "\"ignore_result\":true", "\"timelimit\":[60,null]"]
    {
        let plain = raw[0].replace(' ', "");
        assert!(plain.contains(kept), "{kept}: {plain}");
    }
    let sent = &messages(&redis, "celery")[0];
    assert_eq!(
        (&sent["headers"]["shadow"], &sent["headers"]["expires"]),
        (&json!("seen"), &Value::Null)
    );

    let other = json!({ "name": "lab.echo", "retry_of": old, "time_limit": 5 });
    server.call("task/send", other).unwrap();
    let sent = &messages(&redis, "celery")[0];
    assert_eq!(sent["headers"]["shadow"], Value::Null, "another task shows its own name");
    assert_eq!(sent["headers"]["timelimit"], json!([5, null]));
}

#[test]
fn f13_nothing_is_sent_where_nobody_would_read_it() {
    let redis = Redis::start();
    let options =
        Options { app: App::Broadcasting, queues: &["celery", "notices"], ..Options::default() };
    let worker = CeleryWorker::start(&redis, options);
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| {
        row["queues"].as_array().is_some_and(|queues| queues.len() == 2)
    });
    let details = server.call("worker/get", json!([worker.hostname()])).unwrap();
    let names = details["active_queues"].as_array().unwrap().iter();
    let mut names = names.filter_map(|queue| queue["name"].as_str());
    let private = names.find(|name| name.starts_with("bcast.")).unwrap().to_owned();
    for queue in [private.as_str(), "notices"] {
        let params = json!({ "name": "lab.add", "args": [1, 2], "queue": queue });
        let error = server.call("task/send", params).unwrap_err();
        assert_eq!(error["data"]["kind"], "unsupported", "{error}");
        assert!(error["message"].as_str().unwrap().contains("Broadcast queue"), "{error}");
    }
    let typo = json!({ "name": "lab.add", "queue": "celry", "dry_run": true });
    let error = server.call("task/send", typo).unwrap_err();
    assert_eq!(
        (&error["data"]["kind"], &error["data"]["queue"]),
        (&json!("unknown_queue"), &json!("celry"))
    );
    let keys: Vec<String> = redis.command(&["KEYS", "*cel*ry"]);
    assert!(!keys.iter().any(|key| key == "celry"), "{keys:?}");

    let unknown = json!({ "name": "lab.ad", "args": [1], "dry_run": true });
    let foreseen = server.call("task/send", unknown).unwrap();
    assert_eq!(foreseen["warnings"][0]["kind"], "unregistered", "{foreseen}");
}

#[test]
fn f17_a_task_goes_to_one_queue_though_two_share_a_binding() {
    let redis = Redis::start();
    for queue in ["qa", "qb"] {
        let member = format!("celery\x06\x16\x06\x16{queue}");
        redis.command::<u64>(&["SADD", "_kombu.binding.celery", &member]);
    }
    let mut server = Server::on(&redis);
    let params = json!({ "name": "lab.add", "args": [1, 2], "queue": "qa" });
    server.call("task/send", params).unwrap();
    let lengths = ["qa", "qb"].map(|queue| redis.command::<u64>(&["LLEN", queue]));
    assert_eq!(lengths, [1, 0]);
}

#[test]
fn f48_nothing_is_put_where_a_worker_before_celery_4_reads() {
    let redis = Redis::start();
    let _elder = Elder::start(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let waiting = sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "new" }));
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "elder@lab", |row| row["queues"] == json!(["old"]));
    for (method, params) in [
        ("task/send", json!({ "name": "lab.add", "args": [1, 2], "queue": "old" })),
        ("queue/move_messages", json!({ "queue": "new", "to": "old", "uuids": [waiting] })),
    ] {
        let error = server.call(method, params).unwrap_err();
        assert_eq!(error["data"]["kind"], "unsupported", "{error}");
        let said = error["message"].as_str().unwrap();
        assert!(said.contains("elder@lab, which runs Celery 3.1.26"), "{error}");
    }
    let lengths = ["old", "new"].map(|queue| redis.command::<u64>(&["LLEN", queue]));
    assert_eq!(lengths, [0, 1]);
}

#[test]
fn a_task_sent_event_goes_with_it_where_the_application_sends_them() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { app: App::Talkative, ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", &worker.hostname(), |row| row["queues"].is_array());
    wait_until("conf", || {
        let worker = server.call("worker/get", json!(["w1@lab"])).unwrap();
        worker["conf"]["task_send_sent_event"] == true
    });
    let monitor = redis.monitor();
    let mut sender = Sender::start(&redis, App::Talkative);
    sender.send("lab.add", json!([1, 2]));
    let params = json!({ "name": "lab.add", "args": [1, 2] });
    let uuid = server.call("task/send", params).unwrap()["uuid"].as_str().unwrap().to_owned();
    let events = wait_until("two events", || {
        let lines = monitor.lines();
        let sent: Vec<String> =
            lines.into_iter().filter(|line| line.contains("celeryev/task.sent\"")).collect();
        if sent.len() == 2 { Ok(sent) } else { Err(sent) }
    });
    let payload = |line: &String| -> Value {
        let (_, payload) = line.split_once("task.sent\" ").unwrap();
        let text: String = serde_json::from_str(payload).unwrap();
        let mut message: Value = serde_json::from_str(&text).unwrap();
        let body = STANDARD.decode_to_vec(message["body"].as_str().unwrap()).unwrap();
        message["body"] = serde_json::from_slice(&body).unwrap();
        message
    };
    let (theirs, ours) = (payload(&events[0]), payload(&events[1]));
    assert_eq!(ours["body"]["uuid"], uuid.as_str());
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours["body"]), names(&theirs["body"]));
    for name in [
        "type",
        "name",
        "kwargs",
        "retries",
        "eta",
        "expires",
        "queue",
        "exchange",
        "routing_key",
        "utcoffset",
        "clock",
    ] {
        assert_eq!(ours["body"][name], theirs["body"][name], "{name}");
    }
    assert_eq!(names(&ours["headers"]), names(&theirs["headers"]));
    for name in ["delivery_info", "delivery_mode", "priority"] {
        assert_eq!(ours["properties"][name], theirs["properties"][name], "{name}");
    }
    let task = wait_for_task(&mut server, &uuid, |task| task["sent"].is_number());
    assert_eq!(task["queue"], "celery");
    assert!(rows(&mut server, "worker/list", json!({})).len() == 1, "we are no worker");
}
