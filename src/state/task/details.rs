//! A task as `task/get` shows it: all that memory holds. Field names are the protocol.

use super::row::{TimesRow, text, value};
use super::{Attempt, Entry, Envelope, Fact, Place, Source, Task, TaskRow};
use crate::celery::send;
use crate::celery::traceback::{Frame, frames};
use crate::state::observation::seconds::from_micros;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// JSON texts above this are told by their size, unless all was asked for.
const EXACT_BYTES: usize = 256 * 1024;

/// Everything known of one task. Times are Unix seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct TaskDetails<'a> {
    #[serde(flatten)]
    pub row: TaskRow<'a>,
    /// In its queue, 0 is next, at the last look at its head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Workers that read the queue it waits in, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<u64>,
    /// Field → where it came from.
    pub sources: BTreeMap<&'static str, Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_json: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs_json: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_json: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<Traceback<'a>>,
    /// Oldest first; the last is the one the row shows.
    pub attempts: Vec<AttemptRow<'a>>,
    /// Attempts between the first and the next that are no longer kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts_skipped: u64,
    /// Oldest first.
    pub history: Vec<HistoryRow<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub history_skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workflow: Vec<Relative<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redelivered: bool,
    /// Second places of the same id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoAt<'a>>,
}

/// A traceback as text and as places to jump to.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Traceback<'a> {
    pub text: &'a str,
    pub frames: Vec<Frame>,
}

/// One attempt.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct AttemptRow<'a> {
    pub state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<&'a str>,
    #[serde(flatten)]
    pub times: TimesRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<&'a str>,
}

/// One entry of the history.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct HistoryRow<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    pub seen: f64,
    pub source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<&'a str>,
}

/// The message, where it was seen.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct MessageRow<'a> {
    pub headers_json: &'a str,
    /// Those of them that are not Celery's, an object, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_headers_json: Option<String>,
    pub properties_json: &'a str,
    pub content_type: &'a str,
    /// Callbacks, errbacks, chain and chord, where it has any.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub links_json: &'a str,
    pub bytes: usize,
}

/// Another task of its workflow.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Relative<'a> {
    pub uuid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub state: &'a str,
    /// root, parent, child, group (of the same), sibling (of the same parent), or related.
    pub relation: &'static str,
}

/// A second place of a task.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct AlsoAt<'a> {
    pub place: Place,
    pub queue: &'a str,
}

impl Task {
    /// Everything memory holds of it, large texts only where `full`. `position` and `workflow` are
    /// known outside of the record, and so is who reads its queue.
    pub fn details<'a>(
        &'a self,
        full: bool,
        max_retries: Option<u64>,
        position: Option<u64>,
        workflow: Vec<Relative<'a>>,
    ) -> TaskDetails<'a> {
        let run = &self.current;
        let (args_json, args_bytes) = exact(&self.args_json, full);
        let (kwargs_json, kwargs_bytes) = exact(&self.kwargs_json, full);
        let (result_json, result_bytes) = exact(&run.result_json, full);
        let unread = run.result_bytes.filter(|_| result_json.is_none());
        let result_bytes = result_bytes.or(unread.and_then(|bytes| usize::try_from(bytes).ok()));
        let past = self.past.iter().map(Attempt::row);
        TaskDetails {
            row: self.row(max_retries),
            position,
            consumers: None,
            sources: self.sources(),
            args_json,
            args_bytes,
            kwargs_json,
            kwargs_bytes,
            result_json,
            result_bytes,
            traceback: text(&run.traceback).map(|text| Traceback { text, frames: frames(text) }),
            attempts: past.chain([run.row()]).collect(),
            attempts_skipped: self.past.skipped,
            history: self.history.iter().map(Entry::row).collect(),
            history_skipped: self.history.skipped,
            exchange: text(&self.exchange),
            routing_key: text(&self.routing_key),
            priority: value(&self.priority),
            pid: value(&run.pid),
            message: self.message.as_deref().map(Envelope::row),
            workflow,
            redelivered: self.redelivered,
            also: self.also(),
        }
    }

    /// What it is to `other`, a task of the same workflow.
    pub fn relation(&self, other: &Task) -> &'static str {
        let parent = text(&self.parent_id);
        let theirs = text(&other.parent_id);
        let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
        if text(&other.root_id) == Some(&self.uuid) && theirs != Some(&self.uuid) {
            "root"
        } else if theirs == Some(&self.uuid) {
            "parent"
        } else if parent == Some(&other.uuid) {
            "child"
        } else if same(text(&self.group_id), text(&other.group_id)) {
            "group"
        } else if same(parent, theirs) {
            "sibling"
        } else {
            "related"
        }
    }

    /// As a relative of `other`.
    pub fn relative_of(&self, other: &Task) -> Relative<'_> {
        Relative {
            uuid: &self.uuid,
            name: text(&self.name),
            state: self.current.state.as_str(),
            relation: self.relation(other),
        }
    }

    /// Where it is seen besides the place of its row.
    fn also(&self) -> Vec<AlsoAt<'_>> {
        let mut also = Vec::new();
        let main = text(&self.queue).filter(|_| self.place == Some(Place::Queue));
        for queue in self.waiting.iter().map(|queue| &**queue) {
            if main != Some(queue) {
                also.push(AlsoAt { place: Place::Queue, queue });
            }
        }
        also
    }

    fn sources(&self) -> BTreeMap<&'static str, Source> {
        let run = &self.current;
        let times = &run.times;
        let facts = [
            ("state", run.state_source),
            ("name", source(&self.name)),
            ("args", source(&self.args)),
            ("kwargs", source(&self.kwargs)),
            ("args_json", source(&self.args_json)),
            ("kwargs_json", source(&self.kwargs_json)),
            ("queue", source(&self.queue)),
            ("exchange", source(&self.exchange)),
            ("routing_key", source(&self.routing_key)),
            ("eta", source(&self.eta)),
            ("expires", source(&self.expires)),
            ("root_id", source(&self.root_id)),
            ("parent_id", source(&self.parent_id)),
            ("group_id", source(&self.group_id)),
            ("priority", source(&self.priority)),
            ("sent", source(&self.sent)),
            ("worker", source(&run.worker)),
            ("retries", source(&run.retries)),
            ("received", source(&times.received)),
            ("started", source(&times.started)),
            ("succeeded", source(&times.succeeded)),
            ("failed", source(&times.failed)),
            ("retried", source(&times.retried)),
            ("revoked", source(&times.revoked)),
            ("rejected", source(&times.rejected)),
            ("runtime", source(&run.runtime)),
            ("result", source(&run.result)),
            ("result_json", source(&run.result_json)),
            ("exception", source(&run.exception)),
            ("traceback", source(&run.traceback)),
            ("pid", source(&run.pid)),
        ];
        facts.into_iter().filter_map(|(field, source)| Some((field, source?))).collect()
    }
}

impl Attempt {
    fn row(&self) -> AttemptRow<'_> {
        AttemptRow {
            state: self.state.as_str(),
            retries: value(&self.retries),
            worker: text(&self.worker),
            times: self.times.row(),
            runtime: value(&self.runtime),
            exception: text(&self.exception),
        }
    }
}

impl Entry {
    fn row(&self) -> HistoryRow<'_> {
        HistoryRow {
            kind: &self.kind,
            at: self.at,
            seen: from_micros(self.seen),
            source: self.source,
            worker: self.worker.as_deref(),
        }
    }
}

impl Envelope {
    fn row(&self) -> MessageRow<'_> {
        MessageRow {
            headers_json: &self.headers_json,
            own_headers_json: own_headers(&self.headers_json),
            properties_json: &self.properties_json,
            content_type: &self.content_type,
            links_json: &self.links_json,
            bytes: self.bytes,
        }
    }
}

/// The headers that are not Celery's, as an object's text.
fn own_headers(headers_json: &str) -> Option<String> {
    let own = send::custom_headers(headers_json);
    let member = |(name, value): &(String, String)| {
        format!("{}: {value}", serde_json::Value::from(name.as_str()))
    };
    let members: Vec<_> = own.iter().map(member).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(", ")))
}

/// The text, or the size of one that is larger than an answer should be.
fn exact(fact: &Option<Fact<Arc<str>>>, full: bool) -> (Option<&str>, Option<usize>) {
    match text(fact) {
        Some(text) if full || text.len() <= EXACT_BYTES => (Some(text), None),
        Some(text) => (None, Some(text.len())),
        None => (None, None),
    }
}

fn source<T>(fact: &Option<Fact<T>>) -> Option<Source> {
    fact.as_ref().map(|fact| fact.source)
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
