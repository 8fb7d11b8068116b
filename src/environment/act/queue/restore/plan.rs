//! What is to be put back, and why the rest is not.

use super::Restored;
use crate::broker::{Broker, Shelf};
use crate::celery::TaskMessage;
use crate::environment::act::Job;
use crate::environment::act::queue::find::{Found, find};
use crate::environment::act::queue::{Skipped, Warning};
use crate::environment::act::recovery::{Copy, Entry, Index, Record, Saved, Standing};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Delivery tags that are looked for at once.
const TAGS: usize = 500;

const RESTORED: &str = "it was put back already";
const TAKEN: &str = "a worker, or somebody else, took it";
const THERE: &str = "it is in its queue";
const HELD: &str = "a worker holds it";
const UNCERTAIN: &str = "it was about to be put back when the process ended, and may have been taken \
                         since: name it to put it back all the same";

/// What a restore will do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Those that are nowhere: they are put back.
    pub back: Vec<u64>,
    /// Those whose copy stands in another queue: that is removed.
    pub moved: Vec<Found<u64>>,
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
            let reason = "not in this file".into();
            plan.outcome.skip(Skipped { uuid: None, key: Some(name.clone()), reason });
        }
        let (mut unsure, mut moved) = (Vec::new(), Vec::new());
        for (number, entry) in index.entries.iter().filter(|(_, entry)| !by_name || entry.named) {
            match (entry.standing, entry.restoring) {
                (Standing::Restored, _) => plan.skip(&index.saved(*number)?, RESTORED),
                (Standing::Taken, _) => plan.skip(&index.saved(*number)?, TAKEN),
                (Standing::Removed, false) => plan.back.push(*number),
                (Standing::Moved, false) => moved.push(*number),
                (Standing::Saved | Standing::Removed | Standing::Moved, _) => unsure.push(*number),
            }
        }
        plan.look(index, broker, job, &unsure, &mut moved, by_name).await?;
        plan.find_copies(index, broker, job, moved).await?;
        Ok(plan)
    }

    /// Looks for those of which nothing is sure, by their bytes and their delivery tags.
    async fn look(
        &mut self,
        index: &Index,
        broker: &dyn Broker,
        job: &Job,
        numbers: &[u64],
        moved: &mut Vec<u64>,
        by_name: bool,
    ) -> Result<()> {
        let mut unsure = BTreeMap::new();
        for number in numbers {
            let (saved, copies) = (index.saved(*number)?, index.copies(*number)?);
            let raws = copies.iter().map(|copy| &copy.raw.0).chain([&saved.raw.0]);
            let tags = raws.filter_map(|raw| TaskMessage::from_element(raw).delivery_tag).collect();
            unsure.insert(*number, Unsure { saved, copies, tags });
        }
        let held = held(broker, unsure.values().flat_map(|one| &one.tags)).await?;
        let there = standing(broker, job, unsure.values()).await?;
        for (number, one) in unsure {
            let entry = &index.entries[&number];
            let stands =
                |shelf: &Shelf, raw: &[u8]| there.contains(&(shelf.clone(), identity(raw)));
            if stands(&one.saved.shelf, &one.saved.raw.0) {
                self.settle(Record::Restored(vec![number]), &one.saved, THERE);
            } else if one.tags.iter().any(|tag| held.contains(tag)) {
                self.settle(Record::Taken(vec![number]), &one.saved, HELD);
            } else if one.copies.iter().any(|copy| stands(&copy.shelf, &copy.raw.0)) {
                self.copy_stands(number, entry, &one, moved);
            } else if !one.copies.is_empty() && entry.standing != Standing::Removed {
                self.settle(Record::Taken(vec![number]), &one.saved, TAKEN);
            } else if entry.restoring && !by_name {
                self.skip(&one.saved, UNCERTAIN);
            } else {
                self.back.push(number);
                self.outcome.warnings.push(Warning {
                    uuid: one.saved.uuid.clone(),
                    kind: "uncertain",
                    text: "nothing says whether a worker took it: it may run twice".into(),
                });
            }
        }
        self.back.sort_unstable();
        Ok(())
    }

    /// Its copy is in a queue: moved there, or put back there.
    fn copy_stands(&mut self, number: u64, entry: &Entry, one: &Unsure, moved: &mut Vec<u64>) {
        if entry.standing == Standing::Removed {
            self.settle(Record::Restored(vec![number]), &one.saved, RESTORED);
        } else {
            moved.push(number);
        }
    }

    /// Where the copies stand that are to be removed again.
    async fn find_copies(
        &mut self,
        index: &Index,
        broker: &dyn Broker,
        job: &Job,
        moved: Vec<u64>,
    ) -> Result<()> {
        let mut wanted: HashMap<(Shelf, Vec<u8>), u64> = HashMap::new();
        for number in &moved {
            for copy in index.copies(*number)? {
                wanted.insert((copy.shelf, identity(&copy.raw.0)), *number);
            }
        }
        let queues: BTreeSet<String> =
            wanted.keys().map(|(shelf, _)| shelf.queue.clone()).collect();
        for queue in queues {
            let stock = broker.stock(&queue).await?;
            let pick = |shelf: &Shelf, raw: &[u8]| wanted.remove(&(shelf.clone(), identity(raw)));
            self.moved.extend(find(broker, &stock, job, moved.len(), pick).await?);
        }
        let found: HashSet<u64> = self.moved.iter().map(|found| found.what).collect();
        for number in moved.into_iter().filter(|number| !found.contains(number)) {
            self.settle(Record::Taken(vec![number]), &index.saved(number)?, TAKEN);
        }
        Ok(())
    }

    fn settle(&mut self, fact: Record, saved: &Saved, reason: &'static str) {
        self.facts.push(fact);
        self.skip(saved, reason);
    }

    fn skip(&mut self, saved: &Saved, reason: &'static str) {
        self.outcome.skip(Skipped::of(saved, reason));
    }
}

/// By what a message is known again: a broker that delivers it once more changes its bytes, but not
/// its tag.
fn identity(raw: &[u8]) -> Vec<u8> {
    TaskMessage::from_element(raw).delivery_tag.map_or_else(|| raw.to_vec(), String::into_bytes)
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
        there.extend(find(broker, &stock, job, left, pick).await?.into_iter().map(|one| one.what));
    }
    Ok(there)
}
