//! The result backend: stored values, the walk over them, and results as they are stored.

use super::{fill, soon};
use crate::support::redis::Redis;
use lazycelery::backend::{self, ResultBackend};
use lazycelery::broker::url::BrokerUrl;
use std::collections::BTreeSet;
use std::sync::Arc;

const KEY: &str = "celery-task-meta-";

async fn connect(redis: &Redis, keyprefix: &str) -> Arc<dyn ResultBackend> {
    let url = BrokerUrl::parse_backend(&redis.url(0)).unwrap();
    backend::connect(&url, keyprefix).await.unwrap()
}

fn meta(status: &str, result: &str) -> String {
    format!(r#"{{"status": "{status}", "result": {result}, "traceback": null}}"#)
}

fn store(redis: &Redis, key: &str, value: &str) {
    redis.command::<()>(&["SETEX", key, "86400", value]);
    redis.command::<()>(&["PUBLISH", key, value]);
}

fn uuids(uuids: &[&str]) -> Vec<String> {
    uuids.iter().map(|uuid| (*uuid).to_owned()).collect()
}

#[tokio::test]
async fn results_come_in_the_order_asked_for() {
    let redis = Redis::start();
    store(&redis, &format!("{KEY}good"), &meta("SUCCESS", "3"));
    store(&redis, &format!("{KEY}large"), &meta("SUCCESS", &format!("{:?}", "x".repeat(5_000))));
    store(&redis, &format!("{KEY}pickled"), "\u{80}not ours");
    redis.command::<()>(&["LPUSH", &format!("{KEY}foreign"), "a list"]);
    let backend = connect(&redis, "").await;

    let asked = uuids(&["absent", "large", "foreign", "good", "pickled"]);
    let stored = backend.get(&asked, 4_096).await.unwrap();
    let [absent, large, foreign, good, pickled] = stored.as_slice() else { panic!("{stored:?}") };
    assert_eq!(*absent, None);
    let large = large.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((large.status.as_str(), &large.result_json), ("SUCCESS", &None), "its ends tell");
    assert!(large.result_bytes > Some(5_000), "its size: {large:?}");
    assert!(foreign.as_ref().unwrap().as_ref().unwrap_err().contains("WRONGTYPE"), "{foreign:?}");
    let good = good.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((good.uuid.as_str(), good.status.as_str()), ("good", "SUCCESS"));
    assert_eq!(good.result_json.as_deref(), Some("3"));
    assert!(pickled.as_ref().unwrap().is_err(), "{pickled:?}");

    let stored = backend.get(&uuids(&["large"]), 1 << 20).await.unwrap();
    assert!(stored[0].as_ref().unwrap().is_ok(), "a larger bound reads it");
    assert_eq!(backend.get(&[], 4_096).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_stored_is_walked_over() {
    let redis = Redis::start();
    fill(&redis);
    for number in 0..50 {
        store(&redis, &format!("{KEY}{number}"), &meta("SUCCESS", "1"));
    }
    store(&redis, "celery-taskset-meta-g", "{}");
    store(&redis, &format!("app_{KEY}another's"), "{}");
    let backend = connect(&redis, "").await;
    let (mut cursor, mut found, mut steps) = (0, BTreeSet::new(), 0);
    loop {
        let (next, step) = backend.scan(cursor).await.unwrap();
        found.extend(step);
        steps += 1;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, (0..50).map(|number| number.to_string()).collect());
    assert!(steps > 1, "one step looks at a part");
}

#[tokio::test]
async fn results_are_heard_as_they_are_stored() {
    let redis = Redis::start();
    let backend = connect(&redis, "app").await;
    let mut stores = backend.subscribe().await.unwrap();
    store(&redis, &format!("{KEY}another's"), &meta("SUCCESS", "1"));
    store(&redis, &format!("app_{KEY}"), "a key without an id");
    store(&redis, &format!("app_{KEY}a"), &meta("STARTED", "null"));
    store(&redis, &format!("app_{KEY}a"), "no JSON");
    let mut heard = Vec::new();
    while heard.len() < 2 {
        soon("results", stores.next(10, &mut heard)).await.unwrap();
    }
    let first = heard[0].as_ref().unwrap();
    assert_eq!((first.uuid.as_str(), first.status.as_str()), ("a", "STARTED"));
    assert!(heard[1].is_err(), "{heard:?}");

    redis.command::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let error = soon("the cut", stores.next(10, &mut heard)).await.unwrap_err();
    assert_eq!(error.kind(), Some("result_backend"), "{error}");
}

#[tokio::test]
async fn a_backend_that_is_away_says_so_in_its_own_name() {
    let redis = Redis::start();
    let url = BrokerUrl::parse_backend(&redis.url(0)).unwrap();
    let connected = backend::connect(&url, "").await.unwrap();
    redis.kill();
    let error = connected.get(&uuids(&["a"]), 4_096).await.unwrap_err();
    assert_eq!(error.kind(), Some("result_backend"), "{error}");
    let error = backend::connect(&url, "").await.unwrap_err();
    assert_eq!(error.kind(), Some("result_backend"), "{error}");
    let url = BrokerUrl::parse_backend("rediss://h/0").unwrap();
    assert_eq!(backend::connect(&url, "").await.unwrap_err().kind(), Some("unsupported"));
}
