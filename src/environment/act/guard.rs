//! What is permitted: `read_only`, `production` until a session unlocks it, `allow`.
//!
//! An environment's guards hold for its broker, whatever name leads there: nothing is changed through
//! one environment where another one at the same place forbids it.

use super::audit::Entry;
use crate::environment::{Environment, Environments, wall_clock};
use crate::error::{Error, Result};
use crate::state::observation::Micros;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The method that lifts the guard of `production`.
pub const UNLOCK: &str = "environment/unlock";

/// The production environments that one session has unlocked, and until when.
#[derive(Debug, Default)]
pub struct Unlocked(Mutex<HashMap<String, Instant>>);

impl Unlocked {
    fn holds(&self, environment: &str) -> bool {
        let unlocked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unlocked.get(environment).is_some_and(|until| Instant::now() < *until)
    }

    fn set(&self, environment: &str, until: Instant) {
        let mut unlocked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unlocked.insert(environment.into(), until);
    }
}

/// Why a method is forbidden.
struct Rule {
    text: String,
    /// The environment whose lock it is.
    locked: Option<String>,
}

impl Environments {
    /// Refuses what the guards of an environment, or of another one at its place, forbid. The program
    /// that prints such an environment's URL is run for it: without an answer the place is unknown,
    /// and then nothing is done.
    pub(super) async fn guard(
        &self,
        through: &Environment,
        method: &str,
        unlocked: &Unlocked,
    ) -> Result<()> {
        let forbidden = |rule, locked| Error::Forbidden { method: method.into(), rule, locked };
        if let Some(Rule { text, locked }) = through.forbids(method, unlocked) {
            return Err(forbidden(text, locked));
        }
        for other in self.all().iter().filter(|other| other.name() != through.name()) {
            let Some(Rule { text, locked }) = other.forbids(method, unlocked) else { continue };
            match through.shares_place(other).await {
                Ok(false) => {}
                Ok(true) => {
                    let same = format!("`{}` is the same broker: {text}", other.name());
                    return Err(forbidden(same, locked));
                }
                Err(error) => {
                    let may = format!("`{}` may be the same broker: {error}", other.name());
                    return Err(forbidden(may, None));
                }
            }
        }
        Ok(())
    }
}

impl Environment {
    /// The rule of its own by which it forbids a method. What no unlocking would permit is told first.
    fn forbids(&self, method: &str, unlocked: &Unlocked) -> Option<Rule> {
        let config = self.config();
        let right = right(method);
        let allowed = |rights: &Vec<String>| rights.iter().any(|allowed| allowed == right);
        if config.read_only {
            Some(Rule { text: "the environment is read_only".into(), locked: None })
        } else if !config.allow.as_ref().is_none_or(allowed) {
            Some(Rule { text: format!("`allow` does not name `{right}`"), locked: None })
        } else if config.production && !unlocked.holds(self.name()) {
            let text = format!(
                "the environment is production (`{UNLOCK}` or `call --unlock` lifts that for a while)"
            );
            Some(Rule { text, locked: Some(self.name().into()) })
        } else {
            None
        }
    }

    /// Lifts the guard of a production environment for `time`, which is audited; no time locks it
    /// again. Answers until when.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where it is read-only for good, [`Error::InvalidParams`] where it is not
    /// production, [`Error::Internal`] where that cannot be audited.
    pub async fn unlock(&self, unlocked: &Unlocked, actor: &str, time: Duration) -> Result<Micros> {
        let config = self.config();
        if config.read_only {
            let rule = "the environment is read_only".into();
            return Err(Error::Forbidden { method: UNLOCK.into(), rule, locked: None });
        }
        if !config.production {
            let sentence = format!("`{}` is not production: nothing is locked", self.name());
            return Err(Error::InvalidParams(sentence));
        }
        let arguments = json!({ "seconds": time.as_secs() });
        Entry::without_job(self.name(), actor, UNLOCK, arguments).intent().await.map_err(
            |reason| {
                Error::Internal(format!("not unlocked: the audit log cannot be written: {reason}"))
            },
        )?;
        unlocked.set(self.name(), Instant::now() + time);
        Ok(wall_clock() + Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX))
    }
}

/// The word in `allow` that permits a method.
fn right(method: &str) -> &str {
    let action = method.split_once('/').map_or(method, |(_, action)| action);
    action.split('_').next().unwrap_or(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_the_part_of_the_method_that_the_configuration_knows() {
        for (method, word) in [
            ("task/send", "send"),
            ("task/retry", "retry"),
            ("task/revoke", "revoke"),
            ("queue/delete_messages", "delete"),
            ("queue/move_messages", "move"),
            ("worker/control", "control"),
        ] {
            assert_eq!(right(method), word);
            assert!(crate::config::ACTIONS.contains(&word), "{word}");
        }
    }
}
