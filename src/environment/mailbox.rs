//! Remote control requests and their replies, matched by ticket.
//!
//! Replies are read only while somebody waits for one, or an answer is still out: a busy solo worker
//! answers between two tasks (reference 4.2), and its word counts then too. Must not know what a
//! reply means to the state.

mod tickets;

use crate::broker::{Broker, Unread};
use crate::celery::control::{Reply, Request, Said, exchange};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickets::Tickets;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long one blocking read of the reply list lasts while somebody waits.
const READ: Duration = Duration::from_secs(1);

/// How long it lasts while only late answers are out.
const LONG_READ: Duration = Duration::from_secs(30);

/// How long a reader that failed waits before the next one begins.
const PAUSE: Duration = Duration::from_millis(500);

/// How long leaving waits for answers that are on their way, and for the reader to end.
const MOMENT: Duration = Duration::from_millis(30);

/// What workers answered to one request.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Answers {
    /// Who said what, in the worker's words.
    pub replies: BTreeMap<String, Value>,
    /// Whose answer was too large to be read, and its bytes.
    pub too_large: BTreeMap<String, usize>,
    /// Who was expected to answer and did not.
    pub missing: Vec<String>,
    /// Listeners the broker counted, where it tells.
    pub listeners: Option<u64>,
}

impl Answers {
    /// How many answered.
    pub fn answered(&self) -> usize {
        self.replies.len() + self.too_large.len()
    }

    /// Nobody answered.
    pub fn is_empty(&self) -> bool {
        self.answered() == 0
    }

    fn has(&self, hostname: &str) -> bool {
        self.replies.contains_key(hostname) || self.too_large.contains_key(hostname)
    }

    fn add(&mut self, Reply { hostname, said, .. }: Reply) {
        match said {
            Said::Value(value) => drop(self.replies.insert(hostname, value)),
            Said::TooLarge(bytes) => drop(self.too_large.insert(hostname, bytes)),
        }
    }

    /// Listeners of a broadcast that did not answer and whose names are not known: workers we never
    /// heard of, or other watchers.
    pub fn unnamed(&self) -> u64 {
        let named = self.answered() + self.missing.len();
        self.listeners.unwrap_or_default().saturating_sub(named as u64)
    }
}

/// Who answered, and who did not, as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Replies {
    pub replies: BTreeMap<String, Value>,
    pub missing: Vec<String>,
    /// Whose answer was too large to be read, and its bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub too_large: BTreeMap<String, usize>,
    /// Listeners that did not answer and whose names are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unnamed: Option<NonZeroU64>,
}

impl Replies {
    /// The answers to a request; where `destination` names nobody, everybody was meant.
    pub fn of(answers: Answers, destination: Option<&[String]>) -> Self {
        let unnamed = NonZeroU64::new(answers.unnamed()).filter(|_| destination.is_none());
        let Answers { replies, missing, too_large, .. } = answers;
        Replies { replies, missing, too_large, unnamed }
    }
}

/// A reply nobody waits for any more.
#[derive(Debug)]
pub(super) struct Late {
    pub method: String,
    pub hostname: String,
    pub said: Said,
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
    tickets: Mutex<Tickets>,
    /// A reader runs.
    reading: AtomicBool,
    /// Nothing is read any more.
    leaving: AtomicBool,
    late: mpsc::UnboundedSender<Late>,
    /// A reply was delivered.
    delivered: Notify,
    reader: Mutex<Option<JoinHandle<()>>>,
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
            leaving: AtomicBool::new(false),
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
        mut heard: impl FnMut(&str, &Said),
    ) -> Result<Answers> {
        self.broker.takes_replies().await?;
        let ticket = uuid::Uuid::new_v4().to_string();
        let (waiter, mut replies) = mpsc::unbounded_channel();
        let reply_to = self.broker.reply_to();
        let address = (reply_to.exchange.as_str(), reply_to.routing_key.as_str());
        let message = request.message(&self.namespace, &ticket, Some(address))?;
        self.open(&ticket, &request.method, waiter)?;
        let sent = self.broker.broadcast(&exchange(&self.namespace), &message).await;
        let listeners = match sent {
            Ok(listeners) => listeners,
            Err(error) => {
                self.tickets().close(&ticket);
                return Err(error);
            }
        };
        // Only those named answer, whoever else listens.
        let most = request.destination.as_ref().map_or(u64::MAX, |names| names.len() as u64);
        let listening = listeners.unwrap_or(expected.len() as u64).min(most);
        self.tickets().expect(&ticket, listening);
        let mut answers = Answers { listeners, ..Answers::default() };
        let deadline = Instant::now() + timeout;
        if listeners != Some(0) {
            self.read();
            while !enough.reached(&answers, &expected) {
                let Ok(Some(reply)) = tokio::time::timeout_at(deadline, replies.recv()).await
                else {
                    break;
                };
                heard(&reply.hostname, &reply.said);
                answers.add(reply);
            }
        }
        answers.missing = expected.into_iter().filter(|name| !answers.has(name)).collect();
        Ok(answers)
    }

    /// Reckons with answers, unless nobody would any more who makes what they leave expire: `leave`
    /// looks at the tickets after it has begun.
    fn open(&self, ticket: &str, method: &str, waiter: mpsc::UnboundedSender<Reply>) -> Result<()> {
        let mut tickets = self.tickets();
        if self.leaving.load(Ordering::Acquire) {
            let reason = "the connection is being left".into();
            return Err(Error::Broker { operation: "remote control".into(), reason });
        }
        tickets.open(ticket, method, Instant::now(), waiter);
        Ok(())
    }

    /// Leaves nothing of ours on the broker. Answers that are on their way are waited for a moment:
    /// with none out, not even a list that expires has to stay.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; it may be tried again.
    pub async fn leave(&self) -> Result<()> {
        let answered = async {
            while self.owed() {
                self.delivered.notified().await;
            }
        };
        // Out of time: the list stays behind, and expires.
        let _ = tokio::time::timeout(MOMENT, answered).await;
        self.stop_reading().await;
        self.broker.close_replies(self.owed()).await
    }

    /// Whether an answer is still out.
    pub fn owed(&self) -> bool {
        self.tickets().owed(Instant::now())
    }

    /// Ends the reader first: it would pop what leaving puts into the list to make it expire.
    async fn stop_reading(&self) {
        self.leaving.store(true, Ordering::Release);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut reader) = reader else { return };
        // Whatever is put into the list wakes it.
        if let Err(error) = self.broker.close_replies(true).await {
            tracing::debug!(%error, "the reader of replies could not be woken");
        }
        if tokio::time::timeout(MOMENT, &mut reader).await.is_err() {
            reader.abort();
        }
    }

    /// Starts the reader where none runs. It ends by itself.
    fn read(self: &Arc<Self>) {
        if self.leaving.load(Ordering::Acquire) || self.reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let mailbox = Arc::clone(self);
        let reader = tokio::spawn(async move {
            while let Some(wait) = mailbox.patience() {
                match mailbox.broker.reply(wait).await {
                    Ok(Some(Ok(message))) => match Reply::read(&message) {
                        Ok(reply) => mailbox.deliver(reply),
                        Err(reason) => tracing::debug!(reason, "a reply that cannot be read"),
                    },
                    Ok(Some(Err(Unread::Odd(reason)))) => {
                        tracing::debug!(reason, "a reply that is no message");
                    }
                    Ok(Some(Err(Unread::TooLarge(cut)))) => match Reply::too_large(&cut) {
                        Some(reply) => mailbox.deliver(reply),
                        None => tracing::warn!(cut.bytes, "a reply too large to be read"),
                    },
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
            if mailbox.tickets().awaited() {
                mailbox.read();
            }
        });
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
    }

    fn deliver(&self, reply: Reply) {
        let late = self.tickets().deliver(reply);
        if let Some(late) = late {
            // Nobody listens only while the connection itself is going away.
            let _ = self.late.send(late);
        }
        self.delivered.notify_one();
    }

    /// How long the next read may last; `None`: there is nothing to read for.
    fn patience(&self) -> Option<Duration> {
        let (mut tickets, now) = (self.tickets(), Instant::now());
        tickets.prune(now);
        match self.leaving.load(Ordering::Acquire) {
            true => None,
            false if tickets.awaited() => Some(READ),
            false => tickets.owed(now).then_some(LONG_READ),
        }
    }

    fn tickets(&self) -> std::sync::MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enough {
    fn reached(self, answers: &Answers, expected: &BTreeSet<String>) -> bool {
        let known = expected.iter().all(|name| answers.has(name));
        match self {
            Enough::Known if !expected.is_empty() => known,
            Enough::Known | Enough::Listeners => {
                known && answers.listeners.is_some_and(|count| answers.answered() as u64 >= count)
            }
        }
    }
}
