//! How the connection of an environment stands.

use crate::config::EnvironmentConfig;
use crate::state::observation::Micros;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// How an environment is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Connection")]
pub enum Status {
    /// Nobody uses it.
    Idle,
    /// On its way, for the first time or again.
    Connecting,
    /// Connected.
    Connected,
    /// Lost or never reached; the next try is planned.
    Disconnected,
}

impl Status {
    /// The word in a row.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Idle => "idle",
            Status::Connecting => "connecting",
            Status::Connected => "connected",
            Status::Disconnected => "disconnected",
        }
    }
}

/// The connection's state, as the row of an environment tells it.
#[derive(Debug)]
pub(super) struct Link {
    pub status: Status,
    /// Why it is not connected, without secrets.
    pub error: Option<String>,
    /// When the next try begins.
    pub retry_at: Option<Instant>,
    pub transport: Option<String>,
    /// The broker's URL without its password; absent until it is known.
    pub url: Option<String>,
    /// The program that is to print the URL and has not yet.
    pub waiting_for: Option<String>,
    /// What is odd about a broker that is connected.
    pub warning: Option<&'static str>,
    /// It was connected once: lists have something to answer from.
    pub ever_connected: bool,
    /// When we last heard the cluster; where a gap begins.
    pub heard: Option<Micros>,
    /// A supervisor runs.
    pub supervised: bool,
}

impl Link {
    pub fn new(config: &EnvironmentConfig) -> Self {
        let (transport, url) = super::connect::describe(&config.broker);
        Link {
            status: Status::Idle,
            error: None,
            retry_at: None,
            transport,
            url,
            waiting_for: None,
            warning: None,
            ever_connected: false,
            heard: None,
            supervised: false,
        }
    }

    /// Seconds until the next try.
    pub fn retry_in(&self, now: Instant) -> Option<f64> {
        let wait = self.retry_at?.saturating_duration_since(now);
        (wait > Duration::ZERO).then(|| (wait.as_secs_f64() * 10.0).ceil() / 10.0)
    }
}
