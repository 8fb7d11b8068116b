//! Tokens → terms: what a field's values mean.

use super::fields::{self, Field, Means};
use super::number::{Bound, Unit};
use super::pattern::{Pattern, Reach};
use super::scan::{Form, Head, Piece, Token};
use super::time::{Edge, Moment};
use super::within::Operand;
use super::{Term, Test, mistake};
use crate::error::{Result, nearest};
use crate::state::Noun;
use jiff::tz::TimeZone;

impl Term {
    /// What a token means for rows of `noun`.
    pub(super) fn read(token: Token, noun: Noun, zone: &TimeZone) -> Result<Term> {
        let test = match token.head {
            None => Test::word(token.values, noun)?,
            Some(head) => {
                let field = fields::find(noun, &head.name, head.at)?;
                Test::field(field, head, &token.values, zone)?
            }
        };
        Ok(Term { negated: token.negated, test })
    }
}

impl Test {
    fn word(values: Vec<Piece>, noun: Noun) -> Result<Test> {
        let Some(piece) = values.into_iter().next() else { return Err(mistake(0, "a word")) };
        if noun == Noun::Task && piece.form == Form::Plain && is_uuid(&piece.text) {
            return Ok(Test::Key(piece.text));
        }
        Ok(Test::Anywhere(fields::texts(noun), Pattern::new(&piece, Reach::Inside)?))
    }

    fn field(field: &'static Field, head: Head, values: &[Piece], zone: &TimeZone) -> Result<Test> {
        if !head.path.is_empty() {
            return within(field, head, values);
        }
        let patterns = |reach| -> Result<Vec<Pattern>> {
            values.iter().map(|piece| Pattern::new(piece, reach)).collect()
        };
        let bounds = |unit| -> Result<Vec<Bound>> {
            values.iter().map(|piece| Bound::read(piece, unit)).collect()
        };
        Ok(match field.means {
            Means::OneOf(words) => {
                values.iter().try_for_each(|piece| known(field, words, piece))?;
                Test::Text(field, patterns(Reach::Folded)?)
            }
            Means::Word => Test::Text(field, patterns(Reach::Folded)?),
            Means::Name | Means::Worker => Test::Text(field, patterns(Reach::Whole)?),
            Means::Id => Test::Text(field, patterns(Reach::Start)?),
            Means::Text => Test::Text(field, patterns(Reach::Inside)?),
            Means::Kwargs => match flowers_pair(values) {
                Some((key, value)) => Test::Within(field, vec![key], vec![Operand::read(&value)?]),
                None => Test::Text(field, patterns(Reach::Inside)?),
            },
            Means::Number => Test::Number(field, bounds(Unit::One)?),
            Means::Duration => Test::Number(field, bounds(Unit::Seconds)?),
            Means::Since => Test::Since(Moment::read(field.word, values, Edge::First, zone)?),
            Means::Until => Test::Until(Moment::read(field.word, values, Edge::Last, zone)?),
        })
    }
}

fn within(field: &'static Field, head: Head, values: &[Piece]) -> Result<Test> {
    if !field.has_keys() {
        let at = head.at + field.word.len();
        return Err(mistake(
            at,
            format!(
                "`:` (only `args`, `kwargs` and `result` have keys, `{}` has none)",
                field.word
            ),
        ));
    }
    let operands = values.iter().map(Operand::read).collect::<Result<_>>()?;
    Ok(Test::Within(field, head.path, operands))
}

/// Flower writes `kwargs:key=value`.
fn flowers_pair(values: &[Piece]) -> Option<(String, Piece)> {
    let [Piece { text, at, form: Form::Plain }] = values else { return None };
    let (key, value) = text.split_once('=')?;
    let is_key = |c: char| c.is_alphanumeric() || c == '_';
    if key.is_empty() || value.is_empty() || !key.chars().all(is_key) {
        return None;
    }
    let (value, at) = (value.to_owned(), at + key.chars().count() + 1);
    Some((
        key.to_owned(),
        match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) => Piece { text: inside.to_owned(), at, form: Form::Quoted },
            None => Piece { text: value, at, form: Form::Plain },
        },
    ))
}

/// A field of few words takes no other, but stars and expressions.
fn known(field: &Field, words: &[&str], piece: &Piece) -> Result<()> {
    let plain = match piece.form {
        Form::Plain => !piece.text.contains('*'),
        Form::Quoted => true,
        Form::Expression { .. } => false,
    };
    let found = words.iter().any(|word| word.eq_ignore_ascii_case(&piece.text));
    if !plain || found {
        return Ok(());
    }
    let wanted = match nearest(&piece.text.to_lowercase(), words.iter().copied()) {
        Some(word) => format!("`{word}`"),
        None => format!("a {}", field.word),
    };
    Err(mistake(piece.at, format!("{wanted} (one of {})", words.join(", "))))
}

/// 8-4-4-4-12 hexadecimal digits, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
