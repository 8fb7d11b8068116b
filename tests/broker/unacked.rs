//! What consumers hold.

use super::{connect, connect_with};
use crate::support::redis::Redis;
use lazycelery::broker::{Options, UnackedLook};
use serde_json::json;
use std::collections::HashSet;

/// Hands one message out, as kombu does.
fn hold(redis: &Redis, tag: &str, at: &str, raw: &str) {
    hold_in(redis, ["unacked", "unacked_index"], tag, at, raw);
}

fn hold_in(redis: &Redis, [hash, index]: [&str; 2], tag: &str, at: &str, raw: &str) {
    redis.command::<()>(&["ZADD", index, at, tag]);
    redis.command::<()>(&["HSET", hash, tag, &format!(r#"[{raw}, "", "celery"]"#)]);
}

fn tags(look: &UnackedLook) -> Vec<&str> {
    look.new.iter().map(|held| held.delivery_tag.as_str()).collect()
}

#[tokio::test]
async fn what_is_held_is_read_once() {
    let redis = Redis::start();
    hold(&redis, "a", "1795494675.5", r#"{"body": "x",  "n": NaN}"#);
    hold(&redis, "b", "1795494676", "{}");
    redis.command::<()>(&["ZADD", "unacked_index", "1795494677", "just acknowledged"]);
    let broker = connect(&redis).await;

    let look = broker.unacked(&HashSet::new(), 1 << 20).await.unwrap();
    let index = [("a", 1795494675.5), ("b", 1795494676.0), ("just acknowledged", 1795494677.0)];
    assert_eq!(look.index, index.map(|(tag, at)| (tag.to_owned(), at)));
    assert_eq!((tags(&look), look.complete), (vec!["a", "b"], true));
    assert_eq!(look.new[0].raw, br#"{"body": "x",  "n": NaN}"#, "to the byte");
    assert_eq!((look.new[0].exchange.as_str(), look.new[0].routing_key.as_str()), ("", "celery"));

    let known = HashSet::from(["a".to_owned()]);
    let look = broker.unacked(&known, 1 << 20).await.unwrap();
    assert_eq!((tags(&look), look.index.len()), (vec!["b"], 3));
}

#[tokio::test]
async fn what_is_held_is_bounded_in_bytes() {
    let redis = Redis::start();
    let large = json!("x".repeat(1 << 20)).to_string();
    for tag in ["a", "b", "c", "d"] {
        hold(&redis, tag, "1", &large);
    }
    let broker = connect(&redis).await;
    let look = broker.unacked(&HashSet::new(), 5 << 19).await.unwrap();
    assert_eq!((tags(&look), look.index.len(), look.complete), (vec!["a", "b"], 4, false));
}

#[tokio::test]
async fn entries_that_are_none_are_left_out() {
    let redis = Redis::start();
    hold(&redis, "good", "1", "{}");
    redis.command::<()>(&["ZADD", "unacked_index", "2", "bad"]);
    redis.command::<()>(&["HSET", "unacked", "bad", "no JSON"]);
    let broker = connect(&redis).await;
    let look = broker.unacked(&HashSet::new(), 1 << 20).await.unwrap();
    assert_eq!((tags(&look), look.index.len()), (vec!["good"], 2));
}

#[tokio::test]
async fn keys_of_other_names_and_none_at_all() {
    let redis = Redis::start();
    hold(&redis, "elsewhere", "1", "{}");
    hold_in(&redis, ["held", "held_index"], "here", "2", "{}");
    let named = Options {
        unacked_key: Some("held".into()),
        unacked_index_key: Some("held_index".into()),
        ..Options::default()
    };
    let look = connect_with(&redis, named).await.unacked(&HashSet::new(), 1 << 20).await.unwrap();
    assert_eq!(tags(&look), ["here"]);

    let none = Options { ack_emulation: Some(false), ..Options::default() };
    let look = connect_with(&redis, none).await.unacked(&HashSet::new(), 1 << 20).await.unwrap();
    assert_eq!(look, UnackedLook { complete: true, ..UnackedLook::default() });
}
