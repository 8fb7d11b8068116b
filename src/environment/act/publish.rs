//! A task goes out: its message, the event that the application's own clients would send with it, and
//! what we learn by it.

use super::Licence;
use crate::celery::TaskMessage;
use crate::celery::send::Sending;
use crate::environment::Environment;
use crate::error::Result;
use crate::state::Kind;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

impl Environment {
    /// Sends a task, in place of another one where `retry_of` names it.
    ///
    /// # Errors
    /// [`crate::Error::NotConnected`]; [`crate::Error::Broker`] where it was not sent;
    /// [`crate::Error::Unsure`], which names it, where it may have been.
    pub(super) async fn publish(
        &self,
        _licence: &Licence,
        task: &Sending,
        retry_of: Option<&str>,
    ) -> Result<()> {
        let connection = self.connection().await?;
        let now = Timestamp::now();
        let message = task.message(now);
        let sent = connection.broker.publish(&message).await;
        sent.map_err(|error| error.about(std::slice::from_ref(&task.uuid)))?;
        self.observe(Kind::Sent {
            queue: task.queue.clone(),
            message: Box::new(TaskMessage::from_element(&message.to_envelope())),
            retry_of: retry_of.map(str::to_owned),
        });
        if self.conf("task_send_sent_event") == Some(Value::Bool(true)) {
            let exchange = &self.config().event_exchange;
            // Hours west of Greenwich, as Celery reckons; its own receivers should not heed it.
            let utcoffset = f64::from(TimeZone::system().to_offset(now).seconds()) / -3600.0;
            let event = task.event(exchange, now, utcoffset);
            if let Err(error) = connection.broker.broadcast(exchange, &event).await {
                // The task is sent; only some watcher learns it later.
                tracing::warn!(%error, "a task-sent event could not be sent");
            }
        }
        Ok(())
    }
}
