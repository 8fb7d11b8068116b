//! Lengths, arrivals, messages in the order in which they run, and bounds in bytes.

use super::{SEP, connect, names};
use crate::support::redis::Redis;
use lazycelery::broker::{Broker, Peek};

/// What one queue's messages say, with their priority steps.
fn said(peek: &Peek) -> Vec<(u8, &str)> {
    peek.messages.iter().map(|(step, raw)| (*step, std::str::from_utf8(raw).unwrap())).collect()
}

async fn arrived(broker: &dyn Broker) -> Option<u64> {
    broker.depths(&names(&["q"])).await.unwrap()[0].arrived
}

#[tokio::test]
async fn f09_a_foreign_key_costs_its_own_step_alone() {
    let redis = Redis::start();
    redis.command::<()>(&["RPUSH", "q", "a", "b"]);
    redis.command::<()>(&["SET", &format!("q{SEP}3"), "a rate limiter's"]);
    redis.command::<()>(&["RPUSH", &format!("other{SEP}9"), "c"]);
    let broker = connect(&redis).await;

    let depths = broker.depths(&names(&["q", "absent", "other"])).await.unwrap();
    assert_eq!(depths[0].priorities, [(0, 2), (6, 0), (9, 0)].into());
    let [oddity] = depths[0].oddities.as_slice() else { panic!("{depths:?}") };
    assert!(oddity.contains("WRONGTYPE") && oddity.starts_with("q\\u{6}\\u{16}3"), "{oddity}");
    assert_eq!(depths[1].priorities, [(0, 0), (3, 0), (6, 0), (9, 0)].into());
    assert_eq!(depths[2].priorities, [(0, 0), (3, 0), (6, 0), (9, 1)].into());
    assert!(depths[1].oddities.is_empty() && depths[2].oddities.is_empty(), "{depths:?}");

    let peek = broker.peek("q", 0, 10, 1 << 20).await.unwrap();
    assert_eq!((said(&peek), peek.total), (vec![(0, "b"), (0, "a")], 2));
    let kept: String = redis.command(&["GET", &format!("q{SEP}3")]);
    assert_eq!(kept, "a rate limiter's");
}

#[tokio::test]
async fn what_arrived_is_counted_where_it_is_exactly_known() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    let urgent = "q";
    let patient = format!("q{SEP}3");
    assert_eq!(arrived(&*broker).await, None, "nothing was ever there");

    redis.command::<()>(&["LPUSH", urgent, "a", "b"]);
    assert_eq!(arrived(&*broker).await, None, "the queue was empty");
    redis.command::<()>(&["LPUSH", urgent, "c", "d", "e"]);
    assert_eq!(arrived(&*broker).await, Some(3));
    assert_eq!(arrived(&*broker).await, Some(0));
    redis.command::<()>(&["RPOP", urgent, "2"]);
    redis.command::<()>(&["LPUSH", urgent, "f"]);
    assert_eq!(arrived(&*broker).await, Some(1), "what was taken does not count against it");

    redis.command::<()>(&["LPUSH", &patient, "p"]);
    assert_eq!(arrived(&*broker).await, None, "one step was empty");
    redis.command::<()>(&["LPUSH", &patient, "r"]);
    redis.command::<()>(&["LPUSH", urgent, "g", "h"]);
    assert_eq!(arrived(&*broker).await, Some(3), "the steps' sum");

    redis.command::<()>(&["DEL", urgent]);
    redis.command::<()>(&["LPUSH", urgent, "i"]);
    assert_eq!(arrived(&*broker).await, None, "the mark is gone");
}

#[tokio::test]
async fn a_large_newest_message_is_no_mark() {
    let redis = Redis::start();
    let broker = connect(&redis).await;
    redis.command::<()>(&["LPUSH", "q", &"x".repeat(17 << 10)]);
    assert_eq!(arrived(&*broker).await, None);
    redis.command::<()>(&["LPUSH", "q", "a"]);
    assert_eq!(arrived(&*broker).await, None, "above 16 KiB it is not looked for");
}

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_run() {
    let redis = Redis::start();
    redis.command::<()>(&["LPUSH", "q", "1", "2", "3"]);
    redis.command::<()>(&["LPUSH", &format!("q{SEP}3"), "4", "5"]);
    redis.command::<()>(&["LPUSH", &format!("q{SEP}9"), "6"]);
    redis.command::<()>(&["RPUSH", "q", "redelivered"]);
    let broker = connect(&redis).await;

    let all = broker.peek("q", 0, 100, 1 << 20).await.unwrap();
    let order = [(0, "redelivered"), (0, "1"), (0, "2"), (0, "3"), (3, "4"), (3, "5"), (9, "6")];
    assert_eq!((said(&all), all.total, all.cut), (order.to_vec(), 7, false));
    for offset in 0..=order.len() {
        for limit in 0..=order.len() {
            let page = broker.peek("q", offset, limit, 1 << 20).await.unwrap();
            let end = order.len().min(offset + limit);
            assert_eq!(said(&page), order[offset..end], "{offset} {limit}");
            assert_eq!((page.total, page.cut), (7, false), "{offset} {limit}");
        }
    }
    assert_eq!(redis.command::<u64>(&["LLEN", "q"]), 4, "nothing was taken");
}

#[tokio::test]
async fn large_messages_are_bounded_in_bytes() {
    let redis = Redis::start();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..20 {
        redis.command::<()>(&["LPUSH", "q", &megabyte]);
    }
    let broker = connect(&redis).await;

    let peek = broker.peek("q", 0, 1_000, 8 << 20).await.unwrap();
    assert_eq!((peek.messages.len(), peek.total, peek.cut), (8, 20, true));
    let peek = broker.peek("q", 19, 1_000, 100).await.unwrap();
    assert_eq!((peek.messages.len(), peek.cut), (1, false), "one message is always read");
}

#[tokio::test]
async fn small_messages_before_large_ones_mislead_only_so_far() {
    let redis = Redis::start();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..40 {
        redis.command::<()>(&["RPUSH", "q", &megabyte]);
    }
    redis.command::<()>(&["RPUSH", "q", "small"]);
    let broker = connect(&redis).await;
    let peek = broker.peek("q", 0, 1_000, 2 << 20).await.unwrap();
    let bytes: usize = peek.messages.iter().map(|(_, raw)| raw.len()).sum();
    assert!(peek.cut && bytes <= 8 << 20, "{bytes} bytes were read for a bound of 2 MiB");
}
