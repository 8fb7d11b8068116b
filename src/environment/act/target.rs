//! Where a message may be sent: a queue that is there, that is a list, and that somebody reads who
//! understands it.

use super::Warning;
use crate::environment::{Environment, Look};
use crate::error::{Error, Result};
use crate::state::{Software, Status};
use serde_json::Value;

/// The setting's value where no worker tells.
const DEFAULT_QUEUE: &str = "celery";

/// The first version of Celery that reads what we send: protocol 2.
const PROTOCOL_2: u64 = 4;

/// What has to be known of a cluster before anything is sent into it.
pub(super) const LOOKS: &[Look] = &[Look::Roll, Look::Names];

impl Environment {
    /// Looks a queue over that something is to be sent to.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`]; [`Error::Unsupported`] for a Broadcast queue (F13), whose messages are
    /// published and not stored, and for readers of another protocol (F48).
    pub(super) async fn check_target(&self, queue: &str) -> Result<Vec<Warning>> {
        if self.read(|state| state.is_broadcast(queue)) {
            let operation = format!("sending into the Broadcast queue `{queue}`");
            return Err(Error::Unsupported { operation, transport: self.transport() });
        }
        let readers = self.readers(queue);
        if let Some((hostname, version)) = readers.iter().find(|(_, version)| is_old(version)) {
            let operation = format!("message protocol 2 in `{queue}`");
            let transport = format!("{hostname}, which runs Celery {version}");
            return Err(Error::Unsupported { operation, transport });
        }
        if readers.is_empty() && !self.is_queue(queue).await? {
            let sources = ["workers", "bindings", "configuration", "broker"];
            let sources = sources.map(String::from).to_vec();
            return Err(Error::UnknownQueue { queue: queue.into(), sources });
        }
        let nobody = Warning::new("no_consumer", format!("no worker says that it reads `{queue}`"));
        Ok(readers.is_empty().then_some(nobody).into_iter().collect())
    }

    /// The queue of a task for which none is named, as far as workers tell: which routes an
    /// application would take is its own affair.
    pub(super) fn default_queue(&self) -> (String, Option<Warning>) {
        let queue = match self.conf("task_default_queue") {
            Some(Value::String(queue)) => queue,
            _ => DEFAULT_QUEUE.into(),
        };
        let routed = self.conf("task_routes").is_some_and(|routes| !routes.is_null());
        let warning = routed.then(|| {
            let text = format!("the application routes its tasks; this one goes to `{queue}`");
            Warning::new("routes", text)
        });
        (queue, warning)
    }

    /// A setting of the application, from whichever worker told it.
    pub(super) fn conf(&self, name: &str) -> Option<Value> {
        self.read(|state| state.workers().find_map(|worker| worker.conf?.get(name).cloned()))
    }

    /// Whether some worker that is there has registered a task; `None` while none has told.
    pub(super) fn is_registered(&self, name: &str) -> Option<bool> {
        self.read(|state| {
            let told: Vec<_> = state.workers().filter_map(|worker| worker.registered).collect();
            let registered = told.iter().any(|tasks| tasks.iter().any(|task| task.name == name));
            // Celery's own are not told.
            (!told.is_empty() && !name.starts_with("celery.")).then_some(registered)
        })
    }

    /// Who says that it reads a queue, and the version it runs.
    fn readers(&self, queue: &str) -> Vec<(String, String)> {
        self.read(|state| {
            let there = |status| matches!(status, Status::Online | Status::Silent);
            let readers = state.workers().filter(|worker| {
                let mut queues = worker.active_queues.into_iter().flatten();
                there(worker.row.status) && queues.any(|active| active.name == queue)
            });
            let version = |software: &Software| software.version.clone();
            readers
                .map(|worker| {
                    let version = worker.row.software.and_then(version).unwrap_or_default();
                    (worker.row.hostname.to_owned(), version)
                })
                .collect()
        })
    }

    async fn is_queue(&self, queue: &str) -> Result<bool> {
        if self.read(|state| state.queue_names().iter().any(|name| name == queue)) {
            return Ok(true);
        }
        let broker = &self.connection().await?.broker;
        // A queue that a client declared has an exchange of its name; one that was written to, messages.
        let bound = broker.bindings(queue).await?.iter().any(|binding| binding.queue == queue);
        let depths = broker.depths(&[queue.to_owned()]).await?;
        Ok(bound || depths.iter().any(|depth| depth.priorities.values().sum::<u64>() > 0))
    }

    fn transport(&self) -> String {
        self.row().transport.unwrap_or_else(|| "this broker".into())
    }
}

fn is_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
    major.is_some_and(|major| major < PROTOCOL_2)
}
