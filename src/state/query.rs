//! Sort, window and cursor over rows that a [`Filter`] lets through. Pure.

use super::filter::{Filter, Verdict};
use super::observation::Micros;
use super::record::{Cell, Noun, Record};
use crate::error::{Error, Result, nearest};
use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One list or feed: which rows, in which order, from where.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The empty filter shows everything.
    pub filter: Filter,
    /// `None` is the noun's default order: tasks newest first, others by name.
    pub sort: Option<Sort>,
    /// Rows at most.
    pub limit: usize,
    /// Rows skipped (after the cursor, where there is one).
    pub offset: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// An order. Rows without the column come last in both directions; ties are in order of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub(super) column: &'static str,
    pub(super) descending: bool,
}

/// A window over the rows that match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Keys in order, each with the revision of its record.
    pub keys: Vec<(String, u64)>,
    /// Rows that match.
    pub total: u64,
    /// `total` is no bound and no sample.
    pub exact: bool,
    /// Where the next page starts; absent on the last.
    pub cursor: Option<String>,
    /// Rows that lack the field the filter asks for.
    pub undecided: u64,
}

/// Columns that sort, by noun. The first is the default.
fn columns(noun: Noun) -> &'static [&'static str] {
    match noun {
        Noun::Task => &[
            "seen",
            "uuid",
            "name",
            "state",
            "place",
            "args",
            "kwargs",
            "queue",
            "worker",
            "sent",
            "received",
            "started",
            "succeeded",
            "failed",
            "retried",
            "revoked",
            "rejected",
            "finished",
            "eta",
            "expires",
            "runtime",
            "retries",
            "result",
            "exception",
            "root_id",
            "parent_id",
            "group_id",
        ],
        Noun::Name => &["name", "tasks"],
        Noun::Worker => &[
            "hostname",
            "status",
            "pool",
            "concurrency",
            "active",
            "reserved",
            "processed",
            "failed",
            "runtime",
            "loadavg",
            "cpu",
            "memory",
            "pid",
            "started",
            "heartbeats",
            "skew",
            "queues",
            "events",
        ],
        Noun::Queue => &[
            "name",
            "messages",
            "unacked",
            "consumers",
            "incoming_rate",
            "outgoing_rate",
            "net_rate",
            "oldest",
            "workers",
        ],
        Noun::Environment => &[
            "name",
            "status",
            "transport",
            "url",
            "url_from",
            "events",
            "workers",
            "tasks",
            "queues",
            "active",
            "queued",
            "received",
        ],
    }
}

impl Sort {
    /// Parses `"name"`, `"-seen"`; the empty text is the noun's default order.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] for a column that the noun does not have; names the nearest.
    pub fn parse(text: &str, noun: Noun) -> Result<Sort> {
        let descending = text.starts_with('-');
        let name = text.strip_prefix('-').unwrap_or(text);
        if text.is_empty() {
            return Ok(Sort::of(noun));
        }
        let known = columns(noun);
        if let Some(column) = known.iter().find(|column| **column == name) {
            return Ok(Sort { column, descending });
        }
        let expected = match nearest(name, known.iter().copied()) {
            Some(column) => format!("did you mean `{column}`?"),
            None => format!("expected one of: {}", known.join(", ")),
        };
        Err(Error::InvalidParams(format!("unknown sort column `{name}`, {expected}")))
    }

    /// The column that orders, by its name in the protocol.
    pub fn column(self) -> &'static str {
        self.column
    }

    /// The greatest first.
    pub fn descending(self) -> bool {
        self.descending
    }

    /// The noun's default order.
    pub fn of(noun: Noun) -> Sort {
        Sort { column: columns(noun)[0], descending: noun == Noun::Task }
    }

    fn compare(self, a: &Place<'_>, b: &Place<'_>) -> Ordering {
        self.order(a.value.as_ref(), b.value.as_ref()).then_with(|| a.key.cmp(b.key))
    }

    /// The order of two values, ties aside.
    pub(super) fn order(self, a: Option<&Cell<'_>>, b: Option<&Cell<'_>>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if self.descending => b.compare(a),
            (Some(a), Some(b)) => a.compare(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }

    fn text(self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

/// Where a row stands in an order.
pub(super) struct Place<'a> {
    pub value: Option<Cell<'a>>,
    pub key: &'a str,
}

/// A cursor: the place after which the next page starts. It names no row, so it outlives its row.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cursor {
    sort: String,
    text: Option<String>,
    list: Option<Vec<String>>,
    number: Option<f64>,
    key: String,
}

impl Cursor {
    pub fn at(sort: Sort, place: &Place<'_>) -> Cursor {
        let mut cursor = Cursor {
            sort: sort.text(),
            text: None,
            list: None,
            number: None,
            key: place.key.into(),
        };
        match &place.value {
            Some(Cell::Text(text)) => cursor.text = Some((*text).to_owned()),
            Some(Cell::Number(number)) => cursor.number = Some(*number),
            Some(Cell::List(list)) => {
                cursor.list = Some(list.iter().map(|text| (*text).to_owned()).collect());
            }
            None => {}
        }
        cursor
    }

    /// The place after which the next page starts.
    pub fn place(&self) -> Place<'_> {
        let number = self.number.map(Cell::Number);
        let text = self.text.as_deref().map(Cell::Text);
        let list = || Cell::List(self.list.iter().flatten().map(String::as_str).collect());
        let value = number.or(text).or_else(|| self.list.is_some().then(list));
        Place { value, key: &self.key }
    }

    /// As a client keeps it.
    pub fn write(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|json| URL_SAFE_NO_PAD.encode_to_string(json))
    }

    /// # Errors
    /// [`Error::InvalidParams`] where it is none of ours for this order.
    pub fn read(text: &str, sort: Sort) -> Result<Cursor> {
        let bad = || Error::InvalidParams("cursor: it is none of ours for this order".into());
        let json = URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| bad())?;
        let cursor: Cursor = serde_json::from_slice(&json).map_err(|_| bad())?;
        if cursor.sort == sort.text() { Ok(cursor) } else { Err(bad()) }
    }
}

/// The window of a query over `rows`, which come in any order.
///
/// # Errors
/// [`Error::InvalidParams`] where the cursor is none of ours for this order.
pub fn window<'a, R: Record + 'a>(
    rows: impl Iterator<Item = &'a R>,
    query: &Query,
    sort: Sort,
    now: Micros,
) -> Result<Page> {
    let cursor = query.cursor.as_deref().map(|text| Cursor::read(text, sort)).transpose()?;
    let from = cursor.as_ref().map(Cursor::place);
    let mut page = Page { exact: true, ..Page::default() };
    let mut places = Vec::new();
    for row in rows {
        if !page.count(query.filter.verdict(row, now)) {
            continue;
        }
        let place = Place { value: row.field(sort.column), key: row.key() };
        let after = |from| sort.compare(&place, from) == Ordering::Greater;
        if from.as_ref().is_none_or(after) {
            places.push((place, row.revision()));
        }
    }
    let end = query.offset.saturating_add(query.limit);
    let more = places.len() > end;
    if more {
        // The rows before the window's end come first, in any order; only they are sorted.
        places.select_nth_unstable_by(end, |a, b| sort.compare(&a.0, &b.0));
        places.truncate(end);
    }
    places.sort_unstable_by(|a, b| sort.compare(&a.0, &b.0));
    let last = places.last().filter(|_| more);
    page.cursor = last.and_then(|(last, _)| Cursor::at(sort, last).write());
    let shown = places.into_iter().skip(query.offset);
    page.keys = shown.map(|(place, revision)| (place.key.to_owned(), revision)).collect();
    Ok(page)
}

impl Page {
    /// Counts one row, and answers whether it matches.
    fn count(&mut self, verdict: Verdict) -> bool {
        self.total += u64::from(verdict == Verdict::Yes);
        self.undecided += u64::from(verdict == Verdict::Undecided);
        verdict == Verdict::Yes
    }
}

#[cfg(test)]
mod tests;
