//! Queues and the messages in them, read without taking anything out.

use super::{rows, wait_for_row};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::{Feed, Server};
use crate::support::wait::wait_until;
use serde_json::{Value, json};

fn messages(server: &mut Server, params: Value) -> Value {
    server.call("queue/messages", params).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn messages_stand_in_the_order_of_execution() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    let mut send = |number: i64, priority: u8| {
        sender.send_with(
            "lab.add",
            json!([number, 0]),
            json!({ "queue": "parked", "priority": priority }),
        )
    };
    let [last, first, third, second] = [send(1, 9), send(2, 0), send(3, 4), send(4, 0)];
    let mut server = Server::on(&redis);
    let row = wait_for_row(&mut server, "queue/list", "parked", |row| row["messages"] == 4);
    assert_eq!(row["priorities"], json!({ "0": 2, "3": 1, "6": 0, "9": 1 }), "{row}");
    let answer = Server::on(&redis).call("queue/list", json!({})).unwrap();
    let asked_once = &answer["rows"][0];
    assert_eq!((&asked_once["messages"], &asked_once["unacked"]), (&json!(4), &json!(0)));

    let shown = messages(&mut server, json!({ "queue": "parked" }));
    assert_eq!((&shown["total"], &shown["exact"]), (&json!(4), &json!(true)), "{shown}");
    let uuids: Vec<_> = shown["rows"].as_array().unwrap().iter().map(|row| &row["uuid"]).collect();
    assert_eq!(uuids, [&json!(first), &json!(second), &json!(third), &json!(last)]);
    let row = &shown["rows"][2];
    assert_eq!((&row["position"], &row["args_json"]), (&json!(2), &json!("[3, 0]")), "{row}");
    assert_eq!((&row["name"], &row["kwargs_json"]), (&json!("lab.add"), &json!("{}")), "{row}");

    let page = messages(&mut server, json!({ "queue": "parked", "limit": 1, "offset": 3 }));
    assert_eq!(page["rows"][0]["uuid"], json!(last), "{page}");
    assert_eq!(redis.command::<usize>(&["LLEN", "parked"]), 2, "nothing was removed");

    let unknown = server.call("queue/messages", json!({ "queue": "nosuch" })).unwrap_err();
    assert_eq!(
        (&unknown["code"], &unknown["data"]["kind"]),
        (&json!(-32024), &json!("unknown_queue"))
    );
}

#[test]
fn a_queue_among_very_many_keys_is_shown_or_said_to_be_missing() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "parked" }));
    let fill = "for i=1,60000 do redis.call('SET', 'celery-task-meta-'..i, ARGV[1]) end";
    redis.command::<()>(&["EVAL", fill, "0", r#"{"status": "SUCCESS", "result": 3}"#]);
    let mut server = Server::on(&redis);
    wait_until("the search through all keys", || {
        let answer = server.call("queue/list", json!({}))?;
        let shown = answer["rows"].as_array().unwrap().iter().any(|row| row["key"] == "parked");
        let told = answer["incomplete"] == json!(["queues"]);
        assert!(shown || told, "{answer}");
        if told { Err(answer) } else { Ok(()) }
    });
}

#[test]
fn what_is_exact_stays_exact() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "parked" }));
    let raw: String = redis.command(&["LINDEX", "parked", "0"]);
    let mut envelope: Value = serde_json::from_str(&raw).unwrap();
    let body = r#"[[NaN, 1.50, 1000000000000000000000000000000, "\ud83d"], {}, {}]"#;
    envelope["body"] = body.into();
    envelope["headers"]["id"] = "odd".into();
    envelope["properties"]["body_encoding"] = "utf-8".into();
    redis.command::<usize>(&["LPUSH", "parked", &envelope.to_string()]);

    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "queue/list", "parked", |row| row["messages"] == 2);
    let shown = messages(&mut server, json!({ "queue": "parked" }));
    let exact = r#"[NaN, 1.50, 1000000000000000000000000000000, "\ud83d"]"#;
    assert_eq!(shown["rows"][1]["args_json"], exact, "{shown}");
    let task = server.call("task/get", json!({ "uuid": "odd" })).unwrap();
    assert_eq!(task["args_json"], exact, "{task}");
}

#[test]
fn f48_f11_what_a_worker_would_choke_on_is_shown() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "parked" }));
    let raw: String = redis.command(&["LINDEX", "parked", "0"]);
    let mut poison: Value = serde_json::from_str(&raw).unwrap();
    poison["headers"]["eta"] = "".into();
    poison["headers"]["id"] = "poison".into();
    for element in [r#"{"order": 5}"#, &poison.to_string(), "hello"] {
        redis.command::<usize>(&["LPUSH", "parked", element]);
    }
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "queue/list", "parked", |row| row["messages"] == 4);
    let shown = messages(&mut server, json!({ "queue": "parked" }));
    let rows = shown["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "every element is a row: {shown}");
    assert!(rows[1].to_string().contains("not a Celery message"), "{}", rows[1]);
    assert!(rows[2].to_string().contains("stops"), "{}", rows[2]);
    assert!(rows[3].to_string().contains("not a message"), "{}", rows[3]);
    let keys: std::collections::HashSet<_> =
        rows.iter().map(|row| row["key"].to_string()).collect();
    assert_eq!(keys.len(), 4, "keys are unique: {shown}");
}

#[test]
fn f09_a_foreign_key_of_a_queues_name_harms_no_row() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "parked" }));
    redis.command::<String>(&["SET", "parked\x06\x163", "a rate limiter's"]);
    let mut server = Server::on(&redis);
    let row = wait_for_row(&mut server, "queue/list", "parked", |row| row["messages"] == 1);
    assert_eq!(row["priorities"], json!({ "0": 1, "6": 0, "9": 0 }), "{row}");
    assert_eq!(
        messages(&mut server, json!({ "queue": "parked" }))["rows"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn f26_a_user_without_dangerous_commands_sees_everything() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    let uuid = sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "parked" }));
    let user = ["lim", "on", ">pw", "resetchannels", "&*", "~*", "+@all", "-@dangerous"];
    redis.command::<String>(&[["ACL", "SETUSER"].as_slice(), &user].concat());
    let url = format!("redis://lim:pw@127.0.0.1:{}/0", redis.port());
    let mut server = Server::start(&["--broker", &url], &[]);
    wait_for_row(&mut server, "queue/list", "parked", |row| row["messages"] == 1);
    let found = rows(&mut server, "task/list", json!({ "filter": "place:queue" }));
    assert_eq!(found[0]["uuid"], json!(uuid), "{found:#?}");
    let row = &rows(&mut server, "environment/list", json!({}))[0];
    assert!(!row.to_string().contains("pw@") && row["status"] == "connected", "{row}");
}

#[test]
fn a_queue_that_nobody_consumes_is_found_soon() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "first" }));
    let mut server = Server::on(&redis);
    let mut feed = Feed::new(server.subscribe("queue/subscribe", json!({})));
    server.follow(&mut feed, "the first queue", |feed| feed.row("first").map(drop));
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "later" }));
    server.follow(&mut feed, "a later one", |feed| {
        feed.row("later").filter(|row| row["messages"] == 1).map(drop)
    });
}

#[test]
fn f13_a_broadcast_queue_is_one_row_without_a_length() {
    let redis = Redis::start();
    let queues = &["celery", "notices"];
    let options =
        |name| Options { name, pool: "solo", queues, app: App::Broadcasting, ..Options::default() };
    let mut workers = ["w1", "w2"].map(|name| CeleryWorker::launch(&redis, options(name)));
    workers.iter_mut().for_each(CeleryWorker::wait_until_ready);
    let mut server = Server::on(&redis);
    let row = wait_for_row(&mut server, "queue/list", "notices", |row| {
        row["workers"] == json!(["w1@lab", "w2@lab"]) && row["unreadable"].is_number()
    });
    assert_eq!((&row["fanout"], &row["unreadable"]), (&json!(true), &json!(0)), "{row}");
    assert_eq!((row.get("messages"), row.get("priorities")), (None, None), "no depth: {row}");
    let binding = json!({ "exchange": "notices", "type": "fanout", "routing_key": "celery" });
    assert_eq!(row["bindings"], json!([binding]), "{row}");
    let names = |rows: Vec<Value>| -> Vec<Value> {
        rows.into_iter().map(|mut row| row["name"].take()).collect()
    };
    let named = names(rows(&mut server, "queue/list", json!({})));
    assert_eq!(named, ["celery", "notices"], "one row, though each worker has a name of its own");
    let worker = wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["queues"].is_array());
    assert_eq!(worker["queues"], json!(queues), "{worker}");

    // Celery's own client does that: it puts the message into lists that no worker reads.
    let mut sender = Sender::start(&redis, App::Broadcasting);
    let uuid = sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "notices" }));
    let row = wait_for_row(&mut server, "queue/list", "notices", |row| row["unreadable"] != 0);
    assert_eq!(row["unreadable"], 2, "one in the list of each worker: {row}");
    let page = messages(&mut server, json!({ "queue": "notices", "limit": 1, "offset": 1 }));
    assert_eq!((&page["total"], &page["rows"][0]["uuid"]), (&json!(2), &json!(uuid)), "{page}");
    let task = server.call("task/get", json!({ "uuid": uuid })).unwrap();
    assert_eq!((&task["state"], &task["place"]), (&json!("PENDING"), &json!("queue")), "{task}");
    assert_eq!(task.get("position"), None, "nobody takes it next: {task}");

    // Killed workers leave their names in the bindings; a message in a list is still told.
    workers.iter_mut().for_each(CeleryWorker::kill9);
    let mut newcomer = Server::on(&redis);
    let row = wait_for_row(&mut newcomer, "queue/list", "notices", |row| row["unreadable"] == 2);
    assert_eq!(row["fanout"], true, "the names tell: {row}");
}
