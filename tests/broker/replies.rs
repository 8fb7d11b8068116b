//! Remote control's two directions: broadcasts, and the reply list, the only thing of ours that a
//! broker ever holds.

use super::{connect, envelope, soon};
use crate::support::redis::Redis;
use crate::support::wait::wait_until;
use lazycelery::message::Message;
use serde_json::json;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn f16_the_list_says_whose_it_is() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let to = broker.reply_to();
    assert_eq!(to.exchange, "", "the default exchange: no binding is written");
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let begins = format!("lazycelery.{host}.{}.", std::process::id());
    assert!(to.routing_key.starts_with(&begins) && to.routing_key.ends_with(".reply"), "{to:?}");
    assert_ne!(to, connect(&redis).await.reply_to());
    assert_eq!(redis.command::<Vec<String>>(&["KEYS", "*"]), Vec::<String>::new());
}

#[tokio::test]
async fn replies_come_oldest_first_and_once() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let list = broker.reply_to().routing_key;
    assert_eq!(broker.reply(MOMENT).await, Ok(None));
    redis.command::<()>(&["LPUSH", &list, &envelope("first")]);
    redis.command::<()>(&["LPUSH", &list, &envelope("second"), "no envelope"]);
    for said in ["first", "second"] {
        let reply = broker.reply(MOMENT).await.unwrap().unwrap().unwrap();
        assert_eq!(reply.body.bytes, json!({ "said": said }).to_string().into_bytes());
    }
    assert!(broker.reply(MOMENT).await.unwrap().unwrap().is_err(), "no message is no failure");
    assert_eq!(broker.reply(MOMENT).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reply_that_comes_while_we_wait_is_answered_at_once() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let list = broker.reply_to().routing_key;
    let waiting = tokio::spawn(async move { broker.reply(Duration::from_secs(15)).await });
    let waits = || redis.command::<String>(&["INFO", "clients"]).contains("blocked_clients:1");
    tokio::task::block_in_place(|| wait_until("BRPOP to wait", waits));
    let sent = Instant::now();
    redis.command::<()>(&["LPUSH", &list, &envelope("now")]);
    let reply = soon("the reply", waiting).await.unwrap().unwrap();
    assert!(reply.is_some() && sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_broadcast_tells_how_many_listen() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let request = Message::json(&json!({ "method": "ping" }), "celery.pidbox", "");
    assert_eq!(broker.broadcast("celery.pidbox", &request).await, Ok(Some(0)));
    let client = redis::Client::open(redis.url(0)).unwrap();
    let mut worker = client.get_connection().unwrap();
    let mut worker = worker.as_pubsub();
    worker.psubscribe("/0.celery.pidbox").unwrap();
    assert_eq!(broker.broadcast("celery.pidbox", &request).await, Ok(Some(1)));
    let heard: Vec<u8> = worker.get_message().unwrap().get_payload().unwrap();
    let heard = Message::from_envelope(&heard).unwrap();
    assert_eq!(heard.body.bytes, br#"{"method":"ping"}"#);
    assert!(heard.properties["delivery_tag"].is_string(), "{heard:?}");
}

#[tokio::test]
async fn nothing_stays_where_no_answer_is_out() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let list = broker.reply_to().routing_key;
    redis.command::<()>(&["LPUSH", &list, "an answer"]);
    broker.close_replies(false).await.unwrap();
    assert_eq!(redis.command::<Vec<String>>(&["KEYS", "*"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_late_answer_expires() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let list = broker.reply_to().routing_key;
    redis.command::<()>(&["LPUSH", &list, "an answer"]);
    broker.close_replies(true).await.unwrap();
    redis.command::<()>(&["LPUSH", &list, "a busy worker's"]);
    let left: Vec<String> = redis.command(&["LRANGE", &list, "0", "-1"]);
    assert_eq!(left, ["a busy worker's", "x"]);
    let expires: i64 = redis.command(&["TTL", &list]);
    assert!((3_590..=3_600).contains(&expires), "{expires}");
}
