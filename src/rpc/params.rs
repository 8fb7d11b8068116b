//! Parameters: by name; by position only the required leading ones. What does not fit is `-32602`,
//! with serde's sentence and the nearest known name.

use crate::error::{Error, Result, nearest};
use jsonrpsee::types::Params;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads the parameters of a call. `leading` are the required ones, in order.
pub(super) fn read<P: DeserializeOwned>(params: &Params<'_>, leading: &[&str]) -> Result<P> {
    let text = params.as_str().unwrap_or("{}").trim();
    if text.starts_with('[') {
        let values: Vec<Value> =
            serde_json::from_str(text).map_err(|error: serde_json::Error| {
                Error::InvalidParams(sentence(&error.to_string()))
            })?;
        let named = by_position(values, leading)?;
        return by_name(Value::Object(named));
    }
    by_name(&mut serde_json::Deserializer::from_str(text))
}

fn by_name<'de, P: DeserializeOwned>(
    params: impl Deserializer<'de, Error = serde_json::Error>,
) -> Result<P> {
    serde_path_to_error::deserialize(params).map_err(|error| {
        let said = sentence(&error.inner().to_string());
        let path = error.path().to_string();
        // A name that is unknown or missing is in the sentence already.
        let named = path == "." || said.contains(" field `");
        Error::InvalidParams(if named { said } else { format!("`{path}`: {said}") })
    })
}

fn by_position(values: Vec<Value>, leading: &[&str]) -> Result<Map<String, Value>> {
    if values.len() > leading.len() {
        return Err(Error::InvalidParams(match leading {
            [] => r#"takes its parameters by name: `{"name": value}`"#.to_owned(),
            names => {
                let names = names.join("`, `");
                format!("takes only `{names}` by position, the others by name")
            }
        }));
    }
    Ok(leading.iter().map(|name| (*name).to_owned()).zip(values).collect())
}

/// serde's sentence, with the nearest known name where one is near. The position in the text of
/// the parameters says nothing to a caller who sees the whole request.
fn sentence(said: &str) -> String {
    let said = said.split(" at line ").next().unwrap_or(said);
    let said = &said.replacen("unknown variant", "unknown word", 1);
    if let Some((found, expected)) =
        said.split_once(", expected ").filter(|_| said.starts_with("invalid"))
    {
        return format!("{found}, expected {}", in_words(expected));
    }
    let mut names = said.split('`').skip(1).step_by(2);
    let unknown = names.next().filter(|_| said.starts_with("unknown"));
    match unknown.and_then(|unknown| nearest(unknown, names)) {
        Some(known) => format!("{said}: did you mean `{known}`?"),
        None => said.clone(),
    }
}

/// What callers know of types is JSON's, not Rust's.
fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number from 0",
        "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        structure if structure.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Get {
        uuid: String,
        #[serde(default)]
        full: bool,
    }

    fn get(text: Option<&str>) -> Result<Get> {
        read(&Params::new(text), &["uuid"])
    }

    #[test]
    fn by_name_and_leading_ones_by_position() {
        let wanted = Get { uuid: "a".into(), full: true };
        assert_eq!(get(Some(r#"{"uuid":"a","full":true}"#)), Ok(wanted));
        assert_eq!(get(Some(r#"["a"]"#)), Ok(Get { uuid: "a".into(), full: false }));
        let error = get(Some(r#"["a",true]"#)).unwrap_err();
        assert_eq!(error.to_string(), "takes only `uuid` by position, the others by name");
        let error = read::<Get>(&Params::new(Some(r#"["a"]"#)), &[]).unwrap_err();
        assert_eq!(error.to_string(), r#"takes its parameters by name: `{"name": value}`"#);
    }

    #[test]
    fn an_unknown_name_tells_the_nearest() {
        let error = get(Some(r#"{"uuid":"a","ful":true}"#)).unwrap_err().to_string();
        assert_eq!(error, "unknown field `ful`, expected `uuid` or `full`: did you mean `full`?");
    }

    #[test]
    fn a_value_that_does_not_fit_tells_its_name() {
        for text in [r#"{"uuid":"a","full":1}"#, r#"{"full":1,"uuid":"a"}"#] {
            let error = get(Some(text)).unwrap_err().to_string();
            assert_eq!(error, "`full`: invalid type: integer `1`, expected a boolean");
        }
        let error = get(Some("[7]")).unwrap_err().to_string();
        assert_eq!(error, "`uuid`: invalid type: integer `7`, expected a string");
    }

    #[test]
    fn absent_parameters_are_none() {
        assert_eq!(get(None).unwrap_err().to_string(), "missing field `uuid`");
        assert_eq!(get(Some("[]")).unwrap_err().to_string(), "missing field `uuid`");
    }
}
