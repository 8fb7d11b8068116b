//! Events: what workers and clients publish by themselves.

use super::task::Rules;
use super::worker::{Process, Worker};
use super::{Changes, Micros, State, to_json};
use crate::celery::Event;
use crate::celery::event::{Body, TaskEvent, TaskEventKind, WorkerEvent};

impl State {
    /// Merges one event that arrived at `seen`.
    pub(super) fn hear(&mut self, event: &Event, seen: Micros, changes: &mut Changes) {
        match &event.body {
            Body::Worker(told) => self.hear_worker(event, told, seen, changes),
            Body::Task(told) => self.hear_task(event, told, seen, changes),
        }
    }

    fn hear_worker(
        &mut self,
        event: &Event,
        told: &WorkerEvent,
        seen: Micros,
        changes: &mut Changes,
    ) {
        let known = self.workers.contains_key(event.hostname.as_str());
        if !known && told.subject == "offline" {
            return;
        }
        let rules = self.rules;
        let process = self.change_worker(&event.hostname, |worker| {
            let process = worker.process(event.pid, seen);
            if let Some(pid) = event.pid.filter(|_| told.subject == "offline") {
                worker.gone(pid);
            }
            worker.clock = event.clock.filter(|_| process != Process::Former).or(worker.clock);
            // Only a goodbye can be said twice.
            let before = (told.subject == "offline").then(|| to_json(&worker.row()));
            worker.event(told, event.timestamp, seen, rules);
            (process, before.is_none_or(|before| before != to_json(&worker.row())))
        });
        if !known || process.is_another() {
            self.appeared(&event.hostname, process, changes);
        }
    }

    fn hear_task(&mut self, event: &Event, told: &TaskEvent, seen: Micros, changes: &mut Changes) {
        self.meter.count(&told.kind, seen);
        let rules = self.rules;
        let by_client =
            told.kind == TaskEventKind::Sent || (rules == Rules::Ours && event.is_from_client());
        let sender = self.workers.get(event.hostname.as_str()).filter(|_| !by_client);
        let queue = sender.filter(|_| rules == Rules::Ours).and_then(Worker::only_queue);
        self.tasks.event(&told.uuid, self.now, &mut self.revision, |task, names| {
            task.event(event, told, seen, rules, names);
            if let Some(queue) = queue {
                task.conclude_queue(queue, names);
            }
        });
        if by_client {
            return;
        }
        let new = self.change_worker(&event.hostname, |worker| {
            worker.task_event(told, event.timestamp, seen, rules);
            (worker.is_new(), true)
        });
        if new {
            changes.appeared.push(event.hostname.clone());
        }
    }

    /// A worker that consumes only one queue took the task from there.
    pub(super) fn conclude_queue(&mut self, uuid: &str, hostname: &str) {
        if self.rules == Rules::Celery || !self.tasks.lacks_queue(uuid) {
            return;
        }
        let Some(queue) = self.workers.get(hostname).and_then(Worker::only_queue) else { return };
        self.tasks.edit(uuid, self.now, &mut self.revision, |task, names| {
            task.conclude_queue(queue, names);
            Some(task.seen)
        });
    }

    /// Changes a worker, made first where it is not known, and judges it. `change` answers whether
    /// it shows, beside what it found.
    pub(super) fn change_worker<T>(
        &mut self,
        hostname: &str,
        change: impl FnOnce(&mut Worker) -> (T, bool),
    ) -> T {
        let name = self.tasks.names.intern(hostname);
        let running = self.tasks.any_running(hostname);
        let worker = self.workers.entry(name.clone()).or_insert_with(|| Worker::new(name));
        let new = worker.is_new();
        let (answer, shows) = change(worker);
        let judged = worker.judge(self.now, self.listening_since.unwrap_or(self.now), running);
        if shows || judged || new {
            self.revision += 1;
            worker.revision = self.revision;
        }
        if judged {
            self.recount_consumers();
        }
        answer
    }

    /// A worker is new, or its process is: what its process before ran is orphaned.
    pub(super) fn appeared(&mut self, hostname: &str, process: Process, changes: &mut Changes) {
        changes.appeared.push(hostname.to_owned());
        if process == Process::New {
            self.orphan_tasks(hostname);
        }
    }

    /// Changes a task by what a look shows.
    pub(super) fn edit(
        &mut self,
        uuid: &str,
        change: impl FnOnce(&mut super::Task, &mut super::store::Names) -> Option<Micros>,
    ) {
        self.tasks.edit(uuid, self.now, &mut self.revision, change);
    }
}
