//! A text with stars, and how much of the other text it must cover.

use super::scan::Piece;

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

/// One value of a filter. `parts` are what stands between the stars; an empty first or last part
/// leaves that end open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    parts: Vec<String>,
    folded: bool,
}

impl Pattern {
    /// The pattern that a written value means.
    pub fn new(piece: &Piece, reach: Reach) -> Pattern {
        let mut parts: Vec<String> = if piece.quoted {
            vec![piece.text.clone()]
        } else {
            piece.text.split('*').map(str::to_owned).collect()
        };
        if reach == Reach::Inside {
            parts.insert(0, String::new());
        }
        if matches!(reach, Reach::Inside | Reach::Start) {
            parts.push(String::new());
        }
        Pattern { parts, folded: matches!(reach, Reach::Folded | Reach::Inside) }
    }

    /// Does it cover `text`? Case is folded for ASCII letters only.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let text = text.as_bytes();
        let Some((last, middle)) = rest.split_last() else {
            return text.len() == first.len() && self.same(text, first.as_bytes());
        };
        let (first, last) = (first.as_bytes(), last.as_bytes());
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
