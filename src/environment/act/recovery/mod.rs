//! Recovery files: `$XDG_STATE_HOME/lazycelery/recovery/*.jsonl`, one for each operation that removes
//! messages. Must not know brokers: what a file says is that messages *may* be out of their queue, or
//! are; who asks the broker decides.
//!
//! A file is JSON lines: a [`Header`], then [`Record`]s, appended, never changed. A message is `saved` on
//! the disk before it is touched, and what became of it is noted after: at whatever moment the process
//! ends, the file names every message that may be out of its queue, with its bytes.

mod file;
mod index;

pub(super) use file::Recovery;
pub(super) use index::{Entry, Index, Reader, Standing};

use crate::broker::{End, Shelf};
use crate::environment::{Connection, Environment};

use base64_simd::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The format's version.
const VERSION: u32 = 1;

/// The first line: what this is, and where it belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// `recovery`.
    lazycelery: String,
    version: u32,
    /// When it was begun, Unix seconds.
    pub at: f64,
    pub method: String,
    /// The environment's name.
    pub environment: String,
    /// Which broker, without secrets.
    pub place: Place,
    /// The queue they were in, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The queue that messages were moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub actor: String,
    pub job: String,
    pub pid: u32,
}

/// Where queues are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The broker's URL, the password as `***`.
    broker: String,
    /// What stands before its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    global_keyprefix: Option<String>,
}

impl Place {
    /// Of an environment that is connected.
    pub fn of(environment: &Environment, connection: &Connection) -> Self {
        let prefix = connection.broker.options().global_keyprefix;
        Place {
            broker: environment.link().url.clone().unwrap_or_default(),
            global_keyprefix: prefix.filter(|prefix| !prefix.is_empty()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.global_keyprefix {
            Some(prefix) => write!(f, "{} (`{}`)", self.broker, prefix.escape_debug()),
            None => f.write_str(&self.broker),
        }
    }
}

/// A line. Numbers are those of `saved` lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// A message, before it is touched.
    Saved(Saved),
    /// What will stand for a message in a queue from now on: it is being moved, or put back elsewhere.
    Copy(Copy),
    /// They are out of their queue.
    Removed(Vec<u64>),
    /// Their copies are in the other queue, and they are out of theirs.
    Moved(Vec<u64>),
    /// Somebody else took them, before they were removed or put back.
    Taken(Vec<u64>),
    /// They are about to be put back.
    Restoring(Vec<u64>),
    /// They are back in a queue.
    Restored(Vec<u64>),
    /// They could not be put back: they are where they were before.
    Refused(Vec<u64>),
}

/// A message and where it stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// As `queue/messages` names it.
    pub key: String,
    #[serde(flatten)]
    pub shelf: Shelf,
    /// The end that it stood nearer to, and will be put back at.
    pub end: End,
    /// Messages between it and the next to run, of its priority.
    pub position: u64,
    /// Its bytes, as base64.
    pub raw: Raw,
}

/// A message's copy and where it is put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Copy {
    pub number: u64,
    #[serde(flatten)]
    pub shelf: Shelf,
    pub end: End,
    pub raw: Raw,
}

/// Bytes that are written as base64.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Raw(pub Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode_to_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode_to_vec(text).map(Raw).map_err(D::Error::custom)
    }
}
