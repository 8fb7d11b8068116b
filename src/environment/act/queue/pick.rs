//! Taking single messages out of a queue, to delete or to move them: what both have in common.
//!
//! Messages are found on pages that are read, saved, and removed by their exact bytes from the nearer
//! end. One that is not where it was found is looked for again: whoever pushed it further, or took it.

use super::find::{Found, find};
use super::readdress::readdressed;
use super::{Refused, Skipped, Warning, blocking, foreign, rest};
use crate::broker::{End, Exchanged, Shelf};
use crate::celery::TaskMessage;
use crate::environment::act::recovery::{Copy, Raw, Record, Recovery, Saved};
use crate::environment::act::{Job, Licence};
use crate::environment::{Connection, fingerprint, message_key};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// Messages that are saved together, and about how many bytes.
const STEP: usize = 100;
const BYTES: usize = 256 << 10;

/// How often a message is looked for.
const ROUNDS: usize = 3;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Picked {
    /// By uuid, or by key where there is none.
    pub done: Vec<String>,
    /// Not found, or taken by somebody else.
    pub missed: Vec<Skipped>,
    /// Left where they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// The recovery file, where anything was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
    /// It was stopped by a failure; a warning says which.
    #[serde(skip)]
    pub broke_off: bool,
}

/// Which messages are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The queue they are in.
    pub queue: String,
    /// Their uuids, or keys as `queue/messages` tells them. A uuid that stands twice means the first.
    pub names: Vec<String>,
    /// Steps may be long.
    pub accept_blocking: bool,
}

/// A message as it was found, under one of the names.
struct Match {
    /// Which of the names.
    name: usize,
    message: TaskMessage,
    raw: Vec<u8>,
}

impl Match {
    fn label(&self) -> String {
        let uuid = Some(self.message.uuid.clone()).filter(|uuid| !uuid.is_empty());
        uuid.unwrap_or_else(|| message_key(&self.message, &self.raw))
    }
}

/// Names of messages, as far as they are not found.
struct Wanted<'a>(HashMap<&'a str, Vec<usize>>);

impl<'a> Wanted<'a> {
    fn of(names: &'a [String], places: impl Iterator<Item = usize>) -> Self {
        let mut wanted: HashMap<&str, Vec<usize>> = HashMap::new();
        for place in places {
            wanted.entry(bare(&names[place])).or_default().push(place);
        }
        // The last one is taken first.
        wanted.values_mut().for_each(|places| places.reverse());
        Wanted(wanted)
    }

    fn take(&mut self, raw: &[u8]) -> Option<Match> {
        let message = TaskMessage::from_element(raw);
        let tag = message.delivery_tag.clone();
        let names = [tag, Some(message.uuid.clone()), Some(fingerprint(raw))];
        let name = names.into_iter().flatten().find_map(|name| self.0.get_mut(&*name)?.pop())?;
        Some(Match { name, message, raw: raw.to_vec() })
    }
}

/// A name without the number that tells two equal messages of a page apart.
fn bare(name: &str) -> &str {
    match name.rsplit_once('#') {
        Some((bytes, number))
            if uuid::Uuid::try_parse(bytes).is_ok() && number.parse::<u64>().is_ok() =>
        {
            bytes
        }
        _ => name,
    }
}

impl Selection {
    /// What would be picked.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub(in super::super) async fn preview(
        &self,
        connection: &Connection,
        job: &Job,
    ) -> Result<Picked> {
        let broker = connection.broker.as_ref();
        let stock = broker.stock(&self.queue).await?;
        let mut wanted = Wanted::of(&self.names, 0..self.names.len());
        let pick = |_: &Shelf, raw: &[u8]| wanted.take(raw);
        let all = find(broker, &stock, job, End::Next, self.names.len(), pick).await?;
        let mut left = vec![true; self.names.len()];
        let mut outcome = Picked { warnings: foreign(&stock).collect(), ..Picked::default() };
        for found in all {
            left[found.what.name] = false;
            outcome.file(&found, self.accept_blocking);
            job.did(1);
        }
        if job.is_cancelled() {
            return Ok(outcome);
        }
        for (name, _) in self.names.iter().zip(left).filter(|(_, left)| *left) {
            outcome.missed.push(missed(name, NOT_THERE));
        }
        Ok(outcome)
    }
}

const NOT_THERE: &str = "not in the queue";
const TAKEN: &str = "a worker, or somebody else, took it";
const RESTLESS: &str = "not where it was found, again and again";
const UNREACHED: &str = "it was not reached: all of it was stopped before";
const UNKNOWN: &str = "whether it was removed is not known: the broker did not answer any more";

fn missed(name: &str, reason: &'static str) -> Skipped {
    Skipped { uuid: None, key: Some(name.into()), reason: reason.into() }
}

impl Picked {
    /// Into `done` or `refused`.
    fn file(&mut self, found: &Found<Match>, accepted: bool) {
        let uuid = found.what.label();
        match blocking(found.cost(), accepted) {
            Some(reason) => self.refused.push(Refused { uuid, kind: "blocking", reason }),
            None => self.done.push(uuid),
        }
    }
}

/// Messages being picked.
pub(in super::super) struct Picking<'a> {
    connection: &'a Connection,
    job: &'a Licence,
    recovery: &'a mut Recovery,
    selection: Selection,
    /// The queue they are moved to.
    to: Option<String>,
    outcome: Picked,
    /// Which of the names nothing is said of yet.
    undecided: BTreeSet<usize>,
    /// The one that the broker was asked to remove, and did not answer yet.
    in_hand: Option<usize>,
}

/// What was saved of a name: the number, and the bytes.
type Kept = HashMap<usize, (u64, Vec<u8>)>;

impl<'a> Picking<'a> {
    /// Picks out of one queue; what is removed goes into the file.
    pub fn new(
        connection: &'a Connection,
        job: &'a Licence,
        recovery: &'a mut Recovery,
        selection: Selection,
        to: Option<String>,
    ) -> Self {
        let undecided = (0..selection.names.len()).collect();
        let outcome = Picked::default();
        Picking { connection, job, recovery, selection, to, outcome, undecided, in_hand: None }
    }

    /// Carries it out, and tells also what was done before it broke off.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] before anything was done.
    pub async fn carry_out(mut self) -> Result<Picked> {
        match self.pick().await {
            Ok(()) => {}
            Err(error) if self.recovery.saved_as().is_none() => return Err(error),
            Err(error) => self.break_off(&error),
        }
        self.outcome.saved_as = self.recovery.saved_as();
        Ok(self.outcome)
    }

    /// Says of each that nothing is said of yet how it stands.
    fn break_off(&mut self, error: &Error) {
        self.outcome.broke_off = true;
        self.outcome.warnings.push(Warning::broke_off(error));
        for name in std::mem::take(&mut self.undecided) {
            let reason = if self.in_hand == Some(name) { UNKNOWN } else { UNREACHED };
            self.outcome.missed.push(missed(&self.selection.names[name], reason));
        }
    }

    async fn pick(&mut self) -> Result<()> {
        let broker = &self.connection.broker;
        let names = self.selection.names.clone();
        let (mut left, mut kept): (Vec<usize>, Kept) = ((0..names.len()).collect(), Kept::new());
        for round in 0..ROUNDS {
            let stock = broker.stock(&self.selection.queue).await?;
            if round == 0 {
                self.outcome.warnings.extend(foreign(&stock));
            }
            let mut wanted = Wanted::of(&names, left.iter().copied());
            let pick = |_: &Shelf, raw: &[u8]| wanted.take(raw);
            let all = find(broker.as_ref(), &stock, self.job, End::Next, left.len(), pick).await?;
            if self.job.is_cancelled() {
                return Ok(());
            }
            left.retain(|name| all.iter().all(|found| found.what.name != *name));
            for name in left {
                let taken = kept.remove(&name).map(|(number, _)| number);
                let reason = if taken.is_some() { TAKEN } else { NOT_THERE };
                self.miss(name, reason, taken);
            }
            self.recovery.write().await?;
            left = match self.remove(all, &mut kept).await? {
                Some(left) if !left.is_empty() => left,
                _ => return Ok(()),
            };
        }
        for name in left {
            self.miss(name, RESTLESS, None);
        }
        Ok(())
    }

    fn miss(&mut self, name: usize, reason: &'static str, taken: Option<u64>) {
        self.recovery.note(&Record::Taken(taken.into_iter().collect()));
        self.undecided.remove(&name);
        self.outcome.missed.push(missed(&self.selection.names[name], reason));
        self.job.did(1);
    }

    /// Removes what was found; answers which names were not where they were. `None`: it was told to
    /// stop.
    async fn remove(
        &mut self,
        all: Vec<Found<Match>>,
        kept: &mut Kept,
    ) -> Result<Option<Vec<usize>>> {
        let mut again = Vec::new();
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            let Some(most) = self.job.batch(STEP).await else { return Ok(None) };
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < most
                && bytes < BYTES
                && let Some(found) = all.next()
            {
                bytes += found.what.raw.len();
                batch.extend(self.save(found, kept));
            }
            self.recovery.sync().await?;
            for (found, number, copy) in batch {
                if !self.remove_one(&found, number, copy).await? {
                    again.push(found.what.name);
                }
                rest(found.cost()).await;
            }
        }
        Ok(Some(again))
    }

    /// Saves a message, and the copy it will have, unless removing it would take too long.
    fn save(
        &mut self,
        found: Found<Match>,
        kept: &mut Kept,
    ) -> Option<(Found<Match>, u64, Option<Vec<u8>>)> {
        let label = found.what.label();
        if let Some(reason) = blocking(found.cost(), self.selection.accept_blocking) {
            self.undecided.remove(&found.what.name);
            self.outcome.refused.push(Refused { uuid: label, kind: "blocking", reason });
            self.job.did(1);
            return None;
        }
        let known = kept.get(&found.what.name).filter(|(_, raw)| *raw == found.what.raw);
        let number = match known {
            Some((number, _)) => *number,
            None => {
                let number = self.recovery.save(|number| saved(number, &found));
                let old = kept.insert(found.what.name, (number, found.what.raw.clone()));
                self.recovery.note(&Record::Taken(old.into_iter().map(|(old, _)| old).collect()));
                number
            }
        };
        let copy = self.to.clone().map(|to| {
            let copy = readdressed(&found.what.raw, &to);
            if copy.is_none() {
                let text = "no message that could be readdressed: it was moved as it is";
                let uuid = Some(label);
                self.outcome.warnings.push(Warning { uuid, kind: "verbatim", text: text.into() });
            }
            let raw = copy.unwrap_or_else(|| found.what.raw.clone());
            let shelf = Shelf { queue: to, priority: found.shelf.priority };
            let copy = Copy { number, shelf, end: End::Last, raw: Raw(raw.clone()) };
            self.recovery.note(&Record::Copy(copy));
            raw
        });
        Some((found, number, copy))
    }

    /// Answers whether it was where it was found.
    async fn remove_one(
        &mut self,
        found: &Found<Match>,
        number: u64,
        copy: Option<Vec<u8>>,
    ) -> Result<bool> {
        let broker = &self.connection.broker;
        let (shelf, raw, reach) = (&found.shelf, &found.what.raw, found.reach());
        self.in_hand = Some(found.what.name);
        let removed = match (&self.to, copy) {
            (Some(to), Some(copy)) => {
                let to = Shelf { queue: to.clone(), priority: shelf.priority };
                broker.exchange(shelf, raw, reach, (&to, End::Last), &copy).await?
            }
            _ if broker.remove(shelf, raw, reach).await? => Exchanged::Done,
            _ => Exchanged::Missing,
        };
        self.in_hand = None;
        if removed != Exchanged::Missing {
            self.undecided.remove(&found.what.name);
        }
        match removed {
            Exchanged::Missing => return Ok(false),
            Exchanged::Done => {
                let gone = vec![number];
                let moved = self.to.is_some();
                self.recovery.note(&if moved {
                    Record::Moved(gone)
                } else {
                    Record::Removed(gone)
                });
                self.outcome.done.push(found.what.label());
            }
            Exchanged::Twice => {
                self.recovery.note(&Record::Taken(vec![number]));
                let uuid = found.what.label();
                self.outcome.missed.push(missed(&uuid, TAKEN));
                self.outcome.warnings.push(Warning::twice(Some(uuid)));
            }
        }
        self.job.did(1);
        self.recovery.write().await?;
        Ok(true)
    }
}

fn saved(number: u64, found: &Found<Match>) -> Saved {
    let message = &found.what.message;
    Saved {
        number,
        uuid: Some(message.uuid.clone()).filter(|uuid| !uuid.is_empty()),
        key: message_key(message, &found.what.raw),
        shelf: (*found.shelf).clone(),
        end: found.end(),
        position: found.position,
        raw: Raw(found.what.raw.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_message_and_two_names_two() {
        let raw = br#"{"order": 5}"#;
        let key = fingerprint(raw);
        let names = [format!("{key}#7"), key, "orders/2026#1".into()];
        let mut wanted = Wanted::of(&names, 0..3);
        let places: Vec<_> = (0..3).map(|_| wanted.take(raw).map(|found| found.name)).collect();
        assert_eq!(places, [Some(0), Some(1), None]);
        assert_eq!(wanted.0["orders/2026#1"], [2], "F42: ids are any text");
    }
}
