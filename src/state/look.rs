//! Looks: what workers, queues, `unacked` and the result backend answered when we asked.

use super::task::{Held, Place, Source, by_our_clock};
use super::worker::{HeldTask, Process, Told, Worker, WorkerDetails};
use super::{Changes, State};
use crate::celery::control::{Inspection, RequestInfo, Stats};
use crate::celery::{TaskMessage, TaskMeta};
use crate::state::observation::UnackedMessage;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Tasks that are named in place of an answer that a worker cannot give.
const UNTOLD: usize = 1_000;

impl State {
    /// A worker answered one of the methods that we ask by ourselves.
    pub(super) fn inspect(&mut self, hostname: &str, reply: &Inspection, changes: &mut Changes) {
        let at = self.now;
        let known = self.workers.contains_key(hostname);
        let process = self.change_worker(hostname, |worker| {
            worker.reply(method(reply), at);
            worker.untold.remove(method(reply));
            match reply {
                Inspection::Stats(stats) => {
                    let process = worker.process(Stats::new(stats).pid(), at);
                    worker.told_stats(stats, at);
                    return (process, true);
                }
                Inspection::Conf(conf) => worker.conf = told(conf, at),
                Inspection::Registered(tasks) => worker.registered = told(tasks, at),
                Inspection::Revoked(ids) => worker.revoked = told(ids, at),
                Inspection::ActiveQueues(queues) => worker.active_queues = told(queues, at),
                Inspection::Active(tasks) => {
                    worker.active = Some(tasks.len() as u64);
                    worker.active_tasks = told(tasks, at);
                }
                Inspection::Ping | Inspection::Reserved(_) | Inspection::Scheduled(_) => {
                    return (Process::Same, false);
                }
            }
            (Process::Same, true)
        });
        if !known || process.is_another() {
            self.appeared(hostname, process, changes);
        }
        match reply {
            Inspection::Active(tasks) => self.active(hostname, tasks),
            Inspection::Reserved(tasks) => {
                self.in_hand(hostname, tasks, Place::Reserved);
            }
            Inspection::Scheduled(tasks) => {
                self.in_hand(hostname, tasks, Place::Scheduled);
            }
            Inspection::Registered(tasks) => {
                for task in tasks {
                    let max_retries = task.info.get("max_retries").and_then(Value::as_u64);
                    self.tasks.register(&task.name, max_retries, &mut self.revision);
                }
            }
            Inspection::ActiveQueues(queues) => self.consumes(hostname, queues),
            Inspection::Ping
            | Inspection::Stats(_)
            | Inspection::Conf(_)
            | Inspection::Revoked(_) => {}
        }
    }

    /// A worker answered a control command of ours. `disable_events` is answered alike by a worker
    /// that was started with `-E` and goes on, so only what certainly changed counts.
    pub(super) fn control(
        &mut self,
        hostname: &str,
        method: &str,
        reply: &str,
        changes: &mut Changes,
    ) {
        let at = self.now;
        let known = self.workers.contains_key(hostname);
        self.change_worker(hostname, |worker| {
            worker.reply(method, at);
            let before = worker.events;
            match (method, reply) {
                ("enable_events", "task events enabled" | "task events already enabled") => {
                    worker.events_told(true);
                }
                ("disable_events", "task events disabled") => worker.events_told(false),
                _ => {}
            }
            ((), worker.events != before)
        });
        if !known {
            self.appeared(hostname, Process::Same, changes);
        }
    }

    /// A worker that answers did not tell something.
    pub(super) fn untold(&mut self, hostname: &str, method: &str, reason: &str) {
        let at = self.now;
        if self.workers.contains_key(hostname) {
            self.change_worker(hostname, |worker| {
                worker.reply(method, at);
                worker.untold.insert(method.to_owned(), reason.to_owned());
                ((), true)
            });
        }
    }

    /// What a worker holds and does not tell, as far as events, `unacked` and its queues tell it.
    pub(super) fn fill_untold<'a>(&self, worker: &Worker, details: &mut WorkerDetails<'a>) {
        let queues = worker.queues().unwrap_or_default();
        let alone = |name: &&str| {
            let workers = self.queues.get(*name).and_then(|queue| queue.workers.as_deref());
            workers.is_some_and(|workers| matches!(workers, [one] if *one == worker.hostname))
        };
        let own: Vec<&str> = queues.into_iter().filter(alone).collect();
        let known = |place| {
            let tasks = self.tasks.held_by(&worker.hostname, &own, place, UNTOLD);
            tasks.map(HeldTask::known).collect()
        };
        for (method, tasks, place) in [
            ("reserved", &mut details.reserved_tasks, Place::Reserved),
            ("scheduled", &mut details.scheduled_tasks, Place::Scheduled),
        ] {
            if tasks.is_none() && worker.untold.contains_key(method) {
                *tasks = Some(known(place));
            }
        }
    }

    /// Workers did not answer a broadcast; `silent` listeners heard it and said nothing. A name
    /// that was never heard of is no worker.
    pub(super) fn missing(&mut self, hostnames: &[String], silent: Option<u64>) {
        let since = self.listening_since.unwrap_or(self.now);
        let mut changed = false;
        for hostname in hostnames {
            let running = self.tasks.any_running(hostname);
            let Some(worker) = self.workers.get_mut(hostname.as_str()) else { continue };
            worker.miss(silent);
            if self.deaf_since.is_none() && worker.judge(self.now, since, running) {
                self.revision += 1;
                worker.revision = self.revision;
                changed = true;
            }
        }
        if changed {
            self.recount_consumers();
        }
    }

    /// What runs at a worker; what ran there and is not named has ended, or is about to be heard of.
    fn active(&mut self, hostname: &str, tasks: &[RequestInfo]) {
        let named: HashSet<&str> = tasks.iter().map(|info| info.uuid.as_str()).collect();
        let mut missed = self.tasks.running(hostname);
        missed.retain(|uuid| !named.contains(&**uuid));
        self.list(hostname, tasks, Place::Active);
        let now = self.now;
        if self.workers.get(hostname).is_some_and(|worker| worker.is_shared(now)) {
            // What this process does not name may run at the other.
            return;
        }
        for uuid in missed {
            self.edit(&uuid, |task, _| {
                task.missed(now);
                None
            });
        }
    }

    /// What a worker holds and has not started.
    fn in_hand(&mut self, hostname: &str, tasks: &[RequestInfo], place: Place) {
        let now = self.now;
        let before = self.change_worker(hostname, |worker| {
            let list = match place {
                Place::Scheduled => &mut worker.scheduled_tasks,
                _ => &mut worker.reserved_tasks,
            };
            (std::mem::replace(list, told(tasks, now)), true)
        });
        self.list(hostname, tasks, place);
        let named: HashSet<&str> = tasks.iter().map(|info| info.uuid.as_str()).collect();
        for info in before.iter().flat_map(|told| &told.value) {
            let listed = self.tasks.get(&info.uuid).and_then(|task| task.listed);
            let here = listed.is_some_and(|at| *at.worker == *hostname && at.place == place);
            if here && !named.contains(info.uuid.as_str()) {
                self.edit(&info.uuid, |task, _| {
                    task.unlisted(now);
                    None
                });
            }
        }
    }

    fn list(&mut self, hostname: &str, tasks: &[RequestInfo], place: Place) {
        let now = self.now;
        let worker = self.tasks.names.intern(hostname);
        let skew = self.workers.get(hostname).and_then(Worker::skew);
        for info in tasks.iter().filter(|info| !info.uuid.is_empty()) {
            let worker = worker.clone();
            self.edit(&info.uuid, |task, names| {
                task.listed(info, worker, place, names);
                info.time_start.map(|start| by_our_clock(start, skew, now))
            });
            self.conclude_queue(&info.uuid, hostname);
        }
    }

    /// The messages at a queue's head. What waited there and is not named any more went, where the
    /// look reached far enough to tell.
    pub(super) fn head(&mut self, queue: &str, messages: &[TaskMessage], complete: bool) {
        let now = self.now;
        let name = self.tasks.names.intern(queue);
        let seen: Vec<Arc<str>> = messages
            .iter()
            .filter(|message| !message.uuid.is_empty())
            .map(|message| Arc::from(message.uuid.as_str()))
            .collect();
        let before =
            self.change_queue(queue, |queue| std::mem::replace(&mut queue.head, seen.clone()));
        for message in messages.iter().filter(|message| !message.uuid.is_empty()) {
            let name = name.clone();
            self.edit(&message.uuid, |task, names| {
                task.message(message, queue, Source::Queue, names);
                task.waits(message, name);
                None
            });
        }
        for uuid in gone(&before, &seen, complete) {
            self.edit(&uuid, |task, _| {
                task.left_queue(queue, now);
                None
            });
        }
    }

    /// One message that was met somewhere in a queue.
    pub(super) fn found(&mut self, queue: &str, message: &TaskMessage) {
        if message.uuid.is_empty() {
            return;
        }
        let name = self.tasks.names.intern(queue);
        self.edit(&message.uuid, |task, names| {
            task.message(message, queue, Source::Queue, names);
            task.waits(message, name);
            None
        });
    }

    /// We sent a message. Where it is by now, the next look tells.
    pub(super) fn sent(&mut self, queue: &str, message: &TaskMessage, retry_of: Option<&str>) {
        self.edit(&message.uuid, |task, names| {
            task.message(message, queue, Source::Queue, names);
            None
        });
        if let Some(old) = retry_of.filter(|old| *old != message.uuid) {
            self.links.add(old, &message.uuid);
            self.tasks.touch(&[old, &message.uuid], &mut self.revision);
        }
    }

    /// What workers hold and have not acknowledged. `index` names every tag there is.
    pub(super) fn unacked(
        &mut self,
        index: &[(String, f64)],
        new: &[UnackedMessage],
        complete: bool,
    ) {
        let now = self.now;
        let handed: HashMap<&str, f64> =
            index.iter().map(|(tag, at)| (tag.as_str(), *at)).collect();
        let released: Vec<Arc<str>> =
            self.tags.keys().filter(|tag| !handed.contains_key(&***tag)).cloned().collect();
        for UnackedMessage { delivery_tag, queue, message } in new {
            let tag: Arc<str> = delivery_tag.as_str().into();
            let queue_name = self.tasks.names.intern(queue);
            let uuid: Arc<str> = message.uuid.as_str().into();
            self.tags.insert(tag.clone(), (uuid, queue_name.clone()));
            if message.uuid.is_empty() {
                continue;
            }
            let at = handed.get(delivery_tag.as_str()).copied();
            self.edit(&message.uuid, |task, names| {
                task.message(message, queue, Source::Unacked, names);
                task.held(Held { tag, queue: queue_name });
                at.map(|at| by_our_clock(at, None, now))
            });
        }
        for tag in released {
            let Some((uuid, _)) = self.tags.remove(&tag) else { continue };
            let held = self.tasks.get(&uuid).and_then(|task| task.held);
            if held.is_some_and(|held| held.tag == tag) {
                self.edit(&uuid, |task, _| {
                    task.released(now);
                    None
                });
            }
        }
        self.count_unacked(complete);
    }

    /// A stored result.
    pub(super) fn result(&mut self, meta: &TaskMeta) {
        let now = self.now;
        let known = self.tasks.get(&meta.uuid).and_then(|task| task.worker().cloned());
        let worker = meta.worker.as_deref().or(known.as_deref());
        let skew = worker.and_then(|worker| self.workers.get(worker)).and_then(Worker::skew);
        self.edit(&meta.uuid, |task, names| {
            task.result(meta, now, names);
            meta.date_done.map(|done| by_our_clock(done, skew, now))
        });
    }

    /// The result backend holds nothing of these.
    pub(super) fn no_result(&mut self, uuids: &[String]) {
        let now = self.now;
        for uuid in uuids {
            if self.tasks.contains(uuid) {
                self.edit(uuid, |task, _| {
                    task.no_result = Some(now);
                    Some(task.seen)
                });
            }
        }
    }
}

/// Of the ids that stood `before` at a queue's head, those that are gone. A queue read only in part
/// tells less: one that is missing was taken only if one that stood behind it still stands (if none
/// does, more urgent messages may have pushed it out of sight).
fn gone(before: &[Arc<str>], now: &[Arc<str>], complete: bool) -> Vec<Arc<str>> {
    let standing: HashSet<&Arc<str>> = now.iter().collect();
    let reach = if complete {
        before.len()
    } else {
        before.iter().rposition(|uuid| standing.contains(uuid)).unwrap_or(0)
    };
    before[..reach].iter().filter(|uuid| !standing.contains(uuid)).cloned().collect()
}

fn method(reply: &Inspection) -> &'static str {
    match reply {
        Inspection::Ping => "ping",
        Inspection::Stats(_) => "stats",
        Inspection::Active(_) => "active",
        Inspection::Reserved(_) => "reserved",
        Inspection::Scheduled(_) => "scheduled",
        Inspection::Registered(_) => "registered",
        Inspection::ActiveQueues(_) => "active_queues",
        Inspection::Conf(_) => "conf",
        Inspection::Revoked(_) => "revoked",
    }
}

fn told<T: ToOwned + ?Sized>(value: &T, at: super::Micros) -> Option<Told<T::Owned>> {
    Some(Told { value: value.to_owned(), at })
}
