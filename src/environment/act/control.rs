//! `worker/control`: a command of Celery's remote control.

use super::{Action, Job, Licence, Preview};
use crate::celery::control::Request;
use crate::environment::{Environment, Need, Replies};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::time::Duration;

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

/// Sends one command.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Which of Celery's control commands.
    pub command: Command,
    /// Exact node names; `None` is everybody.
    pub destination: Option<Vec<String>>,
    /// How long to wait for those who are silent.
    pub timeout: Duration,
}

impl Action for Control {
    type Outcome = Replies;

    const METHOD: &'static str = "worker/control";
    const NEEDS: &'static [Need] = &[Need::Workers];

    fn describe(&self) -> Value {
        json!({ "method": self.command.name(), "destination": self.destination })
    }

    async fn carry_out(self, environment: &Environment, _: &Licence) -> Result<Replies> {
        let command = self.command.name();
        self.ask(environment, command).await
    }
}

impl Preview for Control {
    /// Only a ping: who would have heard it.
    async fn preview(self, environment: &Environment, _: &Job) -> Result<Replies> {
        self.ask(environment, "ping").await
    }
}

impl Control {
    async fn ask(self, environment: &Environment, method: &str) -> Result<Replies> {
        let Control { destination, timeout, .. } = self;
        let answers = environment.ask(Request::new(method, destination.clone()), timeout).await?;
        if answers.is_empty() {
            let (method, timeout) = (method.into(), timeout.as_secs_f64());
            return Err(Error::NoReply { method, destination, timeout });
        }
        Ok(Replies::of(answers, destination.as_deref()))
    }
}
