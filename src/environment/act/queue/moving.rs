//! `queue/move_messages`: puts single messages into another queue. Each is saved first, and is
//! always in one of the two: at once where scripts are permitted, else in both for a moment.

use super::pick::{Picked, Picking, Selection};
use crate::environment::act::recovery::{Header, Recovery};
use crate::environment::act::{Action, Job, Preview, Warning};
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
        let warnings = self.check(environment, &connection).await?;
        connection.broker.takes_changes(true).await?;
        let Move { selection, to } = self;
        job.expect(selection.names.len());
        let header = Header::new(environment, &connection, job, Some(&selection.queue), Some(&to));
        let mut recovery = Recovery::new(header);
        let picking = Picking::new(&connection, job, &mut recovery, selection, Some(to));
        let mut picked = picking.carry_out().await?;
        picked.warnings.splice(..0, warnings);
        Ok(picked)
    }
}

impl Preview for Move {
    async fn preview(self, environment: &Environment) -> Result<Picked> {
        let connection = environment.connection().await?;
        let warnings = self.check(environment, &connection).await?;
        let mut picked = self.selection.preview(&connection).await?;
        picked.warnings.splice(..0, warnings);
        Ok(picked)
    }
}

impl Move {
    async fn check(
        &self,
        environment: &Environment,
        connection: &Connection,
    ) -> Result<Vec<Warning>> {
        if self.to == self.selection.queue {
            return Err(Error::InvalidParams(format!("`{}` is where they are", self.to)));
        }
        environment.stock(connection, &self.selection.queue).await?;
        environment.check_target(&self.to).await
    }
}
