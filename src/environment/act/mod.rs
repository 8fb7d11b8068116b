//! The one door for all that changes anything: permission → audit of the intent → effect → audit of
//! the outcome.
//!
//! An [`Action`] is a value: what to do, with what. [`Environments::act`] asks the guards, then lets it
//! run as a [`Job`] of the process, never as the request's future: a request that is dropped
//! half-way only detaches. Only the door gives a [`Licence`], and whatever writes to a cluster takes
//! one, so there is no way around the guards and the log. A dry run is a job without a licence.

mod audit;
pub mod control;
mod guard;
mod job;
mod licence;
mod original;
mod publish;
pub mod queue;
mod recovery;
pub mod retry;
pub mod revoke;
pub mod select;
pub mod send;
mod target;

pub use guard::Unlocked;
pub use job::{Job, JobDetails, JobRow, JobStatus, Jobs, Standing};
pub use licence::Licence;

use super::{Environment, Environments, Need};
use crate::error::{Error, Result};
use audit::Entry;
use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use tokio::sync::oneshot;

/// Something that changes a cluster: one type for each method.
pub trait Action: Send + Sized + 'static {
    /// What came of it, as it is answered, audited and kept with the job.
    type Outcome: Serialize + Send + Sync + 'static;

    /// The method it is called by. Its part after `/`, up to `_`, is its word in `allow`.
    const METHOD: &'static str;

    /// What has to be looked at meanwhile.
    const NEEDS: &'static [Need];

    /// Methods whose rights it needs beside its own, for what it does of theirs.
    fn includes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Its parameters for the audit log: what it is about, never what tasks are given as arguments.
    fn describe(&self) -> Value;

    /// Does it. Whatever is long goes by [`Job::batch`].
    ///
    /// # Errors
    /// Where nothing of it could be done. What could be done for some is an outcome.
    fn carry_out(
        self,
        environment: &Environment,
        job: &Licence,
    ) -> impl Future<Output = Result<Self::Outcome>> + Send;
}

/// An action that can be tried: `dry_run`.
pub trait Preview: Action {
    /// What [`Action::carry_out`] would answer now. Changes nothing, so it gets no [`Licence`] and
    /// needs no permission. Whatever is long goes by [`Job::batch`], too.
    ///
    /// # Errors
    /// What [`Action::carry_out`] would.
    fn preview(
        self,
        environment: &Environment,
        job: &Job,
    ) -> impl Future<Output = Result<Self::Outcome>> + Send;
}

/// On whose behalf, and how.
#[derive(Debug)]
pub struct Caller<'a> {
    /// Who, as the client names itself.
    pub actor: &'a str,
    /// What this session has unlocked.
    pub unlocked: &'a Unlocked,
    /// Items a second at most.
    pub rate: Option<f64>,
}

/// What was left alone, and why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Refused {
    pub uuid: String,
    /// As of errors, or the action's own word.
    pub kind: &'static str,
    pub reason: String,
}

impl Refused {
    /// One of several items failed by itself.
    pub fn by(uuid: &str, error: &Error) -> Self {
        let kind = error.kind().unwrap_or("internal");
        Refused { uuid: uuid.into(), kind, reason: error.to_string() }
    }

    /// All of it was stopped by a failure before this one's turn.
    fn unreached(uuid: &str, error: &Error) -> Self {
        let reason = format!("it was not reached: {error}");
        Refused { uuid: uuid.into(), kind: "unreached", reason }
    }
}

/// What should be known of what was done.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Warning {
    /// Where it is about one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub kind: &'static str,
    pub text: String,
}

impl Warning {
    /// About all of it.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Warning { uuid: None, kind, text: text.into() }
    }

    /// About one item.
    pub fn about(uuid: &str, kind: &'static str, text: impl Into<String>) -> Self {
        Warning { uuid: Some(uuid.into()), ..Warning::new(kind, text) }
    }
}

/// An action on its way, or an export.
#[derive(Debug)]
pub struct Acting<T> {
    /// The job that it runs as.
    pub job: Job,
    outcome: oneshot::Receiver<Result<T>>,
}

impl<T> Acting<T> {
    /// Lets it run; its job ends with it.
    pub(super) fn start(
        job: Job,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Acting<T>
    where
        T: Serialize + Send + Sync + 'static,
    {
        let (told, outcome) = oneshot::channel();
        let acting = Acting { job: job.clone(), outcome };
        tokio::spawn(async move {
            let outcome = work.await;
            job.end(&outcome);
            // The caller may have gone: the job keeps it.
            let _ = told.send(outcome);
        });
        acting
    }

    /// Waits for its end. Dropping this ends nothing.
    ///
    /// # Errors
    /// What the action says; [`Error::Internal`] where the audit log cannot be written, and then
    /// nothing was done.
    pub async fn outcome(self) -> Result<T> {
        let gone = |_| Error::Internal("the job ended without an outcome".into());
        self.outcome.await.map_err(gone)?
    }
}

impl Environments {
    /// Starts an action, if the guards of this environment, and of every other one at its place,
    /// let it through.
    ///
    /// # Errors
    /// [`Error::Forbidden`], before anything was done or asked.
    pub async fn act<A: Action>(
        &self,
        environment: &Environment,
        caller: Caller<'_>,
        action: A,
    ) -> Result<Acting<A::Outcome>> {
        for method in [A::METHOD].iter().chain(action.includes()) {
            self.guard(environment, method, caller.unlocked).await?;
        }
        let job = self.jobs().open(A::METHOD, environment, caller.actor, caller.rate);
        let (environment, licence) = (environment.clone(), Licence::of(job.clone()));
        Ok(Acting::start(job, async move { environment.run(&licence, action).await }))
    }

    /// What an action would do: the job that it is looked for by, and what answers it. Dropping that
    /// ends the job.
    pub fn preview<A: Preview>(
        &self,
        environment: &Environment,
        actor: &str,
        action: A,
    ) -> (Job, impl Future<Output = Result<A::Outcome>> + Send + use<A>) {
        let job = self.jobs().open_dry(A::METHOD, environment, actor);
        let (environment, awaited) = (environment.clone(), Awaited(job.clone()));
        let looking = async move {
            let _lease = environment.lease(A::NEEDS);
            let outcome = action.preview(&environment, &awaited.0).await;
            awaited.0.end(&outcome);
            outcome
        };
        (job, looking)
    }
}

/// A job that ends when nobody waits for it any more.
struct Awaited(Job);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl Environment {
    async fn run<A: Action>(&self, job: &Licence, action: A) -> Result<A::Outcome> {
        let _lease = self.lease(A::NEEDS);
        let entry = Entry::new(job, action.describe());
        entry.intent().await.map_err(|reason| {
            Error::Internal(format!("nothing was done: the audit log cannot be written: {reason}"))
        })?;
        let effect = AssertUnwindSafe(action.carry_out(self, job)).catch_unwind().await;
        let outcome = effect.unwrap_or_else(|_| Err(Error::Internal("the action panicked".into())));
        if let Err(error) = entry.outcome(&outcome).await {
            tracing::error!(%error, "the outcome of an action could not be audited");
        }
        outcome
    }
}
