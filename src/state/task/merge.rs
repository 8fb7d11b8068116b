//! What an event does to a task. Precedence decides, never the clock (`celery/events/state.py`);
//! time only tells one attempt from the next.

use super::{Attempt, Entry, Fact, Source, Task, TaskState, Times, fill, learn};
use crate::celery::event::{TaskEvent, TaskEventKind};
use crate::celery::{Event, instant};
use crate::state::observation::Micros;
use crate::state::store::Names;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Whose rules merge events that come out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// `celery.events.state.State` to the letter: one flat record a task.
    Celery,
    /// Celery's, but for [`DEVIATIONS`].
    #[default]
    Ours,
}

/// Where [`Rules::Ours`] differs from Celery's `State`, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// Names it in tests.
    pub name: &'static str,
    /// What `State` shows.
    pub celery: &'static str,
    /// What we show.
    pub ours: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Every deviation; each has a test of its name.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        name: "a new attempt",
        celery: "FAILURE, then received and started again: FAILURE until it succeeds",
        ours: "a new attempt: RECEIVED, STARTED …",
        reason: "a redelivery or a retry really runs again; the earlier outcome stays in `attempts`",
    },
    Deviation {
        name: "a late retried",
        celery: "STARTED or SUCCESS, then the `task-retried` of the run before: RETRY",
        ours: "STARTED, SUCCESS",
        reason: "two workers' events overtake each other; the result backend says SUCCESS",
    },
    Deviation {
        name: "what came before a retry",
        celery: "RETRY, then the `task-sent`, received or started that preceded it: back to that",
        ours: "RETRY",
        reason: "events of several senders overtake each other; the past is no news",
    },
    Deviation {
        name: "rejected while running",
        celery: "RECEIVED, STARTED or PROGRESS, then `task-rejected`: unchanged for ever",
        ours: "REJECTED",
        reason: "the task raised Reject; nothing else will ever tell its end",
    },
    Deviation {
        name: "revoked while it reports progress",
        celery: "a custom state outranks REVOKED: a terminated task shows PROGRESS for ever",
        ours: "REVOKED",
        reason: "it was terminated, and no other event will say so",
    },
    Deviation {
        name: "late facts fill, never overwrite",
        celery: "a late event overwrites worker, retries, arguments and timestamp",
        ours: "it only adds what was not known",
        reason: "a late `task-sent` would reset `retries`, a late event name the wrong worker",
    },
];

/// Which attempt an event is about.
enum Run {
    Current,
    /// Counted from the newest past one.
    Past(usize),
    /// One that we do not know.
    Unknown,
}

impl Task {
    /// Merges an event that arrived at `seen`.
    pub fn event(
        &mut self,
        event: &Event,
        told: &TaskEvent,
        seen: Micros,
        rules: Rules,
        names: &mut Names,
    ) {
        let news = News { told, at: event.timestamp, sender: names.intern(&event.hostname) };
        let client = told.kind == TaskEventKind::Sent;
        self.note(Entry {
            kind: names.intern(&told.kind.event_type()),
            at: Some(news.at),
            seen,
            source: Source::Event,
            worker: (!client).then(|| news.sender.clone()),
        });
        self.seen = self.seen.max(seen);
        match rules {
            Rules::Celery => self.event_as_celery(&news, names),
            Rules::Ours => self.event_as_ours(&news, names),
        }
    }

    fn event_as_celery(&mut self, news: &News<'_>, names: &mut Names) {
        let told = news.told;
        let state = TaskState::told_by(&told.kind);
        let run = &mut self.current;
        run.times.set(&told.kind, news.at);
        if told.kind != TaskEventKind::Sent {
            run.worker = Some(news.fact(news.sender.clone()));
        } else {
            self.sent = Some(news.fact(news.at));
        }
        let retry = state == TaskState::Retry || run.state == TaskState::Retry;
        let late = !retry && state.precedence() > run.state.precedence();
        let filtered = late && told.kind == TaskEventKind::Received;
        if !late {
            run.state = state;
            run.state_source = Some(Source::Event);
        }
        if !filtered {
            run.timestamp = Some(news.at);
            run.outcome(news, true);
        }
        if news.describes() {
            run.retries = told.retries.map(|retries| news.fact(retries));
            self.describe_as_celery(news, names);
        }
    }

    /// `__dict__.update`: what the event carries replaces what was known, also by nothing.
    fn describe_as_celery(&mut self, news: &News<'_>, names: &mut Names) {
        let told = news.told;
        let mut name =
            |text: &Option<String>| text.as_ref().map(|text| news.fact(names.intern(text)));
        self.name = name(&told.name);
        if told.kind == TaskEventKind::Sent {
            self.queue = name(&told.queue);
            self.exchange = name(&told.exchange);
            self.routing_key = name(&told.routing_key);
        }
        let id = |text: &Option<String>| text.as_deref().map(|text| news.fact(text.into()));
        self.root_id = id(&told.root_id);
        self.parent_id = id(&told.parent_id);
        self.args = told.args.clone().map(|text| news.fact(text));
        self.kwargs = told.kwargs.clone().map(|text| news.fact(text));
        self.eta = told.eta.as_deref().and_then(instant).map(|at| news.fact(at));
        self.expires = told.expires.as_deref().and_then(instant).map(|at| news.fact(at));
    }

    fn event_as_ours(&mut self, news: &News<'_>, names: &mut Names) {
        if self.begins_attempt(news) {
            // The redelivered message is the same one; a retried one counts one more.
            let again = u64::from(self.current.state == TaskState::Retry);
            let counted = self.current.retries.as_ref().map(|retries| retries.value + again);
            self.begin_attempt();
            self.current.retries = news.told.retries.or(counted).map(|retries| news.fact(retries));
        }
        let run = self.run_of(news);
        let newest = matches!(run, Run::Current);
        let attempt = match run {
            Run::Current => Some(&mut self.current),
            Run::Past(back) => self.past.iter_mut().nth_back(back),
            Run::Unknown => None,
        };
        if let Some(attempt) = attempt {
            attempt.event(news);
        }
        if news.told.kind == TaskEventKind::Sent {
            learn(&mut self.sent, news.at, Source::Event);
        }
        if news.describes() {
            self.describe(news, newest, names);
        }
        if newest && news.told.kind != TaskEventKind::Sent {
            self.settle();
        }
    }

    /// Its worker spoke of it: what we concluded from silence is void.
    fn settle(&mut self) {
        self.waiting.clear();
        self.orphaned = None;
        self.ended_unknown = false;
        self.found();
        if self.current.state.ends_attempt() {
            self.listed = None;
        }
    }

    /// A run begins with `task-received` or `task-started` after the one before ended, or with
    /// more retries; after a retry, anything later belongs to the next run.
    fn begins_attempt(&self, news: &News<'_>) -> bool {
        let run = &self.current;
        if run.state_source.is_none() {
            return false;
        }
        let later = run.ended().is_some_and(|ended| news.at > ended);
        let over = run.state.ends_attempt() && later;
        let adrift = (self.orphaned.is_some() || self.ended_unknown)
            && run.begun().is_some_and(|begun| news.at > begun);
        match &news.told.kind {
            TaskEventKind::Received => {
                let more = match (&run.retries, news.told.retries) {
                    (Some(known), Some(retries)) => retries > known.value,
                    (None, Some(retries)) => {
                        retries > 0 && run.begun().is_some_and(|begun| news.at > begun)
                    }
                    (_, None) => false,
                };
                more || over || adrift
            }
            TaskEventKind::Started => over,
            TaskEventKind::Succeeded
            | TaskEventKind::Failed
            | TaskEventKind::Retried
            | TaskEventKind::Revoked
            | TaskEventKind::Custom(_) => over && run.state == TaskState::Retry,
            TaskEventKind::Sent | TaskEventKind::Rejected => false,
        }
    }

    /// Which attempt an event is about: by `retries` where it tells them, else by worker and time.
    fn run_of(&self, news: &News<'_>) -> Run {
        if let Some(retries) = news.told.retries {
            let is =
                |run: &Attempt| run.retries.as_ref().is_some_and(|known| known.value == retries);
            if self.current.retries.is_none() || is(&self.current) {
                return Run::Current;
            }
            return self.past.iter().rev().position(is).map_or(Run::Unknown, Run::Past);
        }
        if news.told.kind == TaskEventKind::Retried && self.overtaken(news) {
            return Run::Past(0);
        }
        let current = &self.current;
        let begun = current.begun().or(current.timestamp);
        let worker = current.worker.as_ref().map(|worker| &worker.value);
        let ours = worker.is_none_or(|worker| *worker == news.sender);
        if ours && begun.is_none_or(|begun| news.at >= begun) {
            return Run::Current;
        }
        let fits = |run: &Attempt| {
            run.begun().is_some_and(|begun| news.at >= begun)
                && run.worker.as_ref().is_some_and(|worker| worker.value == news.sender)
        };
        match self.past.iter().rev().position(fits) {
            Some(back) => Run::Past(back),
            // A retry ends a run; one from before this run began ended a run we never heard of.
            None if news.told.kind == TaskEventKind::Retried => Run::Unknown,
            None => Run::Current,
        }
    }

    /// A retry is sent before the run that asks for it ends, and so received before that run's
    /// `task-retried`: that tells of the run before, as long as the new one has not started.
    fn overtaken(&self, news: &News<'_>) -> bool {
        self.current.times.started.is_none()
            && self.past.iter().next_back().is_some_and(|before| {
                before.worker.as_ref().is_some_and(|worker| worker.value == news.sender)
                    && before.times.retried.is_none()
                    && !before.state.ends_attempt()
            })
    }

    /// What `task-sent` and `task-received` say of the message. Of the newest attempt it replaces
    /// what was known, of another it only fills.
    fn describe(&mut self, news: &News<'_>, newest: bool, names: &mut Names) {
        let told = news.told;
        let received = told.kind == TaskEventKind::Received;
        let first = if newest && received { learn } else { fill };
        let name = if newest && received { learn } else { fill };
        if let Some(text) = &told.name {
            name(&mut self.name, names.intern(text), Source::Event);
        }
        for (known, text) in [(&mut self.args, &told.args), (&mut self.kwargs, &told.kwargs)] {
            if let Some(text) = text {
                first(known, text.clone(), Source::Event);
            }
        }
        for (known, text) in [
            (&mut self.root_id, &told.root_id),
            (&mut self.parent_id, &told.parent_id),
            (&mut self.exchange, &told.exchange),
            (&mut self.routing_key, &told.routing_key),
        ] {
            if let Some(text) = text {
                fill(known, text.as_str().into(), Source::Event);
            }
        }
        if let Some(queue) = &told.queue {
            learn(&mut self.queue, names.intern(queue), Source::Event);
        }
        for (known, text) in [(&mut self.eta, &told.eta), (&mut self.expires, &told.expires)] {
            match text.as_deref().and_then(instant) {
                Some(at) if newest && received => *known = Some(news.fact(at)),
                Some(at) => drop(fill(known, at, Source::Event)),
                None if newest && received => *known = None,
                None => {}
            }
        }
    }
}

impl Attempt {
    fn event(&mut self, news: &News<'_>) {
        let told = news.told;
        let state = TaskState::told_by(&told.kind);
        let wins = self.yields_to(&state, news.at);
        self.times.set(&told.kind, news.at);
        if wins {
            self.state = state;
            self.state_source = Some(Source::Event);
            self.timestamp = Some(news.at);
            self.requeued = told.requeue.unwrap_or(false);
        }
        if let Some(retries) = told.retries {
            fill(&mut self.retries, retries, Source::Event);
        }
        if told.kind != TaskEventKind::Sent {
            let known = &mut self.worker;
            let weaker = known.as_ref().is_none_or(|worker| worker.source < Source::Event);
            if wins || weaker {
                *known = Some(news.fact(news.sender.clone()));
            }
        }
        self.outcome(news, wins);
    }

    /// Does the state give way to another that was told at `at`?
    fn yields_to(&self, state: &TaskState, at: f64) -> bool {
        let newer = self.timestamp.is_none_or(|known| at >= known);
        match (&self.state, state) {
            (TaskState::Retry, TaskState::Retry) => newer,
            (TaskState::Retry | TaskState::Rejected, state) => state.is_ready(),
            (current, TaskState::Retry | TaskState::Rejected) => !current.is_ready() && newer,
            (TaskState::Revoked, TaskState::Custom(_)) => false,
            (TaskState::Custom(_), TaskState::Revoked) => newer,
            (current, state) if current.precedence() == state.precedence() => newer,
            (current, state) => state.precedence() < current.precedence(),
        }
    }

    /// How it went, as far as the event tells.
    fn outcome(&mut self, news: &News<'_>, wins: bool) {
        let told = news.told;
        for (known, text) in [
            (&mut self.result, &told.result),
            (&mut self.exception, &told.exception),
            (&mut self.traceback, &told.traceback),
        ] {
            if let Some(text) = text {
                if wins {
                    *known = Some(news.fact(text.clone()));
                } else {
                    fill(known, text.clone(), Source::Event);
                }
            }
        }
        if let Some(runtime) = told.runtime
            && (wins || self.runtime.is_none())
        {
            self.runtime = Some(news.fact(runtime));
        }
        let newer = self.timestamp.is_none_or(|known| news.at >= known);
        if let Some(progress) = progress(told)
            && (wins || newer || self.progress.is_none())
        {
            self.progress = Some(progress);
        }
    }
}

impl Times {
    fn set(&mut self, kind: &TaskEventKind, at: f64) {
        let time = match kind {
            TaskEventKind::Received => &mut self.received,
            TaskEventKind::Started => &mut self.started,
            TaskEventKind::Succeeded => &mut self.succeeded,
            TaskEventKind::Failed => &mut self.failed,
            TaskEventKind::Retried => &mut self.retried,
            TaskEventKind::Revoked => &mut self.revoked,
            TaskEventKind::Rejected => &mut self.rejected,
            TaskEventKind::Sent | TaskEventKind::Custom(_) => return,
        };
        *time = Some(Fact { value: at, source: Source::Event });
    }
}

/// One event, as the rules look at it.
struct News<'a> {
    told: &'a TaskEvent,
    /// The sender's clock.
    at: f64,
    sender: Arc<str>,
}

impl News<'_> {
    fn fact<T>(&self, value: T) -> Fact<T> {
        Fact { value, source: Source::Event }
    }

    /// It carries what the message says.
    fn describes(&self) -> bool {
        matches!(self.told.kind, TaskEventKind::Sent | TaskEventKind::Received)
    }
}

/// The progress that a custom event tells. A number that JSON cannot express arrives as null: it
/// is unknown, so it is absent.
fn progress(told: &TaskEvent) -> Option<Map<String, Value>> {
    let TaskEventKind::Custom(word) = &told.kind else { return None };
    let tells = word == "progress" || told.extra.contains_key("current");
    let known = told.extra.iter().filter(|(_, value)| !value.is_null());
    tells.then(|| known.map(|(name, value)| (name.clone(), value.clone())).collect())
}
