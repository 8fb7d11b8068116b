//! A worker that is alive and takes nothing: after a broker's reconnect it may beat and answer for days
//! and consume nothing (F31).

use super::{Status, Worker};
use crate::state::observation::{Micros, seconds::from_micros};
use crate::state::queue::Queue;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// It has to rest, and its queue to stand still, for this long.
const LONG: Micros = 30_000_000;

/// What was looked at before this is not known now.
const LATELY: Micros = 15_000_000;

/// A queue that a worker says it consumes, and takes nothing from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Ignored {
    /// Its name.
    pub queue: String,
    /// Since when nothing left it while the worker did nothing (Unix seconds).
    pub since: f64,
}

/// How it stands with a worker and its queues.
#[derive(Debug, PartialEq)]
pub(in crate::state) enum Consumption {
    /// It takes what there is, as far as we can tell.
    Consumes,
    /// It would ignore its queues, if it still consumes them: what it said is older.
    Doubtful,
    /// It ignores these.
    Ignores(Vec<Ignored>),
}

impl Worker {
    /// Judges whether it takes from its queues.
    pub fn consumption(&self, queues: &BTreeMap<Arc<str>, Queue>, now: Micros) -> Consumption {
        let (Some(idle), Some(told), Status::Online) =
            (self.idle, &self.active_queues, self.status)
        else {
            return Consumption::Consumes;
        };
        let mut doubtful = false;
        let mut ignored = Vec::new();
        for queue in told.value.iter().filter_map(|queue| queues.get(queue.name.as_str())) {
            let Some(since) = queue.ignored(now, LATELY).map(|still| still.max(idle)) else {
                continue;
            };
            if now - since < LONG {
                continue;
            }
            doubtful |= told.at < since;
            ignored.push(Ignored { queue: queue.name.to_string(), since: from_micros(since) });
        }
        match ignored.is_empty() {
            true => Consumption::Consumes,
            false if doubtful => Consumption::Doubtful,
            false => Consumption::Ignores(ignored),
        }
    }
}
