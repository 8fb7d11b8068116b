//! Orders along bitmaps: one value after the other, or one stretch of values. A group is looked at
//! only where the groups before it do not fill the page.

use super::super::Store;
use super::super::facets::{NONE, stretch_of};
use super::super::key::Key;
use super::super::records::rounded;
use super::Ask;
use super::best::Best;
use crate::state::query::Sort;
use crate::state::record::Cell;
use roaring::RoaringBitmap;
use std::cmp::Ordering;

impl Store {
    /// One value after the other, in the order of their texts; within each by id.
    pub(super) fn by_facet(&self, ask: &Ask<'_>) -> Vec<u32> {
        let column = ask.sort.column;
        let Some(facet) = self.facet(column) else { return Vec::new() };
        let order = |a: Option<&str>, b: Option<&str>| {
            ask.sort.order(a.map(Cell::Text).as_ref(), b.map(Cell::Text).as_ref())
        };
        let mut values: Vec<(Option<&str>, &RoaringBitmap)> =
            facet.iter().map(|(value, tasks)| (self.text_of(column, value), tasks)).collect();
        values.sort_by(|a, b| order(a.0, b.0));
        let mut found = Vec::new();
        for alike in values.chunk_by(|a, b| a.0 == b.0) {
            let missing = ask.wanted - found.len();
            if missing == 0 {
                break;
            }
            let value = alike[0].0.map(Cell::Text);
            let after = ask.after.as_ref();
            let behind = match after.map(|at| ask.sort.order(value.as_ref(), at.value.as_ref())) {
                Some(Ordering::Less) => continue,
                Some(Ordering::Equal) => after.map(|at| Key::of(at.key)),
                Some(Ordering::Greater) | None => None,
            };
            let rows = alike.iter().flat_map(|(_, tasks)| ask.rows.among(tasks));
            found.extend(self.first_ids(rows, behind, missing));
        }
        found
    }

    /// The first of some rows in the order of their ids, behind one.
    fn first_ids(
        &self,
        rows: impl Iterator<Item = u32>,
        behind: Option<Key<'_>>,
        wanted: usize,
    ) -> impl Iterator<Item = u32> {
        let mut best = Best::new(wanted, |a: &(Key<'_>, u32), b| a.cmp(b));
        // Most ids are far from the first ones, which their beginnings tell.
        let (from, mut upto) = (behind.map_or(0, Key::lead), u32::MAX);
        for slot in rows {
            if !(from..=upto).contains(&self.records.lead(slot)) {
                continue;
            }
            let id = self.records.key(slot);
            if let Some(id) = id.filter(|id| behind.is_none_or(|behind| *id > behind)) {
                best.offer((id, slot));
                upto = best.bound().map_or(u32::MAX, |(_, slot)| self.records.lead(*slot));
            }
        }
        best.into_sorted().into_iter().map(|(_, slot)| slot)
    }

    /// One stretch of runtimes after the other; rows that have none come last, by id.
    pub(super) fn by_runtime(&self, ask: &Ask<'_>) -> Vec<u32> {
        let turn = |stretch: u32| match stretch {
            NONE => NONE,
            stretch if ask.sort.descending => u32::from(u16::MAX) - stretch,
            stretch => stretch,
        };
        let after = ask.after.as_ref().map(|place| match place.value {
            Some(Cell::Number(runtime)) => rounded(runtime),
            _ => f32::NAN,
        });
        let from = after.map_or(0, |runtime| turn(stretch_of(runtime)));
        let stretches = self.facets.runtime.iter().map(|(stretch, tasks)| (turn(stretch), tasks));
        let mut stretches: Vec<_> = stretches.filter(|(turn, _)| *turn >= from).collect();
        stretches.sort_unstable_by_key(|(turn, _)| *turn);
        let mut found = Vec::new();
        for (turn, tasks) in stretches {
            let missing = ask.wanted - found.len();
            let rows = ask.rows.among(tasks);
            if missing == 0 {
                break;
            } else if turn == NONE {
                let place = ask.after.as_ref().filter(|_| from == NONE);
                found.extend(self.first_ids(rows, place.map(|place| Key::of(place.key)), missing));
            } else {
                let after = after.filter(|_| turn == from);
                found.extend(self.first_runtimes(ask, rows, after, missing));
            }
        }
        found
    }

    /// The first of some rows that all have a runtime. Rounded ones decide all but ties.
    fn first_runtimes(
        &self,
        ask: &Ask<'_>,
        rows: impl Iterator<Item = u32>,
        after: Option<f32>,
        wanted: usize,
    ) -> impl Iterator<Item = u32> {
        let mut best = Best::new(wanted, |a: &(f32, u32), b: &(f32, u32)| {
            let by_rounded = order(ask.sort, a.0, b.0);
            by_rounded.then_with(|| self.compare_exactly(ask.sort, a.1, b.1))
        });
        for slot in rows {
            let runtime = self.records.runtime(slot);
            let behind = match after.map(|after| order(ask.sort, runtime, after)) {
                Some(Ordering::Equal) => self.is_behind(slot, ask),
                Some(by_rounded) => by_rounded == Ordering::Greater,
                None => true,
            };
            if behind {
                best.offer((runtime, slot));
            }
        }
        best.into_sorted().into_iter().map(|(_, slot)| slot)
    }
}

fn order(sort: Sort, a: f32, b: f32) -> Ordering {
    if sort.descending { b.total_cmp(&a) } else { a.total_cmp(&b) }
}
