//! One queue: its length as it was sampled, what workers say of it, and the rates that follow.

use super::observation::{Micros, QueueSample, seconds};
use super::record::{Cell, Record};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Points of `history`, one a minute.
const HISTORY: usize = 15;
const MINUTE: Micros = 60_000_000;

/// Rates are means over the samples of this long.
const RATE_WINDOW: Micros = 10_000_000;

/// The type of an exchange that sends every message to everybody.
pub(super) const FANOUT: &str = "fanout";

/// One queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Queue {
    pub name: Arc<str>,
    pub revision: u64,
    /// Messages per priority step.
    pub priorities: Option<BTreeMap<u8, u64>>,
    /// Messages that workers hold of it.
    pub unacked: Option<u64>,
    pub oldest: Option<f64>,
    /// Online workers that say they consume from it; `None` while some did not tell.
    pub workers: Option<Vec<Arc<str>>>,
    pub bindings: Vec<Binding>,
    pub arguments: Map<String, Value>,
    sampled: Option<Micros>,
    /// Since when it holds messages and none left.
    still: Option<Micros>,
    /// When, over how long, what came, by how much it grew.
    steps: VecDeque<Step>,
    /// The minute of the newest point, and the points.
    minute: Option<i64>,
    history: VecDeque<u64>,
    /// The task ids at its head, next to run first, at the last look.
    pub head: Vec<Arc<str>>,
    /// It is bound to a fanout exchange: under which name it is shown. What lies in its list is read
    /// by nobody.
    pub fanout: Option<Arc<str>>,
    /// Messages in the lists of all fanout queues that are shown under this name.
    pub unreadable: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Step {
    at: Micros,
    elapsed: f64,
    arrived: Option<u64>,
    grew: i64,
}

/// What leads to a queue, as a worker that consumes from it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Binding {
    /// Empty: the default exchange.
    pub exchange: String,
    /// direct, topic, fanout.
    #[serde(rename = "type")]
    pub kind: String,
    /// Binding key.
    pub routing_key: String,
}

/// A row of `queue/list`. Rates are messages a second.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct QueueRow<'a> {
    pub key: &'a str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fanout: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priorities: Option<&'a BTreeMap<u8, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unacked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<&'a [Arc<str>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<&'a VecDeque<u64>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub bindings: &'a [Binding],
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub arguments: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<&'a str>,
}

impl Queue {
    /// A queue of which only the name is known.
    pub fn new(name: Arc<str>) -> Queue {
        Queue {
            name,
            revision: 0,
            priorities: None,
            unacked: None,
            oldest: None,
            workers: None,
            bindings: Vec::new(),
            arguments: Map::new(),
            sampled: None,
            still: None,
            steps: VecDeque::new(),
            minute: None,
            history: VecDeque::new(),
            head: Vec::new(),
            fanout: None,
            unreadable: None,
        }
    }

    /// It is shown: it is no fanout queue, or the one that stands for all of its name.
    pub fn is_row(&self) -> bool {
        self.fanout.as_ref().is_none_or(|shown| *shown == self.name)
    }

    /// It is the row of fanout queues, unless a worker reads the list of that name.
    pub fn stands_for(&mut self, shown: &Arc<str>) {
        if self.bindings.iter().all(|binding| binding.kind == FANOUT) {
            self.fanout = Some(shown.clone());
        }
    }

    /// Something leads to it.
    pub fn bind(&mut self, binding: &Binding) {
        if let Err(place) = self.bindings.binary_search(binding) {
            self.bindings.insert(place, binding.clone());
        }
    }

    /// Messages over all steps that could be read.
    pub fn messages(&self) -> Option<u64> {
        self.priorities.as_ref().map(|steps| steps.values().sum())
    }

    /// Takes a sample that was read at `seen`.
    pub fn sample(&mut self, sample: &QueueSample, seen: Micros) {
        let before = self.messages();
        self.priorities = Some(sample.priorities.clone()).filter(|steps| !steps.is_empty());
        self.oldest = sample.oldest;
        if let (Some(before), Some(now), Some(then)) = (before, self.messages(), self.sampled)
            && seen > then
        {
            self.steps.push_back(Step {
                at: seen,
                elapsed: seconds::from_micros(seen - then),
                arrived: sample.arrived,
                grew: now as i64 - before as i64,
            });
            self.steps.retain(|step| seen - step.at < RATE_WINDOW);
            let left = sample.arrived.map(|arrived| arrived as i64 - (now as i64 - before as i64));
            self.still = (left == Some(0) && now > 0).then(|| self.still.unwrap_or(then));
        }
        self.sampled = Some(seen);
        self.chart(seen);
    }

    /// Nothing was heard for a while: rates and history begin anew.
    pub fn interrupt(&mut self) {
        self.steps.clear();
        (self.sampled, self.still) = (None, None);
    }

    /// Since when workers could have taken messages out of it and did not: nothing left it, and
    /// nobody holds anything of it, so none is full, rate limited or waiting for an ETA. It was looked
    /// at within `lately`.
    pub fn ignored(&self, now: Micros, lately: Micros) -> Option<Micros> {
        let fresh = self.sampled.is_some_and(|sampled| now - sampled < lately);
        self.still.filter(|_| fresh && self.fanout.is_none() && self.unacked == Some(0))
    }

    /// One point a minute. The newest is this minute's, and follows; after a minute without a
    /// sample the history begins anew, since no point may be invented.
    fn chart(&mut self, seen: Micros) {
        let Some(messages) = self.messages() else { return };
        let minute = seen.div_euclid(MINUTE);
        match self.minute {
            Some(known) if known == minute => drop(self.history.pop_back()),
            Some(known) if known + 1 == minute => {}
            _ => self.history.clear(),
        }
        self.minute = Some(minute);
        self.history.push_back(messages);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// Messages a second that came, and by which it grew. What came is known only where every
    /// sample of the window could tell it: never 0 for unknown.
    fn rates(&self) -> (Option<f64>, Option<f64>) {
        let elapsed: f64 = self.steps.iter().map(|step| step.elapsed).sum();
        if elapsed <= 0.0 {
            return (None, None);
        }
        let arrived: Option<u64> = self.steps.iter().map(|step| step.arrived).sum();
        let grew: i64 = self.steps.iter().map(|step| step.grew).sum();
        (arrived.map(|arrived| arrived as f64 / elapsed), Some(grew as f64 / elapsed))
    }

    /// Messages a second that left: what came less the growth.
    fn outgoing(&self) -> Option<f64> {
        let (incoming, net) = self.rates();
        Some((incoming? - net?).max(0.0))
    }

    /// The row of `queue/list`. A fanout queue has no length.
    pub fn row(&self) -> QueueRow<'_> {
        let list = Some(self).filter(|queue| queue.fanout.is_none());
        let (incoming_rate, net_rate) = list.map(Queue::rates).unwrap_or_default();
        QueueRow {
            key: &self.name,
            name: &self.name,
            fanout: list.is_none(),
            unreadable: self.unreadable,
            messages: list.and_then(Queue::messages),
            priorities: list.and_then(|queue| queue.priorities.as_ref()),
            unacked: self.unacked,
            consumers: self.workers.as_ref().map(|workers| workers.len() as u64),
            workers: self.workers.as_deref(),
            incoming_rate,
            outgoing_rate: list.and_then(Queue::outgoing),
            net_rate,
            oldest: list.and_then(|queue| queue.oldest),
            history: list.map(|queue| &queue.history).filter(|history| !history.is_empty()),
            bindings: &self.bindings,
            arguments: &self.arguments,
            dead_letter: self.arguments.get("x-dead-letter-exchange").and_then(Value::as_str),
        }
    }
}

impl Record for Queue {
    fn key(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        let row = self.row();
        Some(match name {
            "name" => Cell::Text(&self.name),
            "messages" => Cell::Number(row.messages? as f64),
            "unacked" => Cell::Number(row.unacked? as f64),
            "consumers" => Cell::Number(row.consumers? as f64),
            "workers" => Cell::List(self.workers.as_ref()?.iter().map(|name| &**name).collect()),
            "incoming_rate" => Cell::Number(row.incoming_rate?),
            "outgoing_rate" => Cell::Number(row.outgoing_rate?),
            "net_rate" => Cell::Number(row.net_rate?),
            "oldest" => Cell::Number(row.oldest?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
