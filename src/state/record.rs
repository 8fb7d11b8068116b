//! What lists are about, and what filters and sorts know of one record.

use std::cmp::Ordering;

/// Which records a list or feed is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    /// Tasks.
    Task,
    /// Registered or seen task names.
    Name,
    /// Workers.
    Worker,
    /// Queues.
    Queue,
    /// Environments: of one each tells itself, no cluster's state holds any.
    Environment,
}

/// What a record shows in one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// A text.
    Text(&'a str),
    /// A number; times are Unix seconds.
    Number(f64),
    /// Several texts.
    List(Vec<&'a str>),
}

/// What filters and sorts know of a record.
pub trait Record {
    /// Its key: unique, stable.
    fn key(&self) -> &str;
    /// Another one after each change.
    fn revision(&self) -> u64;
    /// One column by its name in the protocol; absent facts are `None`.
    fn field(&self, name: &str) -> Option<Cell<'_>>;
}

impl Cell<'_> {
    /// Does any text of it satisfy `test`? A number has none.
    pub fn any(&self, test: impl Fn(&str) -> bool) -> bool {
        match self {
            Cell::Text(text) => test(text),
            Cell::Number(_) => false,
            Cell::List(texts) => texts.iter().any(|text| test(text)),
        }
    }

    pub(super) fn compare(&self, other: &Cell<'_>) -> Ordering {
        match (self, other) {
            (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::List(a), Cell::List(b)) => a.cmp(b),
            (Cell::Number(_), _) | (Cell::Text(_), Cell::List(_)) => Ordering::Less,
            (Cell::List(_), _) | (Cell::Text(_), Cell::Number(_)) => Ordering::Greater,
        }
    }
}
