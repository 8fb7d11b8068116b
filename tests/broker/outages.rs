//! Servers that are away, full, silent or strict, and lines that are cut.

use super::{connect, envelope, names, soon};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::root;
use lazycelery::backend;
use lazycelery::broker::url::BrokerUrl;
use lazycelery::broker::{self, Options};
use lazycelery::message::Message;
use serde_json::json;
use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

fn ping() -> Message {
    Message::json(&json!({ "method": "ping" }), "celery.pidbox", "")
}

#[tokio::test]
async fn f54_a_cut_subscription_ends_and_the_next_one_hears() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    for cut in 0..10 {
        let mut events = broker.subscribe("celeryev").await.unwrap();
        redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("heard")]);
        let mut heard = Vec::new();
        soon("the event", events.next(10, &mut heard)).await.unwrap();
        assert_eq!(heard.len(), 1, "{cut}: {heard:?}");
        assert_eq!(redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]), 1);
        let error = soon("the cut", events.next(10, &mut heard)).await.unwrap_err();
        assert_eq!(error.kind(), Some("broker"), "{error}");
    }
}

#[tokio::test]
async fn what_arrived_before_a_cut_is_heard() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let mut events = broker.subscribe("celeryev").await.unwrap();
    for _ in 0..5 {
        redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("x")]);
    }
    redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", "no envelope"]);
    redis.command::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let mut heard = Vec::new();
    while soon("events", events.next(2, &mut heard)).await.is_ok() {}
    assert_eq!(heard.len(), 6, "{heard:?}");
    assert!(heard[..5].iter().all(|delivery| delivery.is_ok()), "{heard:?}");
    assert!(heard[5].is_err(), "F29: counted, not fatal");
}

#[tokio::test]
async fn a_message_too_large_is_told_and_skipped() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let mut events = broker.subscribe("celeryev").await.unwrap();
    let mut heard = Vec::new();
    for round in 1..=3 {
        redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("before")]);
        let large = envelope(&"x".repeat(17 << 20));
        redis.command::<()>(&["PUBLISH", "/0.celeryev/task.huge", &large]);
        redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("after")]);
        while heard.len() < 3 * round {
            soon("events", events.next(10, &mut heard)).await.unwrap();
        }
        let [before, huge, after] = &heard[3 * round - 3..] else { panic!("{}", heard.len()) };
        assert!(before.is_ok() && after.is_ok(), "its neighbours are heard");
        let reason = huge.as_ref().unwrap_err();
        assert!(reason.contains(&large.len().to_string()), "{reason}");
    }
}

#[tokio::test]
async fn f06_a_full_redis_can_be_watched_and_left() {
    let redis = Redis::start();
    redis.command::<()>(&["LPUSH", "q", "a", "b"]);
    redis.command::<()>(&["ZADD", "unacked_index", "1", "t"]);
    redis.command::<()>(&["HSET", "unacked", "t", r#"[{}, "", "q"]"#]);
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let full: redis::RedisResult<()> = redis::Client::open(redis.url(0))
        .and_then(|client| client.get_connection())
        .and_then(|mut line| redis::cmd("LPUSH").arg("q").arg("c").query(&mut line));
    assert!(full.unwrap_err().to_string().contains("maxmemory"), "it is full");

    let broker = connect(&redis).await;
    let depths = broker.depths(&names(&["q"])).await.unwrap();
    assert_eq!(depths[0].priorities[&0], 2, "{depths:?}");
    assert_eq!(broker.peek("q", 0, 10, 1 << 20).await.unwrap().messages.len(), 2);
    assert_eq!(broker.unacked(&HashSet::new(), 1 << 20).await.unwrap().new.len(), 1);
    let mut events = broker.subscribe("celeryev").await.unwrap();
    redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("x")]);
    soon("the event", events.next(10, &mut Vec::new())).await.unwrap();
    assert_eq!(broker.broadcast("celery.pidbox", &ping()).await, Ok(Some(0)));
    broker.close_replies(false).await.unwrap();
    // What would hold a late answer cannot be written; but then neither can the answer.
    let error = broker.close_replies(true).await.unwrap_err().to_string();
    assert!(error.contains("OOM"), "{error}");
}

#[tokio::test]
async fn f26_the_documented_rights_suffice_to_watch() {
    let redis = Redis::start();
    redis.command::<()>(&["LPUSH", "q", "a"]);
    let page = fs::read_to_string(root().join("docs/celery.md")).unwrap();
    let line = page.lines().map(str::trim).find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let line = line.replace("PASSWORD", "topsecret");
    redis.command::<()>(&line.split_whitespace().collect::<Vec<_>>());
    let text = format!("redis://watcher:topsecret@127.0.0.1:{}/0", redis.port());
    let url = BrokerUrl::parse(&text).unwrap();
    let broker = broker::connect(&url, &Options::default()).await.unwrap();

    assert_eq!(broker.depths(&names(&["q"])).await.unwrap()[0].priorities[&0], 1);
    assert_eq!(broker.peek("q", 0, 10, 1 << 20).await.unwrap().total, 1);
    broker.unacked(&HashSet::new(), 1 << 20).await.unwrap();
    broker.bindings("celery").await.unwrap();
    broker.scan_exchanges(0).await.unwrap();
    broker.ping().await.unwrap();
    let mut events = broker.subscribe("celeryev").await.unwrap();
    redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("x")]);
    soon("the event", events.next(10, &mut Vec::new())).await.unwrap();

    let results = backend::connect(&BrokerUrl::parse_backend(&text).unwrap(), "").await.unwrap();
    results.subscribe().await.unwrap();
    results.scan(0).await.unwrap();
    assert_eq!(results.get(&names(&["absent"]), 1).await.unwrap(), [None]);

    for error in [
        broker.broadcast("celery.pidbox", &ping()).await.unwrap_err(),
        broker.subscribe("other").await.err().unwrap(),
        broker.reply(Duration::from_millis(10)).await.unwrap_err(),
    ] {
        let sentence = error.to_string();
        assert!(sentence.contains("NOPERM") && !sentence.contains("topsecret"), "{sentence}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let redis = Redis::start();
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "right"]);
    for (login, said) in [("", "NOAUTH"), (":topsecret@", "authentication failed")] {
        let url = format!("redis://{login}127.0.0.1:{}/0", redis.port());
        let url = BrokerUrl::parse(&url).unwrap();
        let error = broker::connect(&url, &Options::default()).await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("topsecret"), "{error}");
    }
}

#[tokio::test]
async fn f54_a_silent_server_is_given_up_within_a_bound() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    // The reply connection exists before the line falls silent.
    assert_eq!(broker.reply(Duration::from_millis(10)).await, Ok(None));
    redis.command::<()>(&["CLIENT", "PAUSE", "60000", "ALL"]);
    let asked = Instant::now();
    let queues = names(&["q"]);
    let (depths, reply, ping) = tokio::join!(
        broker.depths(&queues),
        soon("the end of waiting", broker.reply(Duration::from_millis(100))),
        broker.ping(),
    );
    assert!(depths.is_err() && reply.is_err() && ping.is_err(), "{depths:?} {reply:?} {ping:?}");
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn f54_a_subscription_on_a_dead_line_ends_within_a_bound() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let url = BrokerUrl::parse(&proxy.url(0)).unwrap();
    let broker = broker::connect(&url, &Options::default()).await.unwrap();
    let mut events = broker.subscribe("celeryev").await.unwrap();
    proxy.swallow();
    // Nothing is published, so nothing but a ping can find it.
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(40), events.next(10, &mut heard)).await;
    let error = ended.expect("it is given up").unwrap_err().to_string();
    assert!(error.contains("the line is dead"), "{error}");
}

#[tokio::test]
async fn alternatives_are_tried_in_their_order() {
    let (gone, redis) = (Redis::start(), Redis::start());
    gone.kill();
    let url = BrokerUrl::parse(&format!("{};{}", gone.url(0), redis.url(0))).unwrap();
    let broker = broker::connect(&url, &Options::default()).await.unwrap();
    broker.ping().await.unwrap();

    let url = BrokerUrl::parse(&gone.url(0)).unwrap();
    let error = broker::connect(&url, &Options::default()).await.unwrap_err();
    assert_eq!(error.kind(), Some("broker"), "{error}");
}

#[tokio::test]
async fn what_we_do_not_speak_is_said_to_be_so() {
    for text in ["rediss://h/0", "sentinel://h/0", "amqp://h"] {
        let url = BrokerUrl::parse(text).unwrap();
        let error = broker::connect(&url, &Options::default()).await.unwrap_err();
        assert_eq!(error.kind(), Some("unsupported"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_database_of_its_own_is_another_broker() {
    let redis = Redis::start();
    redis.command_in::<()>(2, &["LPUSH", "q", "a"]);
    let url = BrokerUrl::parse(&redis.url(2)).unwrap();
    let broker = broker::connect(&url, &Options::default()).await.unwrap();
    assert_eq!(broker.depths(&names(&["q"])).await.unwrap()[0].priorities[&0], 1);
    let mut events = broker.subscribe("celeryev").await.unwrap();
    redis.command::<()>(&["PUBLISH", "/0.celeryev/x", &envelope("another's")]);
    redis.command::<()>(&["PUBLISH", "/2.celeryev/x", &envelope("ours")]);
    let mut heard = Vec::new();
    soon("the event", events.next(10, &mut heard)).await.unwrap();
    assert_eq!(heard[0].as_ref().unwrap().bytes, br#"{"said":"ours"}"#);
}
