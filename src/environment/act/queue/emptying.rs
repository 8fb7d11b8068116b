//! Emptying a queue, whatever becomes of its messages: what purging it and moving all of it have in
//! common.
//!
//! Step by step from the end that is next to run: a stretch is read, saved, and then removed as long
//! as what is next is in that stretch. A worker that takes messages meanwhile, or somebody else who
//! empties it, shifts the stretches; what was saved and is not seen again was taken by them.

use super::readdress::readdressed;
use super::{Warning, foreign};
use crate::broker::{Budget, End, Exchanged, Reach, Shelf, Stock};
use crate::celery::TaskMessage;
use crate::environment::act::Licence;
use crate::environment::act::recovery::{Copy, Header, Raw, Record, Recovery, Saved};
use crate::environment::{Connection, message_key};
use crate::error::{Error, Result};

/// Messages removed by one step: the broker is through with them within 2 ms.
const STEP: usize = 250;

/// Messages on a shelf above which single commands, looking for one that is gone, take 5 ms.
const LONG: u64 = 50_000;

/// How many messages may come between while one is moved: workers that end put back what they hold.
const SLACK: u64 = 1_000;

/// Without scripts each message that a worker takes between being read and removed is looked for
/// through the whole shelf.
///
/// # Errors
/// [`Error::Blocking`].
pub(super) async fn check_cost(
    connection: &Connection,
    stock: &Stock,
    operation: &str,
    accept_blocking: bool,
) -> Result<()> {
    let longest = stock.shelves.iter().map(|(_, length)| *length).max().unwrap_or(0);
    if accept_blocking || longest <= LONG || connection.broker.is_atomic().await {
        return Ok(());
    }
    Err(Error::Blocking {
        operation: format!("{operation} without the right to EVAL"),
        milliseconds: longest / 10_000,
    })
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    /// Messages that were removed, or moved.
    pub done: u64,
    /// Messages that came meanwhile, and are there.
    pub arrived: u64,
    /// Messages that were about to be removed when somebody else took them.
    pub taken: u64,
    pub saved_as: Option<String>,
    pub warnings: Vec<Warning>,
}

/// A queue being emptied.
pub(super) struct Emptying<'a> {
    connection: &'a Connection,
    job: &'a Licence,
    recovery: Recovery,
    /// The queue that messages are moved to; none: they are removed.
    to: Option<&'a str>,
    outcome: Emptied,
    /// Some message could not be readdressed.
    verbatim: bool,
}

/// How a shelf was left.
enum Ended {
    /// All that stood on it at the start is out.
    Through,
    /// The job was told to stop.
    Stopped,
}

/// A message that was saved and may stand in its queue.
struct Kept {
    raw: Vec<u8>,
    number: u64,
    /// What will stand for it in another queue.
    copy: Option<Vec<u8>>,
}

impl<'a> Emptying<'a> {
    pub fn new(
        connection: &'a Connection,
        job: &'a Licence,
        header: Header,
        to: Option<&'a str>,
    ) -> Self {
        let (recovery, outcome) = (Recovery::new(header), Emptied::default());
        Emptying { connection, job, recovery, to, outcome, verbatim: false }
    }

    /// Carries it out, and tells also what was done before it broke off.
    ///
    /// # Errors
    /// [`Error::Broker`] before anything was done.
    pub async fn carry_out(mut self, stock: &Stock) -> Result<Emptied> {
        self.job.expect(usize::try_from(stock.total()).unwrap_or(usize::MAX));
        self.outcome.warnings.extend(foreign(stock));
        for (shelf, length) in &stock.shelves {
            match self.empty(shelf, *length).await {
                Ok(Ended::Through) => {}
                Ok(Ended::Stopped) => break,
                Err(error) if self.recovery.saved_as().is_none() => return Err(error),
                Err(error) => {
                    self.outcome.warnings.push(Warning::broke_off(&error));
                    break;
                }
            }
        }
        if self.verbatim {
            let text =
                "some are no messages that could be readdressed: they were moved as they are";
            self.outcome.warnings.push(Warning::new("verbatim", text));
        }
        self.outcome.saved_as = self.recovery.saved_as();
        Ok(self.outcome)
    }

    async fn empty(&mut self, shelf: &Shelf, length: u64) -> Result<Ended> {
        let broker = &self.connection.broker;
        // The newest that belongs to it: what stands behind it came later. Without a tag of its own
        // it may look like others.
        let newest = broker.stretch(shelf, End::Last, 0, 1).await?.pop();
        let newest = newest.filter(|raw| TaskMessage::from_element(raw).delivery_tag.is_some());
        let mut budget = Budget::new(usize::MAX);
        let mut kept: Vec<Kept> = Vec::new();
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
            for raw in stretch {
                let again = before.iter().position(|kept| kept.raw == raw);
                kept.push(match again {
                    Some(at) => before.swap_remove(at),
                    None => {
                        position += 1;
                        self.save(shelf, position - 1, raw)
                    }
                });
            }
            left -= self.taken(before).min(left);
            self.recovery.sync().await?;
            let gone = match self.to {
                None => self.remove(shelf, &mut kept).await?,
                Some(to) => self.relocate(shelf, to, &mut kept).await?,
            };
            left -= (gone.len() as u64).min(left);
            if newest.as_ref().is_some_and(|newest| gone.contains(newest)) {
                break Ended::Through;
            }
        };
        let there = broker.stretch(shelf, End::Next, 0, kept.len().max(1)).await?;
        kept.retain(|kept| !there.contains(&kept.raw));
        self.taken(kept);
        self.recovery.write().await?;
        if matches!(ended, Ended::Through) {
            let stock = broker.stock(&shelf.queue).await?;
            let now = stock.shelves.iter().find(|(other, _)| other == shelf);
            self.outcome.arrived += now.map_or(0, |(_, length)| *length);
        }
        Ok(ended)
    }

    /// Saves a message, and the copy that it will have.
    fn save(&mut self, shelf: &Shelf, position: u64, raw: Vec<u8>) -> Kept {
        let number = self.recovery.save(|number| saved(number, shelf, position, &raw));
        let copy = self.to.map(|to| {
            let copy = readdressed(&raw, to).unwrap_or_else(|| {
                self.verbatim = true;
                raw.clone()
            });
            let shelf = Shelf { queue: to.into(), priority: shelf.priority };
            let line = Copy { number, shelf, end: End::Last, raw: Raw(copy.clone()) };
            self.recovery.note(&Record::Copy(line));
            copy
        });
        Kept { raw, number, copy }
    }

    /// Removes those of a stretch that are where they were; answers their bytes.
    async fn remove(&mut self, shelf: &Shelf, kept: &mut Vec<Kept>) -> Result<Vec<Vec<u8>>> {
        let stretch: Vec<_> = kept.iter().map(|kept| kept.raw.clone()).collect();
        let mut places = self.connection.broker.take(shelf, &stretch).await?;
        let numbers = places.iter().map(|at| kept[*at].number).collect();
        self.recovery.note(&Record::Removed(numbers));
        self.done(places.len());
        places.sort_unstable();
        let gone = places.into_iter().rev().map(|at| kept.swap_remove(at).raw).collect();
        self.recovery.write().await?;
        Ok(gone)
    }

    /// Moves those of a stretch that are where they were, one by one and in order: at any time each is
    /// in one of the two queues. Answers their bytes.
    async fn relocate(
        &mut self,
        shelf: &Shelf,
        to: &str,
        kept: &mut Vec<Kept>,
    ) -> Result<Vec<Vec<u8>>> {
        let target = Shelf { queue: to.into(), priority: shelf.priority };
        let reach = Reach { from: End::Next, within: STEP as u64 + SLACK };
        let (mut gone, mut moved, mut twice, mut broke_off) = (vec![], vec![], vec![], Ok(()));
        let mut stretch = std::mem::take(kept).into_iter();
        for one in stretch.by_ref() {
            let copy = one.copy.as_ref().unwrap_or(&one.raw);
            let to = (&target, End::Last);
            match self.connection.broker.exchange(shelf, &one.raw, reach, to, copy).await {
                Ok(Exchanged::Done) => {
                    moved.push(one.number);
                    gone.push(one.raw);
                }
                Ok(Exchanged::Twice) => {
                    let uuid = Some(TaskMessage::from_element(&one.raw).uuid);
                    self.outcome.warnings.push(Warning::twice(uuid));
                    gone.push(one.raw.clone());
                    twice.push(one);
                }
                Ok(Exchanged::Missing) => kept.push(one),
                Err(error) => {
                    broke_off = Err(error);
                    break;
                }
            }
        }
        kept.extend(stretch);
        self.done(moved.len());
        self.recovery.note(&Record::Moved(moved));
        self.taken(twice);
        self.recovery.write().await?;
        broke_off.map(|()| gone)
    }

    fn done(&mut self, messages: usize) {
        self.outcome.done += messages as u64;
        self.job.did(messages);
    }

    /// These are not where they were; answers how many.
    fn taken(&mut self, messages: Vec<Kept>) -> u64 {
        let taken = messages.len();
        self.outcome.taken += taken as u64;
        self.job.did(taken);
        let numbers = messages.into_iter().map(|kept| kept.number).collect();
        self.recovery.note(&Record::Taken(numbers));
        taken as u64
    }
}

fn saved(number: u64, shelf: &Shelf, position: u64, raw: &[u8]) -> Saved {
    let message = TaskMessage::from_element(raw);
    let key = message_key(&message, raw);
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
