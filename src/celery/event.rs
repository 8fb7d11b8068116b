//! Events, as workers and clients publish them to the `celeryev` exchange (`celery/events/`).
//!
//! [`Event`] reads and writes the JSON object that Celery itself publishes, so a recording can be
//! written by hand. [`decode`] reads a message of one or many; a bad one never harms its
//! neighbours. Anybody can publish to that exchange: only `worker-*` and `task-*` with what makes
//! them usable are events, everything else is told as bad, to be counted.

mod wire;

use super::json_body;
use crate::json;
use crate::message;
use serde_json::{Map, Value};
use std::borrow::Cow;
use wire::{Item, Items};

/// One event. Serializes to, and reads, the JSON object that Celery itself publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Node name of the worker, or `gen<pid>@<host>` for a client's `task-sent`.
    pub hostname: String,
    /// The sender's clock: Unix seconds, true UTC. `utcoffset` is ignored: Python's receivers
    /// subtract it from what is UTC already.
    pub timestamp: f64,
    /// Process id of the worker's parent; of the pool child for `Task.send_event()`.
    pub pid: Option<i64>,
    /// Lamport clock; comparable only within one (hostname, pid).
    pub clock: Option<u64>,
    /// What happened.
    pub body: Body,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `worker-*`
    Worker(WorkerEvent),
    /// `task-*`
    Task(Box<TaskEvent>),
}

/// A `worker-*` event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkerEvent {
    /// The part after `worker-`: online, heartbeat, offline, or whatever the application sends.
    pub subject: String,
    /// Seconds between two heartbeats.
    pub freq: Option<f64>,
    /// Tasks running. Absent in the answer to the `heartbeat` command.
    pub active: Option<u64>,
    /// Tasks started since the process came up.
    pub processed: Option<u64>,
    /// Load of 1, 5 and 15 minutes.
    pub loadavg: Option<[f64; 3]>,
    /// e.g. `py-celery`.
    pub sw_ident: Option<String>,
    /// e.g. `5.7.0`.
    pub sw_ver: Option<String>,
    /// e.g. `Linux`.
    pub sw_sys: Option<String>,
}

/// A `task-*` event with every field any of them carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskEvent {
    /// Which one.
    pub kind: TaskEventKind,
    /// The task's id: any text; a number is taken as its text.
    pub uuid: String,
    /// Registered name (or `shadow`).
    pub name: Option<String>,
    /// Celery's `saferepr` of the arguments: display text, never exact.
    pub args: Option<String>,
    /// Likewise.
    pub kwargs: Option<String>,
    /// Retries so far.
    pub retries: Option<u64>,
    /// ISO 8601.
    pub eta: Option<String>,
    /// ISO 8601.
    pub expires: Option<String>,
    /// First task of the workflow.
    pub root_id: Option<String>,
    /// Task that sent this one; the task itself after a retry.
    pub parent_id: Option<String>,
    /// `task-sent` only.
    pub queue: Option<String>,
    /// `task-sent` only.
    pub exchange: Option<String>,
    /// `task-sent` only.
    pub routing_key: Option<String>,
    /// Repr of the result.
    pub result: Option<String>,
    /// Seconds.
    pub runtime: Option<f64>,
    /// Repr of the exception.
    pub exception: Option<String>,
    /// Its text.
    pub traceback: Option<String>,
    /// `task-revoked`: killed while it ran.
    pub terminated: Option<bool>,
    /// `task-revoked`: the signal, as its number or name.
    pub signum: Option<String>,
    /// `task-revoked`: it had expired.
    pub expired: Option<bool>,
    /// `task-rejected`: put back.
    pub requeue: Option<bool>,
    /// What a custom event (`task-progress` …) carries beside these; never null.
    pub extra: Map<String, Value>,
}

/// Which task event; the part after `task-`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TaskEventKind {
    /// By the client, only with `task_send_sent_event`.
    #[default]
    Sent,
    /// The worker took the message.
    Received,
    /// It runs.
    Started,
    /// It ended well.
    Succeeded,
    /// It raised.
    Failed,
    /// It will run again.
    Retried,
    /// It was revoked, terminated or had expired.
    Revoked,
    /// The message was rejected.
    Rejected,
    /// Anything an application sends; its state is the upper-cased word.
    Custom(String),
}

/// What one message held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// The events, in the order they were sent.
    pub events: Vec<Event>,
    /// One sentence for each item that is no event.
    pub bad: Vec<String>,
}

/// Reads the events of a message: one object, or a list of them (`task.multi`).
pub fn decode(body: &message::Body) -> Decoded {
    let items = match json_body(body) {
        Ok(text) => items(text).unwrap_or_else(|| mended(text)),
        Err(why) => vec![Item(Err(why))],
    };
    let mut decoded = Decoded { events: Vec::with_capacity(items.len()), bad: Vec::new() };
    for Item(item) in items {
        match item {
            Ok(event) => decoded.events.push(event),
            Err(why) => decoded.bad.push(why),
        }
    }
    decoded
}

/// What strict JSON reads, as it does nearly always.
fn items(text: &[u8]) -> Option<Vec<Item>> {
    let Items(items) = serde_json::from_str(std::str::from_utf8(text).ok()?).ok()?;
    Some(items)
}

/// A batch that strict JSON refuses, item by item, so that one odd text costs one event at most.
fn mended(text: &[u8]) -> Vec<Item> {
    let text = json::lossy(text);
    let item = |text: &str| json::parse(text.as_bytes()).unwrap_or_else(|why| Item(Err(why)));
    match json::elements(&text) {
        Ok(items) => items.into_iter().map(item).collect(),
        Err(_) => vec![item(&text)],
    }
}

impl Event {
    /// Whether a client sent it: `gen<pid>@<host>` is never a worker.
    pub fn is_from_client(&self) -> bool {
        is_client(&self.hostname)
    }
}

/// Whether a node name is a client's: `gen<pid>@<host>` (`celery/utils/nodenames.py`).
pub fn is_client(hostname: &str) -> bool {
    let pid = hostname.strip_prefix("gen").and_then(|rest| rest.split_once('@'));
    pid.is_some_and(|(pid, _)| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
}

impl TaskEventKind {
    /// The part of `type` after `task-`.
    pub fn subject(&self) -> &str {
        match self {
            TaskEventKind::Sent => "sent",
            TaskEventKind::Received => "received",
            TaskEventKind::Started => "started",
            TaskEventKind::Succeeded => "succeeded",
            TaskEventKind::Failed => "failed",
            TaskEventKind::Retried => "retried",
            TaskEventKind::Revoked => "revoked",
            TaskEventKind::Rejected => "rejected",
            TaskEventKind::Custom(subject) => subject,
        }
    }

    /// `type` as it is written.
    pub fn event_type(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            TaskEventKind::Sent => "task-sent",
            TaskEventKind::Received => "task-received",
            TaskEventKind::Started => "task-started",
            TaskEventKind::Succeeded => "task-succeeded",
            TaskEventKind::Failed => "task-failed",
            TaskEventKind::Retried => "task-retried",
            TaskEventKind::Revoked => "task-revoked",
            TaskEventKind::Rejected => "task-rejected",
            TaskEventKind::Custom(subject) => return format!("task-{subject}").into(),
        })
    }
}

impl From<&str> for TaskEventKind {
    fn from(subject: &str) -> Self {
        match subject {
            "sent" => TaskEventKind::Sent,
            "received" => TaskEventKind::Received,
            "started" => TaskEventKind::Started,
            "succeeded" => TaskEventKind::Succeeded,
            "failed" => TaskEventKind::Failed,
            "retried" => TaskEventKind::Retried,
            "revoked" => TaskEventKind::Revoked,
            "rejected" => TaskEventKind::Rejected,
            custom => TaskEventKind::Custom(custom.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(body: &str) -> message::Body {
        message::Body {
            bytes: body.as_bytes().to_vec(),
            content_type: "application/json".into(),
            undecodable: None,
        }
    }

    fn task(event: &Event) -> &TaskEvent {
        match &event.body {
            Body::Task(task) => task,
            Body::Worker(worker) => panic!("{worker:?}"),
        }
    }

    const GOOD: &str = r#"{"type":"task-started","uuid":"a","hostname":"w@h","timestamp":1.5}"#;

    #[test]
    fn one_or_many() {
        let one = decode(&message(GOOD));
        assert_eq!(one.events.len(), 1);
        assert_eq!(one, decode(&message(&format!("[{GOOD}]"))));
        assert_eq!(decode(&message("[]")), Decoded::default());
        assert_eq!(task(&one.events[0]).kind, TaskEventKind::Started);
    }

    #[test]
    fn what_is_read_is_what_celery_wrote() {
        for written in [
            json!({"type": "worker-heartbeat", "hostname": "w1@lab", "timestamp": 1795494198.9353724,
                "pid": 21150, "clock": 2, "freq": 2.0, "active": 0, "processed": 0,
                "loadavg": [2.53, 0.98, 0.42], "sw_ident": "py-celery", "sw_ver": "5.7.0",
                "sw_sys": "Linux"}),
            json!({"type": "task-sent", "hostname": "gen23152@vm", "timestamp": 1795494249.5,
                "uuid": "t", "name": "lab.add", "args": "(2, 3)", "kwargs": "{}", "retries": 0,
                "root_id": "t", "queue": "celery", "exchange": "", "routing_key": "celery"}),
            json!({"type": "task-progress", "hostname": "w1@lab", "timestamp": 1.0, "uuid": "t",
                "processed": 1, "active": "page 3"}),
        ] {
            let event: Event = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), written);
        }
    }

    #[test]
    fn f29_foreign_traffic_harms_no_neighbour() {
        let bad = [
            r#"{"type":"deploy"}"#,
            r#"{"type":"deploy-done","hostname":"h","timestamp":1}"#,
            r#"{"type":"task-audit","hostname":"w@h","timestamp":1}"#,
            r#"{"type":"worker-note","hostname":"gen7@x","timestamp":1}"#,
            r#"{"type":"worker-note","hostname":"","timestamp":1}"#,
            r#"{"type":"task-started","uuid":"a","hostname":"w@h"}"#,
            r#"{"type":7}"#,
            r#"{"type":"task-","uuid":"a","hostname":"w@h","timestamp":1}"#,
            "null",
            "true",
            "5",
            "\"x\"",
            "[1]",
            "{}",
        ];
        let batch = format!("[{GOOD},{},{GOOD}]", bad.join(","));
        let decoded = decode(&message(&batch));
        assert_eq!(decoded.events.len(), 2);
        assert_eq!(decoded.bad.len(), bad.len(), "{:#?}", decoded.bad);
        let sent = r#"{"type":"task-sent","uuid":"a","hostname":"gen7@x","timestamp":1}"#;
        let decoded = decode(&message(sent));
        assert!(decoded.events[0].is_from_client());
        for body in ["", "nope", "5", "\"x\"", "{\"type\":"] {
            assert_eq!(decode(&message(body)).bad.len(), 1, "{body}");
        }
    }

    #[test]
    fn f29_a_lone_surrogate_costs_a_character() {
        let odd = GOOD.replace("\"a\"", r#""a\ud83d""#);
        let batch = vec![GOOD; 23].join(",");
        let decoded = decode(&message(&format!("[{odd},{batch}]")));
        assert_eq!(decoded.events.len(), 24);
        assert_eq!(task(&decoded.events[0]).uuid, "a\u{fffd}");
    }

    #[test]
    fn f19_a_number_is_an_id_too() {
        let decoded = decode(&message(&GOOD.replace("\"a\"", "17")));
        assert_eq!(task(&decoded.events[0]).uuid, "17");
    }

    #[test]
    fn f58_a_number_that_json_cannot_express_is_absent() {
        let body = r#"{"type":"task-progress","uuid":"a","hostname":"w@h","timestamp":1,
            "current":NaN,"total":Infinity,"step":3}"#;
        let decoded = decode(&message(body));
        assert_eq!(task(&decoded.events[0]).extra, *json!({"step": 3}).as_object().unwrap());
        assert_eq!(task(&decoded.events[0]).kind, TaskEventKind::Custom("progress".into()));
    }

    #[test]
    fn numbers_may_be_whole_or_not() {
        let body = r#"{"type":"worker-heartbeat","hostname":"w@h","timestamp":1,"clock":7.0,
            "freq":5,"active":2.0,"processed":-1,"loadavg":[1,0.5]}"#;
        let decoded = decode(&message(body));
        let Body::Worker(worker) = &decoded.events[0].body else { panic!("{decoded:?}") };
        assert_eq!((worker.freq, worker.active, worker.processed), (Some(5.0), Some(2), None));
        assert_eq!((worker.loadavg, decoded.events[0].clock), (None, Some(7)));
    }

    #[test]
    fn signals_have_names_or_numbers() {
        for (signum, read) in [("9", "9"), ("\"SIGKILL\"", "SIGKILL")] {
            let body = GOOD.replace("\"uuid\"", &format!("\"signum\":{signum},\"uuid\""));
            let decoded = decode(&message(&body));
            assert_eq!(task(&decoded.events[0]).signum.as_deref(), Some(read));
        }
    }

    #[test]
    fn other_serializers_are_counted() {
        let content_type = "application/x-msgpack".into();
        let message = message::Body { content_type, ..message(GOOD) };
        assert_eq!(decode(&message).bad, ["cannot decode application/x-msgpack"]);
    }

    #[test]
    fn clients_are_told_from_workers() {
        assert!(is_client("gen23152@vm"));
        for worker in ["celery@gen7", "gen@x", "general@x", "gen7", "gen7x@y"] {
            assert!(!is_client(worker), "{worker}");
        }
    }
}
