//! Filter text → tokens, with the position of everything in characters. Knows no field.

use super::mistake;
use crate::error::Result;
use std::iter::Peekable;
use std::str::Chars;

/// One term as it was written.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    pub negated: bool,
    /// `None` for a bare word, which is the only value.
    pub head: Option<Head>,
    pub values: Vec<Piece>,
}

/// A field's name, the keys behind its dots, and where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub name: String,
    pub path: Vec<String>,
    pub at: usize,
}

/// One value or word, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub at: usize,
    pub form: Form,
}

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A star stands for any text.
    Plain,
    /// A star is a star.
    Quoted,
    /// A regular expression.
    Expression {
        /// `i`: in any case.
        insensitive: bool,
    },
}

/// Splits filter text. `check` refuses a head before its values are read: behind one that is none,
/// as in `http://x`, they would not make sense.
pub(super) fn tokens(text: &str, check: impl Fn(&Head) -> Result<()>) -> Result<Vec<Token>> {
    let mut reader = Reader { rest: text.chars().peekable(), at: 0 };
    let mut tokens = Vec::new();
    while reader.skip_blanks() {
        tokens.push(reader.token(&check)?);
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

    fn token(&mut self, check: impl Fn(&Head) -> Result<()>) -> Result<Token> {
        let negated = self.rest.peek() == Some(&'!');
        if negated {
            self.next();
        }
        if self.rest.peek().is_none_or(|c| c.is_whitespace()) {
            return Err(mistake(self.at, "a field or a word after `!`"));
        }
        if let Some(head) = self.head()? {
            check(&head)?;
            let values = self.values(&head)?;
            return Ok(Token { negated, head: Some(head), values });
        }
        let word = self.piece(|c| c.is_whitespace())?;
        Ok(Token { negated, head: None, values: vec![word] })
    }

    /// Letters and underscores, perhaps dots and keys, up to a colon; consumes nothing where there
    /// is no such thing.
    fn head(&mut self) -> Result<Option<Head>> {
        let at = self.at;
        let ends = |c: &char| *c == ':' || c.is_whitespace() || matches!(c, '"' | ',');
        let head: String = self.rest.clone().take_while(|c| !ends(c)).collect();
        let length = head.chars().count();
        let (name, keys) = match head.split_once('.') {
            Some((name, keys)) => (name, Some(keys)),
            None => (head.as_str(), None),
        };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if !is_name || self.rest.clone().nth(length) != Some(':') {
            return Ok(None);
        }
        let path: Vec<String> =
            keys.into_iter().flat_map(|keys| keys.split('.')).map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(mistake(at + length, "a key between the dots"));
        }
        let name = name.to_owned();
        for _ in 0..=length {
            self.next();
        }
        Ok(Some(Head { name, path, at }))
    }

    fn values(&mut self, head: &Head) -> Result<Vec<Piece>> {
        let mut values = Vec::new();
        loop {
            let piece = self.piece(|c| c.is_whitespace() || c == ',')?;
            if piece.text.is_empty() && piece.form == Form::Plain {
                return Err(mistake(piece.at, format!("a value of `{}`", head.name)));
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
        let piece = match self.rest.peek() {
            Some('"') => Piece { text: self.quoted()?, at, form: Form::Quoted },
            Some('/') => self.expression()?,
            _ => return Ok(Piece { text: self.plain(ends), at, form: Form::Plain }),
        };
        match self.rest.peek() {
            Some(c) if !ends(*c) => Err(mistake(self.at, after(piece.form))),
            _ => Ok(piece),
        }
    }

    fn plain(&mut self, ends: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.peek().copied().filter(|c| !ends(*c)) {
            text.push(c);
            self.next();
        }
        text
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

    /// What stands between slashes stays as it is: `\/` is an escape of expressions themselves.
    fn expression(&mut self) -> Result<Piece> {
        let at = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('/') => break,
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.next());
                }
                Some(c) => text.push(c),
                None => {
                    let expected = "a closing `/` (quote a text that begins with a slash)";
                    return Err(mistake(at, expected));
                }
            }
        }
        let insensitive = self.rest.peek() == Some(&'i');
        if insensitive {
            self.next();
        }
        Ok(Piece { text, at, form: Form::Expression { insensitive } })
    }
}

fn after(form: Form) -> &'static str {
    match form {
        Form::Expression { .. } => {
            "`i` or a blank after the closing `/` (quote a text that begins with a slash)"
        }
        Form::Quoted | Form::Plain => "a blank after the closing `\"`",
    }
}
