//! Brokers in kombu's words: exchanges, queues, messages. Knows kombu's conventions, not Celery's.
//!
//! [`connect`] picks an implementation by the URL's scheme. Implementations never write a key of
//! their own but the reply list, never send `KEYS`, and bound every read in bytes. What changes queues
//! is apart, in [`Editing`].

mod budget;
mod editing;
pub mod options;
pub mod redis;
pub mod url;

pub use budget::Budget;
pub use editing::{Editing, End, Exchanged, Put, Reach, Shelf, Stock};
pub use options::Options;

use crate::error::Result;
use crate::message::{Body, Cut, Message};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// What a message from an exchange carries, or the sentence why it is none.
pub type Delivery = std::result::Result<Body, String>;

/// A live subscription to an exchange. Dropping it ends it.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits for at least one delivery and takes what has arrived, at most `limit`, into `into`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] once the connection is lost: nothing was kept behind it.
    async fn next(&mut self, limit: usize, into: &mut Vec<Delivery>) -> Result<()>;
}

/// Where replies to remote control go; `reply_to` of a pidbox request.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyTo {
    /// Empty: the default exchange.
    pub exchange: String,
    /// The queue's name, without prefix.
    pub routing_key: String,
}

/// Why a reply was not read.
#[derive(Debug, Clone, PartialEq)]
pub enum Unread {
    /// It is no message.
    Odd(String),
    /// It is larger than anything that is read; what is known of it.
    TooLarge(Cut),
}

/// One member of an exchange's bindings.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Routing key.
    pub routing_key: String,
    /// The queue it leads to.
    pub queue: String,
}

impl Binding {
    /// The queue is one consumer's of a Broadcast, by the name that kombu makes up (`kombu/common.py`).
    pub fn is_broadcast(&self) -> bool {
        let unique = self.queue.strip_prefix("bcast.");
        unique.is_some_and(|unique| uuid::Uuid::try_parse(unique).is_ok())
    }
}

/// What a broker says about one queue's length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Depth {
    /// Messages per priority step; a step that could not be read is absent.
    pub priorities: BTreeMap<u8, u64>,
    /// Messages that arrived since the last time this queue was asked for, where exactly known.
    pub arrived: Option<u64>,
    /// What was odd, e.g. a step's key that holds no list.
    pub oddities: Vec<String>,
}

/// A stretch of a queue, read without removing anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Peek {
    /// Raw elements, next to be consumed first, each with its priority step.
    pub messages: Vec<(u8, Vec<u8>)>,
    /// Messages in the queue when it was read, all steps.
    pub total: u64,
    /// A bound in bytes ended the read before its limit did.
    pub cut: bool,
}

/// A message handed to a consumer and not acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Unacked {
    /// Its delivery tag.
    pub delivery_tag: String,
    /// The raw element.
    pub raw: Vec<u8>,
    /// Where it was published.
    pub exchange: String,
    /// With which key; the queue's name on the default exchange.
    pub routing_key: String,
}

/// What is handed out now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnackedLook {
    /// Every tag, with when it was handed out (Unix seconds, the worker's clock).
    pub index: Vec<(String, f64)>,
    /// The messages of tags not in `known`.
    pub new: Vec<Unacked>,
    /// The index and all new messages were read.
    pub complete: bool,
}

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Of the server.
    pub version: Option<String>,
    /// How full it is.
    pub memory: Option<Memory>,
    /// It follows another one.
    pub replica: Option<bool>,
    /// It last wrote what it holds to its disk; where it could not, it may refuse to take any more.
    pub saved: Option<bool>,
    /// Commands that are not permitted, and in which words.
    pub refused: Vec<(String, String)>,
}

/// Reply lists of programs that asked workers and went away.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Leftovers {
    /// How many.
    pub lists: u64,
    /// What they take, where the broker tells.
    pub bytes: u64,
    /// For how long the one that was left alone longest was.
    pub idle: Duration,
    /// The name of that one.
    pub example: String,
    /// All keys were looked at.
    pub whole: bool,
}

/// How full a broker is, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// In use.
    pub used: u64,
    /// How much it may use; `None`: as much as there is.
    pub limit: Option<u64>,
    /// What it does when it is full, e.g. `noeviction`.
    pub policy: Option<String>,
}

/// A broker, connected.
#[async_trait]
pub trait Broker: Editing {
    /// `redis`, `amqp`.
    fn transport(&self) -> &'static str;

    /// The layout in force, after detection; for `environment` rows and the log.
    fn options(&self) -> Options;

    /// Tells what a worker said of its own layout (`stats` → `broker.transport_options`).
    fn learn(&self, options: &serde_json::Map<String, serde_json::Value>);

    /// Listens to everything published to a fanout or topic exchange.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] where it cannot be reached or refuses.
    async fn subscribe(&self, exchange: &str) -> Result<Box<dyn Deliveries>>;

    /// Publishes to the queue that the message's routing key names, by the default exchange, with its
    /// priority.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; [`crate::Error::Unsure`] where the connection broke, and it may have been
    /// published all the same.
    async fn publish(&self, message: &Message) -> Result<()>;

    /// Publishes to a fanout or topic exchange, by the message's routing key. Answers the number of live listeners where the broker counts them.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]; [`crate::Error::Unsure`] where the connection broke.
    async fn broadcast(&self, exchange: &str, message: &Message) -> Result<Option<u64>>;

    /// Where replies to us go. Stable for the life of this broker.
    fn reply_to(&self) -> ReplyTo;

    /// Whether a reply could be stored now. Where it could not, nobody must be asked: a worker whose
    /// reply is refused sets its control queue up again, which is refused as well, and ends by that.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] with the broker's reason.
    async fn takes_replies(&self) -> Result<()>;

    /// Waits for one reply on [`Broker::reply_to`], at most `wait`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`]. A reply that is not read is answered as `Ok(Some(Err(why)))`.
    async fn reply(&self, wait: Duration) -> Result<Option<std::result::Result<Message, Unread>>>;

    /// Leaves nothing of ours behind in [`Broker::reply_to`], also where the connection was lost
    /// meanwhile. Where an answer is still `owed`, what it will create expires by itself within the
    /// hour (reference 4.2). Whoever waits in [`Broker::reply`] is woken by that.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn close_replies(&self, owed: bool) -> Result<()>;

    /// One step of a slow search for what a killed process of ours left behind: a reply list that
    /// does not expire gets an hour to live. `cursor` 0 begins; answers the cursor to go on from
    /// (0: through).
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn expire_replies(&self, cursor: u64) -> Result<u64>;

    /// What others left behind who asked workers: lists of a reply exchange that nobody touched for a
    /// minute. Looks at as many keys as `time` lets it.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn leftovers(&self, exchange: &str, time: Duration) -> Result<Leftovers>;

    /// The bindings of one exchange.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn bindings(&self, exchange: &str) -> Result<Vec<Binding>>;

    /// What stands among an exchange's bindings and is none, each as the command that removes it.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn malformed_bindings(&self, exchange: &str) -> Result<Vec<String>>;

    /// One step of a slow search for the exchanges that have bindings. `cursor` 0 begins; answers
    /// the cursor to go on from (0: through) and the exchanges found.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn scan_exchanges(&self, cursor: u64) -> Result<(u64, Vec<String>)>;

    /// Lengths of queues, in the order asked for.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn depths(&self, queues: &[String]) -> Result<Vec<Depth>>;

    /// Reads messages of a queue without removing them: `offset` from the next to run, at most
    /// `limit`, at most about `bytes`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn peek(&self, queue: &str, offset: usize, limit: usize, bytes: usize) -> Result<Peek>;

    /// What consumers hold. Messages whose tag is in `known` are not read again.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn unacked(&self, known: &HashSet<String>, bytes: usize) -> Result<UnackedLook>;

    /// Is it a copy of another server, which takes no requests for workers? `None` where it does not
    /// tell.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] where it is not there.
    async fn is_replica(&self) -> Result<Option<bool>>;

    /// What it says of itself; what it does not permit is named, and no failure.
    async fn facts(&self) -> Facts;

    /// Is it there? At most 3 s.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    async fn ping(&self) -> Result<()>;
}

/// Connects to a broker by its URL. `event_exchange` and `control_exchange` help to detect a layout.
///
/// # Errors
/// [`crate::Error::Config`] for a URL that Celery would refuse, [`crate::Error::Unsupported`] for a
/// transport we do not speak, [`crate::Error::Broker`] where it cannot be reached within 3 s.
pub async fn connect(url: &url::BrokerUrl, options: &Options) -> Result<Arc<dyn Broker>> {
    redis::connect(url, options).await
}
