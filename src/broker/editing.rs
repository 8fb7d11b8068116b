//! Changing what waits in queues: the steps that purging, deleting, moving and putting back are made
//! of. Each is short, so that the broker serves others meanwhile, and each says exactly what it did.
//! Must not know what is done with what was removed.

use crate::error::Result;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// One of the lists that a queue is made of: its messages of one priority step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// The queue's name, without prefix.
    pub queue: String,
    /// The step.
    pub priority: u8,
}

/// An end of a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Consumers take from here.
    Next,
    /// Producers put here.
    Last,
}

/// What a queue is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stock {
    /// Its shelves and how many messages stand there, most urgent first.
    pub shelves: Vec<(Shelf, u64)>,
    /// Where a shelf would be and something else is: the key, and what kind it is (F09).
    pub foreign: Vec<(String, String)>,
}

impl Stock {
    /// Messages on all shelves.
    pub fn total(&self) -> u64 {
        self.shelves.iter().map(|(_, length)| length).sum()
    }
}

/// How far a message is looked for, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// From this end.
    pub from: End,
    /// At most so many messages are looked at.
    pub within: u64,
}

/// What came of replacing a message by a copy of it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanged {
    /// It is gone, and its copy is there.
    Done,
    /// It was not there, and nothing was put anywhere.
    Missing,
    /// It was gone when its copy had been put, and the copy is gone too: both were taken.
    Twice,
}

/// What came of putting messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// They are there.
    Done,
    /// The broker took none of them, in its words.
    Refused(String),
}

/// A broker whose queues can be changed.
#[async_trait]
pub trait Editing: Send + Sync + Debug {
    /// What a queue is made of.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn stock(&self, queue: &str) -> Result<Stock>;

    /// Whether the broker takes a change now, one that makes it hold more where `growing`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] in the broker's words: full, a copy of another one, its disk full.
    async fn takes_changes(&self, growing: bool) -> Result<()>;

    /// Whether it takes what several changes are made of at once, as nobody else sees them.
    async fn is_atomic(&self) -> bool;

    /// Messages from the `at`-th from one end on, in the order in which they stand from there.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn stretch(
        &self,
        shelf: &Shelf,
        from: End,
        at: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>>;

    /// Removes what is next to run as long as it is among `messages`, each once. Answers which of them
    /// it removed.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; what was removed until then is unknown.
    async fn take(&self, shelf: &Shelf, messages: &[Vec<u8>]) -> Result<Vec<usize>>;

    /// Removes one message; answers whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; whether it was removed is unknown.
    async fn remove(&self, shelf: &Shelf, message: &[u8], reach: Reach) -> Result<bool>;

    /// Removes one message and puts a copy of it elsewhere.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; what of it was done is unknown, but never is neither there.
    async fn exchange(
        &self,
        shelf: &Shelf,
        message: &[u8],
        reach: Reach,
        to: (&Shelf, End),
        copy: &[u8],
    ) -> Result<Exchanged>;

    /// Puts messages at one end, one after the other, all or none.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; whether they are there is unknown.
    async fn put(&self, shelf: &Shelf, at: End, messages: &[Vec<u8>]) -> Result<Put>;

    /// Which of these delivery tags consumers hold.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn held(&self, tags: &[String]) -> Result<Vec<bool>>;
}
