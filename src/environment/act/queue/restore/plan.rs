//! What is to be put back, and why the rest is not. Numbers are held, and nothing that grows with what
//! messages hold.

use super::Restored;
use crate::broker::{Broker, End, Shelf};
use crate::environment::act::Job;
use crate::environment::act::queue::Warning;
use crate::environment::act::queue::find::find;
use crate::environment::act::recovery::{Copy, Entry, Index, Reader, Record, Saved, Standing};
use crate::error::Result;
use crate::json;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Delivery tags that are looked for at once.
const TAGS: usize = 500;

/// Messages of which nothing is sure that are looked for at once.
const UNSURE: usize = 5_000;

const RESTORED: &str = "it was put back already";
pub(super) const TAKEN: &str = "a worker, or somebody else, took it";
const THERE: &str = "it is in its queue";
const HELD: &str = "a worker holds it";
const UNCERTAIN: &str = "it was about to be put back when the process ended, and may have been taken \
                         since: name it to put it back all the same";

/// What a restore will do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Those that are nowhere: they are put back.
    pub back: RoaringBitmap,
    /// Those whose copies may stand in another queue: these are to be removed.
    pub moved: RoaringBitmap,
    /// What was found out about others, for the file.
    pub facts: Vec<Record>,
    /// What is skipped, and what to know.
    pub outcome: Restored,
}

/// A message of which the file does not say where it is.
struct Unsure {
    saved: Saved,
    copies: Vec<Copy>,
    tags: Vec<String>,
}

impl Plan {
    pub async fn make(
        index: &Index,
        by_name: bool,
        broker: &dyn Broker,
        job: &Job,
    ) -> Result<Plan> {
        let mut plan = Plan::default();
        for name in &index.unknown {
            plan.outcome.skip_unknown(name);
        }
        let mut reader = Reader::new(index);
        let mut unsure = Vec::new();
        for (number, entry) in index.entries().filter(|(_, entry)| !by_name || entry.is_named()) {
            match (entry.standing, entry.is_restoring()) {
                (Standing::Restored, _) => plan.outcome.skip(&mut reader, number, RESTORED)?,
                (Standing::Taken, _) => plan.outcome.skip(&mut reader, number, TAKEN)?,
                (Standing::Removed, false) => drop(plan.back.insert(number)),
                (Standing::Moved, false) => drop(plan.moved.insert(number)),
                _ => unsure.push(number),
            }
        }
        for numbers in unsure.chunks(UNSURE) {
            plan.look(index, &mut reader, broker, job, numbers, by_name).await?;
        }
        Ok(plan)
    }

    /// Messages that are put back, if the copies of all that were moved are still there.
    pub fn total(&self) -> u64 {
        self.back.len() + self.moved.len()
    }

    /// Looks for those of which nothing is sure, by their bytes and their delivery tags.
    async fn look(
        &mut self,
        index: &Index,
        reader: &mut Reader<'_>,
        broker: &dyn Broker,
        job: &Job,
        numbers: &[u32],
        by_name: bool,
    ) -> Result<()> {
        let mut unsure = BTreeMap::new();
        for number in numbers {
            let kept = reader.kept(*number)?.clone();
            let raws = kept.copies.iter().map(|copy| &copy.raw.0).chain([&kept.saved.raw.0]);
            let tags = raws.filter_map(|raw| delivery_tag(raw)).collect();
            unsure.insert(*number, Unsure { saved: kept.saved, copies: kept.copies, tags });
        }
        // A worker may take one while the queues are read, or put one back: whoever holds it before or
        // after is asked.
        let mut held = held(broker, unsure.values().flat_map(|one| &one.tags)).await?;
        let there = standing(broker, job, unsure.values()).await?;
        if job.is_cancelled() {
            // Not all was looked at: nothing is found out.
            return Ok(());
        }
        held.extend(self::held(broker, unsure.values().flat_map(|one| &one.tags)).await?);
        for (number, one) in unsure {
            let entry = index.entry(number);
            let stands =
                |shelf: &Shelf, raw: &[u8]| there.contains(&(shelf.clone(), identity(raw)));
            let settled = if stands(&one.saved.shelf, &one.saved.raw.0) {
                (Record::Restored(vec![number.into()]), THERE)
            } else if one.tags.iter().any(|tag| held.contains(tag)) {
                (Record::Taken(vec![number.into()]), HELD)
            } else if one.copies.iter().any(|copy| stands(&copy.shelf, &copy.raw.0)) {
                // Moved there, or put back there.
                if entry.standing != Standing::Removed {
                    self.moved.insert(number);
                    continue;
                }
                (Record::Restored(vec![number.into()]), RESTORED)
            } else if !one.copies.is_empty() && entry.standing != Standing::Removed {
                (Record::Taken(vec![number.into()]), TAKEN)
            } else {
                self.decide(reader, (number, entry), one.saved.uuid, by_name)?;
                continue;
            };
            let (fact, reason) = settled;
            self.facts.push(fact);
            self.outcome.skip(reader, number, reason)?;
        }
        Ok(())
    }

    /// It is nowhere.
    fn decide(
        &mut self,
        reader: &mut Reader<'_>,
        (number, entry): (u32, Entry),
        uuid: Option<String>,
        by_name: bool,
    ) -> Result<()> {
        if entry.is_restoring() && !by_name {
            return self.outcome.skip(reader, number, UNCERTAIN);
        }
        self.back.insert(number);
        let text = "nothing says whether a worker took it: it may run twice".into();
        self.outcome.warnings.push(Warning { uuid, kind: "uncertain", text });
        Ok(())
    }
}

/// By what a message is known again: a broker that delivers it once more changes its bytes, but not
/// its tag.
pub(super) fn identity(raw: &[u8]) -> Vec<u8> {
    delivery_tag(raw).map_or_else(|| raw.to_vec(), String::into_bytes)
}

/// Without looking at what else a message holds.
fn delivery_tag(raw: &[u8]) -> Option<String> {
    let member = |object: &str, name: &str| {
        let found = json::members(object).ok()?.into_iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_owned())
    };
    let properties = member(std::str::from_utf8(raw).ok()?, "properties")?;
    json::parse(member(&properties, "delivery_tag")?.as_bytes()).ok()
}

/// Those of these tags that workers hold.
async fn held<'a>(
    broker: &dyn Broker,
    tags: impl Iterator<Item = &'a String>,
) -> Result<HashSet<String>> {
    let tags: Vec<String> = tags.cloned().collect();
    let mut held = HashSet::new();
    for tags in tags.chunks(TAGS) {
        let answers = broker.held(tags).await?;
        held.extend(tags.iter().zip(answers).filter(|(_, held)| *held).map(|(tag, _)| tag.clone()));
    }
    Ok(held)
}

/// Those of the messages, and of their copies, that stand where they may.
async fn standing(
    broker: &dyn Broker,
    job: &Job,
    unsure: impl Iterator<Item = &Unsure>,
) -> Result<HashSet<(Shelf, Vec<u8>)>> {
    let mut wanted = HashSet::new();
    for one in unsure {
        wanted.insert((one.saved.shelf.clone(), identity(&one.saved.raw.0)));
        let copies = one.copies.iter();
        wanted.extend(copies.map(|copy| (copy.shelf.clone(), identity(&copy.raw.0))));
    }
    let queues: BTreeSet<String> = wanted.iter().map(|(shelf, _)| shelf.queue.clone()).collect();
    let mut there = HashSet::new();
    for queue in queues {
        let stock = broker.stock(&queue).await?;
        let left = wanted.len();
        let pick = |shelf: &Shelf, raw: &[u8]| wanted.take(&(shelf.clone(), identity(raw)));
        let found = find(broker, &stock, job, End::Next, left, pick).await?;
        there.extend(found.into_iter().map(|one| one.what));
    }
    Ok(there)
}
