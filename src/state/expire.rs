//! The passing of time: workers that fall silent, tasks whose ETA comes, what nobody will ever
//! explain, and what the budget has no room for.

use super::queue::Queue;
use super::worker::{Consumption, LOST_AFTER, Status};
use super::{Changes, GAPS, Gap, Micros, State, from_micros};
use std::sync::Arc;

/// A message that left its queue and that nobody heard of since is gone after this long …
const GONE_AFTER: Micros = 60_000_000;

/// … or after this long, where the result backend holds nothing of it: two looks at `active`.
const GONE_WITHOUT_RESULT_AFTER: Micros = 10_000_000;

/// How soon a worker is asked again what it consumes.
const DOUBT: Micros = 10_000_000;

impl State {
    /// What time alone changes. Workers and rates are looked at with ticks only.
    pub(super) fn expire(&mut self, tick: bool, changes: &mut Changes) {
        for uuid in self.tasks.take_due(self.now) {
            self.edit(&uuid, |task, _| Some(task.seen));
        }
        if tick {
            self.judge_workers(changes);
            self.let_go();
            self.measure();
        }
        self.tasks.keep_budget(self.now, &mut self.revision);
    }

    /// While we are deaf, nobody's silence means anything.
    fn judge_workers(&mut self, changes: &mut Changes) {
        if self.deaf_since.is_some() {
            return;
        }
        let since = self.listening_since.unwrap_or(self.now);
        let (mut changed, mut gone) = (false, Vec::new());
        for worker in self.workers.values_mut() {
            let running = self.tasks.any_running(&worker.hostname);
            if worker.judge(self.now, since, running) {
                self.revision += 1;
                worker.revision = self.revision;
                changed = true;
            }
            let left = worker.left.is_some_and(|left| self.now - left > LOST_AFTER);
            let lost = worker.status == Status::Lost || (worker.status == Status::Offline && left);
            if (lost || worker.replaced(self.now)) && running {
                gone.push(worker.hostname.clone());
            }
        }
        if changed {
            self.recount_consumers();
        }
        self.judge_consumption(changes);
        for hostname in gone {
            self.orphan_tasks(&hostname);
        }
    }

    /// Who is alive and takes nothing. What it consumes may have been changed since it told, so it is
    /// asked before it is said to ignore that.
    fn judge_consumption(&mut self, changes: &mut Changes) {
        let now = self.now;
        for worker in self.workers.values_mut() {
            let ignores = match worker.consumption(&self.queues, now) {
                Consumption::Consumes => Vec::new(),
                Consumption::Ignores(queues) => queues,
                Consumption::Doubtful => {
                    if worker.doubted.is_none_or(|asked| now - asked > DOUBT) {
                        worker.doubted = Some(now);
                        changes.appeared.push(worker.hostname.to_string());
                    }
                    continue;
                }
            };
            if worker.ignores != ignores {
                worker.ignores = ignores;
                self.revision += 1;
                worker.revision = self.revision;
            }
        }
    }

    /// What ran at a worker that went is orphaned: nobody will tell its end.
    pub(super) fn orphan_tasks(&mut self, hostname: &str) {
        let now = self.now;
        let worker = self.tasks.names.intern(hostname);
        for uuid in self.tasks.running(hostname) {
            let worker = worker.clone();
            self.edit(&uuid, |task, _| {
                task.orphan(worker, now);
                None
            });
        }
    }

    /// Tasks that were known from their message alone, and whose message is gone: purged, or taken
    /// and ended with no trace. Those that events told of stay.
    fn let_go(&mut self) {
        let now = self.now;
        let shortest = GONE_AFTER.min(GONE_WITHOUT_RESULT_AFTER);
        let gone = self.tasks.lost(now - shortest).filter(|(since, task)| {
            let long = now - since >= GONE_AFTER
                || (task.no_result.is_some() && now - since >= GONE_WITHOUT_RESULT_AFTER);
            long && task.went.is_some() && !task.has_events()
        });
        let gone: Vec<Arc<str>> = gone.map(|(_, task)| task.uuid).collect();
        for uuid in gone {
            self.revision += 1;
            self.tasks.remove(&uuid, self.revision);
        }
    }

    fn measure(&mut self) {
        let flowing = self.workers.values().any(|worker| worker.events == Some(true));
        let since = self.listening_since.unwrap_or(self.now);
        let rates = flowing.then(|| self.meter.rates(self.now, since));
        if rates != self.rates {
            self.rates = rates;
            self.revision += 1;
        }
    }

    /// We heard nothing from `from` until now. Whatever was under way may have gone on.
    pub(super) fn gap(&mut self, from: Micros) {
        let now = self.now;
        self.deaf_since = None;
        self.listening_since = Some(now);
        let gap = Gap { from: from_micros(from), to: from_micros(now), refilled: false };
        self.gaps.push_back(gap);
        if self.gaps.len() > GAPS {
            self.gaps.pop_front();
        }
        self.revision += 1;
        let queues: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        for queue in queues {
            self.change_queue(&queue, Queue::interrupt);
        }
        for uuid in self.tasks.open() {
            self.edit(&uuid, |task, _| {
                task.doubted.get_or_insert(now);
                Some(task.seen)
            });
        }
    }

    /// What was missed was asked for again.
    pub(super) fn refilled(&mut self) {
        let mut open = self.gaps.iter_mut().filter(|gap| !gap.refilled).peekable();
        if open.peek().is_some() {
            self.revision += 1;
        }
        open.for_each(|gap| gap.refilled = true);
    }
}
