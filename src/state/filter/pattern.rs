//! One written value: a text with stars, or a regular expression, and how much of another text it
//! must cover. Every test takes time linear in the text.

use super::mistake;
use super::needle::Needle;
use super::scan::{Form, Piece};
use crate::error::Result;
use regex::{Regex, RegexBuilder};

/// Bytes that one compiled expression may take.
const EXPRESSION_SIZE: usize = 1 << 20;

/// How much of a text a pattern must cover, and whether its case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of it, case counts.
    Whole,
    /// All of it, in any case.
    Folded,
    /// Its beginning, case counts.
    Start,
    /// Any part, in any case.
    Inside,
}

/// One value of a filter. Two are equal where they were written alike.
#[derive(Debug, Clone)]
pub(in crate::state) struct Pattern {
    at: usize,
    written: Written,
    test: Matcher,
}

/// As it was written, for whoever prints or explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// What stands between the stars.
    Text(Vec<String>),
    /// Between the slashes.
    Expression {
        source: String,
        /// `i` behind them.
        insensitive: bool,
    },
}

#[derive(Debug, Clone)]
enum Matcher {
    Glob(Glob),
    Expression { needle: Option<Needle>, regex: Regex },
}

/// What stands between the stars; an empty first or last part leaves that end open.
#[derive(Debug, Clone)]
struct Glob {
    parts: Vec<String>,
    folded: bool,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.written == other.written
    }
}

impl Pattern {
    /// The pattern that a written value means.
    ///
    /// # Errors
    /// [`crate::Error::Filter`] for an expression that is none, or that is too large.
    pub(super) fn new(piece: &Piece, reach: Reach) -> Result<Pattern> {
        let Form::Expression { insensitive } = piece.form else {
            let parts = match piece.form {
                Form::Plain => piece.text.split('*').map(str::to_owned).collect(),
                _ => vec![piece.text.clone()],
            };
            return Pattern::text(parts, reach, piece.at)
                .map_err(|_| mistake(piece.at, "a shorter text"));
        };
        let folded = insensitive || reach == Reach::Folded;
        let compiled = compile(&piece.text, folded).map_err(|_| explain(piece))?;
        let needle = if folded { None } else { Needle::beginning(&piece.text) };
        let written = Written::Expression { source: piece.text.clone(), insensitive };
        let test = Matcher::Expression { needle, regex: compiled };
        Ok(Pattern { at: piece.at, written, test })
    }

    fn text(parts: Vec<String>, reach: Reach, at: usize) -> Result<Pattern, regex::Error> {
        let written = Written::Text(parts.clone());
        let test = match reach {
            Reach::Inside => {
                // Searching for a part, the expression engine is the faster one.
                let escaped: Vec<_> = parts.iter().map(|part| regex::escape(part)).collect();
                let regex = compile(&escaped.join("(?s:.*?)"), true)?;
                Matcher::Expression { needle: Needle::among(&parts), regex }
            }
            Reach::Start => {
                let open = parts.into_iter().chain([String::new()]).collect();
                Matcher::Glob(Glob { parts: open, folded: false })
            }
            Reach::Whole | Reach::Folded => {
                Matcher::Glob(Glob { parts, folded: reach == Reach::Folded })
            }
        };
        Ok(Pattern { at, written, test })
    }

    /// Does it cover `text`?
    pub fn matches(&self, text: &str) -> bool {
        match &self.test {
            Matcher::Glob(glob) => glob.matches(text.as_bytes()),
            Matcher::Expression { needle, regex } => {
                let told = needle.as_ref().and_then(|needle| needle.decides(text.as_bytes()));
                told.unwrap_or_else(|| regex.is_match(text))
            }
        }
    }

    /// As [`Pattern::matches`], of a text's bytes: these are read as text only where a look at them
    /// does not tell.
    pub fn matches_bytes(&self, text: &[u8]) -> bool {
        let told = self.needle().and_then(|needle| needle.decides(text));
        told.unwrap_or_else(|| std::str::from_utf8(text).is_ok_and(|text| self.matches(text)))
    }

    /// Whether a look at the bytes of a text leaves it open that it is covered.
    pub fn may_match(&self, text: &[u8]) -> bool {
        self.needle().is_none_or(|needle| needle.decides(text) != Some(false))
    }

    /// Whether a look at bytes in which texts stand leaves it open that one of them is covered.
    pub fn may_stand_in(&self, bytes: &[u8]) -> bool {
        self.needle().is_none_or(|needle| !needle.excludes(bytes))
    }

    /// Whether it may stand in a UUID.
    pub fn fits_uuid(&self) -> bool {
        self.needle().is_none_or(Needle::fits_uuid)
    }

    fn needle(&self) -> Option<&Needle> {
        match &self.test {
            Matcher::Expression { needle, .. } => needle.as_ref(),
            Matcher::Glob(_) => None,
        }
    }

    /// Where it was written, in characters.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// As it was written.
    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// The one text it means; `None` for stars and expressions.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.written {
            Written::Text(parts) if parts.len() == 1 => parts.first().map(String::as_str),
            _ => None,
        }
    }
}

fn compile(source: &str, insensitive: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source)
        .case_insensitive(insensitive)
        .size_limit(EXPRESSION_SIZE)
        .dfa_size_limit(EXPRESSION_SIZE)
        .build()
}

/// What is wrong with an expression that did not compile, at its place.
fn explain(piece: &Piece) -> crate::Error {
    let first = piece.at + 1;
    match regex_syntax::Parser::new().parse(&piece.text) {
        Err(regex_syntax::Error::Parse(error)) => {
            expected(first, &piece.text, error.span().start.offset, error.kind())
        }
        Err(regex_syntax::Error::Translate(error)) => {
            expected(first, &piece.text, error.span().start.offset, error.kind())
        }
        _ => mistake(piece.at, "a smaller regular expression"),
    }
}

fn expected(
    first: usize,
    source: &str,
    offset: usize,
    trouble: impl std::fmt::Display,
) -> crate::Error {
    let before = source.get(..offset).map_or(0, |before| before.chars().count());
    mistake(first + before, format!("a regular expression ({trouble})"))
}

impl Glob {
    /// Case is folded for ASCII letters only.
    fn matches(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let first = first.as_bytes();
        let Some((last, middle)) = rest.split_last() else {
            return text.len() == first.len() && self.same(text, first);
        };
        let last = last.as_bytes();
        if text.len() < first.len() + last.len()
            || !self.same(&text[..first.len()], first)
            || !self.same(&text[text.len() - last.len()..], last)
        {
            return false;
        }
        let mut inner = &text[first.len()..text.len() - last.len()];
        middle.iter().all(|part| match self.find(inner, part.as_bytes()) {
            Some(end) => {
                inner = &inner[end..];
                true
            }
            None => false,
        })
    }

    /// Where the first occurrence of `part` ends.
    fn find(&self, text: &[u8], part: &[u8]) -> Option<usize> {
        if part.is_empty() {
            return Some(0);
        }
        let at = text.windows(part.len()).position(|window| self.same(window, part))?;
        Some(at + part.len())
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        if self.folded { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}
