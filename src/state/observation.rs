//! What can be learned, from where, and when. Observations are the only way into [`super::State`],
//! and a recording is a list of them, so a recording replays exactly.
//!
//! Times are [`Micros`] inside and Unix seconds (float) on paper.

use crate::celery::control::Inspection;
use crate::celery::{Event, TaskMessage, TaskMeta};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Microseconds since the Unix epoch.
pub type Micros = i64;

/// One thing learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Our clock, when we learned it.
    #[serde(with = "seconds")]
    pub seen: Micros,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Every kind of thing that can be learned. Matched without a wildcard. On paper a kind is the
/// member's name, `{"seen": 1.5, "inspect": {"hostname": "w1@lab", "reply": "ping"}}`; the kinds
/// that carry nothing are null members, `{"seen": 2.5, "tick": null}`.
#[allow(clippy::large_enum_variant)] // events are the common case: a box for each would cost more
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A worker or client published it.
    Event(Event),
    /// A worker answered.
    Inspect {
        /// Who.
        hostname: String,
        /// What.
        reply: Inspection,
    },
    /// A worker answered a control command of ours, in its own words.
    Control {
        /// Who.
        hostname: String,
        /// Celery's name of the command, e.g. `enable_events`.
        method: String,
        /// The sentence in `ok` or `error`, e.g. `task events enabled`.
        reply: String,
    },
    /// A worker that answers did not tell this.
    Untold {
        /// Who.
        hostname: String,
        /// What it was asked, e.g. `reserved`.
        method: String,
        /// Why, in a sentence.
        reason: String,
    },
    /// Workers that a complete broadcast named and that did not answer it.
    Missing {
        /// The method that was asked.
        method: String,
        /// Who stayed silent.
        hostnames: Vec<String>,
        /// Listeners that the broker counted (Redis: what PUBLISH returned), where it tells.
        #[serde(default)]
        listeners: Option<u64>,
        /// Workers that answered the same request.
        #[serde(default)]
        answered: u64,
    },
    /// Which queues there are, as bindings, workers and the configuration name them.
    QueueNames {
        /// All of them, but for those in `broadcast`.
        names: Vec<String>,
        /// Those that kombu named for one consumer of a Broadcast queue each → their exchange.
        #[serde(default)]
        broadcast: BTreeMap<String, String>,
        /// Every source was read to its end: a queue that is not named is gone.
        #[serde(default)]
        exact: bool,
    },
    /// The lengths of queues.
    Queues(Vec<QueueSample>),
    /// The messages at a queue's head: the whole queue where `complete`.
    Head {
        /// Which queue.
        queue: String,
        /// Next to run first, over all priority steps.
        #[serde(default)]
        messages: Vec<TaskMessage>,
        /// The whole queue was read.
        #[serde(default)]
        complete: bool,
        /// Messages in it, all steps.
        #[serde(default)]
        total: u64,
    },
    /// One message that was met in a queue, wherever in it: teaches nothing of its neighbours.
    Found {
        /// Which queue.
        queue: String,
        /// What was met.
        message: Box<TaskMessage>,
    },
    /// We sent a task.
    Sent {
        /// To which queue.
        queue: String,
        /// What it says.
        message: Box<TaskMessage>,
        /// The task in whose place it was sent.
        #[serde(default)]
        retry_of: Option<String>,
    },
    /// What workers hold and have not acknowledged. Every tag there is stands in `index`.
    Unacked {
        /// Delivery tag → when it was handed out (the worker's clock, Unix seconds).
        #[serde(default)]
        index: Vec<(String, f64)>,
        /// Messages not seen in an earlier look.
        #[serde(default)]
        new: Vec<UnackedMessage>,
        /// Everything was read.
        #[serde(default)]
        complete: bool,
    },
    /// A result as stored.
    Result(Box<TaskMeta>),
    /// The backend was asked for these and holds nothing.
    NoResult {
        /// Task ids.
        uuids: Vec<String>,
    },
    /// We heard nothing from `from` until now.
    Gap {
        /// Start.
        #[serde(with = "seconds")]
        from: Micros,
    },
    /// What was missed in the gaps was asked for again, as far as it can be.
    Refilled,
    /// The connection was lost; numbers keep their age.
    Disconnected,
    /// Something arrived that could not be decoded.
    Undecodable {
        /// Where: event, message, reply, result.
        what: String,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Time passes.
    Tick,
}

/// The length of one queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSample {
    /// Which queue.
    pub name: String,
    /// Messages per priority step; a step that could not be read is absent.
    #[serde(deserialize_with = "steps")]
    pub priorities: BTreeMap<u8, u64>,
    /// Messages that arrived since the sample before, where it can be told exactly.
    pub arrived: Option<u64>,
    /// When the oldest message was sent (Unix seconds), where known.
    pub oldest: Option<f64>,
}

/// Members of JSON are called by text, and a flattened [`Kind`] makes no numbers of their names.
fn steps<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u8, u64>, D::Error> {
    let named = BTreeMap::<String, u64>::deserialize(from)?;
    let number =
        |(step, messages): (String, u64)| Ok((step.parse().map_err(D::Error::custom)?, messages));
    named.into_iter().map(number).collect()
}

/// One message that a worker holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnackedMessage {
    /// Its delivery tag.
    pub delivery_tag: String,
    /// The queue it came from.
    pub queue: String,
    /// What it says.
    pub message: TaskMessage,
}

/// Unix seconds on paper, microseconds inside.
pub mod seconds {
    use super::Micros;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Microseconds of Unix seconds.
    pub fn to_micros(seconds: f64) -> Micros {
        (seconds * 1e6).round() as Micros
    }

    /// Unix seconds of microseconds.
    pub fn from_micros(micros: Micros) -> f64 {
        micros as f64 / 1e6
    }

    pub(super) fn serialize<S: Serializer>(micros: &Micros, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(from_micros(*micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Micros, D::Error> {
        f64::deserialize(from).map(to_micros)
    }
}
