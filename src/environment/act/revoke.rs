//! `task/revoke`: workers are told not to run tasks, or to end those that run.
//!
//! There is no mark in the broker that workers would read: each keeps the ids it was told in its
//! memory. So they are told in one broadcast for many (F37), who answered is counted, and whoever
//! comes up later is told again, for as long as this program runs.

use super::audit::Entry;
use super::select::Which;
use super::{Action, Job, Preview, Refused, Warning};
use crate::celery::control::Request;
use crate::environment::{Environment, Need};
use crate::error::Result;
use crate::state::Place;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Ids that one broadcast names at most: a worker reads and writes its result backend for each.
const BATCH: usize = 1_000;

/// How long workers remember, and how many (`celery/worker/state.py`).
const REMEMBERED: Duration = Duration::from_secs(10_800);
const REMEMBERED_IDS: usize = 50_000;

/// Unknown ids that every source is asked for, one by one.
const SEARCHED: usize = 10;

/// How long those who are silent are waited for, and for each id: a worker asks its result backend.
const TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT_EACH: Duration = Duration::from_millis(2);

/// Characters of a worker's answer, which names every id, that are told.
const REPLY: usize = 200;

/// Revokes tasks.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// Which.
    pub which: Which,
    /// End what runs, by this signal.
    pub terminate: Option<Signal>,
}

/// Signals that `terminate` sends to a pool process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The process ends.
    Term,
    /// It ends at once.
    Kill,
    /// It ends as on Ctrl-C.
    Int,
    /// It ends with a core dump.
    Quit,
    /// The task gets a `SoftTimeLimitExceeded`.
    Usr1,
}

impl Signal {
    /// Those there are.
    pub const ALL: [Signal; 5] =
        [Signal::Term, Signal::Kill, Signal::Int, Signal::Quit, Signal::Usr1];

    /// The name that Celery takes.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Term => "SIGTERM",
            Signal::Kill => "SIGKILL",
            Signal::Int => "SIGINT",
            Signal::Quit => "SIGQUIT",
            Signal::Usr1 => "SIGUSR1",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Revoked {
    /// Asked for; whether they do not run is seen by their states.
    pub revoked: Vec<String>,
    /// The last answer of each worker, cut.
    pub replies: BTreeMap<String, Value>,
    pub missing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unnamed: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Action for Revoke {
    type Outcome = Revoked;

    const METHOD: &'static str = "task/revoke";
    const NEEDS: &'static [Need] = &[Need::Tasks];

    fn describe(&self) -> Value {
        let mut described = self.which.describe();
        described["terminate"] = json!(self.terminate.map(Signal::name));
        described
    }

    async fn carry_out(self, environment: &Environment, job: &Job) -> Result<Revoked> {
        let (ids, mut revoked) = self.plan(environment).await?;
        job.expect(ids.len());
        let mut listeners = None;
        let mut missing = BTreeSet::new();
        let mut left = ids.as_slice();
        while !left.is_empty()
            && let Some(size) = job.batch(left.len().min(BATCH)).await
        {
            let (batch, rest) = left.split_at(size);
            let answers = match environment.ask(self.request(batch, None), timeout(batch)).await {
                Ok(answers) => answers,
                Err(error) if revoked.revoked.is_empty() => return Err(error),
                Err(error) => {
                    revoked.refused.extend(left.iter().map(|uuid| Refused::by(uuid, &error)));
                    break;
                }
            };
            environment.remember_revoked(batch);
            listeners = listeners.max(answers.listeners);
            revoked.unnamed = NonZeroU64::new(answers.unnamed()).max(revoked.unnamed);
            missing.extend(answers.missing);
            revoked
                .replies
                .extend(answers.replies.into_iter().map(|(name, said)| (name, cut(said))));
            revoked.revoked.extend_from_slice(batch);
            job.did(size);
            left = rest;
        }
        revoked.missing = missing.into_iter().collect();
        if listeners == Some(0) {
            let text = "no worker listens: each that comes up while this program runs will be told";
            revoked.warnings.push(Warning::new("no_worker", text));
        }
        Ok(revoked)
    }
}

impl Preview for Revoke {
    async fn preview(self, environment: &Environment) -> Result<Revoked> {
        let (ids, revoked) = self.plan(environment).await?;
        Ok(Revoked { revoked: ids, ..revoked })
    }
}

impl Revoke {
    /// Whom workers will be told of, and what is to be known before.
    async fn plan(&self, environment: &Environment) -> Result<(Vec<String>, Revoked)> {
        let mut revoked = Revoked::default();
        let mut ids = Vec::new();
        let uuids = environment.select(&self.which).await?;
        let unknown = |uuid: &&String| !environment.read(|state| state.knows(uuid));
        for uuid in uuids.iter().filter(unknown).take(SEARCHED) {
            environment.find_task(uuid, false).await?;
        }
        for uuid in uuids {
            match self.look_over(environment, &uuid) {
                Ok(warning) => {
                    revoked.warnings.extend(warning);
                    ids.push(uuid);
                }
                Err(refused) => revoked.refused.push(refused),
            }
        }
        if self.terminate == Some(Signal::Usr1) {
            let text =
                "SIGUSR1 reaches whatever the process runs by then, which may be the next task";
            revoked.warnings.push(Warning::new("signal", text));
        }
        Ok((ids, revoked))
    }

    /// The dangers of revoking one task.
    fn look_over(&self, environment: &Environment, uuid: &str) -> Result<Option<Warning>, Refused> {
        let warning = |kind, text: String| Ok(Some(Warning::about(uuid, kind, text)));
        let Some(task) = environment.original(uuid) else {
            let text = "no source knows it: workers will store a result for it all the same";
            return warning("unknown_task", text.into());
        };
        if environment.read(|state| state.is_over(uuid)) {
            let reason = format!("it has ended: {}", task.state);
            return Err(Refused { uuid: uuid.into(), kind: "over", reason });
        }
        let worker = task.worker.as_deref().unwrap_or("some worker");
        match (task.place, self.terminate) {
            (Some(Place::Active), None) => warning(
                "running",
                format!("it runs on {worker}, and will go on: only `terminate` ends it"),
            ),
            (Some(Place::Active), Some(_)) => match environment.pool_of(worker) {
                Some(pool) if pool == "threads" || pool == "solo" => {
                    warning("pool", format!("the {pool} pool of {worker} cannot end a task"))
                }
                _ => Ok(None),
            },
            (_, Some(_)) => warning("not_running", "it does not run: it is only revoked".into()),
            _ => Ok(None),
        }
    }

    fn request(&self, ids: &[String], destination: Option<Vec<String>>) -> Request {
        let mut request = Request::new("revoke", destination);
        request.arguments.insert("task_id".into(), ids.into());
        request.arguments.insert("terminate".into(), self.terminate.is_some().into());
        if let Some(signal) = self.terminate {
            request.arguments.insert("signal".into(), signal.name().into());
        }
        request
    }
}

fn timeout(batch: &[String]) -> Duration {
    TIMEOUT + TIMEOUT_EACH * u32::try_from(batch.len()).unwrap_or(u32::MAX)
}

/// A worker names every id in its answer.
fn cut(mut said: Value) -> Value {
    for text in said.as_object_mut().into_iter().flat_map(|said| said.values_mut()) {
        if let Value::String(text) = text
            && let Some((end, _)) = text.char_indices().nth(REPLY)
        {
            text.truncate(end);
            text.push('…');
        }
    }
    said
}

/// What workers that come up are still to be told.
#[derive(Debug, Default)]
pub(in crate::environment) struct Remembered(Mutex<VecDeque<(Instant, String)>>);

impl Remembered {
    fn add(&self, ids: &[String], now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(ids.iter().map(|id| (now, id.clone())));
        let surplus = known.len().saturating_sub(REMEMBERED_IDS);
        known.drain(..surplus);
    }

    fn ids(&self, now: Instant) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, _)| now.duration_since(*at) < REMEMBERED);
        known.iter().map(|(_, id)| id.clone()).collect()
    }
}

impl Environment {
    /// Whoever comes up while workers remember these is told, too: until then the environment stays
    /// connected.
    fn remember_revoked(&self, ids: &[String]) {
        self.0.revoked.add(ids, Instant::now());
        let lease = self.lease(&[Need::Presence]);
        tokio::spawn(async move {
            tokio::time::sleep(REMEMBERED).await;
            drop(lease);
        });
    }

    /// Tells a worker that came up what others were told; not what ended since, over whose result an
    /// older worker would write (reference 6).
    pub(in crate::environment) async fn revoke_again(&self, hostname: &str) {
        let mut ids = self.0.revoked.ids(Instant::now());
        self.read(|state| ids.retain(|id| !state.is_over(id)));
        if ids.is_empty() {
            return;
        }
        let arguments = json!({ "again": hostname, "uuids": ids });
        let entry = Entry::without_job(self.name(), "lazycelery", Revoke::METHOD, arguments);
        if let Err(error) = entry.intent().await {
            tracing::error!(%error, hostname, "nothing was revoked again: it cannot be audited");
            return;
        }
        let revoke = Revoke { which: Which::Uuids(Vec::new()), terminate: None };
        for batch in ids.chunks(BATCH) {
            let request = revoke.request(batch, Some(vec![hostname.to_owned()]));
            if let Err(error) = self.ask(request, timeout(batch)).await {
                tracing::warn!(%error, hostname, "a worker that came up could not be told");
            }
        }
    }

    fn pool_of(&self, hostname: &str) -> Option<String> {
        self.read(|state| state.worker(hostname)?.row.pool.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_in_time_and_number() {
        let (remembered, start) = (Remembered::default(), Instant::now());
        remembered.add(&["a".into()], start);
        remembered.add(&["b".into()], start + Duration::from_secs(60));
        assert_eq!(remembered.ids(start + Duration::from_secs(10)), ["a", "b"]);
        assert_eq!(remembered.ids(start + REMEMBERED), ["b"]);
        let many: Vec<String> = (0..REMEMBERED_IDS + 5).map(|n| n.to_string()).collect();
        remembered.add(&many, start + REMEMBERED);
        let ids = remembered.ids(start + REMEMBERED);
        assert_eq!((ids.len(), ids[0].as_str()), (REMEMBERED_IDS, "5"));
    }

    #[test]
    fn f37_a_thousand_ids_go_in_one_request_and_a_long_answer_is_cut() {
        let revoke = Revoke { which: Which::Uuids(Vec::new()), terminate: Some(Signal::Usr1) };
        let ids: Vec<String> = (0..BATCH).map(|n| n.to_string()).collect();
        let request = revoke.request(&ids, None);
        assert_eq!(request.arguments["task_id"].as_array().unwrap().len(), BATCH);
        assert_eq!(request.arguments["signal"], "SIGUSR1");
        let plain = Revoke { which: Which::Uuids(Vec::new()), terminate: None };
        assert_eq!(plain.request(&ids, None).arguments.get("signal"), None);
        let said = cut(json!({ "ok": "é".repeat(1000) }));
        assert_eq!(said["ok"].as_str().unwrap().chars().count(), REPLY + 1);
    }
}
