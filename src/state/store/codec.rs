//! Facts as bytes: [`Writer`] and [`Reader`] are the two directions of an [`Archive`].

use super::key::Key;
use super::names::{NameId, Names};
use crate::state::observation::{Micros, seconds};
use crate::state::task::Archive;
use std::sync::Arc;

/// How an id stands: the task's own, a UUID, or a text.
const OWN: u8 = 0;
const UUID: u8 = 1;
const TEXT: u8 = 2;

/// Writes a task down.
pub struct Writer<'a> {
    /// What is written so far.
    pub bytes: &'a mut Vec<u8>,
    pub names: &'a mut Names,
    /// The task's own id.
    pub id: &'a str,
    /// Its `seen`: times are told from there.
    pub seen: Micros,
}

/// Bytes that are read one after the other. Behind the end are zeros.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

/// Reads a task back.
pub struct Reader<'a> {
    /// What is left.
    pub bytes: Bytes<'a>,
    pub names: &'a Names,
    pub id: &'a str,
    pub seen: Micros,
    /// Where every number of a name goes, for whoever writes the record anew.
    pub met: Option<&'a mut Vec<NameId>>,
}

impl Writer<'_> {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// A text with its length.
    pub fn slice(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

impl Archive for Writer<'_> {
    fn byte(&mut self, byte: &mut u8) {
        self.bytes.push(*byte);
    }

    fn number(&mut self, number: &mut u64) {
        self.varint(*number);
    }

    fn moment(&mut self, at: &mut Micros) {
        self.varint(fold(at.wrapping_sub(self.seen)));
    }

    /// Microseconds from `seen` where that is exact (the lowest bit is 0), else the float itself.
    fn time(&mut self, at: &mut f64) {
        let micros = seconds::to_micros(*at);
        let distance = fold(micros.wrapping_sub(self.seen));
        let exact = seconds::from_micros(micros).to_bits() == at.to_bits();
        if exact && distance < 1 << 62 {
            self.varint(distance << 1);
        } else {
            self.bytes.push(1);
            self.bytes.extend_from_slice(&at.to_le_bytes());
        }
    }

    fn text(&mut self, text: &mut String) {
        self.slice(text);
    }

    fn shared(&mut self, text: &mut Arc<str>) {
        self.slice(text);
    }

    fn name(&mut self, name: &mut Arc<str>) {
        let id = self.names.hold(name);
        self.varint(u64::from(id));
    }

    fn id(&mut self, id: &mut Arc<str>) {
        if **id == *self.id {
            self.bytes.push(OWN);
            return;
        }
        match Key::of(id) {
            Key::Uuid(uuid) => {
                self.bytes.push(UUID);
                self.bytes.extend_from_slice(&uuid.get().to_le_bytes());
            }
            Key::Text(id) => {
                self.bytes.push(TEXT);
                self.slice(id);
            }
        }
    }
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        self.0 = left;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn varint(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// The bytes of a text.
    pub fn slice(&mut self) -> &'a [u8] {
        let length = self.varint() as usize;
        self.take(length)
    }

    /// A text where it stands.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.slice()).unwrap_or_default()
    }

    /// A fact whose value is a text: the bytes of that.
    pub fn slice_fact(&mut self) -> Option<&'a [u8]> {
        (self.byte() > 0).then(|| self.slice())
    }
}

impl Archive for Reader<'_> {
    fn byte(&mut self, byte: &mut u8) {
        *byte = self.bytes.byte();
    }

    fn number(&mut self, number: &mut u64) {
        *number = self.bytes.varint();
    }

    fn moment(&mut self, at: &mut Micros) {
        *at = unfold(self.bytes.varint()).wrapping_add(self.seen);
    }

    fn time(&mut self, at: &mut f64) {
        let code = self.bytes.varint();
        *at = if code & 1 == 0 {
            seconds::from_micros(unfold(code >> 1).wrapping_add(self.seen))
        } else {
            f64::from_le_bytes(self.bytes.take(8).try_into().unwrap_or_default())
        };
    }

    fn text(&mut self, text: &mut String) {
        *text = self.bytes.text().to_owned();
    }

    fn shared(&mut self, text: &mut Arc<str>) {
        *text = self.bytes.text().into();
    }

    fn name(&mut self, name: &mut Arc<str>) {
        let id = self.bytes.varint() as NameId;
        *name = self.names.text(id).clone();
        if let Some(met) = &mut self.met {
            met.push(id);
        }
    }

    fn id(&mut self, id: &mut Arc<str>) {
        *id = match self.bytes.byte() {
            OWN => self.id.into(),
            UUID => {
                let uuid = u128::from_le_bytes(self.bytes.take(16).try_into().unwrap_or_default());
                uuid::Uuid::from_u128(uuid).to_string().into()
            }
            _ => self.bytes.text().into(),
        };
    }
}

/// Small numbers of both signs as small ones.
fn fold(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
