//! Tasks received, succeeded and failed a second, over the last minute.

use super::observation::Micros;
use crate::celery::event::TaskEventKind;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;

const SECOND: Micros = 1_000_000;
const WINDOW: i64 = 60;

/// Task events a second over the last 60 s (or since we listen, where that is shorter).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Rates {
    pub received: f64,
    pub succeeded: f64,
    pub failed: f64,
}

/// Counts by second.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The second, and what came in it: received, succeeded, failed.
    seconds: VecDeque<(i64, [u32; 3])>,
}

impl Meter {
    /// One task event that arrived at `seen`.
    pub fn count(&mut self, kind: &TaskEventKind, seen: Micros) {
        let column = match kind {
            TaskEventKind::Received => 0,
            TaskEventKind::Succeeded => 1,
            TaskEventKind::Failed => 2,
            _ => return,
        };
        let second = seen.div_euclid(SECOND);
        if self.seconds.back().is_none_or(|(last, _)| *last < second) {
            self.seconds.push_back((second, [0; 3]));
        }
        if let Some((_, counts)) = self.seconds.back_mut() {
            counts[column] += 1;
        }
        self.forget(second);
    }

    /// The rates at `now`; `since` is when we began to listen.
    pub fn rates(&self, now: Micros, since: Micros) -> Rates {
        let second = now.div_euclid(SECOND);
        let mut sums = [0_u64; 3];
        for (_, counts) in self.seconds.iter().filter(|(at, _)| second - at < WINDOW) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += u64::from(*count);
            }
        }
        let heard = (now - since).div_euclid(SECOND).clamp(1, WINDOW) as f64;
        let [received, succeeded, failed] = sums.map(|sum| sum as f64 / heard);
        Rates { received, succeeded, failed }
    }

    fn forget(&mut self, second: i64) {
        while self.seconds.front().is_some_and(|(at, _)| second - at >= WINDOW) {
            self.seconds.pop_front();
        }
    }
}
