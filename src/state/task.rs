//! One task: what its message says, where it is, and its attempts. Data; the rules that merge news
//! into it are in [`merge`], its shape in the protocol in [`row`] and [`details`].

mod archive;
mod attempt;
mod details;
mod merge;
mod row;
mod snapshot;
mod standing;

pub(super) use archive::Archive;
use attempt::{Attempt, Times};
pub use details::TaskDetails;
pub use merge::{DEVIATIONS, Deviation, Rules};
pub use row::{TaskRow, TimesRow};

pub(super) use snapshot::by_our_clock;
pub(super) use standing::Standing;

use super::observation::Micros;
use crate::celery::event::TaskEventKind;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Past attempts kept: the first, and the newest of the rest (`celery.chord_unlock` retries every
/// second for ever).
const PAST_ATTEMPTS: usize = 9;

/// Entries of a history kept: the first half from the start, the rest the newest.
const HISTORY: usize = 64;

/// Where a fact came from, weakest first: a weaker source never overwrites a stronger one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Concluded from a worker that consumes only one queue.
    #[default]
    Worker,
    /// A worker's answer to inspect.
    Inspect,
    /// The result backend.
    Backend,
    /// A message that a worker holds.
    Unacked,
    /// A message in a queue.
    Queue,
    /// An event.
    Event,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact<T> {
    pub value: T,
    pub source: Source,
}

/// Takes news unless a stronger source spoke before. Answers whether the value changed.
pub(super) fn learn<T: PartialEq>(fact: &mut Option<Fact<T>>, value: T, source: Source) -> bool {
    match fact {
        Some(known) if known.source > source => false,
        Some(known) if known.value == value => {
            known.source = source;
            false
        }
        _ => {
            *fact = Some(Fact { value, source });
            true
        }
    }
}

/// Takes news only where nothing was known.
pub(super) fn fill<T: PartialEq>(fact: &mut Option<Fact<T>>, value: T, source: Source) -> bool {
    fact.is_none() && learn(fact, value, source)
}

/// A task's state in Celery's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) enum TaskState {
    #[default]
    Pending,
    Received,
    Started,
    Success,
    Failure,
    Retry,
    Revoked,
    Rejected,
    /// Upper case, as an application or a later Celery names it.
    Custom(Arc<str>),
}

impl TaskState {
    /// The state of a word, in upper case.
    pub fn named(word: &str) -> TaskState {
        match word {
            "PENDING" => TaskState::Pending,
            "RECEIVED" => TaskState::Received,
            "STARTED" => TaskState::Started,
            "SUCCESS" => TaskState::Success,
            "FAILURE" => TaskState::Failure,
            "RETRY" => TaskState::Retry,
            "REVOKED" => TaskState::Revoked,
            "REJECTED" => TaskState::Rejected,
            word => TaskState::Custom(word.into()),
        }
    }

    /// The state that an event tells (`TASK_EVENT_TO_STATE` of `celery/events/state.py`).
    pub fn told_by(kind: &TaskEventKind) -> TaskState {
        match kind {
            TaskEventKind::Sent => TaskState::Pending,
            TaskEventKind::Received => TaskState::Received,
            TaskEventKind::Started => TaskState::Started,
            TaskEventKind::Succeeded => TaskState::Success,
            TaskEventKind::Failed => TaskState::Failure,
            TaskEventKind::Retried => TaskState::Retry,
            TaskEventKind::Revoked => TaskState::Revoked,
            TaskEventKind::Rejected => TaskState::Rejected,
            TaskEventKind::Custom(word) => TaskState::named(&word.to_uppercase()),
        }
    }

    /// The word in a row.
    pub fn as_str(&self) -> &str {
        match self {
            TaskState::Custom(word) => word,
            state => TaskState::word_of(state.code()).unwrap_or_default(),
        }
    }

    /// A byte for it; one for all custom states.
    pub fn code(&self) -> u8 {
        match self {
            TaskState::Pending => 0,
            TaskState::Received => 1,
            TaskState::Started => 2,
            TaskState::Success => 3,
            TaskState::Failure => 4,
            TaskState::Retry => 5,
            TaskState::Revoked => 6,
            TaskState::Rejected => 7,
            TaskState::Custom(_) => 8,
        }
    }

    /// The word of a byte; none for custom states.
    pub fn word_of(code: u8) -> Option<&'static str> {
        const WORDS: [&str; 8] = [
            "PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED", "REJECTED",
        ];
        WORDS.get(usize::from(code)).copied()
    }

    /// `PRECEDENCE` of `celery/states.py`: the lower, the stronger.
    pub fn precedence(&self) -> u8 {
        match self {
            TaskState::Success => 0,
            TaskState::Failure => 1,
            TaskState::Custom(_) => 2,
            TaskState::Revoked => 3,
            TaskState::Started => 4,
            TaskState::Received => 5,
            TaskState::Rejected => 6,
            TaskState::Retry => 7,
            TaskState::Pending => 8,
        }
    }

    /// `READY_STATES`: the task ended.
    pub fn is_ready(&self) -> bool {
        matches!(self, TaskState::Success | TaskState::Failure | TaskState::Revoked)
    }

    /// This run of the task is over, whether or not another follows. CANCELLED is what a worker
    /// says of a run that it gave up when it lost its broker.
    pub fn ends_attempt(&self) -> bool {
        match self {
            TaskState::Retry | TaskState::Rejected => true,
            TaskState::Custom(word) => &**word == "CANCELLED",
            state => state.is_ready(),
        }
    }
}

/// Where a task is now.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Its message waits in a queue.
    #[default]
    Queue,
    /// A worker holds it and has not started it.
    Reserved,
    /// A worker holds it until its ETA.
    Scheduled,
    /// It runs.
    Active,
    /// It ended.
    Done,
}

impl Place {
    /// The place of a byte, `place as u8`.
    pub(super) fn from_code(code: u8) -> Option<Place> {
        [Place::Queue, Place::Reserved, Place::Scheduled, Place::Active, Place::Done]
            .get(usize::from(code))
            .copied()
    }

    /// The word in a row.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Queue => "queue",
            Place::Reserved => "reserved",
            Place::Scheduled => "scheduled",
            Place::Active => "active",
            Place::Done => "done",
        }
    }
}

/// What was seen of a task's message, verbatim where it says so.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Envelope {
    pub headers_json: String,
    pub properties_json: String,
    pub content_type: String,
    /// Callbacks, errbacks, chain and chord; empty where it has none of them.
    pub links_json: String,
    pub bytes: usize,
}

/// Its message in the hands of a consumer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Held {
    pub tag: Arc<str>,
    pub queue: Arc<str>,
}

/// What a worker's own list says of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Listed {
    pub worker: Arc<str>,
    pub place: Place,
}

/// One entry of a task's history.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Entry {
    /// As events name it, e.g. `received`; a snapshot's is the state it told.
    pub kind: Arc<str>,
    pub at: Option<f64>,
    pub seen: Micros,
    pub source: Source,
    pub worker: Option<Arc<str>>,
}

/// A bounded list that keeps its beginning and its end, and counts what it let go between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ends<T> {
    first: Vec<T>,
    last: VecDeque<T>,
    pub skipped: u64,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Ends { first: Vec::new(), last: VecDeque::new(), skipped: 0 }
    }
}

impl<T> Ends<T> {
    /// Appends, keeping `first` from the start and `last` from the end.
    fn push(&mut self, item: T, first: usize, last: usize) {
        if self.first.len() < first && self.last.is_empty() {
            self.first.push(item);
            return;
        }
        self.last.push_back(item);
        if self.last.len() > last {
            self.last.pop_front();
            self.skipped += 1;
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().chain(&self.last)
    }

    fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.last)
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Task {
    pub uuid: Arc<str>,
    pub revision: u64,
    /// Our clock: when the newest thing we know of it happened.
    pub seen: Micros,

    // What its message says.
    pub name: Option<Fact<Arc<str>>>,
    pub args: Option<Fact<String>>,
    pub kwargs: Option<Fact<String>>,
    /// JSON text as its source held it.
    pub args_json: Option<Fact<Arc<str>>>,
    pub kwargs_json: Option<Fact<Arc<str>>>,
    pub queue: Option<Fact<Arc<str>>>,
    pub exchange: Option<Fact<Arc<str>>>,
    pub routing_key: Option<Fact<Arc<str>>>,
    pub eta: Option<Fact<f64>>,
    pub expires: Option<Fact<f64>>,
    pub root_id: Option<Fact<Arc<str>>>,
    pub parent_id: Option<Fact<Arc<str>>>,
    pub group_id: Option<Fact<Arc<str>>>,
    pub priority: Option<Fact<i64>>,
    pub sent: Option<Fact<f64>>,
    pub message: Option<Box<Envelope>>,
    pub redelivered: bool,

    // Where it is.
    pub place: Option<Place>,
    /// Queues at whose head its message was seen at the last look.
    pub waiting: Vec<Arc<str>>,
    pub held: Option<Held>,
    pub listed: Option<Listed>,
    /// Looks at its living worker's `active` in a row that missed it.
    pub misses: u8,
    /// When it left the last place we knew, for we know not where.
    pub went: Option<Micros>,
    /// Since when it may have gone on without our hearing of it: a gap in what we heard.
    pub doubted: Option<Micros>,
    /// When the backend last said that it holds nothing of it.
    pub no_result: Option<Micros>,
    /// It no longer runs, and nothing says how it ended.
    pub ended_unknown: bool,
    pub orphaned: Option<(Arc<str>, Micros)>,

    // Its runs.
    pub past: Ends<Attempt>,
    pub current: Attempt,
    pub history: Ends<Entry>,
}

impl Task {
    /// A task of which nothing is known but its id.
    pub fn new(uuid: Arc<str>) -> Task {
        Task {
            uuid,
            revision: 0,
            seen: Micros::MIN,
            name: None,
            args: None,
            kwargs: None,
            args_json: None,
            kwargs_json: None,
            queue: None,
            exchange: None,
            routing_key: None,
            eta: None,
            expires: None,
            root_id: None,
            parent_id: None,
            group_id: None,
            priority: None,
            sent: None,
            message: None,
            redelivered: false,
            place: None,
            waiting: Vec::new(),
            held: None,
            listed: None,
            misses: 0,
            went: None,
            doubted: None,
            no_result: None,
            ended_unknown: false,
            orphaned: None,
            past: Ends::default(),
            current: Attempt::default(),
            history: Ends::default(),
        }
    }

    /// Its worker, where one is known.
    pub fn worker(&self) -> Option<&Arc<str>> {
        self.current.worker.as_ref().map(|worker| &worker.value)
    }

    /// An event told of it.
    pub fn has_events(&self) -> bool {
        self.history.iter().any(|entry| entry.source == Source::Event)
    }

    /// Nothing that a reader could see tells it from `before`; who holds or lists it shows in its
    /// place alone.
    pub fn shows_same_as(&self, before: Task) -> bool {
        let Task { revision, seen, misses, went, doubted, no_result, .. } = *self;
        let (held, listed) = (self.held.clone(), self.listed.clone());
        let inner =
            Task { revision, seen, misses, went, doubted, no_result, held, listed, ..before };
        *self == inner
    }

    /// Ends the current attempt and begins another.
    fn begin_attempt(&mut self) {
        let ended = std::mem::take(&mut self.current);
        self.past.push(ended, 1, PAST_ATTEMPTS - 1);
        self.orphaned = None;
        self.ended_unknown = false;
        self.found();
        self.listed = None;
    }

    fn note(&mut self, entry: Entry) {
        self.history.push(entry, HISTORY / 2, HISTORY / 2);
    }
}
