//! Environments: one Celery cluster each, watched through its broker and result backend.
//!
//! An [`Environment`] is a cloneable handle. It connects when somebody takes a [`Lease`] on it and
//! disconnects when nobody has held one for `keep`. What is learned goes through
//! [`Environment::observe`] into [`State`], and only there; whoever shows something re-reads it when
//! [`Environment::revision`] goes up. Must not know JSON-RPC.

pub mod act;
mod address;
mod all;
mod check;
mod connect;
pub mod export;
mod held;
mod link;
mod looks;
mod mailbox;
mod place;
mod queues;
mod recording;
mod replay;
mod results;
mod row;
mod search;
mod unheard;
mod watch;
mod workers;

pub use all::Environments;
pub use check::{Check, Health};
pub use link::Status;
pub use looks::{Look, Need};
pub use mailbox::{Answers, Replies};
pub use queues::{fingerprint, message_key};
pub use recording::record;
pub use row::EnvironmentRow;
pub use search::{Found, Searched};

use crate::broker::Broker;
use crate::celery::control::Request;
use crate::config::EnvironmentConfig;
use crate::error::{Error, Result};
use crate::state::observation::Micros;
use crate::state::{Changes, Kind, Observation, Rules, State};
use address::Address;
use link::Link;
use looks::Looks;
use mailbox::{Enough, Mailbox};
use recording::Recorder;
use replay::Replay;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, mpsc, watch as channel};

/// No operation takes longer than this while a broker is down.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What is learned at once, under one hold of the state's lock.
const BATCH: usize = 256;

/// A cluster under watch.
#[derive(Debug, Clone)]
pub struct Environment(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: EnvironmentConfig,
    /// The broker's.
    address: Address,
    keep: Duration,
    /// Held for microseconds: decoding happens outside, and at most [`BATCH`] events a hold.
    state: Mutex<State>,
    link: Mutex<Link>,
    /// What the present connection offers; `None` while there is none.
    connection: channel::Sender<Option<Arc<Connection>>>,
    /// Mailboxes of connections that are no more, whose reply lists may still be there.
    retired: Mutex<Vec<Arc<Mailbox>>>,
    looks: Looks,
    /// Goes up with the state's revision and with the link.
    revision: channel::Sender<u64>,
    /// Workers that were met for the first time: asked at once (F49).
    appeared: mpsc::UnboundedSender<String>,
    newcomers: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
    /// What workers that come up are still to be told.
    revoked: act::revoke::Remembered,
    recorder: Recorder,
    backend: results::Backend,
    /// Set where this environment is a recording and has no broker.
    replay: Option<Replay>,
    held: held::Held,
}

/// One life of the connection to a broker.
#[derive(Debug)]
struct Connection {
    broker: Arc<dyn Broker>,
    mailbox: Arc<Mailbox>,
    /// How far the search for bindings has come.
    search: queues::Search,
    unheard: unheard::Unheard,
    /// Notified where it is to be made anew although it is not lost.
    give_up: Notify,
}

impl Environment {
    /// An environment that nobody uses yet: nothing is contacted.
    ///
    /// # Errors
    /// [`Error::Config`] where a recording's address cannot be read.
    pub(crate) fn new(config: EnvironmentConfig, keep: Duration, budget: usize) -> Result<Self> {
        let (appeared, newcomers) = mpsc::unbounded_channel();
        let replay = Replay::of(&config.broker)?;
        Ok(Environment(Arc::new(Inner {
            link: Mutex::new(Link::new(&config)),
            address: Address::new(config.broker.clone()),
            backend: results::Backend::new(config.result_backend.clone().map(Address::new)),
            config,
            keep,
            state: Mutex::new(State::new(Rules::Ours, budget)),
            connection: channel::Sender::new(None),
            retired: Mutex::default(),
            looks: Looks::default(),
            revision: channel::Sender::new(0),
            appeared,
            newcomers: tokio::sync::Mutex::new(newcomers),
            revoked: act::revoke::Remembered::default(),
            recorder: Recorder::default(),
            replay,
            held: held::Held::default(),
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// What is configured for it.
    pub fn config(&self) -> &EnvironmentConfig {
        &self.0.config
    }

    /// Now, by the clock this environment lives in: the wall's, or a recording's.
    pub fn now(&self) -> Micros {
        match &self.0.replay {
            Some(replay) => replay.now(),
            None => wall_clock(),
        }
    }

    /// Goes up with everything that a reader could see.
    pub fn revision(&self) -> channel::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Reads the state. The lock is held meanwhile, so readers are quick.
    pub fn read<T>(&self, reader: impl FnOnce(&State) -> T) -> T {
        reader(&self.state())
    }

    /// Waits until what `looks` ask for was looked at just now, at most [`PATIENCE`]; answers the
    /// names of what was not, or only in part. Needs a [`Lease`] on the same needs.
    ///
    /// # Errors
    /// [`Error::NotConnected`] where the cluster was never reached: there is nothing to answer from.
    pub async fn fresh(&self, looks: &[Look]) -> Result<Vec<&'static str>> {
        if let Some(replay) = &self.0.replay {
            return replay.caught_up(self.name()).await;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut revision = self.revision();
        loop {
            revision.borrow_and_update();
            let finished = self.0.looks.finished();
            if self.0.looks.through(looks) {
                return Ok(self.0.looks.incomplete(looks));
            }
            if let Some(trouble) = self.trouble() {
                let ever_connected = self.link().ever_connected;
                return ever_connected.then(|| self.0.looks.incomplete(looks)).ok_or(trouble);
            }
            tokio::select! {
                () = finished => {}
                _ = revision.changed() => {}
                () = tokio::time::sleep_until(deadline) => {
                    return if self.link().ever_connected {
                        Ok(self.0.looks.incomplete(looks))
                    } else {
                        Err(self.not_connected("no answer within 3 s"))
                    };
                }
            }
        }
    }

    /// The looks of these that are not fresh now, or saw a part; for whoever does not wait for them.
    pub fn incomplete(&self, looks: &[Look]) -> Vec<&'static str> {
        match self.0.replay {
            Some(_) => Vec::new(),
            None => self.0.looks.incomplete(looks),
        }
    }

    /// Whether these looks saw all there was, so that what they show is no sample.
    pub fn whole(&self, looks: &[Look]) -> bool {
        self.0.replay.is_some() || self.0.looks.whole(looks)
    }

    /// What is asked when a task is looked for.
    pub fn sources(&self) -> Vec<String> {
        let backend = self.config().result_backend.is_some().then_some("backend");
        let always = ["events", "inspect", "queues", "unacked"].into_iter();
        always.chain(backend).map(String::from).collect()
    }

    /// Broadcasts a request of remote control and gathers the answers, which the state learns too.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::Broker`].
    pub async fn ask(&self, request: Request, timeout: Duration) -> Result<Answers> {
        let connection = self.connection().await?;
        workers::ask(self, &connection, request, Enough::Known, timeout).await
    }

    /// Asks one worker what it reserved and scheduled, unless it was asked lately. One that does not
    /// tell is no failure.
    pub async fn ask_held(&self, hostname: &str) {
        let asked = async {
            let connection = self.connection().await?;
            held::ask(self, &connection, hostname).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, asked).await {
            tracing::debug!(%error, hostname, "a worker could not be asked what it holds");
        }
    }

    /// Learns one thing, now.
    pub(crate) fn observe(&self, kind: Kind) {
        self.observe_all([kind]);
    }

    /// Learns several things under one hold of the state's lock.
    pub(crate) fn observe_all(&self, kinds: impl IntoIterator<Item = Kind>) {
        let seen = wall_clock();
        self.apply(kinds.into_iter().map(|kind| Observation { seen, kind }));
    }

    /// The one way into the state.
    fn apply(&self, observations: impl IntoIterator<Item = Observation>) {
        let mut appeared = Vec::new();
        {
            let mut state = self.state();
            let before = state.revision();
            for observation in observations {
                self.0.recorder.write(&observation);
                let Changes { appeared: new, .. } = state.apply(&observation);
                appeared.extend(new);
            }
            if state.revision() == before && appeared.is_empty() {
                return;
            }
        }
        for hostname in appeared {
            // Nobody listens only while the environment itself is going away.
            let _ = self.0.appeared.send(hostname);
        }
        self.changed();
    }

    /// Keeps to so many bytes from the next observation on.
    fn keep_to(&self, budget: usize) {
        self.state().keep_to(budget);
    }

    /// Forgets everything: a recording begins again.
    fn begin_again(&self) {
        self.state().begin_again();
        self.changed();
    }

    /// Wakes everybody who shows something.
    fn changed(&self) {
        self.0.revision.send_modify(|revision| *revision += 1);
    }

    /// Says something of the broker in the row, or nothing any more.
    fn warn(&self, warning: Option<&'static str>) {
        let changed = std::mem::replace(&mut self.link().warning, warning) != warning;
        if changed {
            self.changed();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present connection, waiting for one that is on its way, at most [`PATIENCE`].
    async fn connection(&self) -> Result<Arc<Connection>> {
        if self.0.replay.is_some() {
            return Err(Error::Unsupported {
                operation: "asking the cluster".into(),
                transport: "replay".into(),
            });
        }
        let mut connection = self.0.connection.subscribe();
        let mut revision = self.revision();
        let arrival = async {
            loop {
                revision.borrow_and_update();
                if let Some(connection) = connection.borrow_and_update().clone() {
                    return Ok(connection);
                }
                if let Some(trouble) = self.trouble() {
                    return Err(trouble);
                }
                tokio::select! {
                    _ = connection.changed() => {}
                    _ = revision.changed() => {}
                }
            }
        };
        match tokio::time::timeout(PATIENCE, arrival).await {
            Ok(found) => found,
            Err(_) => Err(self.not_connected("no answer within 3 s")),
        }
    }

    /// Why there is no connection and none on its way just now.
    fn trouble(&self) -> Option<Error> {
        let link = self.link();
        (link.status == Status::Disconnected).then(|| Error::NotConnected {
            environment: self.name().into(),
            url: link.url.clone(),
            reason: link.error.clone().unwrap_or_else(|| "disconnected".into()),
            retry_in: link.retry_in(self.now_instant()),
        })
    }

    fn not_connected(&self, otherwise: &str) -> Error {
        let link = self.link();
        Error::NotConnected {
            environment: self.name().into(),
            url: link.url.clone(),
            reason: link.error.clone().unwrap_or_else(|| otherwise.into()),
            retry_in: link.retry_in(self.now_instant()),
        }
    }

    fn now_instant(&self) -> tokio::time::Instant {
        tokio::time::Instant::now()
    }
}

/// Keeps an environment connected and what `needs` name looked at.
#[derive(Debug)]
pub struct Lease {
    environment: Environment,
    needs: Vec<Need>,
    /// The worker that is looked at.
    hostname: Option<String>,
}

impl Environment {
    /// Takes a lease; the first one connects, unless it only counts.
    pub fn lease(&self, needs: &[Need]) -> Lease {
        self.0.looks.need(needs);
        if self.0.looks.used() {
            watch::ensure(self);
        }
        Lease { environment: self.clone(), needs: needs.to_vec(), hostname: None }
    }

    /// Takes a lease on one worker's details: what it holds is asked too.
    pub fn lease_worker(&self, hostname: &str) -> Lease {
        self.0.held.watch(hostname);
        let mut lease = self.lease(&[Need::Workers]);
        lease.hostname = Some(hostname.into());
        lease
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.environment.0.looks.release(&self.needs);
        if let Some(hostname) = &self.hostname {
            self.environment.0.held.leave(hostname);
        }
    }
}

fn wall_clock() -> Micros {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX))
}
