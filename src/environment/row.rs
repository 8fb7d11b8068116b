//! An environment as lists show it. Field names are the protocol; absent facts are absent members.

use super::{Environment, Status};
use crate::state::observation::seconds::from_micros;
use crate::state::record::{Cell, Record};
use crate::state::{Counts, Flow, Gap, Noun, Rates, Seen};
use schemars::JsonSchema;
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

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

impl Environment {
    /// The values of a column that records of a noun have here, or could have.
    pub fn seen(&self, noun: Noun, column: &str) -> Vec<Seen> {
        let value = match (noun, column) {
            (Noun::Environment, "name") => Some(self.name().to_owned()),
            (Noun::Environment, "transport") => self.link().transport.clone(),
            _ => return self.read(|state| state.seen(noun, column)),
        };
        value.into_iter().map(|value| Seen { value: value.into(), tasks: None }).collect()
    }
}

impl Record for EnvironmentRow {
    fn key(&self) -> &str {
        &self.key
    }

    /// There is no record behind it: its revision is its content.
    fn revision(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        hasher.finish()
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        let text = |text: &'static str| Some(Cell::Text(text));
        fn said(text: &Option<String>) -> Option<Cell<'_>> {
            text.as_deref().map(Cell::Text)
        }
        let truth = |truth| text(if truth { "true" } else { "false" });
        let count = |count: fn(&Counts) -> Option<u64>| {
            let number = self.counts.as_ref().and_then(count);
            number.map(|number| Cell::Number(number as f64))
        };
        match name {
            "name" => Some(Cell::Text(&self.name)),
            "status" => text(self.status.as_str()),
            "transport" => said(&self.transport),
            "url" => said(&self.url),
            "url_from" => Some(Cell::Text(&self.url_from)),
            "error" => said(&self.error),
            "events" => text(self.events?.as_str()),
            "production" => truth(self.production),
            "read_only" => truth(self.read_only),
            "workers" => count(|counts| Some(counts.workers)),
            "tasks" => count(|counts| Some(counts.tasks)),
            "queues" => count(|counts| Some(counts.queues)),
            "active" => count(|counts| Some(counts.active)),
            "queued" => count(|counts| counts.queued),
            "received" => Some(Cell::Number(self.rates.as_ref()?.received)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Filter;
    use jiff::tz::TimeZone;

    /// What rows say is what filters ask for.
    #[test]
    fn every_word_of_a_row_can_be_asked_for() {
        let statuses = [Status::Idle, Status::Connecting, Status::Connected, Status::Disconnected];
        let flows = [Flow::Flowing, Flow::Silent, Flow::Off];
        let words =
            statuses.map(|status| ("status", status.as_str(), serde_json::to_value(status)));
        let flows = flows.map(|flow| ("events", flow.as_str(), serde_json::to_value(flow)));
        for (field, word, written) in words.into_iter().chain(flows) {
            assert_eq!(written.unwrap(), word);
            let filter = format!("{field}:{word}");
            Filter::parse(&filter, Noun::Environment, &TimeZone::UTC).unwrap();
        }
    }
}
