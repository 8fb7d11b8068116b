//! Keeps an environment connected while it is used: connects, pumps events into the state, starts
//! the looks, notices a lost connection, waits with a jittered back-off that a success resets.
//!
//! Reading is the back-pressure: a batch is applied before the next is taken from the socket.

use super::connect::connect;
use super::held;
use super::looks::{Look, Reach};
use super::mailbox::Mailbox;
use super::unheard::Unheard;
use super::{BATCH, Connection, Environment, Status, queues, results, wall_clock, workers};
use crate::broker::{Broker, Deliveries, Delivery};
use crate::celery::event;
use crate::error::{Error, Result};
use crate::state::Kind;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// A connection that lived this long was a success: the next back-off begins anew.
const HEALTHY: Duration = Duration::from_secs(2);

/// How soon a look that failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How long leaving may take: an end that was asked for does not wait for a broker that is away.
const LEAVE: Duration = Duration::from_secs(1);

/// Starts the watch where none runs.
pub(super) fn ensure(environment: &Environment) {
    if let Some(replay) = &environment.0.replay {
        replay.ensure(environment);
        return;
    }
    let mut link = environment.link();
    if !link.supervised {
        link.supervised = true;
        link.status = Status::Connecting;
        let environment = environment.clone();
        tokio::spawn(async move { supervise(environment).await });
    }
}

async fn supervise(environment: Environment) {
    tokio::select! {
        () = environment.0.looks.unused_for(environment.0.keep) => {}
        () = keep_connected(&environment) => {}
    }
    leave(&environment).await;
    {
        let mut link = environment.link();
        link.supervised = false;
        link.status = Status::Idle;
        link.retry_at = None;
    }
    environment.changed();
    if environment.0.looks.used() {
        ensure(&environment);
    }
}

/// Ends the present connection; nothing of ours stays on the broker.
pub(super) async fn leave(environment: &Environment) {
    environment.0.backend.leave();
    retire(environment);
    tidy_up(environment).await;
}

/// Nobody gets the present connection any more; what is ours on its broker has yet to go.
fn retire(environment: &Environment) {
    if let Some(connection) = environment.0.connection.send_replace(None) {
        let mut retired = environment.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(Arc::clone(&connection.mailbox));
    }
}

/// Removes the reply lists of connections that are no more. One that cannot be reached is tried
/// again, for as long as an answer may come.
async fn tidy_up(environment: &Environment) {
    let retired = || environment.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
    let mailboxes = std::mem::take(&mut *retired());
    let tidied = mailboxes.into_iter().map(async |mailbox| {
        let reason = match tokio::time::timeout(LEAVE, mailbox.leave()).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".into(),
        };
        tracing::debug!(reason, "a reply list could not be removed");
        mailbox.owed().then_some(mailbox)
    });
    let left = futures_util::future::join_all(tidied).await;
    retired().extend(left.into_iter().flatten());
}

async fn keep_connected(environment: &Environment) {
    let mut waits = backoff();
    loop {
        set(environment, Status::Connecting, None, None);
        let began = Instant::now();
        let connected = connect(environment).await;
        let again = environment.0.address.heed(&connected);
        let error = match connected {
            Ok(broker) => {
                let ((), error) = tokio::join!(tidy_up(environment), live(environment, broker));
                retire(environment);
                if began.elapsed() > HEALTHY {
                    waits = backoff();
                }
                error
            }
            Err(error) => error,
        };
        tracing::info!(environment = environment.name(), %error, "not connected");
        if !again {
            // Trying again on a timer would not help, and a program that prints a secret must not
            // be asked again and again (N48): the next user's call tries again.
            set(environment, Status::Disconnected, Some(reason(&error)), None);
            environment.0.looks.arrival().await;
            continue;
        }
        let wait = waits.next().unwrap_or_default();
        set(environment, Status::Disconnected, Some(reason(&error)), Some(wait));
        tokio::time::sleep(wait).await;
    }
}

fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(10))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

fn reason(error: &Error) -> String {
    match error {
        Error::Broker { reason, .. } | Error::Unsure { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

fn set(environment: &Environment, status: Status, error: Option<String>, wait: Option<Duration>) {
    {
        let mut link = environment.link();
        link.status = status;
        link.retry_at = wait.map(|wait| Instant::now() + wait);
        if status != Status::Connecting {
            link.error = error;
            link.warning = None;
        }
    }
    environment.changed();
}

/// One life of a connection; answers why it ended.
async fn live(environment: &Environment, broker: Arc<dyn Broker>) -> Error {
    let events = match broker.subscribe(&environment.config().event_exchange).await {
        Ok(events) => events,
        Err(error) => return error,
    };
    let (late, latecomers) = mpsc::unbounded_channel();
    let mailbox = Mailbox::new(Arc::clone(&broker), &environment.config().control_exchange, late);
    let connection = Arc::new(Connection {
        broker,
        mailbox: Arc::new(mailbox),
        search: queues::Search::default(),
        unheard: Unheard::default(),
        give_up: Notify::new(),
    });
    let gap = come_up(environment, &connection);

    let mut tasks = JoinSet::new();
    tasks.spawn(pump(environment.clone(), events));
    tasks.spawn(ticks(environment.clone()));
    tasks.spawn(given_up(Arc::clone(&connection)));
    for look in Look::ALL {
        tasks.spawn(keep_looking(environment.clone(), Arc::clone(&connection), look));
    }
    {
        let (environment, connection) = (environment.clone(), Arc::clone(&connection));
        tasks.spawn(async move {
            tokio::join!(
                workers::greet(&environment, &connection),
                workers::latecomers(&environment, &connection, latecomers),
                held::keep_asking(&environment, &connection),
                results::follow(&environment),
                refill(&environment, &connection, gap),
            );
            Error::Internal("a watch ended by itself".into())
        });
    }
    let ended = tasks.join_next().await;
    // Only what came up can go down.
    environment.observe(Kind::Disconnected);
    match ended {
        Some(Ok(error)) => error,
        Some(Err(panic)) => Error::Internal(panic.to_string()),
        None => Error::Internal("nothing to watch".into()),
    }
}

/// Marks the connection as present; answers whether there was a gap before it.
fn come_up(environment: &Environment, connection: &Arc<Connection>) -> bool {
    environment.0.looks.forget();
    environment.0.backend.begin_anew();
    let lost_since = {
        let mut link = environment.link();
        link.status = Status::Connected;
        link.error = None;
        link.retry_at = None;
        link.ever_connected = true;
        link.heard.replace(wall_clock())
    };
    if let Some(from) = lost_since {
        environment.observe(Kind::Gap { from });
    }
    environment.0.connection.send_replace(Some(Arc::clone(connection)));
    environment.changed();
    lost_since.is_some()
}

/// Asks again for what was missed in a gap, as far as it can be asked for.
async fn refill(environment: &Environment, connection: &Connection, gap: bool) {
    if !gap {
        return;
    }
    for look in [Look::Roll, Look::Active, Look::Names, Look::Depths, Look::Heads, Look::Unacked] {
        if let Err(error) = look_once(environment, connection, look).await {
            tracing::debug!(%error, ?look, "a gap could not be refilled");
            return;
        }
    }
    results::explain(environment).await;
    environment.observe(Kind::Refilled);
}

async fn pump(environment: Environment, mut events: Box<dyn Deliveries>) -> Error {
    let mut batch: Vec<Delivery> = Vec::with_capacity(BATCH);
    loop {
        if let Err(error) = events.next(BATCH, &mut batch).await {
            return error;
        }
        let learned = batch.drain(..).flat_map(decode).collect::<Vec<_>>();
        environment.link().heard = Some(wall_clock());
        let mut learned = learned.into_iter().peekable();
        while learned.peek().is_some() {
            environment.observe_all(learned.by_ref().take(BATCH));
        }
    }
}

fn decode(delivery: Delivery) -> Vec<Kind> {
    let bad = |reason| Kind::Undecodable { what: "event".into(), reason };
    match delivery {
        Err(reason) => vec![bad(reason)],
        Ok(body) => {
            let decoded = event::decode(&body);
            decoded
                .events
                .into_iter()
                .map(Kind::Event)
                .chain(decoded.bad.into_iter().map(bad))
                .collect()
        }
    }
}

async fn given_up(connection: Arc<Connection>) -> Error {
    connection.give_up.notified().await;
    let reason = "nobody listens to remote control there, although workers are heard".into();
    Error::Broker { operation: "remote control".into(), reason }
}

async fn ticks(environment: Environment) -> Error {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        environment.observe(Kind::Tick);
    }
}

async fn keep_looking(environment: Environment, connection: Arc<Connection>, look: Look) -> Error {
    loop {
        environment.0.looks.wanted(look).await;
        environment.0.looks.ready(look).await;
        let started = Instant::now();
        let rest = match look_once(&environment, &connection, look).await {
            Ok(reach) => {
                let rest = environment.0.looks.finish(look, reach, started);
                environment.changed();
                rest
            }
            Err(error) => {
                tracing::debug!(%error, ?look, "a look failed");
                environment.0.looks.fail(look);
                // One refused command (F26) is no lost connection.
                if let Err(lost) = connection.broker.ping().await {
                    return lost;
                }
                look.interval().min(AGAIN)
            }
        };
        tokio::time::sleep(rest).await;
    }
}

async fn look_once(
    environment: &Environment,
    connection: &Connection,
    look: Look,
) -> Result<Reach> {
    let looked = match look {
        Look::Unacked => return queues::unacked(environment, connection).await,
        Look::Search => return queues::search(environment, connection).await,
        Look::Names => return queues::names(environment, connection).await,
        Look::Heads => return queues::heads(environment, connection).await,
        Look::Stored => return results::go_on(environment).await,
        Look::Roll | Look::Active => workers::look(environment, connection, look).await,
        Look::Depths => queues::depths(environment, connection).await,
    };
    looked.map(|()| Reach::Whole)
}
