//! Which queues there are, and into which of them a message may be put: one that carries tasks, that is
//! a list, and that somebody reads who understands it.

use super::Warning;
use crate::broker::Stock;
use crate::environment::{Connection, Environment, Look, queues};
use crate::error::{Error, Result};
use crate::state::{Software, Status};
use serde_json::Value;

/// The setting's value where no worker tells.
const DEFAULT_QUEUE: &str = "celery";

/// The first version of Celery that reads what we send: protocol 2.
const PROTOCOL_2: u64 = 4;

impl Environment {
    /// Looks a queue over that messages are to be put into, sent or moved.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`]; [`Error::Unsupported`] for queues of remote control and events, for a
    /// Broadcast queue, whose messages are published and not stored (F13), for one in whose place
    /// something else is (F09), and for readers of another protocol (F48).
    pub(super) async fn check_target(&self, queue: &str) -> Result<Vec<Warning>> {
        let refused = |what: &str| {
            let operation = format!("putting a message into `{queue}`, {what},");
            Err(Error::Unsupported { operation, transport: self.transport() })
        };
        if !queues::carries_tasks(self, queue) {
            return refused("which belongs to remote control or events and carries no tasks");
        }
        // What workers consume from is known once the roll was called.
        self.fresh(&[Look::Roll, Look::Names]).await?;
        if self.read(|state| state.is_broadcast(queue)) {
            return refused(
                "a Broadcast queue, from a list of whose name no worker would ever take one",
            );
        }
        let readers = self.readers(queue);
        if let Some((hostname, version)) = readers.iter().find(|(_, version)| is_old(version)) {
            let operation = format!("message protocol 2 in `{queue}`");
            let transport = format!("{hostname}, which runs Celery {version}");
            return Err(Error::Unsupported { operation, transport });
        }
        if self.0.replay.is_some() {
            // A recording knows what it was told, and has no broker to ask.
            if readers.is_empty() && !self.knows_queue(queue) {
                return Err(self.unknown_queue(queue));
            }
        } else if let Some((key, kind)) =
            self.stock(&*self.connection().await?, queue).await?.foreign.first()
        {
            return refused(&format!("which has a {kind} at `{}`", key.escape_debug()));
        }
        let nobody = Warning::new("no_consumer", format!("no worker says that it reads `{queue}`"));
        Ok(readers.is_empty().then_some(nobody).into_iter().collect())
    }

    /// What a queue is made of, where anybody knows that queue.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`], [`Error::Broker`], [`Error::NotConnected`].
    pub(super) async fn stock(&self, connection: &Connection, queue: &str) -> Result<Stock> {
        let stock = connection.broker.stock(queue).await?;
        if stock.total() > 0 || !stock.foreign.is_empty() {
            return Ok(stock);
        }
        self.fresh(&[Look::Roll, Look::Names]).await?;
        if self.knows_queue(queue) || !self.readers(queue).is_empty() {
            return Ok(stock);
        }
        // One that a client declared just now has an exchange of its name.
        let bindings = connection.broker.bindings(queue).await?;
        let bound = bindings.iter().any(|binding| binding.queue == queue);
        if bound { Ok(stock) } else { Err(self.unknown_queue(queue)) }
    }

    fn knows_queue(&self, queue: &str) -> bool {
        self.read(|state| state.queue_names().iter().any(|name| name == queue))
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

    fn transport(&self) -> String {
        self.row().transport.unwrap_or_else(|| "this broker".into())
    }
}

fn is_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
    major.is_some_and(|major| major < PROTOCOL_2)
}
