//! Celery's `saferepr` of arguments (`celery/utils/saferepr.py`): what `argsrepr` and `kwargsrepr` hold
//! and everybody's events show. Of JSON text, so that numbers are as they were written.
//!
//! It is no `repr`: it is cut within values, deep ones are left out, and of all characters only the
//! single quote is escaped.

use crate::json;
use std::fmt::Write;

/// Characters of a whole repr, about (`argsrepr_maxsize`).
const LENGTH: usize = 1024;

/// Levels that are shown (`task_repr_maxlevels`).
const LEVELS: usize = 3;

/// The repr of positional arguments, which are a tuple in Python. `json` is an array.
pub fn args(json: &str) -> String {
    let mut repr = Repr::default();
    let items = json::elements(json).unwrap_or_default();
    let end = if items.len() == 1 { ",)" } else { ")" };
    repr.sequence("(", end, &items, 0);
    repr.text
}

/// The repr of keyword arguments. `json` is an object.
pub fn kwargs(json: &str) -> String {
    let mut repr = Repr::default();
    repr.value(json, 0);
    repr.text
}

/// A repr as far as it is written.
struct Repr {
    text: String,
    /// Characters that may still be written; closing brackets are not counted below it.
    left: usize,
    /// Nothing more is shown but the ends of what was begun.
    full: bool,
}

impl Default for Repr {
    fn default() -> Self {
        Repr { text: String::new(), left: LENGTH, full: false }
    }
}

impl Repr {
    fn value(&mut self, json: &str, level: usize) {
        match json.as_bytes().first() {
            Some(b'[') => {
                let items = json::elements(json).unwrap_or_default();
                self.sequence("[", "]", &items, level);
            }
            Some(b'{') => self.mapping(json, level),
            Some(b'"') => {
                let text: String = json::parse(json.as_bytes()).unwrap_or_default();
                self.quoted(&text);
            }
            _ => self.scalar(&scalar(json)),
        }
    }

    fn sequence(&mut self, start: &str, end: &str, items: &[&str], level: usize) {
        self.container(start, end, level, |repr| {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    repr.literal(", ");
                }
                repr.value(item, level + 1);
                if repr.full {
                    return;
                }
            }
        });
    }

    fn mapping(&mut self, json: &str, level: usize) {
        self.container("{", "}", level, |repr| {
            for (at, (name, value)) in members(json).into_iter().enumerate() {
                if at > 0 {
                    repr.literal(", ");
                }
                repr.quoted(&name);
                repr.literal(": ");
                repr.value(value, level + 1);
                if repr.full {
                    return;
                }
            }
        });
    }

    /// What was begun is ended, also where the rest of it is left out.
    fn container(&mut self, start: &str, end: &str, level: usize, fill: impl FnOnce(&mut Self)) {
        if level >= LEVELS {
            return self.literal(&format!("{start}...{end}"));
        }
        self.literal(start);
        if self.full {
            return;
        }
        fill(self);
        if self.full || self.left == 0 {
            self.text.push_str(end);
        } else {
            self.literal(end);
        }
    }

    fn quoted(&mut self, text: &str) {
        let shown = truncated(text, self.left).replace('\'', "\\'");
        self.literal(&format!("'{shown}'"));
    }

    fn scalar(&mut self, text: &str) {
        self.literal(&truncated(text, self.left));
    }

    fn literal(&mut self, text: &str) {
        if self.full {
            return;
        }
        if self.left == 0 {
            self.text.push_str(", ...");
            self.full = true;
            return;
        }
        self.text.push_str(text);
        self.left = self.left.saturating_sub(text.chars().count());
    }
}

/// Celery's `truncate`: down to the last word that fits.
fn truncated(text: &str, length: usize) -> String {
    let end = match text.char_indices().nth(length) {
        Some((end, _)) => end,
        // Just as long is too long.
        None if text.chars().count() == length => text.len(),
        None => return text.to_owned(),
    };
    let kept = &text[..end];
    format!("{}...", kept.rsplit_once(' ').map_or(kept, |(words, _)| words))
}

/// The members of an object as a Python `dict` has them: each once, with its last value.
fn members(json: &str) -> Vec<(String, &str)> {
    let mut dict: Vec<(String, &str)> = Vec::new();
    for (name, value) in json::members(json).unwrap_or_default() {
        match dict.iter_mut().find(|(known, _)| *known == name) {
            Some((_, former)) => *former = value,
            None => dict.push((name, value)),
        }
    }
    dict
}

/// How Python writes a number or a word of JSON.
fn scalar(json: &str) -> String {
    let float = json.contains(['.', 'e', 'E']);
    match json {
        "null" => "None".into(),
        "true" => "True".into(),
        "false" => "False".into(),
        "NaN" => "nan".into(),
        "Infinity" => "inf".into(),
        "-Infinity" => "-inf".into(),
        "-0" => "0".into(),
        _ => match json.parse::<f64>() {
            Ok(number) if float => of_float(number),
            _ => json.into(),
        },
    }
}

/// Python's `repr` of a float: the shortest digits that mean it.
fn of_float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let mut text = digits.to_owned();
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing into a `String` cannot fail.
    let _ = write!(text, "e{sign}{:02}", exponent.unsigned_abs());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Fixture {
        rows: Vec<Row>,
    }

    #[derive(Deserialize)]
    struct Row {
        args: String,
        argsrepr: String,
        kwargs: String,
        kwargsrepr: String,
    }

    #[test]
    fn f01_it_is_cut_where_celery_cuts_it() {
        let text = include_str!("../../tests/fixtures/saferepr.json");
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        assert!(fixture.rows.len() > 150);
        for row in fixture.rows {
            assert_eq!(args(&row.args), row.argsrepr, "{}", row.args);
            assert_eq!(kwargs(&row.kwargs), row.kwargsrepr, "{}", row.kwargs);
        }
    }

    #[test]
    fn a_name_that_occurs_twice_counts_once() {
        assert_eq!(kwargs(r#"{"a": 1, "b": 2, "a": 3}"#), "{'a': 3, 'b': 2}");
        assert_eq!(args("[1E5, -0, -0.0, 1e400]"), "(100000.0, 0, -0.0, inf)");
    }
}
