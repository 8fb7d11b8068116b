//! What a worker's `stats` reply tells of its pool and its process.

use super::{Told, Worker};
use crate::celery::control::Stats;
use crate::state::observation::{Micros, seconds};
use serde_json::{Map, Value};

/// A start computed from `uptime` (whole seconds) moves about by this much between two replies.
const START_JITTER: Micros = 5_000_000;

impl Worker {
    /// Takes a `stats` reply that arrived at `seen`. CPU comes from two replies of one process and,
    /// like memory, is its main process's alone.
    pub fn told_stats(&mut self, reply: &Map<String, Value>, seen: Micros) {
        let stats = Stats::new(reply);
        if let Some(pool) = stats.pool() {
            self.pool = Some(pool.to_owned());
        }
        self.concurrency = stats.concurrency().or(self.concurrency);
        self.memory = stats.memory_peak().or(self.memory);
        if let Some(cpu) = self.cpu_since(&stats, seen) {
            self.cpu = Some(cpu);
        }
        if let Some(uptime) = stats.uptime() {
            let started = seen - seconds::to_micros(uptime);
            let known = self.started.filter(|known| (known - started).abs() <= START_JITTER);
            self.started = known.or(Some(started));
        }
        if self.processed.is_none() {
            self.processed =
                stats.total().map(|by_name| by_name.values().filter_map(Value::as_u64).sum());
        }
        self.stats = Some(Told { value: reply.clone(), at: seen });
    }

    /// Busy cores since the reply before, to a thousandth.
    fn cpu_since(&self, stats: &Stats<'_>, seen: Micros) -> Option<f64> {
        let before = self.stats.as_ref()?;
        let elapsed = seconds::from_micros(seen - before.at);
        let used = stats.cpu_seconds()? - Stats::new(&before.value).cpu_seconds()?;
        let cpu = (used / elapsed * 1000.0).round() / 1000.0;
        (elapsed >= 0.5 && used >= 0.0).then_some(cpu)
    }
}
