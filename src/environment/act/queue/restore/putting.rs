//! Putting messages back: announced in the file, done, noted in the file.

use super::Restored;
use crate::broker::{Broker, End, Exchanged, Put, Shelf};
use crate::environment::act::Licence;
use crate::environment::act::queue::find::Found;
use crate::environment::act::queue::readdress::readdressed;
use crate::environment::act::queue::{Skipped, Warning, blocking, rest};
use crate::environment::act::recovery::{Copy, Index, Raw, Record, Recovery, Saved};
use crate::error::Result;
use std::collections::{BTreeMap, HashMap};

/// Messages that are put back at once, and about how many bytes.
const STEP: usize = 250;
const BYTES: usize = 256 << 10;

/// A restore at work.
pub(super) struct Putting<'a> {
    pub broker: &'a dyn Broker,
    pub job: &'a Licence,
    pub recovery: Recovery,
    pub index: &'a Index,
    /// Another queue than they came from.
    pub to: Option<String>,
    pub outcome: Restored,
}

/// What was taken from a shelf so far. Where all of a queue was moved behind another one, whoever
/// stood behind a message is gone when its turn comes: it is the last then, however many there were.
#[derive(Default)]
struct Gone {
    messages: u64,
    /// The place of the one nearest to the next to run.
    nearest: Option<u64>,
}

impl Gone {
    fn note(&mut self, found: &Found<u64>) {
        self.messages += 1;
        self.nearest = Some(self.nearest.map_or(found.position, |at| at.min(found.position)));
    }

    /// A message, where it stands now.
    fn behind(&self, found: Found<u64>) -> Found<u64> {
        let all = self.nearest.is_some_and(|nearest| found.position < nearest);
        found.with_fewer_behind(if all { self.messages } else { 0 })
    }
}

/// How a part of it ended.
#[derive(PartialEq)]
enum Ended {
    Through,
    Stopped,
}

impl Putting<'_> {
    /// `facts` are what the plan found out about others.
    pub async fn carry_out(
        mut self,
        back: Vec<u64>,
        moved: Vec<Found<u64>>,
        facts: Vec<Record>,
        accept_blocking: bool,
    ) -> Result<Restored> {
        facts.iter().for_each(|fact| self.recovery.note(fact));
        self.recovery.write().await?;
        let ended = match self.put_back(back).await {
            Ok(Ended::Through) => self.move_back(moved, accept_blocking).await,
            ended => ended,
        };
        if let Err(error) = ended {
            self.outcome.warnings.push(Warning::broke_off(&error));
        }
        Ok(self.outcome)
    }

    async fn put_back(&mut self, numbers: Vec<u64>) -> Result<Ended> {
        let mut ends: BTreeMap<(Shelf, End), Vec<u64>> = BTreeMap::new();
        for number in numbers {
            let saved = self.index.saved(number)?;
            ends.entry(self.destination(&saved)).or_default().push(number);
        }
        for ((shelf, end), mut numbers) in ends {
            // Each is put beyond the one before, so those that run last go first.
            if end == End::Next {
                numbers.reverse();
            }
            let mut numbers = numbers.into_iter().peekable();
            while numbers.peek().is_some() {
                let Some(most) = self.job.batch(STEP).await else { return Ok(Ended::Stopped) };
                let (mut batch, mut raws, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < BYTES
                    && batch.len() < most
                    && let Some(number) = numbers.next()
                {
                    let raw = self.bytes(&self.index.saved(number)?, &shelf, end);
                    bytes += raw.len();
                    batch.push(number);
                    raws.push(raw);
                }
                if self.put(&shelf, end, batch, &raws).await? == Ended::Stopped {
                    return Ok(Ended::Stopped);
                }
            }
        }
        Ok(Ended::Through)
    }

    async fn put(
        &mut self,
        shelf: &Shelf,
        end: End,
        batch: Vec<u64>,
        raws: &[Vec<u8>],
    ) -> Result<Ended> {
        self.recovery.note(&Record::Restoring(batch.clone()));
        self.recovery.sync().await?;
        let put = self.broker.put(shelf, end, raws).await?;
        self.job.did(batch.len());
        let ended = match put {
            Put::Done => {
                self.outcome.restored += batch.len() as u64;
                self.recovery.note(&Record::Restored(batch));
                Ended::Through
            }
            Put::Refused(reason) => {
                self.recovery.note(&Record::Refused(batch));
                let text = format!(
                    "stopped: the broker takes no more: {reason}. What is left is in the recovery \
                     file, and another restore goes on"
                );
                self.outcome.warnings.push(Warning::new("broker", text));
                Ended::Stopped
            }
        };
        self.recovery.write().await?;
        Ok(ended)
    }

    /// What was moved and stands there still, back to where it came from.
    async fn move_back(
        &mut self,
        mut moved: Vec<Found<u64>>,
        accept_blocking: bool,
    ) -> Result<Ended> {
        // At the end that is next to run each is put before the ones before it.
        moved.sort_by_key(|found| std::cmp::Reverse(found.what));
        let (mut at_next, mut at_last) = (Vec::new(), Vec::new());
        for found in moved {
            let saved = self.index.saved(found.what)?;
            let (_, end) = self.destination(&saved);
            if end == End::Next { at_next.push(found) } else { at_last.push(found) }
        }
        let mut gone = HashMap::new();
        let mut all = at_next.into_iter().chain(at_last.into_iter().rev()).peekable();
        while all.peek().is_some() {
            let Some(most) = self.job.batch(STEP).await else { return Ok(Ended::Stopped) };
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < most
                && bytes < BYTES
                && let Some(found) = all.next()
            {
                bytes += found.raw.len();
                batch.push(found);
            }
            self.exchange_all(batch, &mut gone, accept_blocking).await?;
        }
        Ok(Ended::Through)
    }

    /// Announced together, done one by one.
    async fn exchange_all(
        &mut self,
        batch: Vec<Found<u64>>,
        gone: &mut HashMap<Shelf, Gone>,
        accept_blocking: bool,
    ) -> Result<()> {
        let mut announced = Vec::new();
        for found in batch {
            let saved = self.index.saved(found.what)?;
            let (shelf, end) = self.destination(&saved);
            let raw = self.bytes(&saved, &shelf, end);
            announced.push((found, saved, shelf, end, raw));
        }
        let numbers = announced.iter().map(|(found, ..)| found.what).collect();
        self.recovery.note(&Record::Restoring(numbers));
        self.recovery.sync().await?;
        for (found, saved, shelf, end, raw) in announced {
            let gone = gone.entry(found.shelf.clone()).or_default();
            let found = gone.behind(found);
            let cost = found.cost();
            if let Some(reason) = blocking(cost, accept_blocking) {
                self.recovery.note(&Record::Refused(vec![found.what]));
                self.outcome.skip(Skipped::of(&saved, reason));
                self.job.did(1);
                continue;
            }
            if self.exchange(&found, &saved, (&shelf, end), &raw).await? {
                gone.note(&found);
            }
            self.job.did(1);
            rest(cost).await;
        }
        self.recovery.write().await
    }

    /// Answers whether it is back.
    async fn exchange(
        &mut self,
        found: &Found<u64>,
        saved: &Saved,
        to: (&Shelf, End),
        raw: &[u8],
    ) -> Result<bool> {
        let number = found.what;
        let exchanged =
            self.broker.exchange(&found.shelf, &found.raw, found.reach(), to, raw).await?;
        match exchanged {
            Exchanged::Done => {
                self.outcome.restored += 1;
                self.recovery.note(&Record::Restored(vec![number]));
            }
            Exchanged::Missing => {
                self.recovery.note(&Record::Taken(vec![number]));
                self.outcome.skip(Skipped::of(saved, "a worker took it meanwhile"));
            }
            Exchanged::Twice => {
                self.recovery.note(&Record::Taken(vec![number]));
                self.outcome.warnings.push(Warning::twice(saved.uuid.clone()));
            }
        }
        Ok(exchanged == Exchanged::Done)
    }

    fn destination(&self, saved: &Saved) -> (Shelf, End) {
        match &self.to {
            None => (saved.shelf.clone(), saved.end),
            Some(to) => (Shelf { queue: to.clone(), priority: saved.shelf.priority }, End::Last),
        }
    }

    /// What is put there: the very bytes, or, in another queue, a copy that the file knows first.
    fn bytes(&mut self, saved: &Saved, shelf: &Shelf, end: End) -> Vec<u8> {
        let raw = saved.raw.0.clone();
        if shelf.queue == saved.shelf.queue {
            return raw;
        }
        let raw = readdressed(&raw, &shelf.queue).unwrap_or(raw);
        let copy = Raw(raw.clone());
        let (number, shelf) = (saved.number, shelf.clone());
        self.recovery.note(&Record::Copy(Copy { number, shelf, end, raw: copy }));
        raw
    }
}
