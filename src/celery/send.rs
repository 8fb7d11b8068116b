//! A task on its way out: message protocol 2, as Celery's own client writes it
//! (`celery/app/amqp.py`, `as_task_v2`), and the `task-sent` event that may go with it.
//!
//! A message that is not as it should be can stop the worker that takes it (`docs/celery.md`), so
//! there is no other way to make one. Arguments are spliced as the text they came in.

use super::saferepr;
use crate::json;
use crate::message::{self, Message};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A body without links.
const NO_LINKS: &str = r#"{"callbacks": null, "errbacks": null, "chain": null, "chord": null}"#;

/// Headers that Celery gives a meaning to. `stamps` and `stamped_headers` are the caller's own.
const OWN_HEADERS: [&str; 20] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "redelivered",
    "compression",
    "celery_beat_task",
];

/// What a body holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// JSON texts: an array, an object, and the links (`None`: there are none).
    Json {
        /// Positional arguments.
        args: String,
        /// Keyword arguments.
        kwargs: String,
        /// callbacks, errbacks, chain and chord.
        embed: Option<String>,
    },
    /// What is not read here, as it was found.
    Verbatim {
        /// Decompressed where there is no `compression`.
        bytes: Vec<u8>,
        /// e.g. `application/x-python-serialize`.
        content_type: String,
        /// e.g. `binary`.
        content_encoding: String,
        /// The header of that name.
        compression: Option<String>,
    },
}

/// A task to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// Registered name.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// What it is called with.
    pub body: Body,
    /// As others are to see its arguments; Celery's own repr where `None`.
    pub argsrepr: Option<String>,
    /// Likewise.
    pub kwargsrepr: Option<String>,
    /// As others are to see its name.
    pub shadow: Option<String>,
    /// Not before.
    pub eta: Option<Timestamp>,
    /// Not after.
    pub expires: Option<Timestamp>,
    /// Hard and soft time limit in seconds, as JSON.
    pub timelimit: [Value; 2],
    /// First task of its workflow; itself where `None`.
    pub root_id: Option<String>,
    /// What sent it.
    pub parent_id: Option<String>,
    /// No result is to be stored.
    pub ignore_result: Option<bool>,
    /// 0 to 9.
    pub priority: Option<u8>,
    /// Headers of the caller's own, each a name and JSON text.
    pub headers: Vec<(String, String)>,
    /// The queue, by the default exchange.
    pub queue: String,
}

impl Sending {
    /// A task without options.
    pub fn new(name: &str, uuid: &str, queue: &str, body: Body) -> Self {
        Sending {
            name: name.into(),
            uuid: uuid.into(),
            body,
            argsrepr: None,
            kwargsrepr: None,
            shadow: None,
            eta: None,
            expires: None,
            timelimit: [Value::Null, Value::Null],
            root_id: None,
            parent_id: None,
            ignore_result: None,
            priority: None,
            headers: Vec::new(),
            queue: queue.into(),
        }
    }

    /// The message. `now` is what expiry is reckoned from.
    pub fn message(&self, now: Timestamp) -> Message {
        let (bytes, content_type, content_encoding) = match &self.body {
            Body::Json { args, kwargs, embed } => {
                let embed = embed.as_deref().unwrap_or(NO_LINKS);
                let body = format!("[{args}, {kwargs}, {embed}]").into_bytes();
                (body, "application/json", "utf-8")
            }
            Body::Verbatim { bytes, content_type, content_encoding, .. } => {
                (bytes.clone(), content_type.as_str(), content_encoding.as_str())
            }
        };
        let properties = self.properties(now);
        Message {
            headers_json: self.headers(),
            properties_json: properties.to_string(),
            properties: properties.as_object().cloned().unwrap_or_default(),
            body: message::Body { bytes, content_type: content_type.into(), undecodable: None },
            content_encoding: content_encoding.into(),
            ..Message::default()
        }
    }

    /// The event that a client sends where the application has `task_send_sent_event`.
    pub fn event(&self, exchange: &str, now: Timestamp, utcoffset: f64) -> Message {
        let mut event = Map::new();
        let seconds = now.as_duration().as_secs_f64();
        let (args, kwargs) = self.reprs();
        for (name, value) in [
            ("hostname", origin().into()),
            ("utcoffset", utcoffset.into()),
            ("pid", std::process::id().into()),
            // Clients never synchronize their clocks.
            ("clock", 1.into()),
            ("uuid", self.uuid.as_str().into()),
            ("root_id", self.root_id().into()),
            ("parent_id", self.parent_id.clone().into()),
            ("name", self.name.as_str().into()),
            ("args", args.into()),
            ("kwargs", kwargs.into()),
            ("retries", 0.into()),
            ("eta", self.eta.map(iso).into()),
            ("expires", self.expires.map(iso).into()),
            ("queue", self.queue.as_str().into()),
            ("exchange", "".into()),
            ("routing_key", self.queue.as_str().into()),
            ("timestamp", seconds.into()),
            ("type", "task-sent".into()),
        ] {
            event.insert(name.into(), value);
        }
        let mut message = Message::json(&event.into(), exchange, "task.sent");
        message.set_property("delivery_mode", 1.into());
        message.headers_json = json!({ "hostname": origin() }).to_string();
        message
    }

    fn headers(&self) -> String {
        let (argsrepr, kwargsrepr) = self.reprs();
        let own = json!({
            "lang": "py", "task": self.name, "id": self.uuid, "shadow": self.shadow,
            "eta": self.eta.map(iso), "expires": self.expires.map(iso),
            "group": null, "group_index": null, "retries": 0, "timelimit": self.timelimit,
            "root_id": self.root_id(), "parent_id": self.parent_id,
            "argsrepr": argsrepr, "kwargsrepr": kwargsrepr, "origin": origin(),
            "ignore_result": self.ignore_result, "replaced_task_nesting": 0,
            "stamped_headers": null, "stamps": {},
        });
        let own = own.as_object().into_iter().flatten();
        let mut headers: Vec<(String, String)> =
            own.map(|(name, value)| (name.clone(), value.to_string())).collect();
        let compression = match &self.body {
            Body::Verbatim { compression: Some(compression), .. } => {
                Some(("compression".to_owned(), Value::from(compression.as_str()).to_string()))
            }
            _ => None,
        };
        for (name, value) in self.headers.iter().cloned().chain(compression) {
            match headers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, ours)) => *ours = value,
                None => headers.push((name, value)),
            }
        }
        let members =
            headers.iter().map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    }

    fn properties(&self, now: Timestamp) -> Value {
        let mut properties = json!({
            "correlation_id": self.uuid, "reply_to": reply_to(), "delivery_mode": 2,
        });
        if let Some(expires) = self.expires {
            let left = expires.as_millisecond() - now.as_millisecond();
            properties["expiration"] = left.max(0).to_string().into();
        }
        properties["delivery_info"] = json!({ "exchange": "", "routing_key": self.queue });
        properties["priority"] = self.priority.unwrap_or(0).into();
        properties["body_encoding"] = "base64".into();
        properties["delivery_tag"] = uuid::Uuid::new_v4().to_string().into();
        properties
    }

    fn root_id(&self) -> &str {
        self.root_id.as_deref().unwrap_or(&self.uuid)
    }

    fn reprs(&self) -> (String, String) {
        let of = |given: &Option<String>, ours: fn(&str) -> String, text: Option<&String>| {
            given.clone().or_else(|| text.map(|text| ours(text))).unwrap_or_default()
        };
        let (args, kwargs) = match &self.body {
            Body::Json { args, kwargs, .. } => (Some(args), Some(kwargs)),
            Body::Verbatim { .. } => (None, None),
        };
        (of(&self.argsrepr, saferepr::args, args), of(&self.kwargsrepr, saferepr::kwargs, kwargs))
    }
}

/// Whether a header may be the caller's own (F19).
///
/// # Errors
/// A sentence: Celery gives it a meaning, and a worker would stumble over another one.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let own = OWN_HEADERS.contains(&name);
    let begins = |bracket: char| value.starts_with(bracket);
    match name {
        "stamps" if !begins('{') => {
            Err("`stamps` is an object: a worker that takes anything else \
            never reports the task's end"
                .into())
        }
        "stamped_headers" if !begins('[') => {
            Err("`stamped_headers` is a list: a worker that takes \
            anything else never reports the task's end"
                .into())
        }
        _ if own => Err(format!("the header `{name}` is Celery's own")),
        _ => Ok(()),
    }
}

/// Celery's own headers aside, those that a message carries, as their JSON text. Stamps are those
/// of its workflow, where it has any.
pub fn custom_headers(headers_json: &str) -> Vec<(String, String)> {
    let members = json::members(headers_json).unwrap_or_default().into_iter();
    let custom = members.filter(|(name, value)| {
        let unstamped = name == "stamps" && *value == "{}";
        let ours = OWN_HEADERS.contains(&name.as_str()) || unstamped;
        !ours && *value != "null" && !is_death(name)
    });
    custom.map(|(name, value)| (name, value.to_owned())).collect()
}

/// What a broker wrote when it gave a message up.
fn is_death(name: &str) -> bool {
    name == "x-death" || name.starts_with("x-first-death-") || name == "x-delivery-count"
}

/// The members of an object that was looked over, each as its text; of a name that stands twice, the
/// last, as Python has it.
pub fn members(text: &str) -> BTreeMap<String, String> {
    let members = json::members(text).unwrap_or_default().into_iter();
    members.map(|(name, value)| (name, value.to_owned())).collect()
}

/// Looks over the text of arguments: `args` are an array, keyword arguments an object.
///
/// # Errors
/// What is wrong, and where.
pub fn check_arguments(text: &str, args: bool) -> Result<(), json::Mistake> {
    json::check(text, args)
}

/// The moment of so many Unix seconds, if a worker can reckon with it in every time zone (F11).
pub fn moment(seconds: f64) -> Option<Timestamp> {
    const AFTER: f64 = 253_370_764_800.0; // the year 9999 begins
    if !(0.0..AFTER).contains(&seconds) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // within the years above
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

/// ISO 8601 as Python writes it.
pub fn iso(time: Timestamp) -> String {
    let format = if time.subsec_nanosecond() / 1000 == 0 { "%FT%T" } else { "%FT%T%.6f" };
    format!("{}+00:00", time.strftime(format))
}

/// `gen<pid>@<host>`, as every client that is no worker calls itself.
fn origin() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("gen{}@{host}", std::process::id())
}

/// Where a result would be sent to by the backend that sends results: one name for this process,
/// which nobody reads.
fn reply_to() -> &'static str {
    static OURS: OnceLock<String> = OnceLock::new();
    OURS.get_or_init(|| uuid::Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::TaskMessage;

    fn sending() -> Sending {
        let args = r#"[1, 1.50, 1000000000000000000000000000000, "\ud83d", NaN]"#.to_owned();
        let body = Body::Json { args, kwargs: r#"{"k" : 1E2}"#.into(), embed: None };
        Sending::new("lab.add", "t", "celery", body)
    }

    fn read(message: &Message) -> TaskMessage {
        TaskMessage::from_element(&message.to_envelope())
    }

    #[test]
    fn arguments_travel_byte_for_byte() {
        let task = read(&sending().message(Timestamp::UNIX_EPOCH));
        let args = r#"[1, 1.50, 1000000000000000000000000000000, "\ud83d", NaN]"#;
        assert_eq!(task.args_json.as_deref(), Some(args));
        assert_eq!(task.kwargs_json.as_deref(), Some(r#"{"k" : 1E2}"#));
        assert_eq!(task.embed_json.as_deref(), Some(NO_LINKS));
        assert_eq!(task.kwargs.as_deref(), Some("{'k': 100.0}"));
        assert_eq!((task.poison, task.undecodable), (Vec::new(), None));
        assert_eq!((task.uuid.as_str(), task.root_id.as_deref()), ("t", Some("t")));
    }

    #[test]
    fn a_body_that_is_not_read_stays_what_it_is() {
        let pickled = Body::Verbatim {
            bytes: vec![0x80, 4, 0xff],
            content_type: "application/x-python-serialize".into(),
            content_encoding: "binary".into(),
            compression: Some("application/x-bz2".into()),
        };
        let mut task = Sending { body: pickled, ..sending() };
        task.argsrepr = Some("({1, 2},)".into());
        let message = Message::from_envelope(&task.message(Timestamp::now()).to_envelope());
        let message = message.unwrap();
        assert_eq!(message.body.bytes, [0x80, 4, 0xff]);
        assert_eq!(message.headers["compression"], "application/x-bz2");
        assert_eq!(message.content_encoding, "binary");
        assert_eq!(TaskMessage::from_message(&message).args.as_deref(), Some("({1, 2},)"));
    }

    #[test]
    fn f11_times_are_written_as_python_writes_them() {
        let time: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(iso(time), "2030-01-01T00:00:00+00:00");
        let time: Timestamp = "2030-01-01T00:00:00.0420009Z".parse().unwrap();
        assert_eq!(iso(time), "2030-01-01T00:00:00.042000+00:00");
        let mut task = sending();
        task.expires = Some(time);
        let now = "2030-01-01T00:00:10Z".parse().unwrap();
        let expiration = |now| read(&task.message(now)).properties_json;
        assert!(expiration(now).contains(r#""expiration":"0""#), "never below nothing");
    }

    #[test]
    fn f19_headers_that_a_worker_would_stumble_over_are_refused() {
        for (name, value) in [
            ("stamps", "\"mine\""),
            ("stamped_headers", "{}"),
            ("retries", "7"),
            ("id", "7"),
            ("timelimit", "[1]"),
            ("eta", "\"\""),
        ] {
            assert!(check_header(name, value).is_err(), "{name}");
        }
        for (name, value) in [("stamps", "{}"), ("stamped_headers", "[]"), ("tenant", "7")] {
            assert_eq!(check_header(name, value), Ok(()));
        }
        let found = r#"{"id": "x", "retries": 3, "tenant": 1.50, "x-death": [], "stamps": null}"#;
        assert_eq!(custom_headers(found), [("tenant".to_owned(), "1.50".to_owned())]);
        let task = Sending { headers: custom_headers(found), ..sending() };
        let message = task.message(Timestamp::now());
        assert!(message.headers_json.contains(r#""tenant": 1.50"#), "{}", message.headers_json);
    }
}
