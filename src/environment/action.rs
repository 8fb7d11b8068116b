//! The one door for all that changes anything: permission → audit of the intent → effect → audit of
//! the outcome.
//!
//! The effect runs as a task of its own, never as the request's future: a request that is dropped
//! half-way only detaches.

use super::mailbox::Answers;
use super::{Environment, Environments, wall_clock};
use crate::celery::control::Request;
use crate::error::{Error, Result};
use crate::state::observation::seconds;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// Something that changes the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `worker/control`
    Control {
        /// Which of Celery's control commands.
        command: Command,
        /// Exact node names; `None` is everybody.
        destination: Option<Vec<String>>,
        /// How long to wait for those who are silent.
        timeout: Duration,
    },
}

/// The control commands that may be sent (`celery/worker/control.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Workers publish task events from now on, until their process restarts.
    EnableEvents,
    /// Workers stop; one that was started with `-E` answers so and goes on (reference 3.5).
    DisableEvents,
}

impl Command {
    /// Celery's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Command::EnableEvents => "enable_events",
            Command::DisableEvents => "disable_events",
        }
    }

    /// The command of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Command::EnableEvents, Command::DisableEvents]
            .into_iter()
            .find(|command| command.name() == name)
    }
}

impl Action {
    /// The method it is called by.
    fn method(&self) -> &'static str {
        match self {
            Action::Control { .. } => "worker/control",
        }
    }

    /// The word in `allow` that permits it.
    fn right(&self) -> &'static str {
        match self {
            Action::Control { .. } => "control",
        }
    }

    fn describe(&self) -> Value {
        match self {
            Action::Control { command, destination, .. } => {
                json!({ "method": command.name(), "destination": destination })
            }
        }
    }
}

impl Environments {
    /// Carries out an action through one of the environments.
    ///
    /// # Errors
    /// [`Error::Forbidden`] before anything was done; [`Error::Internal`] where the audit log cannot
    /// be written, and then nothing was done either; else what the effect says.
    pub async fn act(
        &self,
        environment: &Environment,
        actor: &str,
        action: Action,
    ) -> Result<Answers> {
        environment.permit(&action)?;
        self.spare(environment, &action).await?;
        environment.act(actor, action).await
    }
}

impl Environment {
    async fn act(&self, actor: &str, action: Action) -> Result<Answers> {
        let entry = json!({
            "environment": self.name(), "actor": actor,
            "method": action.method(), "arguments": action.describe(),
        });
        audit(&entry, "intent", &Value::Null).map_err(|reason| {
            Error::Internal(format!("nothing was done: the audit log cannot be written: {reason}"))
        })?;
        let environment = self.clone();
        let job = tokio::spawn(async move {
            let outcome = environment.carry_out(action).await;
            let told = match &outcome {
                Ok(answers) => json!({ "replies": answers.replies, "missing": answers.missing }),
                Err(error) => json!({ "error": error.to_string() }),
            };
            if let Err(error) = audit(&entry, "outcome", &told) {
                tracing::error!(%error, "the outcome of an action could not be audited");
            }
            outcome
        });
        job.await.map_err(|panic| Error::Internal(panic.to_string()))?
    }

    /// Whether this environment's own guards let an action through.
    pub(super) fn permit(&self, action: &Action) -> Result<()> {
        let config = self.config();
        let rule = if config.read_only {
            "the environment is read_only"
        } else if config.production {
            "the environment is production"
        } else if config
            .allow
            .as_ref()
            .is_some_and(|rights| !rights.iter().any(|right| right == action.right()))
        {
            "`allow` does not name it"
        } else {
            return Ok(());
        };
        Err(Error::Forbidden { method: action.method().into(), rule: rule.into() })
    }

    async fn carry_out(&self, action: Action) -> Result<Answers> {
        match action {
            Action::Control { command, destination, timeout } => {
                self.ask(Request::new(command.name(), destination), timeout).await
            }
        }
    }
}

/// Appends one line to `$XDG_STATE_HOME/lazycelery/audit.jsonl` (mode 0600).
fn audit(entry: &Value, phase: &str, outcome: &Value) -> std::io::Result<()> {
    let path = audit_file();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let mut line = entry.clone();
    line["at"] = seconds::from_micros(wall_clock()).into();
    line["phase"] = phase.into();
    if !outcome.is_null() {
        line["outcome"] = outcome.clone();
    }
    let mut text = line.to_string();
    text.push('\n');
    // One write: lines of two servers do not mix.
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn audit_file() -> PathBuf {
    crate::config::state_home().join("audit.jsonl")
}
