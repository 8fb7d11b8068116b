//! One worker: what its heartbeats, events and answers say of it, and whether it is alive.
//!
//! Counts are what the worker itself says, or sizes of sets; nothing is added and subtracted.
//! Status is judged from signs of life, never from the Lamport clock or the worker's own time.

mod held;
mod ignored;
mod namesakes;
mod row;
mod stats;

pub(super) use held::HeldTask;
pub(super) use ignored::Consumption;
pub use ignored::Ignored;
pub use row::{WorkerDetails, WorkerRow};

use super::observation::{Micros, seconds};
use super::task::Rules;
use crate::celery::control::{ActiveQueue, RegisteredTask, RequestInfo};
use crate::celery::event::{TaskEvent, TaskEventKind, WorkerEvent};
use namesakes::Namesakes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A worker that was silent for this long is lost; one that said goodbye leaves its tasks orphaned.
pub(super) const LOST_AFTER: Micros = 60_000_000;

/// Celery's `HEARTBEAT_EXPIRE_WINDOW`: a beat counts for two periods.
const EXPIRE_WINDOW: f64 = 2.0;

/// The period that Celery assumes for a worker that never told its own.
const DEFAULT_FREQ: f64 = 60.0;

/// Heartbeats that a row shows; Celery's own `State` keeps 4.
const BEATS: usize = 16;

/// A success counts for this part of the mean runtime.
const RUNTIMES: f64 = 16.0;

/// Process ids remembered, to tell a restart from two processes of one name.
const FORMER_PIDS: usize = 4;

/// Beats with `processed` growing and no task event among them, until events count as off. Two,
/// since a worker buffers task events and a beat may overtake them.
const SILENT_GROWTH: u8 = 2;

/// Whether a worker lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It beats, or answers where it never beat.
    Online,
    /// Its beats stopped, and nobody said goodbye.
    Silent,
    /// Silent for over 60 s.
    Lost,
    /// It said goodbye.
    Offline,
    /// Neither beat nor reply yet.
    Unknown,
}

impl Status {
    /// The word in a row.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Online => "online",
            Status::Silent => "silent",
            Status::Lost => "lost",
            Status::Offline => "offline",
            Status::Unknown => "unknown",
        }
    }
}

/// A worker's software, as its heartbeats name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Software {
    /// e.g. `py-celery`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ident: Option<String>,
    /// e.g. `5.7.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// e.g. `Linux`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// An answer and when we got it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told<T> {
    /// The answer.
    pub value: T,
    /// Our clock.
    pub at: Micros,
}

/// One worker. Fields are named as rows name them.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub hostname: Arc<str>,
    pub revision: u64,
    pub status: Status,
    pub evidence: Cow<'static, str>,
    pub pid: Option<i64>,
    former_pids: VecDeque<i64>,
    namesakes: Namesakes,
    pub freq: Option<f64>,
    pub clock: Option<u64>,
    /// Receipt of the last beats, oldest first. Celery's rules keep the sender's time of task
    /// events among them, as `State` does.
    pub heartbeats: VecDeque<Micros>,
    /// Receipt less timestamp of the same beats.
    offsets: VecDeque<Micros>,
    replied: Option<(Micros, String)>,
    /// When we last heard a task event of it.
    heard: Option<Micros>,
    /// Since when its beats say that it runs nothing and started nothing.
    pub idle: Option<Micros>,
    /// Queues that it should take messages from, and does not.
    pub ignores: Vec<Ignored>,
    /// When it was asked again what it consumes, because it seems to ignore that.
    pub doubted: Option<Micros>,
    /// When it said goodbye.
    pub left: Option<Micros>,
    /// Broadcasts in a row that it did not answer.
    missed: u32,
    /// More listened to the last such broadcast than answered.
    listening: Option<u64>,
    pub active: Option<u64>,
    pub processed: Option<u64>,
    pub loadavg: Option<[f64; 3]>,
    pub software: Software,
    pub counters: BTreeMap<String, u64>,
    pub counted_since: Option<Micros>,
    /// Seconds that the tasks we heard succeed took, the newest weighing most.
    pub runtime: Option<f64>,
    pub events: Option<bool>,
    silent_growth: u8,
    pub started: Option<Micros>,
    pub pool: Option<String>,
    pub concurrency: Option<u64>,
    pub cpu: Option<f64>,
    pub memory: Option<u64>,
    pub stats: Option<Told<Map<String, Value>>>,
    pub conf: Option<Told<Map<String, Value>>>,
    pub registered: Option<Told<Vec<RegisteredTask>>>,
    pub revoked: Option<Told<Vec<String>>>,
    pub active_queues: Option<Told<Vec<ActiveQueue>>>,
    pub active_tasks: Option<Told<Vec<RequestInfo>>>,
    pub reserved_tasks: Option<Told<Vec<RequestInfo>>>,
    pub scheduled_tasks: Option<Told<Vec<RequestInfo>>>,
    /// Methods that it was asked and did not tell, and why.
    pub untold: BTreeMap<String, String>,
}

/// What a process id told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// The one we know.
    Same,
    /// The first that we learn of.
    First,
    /// Another one: the worker was restarted.
    New,
    /// Another one, and the one before may still be there.
    Beside,
    /// One from before: a late event, or two processes that share the name.
    Former,
}

impl Process {
    /// A process that we did not know.
    pub fn is_another(self) -> bool {
        matches!(self, Process::New | Process::Beside)
    }
}

impl Worker {
    /// A worker of which nothing is known but its name.
    pub fn new(hostname: Arc<str>) -> Worker {
        Worker {
            hostname,
            revision: 0,
            status: Status::Unknown,
            evidence: Cow::Borrowed(""),
            pid: None,
            former_pids: VecDeque::new(),
            namesakes: Namesakes::default(),
            freq: None,
            clock: None,
            heartbeats: VecDeque::new(),
            offsets: VecDeque::new(),
            replied: None,
            heard: None,
            idle: None,
            ignores: Vec::new(),
            doubted: None,
            left: None,
            missed: 0,
            listening: None,
            active: None,
            processed: None,
            loadavg: None,
            software: Software::default(),
            counters: BTreeMap::new(),
            counted_since: None,
            runtime: None,
            events: None,
            silent_growth: 0,
            started: None,
            pool: None,
            concurrency: None,
            cpu: None,
            memory: None,
            stats: None,
            conf: None,
            registered: None,
            revoked: None,
            active_queues: None,
            active_tasks: None,
            reserved_tasks: None,
            scheduled_tasks: None,
            untold: BTreeMap::new(),
        }
    }

    /// Nothing was told of it yet.
    pub fn is_new(&self) -> bool {
        self.revision == 0
    }

    /// Receipt less timestamp: the smallest of the recent beats, since whatever delays a beat on
    /// its way only makes it larger.
    pub fn skew(&self) -> Option<Micros> {
        self.offsets.iter().min().copied()
    }

    /// Names of the queues it consumes from, as the application knows them.
    pub fn queues(&self) -> Option<Vec<&str>> {
        let told = self.active_queues.as_ref()?;
        Some(told.value.iter().map(ActiveQueue::known_as).collect())
    }

    /// Its only queue, where it said that it has just one.
    pub fn only_queue(&self) -> Option<&str> {
        match self.active_queues.as_ref()?.value.as_slice() {
            [queue] => Some(queue.known_as()),
            _ => None,
        }
    }

    /// Worth waiting for in a broadcast.
    pub fn answers(&self) -> bool {
        self.status == Status::Online && self.missed < 2
    }

    /// It lives, or at least did not go.
    pub fn is_alive(&self) -> bool {
        matches!(self.status, Status::Online | Status::Silent)
    }

    /// Takes the process id that it, not one of its children, told.
    pub fn process(&mut self, pid: Option<i64>, seen: Micros) -> Process {
        let Some(pid) = pid else { return Process::Same };
        self.heard_of(pid, seen);
        if self.pid == Some(pid) {
            return Process::Same;
        }
        if self.former_pids.contains(&pid) {
            return Process::Former;
        }
        if let Some(before) = self.pid.replace(pid) {
            self.former_pids.push_back(before);
            if self.former_pids.len() > FORMER_PIDS {
                self.former_pids.pop_front();
            }
            self.forget_process();
            return if self.replaces(before, seen) { Process::New } else { Process::Beside };
        }
        Process::First
    }

    /// What ended with the process before: figures since its start, and settings made in it.
    fn forget_process(&mut self) {
        self.events = None;
        self.silent_growth = 0;
        self.offsets.clear();
        self.clock = None;
        (self.active, self.processed, self.loadavg) = (None, None, None);
        self.idle = None;
        (self.started, self.cpu, self.memory) = (None, None, None);
        (self.stats, self.conf) = (None, None);
        (self.active_tasks, self.reserved_tasks, self.scheduled_tasks) = (None, None, None);
        self.untold.clear();
    }

    /// A `worker-*` event that arrived at `seen`.
    pub fn event(&mut self, event: &WorkerEvent, timestamp: f64, seen: Micros, rules: Rules) {
        let Software { ident, version, system } = &mut self.software;
        fill(ident, &event.sw_ident);
        fill(version, &event.sw_ver);
        fill(system, &event.sw_sys);
        fill(&mut self.loadavg, &event.loadavg);
        fill(&mut self.active, &event.active);
        // The answer to the `heartbeat` command carries a made-up `freq` of 5 and no counts.
        if event.processed.is_some() || self.freq.is_none() || rules == Rules::Celery {
            fill(&mut self.freq, &event.freq);
        }
        self.rest(event.processed, seen);
        self.watch_growth(event.processed);
        if event.subject == "offline" {
            self.heartbeats.clear();
            self.offsets.clear();
            self.left = Some(seen);
            return;
        }
        self.left = None;
        self.missed = 0;
        self.beat(seen, rules);
        self.offsets.push_back(seen - seconds::to_micros(timestamp));
        if self.offsets.len() > BEATS {
            self.offsets.pop_front();
        }
    }

    /// A `task-*` event of its own that arrived at `seen`.
    pub fn task_event(&mut self, told: &TaskEvent, timestamp: f64, seen: Micros, rules: Rules) {
        let kind = &told.kind;
        if let (TaskEventKind::Succeeded, Some(took)) = (kind, told.runtime) {
            let mean = self.runtime.get_or_insert(took);
            *mean += (took - *mean) / RUNTIMES;
        }
        let what = kind.event_type();
        match self.counters.get_mut(&*what) {
            Some(count) => *count += 1,
            None => drop(self.counters.insert(what.into_owned(), 1)),
        }
        self.counted_since.get_or_insert(seen);
        self.heard = Some(seen);
        self.idle = None;
        if rules == Rules::Celery {
            self.beat(seconds::to_micros(timestamp), rules);
        }
        // `Task.send_event()` publishes by itself, whether the worker sends task events or not.
        if !matches!(kind, TaskEventKind::Custom(_)) {
            self.events = Some(true);
            self.silent_growth = 0;
        }
    }

    /// An answer to `method` that arrived at `seen`.
    pub fn reply(&mut self, method: &str, seen: Micros) {
        self.replied = Some((seen, method.to_owned()));
        self.missed = 0;
        self.listening = None;
    }

    /// It said that it sends task events from now on, or no longer.
    pub fn events_told(&mut self, on: bool) {
        self.events = Some(on);
        self.silent_growth = 0;
    }

    /// It did not answer a broadcast; `listening` more heard it than answered, where that is known.
    pub fn miss(&mut self, listening: Option<u64>) {
        self.missed = self.missed.saturating_add(1);
        self.listening = listening;
    }

    fn beat(&mut self, at: Micros, rules: Rules) {
        let most = if rules == Rules::Celery { 4 } else { BEATS };
        if self.heartbeats.len() >= most {
            self.heartbeats.pop_front();
        }
        let place = self.heartbeats.partition_point(|beat| *beat <= at);
        self.heartbeats.insert(place, at);
    }

    /// What a beat says of its rest: it runs nothing, and started nothing since the beat before.
    fn rest(&mut self, processed: Option<u64>, seen: Micros) {
        let Some(processed) = processed else { return };
        let rests = self.active == Some(0) && self.processed == Some(processed);
        self.idle = rests.then(|| self.idle.unwrap_or(seen));
    }

    /// Tasks that start while no task event comes: the worker does not send them.
    fn watch_growth(&mut self, processed: Option<u64>) {
        let Some(now) = processed else { return };
        if let Some(before) = self.processed.replace(now)
            && now > before
        {
            self.silent_growth = self.silent_growth.saturating_add(1);
            if self.silent_growth >= SILENT_GROWTH {
                self.events = Some(false);
            }
        }
    }

    /// Judges its status at `now`. Silence counts from `listening_since` at the earliest: before
    /// that we were deaf. `running`: a task of its is known to run. Answers whether it changed.
    pub fn judge(&mut self, now: Micros, listening_since: Micros, running: bool) -> bool {
        let (status, evidence) = self.verdict(now, listening_since, running);
        let changed = status != self.status || evidence != self.evidence;
        self.status = status;
        self.evidence = evidence;
        changed
    }

    fn verdict(
        &self,
        now: Micros,
        listening_since: Micros,
        running: bool,
    ) -> (Status, Cow<'static, str>) {
        let replied = self.replied.as_ref().map(|(at, _)| *at);
        let beat = self.heartbeats.back().copied();
        let life = [beat, replied, self.heard].into_iter().flatten().max();
        if let Some(left) = self.left
            && life.is_none_or(|life| life <= left)
        {
            return (Status::Offline, "it said goodbye".into());
        }
        let Some(life) = life else {
            return (Status::Unknown, "neither a heartbeat nor an answer yet".into());
        };
        let answered = self.replied.as_ref().filter(|_| self.missed == 0).map(|(_, method)| method);
        let quiet = now - life.max(listening_since);
        let period = self.period();
        match (beat, answered) {
            (Some(beat), _) if now < beat.max(listening_since) + period => {
                (Status::Online, "heartbeats arrive".into())
            }
            (Some(_), Some(method)) if quiet <= LOST_AFTER => {
                (Status::Silent, format!("heartbeats stopped; it answers `{method}`").into())
            }
            // It was never heard to beat: an answer holds until one stays out.
            (None, Some(method)) => {
                (Status::Online, format!("no heartbeats heard; it answers `{method}`").into())
            }
            (None, None) if self.heard.is_some() && quiet < period && self.missed == 0 => {
                (Status::Online, "no heartbeats heard; its task events arrive".into())
            }
            _ => self.silence(quiet, running),
        }
    }

    /// Nothing is heard: why a solo worker may be quiet all the same, how long any other is.
    fn silence(&self, quiet: Micros, running: bool) -> (Status, Cow<'static, str>) {
        if self.pool.as_deref() == Some("solo") {
            if running || self.active.is_some_and(|active| active > 0) {
                let why = "a solo worker is quiet while its task runs";
                return (Status::Silent, format!("heartbeats stopped; {why}").into());
            }
            if let Some(listening) = self.listening.filter(|count| *count > 0) {
                let why = "a solo worker, possibly busy with a task and among the listeners that \
                           did not answer";
                return (Status::Silent, format!("heartbeats stopped; {why}: {listening}").into());
            }
        }
        if quiet > LOST_AFTER {
            (Status::Lost, "no sign of life for over 60 s".into())
        } else {
            (Status::Silent, "heartbeats stopped; nobody said goodbye".into())
        }
    }
}

/// Takes a fact where there is one: an absent one never overwrites.
fn fill<T: Clone>(fact: &mut Option<T>, news: &Option<T>) {
    if news.is_some() {
        fact.clone_from(news);
    }
}
