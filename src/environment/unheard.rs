//! Requests that nobody hears although workers are heard (F07): after a failover a client stays at the
//! demoted server, which relays its master's events and keeps requests to itself.

use super::connect::connect;
use super::{Connection, Environment, wall_clock};
use crate::error::{Error, Result};
use crate::state::State;
use crate::state::observation::Micros;
use std::sync::{Mutex, PoisonError};

/// A worker that is heard this long after nobody listened to a request is no farewell on its way.
const LINGER: Micros = 1_000_000;

/// How soon it is looked again where a replica's name leads.
const AGAIN: Micros = 10_000_000;

/// What requests to everybody met with on one connection.
#[derive(Debug, Default)]
pub(super) struct Unheard(Mutex<Met>);

#[derive(Debug, Default, Clone, Copy)]
struct Met {
    /// Somebody listened once.
    heard: bool,
    /// When nobody listened first, since somebody did last.
    since: Option<Micros>,
    /// When it was looked last where its name leads.
    tried: Option<Micros>,
}

/// Learns how many listened to a request. Where nobody does although workers are heard, says why in
/// the environment's row; a connection on which somebody listened before is made anew first.
pub(super) async fn heed(
    environment: &Environment,
    connection: &Connection,
    listeners: Option<u64>,
) -> Result<()> {
    let Some(listeners) = listeners else { return Ok(()) };
    let met = connection.unheard.meet(listeners, wall_clock());
    let Some(since) = met.since else {
        environment.warn(None);
        return Ok(());
    };
    let beat = environment.read(State::last_beat);
    if beat.is_none_or(|beat| beat <= since + LINGER) {
        return Ok(());
    }
    if met.heard {
        return Err(given_up(connection, "nobody listens any more, although workers are heard"));
    }
    let replica = connection.broker.is_replica().await?;
    if replica == Some(true) && leads_to_a_master(environment, connection).await {
        return Err(given_up(
            connection,
            "this server became a replica, and its name leads elsewhere",
        ));
    }
    environment.warn(Some(match replica {
        Some(true) => "this server is a replica: workers are heard, and cannot be asked",
        Some(false) => "nobody listens to remote control, although workers are heard: it is switched off, or uses another `control_exchange` or `fanout_prefix`",
        None => "nobody listens to remote control, although workers are heard: it is switched off, or this server is a replica",
    }));
    Ok(())
}

/// The connection is made anew.
fn given_up(connection: &Connection, reason: &str) -> Error {
    connection.give_up.notify_one();
    Error::Broker { operation: "remote control".into(), reason: reason.into() }
}

/// Whether who connects now meets another server than the replica at which we stay. Looked at now and
/// then only: it takes a connection.
async fn leads_to_a_master(environment: &Environment, connection: &Connection) -> bool {
    if !connection.unheard.may_try(wall_clock()) {
        return false;
    }
    match connect(environment).await {
        Ok(other) => matches!(other.is_replica().await, Ok(Some(false))),
        Err(_) => false,
    }
}

impl Unheard {
    fn may_try(&self, now: Micros) -> bool {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = met.tried.is_none_or(|tried| now - tried > AGAIN);
        if may {
            met.tried = Some(now);
        }
        may
    }

    fn meet(&self, listeners: u64, now: Micros) -> Met {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.heard |= listeners > 0;
        met.since = if listeners > 0 { None } else { met.since.or(Some(now)) };
        *met
    }
}
