//! `queue/purge`: removes all that waits in a queue, saved first.

use super::emptying::{Emptied, Emptying, check_cost};
use super::{Warning, foreign};
use crate::environment::act::recovery::Header;
use crate::environment::act::{Action, Job, Licence, Preview};
use crate::environment::{Environment, Need};
use crate::error::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Empties a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Purge {
    /// Which.
    pub queue: String,
    /// Steps may be long.
    pub accept_blocking: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Purged {
    /// Messages that were removed.
    pub purged: u64,
    /// Messages that came meanwhile, and are there.
    pub arrived: u64,
    /// Messages that were about to be removed when somebody else took them.
    #[serde(skip_serializing_if = "is_zero")]
    pub taken: u64,
    /// The recovery file, where anything was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub warnings: Vec<Warning>,
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Action for Purge {
    type Outcome = Purged;

    const METHOD: &'static str = "queue/purge";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "queue": self.queue })
    }

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<Purged> {
        let connection = environment.connection().await?;
        let stock = environment.stock(&connection, &self.queue).await?;
        connection.broker.takes_changes(false).await?;
        let operation = format!("purging `{}`", self.queue);
        check_cost(&connection, &stock, &operation, self.accept_blocking).await?;
        let header = Header::new(environment, &connection, job, Some(&self.queue), None);
        let emptied = Emptying::new(&connection, job, header, None).carry_out(&stock).await?;
        let Emptied { done: purged, arrived, taken, saved_as, warnings } = emptied;
        Ok(Purged { purged, arrived, taken, saved_as, warnings })
    }
}

impl Preview for Purge {
    async fn preview(self, environment: &Environment, _: &Job) -> Result<Purged> {
        let connection = environment.connection().await?;
        let stock = environment.stock(&connection, &self.queue).await?;
        let warnings = foreign(&stock).collect();
        Ok(Purged { purged: stock.total(), warnings, ..Purged::default() })
    }
}
