//! The broker and the result backend against a real Redis, below the server: what is read, what is
//! left behind, what is said when something is refused.

mod backend;
mod layout;
mod outages;
mod queues;
mod replies;
mod unacked;

use crate::support::redis::Redis;
use lazycelery::broker::url::BrokerUrl;
use lazycelery::broker::{self, Broker, Options};
use lazycelery::message::Message;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// kombu's separator.
const SEP: &str = "\x06\x16";

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(redis: &Redis) -> Arc<dyn Broker> {
    connect_with(redis, Options::default()).await
}

async fn connect_with(redis: &Redis, options: Options) -> Arc<dyn Broker> {
    let url = BrokerUrl::parse(&redis.url(0)).unwrap();
    broker::connect(&url, &options).await.unwrap()
}

/// The outcome, within [`PATIENCE`].
#[track_caller]
fn soon<F: Future>(what: &'static str, future: F) -> impl Future<Output = F::Output> {
    let waited = tokio::time::timeout(PATIENCE, future);
    async move { waited.await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}")) }
}

/// A message for an exchange, as kombu puts it on the wire.
fn envelope(body: &str) -> String {
    let message = Message::json(&json!({ "said": body }), "celeryev", "");
    String::from_utf8(message.to_envelope()).unwrap()
}

fn names(queues: &[&str]) -> Vec<String> {
    queues.iter().map(|queue| (*queue).to_owned()).collect()
}

/// Keys of others, more than one step of a search looks at.
fn fill(redis: &Redis) {
    let keys: Vec<String> = (0..3_000).map(|key| format!("another's:{key}")).collect();
    let words: Vec<&str> = keys.iter().flat_map(|key| [key.as_str(), "x"]).collect();
    redis.command::<()>(&[&["MSET"], words.as_slice()].concat());
}
