//! What a filter says of one row.

use super::fields::{Field, Means};
use super::pattern::Pattern;
use super::{Answer, Filter, Term, Test};
use crate::state::observation::{Micros, seconds};
use crate::state::record::{Cell, Record};

/// What a filter says of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Verdict {
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// It lacks a field that the filter asks for; nothing else speaks against it.
    Undecided,
}

impl Filter {
    /// Judges one row at `now`.
    pub(in crate::state) fn verdict(&self, row: &impl Record, now: Micros) -> Verdict {
        let mut verdict = Verdict::Yes;
        for term in &self.terms {
            match term.verdict(row, now) {
                Verdict::Yes => {}
                Verdict::No => return Verdict::No,
                Verdict::Undecided => verdict = Verdict::Undecided,
            }
        }
        verdict
    }
}

impl Term {
    /// Judges one row at `now` by this term alone.
    pub fn verdict(&self, row: &impl Record, now: Micros) -> Verdict {
        match (self.test.asks(row, now), self.negated) {
            (Answer::Holds, false) | (Answer::Fails | Answer::Lacks, true) => Verdict::Yes,
            (Answer::Holds, true) | (Answer::Fails, false) => Verdict::No,
            (Answer::Lacks, false) | (Answer::Unreadable, _) => Verdict::Undecided,
        }
    }
}

impl Test {
    fn asks(&self, row: &impl Record, now: Micros) -> Answer {
        let seen = || match row.field("seen") {
            Some(Cell::Number(number)) => Some(seconds::to_micros(number)),
            _ => None,
        };
        let answer = match self {
            Test::Key(key) => Some(row.key() == key),
            Test::Anywhere(columns, pattern) => {
                let mut cells = columns.iter().filter_map(|column| row.field(column));
                Some(cells.any(|cell| cell.any(|text| pattern.matches(text))))
            }
            Test::Text(field, patterns) => {
                let mut cells =
                    field.columns.iter().filter_map(|column| row.field(column)).peekable();
                cells
                    .peek()
                    .is_some()
                    .then(|| cells.any(|cell| cell.any(|text| accepts(field, patterns, text))))
            }
            Test::Number(field, bounds) => match row.field(field.columns[0]) {
                Some(Cell::Number(number)) => Some(bounds.iter().any(|bound| bound.holds(number))),
                _ => None,
            },
            Test::Within(field, path, operands) => match row.field(field.columns[0]) {
                Some(Cell::Text(text)) => return super::within::asks(text, path, operands),
                _ => None,
            },
            Test::Since(moment) => seen().map(|seen| seen >= moment.at(now)),
            Test::Until(moment) => seen().map(|seen| seen <= moment.at(now)),
        };
        answer.map_or(Answer::Lacks, Answer::from)
    }
}

/// Does one of the patterns accept a value of this field? A worker is its whole host name or
/// either side of its `@`.
pub(super) fn accepts(field: &Field, patterns: &[Pattern], value: &str) -> bool {
    let any = |text: &str| patterns.iter().any(|pattern| pattern.matches(text));
    match (field.means, value.split_once('@')) {
        (Means::Worker, Some((name, host))) => any(value) || any(name) || any(host),
        _ => any(value),
    }
}
