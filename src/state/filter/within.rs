//! One value inside arguments or a result: `kwargs.user.id:42`, `args.0:eur`.
//!
//! What rows have is display text, Python's repr or JSON, perhaps cut, and hostile. It is walked
//! along the keys without building anything, in time linear in it and without recursion. What was
//! cut off, or stands inside something that is no literal (`<User: 5>`), is unreadable: no guess.

use super::Answer;
use super::number::Bound;
use super::pattern::{Pattern, Reach};
use super::scan::Piece;
use crate::error::Result;
use std::borrow::Cow;

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::state) enum Operand {
    /// All of it; of a list, any item.
    Text(Pattern),
    /// `>100`
    Number(Bound),
}

impl Operand {
    /// Reads one written value.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub(super) fn read(piece: &Piece) -> Result<Operand> {
        Ok(match Bound::beyond(piece) {
            Some(bound) => Operand::Number(bound),
            None => Operand::Text(Pattern::new(piece, Reach::Whole)?),
        })
    }

    fn accepts(&self, value: &str) -> bool {
        match self {
            Operand::Text(pattern) => pattern.matches(value),
            Operand::Number(bound) => value.parse().is_ok_and(|number| bound.holds(number)),
        }
    }
}

/// Asks the value at `path` of a text.
pub(super) fn asks(text: &str, path: &[String], operands: &[Operand]) -> Answer {
    let mut reader = Reader { rest: text };
    for key in path {
        match reader.enter(key) {
            Ok(true) => {}
            Ok(false) => return Answer::Lacks,
            Err(Unreadable) => return Answer::Unreadable,
        }
    }
    match reader.value() {
        // Behind it the container goes on or closes, or the text was cut.
        Ok(value) if !value.is_empty() && !reader.rest.is_empty() => value_asks(value, operands),
        _ => Answer::Unreadable,
    }
}

fn value_asks(value: &str, operands: &[Operand]) -> Answer {
    let answer = scalar_asks(value, operands);
    if answer == Answer::Holds || !value.starts_with(['[', '(']) {
        return answer;
    }
    let mut reader = Reader { rest: &value[1..] };
    let mut unreadable = false;
    loop {
        match reader.item() {
            Ok(Some(item)) => match scalar_asks(item, operands) {
                Answer::Holds => return Answer::Holds,
                answer => unreadable |= answer == Answer::Unreadable,
            },
            Ok(None) if unreadable => return Answer::Unreadable,
            Ok(None) => return Answer::Fails,
            Err(Unreadable) => return Answer::Unreadable,
        }
    }
}

fn scalar_asks(value: &str, operands: &[Operand]) -> Answer {
    let any = |text: &str| operands.iter().any(|operand| operand.accepts(text));
    if let Some(text) = string(value) {
        // A string that was cut ends like one that ends in three dots.
        let cut = text.ends_with("...") || text.ends_with('…');
        return match (any(&text), cut) {
            (true, _) => Answer::Holds,
            (false, true) => Answer::Unreadable,
            (false, false) => Answer::Fails,
        };
    }
    Answer::from(any(value) || spellings(value).iter().any(|text| any(text)))
}

/// Python and JSON write these differently.
fn spellings(value: &str) -> &'static [&'static str] {
    match value {
        "True" | "true" => &["True", "true"],
        "False" | "false" => &["False", "false"],
        "None" | "null" => &["None", "none", "null"],
        _ => &[],
    }
}

/// The text of a quoted string; `None` for everything else.
fn string(value: &str) -> Option<Cow<'_, str>> {
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inside = value[1..].strip_suffix(quote)?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('\\', Some(escape)) => {
                rest.next();
                text.push(unescape(escape, &mut rest));
            }
            (c, _) => text.push(c),
        }
    }
    Some(Cow::Owned(text))
}

fn unescape(escape: char, rest: &mut std::str::Chars<'_>) -> char {
    let digits = match escape {
        'n' => return '\n',
        'r' => return '\r',
        't' => return '\t',
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return other,
    };
    let code = hexadecimal(rest, digits);
    let pair = code.filter(|code| escape == 'u' && (0xd800..0xdc00).contains(code));
    let code = match pair {
        Some(high) => low_half(rest).map(|low| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
        None => code,
    };
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn low_half(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut ahead = rest.clone();
    let escape = (ahead.next(), ahead.next()) == (Some('\\'), Some('u'));
    let low = hexadecimal(&mut ahead, 4).filter(|low| escape && (0xdc00..0xe000).contains(low))?;
    *rest = ahead;
    Some(low)
}

fn hexadecimal(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let code = u32::from_str_radix(rest.as_str().get(..digits)?, 16).ok()?;
    rest.nth(digits - 1);
    Some(code)
}

/// What stands there cannot be read as a literal, or was cut off.
struct Unreadable;

/// Walks a literal. Everything that ends a value is ASCII, so it may go by bytes.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Goes to the value of `key` in the container that begins here; `false` where it has none.
    fn enter(&mut self, key: &str) -> std::result::Result<bool, Unreadable> {
        self.blanks();
        let wanted = match self.first() {
            Some(b'{') => None,
            Some(b'(' | b'[') => match key.parse::<usize>() {
                Ok(at) => Some(at),
                Err(_) => return Ok(false),
            },
            Some(b'\'' | b'"' | b'-' | b'0'..=b'9') => return Ok(false),
            _ if !spellings(self.value()?).is_empty() => return Ok(false),
            _ => return Err(Unreadable),
        };
        self.rest = &self.rest[1..];
        match wanted {
            Some(at) => self.enter_item(at),
            None => self.enter_entry(key),
        }
    }

    fn enter_item(&mut self, at: usize) -> std::result::Result<bool, Unreadable> {
        for _ in 0..at {
            if self.item()?.is_none() {
                return Ok(false);
            }
        }
        self.blanks();
        match self.first() {
            Some(b')' | b']') => Ok(false),
            _ if self.rest.starts_with("...") => Err(Unreadable),
            _ => Ok(true),
        }
    }

    fn enter_entry(&mut self, key: &str) -> std::result::Result<bool, Unreadable> {
        loop {
            self.blanks();
            if self.first() == Some(b'}') {
                return Ok(false);
            }
            let found = self.value()?;
            if found.is_empty() || found == "..." {
                return Err(Unreadable);
            }
            if self.first() != Some(b':') {
                return Ok(false); // a set has no keys
            }
            self.rest = &self.rest[1..];
            self.blanks();
            if string(found).map_or(found == key, |text| text == key) {
                return Ok(true);
            }
            self.value()?;
            self.comma(b'}')?;
        }
    }

    /// The next item of a list or tuple; `None` at its end.
    fn item(&mut self) -> std::result::Result<Option<&'a str>, Unreadable> {
        self.blanks();
        if matches!(self.first(), Some(b')' | b']')) {
            return Ok(None);
        }
        let item = self.value()?;
        if item.is_empty() || item == "..." {
            return Err(Unreadable);
        }
        let close = if self.first() == Some(b')') { b')' } else { b']' };
        self.comma(close)?;
        Ok(Some(item))
    }

    fn comma(&mut self, close: u8) -> std::result::Result<(), Unreadable> {
        match self.first() {
            Some(b',') => self.rest = &self.rest[1..],
            Some(other) if other == close => {}
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    /// Takes one value, whatever is inside, and the blanks behind it.
    fn value(&mut self) -> std::result::Result<&'a str, Unreadable> {
        self.blanks();
        let text = self.rest;
        let bytes = text.as_bytes();
        let (mut at, mut depth) = (0_usize, 0_usize);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\'' | b'"' => at += closing(&bytes[at..]).ok_or(Unreadable)?,
                // The repr of an object: nobody knows where it ends.
                b'<' => return Err(Unreadable),
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth == 0 => break,
                b')' | b']' | b'}' => depth -= 1,
                b',' | b':' if depth == 0 => break,
                _ => {}
            }
            at += 1;
        }
        if depth > 0 {
            return Err(Unreadable);
        }
        self.rest = &text[at..];
        Ok(text[..at].trim_ascii_end())
    }

    fn first(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

/// How far behind its opening quote a string closes.
fn closing(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            byte if *byte == bytes[0] => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::filter::scan::Form;

    /// What the value under dotted keys says to `written`.
    fn answer(text: &str, path: &str, written: &str) -> Answer {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        let piece = Piece { text: written.into(), at: 0, form: Form::Plain };
        asks(text, &path, &[Operand::read(&piece).unwrap()])
    }

    #[test]
    fn values_are_found_in_reprs_and_in_json() {
        for (text, path, written) in [
            ("{'user': {'id': 42}, 'b': 1}", "user.id", "42"),
            (r#"{"user": {"id": 42}}"#, "user.id", "42"),
            ("{'a': (1, 2), 'user': 'ada'}", "user", "ada"),
            ("{'a': '}, \\'user\\': 1', 'user': 2}", "user", "2"),
            ("(42, 'eur')", "1", "eur"),
            ("[[1, 2], {'k': 'v'}]", "1.k", "v"),
            ("{'tags': ['red', 'blue']}", "tags", "blue"),
            ("{'tags': ('red',)}", "tags.0", "r*"),
            ("{'n': 150.5}", "n", ">100"),
            ("{'n': -3}", "n", "<0"),
            ("{'on': True, 'off': None}", "on", "true"),
            (r#"{"off": null}"#, "off", "None"),
            ("{'d': Decimal('1.5')}", "d", "Decimal('1.5')"),
            ("{'at': datetime.datetime(2026, 1, 2, 0, 0), 'x': 1}", "x", "1"),
            (r#"{"s": "\u00e9\ud83d\ude00\n"}"#, "s", "é😀\n"),
            ("{'s': 'it\\'s'}", "s", "it's"),
            ("{1: 'one'}", "1", "one"),
            ("{'a': 1, ...}", "a", "1"),
            ("{'long': 'abc...'}", "long", "abc*"),
        ] {
            assert_eq!(answer(text, path, written), Answer::Holds, "{text} {path}:{written}");
        }
    }

    #[test]
    fn another_value_fails_and_no_value_lacks() {
        for (text, path, written) in [
            ("{'user': {'id': 42}}", "user.id", "4"),
            ("{'user': 42}", "user", ">42"),
            ("{'tags': ['red']}", "tags", "re"),
            ("{'n': 'many'}", "n", ">1"),
        ] {
            assert_eq!(answer(text, path, written), Answer::Fails, "{text} {path}:{written}");
        }
        for (text, path) in [
            ("{}", "user"),
            ("{'user': 1}", "use"),
            ("{'user': 1}", "user.id"),
            ("{'user': None}", "user.id"),
            ("()", "0"),
            ("(1,)", "1"),
            ("(1,)", "first"),
            ("{1, 2}", "1"),
        ] {
            assert_eq!(answer(text, path, "1"), Answer::Lacks, "{text} {path}");
        }
    }

    #[test]
    fn what_was_cut_or_is_no_literal_is_unreadable() {
        for (text, path) in [
            ("{'a': 1, ...}", "user"),
            ("{...}", "user"),
            ("[1, 2, ...]", "2"),
            ("{'a': 'unclosed", "a"),
            ("{'a': 1, 'us", "user"),
            ("{'user': <User: 5>}", "user"),
            ("{'user': <User: 5>}", "user.id"),
            ("{'user': User(5)}", "user.id"),
            ("{'u': <U {'user': 1}>, 'user': 2}", "user"),
            ("{'user': 'ab...'}", "user"),
            ("{'user': {'id': ", "user.id"),
            ("{'user': {'id': 4", "user.id"),
            ("", "user"),
            ("...", "user"),
        ] {
            assert_eq!(answer(text, path, "abc"), Answer::Unreadable, "{text} {path}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        /// Whatever a producer put there.
        #[test]
        fn no_text_breaks_the_reader(text in "[a1'\"\\\\{}()\\[\\],:.< …u]{0,40}", path in "[a1]{1,2}(\\.[a1])?") {
            answer(&text, &path, "1");
        }
    }
}
