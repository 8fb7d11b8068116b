//! A worker as the protocol shows it. Field names are the protocol; absent facts are absent members.

use super::held::HeldTask;
use super::{Ignored, Software, Status, Told, Worker};
use crate::celery::control::{ActiveQueue, RegisteredTask, RequestInfo};
use crate::state::observation::{Micros, seconds::from_micros};
use crate::state::record::{Cell, Record};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A row of `worker/list`. Times are Unix seconds; `skew` is our receipt less its timestamp.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct WorkerRow<'a> {
    pub key: &'a str,
    pub hostname: &'a str,
    pub status: Status,
    pub evidence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<&'a BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_since: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loadavg: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<&'a Software>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    pub heartbeats: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freq: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub ignores: &'a [Ignored],
}

/// What `worker/get` tells: the row, and each answer with the time we got it.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct WorkerDetails<'a> {
    #[serde(flatten)]
    pub row: WorkerRow<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conf: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<&'a [RegisteredTask]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_queues: Option<&'a [ActiveQueue]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_tasks: Option<Vec<HeldTask<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_tasks: Option<Vec<HeldTask<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_tasks: Option<Vec<HeldTask<'a>>>,
    pub as_of: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub untold: &'a BTreeMap<String, String>,
}

impl Worker {
    /// The row of `worker/list`.
    pub fn row(&self) -> WorkerRow<'_> {
        let counted = self.counted_since.is_some();
        WorkerRow {
            key: &self.hostname,
            hostname: &self.hostname,
            status: self.status,
            evidence: &self.evidence,
            pool: self.pool.as_deref(),
            concurrency: self.concurrency,
            active: self.active_now(),
            reserved: self.reserved(),
            processed: self.processed,
            failed: counted.then(|| self.failed()),
            counters: counted.then_some(&self.counters),
            counted_since: self.counted_since.map(from_micros),
            runtime: self.runtime,
            loadavg: self.loadavg,
            cpu: self.cpu,
            memory: self.memory,
            pid: self.pid,
            software: (self.software != Software::default()).then_some(&self.software),
            started: self.started.map(from_micros),
            heartbeats: self.heartbeats.iter().copied().map(from_micros).collect(),
            freq: self.freq,
            clock: self.clock,
            skew: self.skew().map(from_micros),
            queues: self.queues(),
            events: self.events_word(),
            ignores: &self.ignores,
        }
    }

    /// Everything `worker/get` tells.
    pub fn details(&self) -> WorkerDetails<'_> {
        let mut as_of = BTreeMap::new();
        let mut note = |name: &'static str, at: Option<Micros>| {
            as_of.extend(at.map(|at| (name, from_micros(at))));
        };
        note("stats", at(&self.stats));
        note("conf", at(&self.conf));
        note("registered", at(&self.registered));
        note("revoked", at(&self.revoked));
        note("active_queues", at(&self.active_queues));
        note("active_tasks", at(&self.active_tasks));
        note("reserved_tasks", at(&self.reserved_tasks));
        note("scheduled_tasks", at(&self.scheduled_tasks));
        WorkerDetails {
            row: self.row(),
            stats: self.stats.as_ref().map(|told| &told.value),
            conf: self.conf.as_ref().map(|told| &told.value),
            registered: list(&self.registered),
            revoked: list(&self.revoked),
            active_queues: list(&self.active_queues),
            active_tasks: held(&self.active_tasks),
            reserved_tasks: held(&self.reserved_tasks),
            scheduled_tasks: held(&self.scheduled_tasks),
            as_of,
            untold: &self.untold,
        }
    }

    /// How many tasks run, as it said last. A solo worker says so between two tasks only: once it is
    /// silent, nobody knows.
    fn active_now(&self) -> Option<u64> {
        let busy = matches!(self.status, Status::Silent | Status::Lost);
        self.active.filter(|_| !(busy && self.pool.as_deref() == Some("solo")))
    }

    fn reserved(&self) -> Option<u64> {
        self.reserved_tasks.as_ref().map(|told| told.value.len() as u64)
    }

    fn failed(&self) -> u64 {
        self.counters.get("task-failed").copied().unwrap_or(0)
    }

    fn events_word(&self) -> Option<&'static str> {
        self.events.map(|on| if on { "on" } else { "off" })
    }
}

impl Record for Worker {
    fn key(&self) -> &str {
        &self.hostname
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        Some(match name {
            "hostname" => Cell::Text(&self.hostname),
            "status" => Cell::Text(self.status.as_str()),
            "pool" => Cell::Text(self.pool.as_deref()?),
            "queues" => Cell::List(self.queues()?),
            "events" => Cell::Text(self.events_word()?),
            "concurrency" => Cell::Number(self.concurrency? as f64),
            "active" => Cell::Number(self.active_now()? as f64),
            "reserved" => Cell::Number(self.reserved()? as f64),
            "processed" => Cell::Number(self.processed? as f64),
            "failed" => Cell::Number(self.counted_since.map(|_| self.failed())? as f64),
            "runtime" => Cell::Number(self.runtime?),
            "loadavg" => Cell::Number(self.loadavg?[0]),
            "cpu" => Cell::Number(self.cpu?),
            "memory" => Cell::Number(self.memory? as f64),
            "pid" => Cell::Number(self.pid? as f64),
            "started" => Cell::Number(from_micros(self.started?)),
            "heartbeats" => Cell::Number(from_micros(*self.heartbeats.back()?)),
            "skew" => Cell::Number(from_micros(self.skew()?)),
            _ => return None,
        })
    }
}

fn at<T>(told: &Option<Told<T>>) -> Option<Micros> {
    told.as_ref().map(|told| told.at)
}

fn list<T>(told: &Option<Told<Vec<T>>>) -> Option<&[T]> {
    told.as_ref().map(|told| told.value.as_slice())
}

fn held(told: &Option<Told<Vec<RequestInfo>>>) -> Option<Vec<HeldTask<'_>>> {
    list(told).map(|tasks| tasks.iter().map(HeldTask::of).collect())
}
