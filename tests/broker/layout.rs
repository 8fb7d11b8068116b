//! Names: what is configured, what is found out, bindings, and the search for them.

use super::{SEP, connect, connect_with, envelope, fill, names, soon};
use crate::support::redis::Redis;
use lazycelery::broker::url::BrokerUrl;
use lazycelery::broker::{self, Broker, Options};
use lazycelery::message::Message;
use serde_json::json;
use std::collections::BTreeSet;

fn bind(redis: &Redis, exchange: &str, member: &str) {
    redis.command::<()>(&["SADD", &format!("_kombu.binding.{exchange}"), member]);
}

/// Every exchange that a whole search finds.
async fn searched(broker: &dyn Broker) -> BTreeSet<String> {
    let (mut cursor, mut found) = (0, BTreeSet::new());
    loop {
        let (next, exchanges) = broker.scan_exchanges(cursor).await.unwrap();
        found.extend(exchanges);
        cursor = next;
        if cursor == 0 {
            return found;
        }
    }
}

#[tokio::test]
async fn f56_malformed_members_are_left_out_and_left_alone() {
    let redis = Redis::start();
    let good = format!("celery{SEP}{SEP}celery");
    for member in [&good, "two parts\x06\x16only", "none", "a\x06\x16b\x06\x16"] {
        bind(&redis, "celery", member);
    }
    let broker = connect(&redis).await;
    let bindings = broker.bindings("celery").await.unwrap();
    let [binding] = bindings.as_slice() else { panic!("{bindings:?}") };
    assert_eq!((binding.routing_key.as_str(), binding.queue.as_str()), ("celery", "celery"));
    assert_eq!(broker.bindings("absent").await.unwrap(), []);
    assert_eq!(redis.command::<u64>(&["SCARD", "_kombu.binding.celery"]), 4);
}

#[tokio::test]
async fn exchanges_are_found_among_other_keys() {
    let redis = Redis::start();
    fill(&redis);
    bind(&redis, "celery", &format!("{SEP}{SEP}celery"));
    bind(&redis, "orders", &format!("o{SEP}{SEP}orders"));
    redis.command::<()>(&["SET", "_kombu.binding.text", "no set"]);
    let broker = connect(&redis).await;
    let (first, _) = broker.scan_exchanges(0).await.unwrap();
    assert_ne!(first, 0, "one step looks at a part");
    assert_eq!(searched(&*broker).await, names(&["celery", "orders"]).into_iter().collect());
}

#[tokio::test]
async fn a_configured_layout_names_every_key_and_channel() {
    let redis = Redis::start();
    redis.command::<()>(&["LPUSH", "app1:q", "a"]);
    redis.command::<()>(&["LPUSH", "app1:q:1", "b", "c"]);
    redis.command::<()>(&["LPUSH", "q", "another's"]);
    redis.command::<()>(&["ZADD", "app1:unacked_index", "1", "t"]);
    redis.command::<()>(&["SADD", "app1:_kombu.binding.celery", "celery::celery"]);
    redis.command::<()>(&["SADD", "_kombu.binding.another", "x::y"]);
    let options = Options {
        global_keyprefix: Some("app1:".into()),
        sep: Some(":".into()),
        priority_steps: Some(vec![0, 1]),
        ..Options::default()
    };
    let broker = connect_with(&redis, options.clone()).await;
    assert_eq!(broker.options().global_keyprefix, options.global_keyprefix);

    let depths = broker.depths(&names(&["q"])).await.unwrap();
    assert_eq!(depths[0].priorities, [(0, 1), (1, 2)].into());
    let peek = broker.peek("q", 0, 10, 1 << 20).await.unwrap();
    let order: Vec<_> = peek.messages.iter().map(|(step, raw)| (*step, raw.as_slice())).collect();
    assert_eq!(order, [(0, &b"a"[..]), (1, b"b"), (1, b"c")]);
    let look = broker.unacked(&Default::default(), 1 << 20).await.unwrap();
    assert_eq!(look.index, [("t".to_owned(), 1.0)]);
    assert_eq!(broker.bindings("celery").await.unwrap()[0].queue, "celery");
    assert_eq!(searched(&*broker).await, BTreeSet::from(["celery".to_owned()]));

    let mut events = broker.subscribe("celeryev").await.unwrap();
    redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("another's")]);
    redis.command::<()>(&["PUBLISH", "app1:/0.celeryev/task.sent", &envelope("ours")]);
    let mut heard = Vec::new();
    soon("the event", events.next(10, &mut heard)).await.unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].as_ref().unwrap().bytes, br#"{"said":"ours"}"#);

    let mut control = broker.subscribe("celery.pidbox").await.unwrap();
    let request = Message::json(&json!({ "method": "ping" }), "celery.pidbox", "");
    assert_eq!(broker.broadcast("celery.pidbox", &request).await, Ok(Some(1)));
    heard.clear();
    soon("the request", control.next(10, &mut heard)).await.unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[tokio::test]
async fn fanout_options_name_the_channels() {
    let redis = Redis::start();
    let options =
        Options { fanout_prefix: Some(None), fanout_patterns: Some(false), ..Options::default() };
    let broker = connect_with(&redis, options).await;
    let mut events = broker.subscribe("celeryev").await.unwrap();
    redis.command::<()>(&["PUBLISH", "/0.celeryev/task.sent", &envelope("another's")]);
    redis.command::<()>(&["PUBLISH", "celeryev", &envelope("ours")]);
    let mut heard = Vec::new();
    soon("the event", events.next(10, &mut heard)).await.unwrap();
    assert_eq!(heard[0].as_ref().unwrap().bytes, br#"{"said":"ours"}"#);
}

#[tokio::test]
async fn events_are_heard_with_and_without_routing_keys_in_their_channels() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let mut events = broker.subscribe("celeryev").await.unwrap();
    for channel in ["/0.celeryev/task.sent", "/0.celeryev", "/0.celeryevil", "/1.celeryev"] {
        redis.command::<()>(&["PUBLISH", channel, &envelope(channel)]);
    }
    redis.command::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let mut heard = Vec::new();
    while soon("events", events.next(10, &mut heard)).await.is_ok() {}
    let bodies = heard.into_iter().map(|body| String::from_utf8(body.unwrap().bytes).unwrap());
    let said = |channel: &str| json!({ "said": channel }).to_string();
    assert_eq!(bodies.collect::<Vec<_>>(), ["/0.celeryev/task.sent", "/0.celeryev"].map(said));
}

#[tokio::test]
async fn of_several_prefixes_none_is_guessed() {
    let redis = Redis::start();
    for prefix in ["app1:", "app2:"] {
        let telltale = format!("{prefix}_kombu.binding.celery.pidbox");
        redis.command::<()>(&["SADD", &telltale, "::w1@lab.celery.pidbox"]);
    }
    let url = BrokerUrl::parse(&redis.url(0)).unwrap();
    let error = broker::connect(&url, &Options::default()).await.unwrap_err();
    assert_eq!(error.kind(), Some("config"), "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("`app1:`") && sentence.contains("`app2:`"), "{sentence}");

    let chosen = Options { global_keyprefix: Some("app2:".into()), ..Options::default() };
    let found = connect_with(&redis, chosen).await.options();
    assert_eq!(found.global_keyprefix.as_deref(), Some("app2:"));
    bind(&redis, "celery.pidbox", "::w1@lab.celery.pidbox");
    let found = connect(&redis).await.options();
    assert_eq!(
        found.global_keyprefix.as_deref(),
        Some(""),
        "one without a prefix is Celery's default"
    );
}

#[tokio::test]
async fn prefix_and_separator_are_found_out() {
    let redis = Redis::start();
    let telltale = "app1:_kombu.binding.celery.pidbox";
    redis.command::<()>(&["SADD", telltale, "::w1@lab.celery.pidbox"]);
    let found = connect(&redis).await.options();
    assert_eq!(found.global_keyprefix.as_deref(), Some("app1:"));
    assert_eq!(found.sep.as_deref(), Some(":"));
}

#[tokio::test]
async fn a_worker_tells_its_own_layout() {
    let redis = Redis::start();
    redis.command::<()>(&["LPUSH", "q-2", "a"]);
    let broker = connect(&redis).await;
    broker.learn(json!({ "sep": "-", "priority_steps": [0, 1, 2] }).as_object().unwrap());
    let depths = broker.depths(&names(&["q"])).await.unwrap();
    assert_eq!(depths[0].priorities, [(0, 0), (1, 0), (2, 1)].into());
}
