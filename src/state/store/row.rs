//! A packed task as filters and orders see it: reads only what it is asked for.

use super::codec::{Bytes, Reader};
use super::facets::NONE;
use super::head::{Head, drawn_word, state_word};
use super::key::{Key, written};
use super::names::{NameId, Names};
use crate::state::observation::seconds::from_micros;
use crate::state::record::{Cell, Record};
use crate::state::task::{Place, Task};
use std::cell::OnceCell;
use std::sync::Arc;

/// Columns of the texts that a record begins with, in the order of [`Task::pass_texts`].
const TEXTS: [&str; 4] = ["args", "kwargs", "result", "exception"];

/// A record alone, without its head: the texts that it begins with.
#[derive(Clone, Copy)]
pub struct Texts<'a>(pub &'a [u8]);

impl<'a> Texts<'a> {
    /// Whether this is one of their columns.
    pub fn has(column: &str) -> bool {
        TEXTS.contains(&column)
    }

    /// The bytes of a column's text.
    pub fn get(self, column: &str) -> Option<&'a [u8]> {
        let place = TEXTS.iter().position(|text| *text == column)?;
        self.all().nth(place).flatten()
    }

    fn cell(self, column: &str) -> Option<Cell<'a>> {
        self.get(column).map(|text| Cell::Text(std::str::from_utf8(text).unwrap_or_default()))
    }

    /// The id, where it is no UUID: those stand in heads.
    pub fn id(self) -> Option<&'a [u8]> {
        Some(Bytes(self.0).slice()).filter(|id| !id.is_empty())
    }

    /// Is any of them such a one? They are bytes: to find out takes no more than a look at each, mostly.
    pub fn any(self, test: impl Fn(&[u8]) -> bool) -> bool {
        self.all().flatten().any(test)
    }

    fn all(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let mut bytes = Bytes(self.0);
        bytes.slice();
        TEXTS.iter().map(move |_| bytes.slice_fact())
    }
}

impl Record for Texts<'_> {
    fn key(&self) -> &str {
        ""
    }

    fn revision(&self) -> u64 {
        0
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        self.cell(name)
    }
}

/// One task.
pub struct Row<'a> {
    pub head: &'a Head,
    record: &'a [u8],
    names: &'a Names,
    /// The id as text, where it stands as a number.
    id: OnceCell<[u8; 36]>,
    whole: OnceCell<Box<Task>>,
}

impl<'a> Row<'a> {
    /// The row of a head and its record.
    pub fn new(head: &'a Head, record: &'a [u8], names: &'a Names) -> Row<'a> {
        Row { head, record, names, id: OnceCell::new(), whole: OnceCell::new() }
    }

    /// The id, for comparison.
    pub fn id(&self) -> Key<'a> {
        self.head.key(|| self.record)
    }

    /// The record behind the id.
    fn bytes(&self) -> Bytes<'a> {
        let mut bytes = Bytes(self.record);
        bytes.slice();
        bytes
    }

    /// The whole task. `met` gets the number of every name in its record.
    pub fn task(&self, met: Option<&mut Vec<NameId>>) -> Box<Task> {
        let id = self.key();
        let mut task = Box::new(Task::new(id.into()));
        let (bytes, names, seen) = (self.bytes(), self.names, self.head.seen);
        task.pass(&mut Reader { bytes, names, id, seen, met });
        task.revision = self.head.revision;
        task.seen = seen;
        task.place = place(self.head.values.place);
        task
    }

    fn name(&self, id: NameId) -> Option<Cell<'_>> {
        (id != NONE).then(|| Cell::Text(self.names.text(id)))
    }

    /// A task of which nothing is known but the numbers.
    fn numbers(&self) -> Task {
        let mut task = Task::new(Arc::default());
        let mut bytes = self.bytes();
        for _ in TEXTS {
            bytes.slice_fact();
        }
        let (names, seen) = (self.names, self.head.seen);
        task.pass_numbers(&mut Reader { bytes, names, id: "", seen, met: None });
        task
    }

    fn whole(&self) -> &Task {
        self.whole.get_or_init(|| self.task(None))
    }
}

impl Record for Row<'_> {
    fn key(&self) -> &str {
        let uuid = match self.id() {
            Key::Text(text) => return text,
            Key::Uuid(uuid) => uuid,
        };
        let written = self.id.get_or_init(|| written(uuid.get()));
        std::str::from_utf8(written).unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        self.head.revision
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        let values = self.head.values;
        match name {
            "seen" => Some(Cell::Number(from_micros(self.head.seen))),
            "uuid" => Some(Cell::Text(self.key())),
            "state" => Some(Cell::Text(state_word(values.state, self.names))),
            "drawn" => drawn_word(values.state).map(Cell::Text),
            "place" => place(values.place).map(|place| Cell::Text(place.as_str())),
            "name" => self.name(values.name),
            "queue" => self.name(values.queue),
            "worker" => self.name(values.worker),
            "args" | "kwargs" | "result" | "exception" => Texts(self.record).cell(name),
            "sent" | "received" | "started" | "succeeded" | "failed" | "retried" | "revoked"
            | "rejected" | "eta" | "expires" | "runtime" | "retries" => {
                match self.numbers().field(name) {
                    Some(Cell::Number(number)) => Some(Cell::Number(number)),
                    _ => None,
                }
            }
            name => self.whole().field(name),
        }
    }
}

fn place(value: u32) -> Option<Place> {
    u8::try_from(value).ok().and_then(Place::from_code)
}
