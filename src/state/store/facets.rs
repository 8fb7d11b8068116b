//! Which tasks have which value in the columns of few distinct values, as bitmaps over slots. Every
//! task is in exactly one bitmap of each facet: the one of its value, or of having none.

use super::names::NameId;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

/// The value of a task that lacks it.
pub const NONE: u32 = u32::MAX;

/// What a task shows in each facet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The state's code and what is drawn instead; see [`super::records`].
    pub state: u32,
    pub place: u32,
    pub name: NameId,
    pub queue: NameId,
    pub worker: NameId,
}

/// One column.
#[derive(Debug, Default)]
pub struct Facet {
    by_value: HashMap<u32, RoaringBitmap, RandomState>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Facets {
    /// Every task.
    pub all: RoaringBitmap,
    pub state: Facet,
    pub place: Facet,
    pub name: Facet,
    pub queue: Facet,
    pub worker: Facet,
    /// By [stretches](stretch_of) of values.
    pub runtime: Facet,
}

impl Facet {
    /// The tasks of a value.
    pub fn get(&self, value: u32) -> Option<&RoaringBitmap> {
        self.by_value.get(&value)
    }

    /// How many tasks have a value.
    pub fn count(&self, value: u32) -> u64 {
        self.get(value).map_or(0, RoaringBitmap::len)
    }

    /// Every value that some task has, or [`NONE`], with the tasks.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &RoaringBitmap)> {
        self.by_value.iter().map(|(value, tasks)| (*value, tasks))
    }

    /// Moves a task from its former value to its new one.
    pub fn shift(&mut self, slot: u32, before: Option<u32>, after: Option<u32>) {
        if before == after {
            return;
        }
        if let Some(value) = before
            && let Some(tasks) = self.by_value.get_mut(&value)
        {
            tasks.remove(slot);
            if tasks.is_empty() {
                self.by_value.remove(&value);
            }
        }
        if let Some(value) = after {
            self.by_value.entry(value).or_default().insert(slot);
        }
    }
}

impl Facets {
    /// Moves a task from its former values to its new ones.
    pub fn shift(&mut self, slot: u32, before: Option<Values>, after: Option<Values>) {
        let Facets { all, state, place, name, queue, worker, runtime: _ } = self;
        if before.is_none() {
            all.insert(slot);
        } else if after.is_none() {
            all.remove(slot);
        }
        let of = |value: fn(Values) -> u32| (before.map(value), after.map(value));
        for (facet, (before, after)) in [
            (state, of(|values| values.state)),
            (place, of(|values| values.place)),
            (name, of(|values| values.name)),
            (queue, of(|values| values.queue)),
            (worker, of(|values| values.worker)),
        ] {
            facet.shift(slot, before, after);
        }
    }
}

/// The stretch of runtimes that one lies in, in their order: 16 from each power of two to the next.
pub fn stretch_of(runtime: f64) -> u32 {
    let bits = runtime.to_bits();
    let ordered = if runtime.is_sign_negative() { !bits } else { bits | 1 << 63 };
    if runtime.is_nan() { NONE } else { (ordered >> 48) as u32 }
}
