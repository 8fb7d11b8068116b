//! Reading every task that matches, a stretch at a time, so that nobody waits for whoever reads a
//! million of them. What is left to be read is a bitmap, so each task comes once, however often it
//! changes meanwhile: news only move it further along the order that is walked.

use super::Store;
use super::search::Rows;
use crate::state::filter::{Filter, Verdict};
use crate::state::observation::Micros;
use crate::state::task::Task;
use roaring::RoaringBitmap;

/// Steps along the order in one stretch: those that do not match are passed by, but not for ever.
const STEPS: usize = 10_000;

/// A walk through all tasks that matched when it began, by the time of their newest news, oldest
/// first.
#[derive(Debug)]
pub struct Sweep {
    filter: Filter,
    /// Tasks that did not come yet.
    left: RoaringBitmap,
    /// What changed since then has to match anew.
    revision: u64,
    /// Where the walk goes on.
    from: (Micros, u32),
    undecided: u64,
}

impl Sweep {
    /// Tasks that did not come yet.
    pub fn left(&self) -> u64 {
        self.left.len()
    }

    /// Tasks that lacked a field which the filter asks for, when it began.
    pub fn undecided(&self) -> u64 {
        self.undecided
    }
}

impl Store {
    /// Begins a walk. `revision` is the state's.
    pub fn sweep(&self, filter: Filter, now: Micros, revision: u64) -> Sweep {
        let (rows, undecided) = self.matching(&filter, now);
        let left = match rows {
            Rows::All => self.facets.all.clone(),
            Rows::Some(rows) => rows,
        };
        Sweep { filter, left, revision, from: (Micros::MIN, 0), undecided }
    }

    /// Tells the next tasks until `tell` wants no more. `false`: there are no more.
    pub fn go_on(
        &self,
        sweep: &mut Sweep,
        now: Micros,
        mut tell: impl FnMut(Task) -> bool,
    ) -> bool {
        let mut wanted = true;
        for (steps, place) in self.order.from(sweep.from).enumerate() {
            if sweep.left.is_empty() {
                return false;
            }
            sweep.from = place;
            if !wanted || steps == STEPS {
                return true;
            }
            let (_, slot) = place;
            if sweep.left.remove(slot)
                && let Some(row) = self.records.row(slot, &self.names)
                && (row.head.revision <= sweep.revision
                    || sweep.filter.verdict(&row, now) == Verdict::Yes)
            {
                wanted = tell(*row.task(None));
            }
        }
        false
    }
}
