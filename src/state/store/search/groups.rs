//! Orders along bitmaps: one value after the other, or one stretch of values. A group is looked at
//! only where the groups before it do not fill the page.

use super::super::Store;
use super::super::facets::{Facet, NONE, stretch_of};
use super::super::key::Key;
use super::super::records::ordered;
use super::best::Best;
use super::matches::Rows;
use super::{Ask, ValueOf};
use crate::state::record::Cell;
use roaring::RoaringBitmap;
use std::cmp::Ordering;

/// Where rows have no more values than these, other values are not looked at.
const FEW: usize = 4;

impl Store {
    /// One value after the other, in the order of their texts; within each by id.
    pub(super) fn by_facet(&self, ask: &Ask<'_>) -> Vec<u32> {
        let column = ask.sort.column;
        let Some((facet, of)) = self.facet(column) else { return Vec::new() };
        let order = |a: Option<&str>, b: Option<&str>| {
            ask.sort.order(a.map(Cell::Text).as_ref(), b.map(Cell::Text).as_ref())
        };
        let few = match ask.rows {
            Rows::All => None,
            Rows::Some(rows) => self.values_of(rows, facet, of),
        };
        let there = |value: u32| few.as_ref().is_none_or(|few| few.contains(&value));
        let values = facet.iter().filter(|(value, _)| there(*value));
        let mut values: Vec<(Option<&str>, &RoaringBitmap)> =
            values.map(|(value, tasks)| (self.text_of(column, value), tasks)).collect();
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

    /// The values of some rows, where they are few.
    fn values_of(&self, rows: &RoaringBitmap, facet: &Facet, of: ValueOf) -> Option<Vec<u32>> {
        let mut values = Vec::new();
        let mut left = rows.clone();
        while let Some(slot) = left.min() {
            if values.len() == FEW {
                return None;
            }
            let value = of(&self.records.head(slot)?.values);
            left -= facet.get(value)?;
            values.push(value);
        }
        Some(values)
    }

    /// One stretch of runtimes after the other; rows that have none come last, by id.
    pub(super) fn by_runtime(&self, ask: &Ask<'_>) -> Vec<u32> {
        let turn = |stretch: u32| match stretch {
            NONE => NONE,
            stretch if ask.sort.descending => u32::from(u16::MAX) - stretch,
            stretch => stretch,
        };
        let after = ask.after.as_ref().map(|place| match place.value {
            Some(Cell::Number(runtime)) => ordered(runtime),
            _ => f64::NAN,
        });
        let from = after.map_or(0, |runtime| turn(stretch_of(runtime)));
        let stretches = self.facets.runtime.iter().map(|(stretch, tasks)| (turn(stretch), tasks));
        let mut stretches: Vec<_> = stretches.filter(|(turn, _)| *turn >= from).collect();
        stretches.sort_unstable_by_key(|(turn, _)| *turn);
        let mut found = Vec::new();
        for (turn, tasks) in stretches {
            let missing = ask.wanted - found.len();
            if missing == 0 {
                break;
            }
            let rows = ask.rows.among(tasks);
            let place = ask.after.as_ref().filter(|_| turn == from);
            let behind = place.map(|place| Key::of(place.key));
            if turn == NONE {
                found.extend(self.first_ids(rows, behind, missing));
            } else {
                let after = after.zip(behind);
                found.extend(self.first_runtimes(rows, after, missing, ask.sort.descending));
            }
        }
        found
    }

    /// The first of some rows that all have a runtime, behind one; ties by id.
    fn first_runtimes(
        &self,
        rows: impl Iterator<Item = u32>,
        after: Option<(f64, Key<'_>)>,
        wanted: usize,
        descending: bool,
    ) -> impl Iterator<Item = u32> {
        let order = |a: f64, b: f64| if descending { b.total_cmp(&a) } else { a.total_cmp(&b) };
        let by_id = |a: u32, b: u32| {
            let by_lead = self.records.lead(a).cmp(&self.records.lead(b));
            by_lead.then_with(|| self.records.key(a).cmp(&self.records.key(b)))
        };
        let compare =
            |a: &(f64, u32), b: &(f64, u32)| order(a.0, b.0).then_with(|| by_id(a.1, b.1));
        let mut best = Best::new(wanted, compare);
        for slot in rows {
            let runtime = self.records.runtime(slot);
            let behind = after.is_none_or(|(after, id)| {
                let by_runtime = order(runtime, after);
                by_runtime.then_with(|| self.records.key(slot).cmp(&Some(id))) == Ordering::Greater
            });
            if behind {
                best.offer((runtime, slot));
            }
        }
        best.into_sorted().into_iter().map(|(_, slot)| slot)
    }
}
