//! Filter text → tokens, with the position of everything in characters.

use super::mistake;
use crate::error::Result;
use std::iter::Peekable;
use std::str::Chars;

/// One term as it was written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Token {
    pub negated: bool,
    /// The field's name and where it stands; `None` for a bare word.
    pub field: Option<(String, usize)>,
    pub values: Vec<Piece>,
}

/// One value or word: its text, where it stands, and which of its stars were written plainly.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub at: usize,
    /// It was quoted: a star in it is a star.
    pub quoted: bool,
}

/// Splits filter text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut reader = Reader { rest: text.chars().peekable(), at: 0 };
    let mut tokens = Vec::new();
    while reader.skip_blanks() {
        tokens.push(reader.token()?);
    }
    Ok(tokens)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.at += usize::from(next.is_some());
        next
    }

    fn skip_blanks(&mut self) -> bool {
        while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
            self.next();
        }
        self.rest.peek().is_some()
    }

    fn token(&mut self) -> Result<Token> {
        let negated = self.rest.peek() == Some(&'!');
        if negated {
            self.next();
        }
        if self.rest.peek().is_none_or(|c| c.is_whitespace()) {
            return Err(mistake(self.at, "a field or a word after `!`"));
        }
        if let Some(field) = self.field() {
            let values = self.values(&field.0)?;
            return Ok(Token { negated, field: Some(field), values });
        }
        let word = self.piece(|c| c.is_whitespace())?;
        Ok(Token { negated, field: None, values: vec![word] })
    }

    /// Letters and underscores up to a colon; consumes nothing where there is no such thing.
    fn field(&mut self) -> Option<(String, usize)> {
        let at = self.at;
        let name: String =
            self.rest.clone().take_while(|c| c.is_ascii_alphabetic() || *c == '_').collect();
        let colon = self.rest.clone().nth(name.len()) == Some(':');
        if name.is_empty() || !colon {
            return None;
        }
        for _ in 0..=name.len() {
            self.next();
        }
        Some((name, at))
    }

    fn values(&mut self, field: &str) -> Result<Vec<Piece>> {
        let mut values = Vec::new();
        loop {
            let piece = self.piece(|c| c.is_whitespace() || c == ',')?;
            if piece.text.is_empty() && !piece.quoted {
                return Err(mistake(piece.at, &format!("a value of `{field}`")));
            }
            values.push(piece);
            if self.rest.peek() != Some(&',') {
                return Ok(values);
            }
            self.next();
        }
    }

    fn piece(&mut self, ends: impl Fn(char) -> bool) -> Result<Piece> {
        let at = self.at;
        if self.rest.peek() == Some(&'"') {
            let text = self.quoted()?;
            if self.rest.peek().is_some_and(|c| !ends(*c)) {
                return Err(mistake(self.at, "a blank after the closing `\"`"));
            }
            return Ok(Piece { text, at, quoted: true });
        }
        let mut text = String::new();
        while let Some(c) = self.rest.peek().copied().filter(|c| !ends(*c)) {
            text.push(c);
            self.next();
        }
        Ok(Piece { text, at, quoted: false })
    }

    fn quoted(&mut self) -> Result<String> {
        let opened = self.at;
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(text),
                '\\' if matches!(self.rest.peek(), Some('"' | '\\')) => text.extend(self.next()),
                c => text.push(c),
            }
        }
        Err(mistake(opened, "a closing `\"`"))
    }
}
