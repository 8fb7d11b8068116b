//! A broker's layout: `broker_transport_options`, as far as they change names or places.
//!
//! Reads them from the configuration. What a worker itself says of them is `Broker::learn`'s.

use crate::error::{Error, Result, nearest};
use toml::{Table, Value};

/// How a broker is laid out (`kombu/transport/redis.py`, `Channel.from_transport_options`).
/// `None` is: detect it, else kombu's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// `global_keyprefix`: stands before every key and channel.
    pub global_keyprefix: Option<String>,
    /// `sep`, default `\x06\x16`.
    pub sep: Option<String>,
    /// `priority_steps`, ascending, default `[0, 3, 6, 9]`.
    pub priority_steps: Option<Vec<u8>>,
    /// `fanout_prefix`: `Some(None)` is `false`, a text replaces `/{db}.`.
    pub fanout_prefix: Option<Option<String>>,
    /// `fanout_patterns`, default true.
    pub fanout_patterns: Option<bool>,
    /// `unacked_key`, default `unacked`.
    pub unacked_key: Option<String>,
    /// `unacked_index_key`, default `unacked_index`.
    pub unacked_index_key: Option<String>,
    /// `ack_emulation`, default true; with false nobody keeps what is not acknowledged.
    pub ack_emulation: Option<bool>,
}

/// Options of kombu that we know and that change no name: a table copied from an application is no
/// mistake.
const WITHOUT_EFFECT: &[&str] = &[
    "body_encoding",
    "client_name",
    "deadletter_queue",
    "health_check_interval",
    "interval_max",
    "interval_start",
    "interval_step",
    "master_name",
    "max_connections",
    "max_retries",
    "min_other_sentinels",
    "polling_interval",
    "queue_order_strategy",
    "retry_on_timeout",
    "sentinel_fanout_compat",
    "sentinel_kwargs",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_timeout",
    "unacked_mutex_expire",
    "unacked_mutex_key",
    "unacked_restore_interval",
    "unacked_restore_limit",
    "unacked_restore_throttle",
    "visibility_timeout",
];

/// Options that [`Options`] holds.
const WITH_EFFECT: &[&str] = &[
    "ack_emulation",
    "fanout_patterns",
    "fanout_prefix",
    "global_keyprefix",
    "priority_steps",
    "sep",
    "unacked_index_key",
    "unacked_key",
];

impl Options {
    /// Reads `broker_transport_options`.
    ///
    /// # Errors
    /// [`Error::Config`] for an option that kombu does not know, or a value it could not use.
    pub fn from_table(table: &Table) -> Result<Options> {
        let mut options = Options::default();
        for (name, value) in table {
            match name.as_str() {
                "ack_emulation" => options.ack_emulation = Some(boolean(name, value)?),
                "fanout_patterns" => options.fanout_patterns = Some(boolean(name, value)?),
                "fanout_prefix" => options.fanout_prefix = fanout_prefix(name, value)?,
                "global_keyprefix" => options.global_keyprefix = Some(text(name, value)?),
                "priority_steps" => options.priority_steps = Some(steps(name, value)?),
                "sep" => options.sep = Some(filled(name, value)?),
                "unacked_index_key" => options.unacked_index_key = Some(filled(name, value)?),
                "unacked_key" => options.unacked_key = Some(filled(name, value)?),
                other if WITHOUT_EFFECT.contains(&other) => {}
                other => return Err(unknown(other)),
            }
        }
        Ok(options)
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| expected(name, "true or false", value))
}

fn text(name: &str, value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| expected(name, "a text", value))
}

fn filled(name: &str, value: &Value) -> Result<String> {
    match text(name, value)? {
        empty if empty.is_empty() => Err(refused(name, "expected a text that is not empty".into())),
        filled => Ok(filled),
    }
}

/// `true` is kombu's default; false and the empty text are no prefix.
fn fanout_prefix(name: &str, value: &Value) -> Result<Option<Option<String>>> {
    match value {
        Value::Boolean(true) => Ok(None),
        Value::Boolean(false) => Ok(Some(None)),
        Value::String(prefix) if prefix.is_empty() => Ok(Some(None)),
        Value::String(prefix) => Ok(Some(Some(prefix.clone()))),
        other => Err(expected(name, "true, false or a text", other)),
    }
}

/// kombu bisects the steps, so they must ascend.
fn steps(name: &str, value: &Value) -> Result<Vec<u8>> {
    const EXPECTED: &str = "ascending whole numbers from 0 to 255, such as [0, 3, 6, 9]";
    let read = |step: &Value| step.as_integer().and_then(|step| u8::try_from(step).ok());
    let steps: Option<Vec<u8>> =
        value.as_array().and_then(|steps| steps.iter().map(read).collect());
    match steps {
        Some(steps) if !steps.is_empty() && steps.is_sorted_by(|a, b| a < b) => Ok(steps),
        _ => Err(expected(name, EXPECTED, value)),
    }
}

fn expected(name: &str, expected: &str, found: &Value) -> Error {
    refused(name, format!("expected {expected}, found {found}"))
}

fn unknown(name: &str) -> Error {
    let known = WITH_EFFECT.iter().chain(WITHOUT_EFFECT).copied();
    let hint = nearest(name, known).map(|known| format!(", did you mean `{known}`?"));
    let hint = hint.unwrap_or_default();
    refused(name, format!("kombu knows no such option{hint}"))
}

fn refused(name: &str, reason: String) -> Error {
    Error::Config { setting: format!("broker_transport_options.{name}"), reason, position: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options> {
        Options::from_table(&text.parse().unwrap())
    }

    #[test]
    fn what_changes_names_is_read() {
        let options = read(
            r#"global_keyprefix = "app1:"
            sep = ":"
            priority_steps = [0, 1, 2]
            fanout_prefix = "/{db}-"
            fanout_patterns = false
            unacked_key = "held"
            unacked_index_key = "held_index"
            ack_emulation = false
            visibility_timeout = 43200"#,
        );
        let expected = Options {
            global_keyprefix: Some("app1:".into()),
            sep: Some(":".into()),
            priority_steps: Some(vec![0, 1, 2]),
            fanout_prefix: Some(Some("/{db}-".into())),
            fanout_patterns: Some(false),
            unacked_key: Some("held".into()),
            unacked_index_key: Some("held_index".into()),
            ack_emulation: Some(false),
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(read(""), Ok(Options::default()));
    }

    #[test]
    fn every_option_of_kombu_is_known() {
        const TABLE: &str = include_str!("../../tests/fixtures/kombu_urls.json");
        let table: serde_json::Value = serde_json::from_str(TABLE).unwrap();
        let options = table["redis_options"].as_array().unwrap();
        assert!(options.len() > 20, "{options:?}");
        for name in options.iter().map(|name| name.as_str().unwrap()) {
            let known = WITH_EFFECT.contains(&name) || WITHOUT_EFFECT.contains(&name);
            assert!(known, "kombu knows `{name}`");
        }
    }

    #[test]
    fn a_fanout_prefix_may_be_switched_off() {
        for (value, prefix) in [("true", None), ("false", Some(None)), ("''", Some(None))] {
            let options = read(&format!("fanout_prefix = {value}")).unwrap();
            assert_eq!(options.fanout_prefix, prefix, "{value}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_what_would_be_right() {
        for (table, sentence) in [
            ("global_key_prefix = 'a'", "did you mean `global_keyprefix`?"),
            ("priority_step = [0]", "did you mean `priority_steps`?"),
            ("colour = 'red'", "broker_transport_options.colour: kombu knows no such option"),
            ("sep = 5", "broker_transport_options.sep: expected a text, found 5"),
            ("sep = ''", "not empty"),
            ("priority_steps = [0, 3, 3]", "found [0, 3, 3]"),
            ("priority_steps = [0, 300]", "from 0 to 255"),
            ("priority_steps = []", "from 0 to 255"),
            ("fanout_patterns = 'no'", "expected true or false"),
            ("fanout_prefix = 1", "expected true, false or a text"),
        ] {
            let error = read(table).unwrap_err();
            assert_eq!(error.kind(), Some("config"));
            assert!(error.to_string().contains(sentence), "{table}: {error}");
        }
    }
}
