//! An environment's guards hold for its broker, whatever name leads there: nothing is changed through
//! one environment where another one at the same place forbids it.

use super::action::Action;
use super::{Environment, Environments};
use crate::broker::url::{Address, BrokerUrl, Server};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long looking a host's addresses up may take.
const LOOKUP: Duration = Duration::from_secs(1);

impl Environments {
    /// Refuses an action that a guarded environment at the same place forbids. The program that
    /// prints such an environment's URL is run for it: without an answer the place is unknown, and
    /// then nothing is done.
    pub(super) async fn spare(&self, through: &Environment, action: &Action) -> Result<()> {
        for other in self.all().iter().filter(|other| other.name() != through.name()) {
            let Err(forbidden) = other.permit(action) else { continue };
            let Error::Forbidden { method, rule } = forbidden else { return Err(forbidden) };
            let rule = match through.shares_place(other).await {
                Ok(false) => continue,
                Ok(true) => format!("`{}` is the same broker: {rule}", other.name()),
                Err(error) => format!("`{}` may be the same broker: {error}", other.name()),
            };
            return Err(Error::Forbidden { method, rule });
        }
        Ok(())
    }
}

impl Environment {
    /// Whether both mean one cluster: one server and database, and no prefix that tells them apart.
    async fn shares_place(&self, other: &Environment) -> Result<bool> {
        let prefix = |environment: &Environment| {
            let options = &environment.config().broker_transport_options;
            options.get("global_keyprefix").and_then(|prefix| prefix.as_str()).map(str::to_owned)
        };
        if let (Some(ours), Some(theirs)) = (prefix(self), prefix(other))
            && ours != theirs
        {
            return Ok(false);
        }
        if self.0.replay.is_some() || other.0.replay.is_some() {
            return Ok(false);
        }
        let ours = BrokerUrl::parse(self.0.address.url().await?.expose())?;
        let theirs = BrokerUrl::parse(other.0.address.url().await?.expose())?;
        for one in ours.servers() {
            for another in theirs.servers() {
                if one.same_place(another)
                    || one.same_but_host(another) && share(one, another).await
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Whether the hosts of two servers lead to one address.
async fn share(one: &Server, another: &Server) -> bool {
    let (ours, theirs) = tokio::join!(addresses(one), addresses(another));
    !ours.is_disjoint(&theirs)
}

async fn addresses(server: &Server) -> HashSet<IpAddr> {
    let Address::Tcp { host, port } = server.address() else { return HashSet::new() };
    let lookup = tokio::net::lookup_host((host.as_str(), *port));
    match tokio::time::timeout(LOOKUP, lookup).await {
        Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        _ => HashSet::new(),
    }
}
