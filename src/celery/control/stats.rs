//! What `inspect stats` says, by name: pools differ in what they tell (`celery/concurrency/`).

use serde_json::{Map, Value};

/// A worker's answer to `stats`. Everything may be absent: pools and versions differ.
#[derive(Debug, Clone, Copy)]
pub struct Stats<'a>(&'a Map<String, Value>);

impl<'a> Stats<'a> {
    /// A view of what [`super::Inspection::Stats`] holds.
    pub fn new(stats: &'a Map<String, Value>) -> Stats<'a> {
        Stats(stats)
    }

    /// `prefork`, `threads`, `solo`, `gevent`, `eventlet`, or the module's name of another pool.
    /// Absent before Celery 5.3.
    pub fn pool(&self) -> Option<&'a str> {
        let implementation = self.at("/pool/implementation")?.as_str()?;
        let module = implementation.split(':').next()?.rsplit('.').next()?;
        Some(if module == "thread" { "threads" } else { module })
    }

    /// Tasks that can run at once: the pool processes alive, because `max-concurrency` keeps its
    /// start value after a grow, and `autoscaler` where no process is told.
    pub fn concurrency(&self) -> Option<u64> {
        let processes = || Some(self.at("/pool/processes")?.as_array()?.len() as u64);
        let autoscaler = || self.at("/autoscaler/current")?.as_u64();
        processes().or_else(autoscaler).or_else(|| self.at("/pool/max-concurrency")?.as_u64())
    }

    /// Process ids of the pool; of a solo worker its own.
    pub fn processes(&self) -> Vec<i64> {
        let processes = self.at("/pool/processes").and_then(Value::as_array);
        processes.into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// The worker's main process.
    pub fn pid(&self) -> Option<i64> {
        self.at("/pid")?.as_i64()
    }

    /// Lamport clock, which the worker writes as text.
    pub fn clock(&self) -> Option<u64> {
        let clock = self.at("/clock")?;
        clock.as_u64().or_else(|| clock.as_str()?.parse().ok())
    }

    /// Seconds since it came up.
    pub fn uptime(&self) -> Option<f64> {
        self.at("/uptime")?.as_f64()
    }

    /// Messages it may hold.
    pub fn prefetch_count(&self) -> Option<u64> {
        self.at("/prefetch_count")?.as_u64()
    }

    /// Seconds of CPU the main process has used; its pool processes are not in it.
    pub fn cpu_seconds(&self) -> Option<f64> {
        Some(self.at("/rusage/utime")?.as_f64()? + self.at("/rusage/stime")?.as_f64()?)
    }

    /// Peak resident memory of the main process in bytes, as Linux tells it.
    pub fn memory_peak(&self) -> Option<u64> {
        let kilobytes = self.at("/rusage/maxrss")?.as_f64().filter(|size| *size >= 0.0)?;
        Some((kilobytes * 1024.0) as u64)
    }

    /// Tasks *started* since it came up, by name (or shadow).
    pub fn total(&self) -> Option<&'a Map<String, Value>> {
        self.at("/total")?.as_object()
    }

    /// `broker.transport_options`, which name the layout of the broker.
    pub fn transport_options(&self) -> Option<&'a Map<String, Value>> {
        self.at("/broker/transport_options")?.as_object()
    }

    fn at(&self, pointer: &str) -> Option<&'a Value> {
        let mut parts = pointer.split('/').skip(1);
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_prefork_worker_after_a_grow() {
        let stats = map(json!({
            "total": { "lab.add": 3 }, "pid": 7, "clock": "260", "uptime": 229, "prefetch_count": 8,
            "pool": { "implementation": "celery.concurrency.prefork:TaskPool", "max-concurrency": 2,
                "processes": [8, 9, 10] },
            "broker": { "transport_options": { "sep": ":" } },
            "rusage": { "utime": 1.5, "stime": 0.5, "maxrss": 1000 },
        }));
        let stats = Stats::new(&stats);
        assert_eq!((stats.pool(), stats.concurrency()), (Some("prefork"), Some(3)));
        assert_eq!(stats.processes(), [8, 9, 10]);
        assert_eq!((stats.pid(), stats.clock(), stats.uptime()), (Some(7), Some(260), Some(229.0)));
        assert_eq!((stats.cpu_seconds(), stats.memory_peak()), (Some(2.0), Some(1_024_000)));
        assert_eq!(stats.total().unwrap()["lab.add"], 3);
        assert_eq!(stats.transport_options().unwrap()["sep"], ":");
        assert_eq!(stats.prefetch_count(), Some(8));
    }

    #[test]
    fn other_pools_tell_otherwise() {
        let threads =
            map(json!({ "pool": { "implementation": "celery.concurrency.thread:TaskPool",
            "max-concurrency": 4, "threads": 1 }, "rusage": "N/A" }));
        assert_eq!(Stats::new(&threads).pool(), Some("threads"));
        assert_eq!(Stats::new(&threads).concurrency(), Some(4));
        assert_eq!(Stats::new(&threads).cpu_seconds(), None);
        let scaled =
            map(json!({ "pool": { "max-concurrency": 2 }, "autoscaler": { "current": 5 } }));
        assert_eq!(Stats::new(&scaled).concurrency(), Some(5));
        assert_eq!(Stats::new(&Map::new()).concurrency(), None);
    }
}
