//! A task's id in little room: sixteen bytes where it is written as UUIDs are, else its text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU128;

/// A task's id. Ordered as its text is.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// Of a text that is a UUID in lower case with dashes, but for the one that is all zeros.
    Uuid(NonZeroU128),
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

    /// A number in the order of ids; those of few ids are the same. Of a letter that stands in no
    /// UUID it tells only where it lies among those that do, and nothing of what is behind it.
    pub fn lead(self) -> u32 {
        let uuid;
        let mut letters = match self {
            Key::Uuid(number) => {
                uuid = written(number.get());
                uuid.iter()
            }
            Key::Text(text) => text.as_bytes().iter(),
        };
        let mut goes_on = true;
        (0..LEAD).fold(0, |lead, _| {
            let letter = letters.next().filter(|_| goes_on).map_or(0, |byte| match byte {
                0..b'0' => 0,
                b'0'..=b'9' => u32::from(byte - b'0') + 1,
                b':'..b'a' => 11,
                b'a'..=b'f' => u32::from(byte - b'a') + 12,
                _ => 18,
            });
            goes_on &= !matches!(letter, 0 | 11 | 18);
            lead * LETTERS + letter
        })
    }

    /// The id.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Key::Uuid(uuid) => Cow::Owned(uuid::Uuid::from_u128(uuid.get()).to_string()),
            Key::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// Letters of an id that its lead tells.
const LEAD: usize = 7;

/// What the digits of a UUID are told apart by, and what lies between them, in the order of bytes.
const LETTERS: u32 = 19;

/// The number of a UUID that is written in lower case with dashes: as [`written`] writes it.
fn uuid_of(text: &str) -> Option<NonZeroU128> {
    let uuid = uuid::Uuid::try_parse(text).ok()?.as_u128();
    NonZeroU128::new(uuid).filter(|_| written(uuid) == text.as_bytes())
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
