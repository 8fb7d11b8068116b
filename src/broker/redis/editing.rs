//! Changing queues: plain commands and two short scripts, no MULTI, since a full Redis refuses
//! anything inside one (F06; reference 7.1, 7.2).
//!
//! A message is removed by its exact bytes, so whoever takes it at the same time, it is taken once.
//! What a script does nobody sees half done; where scripts are not permitted the same is done by single
//! commands, in an order in which a message may stand twice for a moment, but never nowhere.

use super::super::{Editing, End, Exchanged, Put, Reach, Shelf, Stock};
use super::Redis;
use super::client::{broken, reason};
use super::queues::from_tail;
use crate::error::{Error, Result};
use ::redis::{FromRedisValue, RedisError, RedisResult, Value};
use async_trait::async_trait;
use std::collections::HashMap;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};

/// Removes what is next to run as long as it is one of the arguments, each once; answers which.
const TAKE: &str = "
local places = {}
for place = #ARGV, 1, -1 do
  local raw = ARGV[place]
  places[raw] = places[raw] or {}
  table.insert(places[raw], place)
end
local taken = {}
while #taken < #ARGV do
  local next = redis.call('LINDEX', KEYS[1], -1)
  local places = next and places[next]
  if not places or #places == 0 then break end
  redis.call('RPOP', KEYS[1])
  table.insert(taken, table.remove(places))
end
return taken";

/// Puts a copy of one message elsewhere (push, pop, copy), where that message is found within reach
/// (message, rank, reach), and removes it. A scan that finds nothing would else go through the whole
/// list. What a script did before one of its commands is refused, stays done: the copy is put first,
/// which a user's rights, a full server or another kind of key may forbid, and is taken back where the
/// message may not be removed.
const REPLACE: &str = "
local found = redis.call('LPOS', KEYS[1], ARGV[1], 'RANK', ARGV[2], 'MAXLEN', ARGV[3])
if not found then return 0 end
if KEYS[2] then redis.call(ARGV[4], KEYS[2], ARGV[6]) end
local removed = redis.pcall('LREM', KEYS[1], ARGV[2], ARGV[1])
if type(removed) == 'table' then
  if KEYS[2] then redis.pcall(ARGV[5], KEYS[2]) end
  return removed
end
return 1";

/// Whether scripts may be run, once it was tried.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    refused: AtomicBool,
}

impl Scripts {
    fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether an error means that scripts are not permitted, or not these: then nothing was done.
    /// What a server refuses in a script as it would anywhere is none of those.
    fn refuses(&self, error: &RedisError) -> bool {
        const NOT_NOW: [&str; 8] = [
            "OOM",
            "MISCONF",
            "READONLY",
            "WRONGTYPE",
            "LOADING",
            "BUSY",
            "NOREPLICAS",
            "MASTERDOWN",
        ];
        let text = reason(error);
        let not_now = NOT_NOW.iter().any(|code| text.contains(code));
        let refused = !error.is_io_error() && !error.is_timeout() && !not_now;
        if refused {
            tracing::info!(reason = text, "scripts are not permitted: single commands are used");
            self.refused.store(true, Ordering::Relaxed);
        }
        refused
    }
}

impl Redis {
    fn key_of(&self, shelf: &Shelf) -> String {
        self.layout().queue_key(&shelf.queue, shelf.priority)
    }

    async fn send<T: FromRedisValue>(&self, command: &::redis::Cmd) -> RedisResult<T> {
        command.query_async(&mut self.commands()).await
    }

    /// Runs a script. `None`: it may not be run, and nothing was done.
    async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Option<T>> {
        if self.scripts.refused() {
            return Ok(None);
        }
        let mut eval = ::redis::cmd("EVAL");
        eval.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        match self.send(&eval).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if self.scripts.refuses(&error) => Ok(None),
            Err(error) => Err(broken("EVAL", &error)),
        }
    }

    /// [`Editing::take`] without scripts: what a look shows to be there still, next to run first.
    async fn take_singly(&self, key: &str, messages: &[Vec<u8>]) -> Result<Vec<usize>> {
        let window = from_tail(&mut self.commands(), key, 0, messages.len()).await?;
        let mut there: HashMap<&[u8], usize> = HashMap::new();
        for raw in &window {
            *there.entry(raw).or_default() += 1;
        }
        let (mut asked, mut pipe) = (Vec::new(), ::redis::pipe());
        for (place, raw) in messages.iter().enumerate() {
            if let Some(left @ 1..) = there.get_mut(raw.as_slice()) {
                *left -= 1;
                asked.push(place);
                pipe.cmd("LREM").arg(key).arg(-1).arg(raw);
            }
        }
        if asked.is_empty() {
            return Ok(asked);
        }
        let removed: RedisResult<Vec<u64>> = pipe.query_async(&mut self.commands()).await;
        let removed = removed.map_err(|error| broken("LREM", &error))?;
        Ok(asked.into_iter().zip(removed).filter(|(_, one)| *one == 1).map(|(at, _)| at).collect())
    }

    async fn is_there(&self, key: &str, message: &[u8], reach: Reach) -> Result<bool> {
        let mut find = ::redis::cmd("LPOS");
        find.arg(key).arg(message).arg("RANK").arg(rank(reach.from));
        find.arg("MAXLEN").arg(reach.within);
        let found: RedisResult<Option<u64>> = self.send(&find).await;
        Ok(found.map_err(|error| broken("LPOS", &error))?.is_some())
    }

    async fn remove_singly(&self, key: &str, message: &[u8], from: End) -> RedisResult<bool> {
        let mut remove = ::redis::cmd("LREM");
        remove.arg(key).arg(rank(from)).arg(message);
        self.send::<u64>(&remove).await.map(|removed| removed == 1)
    }

    /// Whether LREM is refused wherever it is: tried on our reply list, which is not there.
    async fn may_remove(&self) -> Result<()> {
        let list = self.layout().key(self.replies.list());
        match self.remove_singly(&list, b"x", End::Last).await {
            Err(error) if is_command_refused(&error) => Err(broken("LREM", &error)),
            _ => Ok(()),
        }
    }
}

/// A user may not send that command, whatever the key.
fn is_command_refused(error: &RedisError) -> bool {
    error.code() == Some("NOPERM") && error.detail().is_some_and(|why| why.contains("to run the"))
}

#[async_trait]
impl Editing for Redis {
    async fn stock(&self, queue: &str) -> Result<Stock> {
        let layout = self.layout();
        let mut pipe = ::redis::pipe();
        pipe.ignore_errors();
        for step in layout.steps() {
            let key = layout.queue_key(queue, *step);
            pipe.cmd("TYPE").arg(&key).cmd("LLEN").arg(&key);
        }
        let answers: RedisResult<Vec<Value>> = pipe.query_async(&mut self.commands()).await;
        let answers = answers.map_err(|error| broken("LLEN", &error))?;
        let mut stock = Stock::default();
        for (priority, answer) in layout.steps().iter().zip(answers.chunks(2)) {
            let [kind, length] = answer else { continue };
            let kind = String::from_redis_value(kind.clone());
            let kind = kind.unwrap_or_else(|_| "key that may not be asked for".into());
            let shelf = Shelf { queue: queue.into(), priority: *priority };
            match length.clone().extract_error() {
                Ok(length) => {
                    let length = u64::from_redis_value(length);
                    let length = length.map_err(|error| broken("LLEN", &error.into()))?;
                    stock.shelves.push((shelf, length));
                }
                Err(error) if error.code() == Some("WRONGTYPE") => {
                    stock.foreign.push((layout.queue_key(queue, *priority), kind));
                }
                Err(error) => return Err(broken("LLEN", &error)),
            }
        }
        Ok(stock)
    }

    /// Asked on our reply list, which is not there, by commands that then change nothing and are
    /// refused like any that might.
    async fn takes_changes(&self, growing: bool) -> Result<()> {
        let list = self.layout().key(self.replies.list());
        let mut change = ::redis::cmd(if growing { "LPUSHX" } else { "LREM" });
        change.arg(list).arg(if growing { &["x"][..] } else { &["1", "x"][..] });
        match self.send::<()>(&change).await {
            // These commands, or that key, may be forbidden: that says nothing of queues.
            Err(error) if error.code() == Some("NOPERM") => Ok(()),
            Err(error) => Err(broken("change", &error)),
            Ok(()) => Ok(()),
        }
    }

    async fn is_atomic(&self) -> bool {
        matches!(self.run::<u64>("return 1", &[], &[]).await, Ok(Some(_)))
    }

    async fn stretch(
        &self,
        shelf: &Shelf,
        from: End,
        at: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>> {
        let key = self.key_of(shelf);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        match from {
            End::Next => from_tail(&mut self.commands(), &key, at, count).await,
            End::Last => {
                let mut range = ::redis::cmd("LRANGE");
                range.arg(key).arg(at).arg(at.saturating_add(count) - 1);
                self.send(&range).await.map_err(|error| broken("LRANGE", &error))
            }
        }
    }

    async fn take(&self, shelf: &Shelf, messages: &[Vec<u8>]) -> Result<Vec<usize>> {
        let key = self.key_of(shelf);
        let arguments: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let taken: Option<Vec<usize>> = self.run(TAKE, from_ref(&key), &arguments).await?;
        match taken {
            Some(places) => Ok(places.into_iter().map(|place| place - 1).collect()),
            None => self.take_singly(&key, messages).await,
        }
    }

    async fn remove(&self, shelf: &Shelf, message: &[u8], reach: Reach) -> Result<bool> {
        let key = self.key_of(shelf);
        let (rank, within) = (rank(reach.from).to_string(), reach.within.to_string());
        let arguments = [message, rank.as_bytes(), within.as_bytes()];
        let removed: Option<u64> = self.run(REPLACE, from_ref(&key), &arguments).await?;
        match removed {
            Some(removed) => Ok(removed == 1),
            None if !self.is_there(&key, message, reach).await? => Ok(false),
            None => {
                let removed = self.remove_singly(&key, message, reach.from).await;
                removed.map_err(|error| broken("LREM", &error))
            }
        }
    }

    async fn exchange(
        &self,
        shelf: &Shelf,
        message: &[u8],
        reach: Reach,
        (to, end): (&Shelf, End),
        copy: &[u8],
    ) -> Result<Exchanged> {
        let (source, target) = (self.key_of(shelf), self.key_of(to));
        let (rank, within) = (rank(reach.from).to_string(), reach.within.to_string());
        let (push, pop) = (push(end), pop(end));
        let (there, back) = (push.as_bytes(), pop.as_bytes());
        let arguments = [message, rank.as_bytes(), within.as_bytes(), there, back, copy];
        let keys = [source.clone(), target.clone()];
        if let Some(moved) = self.run::<u64>(REPLACE, &keys, &arguments).await? {
            return Ok(if moved == 1 { Exchanged::Done } else { Exchanged::Missing });
        }
        if !self.is_there(&source, message, reach).await? {
            return Ok(Exchanged::Missing);
        }
        self.may_remove().await?;
        if let Put::Refused(reason) = self.put(to, end, &[copy.to_vec()]).await? {
            return Err(Error::Broker { operation: push.into(), reason });
        }
        let failed = |error| broken("LREM", &error);
        let refused = match self.remove_singly(&source, message, reach.from).await {
            Ok(true) => return Ok(Exchanged::Done),
            Ok(false) => None,
            // It has answered: so the message is there.
            Err(error) if error.code().is_some() => Some(error),
            Err(error) => return Err(failed(error)),
        };
        let withdrawn = self.remove_singly(&target, copy, end).await.map_err(failed)?;
        match refused {
            Some(error) => Err(failed(error)),
            None => Ok(if withdrawn { Exchanged::Missing } else { Exchanged::Twice }),
        }
    }

    async fn put(&self, shelf: &Shelf, at: End, messages: &[Vec<u8>]) -> Result<Put> {
        let operation = push(at);
        let mut push = ::redis::cmd(operation);
        push.arg(self.key_of(shelf)).arg(messages);
        match self.send::<()>(&push).await {
            Ok(()) => Ok(Put::Done),
            // It has answered: so it has done nothing.
            Err(error) if error.code().is_some() => Ok(Put::Refused(reason(&error))),
            Err(error) => Err(broken(operation, &error)),
        }
    }

    async fn held(&self, tags: &[String]) -> Result<Vec<bool>> {
        let layout = self.layout();
        if !layout.keeps_unacked() || tags.is_empty() {
            return Ok(vec![false; tags.len()]);
        }
        let mut pipe = ::redis::pipe();
        for tag in tags {
            pipe.cmd("HEXISTS").arg(layout.unacked_key()).arg(tag);
        }
        let held = pipe.query_async(&mut self.commands()).await;
        held.map_err(|error| broken("HEXISTS", &error))
    }
}

/// From which end Redis counts.
fn rank(from: End) -> i8 {
    match from {
        End::Next => -1,
        End::Last => 1,
    }
}

fn pop(at: End) -> &'static str {
    match at {
        End::Next => "RPOP",
        End::Last => "LPOP",
    }
}

fn push(at: End) -> &'static str {
    match at {
        End::Next => "RPUSH",
        End::Last => "LPUSH",
    }
}
