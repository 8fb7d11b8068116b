//! Where the copies of moved messages stand now. They are looked for a stretch of messages at a time,
//! from the end at which a move puts them: what is held does not grow with the file.

use super::plan::identity;
use crate::broker::{Broker, End, Shelf};
use crate::environment::act::Job;
use crate::environment::act::queue::find::{Found, find};
use crate::environment::act::recovery::Reader;
use crate::error::Result;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// Messages whose copies are looked for at once.
pub(super) const STRETCH: usize = 200_000;

/// A copy that was found.
#[derive(Debug)]
pub(super) struct Standing {
    /// The message's number.
    pub number: u32,
    /// Its bytes, where they are not those that were put there.
    raw: Option<Box<[u8]>>,
}

impl Standing {
    /// Its bytes.
    ///
    /// # Errors
    /// As [`Reader::kept`].
    pub fn raw(&self, reader: &mut Reader<'_>, shelf: &Shelf) -> Result<Vec<u8>> {
        if let Some(raw) = &self.raw {
            return Ok(raw.to_vec());
        }
        let copies = &reader.kept(self.number)?.copies;
        let copy = copies.iter().rev().find(|copy| copy.shelf == *shelf);
        Ok(copy.map(|copy| copy.raw.0.clone()).unwrap_or_default())
    }
}

/// What is looked for on one shelf: by what a copy is known again, whose it is, and a digest of the
/// bytes that were put there.
type Wanted = HashMap<Uuid, (u32, u64)>;

/// Finds the copies of these messages. Which is on no shelf is answered, too, unless the job was told to
/// stop.
pub(super) async fn find_copies(
    broker: &dyn Broker,
    job: &Job,
    reader: &mut Reader<'_>,
    numbers: &[u32],
) -> Result<(Vec<Found<Standing>>, Vec<u32>)> {
    let (mut wanted, bytes) = (HashMap::<Shelf, Wanted>::new(), RandomState::new());
    for number in numbers {
        for copy in &reader.kept(*number)?.copies {
            let shelf = match wanted.get_mut(&copy.shelf) {
                Some(shelf) => shelf,
                None => wanted.entry(copy.shelf.clone()).or_default(),
            };
            let raw = &copy.raw.0;
            shelf.insert(digest(&identity(raw)), (*number, bytes.hash_one(raw)));
        }
    }
    let queues: HashSet<String> = wanted.keys().map(|shelf| shelf.queue.clone()).collect();
    let mut all = Vec::new();
    for queue in queues {
        let stock = broker.stock(&queue).await?;
        let pick = |shelf: &Shelf, raw: &[u8]| {
            let (number, put) = wanted.get_mut(shelf)?.remove(&digest(&identity(raw)))?;
            let raw = (bytes.hash_one(raw) != put).then(|| raw.into());
            Some(Standing { number, raw })
        };
        let left = numbers.len() - all.len().min(numbers.len());
        all.extend(find(broker, &stock, job, End::Last, left, pick).await?);
    }
    if job.is_cancelled() {
        return Ok((all, Vec::new()));
    }
    let found: HashSet<u32> = all.iter().map(|found| found.what.number).collect();
    let gone = numbers.iter().copied().filter(|number| !found.contains(number)).collect();
    Ok((all, gone))
}

fn digest(bytes: &[u8]) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes)
}
