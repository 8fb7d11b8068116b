//! Places: whether two environments mean one cluster, whatever names lead there.

use super::Environment;
use crate::broker::url::{Address, BrokerUrl, Server};
use crate::config::{EnvironmentConfig, UrlSource};
use crate::error::Result;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long looking a host's addresses up may take.
const LOOKUP: Duration = Duration::from_secs(1);

impl Environment {
    /// Whether what is known of both without asking anybody makes them one cluster.
    pub(super) fn seems_at(&self, place: &EnvironmentConfig) -> bool {
        let (Some(ours), UrlSource::Given(theirs)) = (self.0.address.known(), &place.broker) else {
            return false;
        };
        match (BrokerUrl::parse(ours.expose()), BrokerUrl::parse(theirs.expose())) {
            (Ok(ours), Ok(theirs)) => {
                let theirs = theirs.servers();
                let met = |one: &Server| theirs.iter().any(|other| one.same_place(other));
                !told_apart(self.config(), place) && ours.servers().iter().any(met)
            }
            _ => false,
        }
    }

    /// Whether both mean one cluster: one server and database, and no prefix that tells them apart.
    pub(super) async fn shares_place(&self, other: &Environment) -> Result<bool> {
        if told_apart(self.config(), other.config()) {
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

/// Whether prefixes tell two applications in one database apart.
fn told_apart(one: &EnvironmentConfig, other: &EnvironmentConfig) -> bool {
    let prefix = |config: &EnvironmentConfig| {
        let prefix = config.broker_transport_options.get("global_keyprefix");
        prefix.and_then(|prefix| prefix.as_str()).map(str::to_owned)
    };
    matches!((prefix(one), prefix(other)), (Some(one), Some(other)) if one != other)
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
