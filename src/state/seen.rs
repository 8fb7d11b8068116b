//! Which values a column has, or could have, for whoever completes or explains a filter. Counts
//! come from what is counted anyway: no record is scanned.

use super::{Noun, Place, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As rows have it; shared, as there may be very many names.
    pub value: Arc<str>,
    /// Tasks that have it, where that is counted.
    pub tasks: Option<u64>,
}

/// Celery's own states, seen or not.
const STATES: [&str; 8] =
    ["PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED", "REJECTED"];

impl State {
    /// The values of a column, each once; none for free text.
    pub fn seen(&self, noun: Noun, column: &str) -> Vec<Seen> {
        match (noun, column) {
            (Noun::Task, "state") => self.states(),
            (Noun::Task, "drawn") => {
                let scheduled = self.tasks.count(Place::Scheduled);
                vec![counted("SCHEDULED", scheduled), uncounted("ORPHANED")]
            }
            (Noun::Task | Noun::Name, "name") => {
                let names = self.tasks.by_name.iter();
                names.map(|count| counted(count.name.clone(), count.tasks as u64)).collect()
            }
            (Noun::Task, "worker") | (Noun::Worker, "hostname") | (Noun::Queue, "workers") => {
                self.workers.keys().cloned().map(uncounted).collect()
            }
            (Noun::Task, "queue") | (Noun::Queue, "name") | (Noun::Worker, "queues") => {
                self.shown_queues().map(|queue| uncounted(queue.name.clone())).collect()
            }
            (Noun::Worker, "pool") => {
                let mut pools: Vec<&str> =
                    self.workers.values().filter_map(|worker| worker.pool.as_deref()).collect();
                pools.sort_unstable();
                pools.dedup();
                pools.into_iter().map(uncounted).collect()
            }
            _ => Vec::new(),
        }
    }

    fn states(&self) -> Vec<Seen> {
        let mut states: BTreeMap<&str, u64> = STATES.into_iter().map(|state| (state, 0)).collect();
        states.extend(self.tasks.states());
        states.into_iter().map(|(state, tasks)| counted(state, tasks)).collect()
    }
}

fn counted(value: impl Into<Arc<str>>, tasks: u64) -> Seen {
    Seen { value: value.into(), tasks: Some(tasks) }
}

fn uncounted(value: impl Into<Arc<str>>) -> Seen {
    Seen { value: value.into(), tasks: None }
}
