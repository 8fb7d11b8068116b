//! Celery's Redis result backend (`celery/backends/redis.py`): one string a task, published as it
//! is stored. Reads only, and every read is bounded in bytes.

use super::{ResultBackend, Stored, Stores};
use crate::broker::redis::client;
use crate::broker::redis::keys::glob_escaped;
use crate::broker::redis::pubsub::{Heard, Subscriber};
use crate::broker::url::{BrokerUrl, Server};
use crate::celery::TaskMeta;
use crate::error::{Error, Result};
use crate::message::Cut;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value};
use async_trait::async_trait;
use std::sync::Arc;

/// What a task's key begins with, behind the prefix.
const TASK: &str = "celery-task-meta-";

/// Keys looked at by one step of a scan.
const SCAN: usize = 1_000;

/// Bytes that one read asks for; a single value may be larger.
const READ: usize = 256 << 10;

/// Most values are shorter than this, and read at once.
const SHORT: usize = 1 << 10;

/// Bytes that are read of each end of a value that is too large.
const END: usize = 4 << 10;

/// A Redis result backend, connected.
#[derive(Debug)]
struct Redis {
    server: Server,
    commands: MultiplexedConnection,
    names: Names,
}

/// Connects to the first of the URL's servers that answers.
pub(super) async fn connect(url: &BrokerUrl, keyprefix: &str) -> Result<Arc<dyn ResultBackend>> {
    let (server, commands) = client::reachable(url).await.map_err(of_backend)?;
    Ok(Arc::new(Redis { server, commands, names: Names::new(keyprefix) }))
}

#[async_trait]
impl ResultBackend for Redis {
    fn transport(&self) -> &'static str {
        "redis"
    }

    async fn get(&self, uuids: &[String], cut: usize) -> Result<Vec<Option<Stored>>> {
        let mut stored = Vec::with_capacity(uuids.len());
        let mut left = Vec::new();
        for chunk in uuids.chunks(READ / SHORT) {
            for (uuid, beginning) in chunk.iter().zip(self.beginnings(chunk).await?) {
                match beginning {
                    Ok(none) if none.is_empty() => stored.push(None),
                    Ok(whole) if whole.len() < SHORT && whole.len() <= cut => {
                        stored.push(Some(TaskMeta::decode(uuid, &whole)));
                    }
                    Ok(_) | Err(_) => {
                        left.push(stored.len());
                        stored.push(None);
                    }
                }
            }
        }
        let uuids: Vec<String> = left.iter().map(|&at| uuids[at].clone()).collect();
        for (at, long) in left.into_iter().zip(self.measured(&uuids, cut).await?) {
            stored[at] = long;
        }
        Ok(stored)
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>)> {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(self.names.pattern()).arg("COUNT").arg(SCAN);
        let (next, keys): (u64, Vec<Vec<u8>>) = self.ask("SCAN", &scan).await?;
        Ok((next, keys.iter().filter_map(|key| self.names.uuid(key)).collect()))
    }

    async fn ping(&self) -> Result<()> {
        let answered = client::ping(&mut self.commands.clone()).await;
        answered.map_err(|error| refused("PING", &error))
    }

    async fn subscribe(&self) -> Result<Box<dyn Stores>> {
        let pattern = self.names.pattern();
        let subscriber = Subscriber::connect(&self.server, &[pattern]).await;
        let subscriber = subscriber.map_err(of_backend)?;
        Ok(Box::new(Published { subscriber, names: self.names.clone(), messages: Vec::new() }))
    }
}

impl Redis {
    async fn ask<T: FromRedisValue>(&self, operation: &str, command: &Cmd) -> Result<T> {
        let asked = command.query_async(&mut self.commands.clone()).await;
        asked.map_err(|error| refused(operation, &error))
    }

    /// The beginning of every value, all of a short one; empty where there is none.
    async fn beginnings(&self, uuids: &[String]) -> Result<Vec<Result<Vec<u8>, String>>> {
        let mut pipe = ::redis::pipe();
        for uuid in uuids {
            pipe.cmd("GETRANGE").arg(self.names.key(uuid)).arg(0).arg(SHORT - 1);
        }
        Ok(self.each("GETRANGE", pipe).await?.into_iter().map(read).collect())
    }

    /// Values that may be long: each is read once its size is known.
    async fn measured(&self, uuids: &[String], cut: usize) -> Result<Vec<Option<Stored>>> {
        let sizes = self.sizes(uuids).await?;
        let mut stored: Vec<Option<Stored>> = sizes
            .iter()
            .map(|size| match size {
                Ok(0) => None,
                Ok(size) if *size > cut => Some(Err(too_large(*size))),
                Ok(_) => None,
                Err(why) => Some(Err(why.clone())),
            })
            .collect();
        let large: Vec<(usize, usize)> = (sizes.iter().enumerate())
            .filter_map(|(at, size)| Some((at, *size.as_ref().ok()?)))
            .filter(|(_, size)| *size > cut)
            .collect();
        for large in large.chunks(READ / (2 * END)) {
            let ends = self.ends(large.iter().map(|(at, _)| &uuids[*at])).await?;
            for (&(at, bytes), (head, tail)) in large.iter().zip(ends) {
                let ends = Cut { bytes, head, tail };
                stored[at] = TaskMeta::of_ends(&uuids[at], &ends).map(Ok).or(stored[at].take());
            }
        }
        for batch in batches(&sizes, cut) {
            let keys: Vec<String> = batch.iter().map(|&at| self.names.key(&uuids[at])).collect();
            let values: Vec<Option<Vec<u8>>> =
                self.ask("MGET", ::redis::cmd("MGET").arg(&keys)).await?;
            for (&at, value) in batch.iter().zip(values) {
                stored[at] = value.map(|raw| TaskMeta::decode(&uuids[at], &raw));
            }
        }
        Ok(stored)
    }

    /// The two ends of values that are not read; empty where they may not be.
    async fn ends(&self, uuids: impl Iterator<Item = &String>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut pipe = ::redis::pipe();
        for uuid in uuids {
            let key = self.names.key(uuid);
            pipe.cmd("GETRANGE").arg(&key).arg(0).arg(END - 1);
            pipe.cmd("GETRANGE").arg(&key).arg(format!("-{END}")).arg(-1);
        }
        let values = self.each("GETRANGE", pipe).await?;
        let bytes = |value: &Value| Vec::from_redis_value(value.clone()).unwrap_or_default();
        Ok(values.chunks_exact(2).map(|ends| (bytes(&ends[0]), bytes(&ends[1]))).collect())
    }

    /// Bytes of every value, 0 where there is none. A key that holds something else costs its own
    /// row alone.
    async fn sizes(&self, uuids: &[String]) -> Result<Vec<Result<usize, String>>> {
        if uuids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = ::redis::pipe();
        for uuid in uuids {
            pipe.cmd("STRLEN").arg(self.names.key(uuid));
        }
        Ok(self.each("STRLEN", pipe).await?.into_iter().map(read).collect())
    }

    /// What each command of a pipeline is answered. One that is refused costs its own answer alone.
    async fn each(&self, operation: &str, mut pipe: Pipeline) -> Result<Vec<Value>> {
        let asked = pipe.ignore_errors().query_async(&mut self.commands.clone()).await;
        asked.map_err(|error| refused(operation, &error))
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, String> {
    if let Value::ServerError(error) = value {
        return Err(client::reason(&error.into()));
    }
    T::from_redis_value(value).map_err(|error| error.to_string())
}

/// Runs of places whose values together fit [`READ`]; a larger one stands alone. What is absent,
/// failed or above `cut` is in none.
fn batches(sizes: &[Result<usize, String>], cut: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = READ;
    for (at, size) in sizes.iter().enumerate() {
        let Ok(size @ 1..) = *size else { continue };
        if size > cut {
            continue;
        }
        if filled + size > READ {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(at);
        }
    }
    batches
}

/// Results as they are stored.
struct Published {
    subscriber: Subscriber,
    names: Names,
    messages: Vec<Heard>,
}

#[async_trait]
impl Stores for Published {
    async fn next(&mut self, limit: usize, into: &mut Vec<Stored>) -> Result<()> {
        let before = into.len();
        // The channel of some other key may match, and then there is nothing to answer yet.
        while into.len() == before {
            self.subscriber.next(limit, &mut self.messages).await.map_err(of_backend)?;
            into.extend(self.messages.drain(..).filter_map(|Heard { channel, payload }| {
                let uuid = self.names.uuid(&channel)?;
                Some(payload.and_then(|payload| TaskMeta::decode(&uuid, &payload)))
            }));
        }
        Ok(())
    }
}

/// What keys and channels are called; results are published to the key's own name, without a db.
#[derive(Debug, Clone)]
struct Names(String);

impl Names {
    /// Celery puts `_` behind a prefix that ends in no separator (`celery/backends/base.py`).
    fn new(keyprefix: &str) -> Self {
        let ends_well = keyprefix.is_empty() || keyprefix.ends_with([':', '_', '-', '.']);
        Names(format!("{keyprefix}{}{TASK}", if ends_well { "" } else { "_" }))
    }

    fn key(&self, uuid: &str) -> String {
        format!("{}{uuid}", self.0)
    }

    fn pattern(&self) -> String {
        format!("{}*", glob_escaped(&self.0))
    }

    fn uuid(&self, key: &[u8]) -> Option<String> {
        let uuid = std::str::from_utf8(key).ok()?.strip_prefix(self.0.as_str())?;
        (!uuid.is_empty()).then(|| uuid.to_owned())
    }
}

fn too_large(size: usize) -> String {
    format!("a result of {size} bytes, which is more than is read")
}

fn refused(operation: &str, error: &RedisError) -> Error {
    Error::ResultBackend { operation: operation.into(), reason: client::reason(error) }
}

/// The broker's client tells of the broker; here the same words are the result backend's.
fn of_backend(error: Error) -> Error {
    match error {
        Error::Broker { operation, reason } => Error::ResultBackend { operation, reason },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_in_a_separator() {
        for (prefix, key) in [
            ("", "celery-task-meta-a"),
            ("app", "app_celery-task-meta-a"),
            ("app_", "app_celery-task-meta-a"),
            ("app:", "app:celery-task-meta-a"),
            ("app-", "app-celery-task-meta-a"),
            ("app.", "app.celery-task-meta-a"),
        ] {
            let names = Names::new(prefix);
            assert_eq!(names.key("a"), key);
            assert_eq!(names.uuid(key.as_bytes()), Some("a".into()));
        }
        assert_eq!(Names::new("a[1]").pattern(), r"a\[1\]_celery-task-meta-*");
        assert_eq!(Names::new("").uuid(b"celery-taskset-meta-a"), None);
        assert_eq!(Names::new("").uuid(b"celery-task-meta-"), None);
        assert_eq!(Names::new("").uuid(b"celery-task-meta-\xff"), None);
    }

    #[test]
    fn values_are_read_in_batches_that_fit() {
        let kilo = |n: usize| Ok(n << 10);
        let sizes = [kilo(100), kilo(0), Err("WRONGTYPE".into()), kilo(100), kilo(100), kilo(300)];
        assert_eq!(batches(&sizes, 1 << 20), [vec![0, 3], vec![4], vec![5]]);
        assert_eq!(batches(&sizes, 200 << 10), [vec![0, 3], vec![4]]);
        assert!(batches(&[], 1).is_empty());
    }
}
