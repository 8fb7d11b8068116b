//! Queues: which there are, how long they are, who consumes them.
//!
//! On Redis a queue that is bound to a fanout exchange is no list: workers listen to a channel. kombu
//! gives each consumer of a `Broadcast` a queue with a name of its own, so these are shown as one row,
//! under the name that the application knows (F13).

use super::observation::QueueSample;
use super::queue::{Binding, FANOUT, Queue};
use super::{State, to_json};
use crate::celery::control::ActiveQueue;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

impl State {
    /// What a worker consumes from. What it took before it said so came from there too.
    pub(super) fn consumes(&mut self, hostname: &str, queues: &[ActiveQueue]) {
        for queue in queues {
            let binding = Binding {
                exchange: queue.exchange.clone(),
                kind: queue.exchange_type.clone(),
                routing_key: queue.routing_key.clone(),
            };
            let arguments = queue.raw.get("queue_arguments").and_then(Value::as_object);
            let fanout = queue.is_fanout().then(|| self.tasks.names.intern(queue.known_as()));
            self.change_queue(&queue.name, |known| {
                known.bind(&binding);
                known.fanout.clone_from(&fanout);
                if let Some(arguments) = arguments {
                    known.arguments.clone_from(arguments);
                }
            });
            if let Some(shown) = fanout.filter(|shown| **shown != *queue.name) {
                self.change_queue(&shown, |row| {
                    row.bind(&binding);
                    row.stands_for(&shown);
                });
            }
        }
        self.recount_consumers();
        if let [_] = queues {
            for uuid in self.tasks.without_queue(hostname) {
                self.conclude_queue(&uuid, hostname);
            }
        }
    }

    /// Which queues there are, `broadcast` among them: those that kombu named for one consumer each,
    /// with their exchanges. A complete list ends those that it does not name and nobody uses.
    pub(super) fn name_queues(
        &mut self,
        names: &[String],
        broadcast: &BTreeMap<String, String>,
        exact: bool,
    ) {
        for name in names {
            self.change_queue(name, |_| {});
        }
        for (name, exchange) in broadcast {
            let shown = self.fanout_of(exchange).unwrap_or(self.tasks.names.intern(exchange));
            self.change_queue(name, |queue| queue.fanout = Some(shown.clone()));
            self.change_queue(&shown, |row| row.stands_for(&shown));
        }
        if !exact {
            return;
        }
        let named: HashSet<&str> =
            names.iter().chain(broadcast.keys()).map(String::as_str).collect();
        let used = |queue: &Queue| {
            named.contains(&*queue.name)
                || queue.messages().is_some_and(|messages| messages > 0)
                || queue.workers.as_ref().is_some_and(|workers| !workers.is_empty())
        };
        let used: HashSet<Arc<str>> = self
            .queues
            .values()
            .filter(|queue| used(queue))
            .flat_map(|queue| [Some(queue.name.clone()), queue.fanout.clone()])
            .flatten()
            .collect();
        let before = self.queues.len();
        self.queues.retain(|name, _| used.contains(name));
        self.revision += u64::from(self.queues.len() != before);
    }

    /// Lengths of queues.
    pub(super) fn sample(&mut self, samples: &[QueueSample]) {
        let now = self.now;
        let mut rows = BTreeSet::new();
        for sample in samples {
            let row = self.change_queue(&sample.name, |queue| {
                queue.sample(sample, now);
                queue.fanout.clone()
            });
            rows.extend(row);
        }
        for row in rows {
            let lists = self.queues.values().filter(|queue| queue.fanout.as_ref() == Some(&row));
            let unreadable = lists.filter_map(Queue::messages).sum();
            self.change_queue(&row, |queue| queue.unreadable = Some(unreadable));
        }
    }

    /// Messages that workers hold of each queue; not known where not all were seen.
    pub(super) fn count_unacked(&mut self, complete: bool) {
        self.all_tags = complete;
        let mut counts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (_, queue) in self.tags.values() {
            *counts.entry(queue.clone()).or_default() += 1;
        }
        let names: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        for name in names {
            let count = complete.then(|| counts.get(&name).copied().unwrap_or(0));
            self.change_queue(&name, |queue| queue.unacked = count);
        }
    }

    /// Changes a queue, made first where it is not known; its revision rises where its row changed.
    pub(super) fn change_queue<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Queue) -> T,
    ) -> T {
        let known = self.queues.contains_key(name);
        let name = self.tasks.names.intern(name);
        let queue = self.queues.entry(name.clone()).or_insert_with(|| {
            // Workers may have been looked through before its name was known.
            let held = || self.tags.values().filter(|(_, queue)| *queue == name).count() as u64;
            let mut queue = Queue::new(name.clone());
            queue.unacked = self.all_tags.then(held);
            queue
        });
        let before = to_json(&queue.row());
        let answer = change(queue);
        if !known || to_json(&queue.row()) != before {
            self.revision += 1;
            queue.revision = self.revision;
        }
        if !known {
            self.recount_consumers();
        }
        answer
    }

    /// Who consumes from which queue, by what living workers say. While one that answers did not
    /// say yet, nobody knows.
    pub(super) fn recount_consumers(&mut self) {
        let mut consumers: BTreeMap<&str, Vec<Arc<str>>> = BTreeMap::new();
        let mut known = false;
        let mut complete = true;
        for worker in self.workers.values().filter(|worker| worker.is_alive()) {
            match worker.queues() {
                Some(queues) => {
                    known = true;
                    for queue in queues {
                        consumers.entry(queue).or_default().push(worker.hostname.clone());
                    }
                }
                None => complete &= !worker.answers(),
            }
        }
        let nobody = self.workers.values().all(|worker| !worker.is_alive());
        let known = complete && (known || (nobody && !self.workers.is_empty()));
        for queue in self.queues.values_mut() {
            let workers = known.then(|| consumers.remove(&*queue.name).unwrap_or_default());
            if queue.workers != workers {
                queue.workers = workers;
                self.revision += 1;
                queue.revision = self.revision;
            }
        }
    }

    /// How many workers consume from a queue, where that is known.
    pub(super) fn consumers_of(&self, queue: &str) -> Option<u64> {
        self.queues.get(queue)?.workers.as_ref().map(|workers| workers.len() as u64)
    }

    /// The queues that are shown, each under its own name.
    pub(super) fn shown_queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().filter(|queue| queue.is_row())
    }

    /// The row of the queues that a fanout exchange delivers to.
    pub fn fanout_of(&self, exchange: &str) -> Option<Arc<str>> {
        let bound = |queue: &&Queue| {
            queue.bindings.iter().any(|to| to.kind == FANOUT && to.exchange == exchange)
        };
        self.queues.values().find(bound)?.fanout.clone()
    }

    /// Workers read the list of that name, where any does: it is no fanout queue's.
    pub fn is_read(&self, queue: &str) -> bool {
        self.queues.get(queue).is_none_or(|queue| queue.fanout.is_none())
    }

    /// A queue, or an exchange, whose messages every worker gets: nobody takes them from a list. Also
    /// one whose workers are gone.
    pub fn is_broadcast(&self, name: &str) -> bool {
        let fanout = |queue: &Queue| {
            let mut bindings = queue.bindings.iter().filter(|binding| binding.kind == "fanout");
            bindings.any(|binding| *queue.name == *name || binding.exchange == name)
        };
        !self.is_read(name) || self.queues.values().any(fanout)
    }

    /// The lists behind one queue: itself, or those of a fanout queue that hold anything.
    pub fn lists_of(&self, queue: &str) -> Vec<String> {
        let holds = |list: &&Queue| {
            list.fanout.as_deref() == Some(queue)
                && list.messages().is_some_and(|messages| messages > 0)
        };
        let lists = self.queues.values().filter(holds).map(|list| list.name.to_string());
        let lists: Vec<String> = lists.collect();
        if lists.is_empty() { vec![queue.to_owned()] } else { lists }
    }
}
