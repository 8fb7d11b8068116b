//! A message that is put into another queue than it came from belongs there: its way back leads there.

use crate::json;
use serde_json::json;
use std::ops::Range;

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
