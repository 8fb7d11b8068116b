//! Comparisons with numbers and durations.

use super::mistake;
use super::scan::{Form, Piece};
use crate::error::Result;

/// One comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::state) struct Bound {
    pub compare: Comparison,
    pub than: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// What a field's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    One,
    Seconds,
}

/// Longer signs first.
const SIGNS: [(&str, Comparison); 5] = [
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

impl Bound {
    /// Reads `>2`, `<=1.5m`, `3`.
    ///
    /// # Errors
    /// [`crate::Error::Filter`] at the number.
    pub(super) fn read(piece: &Piece, unit: Unit) -> Result<Bound> {
        let (compare, rest) = signed(&piece.text);
        let number = match (piece.form, unit) {
            (Form::Expression { .. }, _) => None,
            (_, Unit::Seconds) => span(rest),
            (_, Unit::One) => rest.parse().ok().filter(|number: &f64| number.is_finite()),
        };
        let expected = match unit {
            Unit::Seconds => "a duration such as `>2s`, `<150ms` or `>=1m30s`",
            Unit::One => "a number such as `>2`",
        };
        let skipped = piece.text.len() - rest.len();
        let than = number.ok_or_else(|| mistake(piece.at + skipped, expected))?;
        Ok(Bound { compare, than })
    }

    /// Reads only what begins with `<` or `>` and goes on with a number; all else is text.
    pub(super) fn beyond(piece: &Piece) -> Option<Bound> {
        let plain = piece.form == Form::Plain && piece.text.starts_with(['<', '>']);
        let (compare, rest) = signed(&piece.text);
        let than = rest.parse().ok().filter(|number: &f64| plain && number.is_finite())?;
        Some(Bound { compare, than })
    }

    /// Is the number on the right side?
    pub fn holds(self, number: f64) -> bool {
        match self.compare {
            Comparison::Less => number < self.than,
            Comparison::LessOrEqual => number <= self.than,
            Comparison::Equal => number == self.than,
            Comparison::GreaterOrEqual => number >= self.than,
            Comparison::Greater => number > self.than,
        }
    }
}

impl Comparison {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        SIGNS.iter().find(|(_, compare)| *compare == self).map_or("", |(sign, _)| sign)
    }
}

fn signed(text: &str) -> (Comparison, &str) {
    let signed =
        SIGNS.iter().find_map(|(sign, compare)| Some((*compare, text.strip_prefix(sign)?)));
    signed.unwrap_or((Comparison::Equal, text))
}

/// Seconds of `90`, `2s`, `150ms`, `1.5m`, `1h30m`, `2d`, `1w`.
pub(super) fn span(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        return Some(seconds).filter(|seconds| digits && seconds.is_finite());
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        sum += number.parse::<f64>().ok()? * length(unit)?;
        rest = after;
    }
    Some(sum).filter(|sum| !text.is_empty() && sum.is_finite())
}

fn length(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}
