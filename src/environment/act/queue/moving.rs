//! `queue/move_messages`: puts single messages into another queue. Each is saved first, and is
//! always in one of the two: at once where scripts are permitted, else in both for a moment.

use super::pick::{Picked, Picking, Selection};
use super::{known, target};
use crate::environment::act::recovery::{Header, Recovery};
use crate::environment::act::{Action, Job, Preview};
use crate::environment::{Connection, Environment, Need};
use crate::error::{Error, Result};
use serde_json::{Value, json};

/// Moves messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Which.
    pub selection: Selection,
    /// The queue they are put into, of the same priority, as if they were sent now.
    pub to: String,
}

impl Action for Move {
    type Outcome = Picked;

    const METHOD: &'static str = "queue/move_messages";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "queue": self.selection.queue, "to": self.to, "names": self.selection.names })
    }

    async fn carry_out(self, environment: &Environment, job: &Job) -> Result<Picked> {
        let connection = environment.connection().await?;
        self.check(environment, &connection).await?;
        connection.broker.takes_changes(true).await?;
        let Move { selection, to } = self;
        job.expect(selection.names.len());
        let header = Header::new(environment, &connection, job, &selection.queue, Some(&to));
        let recovery = Recovery::new(header);
        let (to, outcome) = (Some(to), Picked::default());
        Picking { connection: &connection, job, recovery, selection, to, outcome }.carry_out().await
    }
}

impl Preview for Move {
    async fn preview(self, environment: &Environment) -> Result<Picked> {
        let connection = environment.connection().await?;
        self.check(environment, &connection).await?;
        self.selection.preview(&connection).await
    }
}

impl Move {
    async fn check(&self, environment: &Environment, connection: &Connection) -> Result<()> {
        if self.to == self.selection.queue {
            return Err(Error::InvalidParams(format!("`{}` is where they are", self.to)));
        }
        known(environment, connection, &self.selection.queue).await?;
        target::check(environment, connection, &self.to).await.map(drop)
    }
}
