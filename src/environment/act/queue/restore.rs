//! `queue/restore`: puts back what a recovery file holds, to the queue and end it came from, or into
//! another queue.
//!
//! First a [`Plan`] is made, which only reads: what the file says is out of its queue goes back; what it
//! cannot say, because a process ended between two lines, is looked for in the queues and among what
//! workers hold. That it is about to be put back stands in the file before it is, so that no second
//! restore doubles anything. What is held meanwhile is a few bytes for each message: a file may be
//! larger than memory.

mod copies;
mod plan;
mod putting;

use super::{Skipped, Warning};
use crate::environment::act::recovery::{Index, Place, Reader};
use crate::environment::act::{Action, Job, Licence, Preview};
use crate::environment::{Connection, Environment, Need};
use crate::error::{Error, Result};
use copies::{STRETCH, find_copies};
use plan::{Plan, TAKEN};
use putting::Putting;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Puts messages back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restore {
    /// The recovery file.
    pub saved_as: String,
    /// Uuids or keys of those to put back; empty: all.
    pub names: Vec<String>,
    /// Into this queue, instead of where they came from.
    pub to: Option<String>,
    /// Steps may be long.
    pub accept_blocking: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Restored {
    /// Messages that were put back.
    pub restored: u64,
    /// Those that were not, and why; at most 5,000 of them.
    pub skipped: Vec<Skipped>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
}

/// Messages that are named in `skipped`, at most.
const NAMED: usize = 5_000;

impl Restored {
    /// Whether another one is named.
    fn has_room(&mut self) -> bool {
        let room = self.skipped.len() < NAMED;
        if !room && self.warnings.iter().all(|warning| warning.kind != "many") {
            let text = format!("more than {NAMED} were skipped: only these are named");
            self.warnings.push(Warning::new("many", text));
        }
        room
    }

    /// A message of the file is left alone.
    fn skip(
        &mut self,
        reader: &mut Reader<'_>,
        number: u32,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<()> {
        if self.has_room() {
            self.skipped.push(Skipped::of(&reader.kept(number)?.saved, reason));
        }
        Ok(())
    }

    /// There is none of that name.
    fn skip_unknown(&mut self, name: &str) {
        if self.has_room() {
            let (key, reason) = (Some(name.to_owned()), "not in this file".into());
            self.skipped.push(Skipped { uuid: None, key, reason });
        }
    }
}

impl Action for Restore {
    type Outcome = Restored;

    const METHOD: &'static str = "queue/restore";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "saved_as": self.saved_as, "names": self.names, "to": self.to })
    }

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<Restored> {
        let connection = environment.connection().await?;
        let (index, mut plan) = self.plan(environment, &connection, job).await?;
        connection.broker.takes_changes(true).await?;
        job.expect(usize::try_from(plan.total()).unwrap_or(usize::MAX));
        let putting = Putting {
            broker: connection.broker.as_ref(),
            job,
            recovery: index.recovery()?,
            index: &index,
            reader: Reader::new(&index),
            to: self.to,
            outcome: std::mem::take(&mut plan.outcome),
            accept_blocking: self.accept_blocking,
        };
        putting.carry_out(plan).await
    }
}

impl Preview for Restore {
    async fn preview(self, environment: &Environment, job: &Job) -> Result<Restored> {
        let connection = environment.connection().await?;
        let (index, plan) = self.plan(environment, &connection, job).await?;
        job.expect(usize::try_from(plan.total()).unwrap_or(usize::MAX));
        let (broker, mut reader) = (connection.broker.as_ref(), Reader::new(&index));
        let mut outcome = plan.outcome;
        outcome.restored = plan.back.len();
        let moved: Vec<u32> = plan.moved.iter().rev().collect();
        for numbers in moved.chunks(STRETCH) {
            let (all, taken) = find_copies(broker, job, &mut reader, numbers).await?;
            outcome.restored += all.len() as u64;
            for number in taken {
                outcome.skip(&mut reader, number, TAKEN)?;
            }
            job.did(numbers.len());
            if job.is_cancelled() {
                break;
            }
        }
        Ok(outcome)
    }
}

impl Restore {
    async fn plan(
        &self,
        environment: &Environment,
        connection: &Connection,
        job: &Job,
    ) -> Result<(Index, Plan)> {
        let (path, names) = (self.saved_as.clone(), self.names.clone());
        let opened = tokio::task::spawn_blocking(move || Index::open(&path, &names)).await;
        let index = opened.map_err(|error| Error::Internal(error.to_string()))??;
        let here = Place::of(environment, connection);
        if index.header.place != here {
            let sentence = format!(
                "{} is of {} (environment `{}`), and this is {here}",
                self.saved_as, index.header.place, index.header.environment
            );
            return Err(Error::InvalidParams(sentence));
        }
        let warnings = match &self.to {
            Some(to) => environment.check_target(to).await?,
            None => Vec::new(),
        };
        let by_name = !self.names.is_empty();
        let mut plan = Plan::make(&index, by_name, connection.broker.as_ref(), job).await?;
        plan.outcome.warnings.splice(..0, warnings);
        Ok((index, plan))
    }
}
