//! The filter language: text → [`Filter`] → a verdict on each row. Pure.
//!
//! ```text
//! filter = { term }                          all of them must hold
//! term   = [ "!" ] ( field ":" value { "," value } | word )
//! field  = name | ( "args" | "kwargs" | "result" ) "." key { "." key }
//! value  = quoted | expression | characters without blank or comma; "*" stands for any text
//! word   = quoted | expression | characters without blank; a uuid means that very task
//! quoted = '"' … '"', in which \" and \\ are escapes    expression = "/" … "/" [ "i" ]
//! ```
//!
//! The way of a text: [`scan`] cuts it into tokens, [`read`] gives each its meaning by the noun's
//! [`fields`], [`judge`] asks rows, [`mod@print`] writes it again, [`hint`] finds what is probably not
//! what was meant, [`complete`] what the word under a cursor may become.
//!
//! A store that answers from indexes takes a filter apart by [`Term::facet`]: a term that has one
//! is decided by the few distinct values of a column (state, place, name, worker, queue), so by a
//! union of their bitmaps; [`Test::Since`] and [`Test::Until`] are a stretch of the order by `seen`;
//! what is left, text and comparisons, is the residue, judged row by row with [`Term::verdict`].

use super::Noun;
use crate::error::{Error, Result};
use jiff::tz::TimeZone;

pub mod complete;
mod fields;
mod hint;
mod judge;
mod needle;
mod number;
mod pattern;
mod print;
mod read;
mod scan;
mod time;
mod within;

pub use fields::field_names;
pub use hint::Hint;
pub(super) use judge::Verdict;

use fields::Field;
use number::Bound;
pub(super) use pattern::Pattern;
use time::Moment;

/// Characters of filter text at most: over a thousand ids.
const LONGEST: usize = 1 << 16;

/// A parsed filter. The empty one matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    pub(super) terms: Vec<Term>,
}

/// One condition; all of a filter's must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    /// `!`: holds where the test fails, and where the row lacks the field.
    pub negated: bool,
    pub test: Test,
}

/// What a term asks of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// The record whose key this is.
    Key(String),
    /// Any of the noun's text columns holds it.
    Anywhere(&'static [&'static str], Pattern),
    /// One of the field's columns has one of the texts. A facet, unless the field is free text.
    Text(&'static Field, Vec<Pattern>),
    /// The field's number lies within one of the bounds.
    Number(&'static Field, Vec<Bound>),
    /// The value under these keys, inside the field's display text.
    Within(&'static Field, Vec<String>, Vec<within::Operand>),
    /// `seen` is not before.
    Since(Moment),
    /// `seen` is not after.
    Until(Moment),
}

/// A test that depends on nothing but the distinct values of a few columns. A row holds where one
/// of its values in `columns` is [accepted](Facet::accepts), and is undecided where it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facet<'a> {
    /// Names of the record's columns, e.g. `state` and `drawn`.
    pub columns: &'static [&'static str],
    field: &'static Field,
    patterns: &'a [Pattern],
}

impl Facet<'_> {
    /// Does a row match that has this value?
    pub fn accepts(&self, value: &str) -> bool {
        judge::accepts(self.field, self.patterns, value)
    }
}

impl Term {
    /// The facet that decides this term, where one does.
    pub fn facet(&self) -> Option<Facet<'_>> {
        match &self.test {
            Test::Text(field, patterns) if field.is_facet() => {
                Some(Facet { columns: field.columns, field, patterns })
            }
            _ => None,
        }
    }
}

impl Filter {
    /// Parses filter text for rows of `noun`. Dates without an offset are in `zone`.
    ///
    /// # Errors
    /// [`Error::Filter`] with the position (characters from 0) of what is wrong.
    pub fn parse(text: &str, noun: Noun, zone: &TimeZone) -> Result<Filter> {
        if text.chars().nth(LONGEST).is_some() {
            return Err(mistake(
                LONGEST,
                format!("the end: a filter has {LONGEST} characters at most"),
            ));
        }
        let known = |head: &scan::Head| fields::find(noun, &head.name, head.at).map(drop);
        let tokens = scan::tokens(text, known)?;
        let terms = tokens.into_iter().map(|token| Term::read(token, noun, zone));
        Ok(Filter { terms: terms.collect::<Result<_>>()? })
    }

    /// It matches everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// It depends on the time at which it is asked, so its rows change by themselves.
    pub fn depends_on_now(&self) -> bool {
        self.terms.iter().any(|term| {
            matches!(term.test, Test::Since(Moment::Ago(_)) | Test::Until(Moment::Ago(_)))
        })
    }
}

/// What a test says of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Holds,
    Fails,
    /// The row lacks the field: a negated test holds.
    Lacks,
    /// It has the field, and what is asked for was cut off or cannot be read.
    Unreadable,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Answer {
        if holds { Answer::Holds } else { Answer::Fails }
    }
}

fn mistake(position: usize, expected: impl Into<String>) -> Error {
    Error::Filter { position, expected: expected.into() }
}

#[cfg(test)]
mod tests;
