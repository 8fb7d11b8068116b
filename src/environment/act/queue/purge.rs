//! `queue/purge`: removes all that waits in a queue, saved first.
//!
//! Step by step from the end that is next to run: a stretch is read, saved, and then removed as long
//! as what is next is in that stretch. A worker that takes messages meanwhile, or somebody else who
//! purges, shifts the stretches; what was saved and is not seen again was taken by them.

use super::{Warning, foreign};
use crate::broker::{Budget, End, Shelf, Stock};
use crate::celery::TaskMessage;
use crate::environment::act::recovery::{Header, Raw, Record, Recovery, Saved};
use crate::environment::act::{Action, Job, Preview};
use crate::environment::{Connection, Environment, Need};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Messages removed by one step: the broker is through with them within 2 ms.
const STEP: usize = 250;

/// Messages on a shelf above which single commands, looking for one that is gone, take 5 ms.
const LONG: u64 = 50_000;

/// Empties a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Purge {
    /// Which.
    pub queue: String,
    /// Steps may be long.
    pub accept_blocking: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Purged {
    /// Messages that were removed.
    pub purged: u64,
    /// Messages that came meanwhile, and are there.
    pub arrived: u64,
    /// Messages that were about to be removed when somebody else took them.
    #[serde(skip_serializing_if = "is_zero")]
    pub taken: u64,
    /// The recovery file, where anything was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Action for Purge {
    type Outcome = Purged;

    const METHOD: &'static str = "queue/purge";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "queue": self.queue })
    }

    async fn carry_out(self, environment: &Environment, job: &Job) -> Result<Purged> {
        let connection = environment.connection().await?;
        let stock = environment.stock(&connection, &self.queue).await?;
        connection.broker.takes_changes(false).await?;
        self.check_cost(&connection, &stock).await?;
        job.expect(usize::try_from(stock.total()).unwrap_or(usize::MAX));
        let header = Header::new(environment, &connection, job, Some(&self.queue), None);
        let mut purging = Purging {
            connection: &connection,
            job,
            recovery: Recovery::new(header),
            outcome: Purged { warnings: foreign(&stock).collect(), ..Purged::default() },
        };
        for (shelf, length) in &stock.shelves {
            match purging.empty(shelf, *length).await {
                Ok(Ended::Through) => {}
                Ok(Ended::Stopped) => break,
                Err(error) if purging.recovery.saved_as().is_none() => return Err(error),
                Err(error) => {
                    purging.outcome.warnings.push(Warning::broke_off(&error));
                    break;
                }
            }
        }
        purging.outcome.saved_as = purging.recovery.saved_as();
        Ok(purging.outcome)
    }
}

impl Preview for Purge {
    async fn preview(self, environment: &Environment) -> Result<Purged> {
        let connection = environment.connection().await?;
        let stock = environment.stock(&connection, &self.queue).await?;
        let warnings = foreign(&stock).collect();
        Ok(Purged { purged: stock.total(), warnings, ..Purged::default() })
    }
}

impl Purge {
    /// Without scripts each message that a worker takes between being read and removed is looked for
    /// through the whole shelf.
    async fn check_cost(&self, connection: &Connection, stock: &Stock) -> Result<()> {
        let longest = stock.shelves.iter().map(|(_, length)| *length).max().unwrap_or(0);
        if self.accept_blocking || longest <= LONG || connection.broker.is_atomic().await {
            return Ok(());
        }
        Err(Error::Blocking {
            operation: format!("purging `{}` without the right to EVAL", self.queue),
            milliseconds: longest / 10_000,
        })
    }
}

/// How a shelf was left.
enum Ended {
    /// All that stood on it at the start is out.
    Through,
    /// The job was told to stop.
    Stopped,
}

/// A purge at work.
struct Purging<'a> {
    connection: &'a Connection,
    job: &'a Job,
    recovery: Recovery,
    outcome: Purged,
}

impl Purging<'_> {
    async fn empty(&mut self, shelf: &Shelf, length: u64) -> Result<Ended> {
        let broker = &self.connection.broker;
        // The newest that belongs to it: what stands behind it came later. Without a tag of its own
        // it may look like others.
        let newest = broker.stretch(shelf, End::Last, 0, 1).await?.pop();
        let newest = newest.filter(|raw| TaskMessage::from_element(raw).delivery_tag.is_some());
        let mut budget = Budget::new(usize::MAX);
        // What was saved and is not removed yet.
        let mut kept: Vec<(Vec<u8>, u64)> = Vec::new();
        let (mut left, mut position) = (length, 0);
        let ended = loop {
            let most = usize::try_from(left).unwrap_or(STEP).min(STEP);
            if most == 0 {
                break Ended::Through;
            }
            let Some(most) = self.job.batch(most.min(budget.fitting().unwrap_or(1))).await else {
                break Ended::Stopped;
            };
            let stretch = broker.stretch(shelf, End::Next, 0, most).await?;
            if stretch.is_empty() {
                break Ended::Through;
            }
            budget.spend(&stretch);
            let mut before = std::mem::take(&mut kept);
            for raw in &stretch {
                let again = before.iter().position(|(kept, _)| kept == raw);
                let number = match again {
                    Some(at) => before.swap_remove(at).1,
                    None => {
                        position += 1;
                        let saved = |number| saved(number, shelf, position - 1, raw);
                        self.recovery.save(saved)
                    }
                };
                kept.push((raw.clone(), number));
            }
            left -= self.taken(before).min(left);
            self.recovery.sync().await?;
            let removed = broker.take(shelf, &stretch).await?;
            let is_last = removed.iter().any(|at| newest.as_ref() == Some(&stretch[*at]));
            left -= (removed.len() as u64).min(left);
            self.removed(&removed, &mut kept).await?;
            if is_last {
                break Ended::Through;
            }
        };
        let there = broker.stretch(shelf, End::Next, 0, kept.len().max(1)).await?;
        kept.retain(|(raw, _)| !there.contains(raw));
        self.taken(kept);
        self.recovery.write().await?;
        if matches!(ended, Ended::Through) {
            let stock = broker.stock(&shelf.queue).await?;
            let now = stock.shelves.iter().find(|(other, _)| other == shelf);
            self.outcome.arrived += now.map_or(0, |(_, length)| *length);
        }
        Ok(ended)
    }

    async fn removed(&mut self, places: &[usize], kept: &mut Vec<(Vec<u8>, u64)>) -> Result<()> {
        let numbers = places.iter().map(|at| kept[*at].1).collect();
        let mut gone = places.to_vec();
        gone.sort_unstable();
        for at in gone.into_iter().rev() {
            kept.swap_remove(at);
        }
        self.outcome.purged += places.len() as u64;
        self.job.did(places.len());
        self.recovery.note(&Record::Removed(numbers));
        self.recovery.write().await
    }

    /// These are not where they were; answers how many.
    fn taken(&mut self, messages: Vec<(Vec<u8>, u64)>) -> u64 {
        let taken = messages.len();
        self.outcome.taken += taken as u64;
        self.job.did(taken);
        let numbers = messages.into_iter().map(|(_, number)| number).collect();
        self.recovery.note(&Record::Taken(numbers));
        taken as u64
    }
}

fn saved(number: u64, shelf: &Shelf, position: u64, raw: &[u8]) -> Saved {
    let message = TaskMessage::from_element(raw);
    let key = crate::environment::message_key(&message, raw);
    Saved {
        number,
        uuid: Some(message.uuid).filter(|uuid| !uuid.is_empty()),
        key,
        shelf: shelf.clone(),
        end: End::Next,
        position,
        raw: Raw(raw.to_vec()),
    }
}
