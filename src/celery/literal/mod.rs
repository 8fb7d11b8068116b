//! Python literals: how Python would write what JSON holds, and the way back, as far as there is one.
//! Written for display only: what was a tuple, bytes or a date is a list, text or object by now.

mod json;

pub use json::json;

use serde_json::Value;

/// Python's `repr` of a JSON value, as deep as it is.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", join(items)),
        Value::Object(members) => {
            let pair =
                |(name, value): (&String, &Value)| format!("{}: {}", quoted(name), repr(value));
            format!("{{{}}}", members.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Python's `repr` of a call, as an exception's: `CardDeclined('insufficient funds')`.
pub fn call(name: &str, arguments: &[Value]) -> String {
    format!("{name}({})", join(arguments))
}

fn join(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character == quote => out.extend(['\\', quote]),
            character if character.is_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_python_writes_it() {
        for (value, text) in [
            (json!(null), "None"),
            (json!([true, false, 1, 2.5]), "[True, False, 1, 2.5]"),
            (json!({ "a": { "b": "c" } }), "{'a': {'b': 'c'}}"),
            (json!("it's"), "\"it's\""),
            (json!("it's \"it\""), "'it\\'s \"it\"'"),
            (json!("C:\\new\n\u{7}é"), "'C:\\\\new\\n\\x07é'"),
        ] {
            assert_eq!(repr(&value), text);
        }
        assert_eq!(call("Boom", &[json!("x"), json!(42)]), "Boom('x', 42)");
    }
}
