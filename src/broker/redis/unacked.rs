//! What consumers hold and have not acknowledged: `unacked_index` says since when, `unacked` holds
//! the messages (reference 1.3).

use super::super::{Unacked, UnackedLook};
use super::client::broken;
use super::keys::Layout;
use crate::error::Result;
use crate::json;
use ::redis::aio::MultiplexedConnection;
use std::collections::HashSet;

/// Entries that are read at most: the newest.
const ENTRIES: isize = 10_000;

/// Tags asked for at once.
const CHUNK: usize = 200;

/// Bytes that one read asks for; a single message may be larger.
const READ: usize = 256 << 10;

/// Reads the index whole (up to [`ENTRIES`]) and the messages that are not `known`.
pub(super) async fn look(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    known: &HashSet<String>,
    bytes: usize,
) -> Result<UnackedLook> {
    if !layout.keeps_unacked() {
        return Ok(UnackedLook { complete: true, ..UnackedLook::default() });
    }
    let mut range = ::redis::cmd("ZRANGE");
    range.arg(layout.unacked_index_key()).arg(-ENTRIES).arg(-1).arg("WITHSCORES");
    let index: Vec<(String, f64)> =
        range.query_async(commands).await.map_err(|error| broken("ZRANGE", &error))?;
    let mut look = UnackedLook {
        complete: index.len() < ENTRIES.unsigned_abs(),
        index,
        ..UnackedLook::default()
    };
    let new: Vec<String> = look
        .index
        .iter()
        .map(|(tag, _)| tag)
        .filter(|tag| !known.contains(*tag))
        .cloned()
        .collect();
    let mut left = bytes;
    for tags in new.chunks(CHUNK) {
        let sizes = sizes(layout, commands, tags).await?;
        for batch in batches(tags, &sizes) {
            let size: usize = batch.iter().map(|(_, size)| size).sum();
            if size > left {
                look.complete = false;
                if size > bytes {
                    // It never fits: it must not hide those behind it.
                    continue;
                }
                return Ok(look);
            }
            left -= size;
            look.new.extend(fetch(layout, commands, &batch).await?);
        }
    }
    Ok(look)
}

async fn sizes(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    tags: &[String],
) -> Result<Vec<usize>> {
    let mut pipe = ::redis::pipe();
    for tag in tags {
        pipe.cmd("HSTRLEN").arg(layout.unacked_key()).arg(tag);
    }
    pipe.query_async(commands).await.map_err(|error| broken("HSTRLEN", &error))
}

/// Runs of tags whose messages together fit [`READ`]; a larger one stands alone, one that is gone
/// (size 0) is left out.
fn batches<'a>(tags: &'a [String], sizes: &[usize]) -> Vec<Vec<(&'a str, usize)>> {
    let mut batches: Vec<Vec<(&str, usize)>> = Vec::new();
    let mut filled = READ;
    for (tag, size) in tags.iter().zip(sizes).filter(|(_, size)| **size > 0) {
        if filled + size > READ {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(batch) = batches.last_mut() {
            batch.push((tag, *size));
        }
    }
    batches
}

async fn fetch(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    batch: &[(&str, usize)],
) -> Result<Vec<Unacked>> {
    let mut get = ::redis::cmd("HMGET");
    get.arg(layout.unacked_key());
    for (tag, _) in batch {
        get.arg(tag);
    }
    let values: Vec<Option<Vec<u8>>> =
        get.query_async(commands).await.map_err(|error| broken("HMGET", &error))?;
    let held = batch.iter().zip(values).filter_map(|((tag, _), value)| entry(tag, &value?));
    Ok(held.collect())
}

/// An entry of the hash: `[message, exchange, routing_key]`.
fn entry(tag: &str, value: &[u8]) -> Option<Unacked> {
    let text = String::from_utf8_lossy(value);
    let parts = json::elements(&text).ok()?;
    let [message, exchange, routing_key] = parts.as_slice() else { return None };
    let word = |part: &str| json::parse::<String>(part.as_bytes()).ok();
    Some(Unacked {
        delivery_tag: tag.into(),
        raw: message.as_bytes().to_vec(),
        exchange: word(exchange).unwrap_or_default(),
        routing_key: word(routing_key).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_fetched_in_batches_that_fit() {
        let tags: Vec<String> = (0..5).map(|tag| tag.to_string()).collect();
        let sizes = [100 << 10, 100 << 10, 100 << 10, 0, 2 << 20];
        let batches = batches(&tags, &sizes);
        let tags_of = |batch: &Vec<(&str, usize)>| {
            batch.iter().map(|(tag, _)| tag.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            batches.iter().map(tags_of).collect::<Vec<_>>(),
            [vec!["0", "1"], vec!["2"], vec!["4"]]
        );
    }

    #[test]
    fn an_entry_keeps_the_message_as_it_is() {
        let held = entry("t", br#"[{"body": "x",  "n": NaN}, "", "celery"]"#).unwrap();
        assert_eq!(held.raw, br#"{"body": "x",  "n": NaN}"#);
        assert_eq!((held.exchange.as_str(), held.routing_key.as_str()), ("", "celery"));
        assert_eq!(entry("t", b"[1]"), None);
    }
}
