//! What queues there are, how long they are, what waits in them and what workers hold of them.

use super::looks::{Look, REST, Reach};
use super::{Connection, Environment};
use crate::broker::Broker;
use crate::celery::TaskMessage;
use crate::error::Result;
use crate::state::Kind;
use crate::state::observation::{QueueSample, UnackedMessage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Messages of one queue that are shown as tasks; the rest is counted.
const HEAD: usize = 1_000;

/// Bytes that one look may read, over all queues.
pub(super) const LOOK_BYTES: usize = 8 << 20;

/// How long one step of the search for bindings takes at most: a first list waits for the first one.
const STEP: Duration = Duration::from_millis(10);

/// How soon that search begins anew at the latest, and at the earliest. Where it is cheap it does soon: a
/// queue that nobody consumes is known by nothing else.
const LATEST: Duration = Duration::from_secs(600);
const EARLIEST: Duration = Duration::from_secs(5);

/// A slow search through the broker's keys for exchanges that have bindings.
#[derive(Debug, Default)]
pub(super) struct Search(Mutex<Progress>);

#[derive(Debug, Default, Clone)]
struct Progress {
    cursor: u64,
    exchanges: BTreeSet<String>,
    through: Option<Instant>,
    /// Time that the present search has taken, and how long to rest after the last one.
    spent: Duration,
    rest: Duration,
    /// How far the search for what killed processes of ours left has come, and when it was through.
    leftovers: u64,
    swept: Option<Instant>,
}

impl Search {
    fn progress(&self) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// One step; answers whether it tells of more than was known.
    async fn go_on(&self, broker: &dyn Broker) -> Result<bool> {
        let mut progress = self.progress();
        let told = |progress: &Progress| (progress.exchanges.len(), progress.reach());
        let before = told(&progress);
        let until = Instant::now() + STEP;
        if progress.through.is_none_or(|at| at.elapsed() >= progress.rest) {
            progress.search(broker, until).await?;
        }
        let due = progress.swept.is_none_or(|at| at.elapsed() >= LATEST);
        if due && progress.through.is_some() {
            progress.expire(broker, until).await;
        }
        let more = told(&progress) != before;
        self.keep(progress);
        Ok(more)
    }
}

impl Progress {
    /// Whether it has been through all keys.
    fn reach(&self) -> Reach {
        if self.through.is_some() { Reach::Whole } else { Reach::Part }
    }

    async fn search(&mut self, broker: &dyn Broker, until: Instant) -> Result<()> {
        while Instant::now() < until {
            let began = Instant::now();
            let (cursor, found) = broker.scan_exchanges(self.cursor).await?;
            self.spent += began.elapsed();
            self.exchanges.extend(found);
            self.cursor = cursor;
            if cursor == 0 {
                self.through = Some(Instant::now());
                self.rest = (std::mem::take(&mut self.spent) * REST).clamp(EARLIEST, LATEST);
                break;
            }
        }
        Ok(())
    }

    /// A user who may not do it watches all the same.
    async fn expire(&mut self, broker: &dyn Broker, until: Instant) {
        while Instant::now() < until {
            self.leftovers = match broker.expire_replies(self.leftovers).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "what others left cannot be made to expire");
                    0
                }
            };
            if self.leftovers == 0 {
                self.swept = Some(Instant::now());
                break;
            }
        }
    }
}

/// Searches on for exchanges that have bindings; what is found after queues were named is named at once.
pub(super) async fn search(environment: &Environment, connection: &Connection) -> Result<Reach> {
    let more = connection.search.go_on(connection.broker.as_ref()).await?;
    if more && environment.0.looks.through(&[Look::Names]) {
        return names(environment, connection).await;
    }
    Ok(connection.search.progress().reach())
}

/// Which queues there are: as the configuration says, as workers consume, and as bindings name them
/// (reference 9.1).
pub(super) async fn names(environment: &Environment, connection: &Connection) -> Result<Reach> {
    let mut names: BTreeSet<String> = environment.config().queues.iter().cloned().collect();
    let known = environment.read(|state| state.queue_names());
    let progress = connection.search.progress();
    let exchanges: BTreeSet<&str> = std::iter::once(environment.config().control_exchange.as_str())
        .chain(known.iter().map(String::as_str))
        .chain(progress.exchanges.iter().map(String::as_str))
        .filter(|exchange| carries_tasks(environment, exchange))
        .collect();
    let mut broadcast = BTreeMap::new();
    for exchange in exchanges {
        for binding in connection.broker.bindings(exchange).await? {
            if binding.is_broadcast() {
                broadcast.insert(binding.queue, exchange.to_owned());
            } else {
                names.insert(binding.queue);
            }
        }
    }
    names.retain(|name| carries_tasks(environment, name));
    environment.observe(Kind::QueueNames {
        names: names.into_iter().collect(),
        broadcast,
        exact: progress.reach() == Reach::Whole,
    });
    Ok(progress.reach())
}

/// Remote control and events have exchanges and queues too; those carry no tasks.
pub(super) fn carries_tasks(environment: &Environment, name: &str) -> bool {
    let events = &environment.config().event_exchange;
    !name.ends_with(".pidbox")
        && name != events
        && !name.strip_prefix(events.as_str()).is_some_and(|rest| rest.starts_with('.'))
}

/// How long the queues are.
pub(super) async fn depths(environment: &Environment, connection: &Connection) -> Result<()> {
    let names = environment.read(|state| state.queue_names());
    sample(environment, connection, &names).await.map(drop)
}

/// Learns the lengths and answers them.
async fn sample(
    environment: &Environment,
    connection: &Connection,
    names: &[String],
) -> Result<Vec<u64>> {
    let depths = connection.broker.depths(names).await?;
    let lengths = depths.iter().map(|depth| depth.priorities.values().sum()).collect();
    let samples = names.iter().zip(depths).map(|(name, depth)| QueueSample {
        name: name.clone(),
        priorities: depth.priorities,
        arrived: depth.arrived,
        oldest: None,
    });
    environment.observe(Kind::Queues(samples.collect()));
    Ok(lengths)
}

/// What waits, next to run first. The bytes of one look are shared by the queues that hold anything.
pub(super) async fn heads(environment: &Environment, connection: &Connection) -> Result<Reach> {
    let names = environment.read(|state| state.queue_names());
    let mut reach = Reach::Whole;
    let lengths = sample(environment, connection, &names).await?;
    let waiting = lengths.iter().filter(|length| **length > 0).count().max(1);
    for (queue, length) in names.iter().zip(lengths) {
        if length == 0 {
            environment.observe(head(queue, Vec::new(), 0));
            continue;
        }
        let peek = connection.broker.peek(queue, 0, HEAD, LOOK_BYTES / waiting).await?;
        let read = peek.messages.len();
        let complete = read as u64 >= peek.total;
        if !complete {
            reach = Reach::Part;
        }
        let messages = peek.messages.into_iter().filter_map(|(_, raw)| task(&raw)).collect();
        environment.observe(Kind::Head {
            queue: queue.clone(),
            messages,
            complete,
            total: peek.total,
        });
    }
    Ok(reach)
}

fn head(queue: &str, messages: Vec<TaskMessage>, total: u64) -> Kind {
    Kind::Head { queue: queue.into(), complete: messages.len() as u64 >= total, messages, total }
}

/// What workers hold and have not acknowledged.
pub(super) async fn unacked(environment: &Environment, connection: &Connection) -> Result<Reach> {
    let known = environment.read(|state| state.known_tags());
    let look = connection.broker.unacked(&known, LOOK_BYTES).await?;
    let new = look.new.into_iter().filter_map(|held| {
        let message = task(&held.raw)?;
        let fanout = environment.read(|state| state.fanout_of(&held.exchange));
        let fanout = fanout.map(|name| name.to_string());
        let queue = fanout.or_else(|| message.routing_key.clone()).unwrap_or(held.routing_key);
        Some(UnackedMessage { delivery_tag: held.delivery_tag, queue, message })
    });
    environment.observe(Kind::Unacked {
        new: new.collect(),
        index: look.index,
        complete: look.complete,
    });
    Ok(if look.complete { Reach::Whole } else { Reach::Part })
}

/// By what a message of a queue is named: its delivery tag, else what its bytes add up to.
pub fn message_key(message: &TaskMessage, raw: &[u8]) -> String {
    message.delivery_tag.clone().unwrap_or_else(|| fingerprint(raw))
}

/// A name for a message's bytes.
pub fn fingerprint(raw: &[u8]) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, raw).to_string()
}

/// Reads one raw element as a task's message; `None` where it is no Celery message (F48).
pub(super) fn task(raw: &[u8]) -> Option<TaskMessage> {
    let task = TaskMessage::from_element(raw);
    (!task.uuid.is_empty()).then_some(task)
}
