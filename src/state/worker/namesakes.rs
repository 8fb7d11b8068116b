//! Processes that share one name. Celery lets two workers be called alike; then either answers for the
//! name, and what one does not name may run at the other.

use super::{DEFAULT_FREQ, EXPIRE_WINDOW, Worker};
use crate::state::observation::{Micros, seconds};
use std::collections::BTreeMap;

/// Processes remembered.
const MOST: usize = 8;

/// A process was heard within this: it may still be there.
const LATELY: Micros = 10_000_000;

/// The processes that were heard under one name.
#[derive(Debug, Clone, Default)]
pub(in crate::state) struct Namesakes {
    /// When each was heard last.
    heard: BTreeMap<i64, Micros>,
    /// A process that another one seems to have replaced, and when.
    replaced: Option<(i64, Micros)>,
}

impl Worker {
    /// A process was heard under its name.
    pub fn heard_of(&mut self, pid: i64, seen: Micros) {
        let heard = &mut self.namesakes.heard;
        heard.insert(pid, seen);
        if heard.len() > MOST
            && let Some(oldest) = heard.iter().min_by_key(|(_, seen)| **seen)
        {
            let pid = *oldest.0;
            heard.remove(&pid);
        }
    }

    /// A process said goodbye.
    pub fn gone(&mut self, pid: i64) {
        self.namesakes.heard.remove(&pid);
    }

    /// More than one process may answer for its name.
    pub fn is_shared(&self, now: Micros) -> bool {
        let lately = |seen: &&Micros| now - **seen < LATELY;
        self.namesakes.heard.values().filter(lately).count() > 1
    }

    /// Another process came: was the one before replaced for sure? One that was heard until now may
    /// still be there, and is waited for; see [`Worker::replaced`].
    pub fn replaces(&mut self, before: i64, now: Micros) -> bool {
        let heard = self.namesakes.heard.get(&before);
        let lives = heard.is_some_and(|seen| now - seen < self.period()) && self.left.is_none();
        if lives {
            self.namesakes.replaced = Some((before, now));
        }
        !lives
    }

    /// A process that another one seemed to replace was not heard since.
    pub fn replaced(&mut self, now: Micros) -> bool {
        let Some((pid, since)) = self.namesakes.replaced else { return false };
        let lives = self.namesakes.heard.get(&pid).is_some_and(|seen| *seen > since);
        let over = now - since > self.period();
        if lives || over {
            self.namesakes.replaced = None;
        }
        over && !lives
    }

    /// How long it may be silent.
    pub(super) fn period(&self) -> Micros {
        seconds::to_micros(self.freq.unwrap_or(DEFAULT_FREQ) * EXPIRE_WINDOW)
    }
}
