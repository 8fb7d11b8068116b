//! `task/send`: a task, as Celery's own client would send it.

use super::original::{Original, take_options};
use super::{Action, Job, Licence, Preview, Warning};
use crate::celery::send::{Body, Sending};
use crate::environment::{Environment, Need};
use crate::error::{Error, Result};
use crate::state::Place;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest id that every result backend stores.
const LONGEST_ID: usize = 155;

/// Sends one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The task; its queue is not looked at.
    pub task: Sending,
    /// Where to; else where it would go by default.
    pub queue: Option<String>,
    /// Not before so long from now on.
    pub countdown: Option<Duration>,
    /// The task in whose place it is sent.
    pub retry_of: Option<String>,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Sent {
    pub uuid: String,
    pub queue: String,
    /// What the task in whose place it is sent had, and it has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Action for Send {
    type Outcome = Sent;

    const METHOD: &'static str = "task/send";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({
            "name": self.task.name, "uuid": self.task.uuid, "queue": self.queue,
            "retry_of": self.retry_of,
        })
    }

    async fn carry_out(self, environment: &Environment, licence: &Licence) -> Result<Sent> {
        let (task, sent) = self.prepare(environment).await?;
        environment.publish(licence, &task, self.retry_of.as_deref()).await?;
        Ok(sent)
    }
}

impl Preview for Send {
    async fn preview(self, environment: &Environment, _: &Job) -> Result<Sent> {
        self.prepare(environment).await.map(|(_, sent)| sent)
    }
}

impl Send {
    /// The task as it will be sent, once everything about it was looked over, and what is said of it.
    async fn prepare(&self, environment: &Environment) -> Result<(Sending, Sent)> {
        let mut task = self.task.clone();
        let mut dropped = Vec::new();
        check_id(&task.uuid)?;
        let mut warnings = Vec::new();
        let mut queue = self.queue.clone();
        if let Some(uuid) = &self.retry_of {
            environment.find_task(uuid, true).await?;
            let original = environment.original(uuid).ok_or_else(|| Error::UnknownTask {
                uuid: uuid.clone(),
                sources: environment.sources(),
            })?;
            task.parent_id = Some(uuid.clone());
            task.root_id = original.root_id.clone();
            queue = queue.or(original.queue.clone());
            dropped = original.ties(original.links.as_ref().map(Option::as_deref));
            if task.expires.is_some() {
                dropped.retain(|name| *name != "expires");
            }
            if let Some(headers) = &original.headers {
                take_options(&mut task, headers);
            }
            warnings.extend(still_there(uuid, &original));
            if let Body::Json { args, kwargs, .. } = &task.body {
                // They may hide a secret, which new ones would show to everybody (F03).
                let same = original.args.as_ref().is_some_and(|(known, _)| is_same(known, args));
                task.argsrepr = task.argsrepr.or(original.argsrepr.filter(|_| same));
                let same = original.kwargs.as_ref().is_some_and(|known| is_same(known, kwargs));
                task.kwargsrepr = task.kwargsrepr.or(original.kwargsrepr.filter(|_| same));
            }
        }
        task.queue = match queue {
            Some(queue) => queue,
            None => {
                let (queue, warning) = environment.default_queue();
                warnings.extend(warning);
                queue
            }
        };
        warnings.extend(environment.check_target(&task.queue).await?);
        if environment.is_registered(&task.name) == Some(false) {
            let text = format!("no worker has registered `{}`: it will fail", task.name);
            warnings.push(Warning::new("unregistered", text));
        }
        if let Some(countdown) = self.countdown {
            task.eta = Some(Timestamp::now() + countdown);
        }
        if task.expires.is_some_and(|expires| expires <= Timestamp::now()) {
            let sentence = "`expires` has passed: a worker would only discard it";
            return Err(Error::InvalidParams(sentence.into()));
        }
        let sent = Sent { uuid: task.uuid.clone(), queue: task.queue.clone(), dropped, warnings };
        Ok((task, sent))
    }
}

/// The task in whose place one is sent may run as well.
fn still_there(uuid: &str, original: &Original) -> Option<Warning> {
    let (kind, text) = match original.place? {
        Place::Done => return None,
        Place::Active => ("running", "it still runs"),
        _ => ("waiting", "it still waits, and will run as well"),
    };
    Some(Warning::about(uuid, kind, text))
}

/// Ids are arbitrary text, but a worker that takes none stops.
pub(super) fn check_id(uuid: &str) -> Result<()> {
    match uuid.chars().count() {
        1..=LONGEST_ID => Ok(()),
        length => {
            let sentence = format!("`uuid` has 1 to {LONGEST_ID} characters, not {length}");
            Err(Error::InvalidParams(sentence))
        }
    }
}

/// Whether two JSON texts say the same.
fn is_same(one: &str, other: &str) -> bool {
    let value = |text: &str| crate::json::value(text.as_bytes()).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}
