//! Queries answered from indexes: which tasks match ([`matches`](mod@matches)), and the first of
//! them in an order ([`Store::first`]) by whichever index is cheapest, e.g. [`groups`]. Sort, cursor and verdicts
//! mean what [`query`](crate::state::query) and the filter say; only the way there is another.

mod best;
mod groups;
mod matches;

pub(super) use matches::{Cache, Rows};

use super::Store;
use super::facets::{Facet, Facets, NONE, Values};
use super::head::state_word;
use super::key::Key;
use super::row::Row;
use crate::error::Result;
use crate::state::observation::{Micros, seconds};
use crate::state::query::{Cursor, Page, Place, Query, Sort};
use crate::state::record::{Cell, Record};
use crate::state::task::Place as TaskPlace;
use best::Best;
use std::cmp::Ordering;

/// Looking a row up by its slot costs about so many steps along an order.
const LOOK_UP: u64 = 4;

/// The first rows of an order: behind a place, and no more than so many.
struct Ask<'a> {
    rows: &'a Rows,
    sort: Sort,
    after: Option<Place<'a>>,
    wanted: usize,
}

/// A row's value in a facet.
type ValueOf = fn(&Values) -> u32;

/// A value that outlives its row.
enum Value {
    Text(Box<str>),
    Number(f64),
}

impl Store {
    /// The window of a query.
    pub fn window(&self, query: &Query, sort: Sort, now: Micros) -> Result<Page> {
        let cursor = query.cursor.as_deref().map(|text| Cursor::read(text, sort)).transpose()?;
        let (rows, undecided) = self.matching(&query.filter, now);
        let total = rows.len(self);
        let end = query.offset.saturating_add(query.limit);
        let after = cursor.as_ref().map(Cursor::place);
        let wanted = end.saturating_add(1);
        let mut slots = self.first(&Ask { rows: &rows, sort, after, wanted });
        let more = slots.len() > end;
        slots.truncate(end);
        let row = |slot: u32| self.records.row(slot, &self.names);
        let last = slots.last().filter(|_| more).and_then(|slot| row(*slot));
        let cursor = last.and_then(|row| {
            Cursor::at(sort, &Place { value: row.field(sort.column), key: row.key() }).write()
        });
        let shown = slots.into_iter().skip(query.offset).filter_map(row);
        let keys = shown.map(|row| (row.key().to_owned(), row.head.revision)).collect();
        Ok(Page { keys, total, exact: true, cursor, undecided })
    }

    fn first(&self, ask: &Ask<'_>) -> Vec<u32> {
        match ask.sort.column {
            _ if ask.rows.len(self) == 0 => Vec::new(),
            "seen" if self.walks(ask) => self.by_time(ask),
            "state" | "place" | "name" | "queue" | "worker" => self.by_facet(ask),
            "runtime" => self.by_runtime(ask),
            _ => self.by_value(ask),
        }
    }

    /// Going along the order by time until enough match is cheaper than looking at all that match.
    fn walks(&self, ask: &Ask<'_>) -> bool {
        let (all, matching) = (self.len() as u64, ask.rows.len(self));
        let steps = (ask.wanted as u64).min(matching).saturating_mul(all) / matching.max(1);
        steps <= matching.saturating_mul(LOOK_UP)
    }

    fn by_time(&self, ask: &Ask<'_>) -> Vec<u32> {
        let after = ask.after.as_ref().and_then(|place| match place.value {
            Some(Cell::Number(seen)) => Some((seconds::to_micros(seen), Key::of(place.key))),
            _ => None,
        });
        let from = after.map(|(seen, _)| seen);
        if ask.sort.descending {
            self.walk(ask, self.order.newest(from.unwrap_or(Micros::MAX)), after)
        } else {
            self.walk(ask, self.order.oldest(from.unwrap_or(Micros::MIN)), after)
        }
    }

    /// Rows of one time come in any order; they belong in that of their ids.
    fn walk(
        &self,
        ask: &Ask<'_>,
        order: impl Iterator<Item = (Micros, u32)>,
        after: Option<(Micros, Key<'_>)>,
    ) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        let mut order = order.peekable();
        while found.len() < ask.wanted
            && let Some((seen, _)) = order.peek().copied()
        {
            let behind = after.filter(|(at, _)| *at == seen).map(|(_, key)| key);
            let mut ids: Vec<(Key<'_>, u32)> = Vec::new();
            while let Some((_, slot)) = order.next_if(|(at, _)| *at == seen) {
                if ask.rows.contains(slot)
                    && let Some(id) = self.records.key(slot)
                    && behind.is_none_or(|behind| id > behind)
                {
                    ids.push((id, slot));
                }
            }
            ids.sort_unstable();
            found.extend(ids.into_iter().map(|(_, slot)| slot));
        }
        found.truncate(ask.wanted);
        found
    }

    /// The facet of a column, and a row's value in it.
    fn facet(&self, column: &str) -> Option<(&Facet, ValueOf)> {
        let Facets { state, place, name, queue, worker, .. } = &self.facets;
        Some(match column {
            "state" => (state, |values| values.state),
            "place" => (place, |values| values.place),
            "name" => (name, |values| values.name),
            "queue" => (queue, |values| values.queue),
            "worker" => (worker, |values| values.worker),
            _ => return None,
        })
    }

    /// The text of a value in the facet of a column.
    fn text_of(&self, column: &str, value: u32) -> Option<&str> {
        match column {
            _ if value == NONE => None,
            "state" => Some(state_word(value, &self.names)),
            "place" => {
                let place = u8::try_from(value).ok().and_then(TaskPlace::from_code);
                place.map(TaskPlace::as_str)
            }
            _ => Some(self.names.text(value)),
        }
    }

    /// It comes behind the place that is asked for.
    fn is_behind(&self, slot: u32, ask: &Ask<'_>) -> bool {
        let Some(after) = &ask.after else { return true };
        let Some(row) = self.records.row(slot, &self.names) else { return false };
        ask.stands(&row, after.value.as_ref(), || Key::of(after.key)) == Ordering::Greater
    }

    /// Looks at every row that matches.
    fn by_value(&self, ask: &Ask<'_>) -> Vec<u32> {
        let id = |slot: &u32| self.records.key(*slot);
        let compare = |a: &(Option<Value>, u32), b: &(Option<Value>, u32)| {
            let (x, y) = (a.0.as_ref().map(Value::cell), b.0.as_ref().map(Value::cell));
            let by_value = ask.sort.order(x.as_ref(), y.as_ref());
            by_value.then_with(|| id(&a.1).cmp(&id(&b.1)))
        };
        let mut best = Best::new(ask.wanted, compare);
        for slot in ask.rows.iter(self) {
            let Some(row) = self.records.row(slot, &self.names) else { continue };
            let admitted = best.bound().is_none_or(|(value, bound)| {
                let value = value.as_ref().map(Value::cell);
                let key = || id(bound).unwrap_or(Key::Text(""));
                ask.stands(&row, value.as_ref(), key) == Ordering::Less
            });
            if admitted && self.is_behind(slot, ask) {
                best.offer((row.field(ask.sort.column).and_then(Value::of), slot));
            }
        }
        best.into_sorted().into_iter().map(|(_, slot)| slot).collect()
    }
}

impl Ask<'_> {
    /// Where a row stands to a place of this order.
    fn stands<'k>(
        &self,
        row: &Row<'_>,
        value: Option<&Cell<'_>>,
        key: impl FnOnce() -> Key<'k>,
    ) -> Ordering {
        let by_value = self.sort.order(row.field(self.sort.column).as_ref(), value);
        by_value.then_with(|| row.id().cmp(&key()))
    }
}

impl Value {
    /// Tasks have no column that is a list.
    fn of(cell: Cell<'_>) -> Option<Value> {
        match cell {
            Cell::Text(text) => Some(Value::Text(text.into())),
            Cell::Number(number) => Some(Value::Number(number)),
            Cell::List(_) => None,
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Text(text) => Cell::Text(text),
            Value::Number(number) => Cell::Number(*number),
        }
    }
}
