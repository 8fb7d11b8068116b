//! Remote control requests and their replies, matched by ticket.
//!
//! Replies are read only while somebody waits for one, or a worker that was asked lately is still
//! silent: a busy solo worker answers between two tasks (reference 4.2), and its word counts then
//! too. Must not know what a reply means to the state.

use crate::broker::Broker;
use crate::celery::control::{Reply, Request, exchange};
use crate::error::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How long one blocking read of the reply list lasts.
const READ: Duration = Duration::from_secs(1);

/// How long a closed connection takes to be noticed by the broker.
const CLOSING: Duration = Duration::from_millis(10);

/// How long a reader that failed waits before the next one begins.
const PAUSE: Duration = Duration::from_millis(500);

/// How long leaving waits for answers that are on their way.
const MOMENT: Duration = Duration::from_millis(50);

/// How long we go on listening for those who have not answered.
const LATE: Duration = Duration::from_secs(30);

/// What workers answered to one request.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Answers {
    /// Who said what, in the worker's words.
    pub replies: BTreeMap<String, Value>,
    /// Who was expected to answer and did not.
    pub missing: Vec<String>,
    /// Listeners the broker counted, where it tells.
    pub listeners: Option<u64>,
}

/// A reply nobody waits for any more.
#[derive(Debug)]
pub(super) struct Late {
    pub method: String,
    pub hostname: String,
    pub value: Value,
}

/// When a request has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enough {
    /// By every worker we know (where we know none: by as many as the broker counted).
    Known,
    /// By as many as the broker counted: workers that we do not know yet are waited for too.
    Listeners,
}

/// The requests of one connection that wait for answers.
#[derive(Debug)]
pub(super) struct Mailbox {
    broker: Arc<dyn Broker>,
    /// `control_exchange`
    namespace: String,
    tickets: Mutex<HashMap<String, Ticket>>,
    /// A reader runs.
    reading: AtomicBool,
    late: mpsc::UnboundedSender<Late>,
    /// A reply was delivered.
    delivered: Notify,
    reader: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Ticket {
    method: String,
    asked: Instant,
    /// Answers that may still come: listeners that have not answered.
    outstanding: u64,
    /// Answers that came, possibly before the broker had told us how many there may be.
    answered: u64,
    waiter: mpsc::UnboundedSender<Reply>,
}

impl Mailbox {
    /// A mailbox on one connection. `late` gets replies that come after their request has ended.
    pub fn new(
        broker: Arc<dyn Broker>,
        control_exchange: &str,
        late: mpsc::UnboundedSender<Late>,
    ) -> Self {
        Mailbox {
            broker,
            namespace: control_exchange.into(),
            tickets: Mutex::default(),
            reading: AtomicBool::new(false),
            late,
            delivered: Notify::new(),
            reader: Mutex::default(),
        }
    }

    /// Broadcasts without asking for an answer.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn tell(&self, request: &Request) -> Result<Option<u64>> {
        let ticket = uuid::Uuid::new_v4().to_string();
        let message = request.message(&self.namespace, &ticket, None)?;
        self.broker.broadcast(&exchange(&self.namespace), &message).await
    }

    /// Broadcasts and gathers answers until `enough`, at most `timeout`. `heard` is told each at once.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] where the request could not be sent.
    pub async fn ask(
        self: &Arc<Self>,
        request: &Request,
        expected: BTreeSet<String>,
        enough: Enough,
        timeout: Duration,
        mut heard: impl FnMut(&str, &Value),
    ) -> Result<Answers> {
        let ticket = uuid::Uuid::new_v4().to_string();
        let (waiter, mut replies) = mpsc::unbounded_channel();
        let reply_to = self.broker.reply_to();
        let address = (reply_to.exchange.as_str(), reply_to.routing_key.as_str());
        let message = request.message(&self.namespace, &ticket, Some(address))?;
        self.open(&ticket, &request.method, waiter);
        let sent = self.broker.broadcast(&exchange(&self.namespace), &message).await;
        let listeners = match sent {
            Ok(listeners) => listeners,
            Err(error) => {
                self.close(&ticket);
                return Err(error);
            }
        };
        // Only those named answer, whoever else listens.
        let most = request.destination.as_ref().map_or(u64::MAX, |names| names.len() as u64);
        self.expect(&ticket, listeners.unwrap_or(expected.len() as u64).min(most));
        let mut answers = Answers { listeners, ..Answers::default() };
        let deadline = Instant::now() + timeout;
        if listeners != Some(0) {
            self.read();
            while !enough.reached(&answers, &expected) {
                let Ok(Some(reply)) = tokio::time::timeout_at(deadline, replies.recv()).await
                else {
                    break;
                };
                heard(&reply.hostname, &reply.value);
                answers.replies.insert(reply.hostname, reply.value);
            }
        }
        answers.missing =
            expected.into_iter().filter(|name| !answers.replies.contains_key(name)).collect();
        Ok(answers)
    }

    /// Leaves nothing of ours on the broker. Answers that are on their way are waited for a moment:
    /// with none outstanding, not even a list that expires has to stay.
    ///
    /// `through` is our own broker, or the next connection where ours was lost.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn leave(&self, through: &dyn Broker) -> Result<()> {
        let answered = async {
            while self.is_outstanding() {
                self.delivered.notified().await;
            }
        };
        // Out of time: the list stays behind, and expires.
        let _ = tokio::time::timeout(MOMENT, answered).await;
        self.stop_reading().await;
        through.close_replies(&self.broker.reply_to(), self.is_outstanding()).await
    }

    /// Ends the reader first: it would pop what leaving puts into the list to make it expire.
    async fn stop_reading(&self) {
        self.reading.store(true, Ordering::Release);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.abort();
            // The broker has to see its connection close before it hears of the list again.
            tokio::time::sleep(CLOSING).await;
        }
    }

    fn is_outstanding(&self) -> bool {
        self.tickets().values().any(|ticket| ticket.outstanding > 0)
    }

    fn open(&self, ticket: &str, method: &str, waiter: mpsc::UnboundedSender<Reply>) {
        let ticket_of = Ticket {
            method: method.into(),
            asked: Instant::now(),
            // Until the broker has told: somebody may answer.
            outstanding: u64::MAX,
            answered: 0,
            waiter,
        };
        self.tickets().insert(ticket.into(), ticket_of);
    }

    fn expect(&self, ticket: &str, listeners: u64) {
        if let Some(ticket) = self.tickets().get_mut(ticket) {
            ticket.outstanding = listeners.saturating_sub(ticket.answered);
        }
    }

    fn close(&self, ticket: &str) {
        self.tickets().remove(ticket);
    }

    /// Starts the reader where none runs. It ends by itself.
    fn read(self: &Arc<Self>) {
        if self.reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let mailbox = Arc::clone(self);
        let reader = tokio::spawn(async move {
            while mailbox.awaits() {
                match mailbox.broker.reply(READ).await {
                    Ok(Some(Ok(message))) => match Reply::read(&message) {
                        Ok(reply) => mailbox.deliver(reply),
                        Err(reason) => tracing::debug!(reason, "a reply that cannot be read"),
                    },
                    Ok(Some(Err(reason))) => tracing::debug!(reason, "a reply that is no message"),
                    Ok(None) => {}
                    Err(error) => {
                        // The connection's watcher notices by itself; whoever waits has a deadline.
                        tracing::debug!(%error, "replies cannot be read");
                        tokio::time::sleep(PAUSE).await;
                        break;
                    }
                }
            }
            mailbox.reading.store(false, Ordering::Release);
            if mailbox.awaits_somebody() {
                mailbox.read();
            }
        });
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader.abort_handle());
    }

    fn deliver(&self, reply: Reply) {
        self.count(reply);
        self.delivered.notify_one();
    }

    fn count(&self, reply: Reply) {
        let late = {
            let mut tickets = self.tickets();
            let Some(ticket) = tickets.get_mut(&reply.ticket) else { return };
            ticket.outstanding = ticket.outstanding.saturating_sub(1);
            ticket.answered += 1;
            match ticket.waiter.send(reply) {
                Ok(()) => None,
                Err(mpsc::error::SendError(reply)) => Some(Late {
                    method: ticket.method.clone(),
                    hostname: reply.hostname,
                    value: reply.value,
                }),
            }
        };
        if let Some(late) = late {
            // Nobody listens only while the connection itself is going away.
            let _ = self.late.send(late);
        }
    }

    /// Whether an answer may still come; forgets the tickets whose answers will not.
    fn awaits(&self) -> bool {
        let mut tickets = self.tickets();
        tickets.retain(|_, ticket| {
            !ticket.waiter.is_closed() || ticket.outstanding > 0 && ticket.asked.elapsed() < LATE
        });
        !tickets.is_empty()
    }

    /// Whether a request of ours is waiting right now.
    fn awaits_somebody(&self) -> bool {
        self.tickets().values().any(|ticket| !ticket.waiter.is_closed())
    }

    fn tickets(&self) -> std::sync::MutexGuard<'_, HashMap<String, Ticket>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enough {
    fn reached(self, answers: &Answers, expected: &BTreeSet<String>) -> bool {
        let known = expected.iter().all(|name| answers.replies.contains_key(name));
        match self {
            Enough::Known if !expected.is_empty() => known,
            Enough::Known | Enough::Listeners => {
                known
                    && answers.listeners.is_some_and(|count| answers.replies.len() as u64 >= count)
            }
        }
    }
}
