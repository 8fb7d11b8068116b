//! Jobs: what is on its way and takes a while. That of an action outlives the request that started it,
//! not the process; that of a dry run ends with whoever waits for it.
//!
//! A [`Job`] tells how far it is, and says how much may be done next ([`Job::batch`]): there a rate is
//! kept, and there it is seen that the job is to stop. Must not know what actions do.

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::state::observation::seconds::from_micros;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Jobs that have ended and are still told of.
const KEPT: usize = 100;

/// Bytes of outcomes that are kept with them.
const KEPT_BYTES: usize = 16 << 20;

/// Under a rate, the part of a second whose items go at once.
const SLICE: f64 = 0.1;

/// The longest pause between two batches, however low the rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// At work.
    Running,
    /// It was told to stop, and ends with the batch in hand.
    Cancelling,
    /// All of it was done.
    Done,
    /// It was stopped; the outcome tells what was done until then.
    Cancelled,
    /// Nothing of it could be done, or it broke off.
    Failed,
}

impl JobStatus {
    /// Nothing changes any more.
    pub fn is_over(self) -> bool {
        !matches!(self, JobStatus::Running | JobStatus::Cancelling)
    }
}

/// A row of `job/list`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct JobRow {
    pub key: String,
    pub job: String,
    pub method: &'static str,
    pub environment: String,
    pub actor: String,
    pub started: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<f64>,
    pub done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    pub status: JobStatus,
    /// It looks what would be done, and changes nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct JobError {
    pub kind: &'static str,
    pub reason: String,
}

/// The answer of `job/get`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct JobDetails {
    #[serde(flatten)]
    pub row: JobRow,
    /// What its method answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub outcome: Option<Arc<RawValue>>,
}

/// What is on its way.
#[derive(Debug, Clone)]
pub struct Job(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    method: &'static str,
    environment: Environment,
    actor: String,
    began: Instant,
    started: f64,
    rate: Option<f64>,
    dry_run: bool,
    standing: watch::Sender<Standing>,
}

/// What changes about a job.
#[derive(Debug, Clone)]
pub struct Standing {
    /// How it stands.
    pub status: JobStatus,
    /// Items done.
    pub done: u64,
    /// Items there are to do, once it is known.
    pub total: Option<u64>,
    ended: Option<f64>,
    error: Option<JobError>,
    outcome: Option<Arc<RawValue>>,
}

impl Job {
    /// Its name, unique in this process.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The method that started it.
    pub fn method(&self) -> &'static str {
        self.0.method
    }

    /// So many items are to be done.
    pub fn expect(&self, total: usize) {
        self.0.standing.send_modify(|standing| standing.total = Some(total as u64));
    }

    /// So many more are done, well or not.
    pub fn did(&self, items: usize) {
        self.0.standing.send_modify(|standing| standing.done += items as u64);
    }

    /// Waits until more may be done; answers how many items may be done now, at least one and at
    /// most `most`. `None`: the job is to stop here.
    pub async fn batch(&self, most: usize) -> Option<usize> {
        let mut standing = self.0.standing.subscribe();
        if standing.borrow().status != JobStatus::Running {
            return None;
        }
        let Some(rate) = self.0.rate else { return Some(most) };
        let done = standing.borrow().done;
        #[allow(clippy::cast_precision_loss)] // counts of items are far below 2^53
        let due = Duration::try_from_secs_f64(done as f64 / rate).unwrap_or(LONGEST_PAUSE);
        tokio::select! {
            _ = standing.wait_for(|standing| standing.status != JobStatus::Running) => None,
            () = sleep_until(self.0.began + due.min(LONGEST_PAUSE)) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
                Some(most.min((rate * SLICE) as usize).max(1))
            }
        }
    }

    /// Tells it to stop at the next batch.
    pub fn cancel(&self) {
        self.0.standing.send_if_modified(|standing| {
            let running = standing.status == JobStatus::Running;
            if running {
                standing.status = JobStatus::Cancelling;
            }
            running
        });
    }

    /// Follows it.
    pub fn follow(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// It was told to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.standing.borrow().status, JobStatus::Cancelling | JobStatus::Cancelled)
    }

    /// As `job/list` shows it.
    pub fn row(&self) -> JobRow {
        let standing = self.0.standing.borrow();
        JobRow {
            key: self.0.id.clone(),
            job: self.0.id.clone(),
            method: self.0.method,
            environment: self.0.environment.name().into(),
            actor: self.0.actor.clone(),
            started: self.0.started,
            ended: standing.ended,
            done: standing.done,
            total: standing.total,
            status: standing.status,
            dry_run: self.0.dry_run,
            error: standing.error.clone(),
        }
    }

    pub(super) fn end<T: Serialize>(&self, outcome: &Result<T>) {
        // What would be done is told to whoever asked, and to nobody later.
        let kept = outcome.as_ref().ok().filter(|_| !self.0.dry_run);
        let told = kept.and_then(|outcome| to_raw_value(outcome).ok());
        let error = outcome.as_ref().err().map(|error| JobError {
            kind: error.kind().unwrap_or("internal"),
            reason: error.to_string(),
        });
        let ended = Some(from_micros(self.0.environment.now()));
        self.0.standing.send_modify(|standing| {
            standing.status = match (outcome, standing.status) {
                (Err(_), _) => JobStatus::Failed,
                (Ok(_), JobStatus::Cancelling) => JobStatus::Cancelled,
                (Ok(_), _) => JobStatus::Done,
            };
            standing.ended = ended;
            standing.error = error;
            standing.outcome = told.map(Arc::from);
        });
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up(&self) {
        self.0.standing.send_if_modified(|standing| {
            let at_work = !standing.status.is_over();
            if at_work {
                standing.status = JobStatus::Cancelled;
            }
            at_work
        });
    }

    fn is_over(&self) -> bool {
        self.0.standing.borrow().status.is_over()
    }

    /// Nothing was changed by it, and nobody waits for it.
    fn is_past(&self) -> bool {
        self.0.dry_run && self.is_over()
    }

    fn outcome_bytes(&self) -> usize {
        self.0.standing.borrow().outcome.as_ref().map_or(0, |outcome| outcome.get().len())
    }
}

/// All jobs of a process: those at work, and the last that ended.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    /// Oldest first.
    jobs: VecDeque<Job>,
}

impl Jobs {
    /// Something begins, by at most `rate` items a second.
    pub(in crate::environment) fn open(
        &self,
        method: &'static str,
        environment: &Environment,
        actor: &str,
        rate: Option<f64>,
    ) -> Job {
        self.enter(method, environment, actor, rate, false)
    }

    /// It is looked what an action would do.
    pub(super) fn open_dry(
        &self,
        method: &'static str,
        environment: &Environment,
        actor: &str,
    ) -> Job {
        self.enter(method, environment, actor, None, true)
    }

    fn enter(
        &self,
        method: &'static str,
        environment: &Environment,
        actor: &str,
        rate: Option<f64>,
        dry_run: bool,
    ) -> Job {
        let mut table = self.table();
        table.forget();
        table.last += 1;
        let standing = Standing {
            status: JobStatus::Running,
            done: 0,
            total: None,
            ended: None,
            error: None,
            outcome: None,
        };
        let job = Job(Arc::new(Inner {
            id: format!("job-{}", table.last),
            method,
            actor: actor.into(),
            began: Instant::now(),
            started: from_micros(environment.now()),
            environment: environment.clone(),
            rate,
            dry_run,
            standing: watch::Sender::new(standing),
        }));
        table.jobs.push_back(job.clone());
        job
    }

    /// Their rows, newest first.
    pub fn rows(&self) -> Vec<JobRow> {
        let table = self.table();
        table.jobs.iter().rev().filter(|job| !job.is_past()).map(Job::row).collect()
    }

    /// A job and its outcome.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where there is none of that name.
    pub fn get(&self, id: &str) -> Result<JobDetails> {
        let job = self.find(id)?;
        let outcome = job.0.standing.borrow().outcome.clone();
        Ok(JobDetails { row: job.row(), outcome })
    }

    /// Tells a job to stop; one that is over stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where there is none of that name.
    pub fn cancel(&self, id: &str) -> Result<JobRow> {
        let job = self.find(id)?;
        job.cancel();
        Ok(job.row())
    }

    /// Tells all of them to stop and waits for the batches in hand, at most `limit`.
    pub async fn end(&self, limit: Duration) {
        let working: Vec<Job> = self.table().jobs.iter().cloned().collect();
        let ends = working.iter().map(|job| async {
            job.cancel();
            // The job holds the sender.
            let _ = job.follow().wait_for(|standing| standing.status.is_over()).await;
        });
        if tokio::time::timeout(limit, futures_util::future::join_all(ends)).await.is_err() {
            tracing::warn!("a job was still at work at the end of the process");
        }
    }

    fn find(&self, id: &str) -> Result<Job> {
        let table = self.table();
        let job = table.jobs.iter().find(|job| job.id() == id && !job.is_past()).cloned();
        let sentence = || Error::InvalidParams(format!("no job `{id}`: `job/list` tells all"));
        job.ok_or_else(sentence)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Lets the oldest go that are over, and the outcomes that are too much together.
    fn forget(&mut self) {
        self.jobs.retain(|job| !job.is_past());
        let over = self.jobs.iter().filter(|job| job.is_over()).count();
        let mut surplus = (over + 1).saturating_sub(KEPT);
        self.jobs.retain(|job| {
            let forgotten = surplus > 0 && job.is_over();
            surplus -= usize::from(forgotten);
            !forgotten
        });
        let mut bytes = 0;
        for job in self.jobs.iter().rev() {
            bytes += job.outcome_bytes();
            if bytes > KEPT_BYTES {
                job.0.standing.send_modify(|standing| standing.outcome = None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Options, Secret};
    use crate::environment::Environments;

    fn environments() -> Arc<Environments> {
        let options = Options { broker: Some(Secret::new("redis://h")), ..Options::default() };
        Environments::new(Config::load(&options, |_| None).unwrap()).unwrap()
    }

    fn job(environments: &Environments, rate: Option<f64>) -> Job {
        environments.jobs().open("task/send", &environments.get(None).unwrap(), "someone", rate)
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_in_batches_of_a_tenth_of_a_second() {
        let environments = environments();
        let began = Instant::now();
        let slow = job(&environments, Some(10.0));
        for item in 0..5 {
            assert_eq!(slow.batch(1000).await, Some(1));
            assert_eq!(began.elapsed().as_millis() / 100, item, "{:?}", began.elapsed());
            slow.did(1);
        }
        let fast = job(&environments, Some(20_000.0));
        assert_eq!(fast.batch(10_000).await, Some(2_000));
        assert_eq!(fast.batch(500).await, Some(500), "never more than is to be done");
        assert_eq!(job(&environments, None).batch(10_000).await, Some(10_000));
        let glacial = job(&environments, Some(f64::MIN_POSITIVE));
        glacial.did(1);
        assert_eq!(glacial.batch(1).await, Some(1), "no pause that cannot be told");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_stops_between_batches_also_while_it_waits_for_the_next() {
        let environments = environments();
        let job = job(&environments, Some(1.0));
        job.expect(10);
        assert_eq!(job.batch(10).await, Some(1));
        job.did(1);
        let began = Instant::now();
        let (next, ()) = tokio::join!(job.batch(10), async {
            let row = environments.jobs().cancel("job-1").unwrap();
            assert_eq!((row.status, row.total), (JobStatus::Cancelling, Some(10)));
        });
        assert_eq!((next, began.elapsed()), (None, Duration::ZERO));
        job.end(&Ok("what was done"));
        let details = environments.jobs().get("job-1").unwrap();
        assert_eq!((details.row.status, details.row.done), (JobStatus::Cancelled, 1));
        assert_eq!(details.outcome.unwrap().get(), "\"what was done\"");
        environments.jobs().end(Duration::from_secs(3)).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing is at work");
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten_in_time_and_what_is_at_work_never() {
        let environments = environments();
        let working = job(&environments, None);
        let large = "x".repeat(KEPT_BYTES / 10);
        for number in 0..2 * KEPT {
            let outcome = if number < 2 * KEPT - 12 { "" } else { &large };
            job(&environments, None).end(&Ok(outcome));
        }
        let last = job(&environments, None);
        let rows = environments.jobs().rows();
        assert_eq!(rows.len(), KEPT + 1);
        assert_eq!((rows[0].job.as_str(), rows[KEPT].job.as_str()), (last.id(), working.id()));
        let kept =
            rows.iter().filter(|row| environments.jobs().get(&row.job).unwrap().outcome.is_some());
        assert_eq!(kept.count(), 9, "outcomes are bounded in bytes");
    }
}
