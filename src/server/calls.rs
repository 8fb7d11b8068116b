//! The one owner of answers: which ids wait for one, and where it goes.
//!
//! A ticket, not the id, ties an answer to its call: an id may be used again as soon as it was
//! answered, while the work that was cancelled under it still winds down.

use crate::error::{Error, Result};
use jsonrpsee::core::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::Id;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

/// Names one call of a session, for ever.
pub type Ticket = u64;

/// Where an answer goes.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// Nowhere: a notification.
    Nowhere,
    /// To the client.
    Alone,
    /// Into a place of a batch.
    Batch { batch: u64, place: usize },
}

/// A call that was read and not yet answered.
pub struct Pending {
    id: Option<Id<'static>>,
    reply: Reply,
    running: Option<AbortHandle>,
    /// Given back when the call is answered.
    _room: Arc<OwnedSemaphorePermit>,
}

struct Batch {
    answers: Vec<Option<MethodResponse>>,
    missing: usize,
}

/// Everything that waits for an answer.
#[derive(Default)]
pub struct Calls {
    pending: HashMap<Ticket, Pending>,
    tickets: HashMap<Id<'static>, Ticket>,
    batches: HashMap<u64, Batch>,
    last: u64,
}

impl Calls {
    /// Whether everything was answered.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Notes a call. Refused where its id still waits for an answer: there would be two.
    pub fn enter(
        &mut self,
        id: Option<Id<'static>>,
        reply: Reply,
        room: Arc<OwnedSemaphorePermit>,
    ) -> Result<Ticket> {
        self.last += 1;
        if let Some(id) = &id {
            if self.tickets.contains_key(id) {
                return Err(Error::InvalidRequest(format!("the id {id} is still waiting")));
            }
            self.tickets.insert(id.clone(), self.last);
        }
        self.pending.insert(self.last, Pending { id, reply, running: None, _room: room });
        Ok(self.last)
    }

    /// Notes what runs for a call, so that it can be cancelled.
    pub fn started(&mut self, ticket: Ticket, running: AbortHandle) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.running = Some(running);
        }
    }

    /// Whether a call still waits for its answer.
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.pending.contains_key(&ticket)
    }

    /// The call that `$/cancelRequest` means; what runs for it is stopped.
    pub fn cancel(&mut self, id: &Id<'static>) -> Option<Ticket> {
        let ticket = *self.tickets.get(id)?;
        if let Some(running) = &self.pending.get(&ticket)?.running {
            running.abort();
        }
        Some(ticket)
    }

    /// The calls that still wait, oldest first.
    pub fn unanswered(&self) -> Vec<Ticket> {
        let mut tickets: Vec<Ticket> = self.pending.keys().copied().collect();
        tickets.sort_unstable();
        tickets
    }

    /// Opens a batch of `places` answers, of which the empty ones are never filled.
    pub fn open_batch(&mut self, places: usize) -> u64 {
        self.last += 1;
        let answers = std::iter::repeat_with(|| None).take(places).collect();
        self.batches.insert(self.last, Batch { answers, missing: places });
        self.last
    }

    /// Answers a call with an error, see [`Calls::answer`].
    pub fn fail(&mut self, ticket: Ticket, error: Error) -> Option<Box<RawValue>> {
        let id = self.pending.get(&ticket)?.id.clone().unwrap_or(Id::Null);
        self.answer(ticket, MethodResponse::error(id, error))
    }

    /// Takes an answer. What comes back is to be sent now: nothing where the call was answered
    /// before, was a notification, or is part of a batch that is not complete.
    pub fn answer(&mut self, ticket: Ticket, answer: MethodResponse) -> Option<Box<RawValue>> {
        let pending = self.pending.remove(&ticket)?;
        if let Some(id) = &pending.id {
            self.tickets.remove(id);
        }
        self.route(pending.reply, Some(answer))
    }

    /// Puts an answer where it belongs; `None` fills a place of a batch with nothing.
    pub fn route(&mut self, reply: Reply, answer: Option<MethodResponse>) -> Option<Box<RawValue>> {
        match reply {
            Reply::Nowhere => None,
            Reply::Alone => answer.map(MethodResponse::into_json),
            Reply::Batch { batch: number, place } => {
                let batch = self.batches.get_mut(&number)?;
                batch.answers[place] = answer;
                batch.missing -= 1;
                if batch.missing > 0 {
                    return None;
                }
                self.batches.remove(&number)?.finish()
            }
        }
    }
}

impl Batch {
    /// Nothing at all where all of its messages were notifications.
    fn finish(self) -> Option<Box<RawValue>> {
        let mut builder = BatchResponseBuilder::new_with_limit(usize::MAX);
        for answer in self.answers.into_iter().flatten() {
            if let Err(too_large) = builder.append(answer) {
                return Some(too_large.into_json());
            }
        }
        (!builder.is_empty()).then(|| MethodResponse::from_batch(builder.finish()).into_json())
    }
}
