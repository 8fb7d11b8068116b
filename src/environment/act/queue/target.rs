//! Where messages are put, when that is not where they came from: a queue that somebody reads, and
//! a message that belongs there.

use super::known;
use crate::broker::Stock;
use crate::environment::looks::Look;
use crate::environment::{Connection, Environment, queues};
use crate::error::{Error, Result};
use crate::json;
use serde_json::json;
use std::ops::Range;

/// Refuses a queue that no worker would ever take a message from.
///
/// # Errors
/// [`Error::InvalidParams`] for a broadcast queue (F13) and those of remote control and events;
/// [`Error::UnknownQueue`].
pub(super) async fn check(
    environment: &Environment,
    connection: &Connection,
    queue: &str,
) -> Result<Stock> {
    let refused = |why: &str| Err(Error::InvalidParams(format!("`{queue}` {why}")));
    if !queues::carries_tasks(environment, queue) {
        return refused("belongs to remote control or events: it carries no tasks");
    }
    // What workers consume from is known once the roll was called.
    environment.fresh(&[Look::Roll, Look::Names]).await?;
    if environment.read(|state| state.is_broadcast(queue)) {
        return refused(
            "is a broadcast queue: its workers listen to a channel, and no worker would ever take a \
             message from a list of that name",
        );
    }
    let stock = known(environment, connection, queue).await?;
    match stock.foreign.first() {
        Some((key, kind)) => refused(&format!("has a {kind} at `{}`", key.escape_debug())),
        None => Ok(stock),
    }
}

/// The same message for another queue: its way back leads there, its delivery tag is a new one, and
/// every other byte is what it was. `None` where it is no message that could be rewritten.
pub(super) fn readdressed(raw: &[u8], queue: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(raw).ok()?;
    let properties = member(text, "properties")?;
    let way_back = json!({ "exchange": "", "routing_key": queue }).to_string();
    let tag = json!(uuid::Uuid::new_v4().to_string()).to_string();
    let inner = &text[properties.clone()];
    let edits = [("delivery_info", way_back), ("delivery_tag", tag)];
    let mut edits: Vec<_> = edits
        .into_iter()
        .map(|(name, value)| Some((member(inner, name)?, value)))
        .collect::<Option<_>>()?;
    // Backwards, so that places before stay what they are.
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let mut rewritten = inner.to_owned();
    for (place, value) in edits {
        rewritten.replace_range(place, &value);
    }
    let mut message = text.to_owned();
    message.replace_range(properties, &rewritten);
    Some(message.into_bytes())
}

/// Where the value of a member stands; the last one, as Python believes.
fn member(object: &str, name: &str) -> Option<Range<usize>> {
    let members = json::members(object).ok()?;
    let (_, value) = members.iter().rev().find(|(known, _)| known == name)?;
    let start = value.as_ptr() as usize - object.as_ptr() as usize;
    Some(start..start + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn only_the_way_back_and_the_tag_change() {
        let before = r#"{"body": "W10=",  "n": [NaN, 1e400, 123456789012345678901234567890],
            "headers": {"id": "é\ud800", "delivery_tag": "not this"}, "properties":
            {"a": {}, "delivery_info": {"exchange": "x", "routing_key": "y"},  "b": [ ],
            "delivery_tag": "old"}, "e": ""}"#;
        let after = readdressed(before.as_bytes(), "q\"1").unwrap();
        let message = Message::from_envelope(&after).unwrap();
        assert_eq!(message.delivery_info("routing_key"), Some("q\"1"));
        assert_eq!(message.delivery_info("exchange"), Some(""));
        let tag = message.properties["delivery_tag"].as_str().unwrap();
        let back = String::from_utf8(after).unwrap().replace(tag, "old");
        let back = back.replace(
            r#"{"exchange":"","routing_key":"q\"1"}"#,
            r#"{"exchange": "x", "routing_key": "y"}"#,
        );
        assert_eq!(back, before);
    }

    #[test]
    fn what_is_no_message_is_not_rewritten() {
        for raw in [&b"{\"order\": 5}"[..], b"\xff", b"[]", b"{\"properties\": {}}"] {
            assert_eq!(readdressed(raw, "q"), None);
        }
    }
}
