//! The order in which a task's facts are written down and read back: one description for both
//! directions, so that they cannot differ. Knows nothing of bytes: [`Archive`] is who writes or
//! reads.
//!
//! What filters and orders ask of a row comes first ([`Task::pass_texts`], [`Task::pass_numbers`]),
//! so that it can be read without the rest. Its id, `seen`, `revision` and `place` are not here: an
//! index needs them, so it has them.

use super::attempt::{Attempt, Times};
use super::{Ends, Entry, Envelope, Fact, Place, Source, Task, TaskState};
use crate::state::observation::Micros;
use std::collections::VecDeque;
use std::sync::Arc;

/// Writes what it is given, or replaces it by what it reads.
pub(in crate::state) trait Archive {
    /// One byte.
    fn byte(&mut self, byte: &mut u8);
    /// A number, most likely a small one.
    fn number(&mut self, number: &mut u64);
    /// Our clock, most likely near the task's `seen`.
    fn moment(&mut self, at: &mut Micros);
    /// Any float, most likely Unix seconds near the task's `seen`.
    fn time(&mut self, at: &mut f64);
    /// A text of its own.
    fn text(&mut self, text: &mut String);
    /// A text of its own, shared while it is worked on.
    fn shared(&mut self, text: &mut Arc<str>);
    /// A text that many records repeat.
    fn name(&mut self, name: &mut Arc<str>);
    /// A task's id, often the task's own.
    fn id(&mut self, id: &mut Arc<str>);

    /// Something that may be absent.
    fn maybe<T: Default>(&mut self, value: &mut Option<T>, pass: impl FnOnce(&mut Self, &mut T)) {
        let mut present = u8::from(value.is_some());
        self.byte(&mut present);
        if present == 0 {
            *value = None;
        } else {
            pass(self, value.get_or_insert_default());
        }
    }

    /// A fact with its source.
    fn fact<T: Default>(
        &mut self,
        fact: &mut Option<Fact<T>>,
        pass: impl FnOnce(&mut Self, &mut T),
    ) {
        let mut code = fact.as_ref().map_or(0, |fact| 1 + fact.source as u8);
        self.byte(&mut code);
        let Some(code) = code.checked_sub(1) else {
            *fact = None;
            return;
        };
        let fact = fact.get_or_insert_with(|| Fact::from(Source::from_code(code)));
        pass(self, &mut fact.value);
    }

    /// Facts that most tasks lack: one byte where all are absent.
    fn rare(&mut self, present: bool, pass: impl FnOnce(&mut Self)) {
        let mut code = u8::from(present);
        self.byte(&mut code);
        if code != 0 {
            pass(self);
        }
    }

    /// How many follow.
    fn count(&mut self, count: usize) -> usize {
        let mut number = count as u64;
        self.number(&mut number);
        number as usize
    }
}

impl<T: Default> From<Source> for Fact<T> {
    fn from(source: Source) -> Fact<T> {
        Fact { value: T::default(), source }
    }
}

impl Source {
    fn from_code(code: u8) -> Source {
        match code {
            0 => Source::Worker,
            1 => Source::Inspect,
            2 => Source::Backend,
            3 => Source::Unacked,
            4 => Source::Queue,
            _ => Source::Event,
        }
    }
}

impl Task {
    /// All of it.
    pub fn pass(&mut self, archive: &mut impl Archive) {
        self.pass_texts(archive);
        self.pass_numbers(archive);
        self.pass_message(archive);
        self.pass_place(archive);
        let Task { past, current, history, .. } = self;
        current.pass_rest(archive);
        past.pass(archive, Attempt::pass);
        history.pass(archive, Entry::pass);
    }

    /// What a person searches for.
    pub fn pass_texts(&mut self, archive: &mut impl Archive) {
        for text in [
            &mut self.args,
            &mut self.kwargs,
            &mut self.current.result,
            &mut self.current.exception,
        ] {
            archive.fact(text, Archive::text);
        }
    }

    /// What rows are ordered and compared by.
    pub fn pass_numbers(&mut self, archive: &mut impl Archive) {
        let Task { sent, eta, expires, current, .. } = self;
        archive.fact(sent, Archive::time);
        archive.rare(eta.is_some() || expires.is_some(), |archive| {
            archive.fact(eta, Archive::time);
            archive.fact(expires, Archive::time);
        });
        current.pass_numbers(archive);
    }

    fn pass_message(&mut self, archive: &mut impl Archive) {
        let Task { name, queue, root_id, parent_id, redelivered, .. } = self;
        let Task {
            group_id, args_json, kwargs_json, exchange, routing_key, priority, message, ..
        } = self;
        archive.fact(name, Archive::name);
        archive.fact(queue, Archive::name);
        archive.fact(root_id, Archive::id);
        archive.fact(parent_id, Archive::id);
        let mut again = u8::from(*redelivered);
        archive.byte(&mut again);
        *redelivered = again != 0;
        let present = group_id.is_some()
            || [&args_json, &kwargs_json, &exchange, &routing_key]
                .iter()
                .any(|fact| fact.is_some())
            || priority.is_some()
            || message.is_some();
        archive.rare(present, |archive| {
            archive.fact(group_id, Archive::id);
            archive.fact(args_json, Archive::shared);
            archive.fact(kwargs_json, Archive::shared);
            archive.fact(exchange, Archive::name);
            archive.fact(routing_key, Archive::name);
            archive.fact(priority, signed);
            archive.maybe(message, |archive, message| {
                let Envelope { headers_json, properties_json, content_type, links_json, bytes } =
                    &mut **message;
                archive.text(headers_json);
                archive.text(properties_json);
                archive.text(content_type);
                archive.text(links_json);
                *bytes = archive.count(*bytes);
            });
        });
    }

    fn pass_place(&mut self, archive: &mut impl Archive) {
        let Task { waiting, held, listed, misses, went, doubted, no_result, .. } = self;
        let Task { ended_unknown, orphaned, .. } = self;
        let present = !waiting.is_empty()
            || held.is_some()
            || listed.is_some()
            || *misses > 0
            || [&went, &doubted, &no_result].iter().any(|at| at.is_some())
            || *ended_unknown
            || orphaned.is_some();
        archive.rare(present, |archive| {
            let count = archive.count(waiting.len());
            waiting.resize_with(count, Default::default);
            waiting.iter_mut().for_each(|queue| archive.name(queue));
            archive.maybe(held, |archive, held| {
                archive.shared(&mut held.tag);
                archive.name(&mut held.queue);
            });
            archive.maybe(listed, |archive, listed| {
                archive.name(&mut listed.worker);
                let mut code = listed.place as u8;
                archive.byte(&mut code);
                listed.place = Place::from_code(code).unwrap_or_default();
            });
            archive.byte(misses);
            for at in [went, doubted, no_result] {
                archive.maybe(at, Archive::moment);
            }
            let mut unknown = u8::from(*ended_unknown);
            archive.byte(&mut unknown);
            *ended_unknown = unknown != 0;
            archive.maybe(orphaned, |archive, (worker, since)| {
                archive.name(worker);
                archive.moment(since);
            });
        });
    }
}

impl Attempt {
    fn pass(archive: &mut impl Archive, attempt: &mut Attempt) {
        archive.fact(&mut attempt.result, Archive::text);
        archive.fact(&mut attempt.exception, Archive::text);
        attempt.pass_numbers(archive);
        attempt.pass_rest(archive);
    }

    fn pass_numbers(&mut self, archive: &mut impl Archive) {
        self.times.pass(archive);
        archive.maybe(&mut self.timestamp, Archive::time);
        archive.fact(&mut self.runtime, Archive::time);
        archive.fact(&mut self.retries, Archive::number);
    }

    fn pass_rest(&mut self, archive: &mut impl Archive) {
        let Attempt { state, state_source, worker, result_json, traceback, progress, .. } = self;
        let Attempt { pid, requeued, result_bytes, .. } = self;
        state.pass(archive);
        let mut told = state_source.map(Fact::<()>::from);
        archive.fact(&mut told, |_, ()| {});
        *state_source = told.map(|told| told.source);
        archive.fact(worker, Archive::name);
        let present = result_json.is_some()
            || traceback.is_some()
            || progress.is_some()
            || pid.is_some()
            || result_bytes.is_some()
            || *requeued;
        archive.rare(present, |archive| {
            archive.fact(result_json, Archive::shared);
            archive.fact(traceback, Archive::text);
            archive.maybe(progress, |archive, progress| {
                let mut json = serde_json::to_string(progress).unwrap_or_default();
                archive.text(&mut json);
                *progress = serde_json::from_str(&json).unwrap_or_default();
            });
            archive.fact(pid, signed);
            archive.maybe(result_bytes, Archive::number);
            let mut back = u8::from(*requeued);
            archive.byte(&mut back);
            *requeued = back != 0;
        });
    }
}

impl Times {
    /// One byte says which are known.
    fn pass(&mut self, archive: &mut impl Archive) {
        let Times { received, started, succeeded, failed, retried, revoked, rejected, stored } =
            self;
        let times = [received, started, succeeded, failed, retried, revoked, rejected, stored];
        let mut known = times.iter().rev().fold(0, |known, at| known << 1 | u8::from(at.is_some()));
        archive.byte(&mut known);
        for (bit, at) in times.into_iter().enumerate() {
            if known & 1 << bit == 0 {
                *at = None;
            } else {
                archive.fact(at, Archive::time);
            }
        }
    }
}

impl TaskState {
    fn pass(&mut self, archive: &mut impl Archive) {
        let mut code = self.code();
        archive.byte(&mut code);
        *self = match TaskState::word_of(code) {
            Some(word) => TaskState::named(word),
            None => {
                let mut word = match self {
                    TaskState::Custom(word) => word.clone(),
                    _ => Arc::default(),
                };
                archive.name(&mut word);
                TaskState::Custom(word)
            }
        };
    }
}

impl Entry {
    fn pass(archive: &mut impl Archive, entry: &mut Entry) {
        archive.name(&mut entry.kind);
        archive.maybe(&mut entry.at, Archive::time);
        archive.moment(&mut entry.seen);
        let mut source = entry.source as u8;
        archive.byte(&mut source);
        entry.source = Source::from_code(source);
        archive.maybe(&mut entry.worker, Archive::name);
    }
}

impl<T: Default> Ends<T> {
    fn pass<A: Archive>(&mut self, archive: &mut A, pass: impl Fn(&mut A, &mut T)) {
        let Ends { first, last, skipped } = self;
        let count = archive.count(first.len());
        first.resize_with(count, T::default);
        first.iter_mut().for_each(|item| pass(archive, item));
        let mut behind = !last.is_empty() || *skipped > 0;
        let mut code = u8::from(behind);
        archive.byte(&mut code);
        behind = code != 0;
        if behind {
            archive.number(skipped);
            let count = archive.count(last.len());
            last.resize_with(count, T::default);
            last.iter_mut().for_each(|item| pass(archive, item));
        } else {
            (*last, *skipped) = (VecDeque::new(), 0);
        }
    }
}

fn signed(archive: &mut impl Archive, number: &mut i64) {
    let mut folded = (*number << 1 ^ *number >> 63) as u64;
    archive.number(&mut folded);
    *number = (folded >> 1) as i64 ^ -((folded & 1) as i64);
}
