//! The JSON of a Python literal, where the two mean the same beyond doubt.
//!
//! Celery's reprs are not exact (F01, F02, F03), so this is read only once a person has agreed to it,
//! and refuses whatever may have been cut, escaped or hidden.

/// The JSON text of a repr of arguments; `None` where it is no complete literal, or may mean
/// something else than it says.
pub fn json(repr: &str) -> Option<String> {
    let doubtful = |character: char| character == '\\' || character.is_control();
    if super::super::may_be_cut(repr) || repr.contains(doubtful) {
        return None;
    }
    let mut reader = Reader { rest: repr, json: String::new() };
    reader.value(0)?;
    reader.blanks();
    reader.rest.is_empty().then_some(reader.json)
}

/// Levels that are read; Celery's reprs have three.
const DEPTH: usize = 16;

struct Reader<'a> {
    rest: &'a str,
    json: String,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        self.blanks();
        match self.rest.chars().next()? {
            '(' => self.items('(', ')', depth),
            '[' => self.items('[', ']', depth),
            '{' => self.members(depth),
            '\'' => self.text(),
            _ => self.scalar(),
        }
    }

    fn items(&mut self, open: char, close: char, depth: usize) -> Option<()> {
        self.take(open).then_some(())?;
        self.json.push('[');
        let mut count = 0;
        while !self.take(close) {
            if count > 0 {
                self.take(',').then_some(())?;
                // `(1,)` is one item.
                if self.take(close) {
                    break;
                }
                self.json.push_str(", ");
            }
            self.value(depth + 1)?;
            count += 1;
            // `(1)` is no tuple.
            if count == 1 && open == '(' && !self.next_is(',') {
                return None;
            }
        }
        self.json.push(']');
        Some(())
    }

    /// A dict. A set, which JSON does not have, has no colons.
    fn members(&mut self, depth: usize) -> Option<()> {
        self.take('{').then_some(())?;
        self.json.push('{');
        let mut first = true;
        while !self.take('}') {
            if !std::mem::take(&mut first) {
                self.take(',').then_some(())?;
                self.json.push_str(", ");
            }
            self.blanks();
            self.text()?;
            self.take(':').then_some(())?;
            self.json.push_str(": ");
            self.value(depth + 1)?;
        }
        self.json.push('}');
        Some(())
    }

    /// Without backslashes there is nothing between two quotes but the text itself.
    fn text(&mut self) -> Option<()> {
        self.take('\'').then_some(())?;
        let (text, rest) = self.rest.split_once('\'')?;
        self.rest = rest;
        self.json.push_str(&serde_json::Value::from(text).to_string());
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let end = self.rest.find([',', ')', ']', '}', ':', ' ']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let json = match word {
            "None" => "null",
            "True" => "true",
            "False" => "false",
            "nan" => "NaN",
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            number => {
                // `1e16`, `-7`, `1.5`: what JSON reads as a number, Python wrote as one.
                serde_json::from_str::<serde_json::Number>(number).ok()?;
                number
            }
        };
        self.rest = rest;
        self.json.push_str(json);
        Some(())
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.blanks();
        self.rest.starts_with(wanted)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn a_complete_literal_is_read() {
        for (repr, wanted) in [
            ("()", "[]"),
            ("(1,)", "[1]"),
            ("(1, 'two', [None, True], {'k': -1.5})", r#"[1, "two", [null, true], {"k": -1.5}]"#),
            ("[1, 2]", "[1, 2]"),
            ("{}", "{}"),
            ("{'a': (1, 2), 'b': nan}", r#"{"a": [1, 2], "b": NaN}"#),
            ("('say \"x\"', 10000000000000000000000)", r#"["say \"x\"", 10000000000000000000000]"#),
        ] {
            assert_eq!(json(repr).as_deref(), Some(wanted), "{repr}");
        }
    }

    #[test]
    fn f01_f02_what_may_mean_something_else_is_not() {
        for repr in [
            "('aaa...',)",
            "({'a': [{...}]},)",
            "('wait...',)",
            "('C:\\new\\table',)",
            "('a\nb',)",
            "(b'ff00',)",
            "('a\\'b',)",
            "({1, 2},)",
            "(1)",
            "(1",
            "1, 2",
            "(1, 2) x",
            "(datetime.date(2026, 1, 1),)",
            "(Decimal('1.5'),)",
            "('***,)",
            "",
            "[1, 2…",
        ] {
            assert_eq!(json(repr), None, "{repr}");
        }
    }
}
