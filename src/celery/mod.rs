//! How Celery speaks: events, remote control, task messages, stored results.
//!
//! Turns [`crate::message::Message`]s into Celery's words and back. Must not know brokers, state,
//! or clocks; a thing that cannot be decoded is answered as such, for the caller to count.

pub mod control;
pub mod event;
pub mod literal;
#[cfg(test)]
mod recorded;
pub mod result;
mod saferepr;
pub mod send;
pub mod task;
pub mod traceback;

pub use event::Event;
pub use result::TaskMeta;
pub use task::TaskMessage;

use crate::message::Body;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Characters of an argument or result that a row shows, as many as Celery's own reprs keep.
const DISPLAY_LENGTH: usize = 1024;

/// Unix seconds of an ISO 8601 time as Celery writes it. Without an offset it is UTC: what
/// `date_done` was up to 5.3, and what `eta` means to an application that does not set `timezone`.
pub fn instant(text: &str) -> Option<f64> {
    let since_epoch: SignedDuration = match text.parse::<Timestamp>() {
        Ok(instant) => instant.as_duration(),
        Err(_) => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?.as_duration(),
    };
    Some(since_epoch.as_secs_f64())
}

/// Whether a repr of Celery's may be shortened: `saferepr` writes `...`, also inside of quotes,
/// where nothing tells it from a true value. Our own cut ends in `…`.
pub fn may_be_cut(repr: &str) -> bool {
    repr.contains("...") || repr.ends_with('…')
}

/// A body that holds JSON, or the sentence why it cannot be read. Without a content
/// type Celery's own consumers would not guess; we do, to show what is there.
fn json_body(body: &Body) -> Result<&[u8], String> {
    match (&body.undecodable, body.content_type.as_str()) {
        (Some(why), _) => Err(why.clone()),
        (None, "" | "application/json") => Ok(&body.bytes),
        (None, other) => Err(format!("cannot decode {other}")),
    }
}

/// Text as it is, anything else but null as its JSON: an id or a signal may be a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A text as a row shows it.
pub fn display(text: &str) -> String {
    match text.char_indices().nth(DISPLAY_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_offset_are_utc() {
        for text in [
            "2026-11-24T04:45:04.790424+00:00",
            "2026-11-24T04:45:04.790424",
            "2026-11-24T04:45:04.790424Z",
            "2026-11-24T10:15:04.790424+05:30",
            "2026-11-24 04:45:04.790424",
        ] {
            assert_eq!(instant(text), Some(1_795_495_504.790424), "{text}");
        }
        for text in ["", "soon", "2026-13-45T00:00:00", "1795495504"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn f01_a_repr_may_be_cut_inside_of_quotes() {
        for cut in ["('aaa...',)", "({'a': [{...}]},)", "('wait...',)", "[1, 2…"] {
            assert!(may_be_cut(cut), "{cut}");
        }
        assert!(!may_be_cut("(1, 2)"));
        assert!(may_be_cut(&display(&"é".repeat(2000))));
        assert_eq!(display("short"), "short");
    }
}
