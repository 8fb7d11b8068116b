//! `task/revoke`: workers are told not to run tasks, or to end those that run.
//!
//! There is no mark in the broker that workers would read: each keeps the ids it was told in its
//! memory. So they are told in one broadcast for many (F37), who answered is counted, and whoever
//! comes up later is told again, for as long as this program runs. On request a message that waits is
//! deleted, too, once its task is revoked: a worker that takes it in between drops it.

mod again;
mod deleting;
mod running;

pub(in crate::environment) use again::Remembered;

use super::queue::Skipped;
use super::queue::delete::Delete;
use super::select::Which;
use super::{Action, Job, Licence, Preview, Refused, Warning};
use crate::celery::control::Request;
use crate::environment::{Environment, Need};
use crate::error::{Error, Result};
use crate::state::{Place, State, Status};
use deleting::Waiting;
use running::{Running, Runs};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::time::Duration;

/// Ids that one broadcast names at most: a worker reads and writes its result backend for each.
const BATCH: usize = 1_000;

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
    /// Delete the messages of those that wait in a queue.
    pub delete: bool,
    /// Steps of that may be long.
    pub accept_blocking: bool,
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
    /// Whose messages are out of their queues, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Vec<String>>,
    /// Whose messages could not be deleted, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Skipped>,
    /// The recovery file, where anything was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_as: Option<String>,
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

    fn includes(&self) -> &'static [&'static str] {
        if self.delete { &[Delete::METHOD] } else { &[] }
    }

    fn describe(&self) -> Value {
        let mut described = self.which.describe();
        described["terminate"] = json!(self.terminate.map(Signal::name));
        described["delete"] = json!(self.delete);
        described
    }

    async fn carry_out(self, environment: &Environment, job: &Licence) -> Result<Revoked> {
        let (uuids, partial) = self.select(environment).await?;
        let mut revoked = Revoked { warnings: Vec::from_iter(partial), ..Revoked::default() };
        let mut waiting = self.waiting(environment, &uuids, &mut revoked);
        job.expect(uuids.len() + waiting.count());
        self.tell(environment, job, &uuids, &mut revoked).await?;
        waiting.retain(&revoked.revoked);
        if self.delete {
            waiting.delete(environment, job, &mut revoked).await;
        }
        Ok(revoked)
    }
}

impl Preview for Revoke {
    async fn preview(self, environment: &Environment, job: &Job) -> Result<Revoked> {
        let (uuids, partial) = self.select(environment).await?;
        let mut revoked = Revoked { warnings: Vec::from_iter(partial), ..Revoked::default() };
        let mut waiting = self.waiting(environment, &uuids, &mut revoked);
        job.expect(uuids.len() + waiting.count());
        let running = self.running(environment, &uuids).await;
        let mut left = uuids.as_slice();
        while !left.is_empty()
            && let Some(size) = job.batch(left.len().min(BATCH)).await
        {
            let (batch, rest) = left.split_at(size);
            let ids = self.look_over(environment, batch, &running, &mut revoked);
            revoked.revoked.extend(ids);
            job.did(size);
            left = rest;
        }
        revoked.warn_of_signal(self.terminate);
        waiting.retain(&revoked.revoked);
        if waiting.count() > 0 && !job.is_cancelled() {
            waiting.preview(&*environment.connection().await?, job, &mut revoked).await?;
        }
        Ok(revoked)
    }
}

impl Revoke {
    /// Which are meant; of those that nobody knows every source is asked, if they are few.
    async fn select(&self, environment: &Environment) -> Result<(Vec<String>, Option<Warning>)> {
        let (uuids, partial) = environment.select(&self.which).await?;
        let unknown = |uuid: &&String| !environment.read(|state| state.knows(uuid));
        for uuid in uuids.iter().filter(unknown).take(SEARCHED) {
            environment.find_task(uuid, false).await?;
        }
        Ok((uuids, partial))
    }

    fn waiting(
        &self,
        environment: &Environment,
        uuids: &[String],
        revoked: &mut Revoked,
    ) -> Waiting {
        if !self.delete {
            return Waiting::default();
        }
        revoked.deleted = Some(Vec::new());
        Waiting::of(environment, uuids, self.accept_blocking, revoked)
    }

    /// Tells workers, batch after batch.
    async fn tell(
        &self,
        environment: &Environment,
        job: &Licence,
        uuids: &[String],
        revoked: &mut Revoked,
    ) -> Result<()> {
        let mut listeners = None;
        let mut missing = BTreeSet::new();
        let mut left = uuids;
        while !left.is_empty()
            && let Some(size) = job.batch(left.len().min(BATCH)).await
        {
            let (batch, rest) = left.split_at(size);
            let running = self.running(environment, batch).await;
            let ids = self.look_over(environment, batch, &running, revoked);
            if !ids.is_empty() {
                let request = request(&ids, self.terminate, None);
                let answers = match environment.ask(request, timeout(&ids)).await {
                    Ok(answers) => answers,
                    Err(error) if revoked.revoked.is_empty() => return Err(error.about(&ids)),
                    Err(error) => {
                        revoked.stop(&ids, rest, &error);
                        break;
                    }
                };
                environment.remember_revoked(&ids);
                listeners = listeners.max(answers.listeners);
                revoked.unnamed = NonZeroU64::new(answers.unnamed()).max(revoked.unnamed);
                missing.extend(answers.missing);
                revoked
                    .replies
                    .extend(answers.replies.into_iter().map(|(name, said)| (name, cut(said))));
                revoked.revoked.extend(ids);
            }
            job.did(size);
            left = rest;
        }
        revoked.missing = missing.into_iter().collect();
        revoked.warn_of_signal(self.terminate);
        if listeners == Some(0) {
            let heard = environment
                .read(|state| state.workers().any(|worker| worker.row.status == Status::Online));
            let why = if heard {
                "nobody listens to remote control, although workers are heard, so none was told"
            } else {
                "no worker listens"
            };
            let text = format!("{why}: each that comes up while this program runs will be told");
            revoked.warnings.push(Warning::new("no_worker", text));
        }
        Ok(())
    }

    /// Which of these run just now, where that matters.
    async fn running(&self, environment: &Environment, uuids: &[String]) -> Running {
        match self.terminate {
            Some(_) => Running::ask(environment, uuids).await,
            None => Running::default(),
        }
    }

    /// The dangers of revoking these; answers which of them may be.
    fn look_over(
        &self,
        environment: &Environment,
        uuids: &[String],
        running: &Running,
        revoked: &mut Revoked,
    ) -> Vec<String> {
        let mut ids = Vec::new();
        for uuid in uuids {
            match self.look_over_one(environment, uuid, running) {
                Ok(warning) => {
                    revoked.warnings.extend(warning);
                    ids.push(uuid.clone());
                }
                Err(refused) => revoked.refused.push(refused),
            }
        }
        ids
    }

    /// The dangers of revoking one task.
    fn look_over_one(
        &self,
        environment: &Environment,
        uuid: &str,
        running: &Running,
    ) -> Result<Option<Warning>, Refused> {
        let warning = |kind, text: String| Ok(Some(Warning::about(uuid, kind, text)));
        let Some(task) = environment.original(uuid) else {
            let text = "no source knows it: workers will store a result for it all the same";
            return warning("unknown_task", text.into());
        };
        // Workers store that it is revoked before they meet it: its message may wait still.
        let waits = |state: &State| state.waits_in(uuid).is_some_and(|queues| !queues.is_empty());
        let over = |state: &State| state.is_over(uuid) && !(state.is_revoked(uuid) && waits(state));
        if environment.read(over) {
            let reason = format!("it has ended: {}", task.state);
            return Err(Refused { uuid: uuid.into(), kind: "over", reason });
        }
        let worker = task.worker.as_deref().unwrap_or("some worker");
        match (task.place, self.terminate) {
            (Some(Place::Active), None) => warning(
                "running",
                format!("it runs on {worker}, and will go on: only `terminate` ends it"),
            ),
            (place, Some(_)) => match running.seen_at(uuid, task.worker.as_deref()) {
                Runs::At(worker) => match environment.pool_of(worker) {
                    Some(pool) if pool == "threads" || pool == "solo" => {
                        warning("pool", format!("the {pool} pool of {worker} cannot end a task"))
                    }
                    _ => Ok(None),
                },
                _ if place != Some(Place::Active) => {
                    warning("not_running", "it does not run: it is only revoked".into())
                }
                Runs::NoLonger => {
                    let text = format!("it no longer runs on {worker}: it is only revoked");
                    warning("not_running", text)
                }
                Runs::Untold => {
                    let text =
                        format!("{worker} does not tell what it runs now: it may have ended");
                    warning("unanswered", text)
                }
            },
            (Some(Place::Reserved | Place::Scheduled), None) if self.delete => warning(
                "held",
                format!("{worker} holds its message, which is not deleted: it is only revoked"),
            ),
            _ => Ok(None),
        }
    }
}

impl Revoked {
    /// The broker was lost with a batch in hand.
    fn stop(&mut self, in_hand: &[String], rest: &[String], error: &Error) {
        let own = |uuid: &String| error.clone().about(std::slice::from_ref(uuid));
        self.refused.extend(in_hand.iter().map(|uuid| Refused::by(uuid, &own(uuid))));
        self.refused.extend(rest.iter().map(|uuid| Refused::unreached(uuid, error)));
    }

    fn warn_of_signal(&mut self, terminate: Option<Signal>) {
        if terminate == Some(Signal::Usr1) && !self.revoked.is_empty() {
            let text =
                "SIGUSR1 reaches whatever the process runs by then, which may be the next task";
            self.warnings.push(Warning::new("signal", text));
        }
    }
}

fn request(ids: &[String], terminate: Option<Signal>, destination: Option<Vec<String>>) -> Request {
    let mut request = Request::new("revoke", destination);
    request.arguments.insert("task_id".into(), ids.into());
    request.arguments.insert("terminate".into(), terminate.is_some().into());
    if let Some(signal) = terminate {
        request.arguments.insert("signal".into(), signal.name().into());
    }
    request
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

impl Environment {
    fn pool_of(&self, hostname: &str) -> Option<String> {
        self.read(|state| state.worker(hostname)?.row.pool.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f37_a_thousand_ids_go_in_one_request_and_a_long_answer_is_cut() {
        let ids: Vec<String> = (0..BATCH).map(|n| n.to_string()).collect();
        let ending = request(&ids, Some(Signal::Usr1), None);
        assert_eq!(ending.arguments["task_id"].as_array().unwrap().len(), BATCH);
        assert_eq!(ending.arguments["signal"], "SIGUSR1");
        assert_eq!(request(&ids, None, None).arguments.get("signal"), None);
        let said = cut(json!({ "ok": "é".repeat(1000) }));
        assert_eq!(said["ok"].as_str().unwrap().chars().count(), REPLY + 1);
    }
}
