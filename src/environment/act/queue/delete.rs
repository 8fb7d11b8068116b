//! `queue/delete_messages`: removes single messages, saved first. Whoever waits for the result of one
//! is never told.

use super::pick::{Picked, Picking, Selection};
use crate::environment::act::recovery::{Header, Recovery};
use crate::environment::act::{Action, Job, Licence, Preview};
use crate::environment::{Environment, Need};
use crate::error::Result;
use serde_json::{Value, json};

/// Deletes messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete(pub Selection);

impl Action for Delete {
    type Outcome = Picked;

    const METHOD: &'static str = "queue/delete_messages";
    const NEEDS: &'static [Need] = &[Need::Queues];

    fn describe(&self) -> Value {
        json!({ "queue": self.0.queue, "names": self.0.names })
    }

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<Picked> {
        let connection = environment.connection().await?;
        environment.stock(&connection, &self.0.queue).await?;
        connection.broker.takes_changes(false).await?;
        job.expect(self.0.names.len());
        let header = Header::new(environment, &connection, job, Some(&self.0.queue), None);
        let mut recovery = Recovery::new(header);
        Picking::new(&connection, job, &mut recovery, self.0, None).carry_out().await
    }
}

impl Preview for Delete {
    async fn preview(self, environment: &Environment, job: &Job) -> Result<Picked> {
        let connection = environment.connection().await?;
        environment.stock(&connection, &self.0.queue).await?;
        job.expect(self.0.names.len());
        self.0.preview(&connection, job).await
    }
}
