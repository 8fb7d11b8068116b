//! The fixed part of a packed task, with the codes that its values are written as.

use super::codec::Bytes;
use super::facets::{NONE, Values};
use super::key::Key;
use super::log::At;
use super::names::Names;
use crate::state::observation::Micros;
use crate::state::task::{Place, Task, TaskState};

/// What a state's code is multiplied by, to make room for what is drawn instead of it.
const DRAWN: u32 = 4;

/// The first code of a custom state; the number of its name is added.
const CUSTOM: u32 = 8;

/// What indexes, orders and the commonest filters ask of a task.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The id, where it is a UUID; else the record's first text is it.
    pub uuid: Option<std::num::NonZeroU128>,
    pub seen: Micros,
    pub revision: u64,
    pub at: At,
    pub values: Values,
    /// A worker's own list names it.
    pub listed: bool,
}

impl Head {
    /// The id; `record` is the task's own, which is read only where the id stands there.
    pub fn key<'a>(&self, record: impl FnOnce() -> &'a [u8]) -> Key<'a> {
        match self.uuid {
            Some(uuid) => Key::Uuid(uuid),
            None => Key::Text(Bytes(record()).text()),
        }
    }

    /// It ended.
    pub fn ended(&self) -> bool {
        self.values.place == Place::Done as u32
    }
}

impl Values {
    /// What a task shows. Its names must be written down already.
    pub fn of(task: &Task, names: &Names) -> Values {
        let drawn = match task.drawn() {
            None => 0,
            Some("SCHEDULED") => 1,
            Some(_) => 2,
        };
        let number = |name: Option<&std::sync::Arc<str>>| {
            name.and_then(|name| names.number(name)).unwrap_or(NONE)
        };
        let state = match &task.current.state {
            TaskState::Custom(word) => CUSTOM + number(Some(word)),
            state => u32::from(state.code()),
        };
        Values {
            state: state * DRAWN + drawn,
            place: task.place.map_or(NONE, |place| place as u32),
            name: number(task.name.as_ref().map(|name| &name.value)),
            queue: number(task.queue.as_ref().map(|queue| &queue.value)),
            worker: number(task.worker()),
        }
    }
}

/// The word of a state's value.
pub fn state_word(value: u32, names: &Names) -> &str {
    let code = value / DRAWN;
    let known = u8::try_from(code).ok().and_then(TaskState::word_of);
    known.unwrap_or_else(|| names.text(code - CUSTOM))
}

/// What is drawn instead of the state of a value.
pub fn drawn_word(value: u32) -> Option<&'static str> {
    match value % DRAWN {
        0 => None,
        1 => Some("SCHEDULED"),
        _ => Some("ORPHANED"),
    }
}
