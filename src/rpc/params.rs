//! Parameters: by name; by position only the required leading ones. What does not fit is `-32602`,
//! with serde's sentence and the nearest known name.

use crate::error::{Error, Result, nearest};
use jsonrpsee::types::Params;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads the parameters of a call. `leading` are the required ones, in order.
pub(super) fn read<P: DeserializeOwned>(params: &Params<'_>, leading: &[&str]) -> Result<P> {
    let text = params.as_str().unwrap_or("{}").trim();
    let invalid = |error: serde_json::Error| Error::InvalidParams(sentence(&error.to_string()));
    if text.starts_with('[') {
        let values: Vec<Value> = serde_json::from_str(text).map_err(invalid)?;
        let named = by_position(values, leading)?;
        return serde_json::from_value(Value::Object(named)).map_err(invalid);
    }
    serde_json::from_str(text).map_err(invalid)
}

fn by_position(values: Vec<Value>, leading: &[&str]) -> Result<Map<String, Value>> {
    if values.len() > leading.len() {
        let taken = match leading {
            [] => "no parameters by position".to_owned(),
            names => format!("only `{}` by position", names.join("`, `")),
        };
        return Err(Error::InvalidParams(format!("takes {taken}, the others by name")));
    }
    Ok(leading.iter().map(|name| (*name).to_owned()).zip(values).collect())
}

/// serde's sentence, with the nearest known name where one is near. The position in the text of
/// the parameters says nothing to a caller who sees the whole request.
fn sentence(said: &str) -> String {
    let said = said.split(" at line ").next().unwrap_or(said);
    let mut names = said.split('`').skip(1).step_by(2);
    let unknown = names.next().filter(|_| said.starts_with("unknown"));
    match unknown.and_then(|unknown| nearest(unknown, names)) {
        Some(known) => format!("{said}: did you mean `{known}`?"),
        None => said.to_owned(),
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
    }

    #[test]
    fn an_unknown_name_tells_the_nearest() {
        let error = get(Some(r#"{"uuid":"a","ful":true}"#)).unwrap_err().to_string();
        assert_eq!(error, "unknown field `ful`, expected `uuid` or `full`: did you mean `full`?");
    }

    #[test]
    fn absent_parameters_are_none() {
        assert_eq!(get(None).unwrap_err().to_string(), "missing field `uuid`");
        assert_eq!(get(Some("[]")).unwrap_err().to_string(), "missing field `uuid`");
    }
}
