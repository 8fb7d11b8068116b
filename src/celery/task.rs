//! Task messages, protocol 1 and 2 and what lies between (`celery/app/amqp.py`,
//! `celery/worker/strategy.py`).
//!
//! Every element of a queue becomes a [`TaskMessage`], also one that is none: a person must see it
//! to remove it, and it says in words what a worker would do with it.

use super::{display, instant, json_body, text};
use crate::json;
use crate::message::Message;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What a task message says. Arguments are the very text that travelled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskMessage {
    /// The task's id; empty where the message has none.
    pub uuid: String,
    /// Registered name; empty where the message has none.
    pub name: String,
    /// `argsrepr`, else the JSON text cut to display length.
    pub args: Option<String>,
    /// Likewise for `kwargs`.
    pub kwargs: Option<String>,
    /// Exact JSON text; absent where the serializer is another one.
    pub args_json: Option<String>,
    /// Exact JSON text.
    pub kwargs_json: Option<String>,
    /// Retries so far.
    pub retries: u64,
    /// ISO 8601.
    pub eta: Option<String>,
    /// ISO 8601.
    pub expires: Option<String>,
    /// First task of the workflow.
    pub root_id: Option<String>,
    /// Task that sent this one; the task itself after a retry.
    pub parent_id: Option<String>,
    /// Group id.
    pub group_id: Option<String>,
    /// As the message carries it.
    pub priority: Option<i64>,
    /// `properties.delivery_tag`.
    pub delivery_tag: Option<String>,
    /// `properties.delivery_info.routing_key`.
    pub routing_key: Option<String>,
    /// It was delivered before.
    pub redelivered: bool,
    /// `gen<pid>@<host>` of the sender.
    pub origin: Option<String>,
    /// Bytes of the element as the broker holds it.
    pub bytes: usize,
    /// Headers as text.
    pub headers_json: String,
    /// Properties as text.
    pub properties_json: String,
    /// Content type of the body.
    pub content_type: String,
    /// Callbacks, errbacks, chain and chord as text, where the body has them.
    pub embed_json: Option<String>,
    /// Why the arguments could not be read: another serializer or compression, broken text.
    pub undecodable: Option<String>,
    /// What is wrong with the message and what a worker does with such a one; one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poison: Vec<String>,
}

/// What a Celery 5.7 worker was seen to do with a message that is not as it should be.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Discarded,
    Lost,
    CrashLoop,
    Fails,
    Unreported,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::Discarded => "a worker will discard it",
            Fate::Lost => "a worker that takes it drops its connection, and the message is lost",
            Fate::CrashLoop => "a worker that takes it stops, gets it back, and stops again",
            Fate::Fails => "a worker will fail it",
            Fate::Unreported => "it will run, and its end is never reported",
        })
    }
}

impl TaskMessage {
    /// Reads one element of a queue, whatever it is.
    pub fn from_element(raw: &[u8]) -> TaskMessage {
        match Message::from_envelope(raw) {
            Ok(message) => TaskMessage::from_message(&message),
            Err(error) => {
                let mut task = TaskMessage { bytes: raw.len(), ..TaskMessage::default() };
                task.undecodable = Some(error.to_string());
                task.warn("not a message", Fate::Lost);
                task
            }
        }
    }

    /// Reads a message.
    pub fn from_message(message: &Message) -> TaskMessage {
        let properties = &message.properties;
        let redelivered = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
        let delivery_info = properties.get("delivery_info");
        let mut task = TaskMessage {
            bytes: message.bytes,
            headers_json: message.headers_json.clone(),
            properties_json: message.properties_json.clone(),
            content_type: message.body.content_type.clone(),
            priority: properties.get("priority").and_then(Value::as_i64),
            delivery_tag: properties.get("delivery_tag").and_then(text),
            routing_key: message.delivery_info("routing_key").map(str::to_owned),
            redelivered: redelivered(message.headers.get("redelivered"))
                || redelivered(delivery_info.and_then(|info| info.get("redelivered"))),
            ..TaskMessage::default()
        };
        task.check_delivery(message);
        match Body::read(message) {
            Ok(body) => task.describe(message, &body),
            Err(why) => {
                task.undecodable = Some(why);
                task.describe(message, &Body::Unread);
            }
        }
        task
    }

    /// Callbacks, errbacks, chain and chord as text; `None` where it has none of them.
    pub fn links(&self) -> Option<&str> {
        let links = self.embed_json.as_deref()?;
        let members = json::members(links).unwrap_or_default();
        members.iter().any(|(_, link)| !matches!(*link, "null" | "[]")).then_some(links)
    }

    /// Without a tag or a way back kombu cannot even take the message.
    fn check_delivery(&mut self, message: &Message) {
        for property in ["delivery_tag", "delivery_info"] {
            if !message.properties.contains_key(property) {
                self.warn(format_args!("no `{property}`"), Fate::Lost);
            }
        }
    }

    fn describe(&mut self, message: &Message, body: &Body<'_>) {
        if !message.headers.contains_key("task") && body.member("task").is_none() {
            if self.undecodable.is_none() || message.headers.is_empty() {
                self.warn("not a Celery message", Fate::Discarded);
            }
            return;
        }
        let fields = Fields { message, body };
        self.name = fields.text("task").unwrap_or_default();
        self.uuid = fields.text("id").unwrap_or_default();
        self.retries = fields.get("retries").and_then(|value| value.as_u64()).unwrap_or_default();
        self.eta = fields.text("eta").filter(|eta| !eta.is_empty());
        self.expires = fields.text("expires").filter(|expires| !expires.is_empty());
        self.root_id = fields.text("root_id");
        self.parent_id = fields.text("parent_id");
        self.group_id = fields.text("taskset").or_else(|| fields.text("group"));
        self.origin = fields.text("origin");
        self.args_json = body.args().map(str::to_owned);
        self.kwargs_json = body.kwargs().map(str::to_owned);
        self.embed_json = body.embed();
        self.args = fields.text("argsrepr").or_else(|| body.args().map(display));
        self.kwargs = fields.text("kwargsrepr").or_else(|| body.kwargs().map(display));
        self.check(&fields);
    }

    /// The poison table: what was seen to stop a worker, or to vanish in one.
    fn check(&mut self, fields: &Fields<'_>) {
        match fields.get("id") {
            Some(Value::String(id)) if !id.is_empty() => {}
            None | Some(Value::Null | Value::String(_)) => self.warn("no `id`", Fate::CrashLoop),
            Some(_) => self.warn("`id` is no text", Fate::Unreported),
        }
        if self.content_type.is_empty() {
            self.warn("no content type", Fate::CrashLoop);
        }
        match fields.body {
            Body::Three([_, kwargs, _]) if !kwargs.starts_with('{') => {
                self.warn("`kwargs` is no object", Fate::Fails);
            }
            Body::Other(count) => {
                let what = format_args!("the body has {count} elements, not 3");
                self.warn(what, Fate::CrashLoop);
            }
            Body::Three(_) | Body::Object(_) | Body::Unread => {}
        }
        for name in ["eta", "expires"] {
            self.check_time(name, fields.get(name));
        }
        if let Some(limits) = fields.get("timelimit").filter(|limits| !limits.is_null())
            && limits.as_array().is_none_or(|limits| limits.len() != 2)
        {
            self.warn("`timelimit` is no pair", Fate::CrashLoop);
        }
        if fields.get("stamps").is_some_and(|stamps| !stamps.is_object() && !stamps.is_null()) {
            self.warn("`stamps` is no object", Fate::Unreported);
        }
        let names = fields.get("stamped_headers");
        if names.is_some_and(|names| !names.is_array() && !names.is_null()) {
            self.warn("`stamped_headers` is no list", Fate::Unreported);
        }
    }

    fn check_time(&mut self, name: &str, value: Option<Value>) {
        const FIRST: f64 = 0.0;
        const AFTER: f64 = 253_370_764_800.0; // the year 9999 begins
        match value {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {
                self.warn(format_args!("`{name}` is empty"), Fate::CrashLoop);
            }
            Some(Value::String(text)) => match instant(&text) {
                Some(at) if (FIRST..AFTER).contains(&at) => {}
                None if text.trim_end_matches('Z').parse::<DateTime>().is_err() => {
                    self.warn(format_args!("`{name}` is no time"), Fate::Discarded);
                }
                _ => self.warn(format_args!("`{name}` is out of range"), Fate::Fails),
            },
            Some(_) => self.warn(format_args!("`{name}` is no time"), Fate::Discarded),
        }
    }

    fn warn(&mut self, what: impl fmt::Display, fate: Fate) {
        self.poison.push(format!("{what}: {fate}"));
    }
}

/// The body as the slices it is made of.
enum Body<'a> {
    /// Protocol 2: `[args, kwargs, embed]`.
    Three([&'a str; 3]),
    /// Protocol 1 and hybrids: everything, or the arguments, in one object.
    Object(Vec<(String, &'a str)>),
    /// An array of another length.
    Other(usize),
    /// Another serializer or broken.
    Unread,
}

impl<'a> Body<'a> {
    fn read(message: &'a Message) -> Result<Body<'a>, String> {
        let text =
            std::str::from_utf8(json_body(&message.body)?).map_err(|error| error.to_string())?;
        if text.trim_start().starts_with('[') {
            let elements = json::elements(text)?;
            let count = elements.len();
            return Ok(elements.try_into().map_or(Body::Other(count), Body::Three));
        }
        json::members(text).map(Body::Object)
    }

    /// The last of that name, as Python believes.
    fn member(&self, name: &str) -> Option<&'a str> {
        match self {
            Body::Object(members) => {
                members.iter().rev().find(|(member, _)| member == name).map(|(_, value)| *value)
            }
            _ => None,
        }
    }

    fn args(&self) -> Option<&'a str> {
        match self {
            Body::Three([args, ..]) => Some(args),
            _ => self.member("args"),
        }
    }

    fn kwargs(&self) -> Option<&'a str> {
        match self {
            Body::Three([_, kwargs, _]) => Some(kwargs),
            _ => self.member("kwargs"),
        }
    }

    fn embed(&self) -> Option<String> {
        match self {
            Body::Three([.., embed]) => Some((*embed).to_owned()),
            Body::Object(_) => {
                let links: Vec<_> = ["callbacks", "errbacks", "chord"]
                    .iter()
                    .filter_map(|link| Some(format!("\"{link}\": {}", self.member(link)?)))
                    .collect();
                (!links.is_empty()).then(|| format!("{{{}}}", links.join(", ")))
            }
            Body::Other(_) | Body::Unread => None,
        }
    }
}

/// The fields of a message: headers (protocol 2), then the body's own (protocol 1, hybrids).
struct Fields<'a> {
    message: &'a Message,
    body: &'a Body<'a>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.message.headers.get(name) {
            return Some(value.clone());
        }
        json::value(self.body.member(name)?.as_bytes()).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).as_ref().and_then(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(headers: Value, body: &str) -> Message {
        let envelope = json!({
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "delivery_tag": "d", "priority": 3,
                "delivery_info": { "exchange": "", "routing_key": "celery" },
            },
        });
        Message::from_envelope(envelope.to_string().as_bytes()).unwrap()
    }

    fn headers() -> Value {
        json!({ "lang": "py", "task": "lab.add", "id": "t", "retries": 1, "eta": null,
            "expires": null, "group": "g", "timelimit": [null, null], "root_id": "r",
            "parent_id": null, "argsrepr": "(1, 2)", "kwargsrepr": "{}", "origin": "gen1@vm" })
    }

    const BODY: &str =
        r#"[[1, NaN, "\ud83d", 1000000000000000000000000000000], {"k": 1.50}, {"chain": null}]"#;

    #[test]
    fn protocol_2_keeps_the_text_of_its_arguments() {
        let task = TaskMessage::from_message(&message(headers(), BODY));
        let args = r#"[1, NaN, "\ud83d", 1000000000000000000000000000000]"#;
        assert_eq!(task.args_json.as_deref(), Some(args));
        assert_eq!(task.kwargs_json.as_deref(), Some(r#"{"k": 1.50}"#));
        assert_eq!(task.embed_json.as_deref(), Some(r#"{"chain": null}"#));
        assert_eq!((task.uuid.as_str(), task.name.as_str(), task.retries), ("t", "lab.add", 1));
        assert_eq!(task.args.as_deref(), Some("(1, 2)"));
        assert_eq!(task.group_id.as_deref(), Some("g"));
        assert_eq!((task.priority, task.routing_key.as_deref()), (Some(3), Some("celery")));
        assert_eq!(task.poison, Vec::<String>::new());
    }

    #[test]
    fn protocol_1_and_hybrids() {
        let body = r#"{"task": "lab.add", "id": "p1", "args": [1, 2.0], "kwargs": {}, "retries": 2,
            "taskset": "g", "group": null, "eta": null, "callbacks": [1], "timelimit": [null, null]}"#;
        let task = TaskMessage::from_message(&message(json!({}), body));
        assert_eq!((task.uuid.as_str(), task.name.as_str(), task.retries), ("p1", "lab.add", 2));
        assert_eq!(task.args_json.as_deref(), Some("[1, 2.0]"));
        assert_eq!(task.args.as_deref(), Some("[1, 2.0]"));
        assert_eq!(task.embed_json.as_deref(), Some(r#"{"callbacks": [1]}"#));
        assert_eq!(task.group_id.as_deref(), Some("g"));
        assert_eq!(task.poison, Vec::<String>::new());

        let hybrid = TaskMessage::from_message(&message(headers(), body));
        assert_eq!((hybrid.uuid.as_str(), hybrid.retries), ("t", 1), "headers win");
        assert_eq!(hybrid.args_json.as_deref(), Some("[1, 2.0]"));
    }

    #[test]
    fn another_serializer_leaves_the_headers() {
        let mut pickled = message(headers(), "\u{80}");
        pickled.body.content_type = "application/x-python-serialize".into();
        let task = TaskMessage::from_message(&pickled);
        assert_eq!((task.uuid.as_str(), task.args.as_deref()), ("t", Some("(1, 2)")));
        assert_eq!((task.args_json, task.poison), (None, Vec::new()));
        assert!(task.undecodable.unwrap().contains("x-python-serialize"));
    }

    #[test]
    fn f11_what_would_kill_a_worker_is_told() {
        for (header, value, fate) in [
            ("eta", json!(""), Fate::CrashLoop),
            ("expires", json!(""), Fate::CrashLoop),
            ("eta", json!("9999-12-31T23:59:59-12:00"), Fate::Fails),
            ("expires", json!("9999-12-31T23:59:59Z"), Fate::Fails),
            ("eta", json!("0001-01-01T00:00:00+14:00"), Fate::Fails),
            ("eta", json!("1969-12-31T23:59:59"), Fate::Fails),
            ("eta", json!("2026-13-45T00:00:00"), Fate::Discarded),
            ("expires", json!(60), Fate::Discarded),
            ("id", Value::Null, Fate::CrashLoop),
            ("id", json!(7), Fate::Unreported),
            ("timelimit", json!([1]), Fate::CrashLoop),
            ("stamps", json!("mine"), Fate::Unreported),
            ("stamped_headers", json!("mine"), Fate::Unreported),
        ] {
            let mut headers = headers();
            headers[header] = value.clone();
            let task = TaskMessage::from_message(&message(headers, BODY));
            let [poison] = task.poison.as_slice() else { panic!("{header} {value}: {task:?}") };
            assert!(poison.contains(header) && poison.ends_with(&fate.to_string()), "{poison}");
        }
        let body = TaskMessage::from_message(&message(headers(), "[[], {}]"));
        assert!(body.poison[0].contains("2 elements"), "{body:?}");
        let kwargs = TaskMessage::from_message(&message(headers(), "[[], [], {}]"));
        assert!(kwargs.poison[0].contains("kwargs"), "{kwargs:?}");
    }

    #[test]
    fn f48_what_is_no_celery_message_is_told() {
        let discarded = Fate::Discarded.to_string();
        for raw in [
            r#"{"order": 5}"#,
            r#"{"body": "{\"order\": 5}", "headers": {}, "properties": {}}"#,
            r#"{"body": "[1, 2, 3]", "headers": null, "content-type": "application/json"}"#,
            r#"{"body": {"order": 5}}"#,
        ] {
            let task = TaskMessage::from_element(raw.as_bytes());
            assert!(task.poison.iter().any(|why| why.ends_with(&discarded)), "{raw}: {task:?}");
            assert!(task.poison.iter().any(|why| why.contains("delivery_tag")), "{task:?}");
            assert_eq!((task.uuid.as_str(), task.bytes), ("", raw.len()));
        }
        for raw in [b"hello".as_slice(), b"[1]", b"\xff"] {
            let task = TaskMessage::from_element(raw);
            assert!(task.undecodable.is_some() && task.poison.len() == 1, "{task:?}");
        }
    }

    #[test]
    fn redelivery_is_told_by_header_or_property() {
        let mut headers = headers();
        headers["redelivered"] = true.into();
        assert!(TaskMessage::from_message(&message(headers, BODY)).redelivered);
    }
}
