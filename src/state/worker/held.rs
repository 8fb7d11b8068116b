//! A task that a worker runs or holds, as `worker/get` shows it. Field names are the protocol;
//! absent facts are absent members.

use crate::celery::control::RequestInfo;
use crate::celery::instant;
use schemars::JsonSchema;
use serde::Serialize;

/// One of `active_tasks`, `reserved_tasks`, `scheduled_tasks`. Times are Unix seconds by the
/// worker's clock.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct HeldTask<'a> {
    pub uuid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    pub acknowledged: bool,
    pub redelivered: bool,
}

impl<'a> HeldTask<'a> {
    /// What the worker said of it.
    pub fn of(info: &'a RequestInfo) -> Self {
        HeldTask {
            uuid: &info.uuid,
            name: &info.name,
            args: info.args.as_deref(),
            kwargs: info.kwargs.as_deref(),
            started: info.time_start,
            eta: info.eta.as_deref().and_then(instant),
            pid: info.worker_pid,
            routing_key: info.routing_key.as_deref(),
            priority: info.priority,
            acknowledged: info.acknowledged,
            redelivered: info.redelivered,
        }
    }
}
