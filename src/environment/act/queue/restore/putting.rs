//! Putting messages back: announced in the file, done, noted in the file.

use super::Restored;
use super::copies::{STRETCH, Standing, find_copies};
use super::plan::{Plan, TAKEN};
use crate::broker::{Broker, End, Exchanged, Put, Shelf};
use crate::environment::act::Licence;
use crate::environment::act::queue::find::Found;
use crate::environment::act::queue::readdress::readdressed;
use crate::environment::act::queue::{Warning, blocking, rest};
use crate::environment::act::recovery::{Copy, Index, Raw, Reader, Record, Recovery, Saved};
use crate::error::Result;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::sync::Arc;

/// Messages that are put back at once, and about how many bytes.
const STEP: usize = 250;
const BYTES: usize = 256 << 10;

/// A restore at work.
pub(super) struct Putting<'a> {
    pub broker: &'a dyn Broker,
    pub job: &'a Licence,
    pub recovery: Recovery,
    pub index: &'a Index,
    pub reader: Reader<'a>,
    /// Another queue than they came from.
    pub to: Option<String>,
    pub outcome: Restored,
    /// Steps may be long.
    pub accept_blocking: bool,
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
    fn note(&mut self, found: &Found<Standing>) {
        self.messages += 1;
        self.nearest = Some(self.nearest.map_or(found.position, |at| at.min(found.position)));
    }

    /// A message, where it stands now.
    fn behind(&self, found: Found<Standing>) -> Found<Standing> {
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

/// One that is about to be put back.
struct Announced {
    found: Found<Standing>,
    /// As it stands there.
    copy: Vec<u8>,
    to: (Shelf, End),
    raw: Vec<u8>,
    uuid: Option<String>,
}

impl Putting<'_> {
    pub async fn carry_out(mut self, plan: Plan) -> Result<Restored> {
        plan.facts.iter().for_each(|fact| self.recovery.note(fact));
        self.recovery.write().await?;
        let ended = match self.put_back(&plan.back).await {
            Ok(Ended::Through) => self.move_back(&plan.moved).await,
            ended => ended,
        };
        // Also where it broke off: what was done until then.
        if let Err(error) = ended.and(self.recovery.write().await) {
            self.outcome.warnings.push(Warning::broke_off(&error));
        }
        Ok(self.outcome)
    }

    /// Those that go to one end, in the order in which they are put there: each beyond the one before,
    /// so of those that are next to run the last goes first.
    fn in_order(&self, numbers: &RoaringBitmap, end: End) -> Vec<u32> {
        let goes = |number: &u32| self.end_of(*number) == end;
        match end {
            End::Next => numbers.iter().rev().filter(goes).collect(),
            End::Last => numbers.iter().filter(goes).collect(),
        }
    }

    async fn put_back(&mut self, numbers: &RoaringBitmap) -> Result<Ended> {
        for end in [End::Next, End::Last] {
            let mut numbers = self.in_order(numbers, end).into_iter().peekable();
            while let Some(first) = numbers.peek().copied() {
                let Some(most) = self.job.batch(STEP).await else { return Ok(Ended::Stopped) };
                let first = self.reader.kept(first)?.saved.clone();
                let shelf = self.shelf_of(&first);
                let (mut batch, mut raws, mut bytes) = (Vec::new(), Vec::new(), 0);
                while bytes < BYTES
                    && batch.len() < most
                    && let Some(number) = numbers.peek().copied()
                {
                    let saved = self.reader.kept(number)?.saved.clone();
                    if self.shelf_of(&saved) != shelf {
                        break;
                    }
                    numbers.next();
                    let raw = self.bytes(saved, &shelf, end);
                    bytes += raw.len();
                    batch.push(number.into());
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
    async fn move_back(&mut self, numbers: &RoaringBitmap) -> Result<Ended> {
        for end in [End::Next, End::Last] {
            for numbers in self.in_order(numbers, end).chunks(STRETCH) {
                if self.move_stretch(numbers).await? == Ended::Stopped {
                    return Ok(Ended::Stopped);
                }
            }
        }
        Ok(Ended::Through)
    }

    async fn move_stretch(&mut self, numbers: &[u32]) -> Result<Ended> {
        let (all, taken) = find_copies(self.broker, self.job, &mut self.reader, numbers).await?;
        self.job.did(taken.len());
        for number in &taken {
            self.outcome.skip(&mut self.reader, *number, TAKEN)?;
        }
        self.recovery.note(&Record::Taken(taken.into_iter().map(u64::from).collect()));
        let mut all: HashMap<u32, _> =
            all.into_iter().map(|found| (found.what.number, found)).collect();
        let all: Vec<_> = numbers.iter().filter_map(|number| all.remove(number)).collect();
        let mut all = all.into_iter().peekable();
        let mut gone = HashMap::new();
        while all.peek().is_some() {
            let Some(most) = self.job.batch(STEP).await else { return Ok(Ended::Stopped) };
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < most
                && bytes < BYTES
                && let Some(found) = all.next()
            {
                let announced = self.announce(found)?;
                bytes += announced.raw.len();
                batch.push(announced);
            }
            self.exchange_all(batch, &mut gone).await?;
        }
        Ok(if self.job.is_cancelled() { Ended::Stopped } else { Ended::Through })
    }

    fn announce(&mut self, found: Found<Standing>) -> Result<Announced> {
        let copy = found.what.raw(&mut self.reader, &found.shelf)?;
        let saved = self.reader.kept(found.what.number)?.saved.clone();
        let (uuid, to) =
            (saved.uuid.clone(), (self.shelf_of(&saved), self.end_of(found.what.number)));
        let raw = self.bytes(saved, &to.0, to.1);
        Ok(Announced { found, copy, to, raw, uuid })
    }

    /// Announced together, done one by one.
    async fn exchange_all(
        &mut self,
        batch: Vec<Announced>,
        gone: &mut HashMap<Arc<Shelf>, Gone>,
    ) -> Result<()> {
        let numbers = batch.iter().map(|one| one.found.what.number.into()).collect();
        self.recovery.note(&Record::Restoring(numbers));
        self.recovery.sync().await?;
        for mut one in batch {
            let gone = gone.entry(Arc::clone(&one.found.shelf)).or_default();
            one.found = gone.behind(one.found);
            let (number, cost) = (one.found.what.number, one.found.cost());
            if let Some(reason) = blocking(cost, self.accept_blocking) {
                self.recovery.note(&Record::Refused(vec![number.into()]));
                self.outcome.skip(&mut self.reader, number, reason)?;
                self.job.did(1);
                continue;
            }
            if self.exchange(&one).await? {
                gone.note(&one.found);
            }
            self.job.did(1);
            rest(cost).await;
        }
        self.recovery.write().await
    }

    /// Answers whether it is back.
    async fn exchange(&mut self, one: &Announced) -> Result<bool> {
        let Announced { found, copy, to: (shelf, end), raw, uuid } = one;
        let number = found.what.number;
        let reach = found.reach();
        let exchanged = self.broker.exchange(&found.shelf, copy, reach, (shelf, *end), raw).await?;
        match exchanged {
            Exchanged::Done => {
                self.outcome.restored += 1;
                self.recovery.note(&Record::Restored(vec![number.into()]));
            }
            Exchanged::Missing => {
                self.recovery.note(&Record::Taken(vec![number.into()]));
                self.outcome.skip(&mut self.reader, number, "a worker took it meanwhile")?;
            }
            Exchanged::Twice => {
                self.recovery.note(&Record::Taken(vec![number.into()]));
                self.outcome.warnings.push(Warning::twice(uuid.clone()));
            }
        }
        Ok(exchanged == Exchanged::Done)
    }

    fn shelf_of(&self, saved: &Saved) -> Shelf {
        let queue = self.to.as_ref().unwrap_or(&saved.shelf.queue);
        Shelf { queue: queue.clone(), priority: saved.shelf.priority }
    }

    fn end_of(&self, number: u32) -> End {
        if self.to.is_some() { End::Last } else { self.index.entry(number).end() }
    }

    /// What is put there: the very bytes, or, in another queue, a copy that the file knows first.
    fn bytes(&mut self, saved: Saved, shelf: &Shelf, end: End) -> Vec<u8> {
        let Saved { number, shelf: own, raw: Raw(raw), .. } = saved;
        if shelf.queue == own.queue {
            return raw;
        }
        let raw = readdressed(&raw, &shelf.queue).unwrap_or(raw);
        let copy = Raw(raw.clone());
        self.recovery.note(&Record::Copy(Copy { number, shelf: shelf.clone(), end, raw: copy }));
        raw
    }
}
