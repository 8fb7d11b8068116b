//! Broker and result backend URLs, read as kombu and Celery read them.
//!
//! Mirrors `kombu/utils/url.py`, `kombu/connection.py` (`Connection`), `_connparams` of
//! `kombu/transport/redis.py` and `_params_from_url` of `celery/backends/redis.py`; a table that the
//! installed kombu and Celery made is the test. Knows no sockets. A password is shown by nothing but
//! [`Server::password`].

mod parts;
mod read;

use crate::error::{Error, Result};
use std::fmt;
use std::path::PathBuf;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over the network.
    Tcp {
        /// Lower case, without brackets; Celery's default where the URL names none.
        host: String,
        /// Celery's default where the URL names none.
        port: u16,
    },
    /// A socket of this machine (`redis+socket://`).
    Unix(PathBuf),
}

/// One server of a URL, and how to get into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    transport: String,
    address: Address,
    db: u32,
    virtual_host: String,
    user: Option<String>,
    password: Option<String>,
}

impl Server {
    /// As kombu names it: `redis`, `rediss`, `sentinel`, `amqp` …
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The database's number on Redis, else 0.
    pub fn db(&self) -> u32 {
        self.db
    }

    /// The virtual host as kombu gives it to the transport; `/` where the URL has none.
    pub fn virtual_host(&self) -> &str {
        &self.virtual_host
    }

    /// Percent-decoded.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, for the one place that needs it.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Are both one server and database?
    pub fn same_place(&self, other: &Server) -> bool {
        self.identity() == other.identity()
    }

    /// Would both be one server and database if their hosts were one?
    pub fn same_but_host(&self, other: &Server) -> bool {
        let nowhere = |server: &Server| {
            let mut server = server.clone();
            if let Address::Tcp { host, .. } = &mut server.address {
                host.clear();
            }
            server
        };
        nowhere(self).same_place(&nowhere(other))
    }

    /// What tells two servers apart, whatever names, users and spellings lead to them.
    fn identity(&self) -> (&str, Address, &str, u32) {
        let mut address = self.address.clone();
        if let Address::Tcp { host, .. } = &mut address
            && host == "localhost"
        {
            "127.0.0.1".clone_into(host);
        }
        match is_redis(&self.transport) {
            true => ("redis", address, "", self.db),
            false => (&self.transport, address, &self.virtual_host, 0),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = if matches!(self.address, Address::Unix(_)) { "+socket" } else { "" };
        write!(f, "{}{socket}://", self.transport)?;
        match (self.user.as_deref(), &self.password) {
            (None, None) => {}
            (user, None) => write!(f, "{}@", user.unwrap_or_default())?,
            (user, Some(_)) => write!(f, "{}:***@", user.unwrap_or_default())?,
        }
        match &self.address {
            Address::Unix(path) => {
                return write!(f, "{}?virtual_host={}", path.display(), self.db);
            }
            Address::Tcp { host, .. } if host.contains(':') => write!(f, "[{host}]")?,
            Address::Tcp { host, .. } => f.write_str(host)?,
        }
        if let Address::Tcp { port: port @ 1.., .. } = self.address {
            write!(f, ":{port}")?;
        }
        match (is_redis(&self.transport), self.virtual_host.as_str()) {
            (true, _) => write!(f, "/{}", self.db),
            (false, "/") => f.write_str("/"),
            (false, virtual_host) => write!(f, "/{virtual_host}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL, read. Holds one server, or several that are tried one after the other (`;`).
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Never empty.
    servers: Vec<Server>,
    warnings: Vec<String>,
}

impl BrokerUrl {
    /// Reads a `broker_url`.
    ///
    /// # Errors
    /// [`Error::Config`] where Celery would refuse it, or could not use it.
    pub fn parse(text: &str) -> Result<BrokerUrl> {
        BrokerUrl::read(text, read::Use::Broker)
    }

    /// Reads a `result_backend`, of which Celery reads some differently.
    ///
    /// # Errors
    /// [`Error::Config`] where Celery would refuse it, or could not use it.
    pub fn parse_backend(text: &str) -> Result<BrokerUrl> {
        BrokerUrl::read(text, read::Use::ResultBackend)
    }

    fn read(text: &str, usage: read::Use) -> Result<BrokerUrl> {
        let (servers, warnings) = read::servers(text, usage).map_err(|reason| Error::Config {
            setting: usage.setting().into(),
            reason,
            position: None,
        })?;
        Ok(BrokerUrl { servers, warnings })
    }

    /// The transport of the first server, as kombu names it.
    pub fn transport(&self) -> &str {
        self.servers.first().map_or("", |server| &server.transport)
    }

    /// What to try, in this order; at least one.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Sentences about what the URL does not mean although it looks like it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The URL to show.
    pub fn redacted(&self) -> String {
        self.to_string()
    }

    /// Do both lead to one server and database first?
    pub fn same_place(&self, other: &BrokerUrl) -> bool {
        match (self.servers.first(), other.servers.first()) {
            (Some(ours), Some(theirs)) => ours.same_place(theirs),
            _ => false,
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, server) in self.servers.iter().enumerate() {
            write!(f, "{}{server}", if place == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Transports that lead to one kind of server, whatever the way.
fn is_redis(transport: &str) -> bool {
    matches!(transport, "redis" | "rediss" | "sentinel")
}

#[cfg(test)]
mod tests;
