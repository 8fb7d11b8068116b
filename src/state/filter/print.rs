//! A filter as text that parses to the same filter, for whoever shows or keeps one.

use super::fields;
use super::number::Bound;
use super::pattern::{Pattern, Written};
use super::read::is_uuid;
use super::time::Moment;
use super::within::Operand;
use super::{Filter, Term, Test};
use jiff::Timestamp;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        separated(f, &self.terms, ' ')
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_char('!')?;
        }
        Display::fmt(&self.test, f)
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Test::Key(key) => f.write_str(key),
            Test::Anywhere(_, pattern) => Display::fmt(pattern, f),
            Test::Text(field, patterns) => {
                write!(f, "{}:", field.word)?;
                separated(f, patterns, ',')
            }
            Test::Number(field, bounds) => {
                write!(f, "{}:", field.word)?;
                separated(f, bounds, ',')
            }
            Test::Within(field, path, operands) => {
                write!(f, "{}.{}:", field.word, path.join("."))?;
                separated(f, operands, ',')
            }
            Test::Since(moment) => write!(f, "{}:{moment}", fields::SINCE),
            Test::Until(moment) => write!(f, "{}:{moment}", fields::UNTIL),
        }
    }
}

fn separated(f: &mut Formatter<'_>, items: &[impl Display], by: char) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_char(by)?;
        }
        Display::fmt(item, f)?;
    }
    Ok(())
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.written() {
            Written::Expression { source, insensitive } => {
                write!(f, "/{source}/{}", if *insensitive { "i" } else { "" })
            }
            Written::Text(parts) => match parts.as_slice() {
                [text] => f.write_str(&quoted(text)),
                // Stars stand only in what was written without quotes, so it can be so again.
                parts => f.write_str(&parts.join("*")),
            },
        }
    }
}

/// A text as a value, in quotes where it would be read as something else without them.
pub(super) fn quoted(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    if !text.is_empty() && text.chars().all(safe) && !is_uuid(text) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Text(pattern) => Display::fmt(pattern, f),
            Operand::Number(bound) => Display::fmt(bound, f),
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.compare.sign(), self.than)
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Ago(ago) => write!(f, "{}.{:06}", ago / 1_000_000, ago % 1_000_000),
            Moment::At(at) => match Timestamp::from_microsecond(*at) {
                Ok(at) => Display::fmt(&at, f),
                Err(_) => Ok(()), // it was read from such a time
            },
        }
    }
}
