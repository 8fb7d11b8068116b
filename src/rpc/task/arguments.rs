//! Arguments of tasks as parameters: JSON values for scripts, kept byte for byte, or JSON as a text for
//! clients whose numbers are not exact.

use crate::celery::send;
use crate::error::{Error, Result};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Which of a task's two kinds of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Args,
    Kwargs,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Args => "args",
            Kind::Kwargs => "kwargs",
        }
    }

    /// What was given: the JSON text; `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::InvalidJson`] with line and column; [`Error::InvalidParams`] where both are given.
    pub fn given(
        self,
        value: Option<Box<RawValue>>,
        text: Option<String>,
    ) -> Result<Option<String>> {
        let name = self.name();
        let (parameter, text) = match (value, text) {
            (None, None) => return Ok(None),
            (Some(value), None) => (name.to_owned(), value.get().to_owned()),
            (None, Some(text)) => (format!("{name}_json"), text),
            (Some(_), Some(_)) => {
                let sentence = format!("`{name}` and `{name}_json`: one of them is enough");
                return Err(Error::InvalidParams(sentence));
            }
        };
        check(parameter, &text, self == Kind::Args)?;
        Ok(Some(text))
    }
}

/// Looks over a parameter that is to be the text of an array, or of an object.
pub(super) fn check(parameter: String, text: &str, array: bool) -> Result<()> {
    send::check_arguments(text, array).map_err(|mistake| Error::InvalidJson {
        parameter,
        reason: mistake.reason,
        line: mistake.line,
        column: mistake.column,
    })
}

/// A time as it is given: Unix seconds, or ISO 8601, which is UTC where it tells no offset.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "Unix seconds or an ISO 8601 text")]
pub(super) enum Time {
    Seconds(f64),
    Text(String),
}

impl Time {
    /// The moment; an empty text is none (F11).
    ///
    /// # Errors
    /// [`Error::InvalidParams`] for what would stop a worker, or fail in it.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>> {
        let (seconds, shown) = match self {
            Time::Text(text) if text.trim().is_empty() => return Ok(None),
            Time::Text(text) => (crate::celery::instant(text), format!("{text:?}")),
            Time::Seconds(seconds) => (Some(*seconds), seconds.to_string()),
        };
        let refused = || {
            Error::InvalidParams(format!(
                "`{name}` is Unix seconds or an ISO 8601 time from 1970 to 9998, not {shown}"
            ))
        };
        seconds.and_then(send::moment).map(Some).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_kept_as_they_were_written() {
        let text = r#"[1.50,  1000000000000000000000000000000]"#;
        let value = RawValue::from_string(text.into()).unwrap();
        assert_eq!(Kind::Args.given(Some(value.clone()), None).unwrap().as_deref(), Some(text));
        let nan = Some("{\"a\": NaN}".to_owned());
        assert_eq!(Kind::Kwargs.given(None, nan.clone()).unwrap(), nan);
        assert!(Kind::Args.given(Some(value), nan.clone()).is_err());
        let error = Kind::Args.given(None, Some("[1,\n 2".into())).unwrap_err();
        assert_eq!(error.code(), -32602);
        assert!(matches!(error, Error::InvalidJson { line: 2, column: 3, .. }), "{error}");
    }

    #[test]
    fn f11_only_moments_that_a_worker_can_reckon_with() {
        let moment = |text: &str| Time::Text(text.into()).moment("eta");
        assert_eq!(moment(""), Ok(None));
        let time = moment("2030-01-01T02:00:00+02:00").unwrap().unwrap();
        assert_eq!(time.as_second(), 1_893_456_000);
        assert_eq!(Time::Seconds(1_893_456_000.0).moment("eta"), Ok(Some(time)));
        assert_eq!(moment("2030-01-01T00:00:00"), Ok(Some(time)), "naive is UTC");
        for wrong in [
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00+14:00",
            "2026-13-45T00:00:00",
            "soon",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300, 253_370_764_800.0] {
            assert!(Time::Seconds(wrong).moment("expires").is_err(), "{wrong}");
        }
    }
}
