//! A task that a worker runs or holds, as `worker/get` shows it. Field names are the protocol;
//! absent facts are absent members.

use crate::celery::control::RequestInfo;
use crate::celery::instant;
use crate::state::task::{Fact, Task};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// One of `active_tasks`, `reserved_tasks`, `scheduled_tasks`. Times are Unix seconds by the
/// worker's clock.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct HeldTask<'a> {
    pub uuid: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    pub acknowledged: bool,
    pub redelivered: bool,
}

impl<'a> HeldTask<'a> {
    /// What the worker said of it.
    pub fn of(info: &'a RequestInfo) -> Self {
        HeldTask {
            uuid: Cow::Borrowed(&info.uuid),
            name: Cow::Borrowed(&info.name),
            args: info.args.as_deref().map(Cow::Borrowed),
            kwargs: info.kwargs.as_deref().map(Cow::Borrowed),
            started: info.time_start,
            eta: info.eta.as_deref().and_then(instant),
            pid: info.worker_pid,
            routing_key: info.routing_key.as_deref().map(Cow::Borrowed),
            priority: info.priority,
            acknowledged: info.acknowledged,
            redelivered: info.redelivered,
        }
    }

    /// What is known of a task that its worker does not tell of.
    pub(in crate::state) fn known(task: Task) -> HeldTask<'static> {
        let text = |fact: &Option<Fact<Arc<str>>>| {
            fact.as_ref().map(|fact| Cow::Owned(fact.value.to_string()))
        };
        HeldTask {
            uuid: Cow::Owned(task.uuid.to_string()),
            name: text(&task.name).unwrap_or_default(),
            args: task.args.map(|fact| Cow::Owned(fact.value)),
            kwargs: task.kwargs.map(|fact| Cow::Owned(fact.value)),
            started: None,
            eta: task.eta.map(|fact| fact.value),
            pid: None,
            routing_key: text(&task.routing_key),
            priority: None,
            acknowledged: false,
            redelivered: false,
        }
    }
}
