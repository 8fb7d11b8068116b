//! Where a task stands: its place, and all that indexes know of it.

use super::{Place, Source, Task, TaskState};
use crate::state::observation::{Micros, seconds};
use std::sync::Arc;

/// What indexes and counts know of a task.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::state) struct Standing {
    pub state: TaskState,
    pub place: Option<Place>,
    pub seen: Micros,
    pub name: Option<Arc<str>>,
    /// The worker it runs at.
    pub runs_at: Option<Arc<str>>,
    /// The first task of its workflow, where that is another one.
    pub root: Option<Arc<str>>,
    pub finished: bool,
    /// When its place changes by itself.
    pub due: Option<Micros>,
    /// Since when nobody knows where it is.
    pub adrift: Option<Micros>,
}

impl Task {
    /// Where it stands now. Its place must be up to date.
    pub fn standing(&self) -> Standing {
        let active = self.place == Some(Place::Active);
        let root = self.root_id.as_ref().map(|root| &root.value);
        let scheduled = self.place == Some(Place::Scheduled);
        Standing {
            state: self.current.state.clone(),
            place: self.place,
            seen: self.seen,
            name: self.name.as_ref().map(|name| name.value.clone()),
            runs_at: self.worker().filter(|_| active).cloned(),
            root: root.filter(|root| **root != self.uuid).cloned(),
            finished: self.place == Some(Place::Done),
            due: self.eta.as_ref().filter(|_| scheduled).map(|eta| seconds::to_micros(eta.value)),
            adrift: self.adrift(),
        }
    }

    /// Since when nobody knows where it is, or how it ended.
    fn adrift(&self) -> Option<Micros> {
        if self.place == Some(Place::Done) && !self.ended_unknown {
            return None;
        }
        let orphaned = self.orphaned.as_ref().map(|(_, since)| *since);
        self.went.or(orphaned).or(self.doubted)
    }

    /// Works out its place at `now`.
    pub fn place_at(&self, now: Micros) -> Option<Place> {
        if self.ended_unknown {
            return Some(Place::Done);
        }
        match &self.current.state {
            TaskState::Success | TaskState::Failure | TaskState::Revoked => Some(Place::Done),
            TaskState::Rejected if self.current.requeued => self.before_start(now, Place::Queue),
            TaskState::Rejected => Some(Place::Done),
            state if state.ends_attempt() => self.before_start(now, Place::Queue),
            TaskState::Received => self.before_start(now, Place::Reserved),
            TaskState::Pending | TaskState::Retry => self.before_start(now, Place::Queue),
            TaskState::Started | TaskState::Custom(_) => Some(Place::Active),
        }
    }

    /// Not started: what a worker's list says, else who holds the message, else what the last
    /// event means.
    fn before_start(&self, now: Micros, told: Place) -> Option<Place> {
        let waits = self.eta.as_ref().is_some_and(|eta| seconds::to_micros(eta.value) > now);
        let in_hand = if waits { Place::Scheduled } else { Place::Reserved };
        match (&self.listed, &self.held) {
            (Some(listed), _) if listed.place == Place::Active => Some(Place::Active),
            (Some(_), _) | (None, Some(_)) => Some(in_hand),
            (None, None) if !self.waiting.is_empty() => Some(Place::Queue),
            (None, None) if self.went.is_some() => None,
            (None, None) if self.current.state_source != Some(Source::Event) => None,
            (None, None) if told == Place::Reserved => Some(in_hand),
            (None, None) => Some(told),
        }
    }
}
