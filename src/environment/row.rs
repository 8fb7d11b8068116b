//! An environment as lists show it. Field names are the protocol; absent facts are absent members.

use super::{Environment, Status};
use crate::state::observation::seconds::from_micros;
use crate::state::{Counts, Flow, Gap, Rates};
use schemars::JsonSchema;
use serde::Serialize;

/// A row of `environment/list`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct EnvironmentRow {
    pub key: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The password as `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<f64>,
    /// What is odd about a broker that is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<&'static str>,
    /// The program that is to print the URL and has not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Flow>,
    /// When nothing was heard.
    pub missed: Vec<Gap>,
    /// Absent before it was connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Where the URL came from.
    pub url_from: String,
    /// Only where the clock is a recording's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<f64>,
    pub production: bool,
    pub read_only: bool,
}

impl Environment {
    /// The environment's row, as `environment/list` shows it.
    pub fn row(&self) -> EnvironmentRow {
        let (counts, rates, missed, events) =
            self.read(|state| (state.counts(), state.rates(), state.gaps(), state.events_flow()));
        let config = self.config();
        let link = self.link();
        EnvironmentRow {
            key: self.name().into(),
            name: self.name().into(),
            transport: link.transport.clone(),
            url: link.url.clone(),
            status: link.status,
            error: link.error.clone(),
            retry_in: link.retry_in(self.now_instant()),
            warning: link.warning,
            waiting_for: link.waiting_for.clone(),
            events: link.ever_connected.then_some(events),
            missed,
            counts: link.ever_connected.then_some(counts),
            rates,
            url_from: config.url_from.to_string(),
            now: self.0.replay.is_some().then(|| from_micros(self.now())),
            production: config.production,
            read_only: config.read_only,
        }
    }
}
