//! What one worker reserved and scheduled. It is asked of that worker alone, and while somebody looks
//! at it only: an answer carries the arguments of every task that is held (F16). A worker that cannot
//! encode its answer writes an error with a traceback into its log at each try (F05), so one that did
//! not tell is asked less and less often.

use super::mailbox::Enough;
use super::workers::{self, TIMEOUT};
use super::{Connection, Environment};
use crate::celery::control::Request;
use crate::error::Result;
use crate::state::{Kind, Status};
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// What is asked.
const METHODS: [&str; 2] = ["reserved", "scheduled"];

/// The shortest time from one question to the next.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often it is looked whose turn it is.
const TURN: Duration = Duration::from_secs(1);

/// After an answer that took t we wait at least this many t.
const REST: u32 = super::looks::REST;

/// How soon a worker that did not tell is asked again at first, and at last.
const BACK_OFF: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// What is said of a worker that answers, but not this.
const MUTE: &str = "it cannot encode its answer: a task that it holds has arguments that its \
                    task_serializer has no word for";

/// Who is looked at, and when each may be asked what again.
#[derive(Debug, Default)]
pub(super) struct Held {
    workers: Mutex<HashMap<String, Watched>>,
    /// Somebody came.
    arrived: Notify,
    /// One question at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Watched {
    by: usize,
    methods: [Turn; METHODS.len()],
}

/// When one method may be asked again.
#[derive(Debug, Default, Clone, Copy)]
struct Turn {
    due: Option<Instant>,
    /// The process that did not tell, and how long we waited after it.
    untold: Option<(Option<i64>, Duration)>,
}

impl Held {
    /// Somebody looks at a worker.
    pub fn watch(&self, hostname: &str) {
        let (mut workers, now) = (self.workers(), Instant::now());
        workers.retain(|_, watched| {
            watched.by > 0 || watched.methods.iter().any(|turn| turn.due > Some(now))
        });
        workers.entry(hostname.to_owned()).or_default().by += 1;
        drop(workers);
        self.arrived.notify_waiters();
    }

    /// And no longer. When it may be asked again is remembered.
    pub fn leave(&self, hostname: &str) {
        if let Some(watched) = self.workers().get_mut(hostname) {
            watched.by = watched.by.saturating_sub(1);
        }
    }

    /// Another connection: whoever told may be asked at once.
    pub fn begin(&self) {
        for watched in self.workers().values_mut() {
            for turn in watched.methods.iter_mut().filter(|turn| turn.untold.is_none()) {
                turn.due = None;
            }
        }
    }

    /// Whom somebody looks at.
    fn watched(&self) -> Vec<String> {
        let workers = self.workers();
        let watched = workers.iter().filter(|(_, watched)| watched.by > 0);
        watched.map(|(hostname, _)| hostname.clone()).collect()
    }

    /// Which methods a worker may be asked now, whose process is `pid`. Another process may tell
    /// what the one before could not.
    fn due(&self, hostname: &str, pid: Option<i64>) -> Vec<&'static str> {
        let now = Instant::now();
        let workers = self.workers();
        let turns = workers.get(hostname).map(|watched| watched.methods).unwrap_or_default();
        let may = |turn: &Turn| {
            turn.due.is_none_or(|due| due <= now)
                || turn.untold.is_some_and(|(before, _)| before != pid)
        };
        METHODS.into_iter().zip(turns).filter(|(_, turn)| may(turn)).map(|(name, _)| name).collect()
    }

    /// Notes how a question went that took so long: told, or not by the process `untold`.
    fn asked(&self, hostname: &str, method: &str, took: Duration, untold: Option<Option<i64>>) {
        let mut workers = self.workers();
        let Some(at) = METHODS.iter().position(|name| *name == method) else { return };
        let turn = &mut workers.entry(hostname.to_owned()).or_default().methods[at];
        let before = turn.untold.map(|(_, wait)| wait * 2);
        turn.untold = untold.map(|pid| (pid, before.unwrap_or(BACK_OFF).min(LONGEST)));
        let wait = turn.untold.map_or(INTERVAL.max(took * REST), |(_, wait)| wait);
        turn.due = Some(Instant::now() + wait);
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks those that somebody looks at, each in its turn.
pub(super) async fn keep_asking(environment: &Environment, connection: &Connection) {
    let held = &environment.0.held;
    held.begin();
    loop {
        let arrived = held.arrived.notified();
        let watched = held.watched();
        for hostname in &watched {
            if let Err(error) = ask(environment, connection, hostname).await {
                tracing::debug!(%error, hostname, "a worker could not be asked what it holds");
            }
        }
        let rest = if watched.is_empty() { LONGEST } else { TURN };
        tokio::select! {
            () = arrived => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Asks one worker what it holds, unless that was asked lately.
pub(super) async fn ask(
    environment: &Environment,
    connection: &Connection,
    hostname: &str,
) -> Result<()> {
    let held = &environment.0.held;
    let _one = held.asking.lock().await;
    let status = environment.read(|state| state.worker(hostname).map(|told| told.row.status));
    if status != Some(Status::Online) {
        // It would not answer now anyway.
        return Ok(());
    }
    let pid = || environment.read(|state| state.worker(hostname).and_then(|told| told.row.pid));
    let methods = held.due(hostname, pid());
    let answers =
        join_all(methods.iter().map(|method| put(environment, connection, hostname, method)));
    for (method, answer) in methods.iter().zip(answers.await) {
        let (told, took) = answer?;
        if told == Told::Never {
            environment.observe(Kind::Untold {
                hostname: hostname.to_owned(),
                method: (*method).to_owned(),
                reason: MUTE.to_owned(),
            });
        }
        let untold = matches!(told, Told::TooLarge | Told::Never).then(pid);
        held.asked(hostname, method, took, untold);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Answer,
    TooLarge,
    /// Not in time; it may be busy.
    NotYet,
    /// It answered to what was asked later.
    Never,
}

/// Puts one question to one worker; answers also how long that took. A worker answers one request
/// after another: one that answers to a later one, and has not answered this, never will. An answer
/// that is merely slow (many megabytes of arguments) comes before.
async fn put(
    environment: &Environment,
    connection: &Connection,
    hostname: &str,
    method: &str,
) -> Result<(Told, Duration)> {
    let began = Instant::now();
    // It outlives the question after it, which it is compared with.
    let question = ask_for(environment, connection, hostname, method, TIMEOUT * 3);
    tokio::pin!(question);
    let told = match timeout(TIMEOUT, &mut question).await {
        Ok(told) => told?,
        Err(_) => {
            let after = ask_for(environment, connection, hostname, "ping", TIMEOUT).await?;
            match (question.now_or_never(), after) {
                (Some(told), _) => told?,
                (None, Told::Answer) => Told::Never,
                (None, _) => Told::NotYet,
            }
        }
    };
    Ok((told, began.elapsed()))
}

/// One request to one worker, and its answer.
async fn ask_for(
    environment: &Environment,
    connection: &Connection,
    hostname: &str,
    method: &str,
    patience: Duration,
) -> Result<Told> {
    let request = Request::new(method, Some(vec![hostname.to_owned()]));
    let answers = workers::ask(environment, connection, request, Enough::Known, patience).await?;
    Ok(match () {
        () if answers.too_large.contains_key(hostname) => Told::TooLarge,
        () if answers.replies.contains_key(hostname) => Told::Answer,
        () => Told::NotYet,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f05_who_did_not_tell_is_asked_less_and_less_often() {
        let held = Held::default();
        let took = Duration::from_millis(10);
        assert_eq!(held.watched(), [""; 0], "nobody looks");
        held.watch("w1@lab");
        assert_eq!(held.due("w1@lab", Some(7)), METHODS);
        held.asked("w1@lab", "reserved", took, None);
        let mut waited = Vec::new();
        for _ in 0..8 {
            held.asked("w1@lab", "scheduled", took, Some(Some(7)));
            let began = Instant::now();
            while !held.due("w1@lab", Some(7)).contains(&"scheduled") {
                tokio::time::advance(Duration::from_secs(60)).await;
            }
            waited.push(began.elapsed().as_secs() / 60);
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
        held.asked("w1@lab", "scheduled", took, Some(Some(7)));
        assert_eq!(held.due("w1@lab", Some(8)), METHODS, "another process may tell");
        held.leave("w1@lab");
        assert_eq!(held.watched(), [""; 0], "nobody looks any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_asked_for_less_often() {
        let held = Held::default();
        for (took, rest) in [(Duration::from_millis(10), 5), (Duration::from_secs(1), 20)] {
            METHODS.iter().for_each(|method| held.asked("w1@lab", method, took, None));
            tokio::time::advance(Duration::from_secs(rest - 1)).await;
            assert!(held.due("w1@lab", None).is_empty());
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(held.due("w1@lab", None), METHODS);
        }
    }
}
