//! What `replay:FILE?speed=1&loop=1` says.

use crate::error::{Error, Result, nearest};
use std::path::PathBuf;

/// A recording, and how it is to be played.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    pub path: PathBuf,
    /// Times as fast as it was; `None`: as fast as it can.
    pub speed: Option<f64>,
    /// From the beginning again, once it has ended.
    pub again: bool,
}

impl Address {
    /// Reads what follows `replay:`.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn parse(text: &str) -> Result<Self> {
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(wrong("`replay:` wants the path of a recording"));
        }
        let mut address = Address { path: path.into(), speed: None, again: false };
        for (name, value) in form_urlencoded::parse(options.as_bytes()) {
            address.set(&name, &value)?;
        }
        if address.again && address.speed.is_none() {
            return Err(wrong("`loop` wants a `speed`, such as `speed=1`"));
        }
        Ok(address)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "speed" => match value.parse() {
                Ok(speed) if (0.001..=1000.0).contains(&speed) => self.speed = Some(speed),
                _ => return Err(wrong("`speed` is a number from 0.001 to 1000")),
            },
            "loop" => match value {
                "0" => self.again = false,
                "1" => self.again = true,
                _ => return Err(wrong("`loop` is 0 or 1")),
            },
            _ => {
                let meant = nearest(name, ["speed", "loop"]);
                let hint = meant.map(|meant| format!(": did you mean `{meant}`?"));
                return Err(wrong(&format!(
                    "a recording has no option `{name}`{}",
                    hint.unwrap_or_default()
                )));
            }
        }
        Ok(())
    }
}

fn wrong(reason: &str) -> Error {
    Error::Config { setting: "broker_url".into(), reason: reason.into(), position: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_mistakes_are_told() {
        let address = |speed, again| Address { path: "a/b".into(), speed, again };
        assert_eq!(Address::parse("a/b"), Ok(address(None, false)));
        assert_eq!(Address::parse("a/b?speed=0.5"), Ok(address(Some(0.5), false)));
        assert_eq!(Address::parse("a/b?speed=2&loop=1"), Ok(address(Some(2.0), true)));
        for (text, reason) in [
            ("", "`replay:` wants the path of a recording"),
            ("a?loop=1", "`loop` wants a `speed`, such as `speed=1`"),
            ("a?speed=0", "`speed` is a number from 0.001 to 1000"),
            ("a?speed=NaN", "`speed` is a number from 0.001 to 1000"),
            ("a?speed=1&loop=yes", "`loop` is 0 or 1"),
            ("a?spede=1", "a recording has no option `spede`: did you mean `speed`?"),
            ("a?x=1", "a recording has no option `x`"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("broker_url: {reason}"), "{text}");
        }
    }
}
