//! Actions on the messages of queues: what they have in common. Each removes only what it saved
//! first, by exact bytes, in steps that a broker is through with at once.

pub mod delete;
mod emptying;
mod find;
pub mod moving;
pub mod pick;
pub mod purge;
mod readdress;
pub mod restore;

use super::recovery::Saved;
use super::{Refused, Warning};
use crate::broker::Stock;
use crate::error::Error;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

impl Warning {
    /// Somebody took both a message and its copy.
    fn twice(uuid: Option<String>) -> Self {
        let text = "a worker took it while it was moved, and another one its copy: it runs twice";
        Warning { uuid, kind: "twice", text: text.into() }
    }

    /// It broke off: what was done until then is in the answer and in the file.
    fn broke_off(error: &Error) -> Self {
        let text = format!(
            "stopped: {error}. What the recovery file names as saved, and nothing more, may be out of \
             the queue or not: a restore looks for it before it puts it back"
        );
        Warning::new(error.kind().unwrap_or("internal"), text)
    }
}

/// A message that was left where it was, and why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Skipped {
    /// The task's id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its name in `queue/messages`, or as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[allow(missing_docs)]
    pub reason: Cow<'static, str>,
}

impl Skipped {
    fn of(saved: &Saved, reason: impl Into<Cow<'static, str>>) -> Self {
        let (uuid, key) = (saved.uuid.clone(), Some(saved.key.clone()));
        Skipped { uuid, key, reason: reason.into() }
    }
}

/// Milliseconds for which one step may keep the broker from others, unless that is accepted.
const STEP: u64 = 5;

/// Why a step is not done that would take so many milliseconds.
fn blocking(cost: u64, accepted: bool) -> Option<String> {
    let refused = cost > STEP && !accepted;
    refused.then(|| format!("it would block the broker for {cost} ms: `accept_blocking` lets it"))
}

/// Leaves the broker to others for nine times as many milliseconds as a step took. Even the shortest
/// sleep takes one, so a step that took none is followed by none.
async fn rest(cost: u64) {
    if cost > 0 {
        tokio::time::sleep(Duration::from_millis(cost * 9)).await;
    }
}

/// What was left alone, because it is no list.
fn foreign(stock: &Stock) -> impl Iterator<Item = Warning> {
    stock.foreign.iter().map(|(key, kind)| {
        let key = key.escape_debug();
        Warning::new("foreign", format!("`{key}` is no list but a {kind}: it was left alone"))
    })
}
