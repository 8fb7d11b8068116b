//! `queue/move_messages` and `queue/move`: put single messages, or all that wait, into another queue.
//! Each is saved first, and is always in one of the two: at once where scripts are permitted, else in
//! both for a moment.

use super::emptying::{Emptied, Emptying, check_cost};
use super::foreign;
use super::pick::{Picked, Picking, Selection};
use super::purge::is_zero;
use crate::broker::Stock;
use crate::environment::act::recovery::{Header, Recovery};
use crate::environment::act::{Action, Job, Licence, Preview, Warning};
use crate::environment::{Connection, Environment, Need};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
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

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<Picked> {
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
    async fn preview(self, environment: &Environment, job: &Job) -> Result<Picked> {
        let connection = environment.connection().await?;
        let warnings = self.check(environment, &connection).await?;
        job.expect(self.selection.names.len());
        let mut picked = self.selection.preview(&connection, job).await?;
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
        let way = way(environment, connection, &self.selection.queue, &self.to).await;
        way.map(|(_, warnings)| warnings)
    }
}

/// Moves all that waits in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveAll {
    /// Which.
    pub queue: String,
    /// The queue they are put into, each of the same priority, as if they were sent now.
    pub to: String,
    /// Steps may be long.
    pub accept_blocking: bool,
}

/// What came of that.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct MovedAll {
    /// Messages that were moved.
    pub moved: u64,
    /// Messages that came meanwhile, and are where they came.
    pub arrived: u64,
    /// Messages that were about to be moved when somebody else took them.
    #[serde(skip_serializing_if = "is_zero")]
    pub taken: u64,
    /// The recovery file, where anything was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
}

impl Action for MoveAll {
    type Outcome = MovedAll;

    const METHOD: &'static str = "queue/move";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "queue": self.queue, "to": self.to })
    }

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<MovedAll> {
        let connection = environment.connection().await?;
        let (stock, mut warnings) = way(environment, &connection, &self.queue, &self.to).await?;
        connection.broker.takes_changes(true).await?;
        let operation = format!("moving all of `{}`", self.queue);
        check_cost(&connection, &stock, &operation, self.accept_blocking).await?;
        let to = Some(self.to.as_str());
        let header = Header::new(environment, &connection, job, Some(&self.queue), to);
        let emptied = Emptying::new(&connection, job, header, to).carry_out(&stock).await?;
        let Emptied { done: moved, arrived, taken, saved_as, warnings: more } = emptied;
        warnings.extend(more);
        Ok(MovedAll { moved, arrived, taken, saved_as, warnings })
    }
}

impl Preview for MoveAll {
    async fn preview(self, environment: &Environment, _: &Job) -> Result<MovedAll> {
        let connection = environment.connection().await?;
        let (stock, mut warnings) = way(environment, &connection, &self.queue, &self.to).await?;
        warnings.extend(foreign(&stock));
        Ok(MovedAll { moved: stock.total(), warnings, ..MovedAll::default() })
    }
}

/// From one queue to another: what the first is made of, and what to know of the second.
async fn way(
    environment: &Environment,
    connection: &Connection,
    from: &str,
    to: &str,
) -> Result<(Stock, Vec<Warning>)> {
    if to == from {
        return Err(Error::InvalidParams(format!("`{to}` is where they are")));
    }
    let stock = environment.stock(connection, from).await?;
    Ok((stock, environment.check_target(to).await?))
}
