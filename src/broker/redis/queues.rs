//! Lengths, arrivals and messages of queues: lists, one for each priority step. Producers `LPUSH`,
//! consumers `BRPOP`: index -1 is the next to run (reference 1.2).

use super::super::{Budget, Depth, Peek};
use super::client::{broken, reason};
use super::keys::Layout;
use crate::error::Result;
use ::redis::aio::MultiplexedConnection;
use ::redis::{FromRedisValue, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Queues asked for in one pipeline: it is short enough that the server answers it in one go.
const PIPELINE: usize = 32;

/// The newest element of a list is a mark only up to this size.
const MARK: usize = 16 << 10;

/// How far a mark is searched for.
const MARK_DEPTH: usize = 10_000;

/// Samples for which a list whose newest element is too large is not asked for it again.
const REST: u32 = 30;

/// The newest element of every list at the last sample: how many came since is its distance.
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<HashMap<String, Mark>>);

#[derive(Debug, Clone, Default)]
struct Mark {
    /// `None`: the list was empty, or its newest element too large.
    newest: Option<Vec<u8>>,
    /// Samples to wait before the newest element is asked for again.
    rest: u32,
    /// The list held something at some sample.
    used: bool,
}

/// What one list answered.
struct Answer {
    length: Result<u64, String>,
    /// Distance of the mark, where it was found.
    distance: Option<u64>,
    newest: Option<Vec<u8>>,
}

impl Marks {
    /// Lengths of queues, in order, and what arrived since the last sample. Plain commands, no
    /// MULTI: a full Redis refuses anything inside one (F06).
    pub async fn depths(
        &self,
        layout: &Layout,
        commands: &mut MultiplexedConnection,
        queues: &[String],
    ) -> Result<Vec<Depth>> {
        let mut depths = Vec::with_capacity(queues.len());
        for queues in queues.chunks(PIPELINE) {
            let keys: Vec<String> = queues
                .iter()
                .flat_map(|queue| layout.steps().iter().map(|step| layout.queue_key(queue, *step)))
                .collect();
            let answers = self.ask(commands, &keys).await?;
            let mut answers = keys.into_iter().zip(answers);
            for _ in queues {
                let own = answers.by_ref().take(layout.steps().len());
                depths.push(self.depth(layout.steps(), own.collect()));
            }
        }
        Ok(depths)
    }

    async fn ask(
        &self,
        commands: &mut MultiplexedConnection,
        keys: &[String],
    ) -> Result<Vec<Answer>> {
        let mut pipe = ::redis::pipe();
        pipe.ignore_errors();
        for key in keys {
            let mark = self.mark(key);
            let old = mark.newest.unwrap_or_default();
            pipe.cmd("LLEN").arg(key);
            // The order matters: what comes between the two is counted the next time.
            pipe.cmd("LPOS").arg(key).arg(old).arg("MAXLEN").arg(MARK_DEPTH);
            if mark.rest == 0 {
                pipe.cmd("LINDEX").arg(key).arg(0);
            } else {
                pipe.cmd("LINDEX").arg(key).arg(i64::MAX);
            }
        }
        let values: Vec<Value> =
            pipe.query_async(commands).await.map_err(|error| broken("LLEN", &error))?;
        Ok(values.chunks(3).map(answer).collect())
    }

    fn mark(&self, key: &str) -> Mark {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(key).cloned().unwrap_or_default()
    }

    fn depth(&self, steps: &[u8], answers: Vec<(String, Answer)>) -> Depth {
        let mut depth = Depth { arrived: Some(0), ..Depth::default() };
        for (step, (key, answer)) in steps.iter().zip(answers) {
            let arrived = self.arrived(&key, &answer);
            match answer.length {
                Ok(length) => {
                    depth.priorities.insert(*step, length);
                }
                Err(why) => depth.oddities.push(format!("{}: {why}", key.escape_debug())),
            }
            depth.arrived = depth.arrived.zip(arrived).map(|(sum, more)| sum + more);
        }
        // A queue that never held anything while we looked tells nothing of its traffic.
        let used = depth.priorities.values().any(|length| *length > 0);
        depth.arrived = depth.arrived.filter(|_| used);
        depth
    }

    /// What came since the mark was set, and sets the new one. A list that never held anything
    /// counts nothing; one that was empty at a sample is unknown.
    fn arrived(&self, key: &str, answer: &Answer) -> Option<u64> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = marks.entry(key.to_owned()).or_default();
        let length = answer.length.as_ref().ok().copied()?;
        let arrived = match (&mark.newest, length) {
            (None, 0) if !mark.used => Some(0),
            (None, _) | (_, 0) => None,
            (Some(_), _) => answer.distance,
        };
        mark.used |= length > 0;
        mark.rest = mark.rest.saturating_sub(1);
        mark.newest = answer.newest.clone().filter(|newest| newest.len() <= MARK);
        if answer.newest.as_ref().is_some_and(|newest| newest.len() > MARK) {
            mark.rest = REST;
        }
        arrived
    }
}

fn answer(values: &[Value]) -> Answer {
    let [length, distance, newest] = values else {
        return Answer { length: Err("no answer".into()), distance: None, newest: None };
    };
    Answer {
        length: read(length),
        distance: read::<Option<u64>>(distance).ok().flatten(),
        newest: read::<Option<Vec<u8>>>(newest).ok().flatten(),
    }
}

fn read<T: FromRedisValue>(value: &Value) -> Result<T, String> {
    if let Value::ServerError(error) = value {
        return Err(error.to_string());
    }
    T::from_redis_value(value.clone()).map_err(|error| error.to_string())
}

/// Reads messages without removing them; see [`super::super::Broker::peek`].
pub(super) async fn peek(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    queue: &str,
    offset: usize,
    limit: usize,
    bytes: usize,
) -> Result<Peek> {
    let lengths = lengths(layout, commands, queue).await?;
    let mut peek = Peek { total: lengths.values().sum(), ..Peek::default() };
    let mut skip = offset as u64;
    let mut budget = Budget::new(bytes);
    for (step, length) in lengths {
        let start = skip.min(length);
        skip -= start;
        let key = layout.queue_key(queue, step);
        let mut at = usize::try_from(start).unwrap_or(usize::MAX);
        let end = usize::try_from(length).unwrap_or(usize::MAX);
        while at < end && peek.messages.len() < limit {
            let Some(fitting) = budget.fitting() else {
                peek.cut = true;
                return Ok(peek);
            };
            let count = fitting.min(end - at).min(limit - peek.messages.len());
            let read = from_tail(commands, &key, at, count).await?;
            if read.is_empty() {
                break;
            }
            at += read.len();
            budget.spend(&read);
            peek.messages.extend(read.into_iter().map(|raw| (step, raw)));
        }
    }
    Ok(peek)
}

async fn lengths(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    queue: &str,
) -> Result<BTreeMap<u8, u64>> {
    let mut pipe = ::redis::pipe();
    pipe.ignore_errors();
    for step in layout.steps() {
        pipe.cmd("LLEN").arg(layout.queue_key(queue, *step));
    }
    let values: Vec<Value> =
        pipe.query_async(commands).await.map_err(|error| broken("LLEN", &error))?;
    let lengths = layout.steps().iter().zip(&values).filter_map(|(step, value)| {
        let length: u64 = read(value)
            .inspect_err(|why| tracing::debug!(queue, step, why, "a priority step is no list"))
            .ok()?;
        Some((*step, length))
    });
    Ok(lengths.collect())
}

/// `count` messages from the `at`-th next to run, in the order in which they run.
pub(super) async fn from_tail(
    commands: &mut MultiplexedConnection,
    key: &str,
    at: usize,
    count: usize,
) -> Result<Vec<Vec<u8>>> {
    let index = |from_tail: usize| -i64::try_from(from_tail).unwrap_or(i64::MAX);
    let mut range = ::redis::cmd("LRANGE");
    range.arg(key).arg(index(at + count)).arg(index(at + 1));
    let mut read: Vec<Vec<u8>> = range.query_async(commands).await.map_err(|error| {
        crate::Error::Broker { operation: "LRANGE".into(), reason: reason(&error) }
    })?;
    read.reverse();
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(length: u64, distance: Option<u64>, newest: Option<&[u8]>) -> Answer {
        Answer { length: Ok(length), distance, newest: newest.map(<[u8]>::to_vec) }
    }

    #[test]
    fn what_came_is_the_distance_of_the_last_mark() {
        let marks = Marks::default();
        assert_eq!(marks.arrived("q", &listed(0, None, None)), Some(0), "never used");
        assert_eq!(marks.arrived("q", &listed(3, None, Some(b"c"))), None, "it was empty");
        assert_eq!(marks.arrived("q", &listed(5, Some(4), Some(b"g"))), Some(4));
        assert_eq!(marks.arrived("q", &listed(5, Some(0), Some(b"g"))), Some(0));
        assert_eq!(marks.arrived("q", &listed(1, None, Some(b"z"))), None, "the mark is gone");
        assert_eq!(marks.arrived("q", &listed(0, None, None)), None, "it is empty");
        assert_eq!(marks.arrived("q", &listed(0, None, None)), None, "and was");
    }

    #[test]
    fn a_newest_element_that_is_too_large_is_left_alone_for_a_while() {
        let marks = Marks::default();
        marks.arrived("q", &listed(1, None, Some(&vec![b'x'; MARK + 1])));
        assert_eq!(marks.mark("q").rest, REST);
        assert_eq!(marks.mark("q").newest, None);
    }
}
