//! Finding one task by asking every source, and reading one queue's messages: what a call asks for
//! beyond what the looks keep up to date.

use super::{Environment, PATIENCE, queues, results};
use crate::broker::{Broker, Peek};
use crate::error::{Error, Result};
use crate::state::{Kind, Place};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// Messages searched for tasks, at most.
const SEARCH_MESSAGES: u64 = 10_000;

/// Bytes searched for tasks, at most.
const SEARCH_BYTES: usize = 16 << 20;

/// Time spent on that search, at most.
const SEARCH_TIME: Duration = Duration::from_secs(1);

/// Stored results above so many bytes are not read where many are asked for.
const MANY_CUT: usize = 16 << 10;

/// Messages read at once while searching.
const PAGE: usize = 500;

/// How far a search through a queue reached.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Searched {
    /// Which queue.
    pub queue: String,
    /// Messages looked at, from the next to run.
    pub messages: u64,
    /// Messages in it.
    pub of: u64,
}

/// Where a task's message was found, and how far we looked.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Found {
    /// Its place in its queue; 0 is next to run.
    pub position: Option<u64>,
    /// Every queue that was searched.
    pub searched: Vec<Searched>,
}

impl Environment {
    /// Asks every source for one task; the state learns what they say. `cut` bounds the bytes of a
    /// stored result.
    ///
    /// # Errors
    /// [`Error::NotConnected`] where nothing could be asked and nothing is known.
    pub async fn find_task(&self, uuid: &str, full: bool) -> Result<Found> {
        if self.0.replay.is_some() {
            self.fresh(&[]).await?;
            return Ok(Found::default());
        }
        let cut = if full { usize::MAX } else { results::CUT };
        if let Err(error) = self.learn_results(&[uuid.to_owned()], cut).await {
            tracing::debug!(%error, "the result backend could not be asked for a task");
        }
        match self.search(&[uuid]).await {
            Ok(found) => Ok(found),
            Err(_) if self.read(|state| state.knows(uuid)) => Ok(Found::default()),
            Err(error) => Err(error),
        }
    }

    /// Likewise for many, at the cost of few questions: large results are not read.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::Broker`]: not all sources could be asked.
    pub(super) async fn find_tasks(&self, uuids: &[String]) -> Result<()> {
        if self.0.replay.is_some() {
            return self.fresh(&[]).await.map(drop);
        }
        if let Err(error) = self.learn_results(uuids, MANY_CUT).await {
            tracing::debug!(%error, "the result backend could not be asked for tasks");
        }
        // Of one that waits it is known where.
        let waits = |uuid: &str| {
            let places = [Place::Queue, Place::Reserved, Place::Scheduled];
            self.read(|state| places.into_iter().any(|place| state.is_at(uuid, place)))
        };
        let wanted = uuids.iter().map(String::as_str).filter(|uuid| !waits(uuid));
        self.search(&wanted.collect::<Vec<_>>()).await.map(drop)
    }

    /// Looks for the messages of tasks in the queues and among what workers hold. Where the last one
    /// was found is answered.
    async fn search(&self, uuids: &[&str]) -> Result<Found> {
        let connection = self.connection().await?;
        let ended = |uuid: &str| self.read(|state| state.is_over(uuid));
        let mut wanted: HashSet<&str> = uuids.iter().copied().filter(|uuid| !ended(uuid)).collect();
        if wanted.is_empty() {
            return Ok(Found::default());
        }
        queues::unacked(self, &connection).await?;
        let began = Instant::now();
        let mut found = Found::default();
        let mut left = (SEARCH_MESSAGES, SEARCH_BYTES);
        for queue in self.read(|state| state.queue_names()) {
            let mut searched = Searched { queue: queue.clone(), messages: 0, of: 0 };
            while left.0 > 0 && left.1 > 0 && began.elapsed() < SEARCH_TIME {
                let offset = usize::try_from(searched.messages).unwrap_or(usize::MAX);
                let limit = PAGE.min(usize::try_from(left.0).unwrap_or(PAGE));
                let peek = connection.broker.peek(&queue, offset, limit, left.1).await?;
                searched.of = peek.total;
                let read = peek.messages.len() as u64;
                left.0 -= read;
                left.1 =
                    left.1.saturating_sub(peek.messages.iter().map(|(_, raw)| raw.len()).sum());
                for (at, (_, raw)) in peek.messages.iter().enumerate() {
                    let task = queues::task(raw).filter(|task| wanted.remove(&*task.uuid));
                    let Some(message) = task.map(Box::new) else { continue };
                    let place = searched.messages + at as u64;
                    found.position =
                        Some(place).filter(|_| self.read(|state| state.is_read(&queue)));
                    self.observe(Kind::Found { queue: queue.clone(), message });
                    if wanted.is_empty() {
                        searched.messages = place + 1;
                        found.searched.push(searched);
                        return Ok(found);
                    }
                }
                searched.messages += read;
                if read == 0 || searched.messages >= peek.total {
                    break;
                }
            }
            if searched.of > 0 {
                found.searched.push(searched);
            }
        }
        Ok(found)
    }

    /// Reads messages of a queue without removing them.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`] where no source names it, [`Error::NotConnected`], [`Error::Broker`].
    pub async fn peek(&self, queue: &str, offset: usize, limit: usize) -> Result<Peek> {
        let connection = self.connection().await?;
        let lists = self.read(|state| state.lists_of(queue));
        let read = peek_all(connection.broker.as_ref(), &lists, offset, limit);
        let peek = match tokio::time::timeout(PATIENCE, read).await {
            Ok(peek) => peek?,
            Err(_) => return Err(self.not_connected("no answer within 3 s")),
        };
        if peek.total == 0
            && !self.read(|state| state.queue_names().iter().any(|name| name == queue))
        {
            return Err(self.unknown_queue(queue));
        }
        Ok(peek)
    }

    /// No source names this queue.
    pub(super) fn unknown_queue(&self, queue: &str) -> Error {
        let sources = ["workers", "bindings", "configuration", "broker"];
        Error::UnknownQueue { queue: queue.into(), sources: sources.map(String::from).to_vec() }
    }
}

/// One stretch of several lists, as if they were one.
async fn peek_all(
    broker: &dyn Broker,
    lists: &[String],
    offset: usize,
    limit: usize,
) -> Result<Peek> {
    let mut whole = Peek::default();
    let mut bytes = queues::LOOK_BYTES;
    for list in lists {
        let before = usize::try_from(whole.total).unwrap_or(usize::MAX);
        let limit = if whole.cut { 0 } else { limit - whole.messages.len() };
        let peek = broker.peek(list, offset.saturating_sub(before), limit, bytes).await?;
        let read = peek.messages.iter().map(|(_, raw)| raw.len()).sum();
        bytes = bytes.saturating_sub(read);
        whole.total += peek.total;
        whole.cut |= peek.cut;
        whole.messages.extend(peek.messages);
    }
    Ok(whole)
}
