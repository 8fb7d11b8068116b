//! One run of a task: its state, its times, its outcome. The rules that merge news into it are in
//! [`super::merge`] and [`super::snapshot`].

use super::{Fact, Source, TaskState};
use serde_json::{Map, Value};
use std::sync::Arc;

/// When each thing happened to an attempt, by the clock of whoever told it; named as the events
/// are. `stored` is the backend's `date_done`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::state) struct Times {
    pub received: Option<Fact<f64>>,
    pub started: Option<Fact<f64>>,
    pub succeeded: Option<Fact<f64>>,
    pub failed: Option<Fact<f64>>,
    pub retried: Option<Fact<f64>>,
    pub revoked: Option<Fact<f64>>,
    pub rejected: Option<Fact<f64>>,
    pub stored: Option<Fact<f64>>,
}

impl Times {
    /// An event told when it ended.
    pub fn end_is_told(&self) -> bool {
        self.succeeded.is_some() || self.failed.is_some() || self.revoked.is_some()
    }
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::state) struct Attempt {
    pub state: TaskState,
    /// Who told the state; `None` while nobody did.
    pub state_source: Option<Source>,
    pub retries: Option<Fact<u64>>,
    pub worker: Option<Fact<Arc<str>>>,
    pub times: Times,
    /// `timestamp` of the event that told the state.
    pub timestamp: Option<f64>,
    pub runtime: Option<Fact<f64>>,
    pub result: Option<Fact<String>>,
    pub result_json: Option<Fact<Arc<str>>>,
    /// Bytes of what is stored, where that is too large to be read unasked.
    pub result_bytes: Option<u64>,
    pub exception: Option<Fact<String>>,
    pub traceback: Option<Fact<String>>,
    pub progress: Option<Map<String, Value>>,
    pub pid: Option<Fact<i64>>,
    /// `task-rejected` with `requeue`: the message went back to its queue.
    pub requeued: bool,
}

impl Attempt {
    /// When it began, by its worker's clock.
    pub fn begun(&self) -> Option<f64> {
        [&self.times.received, &self.times.started].into_iter().flatten().map(at).reduce(f64::min)
    }

    /// When it ended, by its worker's clock.
    pub fn finished(&self) -> Option<f64> {
        let times = &self.times;
        let told = match self.state {
            TaskState::Success => &times.succeeded,
            TaskState::Failure => &times.failed,
            TaskState::Revoked => &times.revoked,
            TaskState::Rejected => &times.rejected,
            _ => return None,
        };
        told.as_ref().or(times.stored.as_ref()).map(at)
    }

    /// When it ended, or gave up its turn.
    pub fn ended(&self) -> Option<f64> {
        match self.state {
            TaskState::Retry => self.times.retried.as_ref().map(at).or(self.timestamp),
            _ => self.finished().or(self.timestamp),
        }
    }
}

fn at(fact: &Fact<f64>) -> f64 {
    fact.value
}
