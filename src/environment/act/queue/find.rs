//! Finding messages in a queue by reading it page by page, and how far to go to remove them.
//!
//! Whoever takes messages from one end shifts the pages read from there, so a page may skip some. What
//! was not found from one end is therefore looked for from the other end too: what is put there only
//! makes us see messages twice.

use crate::broker::{Broker, Budget, End, Reach, Shelf, Stock};
use crate::environment::act::Job;
use crate::error::Result;
use std::sync::Arc;

/// How many messages may have come between, since one was found.
const SLACK: u64 = 1_000;

/// Messages on a shelf that may be looked through at once, within 5 ms.
const SHORT: u64 = 25_000;

/// What a message costs to be passed by, looking for another one: it is looked for, then removed.
const NANOSECONDS: u64 = 200;

/// A message that was found.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// As what.
    pub what: T,
    pub shelf: Arc<Shelf>,
    /// Messages between it and the next to run.
    pub position: u64,
    /// Messages on the shelf.
    length: u64,
}

impl<T> Found<T> {
    /// So many that stood behind it are gone since.
    pub fn with_fewer_behind(self, gone: u64) -> Self {
        Found { length: self.length.saturating_sub(gone).max(self.position + 1), ..self }
    }

    /// The end that is nearer.
    pub fn end(&self) -> End {
        if self.position * 2 <= self.length { End::Next } else { End::Last }
    }

    /// From where, and how far, it is to be looked for.
    pub fn reach(&self) -> Reach {
        let within = self.distance() + 1 + SLACK;
        Reach { from: self.end(), within: if self.length <= SHORT { SHORT } else { within } }
    }

    /// Milliseconds for which removing it keeps the broker from others.
    pub fn cost(&self) -> u64 {
        self.distance() * NANOSECONDS / 1_000_000
    }

    fn distance(&self) -> u64 {
        self.position.min(self.length.saturating_sub(self.position + 1))
    }
}

/// Reads a queue, first from the end where they are likely, until `wanted` messages are found that
/// `pick` takes, or it is through, or the job is told to stop.
///
/// # Errors
/// [`crate::Error::Broker`].
pub(super) async fn find<T>(
    broker: &dyn Broker,
    stock: &Stock,
    job: &Job,
    likely: End,
    mut wanted: usize,
    mut pick: impl FnMut(&Shelf, &[u8]) -> Option<T>,
) -> Result<Vec<Found<T>>> {
    let mut all = Vec::new();
    let other = if likely == End::Next { End::Last } else { End::Next };
    for from in [likely, other] {
        for (shelf, length) in &stock.shelves {
            let shelf = Arc::new(shelf.clone());
            let (mut at, mut budget) = (0, Budget::new(usize::MAX));
            while wanted > 0 && at < *length && !job.is_cancelled() {
                let page = broker.stretch(&shelf, from, at, budget.fitting().unwrap_or(1)).await?;
                if page.is_empty() {
                    break;
                }
                budget.spend(&page);
                for raw in page {
                    if wanted > 0
                        && let Some(what) = pick(&shelf, &raw)
                    {
                        wanted -= 1;
                        let position = match from {
                            End::Next => at,
                            End::Last => length.saturating_sub(at + 1),
                        };
                        let (shelf, length) = (Arc::clone(&shelf), *length);
                        all.push(Found { what, shelf, position, length });
                    }
                    at += 1;
                }
            }
        }
    }
    Ok(all)
}
