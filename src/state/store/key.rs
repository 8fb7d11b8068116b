//! A task's id in little room: sixteen bytes where it is written as UUIDs are, else its text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A task's id. Ordered as its text is.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// Of a text that is a UUID in lower case with dashes.
    Uuid(u128),
    /// Of any other text.
    Text(&'a str),
}

impl<'a> Key<'a> {
    /// The key of an id.
    pub fn of(text: &'a str) -> Key<'a> {
        match uuid_of(text) {
            Some(uuid) => Key::Uuid(uuid),
            None => Key::Text(text),
        }
    }

    /// The id.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Key::Uuid(uuid) => Cow::Owned(uuid::Uuid::from_u128(uuid).to_string()),
            Key::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// The number of a UUID that is written in lower case with dashes: as [`written`] writes it.
pub fn uuid_of(text: &str) -> Option<u128> {
    let uuid = uuid::Uuid::try_parse(text).ok()?.as_u128();
    (written(uuid) == text.as_bytes()).then_some(uuid)
}

/// A UUID as text.
pub fn written(uuid: u128) -> [u8; 36] {
    let mut text = [0; 36];
    uuid::Uuid::from_u128(uuid).hyphenated().encode_lower(&mut text);
    text
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Key<'_>) -> bool {
        match (self, other) {
            (Key::Uuid(a), Key::Uuid(b)) => a == b,
            (Key::Text(a), Key::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Key<'_> {}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Key<'_>) -> Ordering {
        match (self, other) {
            (Key::Uuid(a), Key::Uuid(b)) => a.cmp(b),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Key<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Key::Uuid(uuid) => uuid.hash(hasher),
            Key::Text(text) => text.hash(hasher),
        }
    }
}
