//! JSON as Python writes it: with NaN, Infinity, integers of any size and unpaired surrogates.
//!
//! Reading: `serde_json` reads nearly everything and is tried first; what it refuses is mended
//! (surrogates, broken UTF-8) and read with `jiter`. Numbers that JSON cannot express become null:
//! they are unknown in rows.
//!
//! Keeping: [`elements`] and [`members`] cut a text into the slices it is made of and decode
//! nothing, so that what stands in a `*_json` text is what travelled, byte for byte.

use jiter::{Jiter, JiterError, JiterResult, JsonValue};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::ops::Range;

/// Why a text could not be read; the sentence is the parser's.
pub type Refusal = String;

/// Reads a typed value out of Python's JSON.
///
/// # Errors
/// The parser's sentence, where it is no JSON, is nested too deeply or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    match serde_json::from_slice(text) {
        Ok(read) => Ok(read),
        Err(error) if error.is_data() => Err(error.to_string()),
        Err(_) => T::deserialize(lenient(text)?).map_err(|error| error.to_string()),
    }
}

/// Reads any value out of Python's JSON.
///
/// # Errors
/// As [`parse`].
pub fn value(text: &[u8]) -> Result<Value, Refusal> {
    parse(text)
}

/// The elements of an array, each as the very text that stands there.
///
/// # Errors
/// The parser's sentence, where the text is no array.
pub fn elements(text: &str) -> Result<Vec<&str>, Refusal> {
    cut(text, |reader| {
        let mut places = Vec::new();
        let mut next = reader.next_array()?;
        while let Some(peek) = next {
            let start = reader.current_index();
            reader.known_skip(peek)?;
            places.push(start..reader.current_index());
            next = reader.array_step()?;
        }
        Ok(places)
    })?
    .into_iter()
    .map(|place| slice(text, place))
    .collect()
}

/// The members of an object in their order, names decoded, values as the very text that stands
/// there. A name may occur twice; Python believes the last.
///
/// # Errors
/// The parser's sentence, where the text is no object.
pub fn members(text: &str) -> Result<Vec<(String, &str)>, Refusal> {
    cut(text, |reader| {
        let mut places = Vec::new();
        let mut next = reader.next_object()?.map(str::to_owned);
        while let Some(name) = next {
            let peek = reader.peek()?;
            let start = reader.current_index();
            reader.known_skip(peek)?;
            places.push((name, start..reader.current_index()));
            next = reader.next_key()?.map(str::to_owned);
        }
        Ok(places)
    })?
    .into_iter()
    .map(|(name, place)| Ok((name, slice(text, place)?)))
    .collect()
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The parser's sentence.
    pub reason: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// Looks over a text that is to be an array, or an object.
///
/// # Errors
/// What is wrong first.
pub fn check(text: &str, array: bool) -> Result<(), Mistake> {
    let mistake = |reason: String, index: usize| {
        let before = text.get(..index.min(text.len())).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or(before);
        let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
        Mistake { reason, line, column }
    };
    let mended = mend_surrogates(text.as_bytes());
    let mut reader = Jiter::new(&mended).with_allow_inf_nan();
    let start = text.len() - text.trim_start().len();
    let wanted = if array { ('[', "an array") } else { ('{', "an object") };
    if !text.trim_start().starts_with(wanted.0) {
        return Err(mistake(format!("expected {}", wanted.1), start));
    }
    let skipped = reader.peek().and_then(|peek| reader.known_skip(peek)).map(|()| reader.finish());
    match skipped {
        Err(error) | Ok(Err(error)) => Err(mistake(error.error_type.to_string(), error.index)),
        // What can be skipped can be read, but for what is in its texts.
        Ok(Ok(())) => value(text.as_bytes()).map(drop).map_err(|reason| mistake(reason, start)),
    }
}

/// Bytes as text; what is no UTF-8 is replaced, as kombu does.
pub fn lossy(text: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

/// Finds places in a text, mended only where it must be: that is rare, and costs a pass.
fn cut<T>(text: &str, find: impl Fn(&mut Jiter<'_>) -> JiterResult<T>) -> Result<T, Refusal> {
    let cut = |text: &[u8]| {
        let mut reader = Jiter::new(text).with_allow_inf_nan();
        let places = find(&mut reader)?;
        reader.finish().map(|()| places)
    };
    cut(text.as_bytes())
        .or_else(|_| cut(&mend_surrogates(text.as_bytes())))
        .map_err(|error: JiterError| error.error_type.to_string())
}

/// Mending keeps every length, so positions in the mended text are positions in the original.
fn slice(text: &str, place: Range<usize>) -> Result<&str, Refusal> {
    text.get(place.clone()).ok_or_else(|| format!("broken text at byte {}", place.start))
}

/// Reads what `serde_json` refuses.
fn lenient(text: &[u8]) -> Result<Value, Refusal> {
    let text = lossy(text);
    let text = mend_surrogates(text.as_bytes());
    JsonValue::parse(&text, true).map(plain).map_err(|error| error.error_type.to_string())
}

/// Replaces the escapes of unpaired surrogates, which no Rust string can hold, by that of the
/// replacement character, which is as long.
fn mend_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    const REPLACEMENT: &[u8] = b"\\ufffd";
    let mut mended = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|&byte| byte == b'\\') {
        at += found;
        let high = unit(text, at);
        at += match high {
            Some(0xD800..=0xDBFF) if matches!(unit(text, at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                mended.to_mut()[at..at + 6].copy_from_slice(REPLACEMENT);
                6
            }
            Some(_) => 6,
            None => 2,
        };
        if at >= text.len() {
            break;
        }
    }
    mended
}

/// The UTF-16 unit of an escape `\uXXXX` that stands at `at`.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn plain(value: JsonValue<'_>) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(flag) => Value::Bool(flag),
        JsonValue::Int(number) => number.into(),
        JsonValue::BigInt(number) => number_of(&number.to_string()),
        JsonValue::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        JsonValue::Str(text) => Value::String(text.into_owned()),
        JsonValue::Array(items) => items.iter().cloned().map(plain).collect(),
        JsonValue::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.to_string(), plain(value.clone())))
                .collect::<Map<_, _>>(),
        ),
    }
}

/// What `serde_json` makes of an integer beyond 64 bits: the nearest float.
fn number_of(digits: &str) -> Value {
    let float = || digits.parse().ok().and_then(Number::from_f64);
    digits.parse::<u64>().ok().map(Number::from).or_else(float).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn numbers_that_json_cannot_express_are_null() {
        let text = br#"{"a": NaN, "b": [Infinity, -Infinity, 1e999], "c": 1.5}"#;
        assert_eq!(value(text).unwrap(), json!({ "a": null, "b": [null, null, null], "c": 1.5 }));
    }

    #[test]
    fn integers_keep_64_bits_and_become_floats_beyond() {
        let text = b"[18446744073709551615, -9223372036854775808, 1000000000000000000000000000000]";
        let exact = json!([u64::MAX, i64::MIN, 1e30]);
        assert_eq!(value(text).unwrap(), exact);
        let with_nan = [&text[..text.len() - 1], b", NaN]"].concat();
        assert_eq!(value(&with_nan).unwrap(), json!([u64::MAX, i64::MIN, 1e30, null]));
    }

    #[test]
    fn unpaired_surrogates_and_broken_utf8_are_replaced() {
        assert_eq!(value(br#""a\ud83db""#).unwrap(), "a\u{fffd}b");
        assert_eq!(value(br#""\ude00\ud83d""#).unwrap(), "\u{fffd}\u{fffd}");
        assert_eq!(value(br#""\ud83d\ud83d\ude00""#).unwrap(), "\u{fffd}\u{1f600}");
        assert_eq!(value(br#"["\\ud83d", "\ud83d"]"#).unwrap(), json!(["\\ud83d", "\u{fffd}"]));
        assert_eq!(value(b"\"caf\xe9\"").unwrap(), "caf\u{fffd}");
    }

    #[test]
    fn a_mistake_tells_its_place() {
        for text in ["[1, NaN, \"\\ud83d\"]", " [ ]\n", "[{\"a\": 1e400}]"] {
            assert_eq!(check(text, true), Ok(()), "{text}");
        }
        assert_eq!(check("{}", false), Ok(()));
        for (text, line, column) in [
            ("", 1, 1),
            ("5", 1, 1),
            (" {}", 1, 2),
            ("[1,\n \"é\" 2]", 2, 6),
            ("[1] x", 1, 5),
            ("[1,]", 1, 4),
            ("[tru]", 1, 5),
        ] {
            let mistake = check(text, true).unwrap_err();
            assert_eq!((mistake.line, mistake.column), (line, column), "{text}: {mistake:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        for depth in [300, 100_000] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(value(text.as_bytes()).is_err(), "depth {depth}");
            assert!(elements(&text).is_err(), "depth {depth}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "nope", "[1,]", "\"\\u12\"", "\\", "1 2"] {
            assert!(value(text.as_bytes()).is_err(), "{text:?}");
            assert!(elements(text).is_err(), "{text:?}");
            assert!(members(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn slices_are_verbatim() {
        let text =
            r#" [ [1.50, NaN] , {"k": "\ud83d"},-Infinity , 1000000000000000000000000000000]"#;
        assert_eq!(
            elements(text).unwrap(),
            ["[1.50, NaN]", r#"{"k": "\ud83d"}"#, "-Infinity", "1000000000000000000000000000000"]
        );
        assert_eq!(elements("[]").unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn members_are_verbatim_and_keep_their_order() {
        let text = r#"{"b" :  1e2 , "a\u0301": "été\ud83d", "b":{ } }"#;
        assert_eq!(
            members(text).unwrap(),
            [
                ("b".to_owned(), "1e2"),
                ("a\u{301}".to_owned(), r#""été\ud83d""#),
                ("b".to_owned(), "{ }")
            ]
        );
        assert_eq!(members("{}").unwrap(), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = value(&text);
            let text = String::from_utf8_lossy(&text);
            let _ = (elements(&text), members(&text));
        }

        #[test]
        fn escapes_are_read_or_refused(text in r#""([a\\u0-9d-f]{0,24})""#) {
            let _ = value(text.as_bytes());
            let _ = elements(&format!("[{text},{text}]"));
        }
    }
}
