//! A task as lists show it. Field names are the protocol; absent facts are absent members.

use super::{Fact, Place, Task, Times};
use crate::celery::may_be_cut;
use crate::state::observation::seconds::from_micros;
use crate::state::record::{Cell, Record};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Reprs at least this long were cut by Celery, whatever they look like.
const CUT_LENGTH: usize = 1000;

/// Whose worker went while the task ran.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Orphaned<'a> {
    /// Its host name.
    pub worker: &'a str,
    /// When we noticed (Unix seconds).
    pub since: f64,
}

/// When what happened to one attempt (Unix seconds, by the clock of who told).
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct TimesRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<f64>,
}

/// A row of `task/list`. Times are Unix seconds: `seen` by our clock, others by their sender's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct TaskRow<'a> {
    pub key: &'a str,
    pub uuid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<&'a str>,
    pub seen: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<f64>,
    #[serde(flatten)]
    pub times: TimesRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<Orphaned<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried_as: Option<&'a str>,
}

impl Times {
    pub(super) fn row(&self) -> TimesRow {
        TimesRow {
            received: value(&self.received),
            started: value(&self.started),
            succeeded: value(&self.succeeded),
            failed: value(&self.failed),
            retried: value(&self.retried),
            revoked: value(&self.revoked),
            rejected: value(&self.rejected),
        }
    }
}

impl Task {
    /// The row of `task/list`. `max_retries` is what a worker registered for its name. Links to other
    /// tasks are known outside of the record.
    pub fn row(&self, max_retries: Option<u64>) -> TaskRow<'_> {
        let run = &self.current;
        TaskRow {
            key: &self.uuid,
            uuid: &self.uuid,
            name: text(&self.name),
            state: run.state.as_str(),
            place: self.place,
            args: text(&self.args),
            kwargs: text(&self.kwargs),
            args_cut: [&self.args, &self.kwargs].into_iter().flatten().any(is_cut),
            queue: text(&self.queue),
            worker: text(&run.worker),
            seen: from_micros(self.seen),
            sent: value(&self.sent),
            times: run.times.row(),
            finished: run.finished(),
            eta: value(&self.eta),
            expires: value(&self.expires),
            runtime: value(&run.runtime),
            retries: value(&run.retries),
            max_retries,
            progress: run.progress.as_ref(),
            result: text(&run.result),
            exception: text(&run.exception),
            root_id: text(&self.root_id),
            parent_id: text(&self.parent_id),
            group_id: text(&self.group_id),
            ended: self.ended_unknown.then_some("unknown"),
            orphaned: self
                .orphaned
                .as_ref()
                .map(|(worker, since)| Orphaned { worker, since: from_micros(*since) }),
            retry_of: None,
            retried_as: None,
        }
    }

    /// What views draw instead of the state, where that is another word.
    pub fn drawn(&self) -> Option<&'static str> {
        if self.orphaned.is_some() {
            Some("ORPHANED")
        } else if self.place == Some(Place::Scheduled) {
            Some("SCHEDULED")
        } else {
            None
        }
    }
}

impl Record for Task {
    fn key(&self) -> &str {
        &self.uuid
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        let run = &self.current;
        let times = &run.times;
        let number = |number: Option<f64>| number.map(Cell::Number);
        match name {
            "seen" => number(Some(from_micros(self.seen))),
            "uuid" => Some(Cell::Text(&self.uuid)),
            "state" => Some(Cell::Text(run.state.as_str())),
            "drawn" => self.drawn().map(Cell::Text),
            "place" => self.place.map(|place| Cell::Text(place.as_str())),
            "name" => text(&self.name).map(Cell::Text),
            "args" => text(&self.args).map(Cell::Text),
            "kwargs" => text(&self.kwargs).map(Cell::Text),
            "queue" => text(&self.queue).map(Cell::Text),
            "worker" => text(&run.worker).map(Cell::Text),
            "result" => text(&run.result).map(Cell::Text),
            "exception" => text(&run.exception).map(Cell::Text),
            "root_id" => text(&self.root_id).map(Cell::Text),
            "parent_id" => text(&self.parent_id).map(Cell::Text),
            "group_id" => text(&self.group_id).map(Cell::Text),
            "sent" => number(value(&self.sent)),
            "received" => number(value(&times.received)),
            "started" => number(value(&times.started)),
            "succeeded" => number(value(&times.succeeded)),
            "failed" => number(value(&times.failed)),
            "retried" => number(value(&times.retried)),
            "revoked" => number(value(&times.revoked)),
            "rejected" => number(value(&times.rejected)),
            "finished" => number(run.finished()),
            "eta" => number(value(&self.eta)),
            "expires" => number(value(&self.expires)),
            "runtime" => number(value(&run.runtime)),
            "retries" => number(value(&run.retries).map(|retries| retries as f64)),
            _ => None,
        }
    }
}

/// A repr from which something was left out. Celery cuts *inside* values and below the third
/// level, so what is left is still valid Python.
fn is_cut(repr: &Fact<String>) -> bool {
    may_be_cut(&repr.value) || repr.value.len() >= CUT_LENGTH
}

pub(super) fn text<T: AsRef<str>>(fact: &Option<Fact<T>>) -> Option<&str> {
    fact.as_ref().map(|fact| fact.value.as_ref())
}

pub(super) fn value<T: Copy>(fact: &Option<Fact<T>>) -> Option<T> {
    fact.as_ref().map(|fact| fact.value)
}
