//! What the result backend knows: results stored before we came, results as they are stored, and
//! the outcome of tasks that no event explains. A backend that is away never harms the watch.

use super::address::Address;
use super::looks::Reach;
use super::{BATCH, Environment, Inner, PATIENCE};
use crate::backend::{self, ResultBackend, Stored};
use crate::broker::url::BrokerUrl;
use crate::error::{Error, Result};
use crate::state::Kind;
use futures_util::stream::{self, StreamExt as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// Values above this many bytes are not read; their size is told.
pub(super) const CUT: usize = 256 << 10;

/// About so many stored results are read before a first list is answered, then so many at a time, and
/// so many in all: the walk over the backend's keys meets them in no order.
const FIRST: usize = 5_000;
const STRETCH: usize = 1_000;
const MOST: usize = 100_000;

/// Steps of that walk before others are let in, at most.
const STEPS: usize = 50;

/// Results asked for at once.
const CHUNK: usize = 200;

/// How often we ask what became of tasks that nothing explains.
const EXPLAIN: Duration = Duration::from_secs(2);

/// How soon after a failure the backend is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The connection to the result backend, made when it is first needed.
#[derive(Debug)]
pub(super) struct Backend {
    /// `None`: none is configured.
    address: Option<Address>,
    slot: channel::Sender<Slot>,
    walk: Mutex<Walk>,
}

#[derive(Debug)]
enum Slot {
    /// Nobody needed it yet, or it was lost.
    Empty,
    /// On its way; a program that prints its URL may take a minute, and nobody waits so long.
    Coming,
    Here(Arc<dyn ResultBackend>),
    Failed(Error, Again),
}

/// When a backend that failed is tried again.
#[derive(Debug)]
enum Again {
    At(Instant),
    /// When somebody has come since.
    Arrival(u64),
}

impl Backend {
    pub fn new(address: Option<Address>) -> Self {
        Backend { address, slot: channel::Sender::new(Slot::Empty), walk: Mutex::default() }
    }

    /// Ends the connection.
    pub fn leave(&self) {
        self.slot.send_replace(Slot::Empty);
    }

    /// Whether the caller is to connect now.
    fn begin(&self, arrivals: u64) -> bool {
        self.slot.send_if_modified(|slot| {
            let due = match slot {
                Slot::Empty => true,
                Slot::Coming | Slot::Here(_) => false,
                Slot::Failed(_, Again::At(at)) => Instant::now() >= *at,
                Slot::Failed(_, Again::Arrival(since)) => arrivals != *since,
            };
            if due {
                *slot = Slot::Coming;
            }
            due
        })
    }

    async fn connect(&self, address: &Address, options: &toml::Table, arrivals: u64) {
        let connected = async {
            let url = BrokerUrl::parse_backend(address.url().await?.expose())?;
            let prefix = options.get("global_keyprefix").and_then(|prefix| prefix.as_str());
            backend::connect(&url, prefix.unwrap_or_default()).await
        };
        let connected = connected.await;
        let again = match address.heed(&connected) {
            true => Again::At(Instant::now() + AGAIN),
            false => Again::Arrival(arrivals),
        };
        self.slot.send_if_modified(|slot| {
            let awaited = matches!(slot, Slot::Coming);
            if awaited {
                *slot = match connected {
                    Ok(backend) => Slot::Here(backend),
                    Err(error) => Slot::Failed(error, again),
                };
            }
            awaited
        });
    }
}

impl Environment {
    /// The result backend; `None` where none is configured.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Unsupported`], [`Error::ResultBackend`].
    pub(super) async fn backend(&self) -> Result<Option<Arc<dyn ResultBackend>>> {
        if self.0.backend.address.is_none() {
            return Ok(None);
        }
        let arrivals = self.0.looks.arrivals();
        if self.0.backend.begin(arrivals) {
            let environment = self.clone();
            tokio::spawn(async move {
                let Inner { backend, config, .. } = &*environment.0;
                if let Some(address) = &backend.address {
                    let options = &config.result_backend_transport_options;
                    backend.connect(address, options, arrivals).await;
                }
            });
        }
        let mut slot = self.0.backend.slot.subscribe();
        let settled = slot.wait_for(|slot| !matches!(slot, Slot::Coming));
        let waited = tokio::time::timeout(PATIENCE, settled).await;
        match &waited {
            Ok(Ok(slot)) => match &**slot {
                Slot::Here(backend) => Ok(Some(Arc::clone(backend))),
                Slot::Failed(error, _) => Err(error.clone()),
                Slot::Empty | Slot::Coming => Err(away("it was left")),
            },
            _ => Err(away("no answer within 3 s")),
        }
    }

    /// Passes on how a question to the backend ended. A connection that is lost is given up: the
    /// next one who needs it makes a new one. One refused command (F26) is no lost connection.
    async fn heed<T>(&self, backend: &Arc<dyn ResultBackend>, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() && backend.ping().await.is_err() {
            self.0.backend.slot.send_if_modified(|slot| {
                let ours = matches!(slot, Slot::Here(held) if Arc::ptr_eq(held, backend));
                if ours {
                    *slot = Slot::Empty;
                }
                ours
            });
        }
        outcome
    }

    /// Asks for these results and learns them.
    ///
    /// # Errors
    /// [`Error::ResultBackend`].
    pub(super) async fn learn_results(&self, uuids: &[String], cut: usize) -> Result<()> {
        if uuids.is_empty() {
            return Ok(());
        }
        let Some(backend) = self.backend().await? else { return Ok(()) };
        // The next ones come while these are learned.
        let asked = uuids.chunks(CHUNK).map(async |chunk| (chunk, backend.get(chunk, cut).await));
        let mut answers = stream::iter(asked.collect::<Vec<_>>()).buffered(2);
        while let Some((chunk, stored)) = answers.next().await {
            let stored = self.heed(&backend, stored).await?;
            let mut absent = Vec::new();
            let mut learned = Vec::new();
            for (uuid, stored) in chunk.iter().zip(stored) {
                match stored {
                    Some(stored) => learned.push(kind(stored)),
                    None => absent.push(uuid.clone()),
                }
            }
            if !absent.is_empty() {
                learned.push(Kind::NoResult { uuids: absent });
            }
            self.observe_all(learned);
        }
        Ok(())
    }
}

fn away(reason: &str) -> Error {
    Error::ResultBackend { operation: "connect".into(), reason: reason.into() }
}

fn kind(stored: Stored) -> Kind {
    match stored {
        Ok(meta) => Kind::Result(Box::new(meta)),
        Err(reason) => Kind::Undecodable { what: "result".into(), reason },
    }
}

/// A walk over the keys of the backend, to what was stored before we came.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    /// How often it began anew: a stretch that began before takes it no further.
    began: u64,
    cursor: u64,
    /// Results that were read on the way.
    read: usize,
    /// Whether an earlier one reached all there was.
    whole: bool,
}

impl Backend {
    /// What was stored is read again from the beginning.
    pub fn begin_anew(&self) {
        let mut walk = self.walk();
        *walk = Walk { began: walk.began + 1, ..Walk::default() };
    }

    fn walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the next stretch of what was stored before we came.
pub(super) async fn go_on(environment: &Environment) -> Result<Reach> {
    let held = &environment.0.backend;
    let Some(backend) = environment.backend().await? else { return Ok(Reach::Whole) };
    let Walk { began, cursor, read, whole } = *held.walk();
    let most = if read == 0 { FIRST } else { STRETCH };
    let (mut cursor, mut found) = environment.heed(&backend, backend.scan(cursor).await).await?;
    let mut stretch = found.len();
    for _ in 1..STEPS {
        if cursor == 0 || stretch >= most {
            break;
        }
        let learned = environment.learn_results(&found, CUT);
        let (learned, scanned) = tokio::join!(learned, backend.scan(cursor));
        learned?;
        (cursor, found) = environment.heed(&backend, scanned).await?;
        stretch += found.len();
    }
    environment.learn_results(&found, CUT).await?;
    let read = read + stretch;
    let (next, reach) = if cursor == 0 {
        (Walk { whole: true, ..Walk::default() }, Reach::Whole)
    } else if read >= MOST {
        (Walk::default(), Reach::Part)
    } else {
        (Walk { cursor, read, whole, began }, Reach::Stretch { whole })
    };
    let mut walk = held.walk();
    if walk.began == began {
        *walk = Walk { began, ..next };
    }
    Ok(reach)
}

/// Follows the backend for as long as the connection lives: hears results where a worker sends no
/// task events, and asks for the outcomes that nothing else explains.
pub(super) async fn follow(environment: &Environment) {
    if environment.config().result_backend.is_none() {
        return std::future::pending().await;
    }
    let hear = async {
        loop {
            if let Err(error) = hear(environment).await {
                tracing::debug!(%error, "results cannot be heard");
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let ask = async {
        loop {
            tokio::time::sleep(EXPLAIN).await;
            explain(environment).await;
        }
    };
    tokio::join!(hear, ask);
}

/// Hears results while some worker sends no task events.
async fn hear(environment: &Environment) -> Result<()> {
    if !silent_workers(environment) {
        return Ok(());
    }
    let Some(backend) = environment.backend().await? else { return Ok(()) };
    let subscribed = backend.subscribe().await;
    let mut stores = environment.heed(&backend, subscribed).await?;
    // What was stored before we began to listen and after we came would be missed.
    environment.0.backend.begin_anew();
    go_on(environment).await?;
    let mut batch = Vec::new();
    while silent_workers(environment) {
        stores.next(BATCH, &mut batch).await?;
        environment.observe_all(batch.drain(..).map(kind));
    }
    Ok(())
}

fn silent_workers(environment: &Environment) -> bool {
    environment.read(|state| state.some_worker_sends_no_task_events())
}

/// Asks what became of tasks that no longer wait nor run and whose end nobody told.
pub(super) async fn explain(environment: &Environment) {
    let uuids = environment.read(|state| state.unexplained(CHUNK));
    if let Err(error) = environment.learn_results(&uuids, CUT).await {
        tracing::debug!(%error, "outcomes cannot be asked for");
    }
}
