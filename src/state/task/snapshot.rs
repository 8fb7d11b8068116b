//! What a look at a queue, at `unacked`, at a worker's lists or at the result backend does to a
//! task. A look shows the present, so it begins no history: it adds what is not known, and moves
//! the task where the look saw it.

use super::{
    Attempt, Entry, Envelope, Fact, Held, Listed, Place, Source, Task, TaskState, fill, learn,
};
use crate::celery::control::RequestInfo;
use crate::celery::{TaskMessage, TaskMeta, display, instant};
use crate::state::observation::{Micros, seconds};
use crate::state::store::Names;
use std::sync::Arc;

/// Looks at a living worker's `active` in a row that must miss a task until it counts as ended.
const MISSES: u8 = 2;

impl Task {
    /// Its message was seen in `queue`; `source` says whether it waits there or is held.
    pub fn message(
        &mut self,
        message: &TaskMessage,
        queue: &str,
        source: Source,
        names: &mut Names,
    ) {
        let runs = self.current.begun().is_some();
        if self.message.is_none() || message.retries >= self.retries() {
            self.message = Some(Box::new(Envelope {
                headers_json: message.headers_json.clone(),
                properties_json: message.properties_json.clone(),
                content_type: message.content_type.clone(),
                links_json: message.links().unwrap_or_default().to_owned(),
                bytes: message.bytes,
            }));
        }
        if !message.name.is_empty() {
            fill(&mut self.name, names.intern(&message.name), source);
        }
        if !queue.is_empty() {
            learn_place(&mut self.queue, names.intern(queue), source);
        }
        for (known, text) in [(&mut self.args, &message.args), (&mut self.kwargs, &message.kwargs)]
        {
            fill_text(known, text.as_deref(), source);
        }
        for (known, text) in [
            (&mut self.args_json, &message.args_json),
            (&mut self.kwargs_json, &message.kwargs_json),
        ] {
            if let Some(text) = text {
                learn(known, text.as_str().into(), source);
            }
        }
        for (known, text) in [
            (&mut self.root_id, &message.root_id),
            (&mut self.parent_id, &message.parent_id),
            (&mut self.group_id, &message.group_id),
        ] {
            if let Some(text) = text {
                fill(known, text.as_str().into(), source);
            }
        }
        if let Some(priority) = message.priority {
            learn(&mut self.priority, priority, source);
        }
        for (known, text) in [(&mut self.eta, &message.eta), (&mut self.expires, &message.expires)]
        {
            if let Some(at) = text.as_deref().and_then(instant)
                && !runs
            {
                learn(known, at, source);
            }
        }
        if !runs {
            fill(&mut self.current.retries, message.retries, source);
        }
        self.redelivered |= message.redelivered;
    }

    /// Its message waits in `queue`. Not believed of a message that a worker took since: the look
    /// is older than the event, unless the message was delivered before or is a later run's.
    pub fn waits(&mut self, message: &TaskMessage, queue: Arc<str>) {
        let taken = self.current.begun().is_some() && !self.current.state.ends_attempt();
        if taken && !message.redelivered && message.retries <= self.retries() {
            return;
        }
        if !self.waiting.contains(&queue) {
            self.waiting.push(queue);
        }
        self.found();
    }

    /// Its message left `queue`; `now` is when we noticed.
    pub fn left_queue(&mut self, queue: &str, now: Micros) {
        self.waiting.retain(|name| **name != *queue);
        self.adrift_from(now);
    }

    /// A worker holds its message, unacknowledged.
    pub fn held(&mut self, held: Held) {
        self.waiting.retain(|queue| *queue != held.queue);
        self.held = Some(held);
        self.received(Source::Unacked);
        self.found();
    }

    /// Its message is no longer held.
    pub fn released(&mut self, now: Micros) {
        self.held = None;
        self.adrift_from(now);
    }

    /// A worker's `active`, `reserved` or `scheduled` names it. `time_start` says when it began to
    /// run; a look that is older than its end teaches nothing.
    pub fn listed(
        &mut self,
        info: &RequestInfo,
        worker: Arc<str>,
        place: Place,
        names: &mut Names,
    ) {
        if self.is_stale(info.time_start) {
            return;
        }
        let source = Source::Inspect;
        if !info.name.is_empty() {
            fill(&mut self.name, names.intern(&info.name), source);
        }
        fill_text(&mut self.args, info.args.as_deref(), source);
        fill_text(&mut self.kwargs, info.kwargs.as_deref(), source);
        if let Some(queue) = &info.routing_key {
            learn(&mut self.queue, names.intern(queue), source);
        }
        if let Some(priority) = info.priority {
            learn(&mut self.priority, priority, source);
        }
        if let Some(eta) = info.eta.as_deref().and_then(instant) {
            fill(&mut self.eta, eta, source);
        }
        self.redelivered |= info.redelivered;
        let known = &mut self.current.worker;
        if known.as_ref().is_none_or(|known| known.source <= source || known.value == worker) {
            learn(known, worker.clone(), source);
        }
        if place == Place::Active {
            self.runs(info);
        } else {
            self.received(source);
        }
        self.listed = Some(Listed { worker, place });
        self.found();
    }

    /// Its run ended, and the look tells of nothing that began since.
    fn is_stale(&self, time_start: Option<f64>) -> bool {
        let run = &self.current;
        run.state.ends_attempt()
            && !matches!((time_start, run.ended()), (Some(start), Some(ended)) if start > ended)
    }

    fn runs(&mut self, info: &RequestInfo) {
        if self.current.state.ends_attempt() {
            self.begin_attempt();
        }
        if let Some(start) = info.time_start {
            fill(&mut self.current.times.started, start, Source::Inspect);
        }
        if let Some(pid) = info.worker_pid {
            learn(&mut self.current.pid, pid, Source::Inspect);
        }
        if self.current.state.precedence() > TaskState::Started.precedence() {
            self.current.tell(TaskState::Started, Source::Inspect);
        }
        self.ended_unknown = false;
        self.orphaned = None;
    }

    /// Held by a worker: RECEIVED is Celery's word for it.
    fn received(&mut self, source: Source) {
        if self.current.state == TaskState::Pending {
            self.current.tell(TaskState::Received, source);
        }
    }

    /// A complete `active` of its living worker did not name it.
    pub fn missed(&mut self, now: Micros) {
        self.listed = None;
        self.misses = self.misses.saturating_add(1);
        self.went.get_or_insert(now);
        if self.misses >= MISSES {
            self.ended_unknown = true;
        }
    }

    /// A list of its worker no longer names it, which by itself says nothing of its end.
    pub fn unlisted(&mut self, now: Micros) {
        self.listed = None;
        self.adrift_from(now);
    }

    /// A result as stored, read at `seen`.
    pub fn result(&mut self, meta: &TaskMeta, seen: Micros, names: &mut Names) {
        self.describe_result(meta, names);
        let state = TaskState::named(&meta.status);
        let begun = self.current.begun();
        if begun.zip(meta.date_done).is_some_and(|(begun, done)| begun > done) {
            return; // Of a run before this one.
        }
        if self.is_of_the_next_run(&state) {
            // How many runs there were between is not known: only the newest is stored.
            self.begin_attempt();
            self.current.retries =
                meta.retries.map(|value| Fact { value, source: Source::Backend });
        }
        let run = &mut self.current;
        let wins = state.is_ready()
            || run.state == TaskState::Pending
            || (state != TaskState::Retry && state.precedence() < run.state.precedence());
        run.outcome_stored(meta, names);
        if !wins {
            return;
        }
        if run.state != state {
            let entry = Entry {
                kind: names.intern(&meta.status),
                at: meta.date_done,
                seen,
                source: Source::Backend,
                worker: meta.worker.as_deref().map(|worker| names.intern(worker)),
            };
            run.tell(state, Source::Backend);
            self.note(entry);
        }
        self.found();
        if self.current.state.is_ready() {
            (self.listed, self.orphaned, self.ended_unknown) = (None, None, false);
        }
    }

    /// A run that is to be tried again stores nothing after RETRY. A state that is not yet an end may
    /// have been read before that, unless RETRY was itself read there: what is read later is newer.
    fn is_of_the_next_run(&self, stored: &TaskState) -> bool {
        let run = &self.current;
        run.state == TaskState::Retry
            && *stored != TaskState::Retry
            && (stored.is_ready() || run.state_source == Some(Source::Backend))
    }

    /// What `result_extended` and the message's own facts tell.
    fn describe_result(&mut self, meta: &TaskMeta, names: &mut Names) {
        let source = Source::Backend;
        if let Some(name) = &meta.name {
            fill(&mut self.name, names.intern(name), source);
        }
        if let Some(queue) = &meta.queue {
            fill(&mut self.queue, names.intern(queue), source);
        }
        for (display, exact, text) in [
            (&mut self.args, &mut self.args_json, &meta.args_json),
            (&mut self.kwargs, &mut self.kwargs_json, &meta.kwargs_json),
        ] {
            if let Some(text) = text {
                fill(exact, text.as_str().into(), source);
                fill_text(display, Some(text), source);
            }
        }
        if let Some(group) = &meta.group_id {
            fill(&mut self.group_id, group.as_str().into(), source);
        }
        if let Some(parent) = &meta.parent_id {
            fill(&mut self.parent_id, parent.as_str().into(), source);
        }
    }

    /// A worker that consumes only `queue` took it.
    pub fn conclude_queue(&mut self, queue: &str, names: &mut Names) {
        if self.queue.is_none() {
            self.queue = Some(Fact { value: names.intern(queue), source: Source::Worker });
        }
    }

    /// Its worker is lost, gone, or another process now.
    pub fn orphan(&mut self, worker: Arc<str>, now: Micros) {
        self.listed = None;
        self.orphaned.get_or_insert((worker, now));
    }

    fn retries(&self) -> u64 {
        self.current.retries.as_ref().map_or(0, |retries| retries.value)
    }

    /// We know where it is again.
    pub(super) fn found(&mut self) {
        self.went = None;
        self.doubted = None;
        self.no_result = None;
        self.misses = 0;
    }

    /// It left a place. Unless another is known, or an event already told what came next.
    fn adrift_from(&mut self, now: Micros) {
        let runs = self.current.state.precedence() <= TaskState::Started.precedence();
        let known =
            runs || self.held.is_some() || self.listed.is_some() || !self.waiting.is_empty();
        if !known && !self.current.state.is_ready() {
            self.went.get_or_insert(now);
        }
    }
}

impl Attempt {
    fn tell(&mut self, state: TaskState, source: Source) {
        self.state = state;
        self.state_source = Some(source);
    }

    fn outcome_stored(&mut self, meta: &TaskMeta, names: &mut Names) {
        let source = Source::Backend;
        if let Some(worker) = &meta.worker {
            fill(&mut self.worker, names.intern(worker), source);
        }
        if let Some(retries) = meta.retries {
            fill(&mut self.retries, retries, source);
        }
        if let Some(at) = meta.date_done
            && TaskState::named(&meta.status).is_ready()
            && !self.times.end_is_told()
        {
            learn(&mut self.times.stored, at, source);
        }
        if let Some(exception) = &meta.exception {
            learn(&mut self.exception, exception.clone(), source);
        } else if let Some(text) = &meta.result_json {
            learn(&mut self.result_json, text.as_str().into(), source);
            fill_text(&mut self.result, meta.result().as_deref(), source);
            self.progress = meta.progress().or(self.progress.take());
        }
        self.result_bytes = meta.result_bytes.or(self.result_bytes);
        if let Some(pid) = meta.pid {
            fill(&mut self.pid, pid, source);
        }
        if let Some(traceback) = &meta.traceback {
            learn(&mut self.traceback, traceback.clone(), source);
        }
    }
}

/// Where a message was last seen beats where it was sent: messages are moved.
fn learn_place(queue: &mut Option<Fact<Arc<str>>>, seen_in: Arc<str>, source: Source) {
    if queue.as_ref().is_none_or(|known| known.value != seen_in) {
        *queue = Some(Fact { value: seen_in, source });
    }
}

/// Display text where none is known.
fn fill_text(known: &mut Option<Fact<String>>, text: Option<&str>, source: Source) {
    if let Some(text) = text
        && known.is_none()
    {
        *known = Some(Fact { value: display(text), source });
    }
}

/// Our clock's reading of a worker's `at`, never later than `now`.
pub(in crate::state) fn by_our_clock(at: f64, skew: Option<Micros>, now: Micros) -> Micros {
    (seconds::to_micros(at) + skew.unwrap_or(0)).min(now)
}
