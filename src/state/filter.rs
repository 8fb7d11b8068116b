//! The filter language: text → [`Filter`] → a verdict on each row. Pure.
//!
//! ```text
//! filter = { term }                       all of them must hold
//! term   = [ "!" ] ( field ":" value { "," value } | word )
//! value  = quoted | characters without blank or comma; "*" stands for any text
//! word   = quoted | characters without blank; a uuid means that very task
//! ```
//!
//! A negated term also matches rows that lack the field; a plain one leaves them undecided.

use super::Noun;
use super::observation::{Micros, seconds};
use super::query::{Cell, Record};
use crate::error::{Error, Result};
use jiff::tz::TimeZone;

mod fields;
mod pattern;
mod scan;

pub use fields::field_names;

use fields::{Field, Means};
use pattern::{Pattern, Reach};
use scan::{Piece, Token};

/// A parsed filter. The empty one matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

/// What a filter says of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// It lacks a field that the filter asks for; nothing else speaks against it.
    Undecided,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// The record whose key this is.
    Key(String),
    /// Any text field of the noun holds it.
    Anywhere(&'static [&'static str], Pattern),
    /// One of the named fields (the first is the one that may be lacking) has one of the texts.
    Text(&'static [&'static str], Vec<Pattern>),
    /// The whole host name, or either side of its `@`.
    Worker(&'static str, Vec<Pattern>),
    Number(&'static str, Vec<(Comparison, f64)>),
    Since(Moment),
    Until(Moment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A time, or a distance from whenever the filter is asked, both in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    At(Micros),
    Ago(Micros),
}

impl Filter {
    /// Parses filter text for rows of `noun`. Dates without an offset are in `zone`.
    ///
    /// # Errors
    /// [`Error::Filter`] with the position (characters from 0) of what is wrong.
    pub fn parse(text: &str, noun: Noun, zone: &TimeZone) -> Result<Filter> {
        let tokens = scan::tokens(text)?;
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

    /// Judges one row at `now`.
    pub(super) fn verdict(&self, row: &impl Record, now: Micros) -> Verdict {
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
    fn read(token: Token, noun: Noun, zone: &TimeZone) -> Result<Term> {
        let negated = token.negated;
        let test = match token.field {
            None => Test::word(token.values, noun),
            Some((name, at)) => {
                let field = fields::find(noun, &name, at)?;
                Test::field(field, token.values, zone)?
            }
        };
        Ok(Term { negated, test })
    }

    fn verdict(&self, row: &impl Record, now: Micros) -> Verdict {
        match (self.test.holds(row, now), self.negated) {
            (Some(holds), negated) if holds != negated => Verdict::Yes,
            (Some(_), _) => Verdict::No,
            (None, true) => Verdict::Yes,
            (None, false) => Verdict::Undecided,
        }
    }
}

impl Test {
    fn word(values: Vec<Piece>, noun: Noun) -> Test {
        let mut words = values.into_iter();
        let piece = words.next().unwrap_or_default();
        if noun == Noun::Task && is_uuid(&piece.text) {
            return Test::Key(piece.text);
        }
        Test::Anywhere(fields::texts(noun), Pattern::new(&piece, Reach::Inside))
    }

    fn field(field: &'static Field, values: Vec<Piece>, zone: &TimeZone) -> Result<Test> {
        let patterns = |reach| values.iter().map(|piece| Pattern::new(piece, reach)).collect();
        Ok(match field.means {
            Means::Word => Test::Text(field.columns, patterns(Reach::Folded)),
            Means::Name => Test::Text(field.columns, patterns(Reach::Whole)),
            Means::Id => Test::Text(field.columns, patterns(Reach::Start)),
            Means::Text => Test::Text(field.columns, patterns(Reach::Inside)),
            Means::Worker => Test::Worker(field.columns[0], patterns(Reach::Whole)),
            Means::Number | Means::Duration => {
                let compare = |piece| comparison(piece, field.means == Means::Duration);
                let tests = values.iter().map(compare).collect::<Result<_>>()?;
                Test::Number(field.columns[0], tests)
            }
            Means::Since => Test::Since(single(field, &values, zone)?),
            Means::Until => Test::Until(single(field, &values, zone)?),
        })
    }

    /// `None` where the row lacks the field.
    fn holds(&self, row: &impl Record, now: Micros) -> Option<bool> {
        match self {
            Test::Key(key) => Some(row.key() == key),
            Test::Anywhere(columns, pattern) => {
                let mut cells = columns.iter().filter_map(|column| row.field(column));
                Some(cells.any(|cell| cell.any(|text| pattern.matches(text))))
            }
            Test::Text(columns, patterns) => {
                let matches = |text: &str| patterns.iter().any(|pattern| pattern.matches(text));
                let mut cells = columns.iter().filter_map(|column| row.field(column)).peekable();
                cells.peek()?;
                Some(cells.any(|cell| cell.any(matches)))
            }
            Test::Worker(column, patterns) => Some(row.field(column)?.any(|hostname| {
                let (name, host) = hostname.split_once('@').unwrap_or((hostname, hostname));
                let parts = [hostname, name, host];
                patterns.iter().any(|pattern| parts.iter().any(|part| pattern.matches(part)))
            })),
            Test::Number(column, tests) => match row.field(column)? {
                Cell::Number(number) => {
                    Some(tests.iter().any(|(compare, than)| compare.holds(number, *than)))
                }
                Cell::Text(_) | Cell::List(_) => None,
            },
            Test::Since(moment) => Some(seen(row)? >= moment.at(now)),
            Test::Until(moment) => Some(seen(row)? <= moment.at(now)),
        }
    }
}

impl Moment {
    fn at(self, now: Micros) -> Micros {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => now - ago,
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, than: f64) -> bool {
        match self {
            Comparison::Less => number < than,
            Comparison::LessOrEqual => number <= than,
            Comparison::Equal => number == than,
            Comparison::GreaterOrEqual => number >= than,
            Comparison::Greater => number > than,
        }
    }
}

fn seen(row: &impl Record) -> Option<Micros> {
    match row.field("seen")? {
        Cell::Number(number) => Some(seconds::to_micros(number)),
        Cell::Text(_) | Cell::List(_) => None,
    }
}

fn comparison(piece: &Piece, duration: bool) -> Result<(Comparison, f64)> {
    const SIGNS: [(&str, Comparison); 5] = [
        (">=", Comparison::GreaterOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ];
    let signed = SIGNS.iter().find_map(|(sign, compare)| {
        piece.text.strip_prefix(sign).map(|rest| (*compare, rest, sign.len()))
    });
    let (compare, rest, skipped) = signed.unwrap_or((Comparison::Equal, &piece.text, 0));
    let (number, expected) = if duration {
        (span(rest), "a duration such as `>2s`, `<150ms` or `>=1.5m`")
    } else {
        (rest.parse().ok().filter(|number: &f64| number.is_finite()), "a number such as `>2`")
    };
    let number = number.ok_or_else(|| mistake(piece.at + skipped, expected))?;
    Ok((compare, number))
}

/// Seconds of `90`, `2s`, `150ms`, `1.5m`, `3h`, `2d`.
fn span(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

fn single(field: &Field, values: &[Piece], zone: &TimeZone) -> Result<Moment> {
    match values {
        [piece] => moment(&piece.text, zone).ok_or_else(|| {
            mistake(piece.at, "a time such as `1h`, `2026-11-24` or `2026-11-24T12:00`")
        }),
        [_, second, ..] => Err(mistake(second.at, &format!("one time for `{}`", field.word))),
        [] => Err(mistake(0, "a time")),
    }
}

fn moment(text: &str, zone: &TimeZone) -> Option<Moment> {
    if let Some(ago) = span(text) {
        return Some(Moment::Ago(seconds::to_micros(ago)));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::At(instant.as_microsecond()));
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    Some(Moment::At(zone.to_timestamp(local).ok()?.as_microsecond()))
}

/// 8-4-4-4-12 hexadecimal digits, in either case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn mistake(position: usize, expected: &str) -> Error {
    Error::Filter { position, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests;
