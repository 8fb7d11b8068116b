//! kombu's Redis conventions (`kombu/transport/redis.py`): queues are lists, fanout exchanges are
//! pub/sub channels, what consumers hold is a hash and a sorted set.
//!
//! Three connections: commands, events, and blocking replies. Nothing is written but the reply list, and
//! what an action publishes.

pub(crate) mod client;
mod editing;
mod facts;
pub(crate) mod keys;
mod leftovers;
mod line;
pub(crate) mod pubsub;
mod queues;
mod reply;
mod unacked;

use super::url::{BrokerUrl, Server};
use super::{
    Binding, Broker, Deliveries, Delivery, Depth, Facts, Leftovers, Options, Peek, ReplyTo,
    UnackedLook, Unread,
};
use crate::error::{Error, Result};
use crate::message::{Body, Message};
use ::redis::aio::MultiplexedConnection;
use ::redis::{FromRedisValue, RedisResult, Value};
use async_trait::async_trait;
use client::{broken, unanswered};
use keys::Layout;
use pubsub::{Heard, Subscriber};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Members of a binding set that are read at most.
const BINDINGS: usize = 10_000;

/// Keys looked at by one step of the search for bindings.
const SCAN: usize = 1_000;

/// A Redis broker, connected.
#[derive(Debug)]
pub(super) struct Redis {
    server: Server,
    commands: MultiplexedConnection,
    layout: Mutex<Layout>,
    replies: reply::Replies,
    marks: queues::Marks,
    scripts: editing::Scripts,
}

/// Connects to the first of the URL's servers that answers.
pub(super) async fn connect(url: &BrokerUrl, options: &Options) -> Result<Arc<dyn Broker>> {
    let (server, commands) = client::reachable(url).await?;
    let mut layout = Layout::new(server.db(), options);
    layout.find_prefix(&mut commands.clone()).await?;
    Ok(Arc::new(Redis {
        replies: reply::Replies::new(server.clone()),
        server,
        commands,
        layout: Mutex::new(layout),
        marks: queues::Marks::default(),
        scripts: editing::Scripts::default(),
    }))
}

impl Redis {
    fn layout(&self) -> Layout {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn commands(&self) -> MultiplexedConnection {
        self.commands.clone()
    }
}

#[async_trait]
impl Broker for Redis {
    fn transport(&self) -> &'static str {
        "redis"
    }

    fn options(&self) -> Options {
        self.layout().options()
    }

    fn learn(&self, options: &serde_json::Map<String, serde_json::Value>) {
        let mut layout = self.layout.lock().unwrap_or_else(PoisonError::into_inner);
        if layout.learn(options) {
            tracing::info!(?layout, "a worker told how the broker is laid out");
        }
    }

    async fn subscribe(&self, exchange: &str) -> Result<Box<dyn Deliveries>> {
        let patterns = self.layout().events_patterns(exchange);
        let subscriber = Subscriber::connect(&self.server, &patterns).await?;
        Ok(Box::new(Events { subscriber, heard: Vec::new() }))
    }

    async fn publish(&self, message: &Message) -> Result<()> {
        let (layout, queue) = (self.layout(), message.delivery_info("routing_key"));
        let priority = message.properties.get("priority").and_then(serde_json::Value::as_i64);
        let key = layout.queue_key(queue.unwrap_or_default(), layout.step(priority));
        let mut push = ::redis::cmd("LPUSH");
        push.arg(key).arg(message.to_envelope());
        let pushed: RedisResult<()> = push.query_async(&mut self.commands()).await;
        pushed.map_err(|error| unanswered("LPUSH", &error))
    }

    async fn broadcast(&self, exchange: &str, message: &Message) -> Result<Option<u64>> {
        let routing_key = message.delivery_info("routing_key").unwrap_or_default();
        let channel = self.layout().channel(exchange, routing_key);
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(channel).arg(message.to_envelope());
        let listeners = publish.query_async(&mut self.commands()).await;
        listeners.map(Some).map_err(|error| unanswered("PUBLISH", &error))
    }

    fn reply_to(&self) -> ReplyTo {
        ReplyTo { exchange: String::new(), routing_key: self.replies.list().into() }
    }

    async fn takes_replies(&self) -> Result<()> {
        self.replies.can_be_stored(&self.layout(), &mut self.commands()).await
    }

    async fn reply(&self, wait: Duration) -> Result<Option<Result<Message, Unread>>> {
        self.replies.next(&self.layout(), wait).await
    }

    async fn close_replies(&self, owed: bool) -> Result<()> {
        self.replies.close(&self.layout(), &mut self.commands(), owed).await
    }

    async fn expire_replies(&self, cursor: u64) -> Result<u64> {
        reply::expire(&self.layout(), &mut self.commands(), cursor, SCAN).await
    }

    async fn leftovers(&self, exchange: &str, time: Duration) -> Result<Leftovers> {
        leftovers::look(&self.layout(), &mut self.commands(), exchange, time).await
    }

    async fn bindings(&self, exchange: &str) -> Result<Vec<Binding>> {
        let (layout, members) = (self.layout(), self.members(exchange).await?);
        Ok(members.iter().filter_map(|member| layout.binding(member)).collect())
    }

    async fn malformed_bindings(&self, exchange: &str) -> Result<Vec<String>> {
        let (layout, members) = (self.layout(), self.members(exchange).await?);
        let key = quoted(layout.binding_key(exchange).as_bytes());
        let odd = members.iter().filter(|member| layout.binding(member).is_none());
        Ok(odd.map(|member| format!("SREM {key} {}", quoted(member))).collect())
    }

    async fn scan_exchanges(&self, cursor: u64) -> Result<(u64, Vec<String>)> {
        let layout = self.layout();
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(layout.binding_pattern()).arg("COUNT").arg(SCAN);
        scan.arg("TYPE").arg("set");
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(&mut self.commands()).await.map_err(|error| broken("SCAN", &error))?;
        Ok((next, keys.iter().filter_map(|key| layout.exchange_of(key)).collect()))
    }

    async fn depths(&self, queues: &[String]) -> Result<Vec<Depth>> {
        self.marks.depths(&self.layout(), &mut self.commands(), queues).await
    }

    async fn peek(&self, queue: &str, offset: usize, limit: usize, bytes: usize) -> Result<Peek> {
        queues::peek(&self.layout(), &mut self.commands(), queue, offset, limit, bytes).await
    }

    async fn unacked(&self, known: &HashSet<String>, bytes: usize) -> Result<UnackedLook> {
        unacked::look(&self.layout(), &mut self.commands(), known, bytes).await
    }

    async fn is_replica(&self) -> Result<Option<bool>> {
        let asked: RedisResult<Vec<Value>> =
            ::redis::cmd("ROLE").query_async(&mut self.commands()).await;
        match asked {
            Ok(role) => Ok(role.first().map(|role| {
                String::from_redis_value(role.clone()).is_ok_and(|role| role == "slave")
            })),
            Err(error) if error.is_io_error() => Err(broken("ROLE", &error)),
            // It may be forbidden (F26).
            Err(_) => Ok(None),
        }
    }

    async fn facts(&self) -> Facts {
        facts::ask(&mut self.commands()).await
    }

    async fn ping(&self) -> Result<()> {
        client::ping(&mut self.commands()).await.map_err(|error| broken("PING", &error))
    }
}

impl Redis {
    /// An exchange's binding set, as far as it is read.
    async fn members(&self, exchange: &str) -> Result<Vec<Vec<u8>>> {
        let key = self.layout().binding_key(exchange);
        let (mut cursor, mut all) = (0_u64, Vec::new());
        loop {
            let mut scan = ::redis::cmd("SSCAN");
            scan.arg(&key).arg(cursor).arg("COUNT").arg(SCAN);
            let scanned = scan.query_async(&mut self.commands()).await;
            let (next, members): (u64, Vec<Vec<u8>>) =
                scanned.map_err(|error| broken("SSCAN", &error))?;
            all.extend(members);
            cursor = next;
            if cursor == 0 || all.len() >= BINDINGS {
                return Ok(all);
            }
        }
    }
}

/// Bytes as `redis-cli` reads them.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// What is published to one exchange.
struct Events {
    subscriber: Subscriber,
    heard: Vec<Heard>,
}

#[async_trait]
impl Deliveries for Events {
    async fn next(&mut self, limit: usize, into: &mut Vec<Delivery>) -> Result<()> {
        self.subscriber.next(limit, &mut self.heard).await?;
        into.extend(self.heard.drain(..).map(|Heard { payload, .. }| {
            payload.and_then(|raw| Body::from_envelope(&raw).map_err(|error| error.to_string()))
        }));
        Ok(())
    }
}

/// The transport has no server of ours to try.
fn unsupported(url: &BrokerUrl) -> Error {
    match url.warnings().first() {
        Some(warning) => {
            let reason = format!("{warning}; write `redis://HOST:PORT/DB`");
            Error::Config { setting: "broker_url".into(), reason, position: None }
        }
        None => Error::Unsupported {
            operation: "watching a cluster".into(),
            transport: url.transport().to_owned(),
        },
    }
}
