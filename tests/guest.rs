//! We are a guest on somebody's broker: every read method, with the line to Redis listened to. What
//! we send is in a list, nothing we are sent is huge, and nothing of ours stays.

mod tap;

use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use lazycelery::message::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tap::{Sent, Tap};

/// All that watching may send, whatever it carries.
const READING: &[&str] = &[
    "HELLO",
    "AUTH",
    "SELECT",
    "PING",
    "ECHO",
    "CLIENT SETINFO",
    "CLIENT SETNAME",
    "CLIENT ID",
    "PSUBSCRIBE",
    "SUBSCRIBE",
    "PUNSUBSCRIBE",
    "UNSUBSCRIBE",
    "SCAN",
    "SSCAN",
    "SMEMBERS",
    "SRANDMEMBER",
    "EXISTS",
    "TYPE",
    "LLEN",
    "LRANGE",
    "LINDEX",
    "LPOS",
    "HLEN",
    "HSTRLEN",
    "HGET",
    "HMGET",
    "ZRANGE",
    "ZCARD",
    "GET",
    "MGET",
    "STRLEN",
    "GETRANGE",
    "ROLE",
    "INFO",
    "OBJECT IDLETIME",
    "MEMORY USAGE",
    "EXISTS",
    "SRANDMEMBER",
];

/// What else remote control takes: a broadcast, and our own reply list.
const REPLY_LIST: [&str; 6] = ["BRPOP", "DEL", "UNLINK", "RPUSH", "EXPIRE", "LPUSHX"];

/// No reply may be larger.
const LARGEST: usize = 8 << 20;

/// Is it something a guest does? `ours` is our reply list, once it was seen.
fn is_polite(sent: &Sent, ours: &mut Option<String>) -> bool {
    let name = sent.name();
    if name == "PUBLISH" {
        return sent.words[1] == "/0.celery.pidbox";
    }
    if REPLY_LIST.contains(&name.as_str()) {
        let key = &sent.words[1];
        let foreign = ["celery", "unacked", "_kombu", "heavy", "light"];
        return !foreign.iter().any(|prefix| key.starts_with(prefix))
            && ours.get_or_insert_with(|| key.clone()) == key;
    }
    READING.contains(&name.as_str())
}

/// Every key of the broker and the backend, with what stands in the queues.
fn keys(redis: &Redis) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for db in [0, 1] {
        for key in redis.command_in::<Vec<String>>(db, &["KEYS", "*"]) {
            // Workers refresh these by themselves.
            let moving = key.starts_with("_kombu.binding_deadlines") || key.ends_with(".pidbox");
            let list = redis.command_in::<String>(db, &["TYPE", &key]) == "list" && !moving;
            let range = ["LRANGE", &key, "0", "-1"];
            let content = if list { redis.command_in(db, &range) } else { Vec::new() };
            found.insert(format!("{db} {key}"), content);
        }
    }
    found
}

/// Calls every method that reads; what each answers is other tests' business.
fn read_everything(server: &mut Server, hostname: &str, uuid: &str) {
    let calls = [
        ("environment/list", json!({})),
        ("environment/check", json!({})),
        ("worker/list", json!({})),
        ("worker/get", json!({ "hostname": hostname })),
        ("task/list", json!({})),
        ("task/list", json!({ "filter": "state:success", "sort": "name" })),
        ("task/get", json!({ "uuid": uuid })),
        ("task/get", json!({ "uuid": uuid, "full": true })),
        ("task/get", json!({ "uuid": "nosuch" })),
        ("task/names", json!({})),
        ("queue/list", json!({})),
        ("queue/messages", json!({ "queue": "heavy", "limit": 5000 })),
        ("queue/messages", json!({ "queue": "light", "limit": 5000 })),
    ];
    let inspected =
        ["ping", "stats", "active", "reserved", "scheduled", "registered", "active_queues", "conf"];
    let inspections = inspected.map(|method| ("worker/inspect", json!({ "method": method })));
    for (method, params) in calls.into_iter().chain(inspections) {
        let answer = server.call(method, params.clone());
        let unknown = matches!(&answer, Err(error) if error["data"]["kind"] == "unknown_task");
        assert!(answer.is_ok() || unknown && params["uuid"] == "nosuch", "{method}: {answer:?}");
    }
    let feeds = ["environment/subscribe", "worker/subscribe", "task/subscribe", "queue/subscribe"];
    let watches = [
        ("worker/watch", json!({ "hostname": hostname })),
        ("task/watch", json!({ "uuid": uuid })),
    ];
    for (method, params) in feeds.map(|feed| (feed, json!({}))).into_iter().chain(watches) {
        let subscription = server.subscribe(method, params);
        server.next_of(subscription);
        let (noun, _) = method.split_once('/').unwrap();
        let ended = server.call(&format!("{noun}/unsubscribe"), json!([subscription]));
        assert_eq!(ended, Ok(Value::Bool(true)), "{method}");
    }
}

#[test]
fn reading_is_polite_bounded_and_leaves_nothing() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options::default());
    let mut sender = Sender::start(&redis, App::Default);
    let uuid = sender.send("lab.add", json!([1, 2]));
    let key = format!("celery-task-meta-{uuid}");
    wait_until("the result", || redis.command_in::<bool>(1, &["EXISTS", &key]));
    sender.send_with("lab.add", json!([1, 2]), json!({ "countdown": 3600 }));
    let large = "x".repeat(300 << 10);
    for _ in 0..40 {
        sender.send_with("lab.echo", json!([large]), json!({ "queue": "heavy" }));
        sender.send_with("lab.echo", json!([1]), json!({ "queue": "light" }));
    }
    wait_until("the ETA task to be held", || redis.command::<u64>(&["HLEN", "unacked"]) == 1);
    let before = keys(&redis);

    let (broker, backend) = (Tap::on(redis.port()), Tap::on(redis.port()));
    let urls = [broker.url(0), backend.url(1)];
    let mut server = Server::start(&["--broker", &urls[0], "--backend", &urls[1]], &[]);
    read_everything(&mut server, &worker.hostname(), &uuid);
    server.finish();
    drop(server);

    let mut ours = None;
    let sent: Vec<_> = broker.sent().into_iter().chain(backend.sent()).collect();
    let rude: Vec<_> = sent.iter().filter(|sent| !is_polite(sent, &mut ours)).collect();
    assert!(rude.is_empty(), "not in the list: {rude:#?}");
    for name in ["PSUBSCRIBE", "PUBLISH", "BRPOP", "LLEN", "LRANGE", "SSCAN"] {
        assert!(sent.iter().any(|sent| sent.name() == name), "{name} was never sent");
    }
    for tap in [&broker, &backend] {
        assert!(tap.largest_reply() < LARGEST, "a reply of {} bytes", tap.largest_reply());
    }
    let after = keys(&redis);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "queues hold what they held");
}

#[test]
fn nothing_is_asked_more_often_than_said_and_nothing_for_nobody() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "light" }));
    let tap = Tap::on(redis.port());
    let mut server = Server::start(&["--broker", &tap.url(0)], &[]);
    let looks = |command: &str, key: &str| -> Vec<Sent> {
        let ours = |sent: &Sent| {
            sent.name() == command && sent.words.get(1).is_some_and(|word| word == key)
        };
        tap.sent().into_iter().filter(ours).collect()
    };
    let subscription = server.subscribe("queue/subscribe", json!({}));
    server.next_of(subscription);
    wait_until("five looks at the length", || looks("LLEN", "light").len() >= 5);
    let seen = looks("LLEN", "light");
    let first_and_last = seen[4].at - seen[0].at;
    assert!(first_and_last > Duration::from_millis(3500), "five looks within {first_and_last:?}");
    assert!(looks("LRANGE", "light").is_empty(), "nobody asked what is in it");

    let ended = server.call("queue/unsubscribe", json!([subscription]));
    assert_eq!(ended, Ok(Value::Bool(true)));
    let until = looks("LLEN", "light").len() + 2;
    let since = std::time::Instant::now();
    wait_until("three seconds of calls that need no queue", || {
        let _ = server.call("worker/list", json!({}));
        since.elapsed() > Duration::from_secs(3)
    });
    assert!(looks("LLEN", "light").len() <= until, "asked for nobody");
}

/// What changing queues may send besides.
const CHANGING: [&str; 2] = ["EVAL", "RPUSH"];

#[test]
fn changing_is_done_in_small_steps_and_leaves_nothing() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    let (large, small) = ("x".repeat(100 << 10), "x");
    for text in [&large[..], small].repeat(20).into_iter().chain([small; 400]) {
        sender.send_with("lab.echo", json!([text]), json!({ "queue": "heavy" }));
    }
    sender.send_with("lab.echo", json!([1]), json!({ "queue": "light" }));
    let before = keys(&redis);
    let tap = Tap::on(redis.port());
    let mut server = Server::start(&["--broker", &tap.url(0)], &[]);
    let page = server.call("queue/messages", json!({ "queue": "heavy", "limit": 30 })).unwrap();
    let uuids: Vec<&Value> =
        page["rows"].as_array().unwrap().iter().map(|row| &row["uuid"]).collect();
    let mut saved = Vec::new();
    for (method, params) in [
        ("queue/delete_messages", json!({ "queue": "heavy", "uuids": uuids[..10] })),
        ("queue/move_messages", json!({ "queue": "heavy", "to": "light", "uuids": uuids[10..] })),
        ("queue/purge", json!({ "queue": "heavy" })),
    ] {
        let answer = server.call(method, params).unwrap();
        saved.push(json!({ "saved_as": answer["saved_as"] }));
    }
    for saved_as in saved.into_iter().rev() {
        server.call("queue/restore", saved_as).unwrap();
    }
    server.finish();

    let mut ours = None;
    let sent = tap.sent();
    let rude = sent.iter().filter(|sent| {
        let changes = CHANGING.contains(&&*sent.name()) && sent.words[1] != "light";
        let asks = sent.name() == "LREM" && sent.words[1].contains(".reply");
        !changes && !asks && !is_polite(sent, &mut ours)
    });
    assert_eq!(rude.map(|sent| &sent.words[..2]).collect::<Vec<_>>(), [[""; 2]; 0]);
    let bytes = |sent: &Sent| sent.words.iter().map(String::len).sum::<usize>();
    for name in CHANGING {
        let largest = sent.iter().filter(|sent| sent.name() == name).map(bytes).max();
        // What fits 256 KiB, and the one that does not any more.
        assert!(largest.is_some_and(|bytes| bytes < 512 << 10), "{name}: {largest:?}");
        let longest = sent.iter().filter(|sent| sent.name() == name).map(|sent| sent.words.len());
        assert!(longest.max() < Some(260), "{name}");
    }
    assert!(tap.largest_reply() < 1 << 20, "a reply of {} bytes", tap.largest_reply());
    let after = keys(&redis);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let sorted = |mut keys: BTreeMap<String, Vec<String>>| {
        keys.values_mut().for_each(|list| list.sort());
        keys
    };
    assert!(sorted(before) == sorted(after), "queues hold what they held");
}

/// What was asked of workers: the method, and of whom.
fn asked(tap: &Tap) -> Vec<(String, Value)> {
    let requests = tap.sent().into_iter().filter(|sent| sent.name() == "PUBLISH");
    let read = |sent: Sent| {
        let message = Message::from_envelope(sent.words[2].as_bytes()).unwrap();
        let mut body: Value = serde_json::from_slice(&message.body.bytes).unwrap();
        (body["method"].as_str().unwrap().to_owned(), body["destination"].take())
    };
    requests.map(read).collect()
}

#[test]
fn f16_what_is_held_is_asked_of_one_worker_and_only_while_it_is_looked_at() {
    let redis = Redis::start();
    let options = |name| Options { name, pool: "solo", ..Options::default() };
    let mut workers = ["w1", "w2"].map(|name| CeleryWorker::launch(&redis, options(name)));
    workers.iter_mut().for_each(CeleryWorker::wait_until_ready);
    let tap = Tap::on(redis.port());
    let mut server = Server::start(&["--broker", &tap.url(0)], &[]);
    let heavy = ["reserved", "scheduled", "revoked"];
    let of_heavy = || {
        let asked = asked(&tap).into_iter();
        asked.filter(|(method, _)| heavy.contains(&method.as_str())).collect::<Vec<_>>()
    };
    for method in ["worker/subscribe", "task/subscribe", "queue/subscribe"] {
        let feed = server.subscribe(method, json!({}));
        server.next_of(feed);
    }
    wait_until("what runs to be asked twice", || {
        asked(&tap).iter().filter(|(method, _)| method == "active").count() >= 2
    });
    assert_eq!(of_heavy(), [], "nobody looks at one worker");

    let watch = server.subscribe("worker/watch", json!({ "hostname": "w1@lab" }));
    wait_until("what it holds", || {
        let row = server.next_of(watch)["result"]["row"].take();
        let told = row["reserved_tasks"].is_array() && row["scheduled_tasks"].is_array();
        if told { Ok(()) } else { Err(row) }
    });
    wait_until("a second look", || of_heavy().len() >= 4);
    assert_eq!(server.call("worker/unsubscribe", json!([watch])), Ok(json!(true)));
    let of = of_heavy();
    assert!(of.iter().all(|(_, destination)| *destination == json!(["w1@lab"])), "{of:?}");
    assert!(of.iter().all(|(method, _)| method != "revoked"), "{of:?}");
}
