//! What is known of one cluster, merged. Does no I/O and reads no clock: times come with the
//! observation, so it cannot fail, and a recording replays exactly.
//!
//! [`State::apply`] is the only way in: [`hear`] merges events, [`look`] what was asked, [`expire`]
//! the passing of time. Readers get [`State::window`] (which rows, in which order), one row, one
//! record's details, or counts; all of them are views of the same records.

mod expire;
pub mod filter;
mod hear;
mod links;
mod look;
mod name;
pub mod observation;
pub mod query;
mod queue;
mod queues;
mod rates;
pub mod record;
mod seen;
mod store;
mod task;
mod worker;

pub use filter::Filter;
pub use name::NameRow;
pub use observation::{Kind, Micros, Observation};
pub use query::{Page, Query, Sort};
pub use queue::{Binding, QueueRow};
pub use rates::Rates;
pub use record::Noun;
pub use seen::Seen;
pub use store::Sweep;
pub use task::{DEVIATIONS, Deviation, Place, Rules, Source, TaskDetails, TaskRow, TimesRow};
pub use worker::{Ignored, Software, Status, WorkerDetails, WorkerRow};

use crate::error::Result;
use links::Links;
use observation::seconds::from_micros;
use queue::Queue;
use rates::Meter;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use store::Store;
use task::{Task, TaskState};
use worker::Worker;

/// Gaps remembered.
const GAPS: usize = 16;

/// Tasks of one workflow that its details name.
const WORKFLOW: usize = 200;

/// What an observation asks for.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Changes {
    /// Hostnames of workers that are new, whose process is new, or of which it has to be known what
    /// they consume: they are asked at once.
    pub appeared: Vec<String>,
}

/// Sizes of sets, for the row of an environment: each equals the `total` of the list it opens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Counts {
    /// Rows of `worker/list`.
    pub workers: u64,
    /// Rows of `task/list`.
    pub tasks: u64,
    /// Rows of `queue/list`.
    pub queues: u64,
    /// Tasks that run, by all we know.
    pub active: u64,
    /// Messages in all queues; absent while none was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Tasks let go for want of room.
    pub dropped: u64,
    /// Events, messages, replies and results that could not be decoded.
    pub undecodable: u64,
}

/// A stretch in which we heard nothing. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Gap {
    /// The last we heard.
    pub from: f64,
    /// When we heard again.
    pub to: f64,
    /// What was missed was asked for since, as far as it can be.
    pub refilled: bool,
}

/// Whether task events arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Some living worker sends them.
    Flowing,
    /// No worker is known to send them, nor that it does not.
    Silent,
    /// Every living worker works, and none sends them.
    Off,
}

impl Flow {
    /// The word in a row.
    pub fn as_str(self) -> &'static str {
        match self {
            Flow::Flowing => "flowing",
            Flow::Silent => "silent",
            Flow::Off => "off",
        }
    }
}

/// Everything known of one cluster.
#[derive(Debug)]
pub struct State {
    rules: Rules,
    revision: u64,
    /// The newest time that an observation brought.
    now: Micros,
    tasks: Store,
    workers: BTreeMap<Arc<str>, Worker>,
    queues: BTreeMap<Arc<str>, Queue>,
    /// Delivery tag → the task and queue of the message that a worker holds.
    tags: BTreeMap<Arc<str>, (Arc<str>, Arc<str>)>,
    /// Whether those are all there are.
    all_tags: bool,
    links: Links,
    meter: Meter,
    /// The rates that readers saw last.
    rates: Option<Rates>,
    gaps: VecDeque<Gap>,
    undecodable: u64,
    /// Since when we hear; silence before that is ours.
    listening_since: Option<Micros>,
    /// When we lost the connection; silence after that is ours.
    deaf_since: Option<Micros>,
}

impl State {
    /// An empty state whose tasks keep to about `budget_bytes`.
    pub fn new(rules: Rules, budget_bytes: usize) -> State {
        State {
            rules,
            revision: 0,
            now: 0,
            tasks: Store::new(budget_bytes),
            workers: BTreeMap::new(),
            queues: BTreeMap::new(),
            tags: BTreeMap::new(),
            all_tags: false,
            links: Links::default(),
            meter: Meter::default(),
            rates: None,
            gaps: VecDeque::new(),
            undecodable: 0,
            listening_since: None,
            deaf_since: None,
        }
    }

    /// Merges one observation.
    pub fn apply(&mut self, observation: &Observation) -> Changes {
        let seen = observation.seen;
        self.now = self.now.max(seen);
        self.listening_since.get_or_insert(seen);
        let mut changes = Changes::default();
        match &observation.kind {
            Kind::Event(event) => self.hear(event, seen, &mut changes),
            Kind::Inspect { hostname, reply } => self.inspect(hostname, reply, &mut changes),
            Kind::Control { hostname, method, reply } => {
                self.control(hostname, method, reply, &mut changes);
            }
            Kind::Untold { hostname, method, reason } => self.untold(hostname, method, reason),
            Kind::Missing { hostnames, listeners, answered, method: _ } => {
                let silent = listeners.map(|count| count.saturating_sub(*answered));
                self.missing(hostnames, silent);
            }
            Kind::QueueNames { names, broadcast, exact } => {
                self.name_queues(names, broadcast, *exact);
            }
            Kind::Queues(samples) => self.sample(samples),
            Kind::Head { queue, messages, complete, total: _ } => {
                self.head(queue, messages, *complete);
            }
            Kind::Found { queue, message } => self.found(queue, message),
            Kind::Sent { queue, message, retry_of } => {
                self.sent(queue, message, retry_of.as_deref());
            }
            Kind::Unacked { index, new, complete } => {
                self.unacked(index, new, *complete);
            }
            Kind::Result(meta) => self.result(meta),
            Kind::NoResult { uuids } => self.no_result(uuids),
            Kind::Gap { from } => self.gap(*from),
            Kind::Refilled => self.refilled(),
            Kind::Disconnected => self.deaf_since = Some(self.now),
            Kind::Undecodable { .. } => {
                self.undecodable += 1;
                self.revision += 1;
            }
            Kind::Tick => {}
        }
        self.expire(matches!(observation.kind, Kind::Tick), &mut changes);
        changes
    }

    /// Changes the bytes that tasks keep to; what is too much goes with the next observation.
    pub fn keep_to(&mut self, budget_bytes: usize) {
        self.tasks.keep_to(budget_bytes);
    }

    /// Forgets everything but its revision, by which readers know what they have: what comes next
    /// may be what came before.
    pub fn begin_again(&mut self) {
        let revision = self.revision + 1;
        *self = State { revision, ..State::new(self.rules, self.tasks.budget()) };
    }

    /// Goes up with every change that a reader could see.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest time that an observation brought.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Which rows a query shows now, in order, each with the revision of its record.
    ///
    /// # Errors
    /// [`crate::Error::InvalidParams`] for a cursor that is none of ours.
    pub fn window(&self, noun: Noun, query: &Query) -> Result<Page> {
        let sort = query.sort.unwrap_or_else(|| Sort::of(noun));
        match noun {
            Noun::Task => self.tasks.window(query, sort, self.now),
            Noun::Name => query::window(self.tasks.by_name.iter(), query, sort, self.now),
            Noun::Worker => query::window(self.workers.values(), query, sort, self.now),
            Noun::Queue => query::window(self.shown_queues(), query, sort, self.now),
            Noun::Environment => Ok(Page { exact: true, ..Page::default() }),
        }
    }

    /// One row as the protocol shows it.
    pub fn row(&self, noun: Noun, key: &str) -> Option<Value> {
        let row = match noun {
            Noun::Task => self
                .tasks
                .get(key)
                .map(|task| to_json(&self.linked(task.row(self.max_retries(&task))))),
            Noun::Name => self.tasks.by_name.get(key).map(|count| to_json(&count.row())),
            Noun::Worker => self.workers.get(key).map(|worker| to_json(&worker.row())),
            Noun::Queue => self.queues.get(key).map(|queue| to_json(&queue.row())),
            Noun::Environment => None,
        };
        row.flatten()
    }

    /// Begins to read all tasks that match.
    pub fn sweep(&self, filter: Filter) -> Sweep {
        self.tasks.sweep(filter, self.now, self.revision)
    }

    /// Reads on: tells the next tasks until `tell` wants no more. `false`: there are no more.
    pub fn go_on(&self, sweep: &mut Sweep, mut tell: impl FnMut(&TaskRow<'_>) -> bool) -> bool {
        let tell = |task: Task| tell(&self.linked(task.row(self.max_retries(&task))));
        self.tasks.go_on(sweep, self.now, tell)
    }

    /// When a record last changed; `None` where there is none.
    pub fn revision_of(&self, noun: Noun, key: &str) -> Option<u64> {
        match noun {
            Noun::Task => self.tasks.revision_of(key),
            Noun::Name => self.tasks.by_name.get(key).map(|count| count.revision),
            Noun::Worker => self.workers.get(key).map(|worker| worker.revision),
            Noun::Queue => self.queues.get(key).map(|queue| queue.revision),
            Noun::Environment => None,
        }
    }

    /// Tells everything memory holds of a task; of JSON texts above 256 KiB only the size, unless
    /// `full`.
    pub fn task<T>(
        &self,
        uuid: &str,
        full: bool,
        tell: impl FnOnce(TaskDetails<'_>) -> T,
    ) -> Option<T> {
        let task = self.tasks.get(uuid)?;
        let position = task.waiting.iter().find_map(|queue| {
            let queue = self.queues.get(queue).filter(|_| self.is_read(queue))?;
            queue.head.iter().position(|waiting| **waiting == *uuid)
        });
        let position = position.map(|position| position as u64);
        let relatives = self.workflow(&task);
        let relatives = relatives.iter().map(|other| other.relative_of(&task)).collect();
        let mut details = task.details(full, self.max_retries(&task), position, relatives);
        details.row = self.linked(details.row);
        let waits_in = details.row.queue.filter(|_| task.place == Some(task::Place::Queue));
        details.consumers = waits_in.and_then(|queue| self.consumers_of(queue));
        Some(tell(details))
    }

    fn linked<'a>(&'a self, row: TaskRow<'a>) -> TaskRow<'a> {
        let (retry_of, retried_as) =
            (self.links.retry_of(row.uuid), self.links.retried_as(row.uuid));
        TaskRow { retry_of, retried_as, ..row }
    }

    /// Everything memory holds of a worker.
    pub fn worker(&self, hostname: &str) -> Option<WorkerDetails<'_>> {
        let worker = self.workers.get(hostname)?;
        let mut details = worker.details();
        self.fill_untold(worker, &mut details);
        Some(details)
    }

    /// Everything memory holds of every worker, by hostname.
    pub fn workers(&self) -> impl Iterator<Item = WorkerDetails<'_>> {
        self.workers.values().map(Worker::details)
    }

    /// Sizes of sets.
    pub fn counts(&self) -> Counts {
        Counts {
            workers: self.workers.len() as u64,
            tasks: self.tasks.len() as u64,
            queues: self.shown_queues().count() as u64,
            active: self.tasks.count(Place::Active),
            queued: self.queued(),
            dropped: self.tasks.evicted,
            undecodable: self.undecodable,
        }
    }

    /// Messages that workers can take, over all queues.
    fn queued(&self) -> Option<u64> {
        let lengths = self.shown_queues().filter_map(|queue| queue.row().messages);
        lengths.reduce(|sum, more| sum + more)
    }

    /// Bytes that the tasks take.
    pub fn bytes(&self) -> usize {
        self.tasks.bytes()
    }

    /// Task events a second over the last minute, as of the last tick; absent while no worker
    /// sends task events.
    pub fn rates(&self) -> Option<Rates> {
        self.rates
    }

    /// Stretches in which we heard nothing, oldest first; the last few.
    pub fn gaps(&self) -> Vec<Gap> {
        self.gaps.iter().cloned().collect()
    }

    /// Names of all queues on the broker, also of those that are shown under another's.
    pub fn queue_names(&self) -> Vec<String> {
        self.queues.keys().map(|name| name.to_string()).collect()
    }

    /// Workers that a broadcast can expect an answer from.
    pub fn workers_online(&self) -> Vec<String> {
        let answering = self.workers.values().filter(|worker| worker.answers());
        answering.map(|worker| worker.hostname.to_string()).collect()
    }

    /// When any worker beat last.
    pub fn last_beat(&self) -> Option<Micros> {
        self.workers.values().filter_map(|worker| worker.heartbeats.back().copied()).max()
    }

    /// Delivery tags whose messages are known.
    pub fn known_tags(&self) -> HashSet<String> {
        self.tags.keys().map(|tag| tag.to_string()).collect()
    }

    /// Whether task events arrive.
    pub fn events_flow(&self) -> Flow {
        let living = || self.workers.values().filter(|worker| worker.is_alive());
        if living().any(|worker| worker.events == Some(true)) {
            Flow::Flowing
        } else if living().next().is_some() && living().all(|worker| worker.events == Some(false)) {
            Flow::Off
        } else {
            Flow::Silent
        }
    }

    /// Some living worker is not known to send task events: the end of its tasks is heard from the
    /// result backend alone.
    pub fn some_worker_sends_no_task_events(&self) -> bool {
        let mut living = self.workers.values().filter(|worker| worker.is_alive());
        living.any(|worker| worker.events != Some(true))
    }

    /// Memory holds something of a task.
    pub fn knows(&self, uuid: &str) -> bool {
        self.tasks.contains(uuid)
    }

    /// The ids of all known tasks of the workflow that `root` began, without it.
    pub fn workflow_of(&self, root: &str) -> Vec<String> {
        let members = self.tasks.workflow(root, usize::MAX).into_iter();
        members.map(|task| task.uuid.to_string()).filter(|uuid| uuid != root).collect()
    }

    /// The task ended; asking further sources about its message is in vain.
    pub fn is_over(&self, uuid: &str) -> bool {
        self.tasks.is_over(uuid)
    }

    /// The task is known, and there.
    pub fn is_at(&self, uuid: &str, place: Place) -> bool {
        self.tasks.is_at(uuid, place)
    }

    /// It is over because it was revoked, or about to be: workers store that before they meet it.
    pub fn is_revoked(&self, uuid: &str) -> bool {
        self.tasks.get(uuid).is_some_and(|task| task.current.state == TaskState::Revoked)
    }

    /// The queues in which a task's message waits or, where nobody saw it on its way, may wait; `None`
    /// where the task is not known.
    pub fn waits_in(&self, uuid: &str) -> Option<Vec<String>> {
        let task = self.tasks.get(uuid)?;
        let seen: Vec<String> = task.waiting.iter().map(|queue| queue.to_string()).collect();
        let may_wait = matches!(task.place, None | Some(Place::Queue));
        let sent = task.queue.as_ref().filter(|_| seen.is_empty() && may_wait);
        Some(sent.map_or(seen, |queue| vec![queue.value.to_string()]))
    }

    /// Ids of tasks that no longer run or wait anywhere we know of and whose outcome is not known,
    /// longest first: the result backend may tell. One that it knew nothing of is named again after
    /// as long as it is adrift, 10 s at least.
    pub fn unexplained(&self, limit: usize) -> Vec<String> {
        const AGAIN: Micros = 10_000_000;
        let worth_asking = self.tasks.adrift().filter(|(since, task)| {
            let asked = |at: Micros| self.now - at >= AGAIN.max(at - since);
            task.no_result.is_none_or(asked)
        });
        worth_asking.take(limit).map(|(_, task)| task.uuid.to_string()).collect()
    }

    fn max_retries(&self, task: &Task) -> Option<u64> {
        let name = task.name.as_ref()?;
        self.tasks.by_name.get(&name.value)?.max_retries
    }

    /// The other tasks of its workflow, root first. Every task names its root, so nothing is walked
    /// and a cycle of parents harms nobody.
    fn workflow(&self, task: &Task) -> Vec<Task> {
        let root = task.root_id.as_ref().map_or(&task.uuid, |root| &root.value);
        let others = self.tasks.get(root).into_iter().chain(self.tasks.workflow(root, WORKFLOW));
        others.filter(|other| other.uuid != task.uuid).take(WORKFLOW).collect()
    }
}

/// A row as JSON. Rows hold nothing that JSON cannot express, but for floats that are none.
fn to_json(row: &impl Serialize) -> Option<Value> {
    serde_json::to_value(row).ok()
}

#[cfg(test)]
mod tests;
