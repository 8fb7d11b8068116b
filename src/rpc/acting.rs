//! What every method that changes something has in common: it runs as a job, tells its progress where
//! it takes long or the client wants to hear it, and answers when it is done.

use super::call::Call;
use super::discover::Told;
use crate::environment::act::{Caller, Job, JobStatus, Preview, Standing, Unlocked};
use crate::error::Result;
use crate::server::Notifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// What takes longer tells its progress unasked.
const LONG: Duration = Duration::from_secs(1);

/// Between two reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long after the end of input a job goes on that somebody still waits for: what was done until
/// then has to be answered before the session ends.
const AFTER_INPUT: Duration = Duration::from_secs(2);

/// The slowest rate, in items a second.
const SLOWEST: f64 = 0.001;

/// What `$/progress` is told by: as in LSP, a text or a whole number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a text or a whole number")]
pub(super) enum Token {
    Number(i64),
    Text(String),
}

/// How an action is to go.
#[derive(Debug, Default)]
pub(super) struct How {
    /// `progressToken`
    pub progress: Option<Token>,
    /// Items a second at most.
    pub rate: Option<f64>,
}

/// What an action answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "{T}Done")]
pub(super) struct Done<T> {
    #[serde(flatten)]
    outcome: T,
    /// It was stopped: the rest was left alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
}

/// Carries an action out and waits for its end, or with `dry_run` says what would come of it.
/// Whoever gives up waiting only detaches, and ends a dry run.
///
/// # Errors
/// [`crate::Error::Forbidden`], but for a dry run; what the action says.
pub(super) async fn act<A: Preview>(
    call: &Call,
    environment: Option<&str>,
    dry_run: bool,
    how: How,
    action: A,
) -> Result<Done<A::Outcome>> {
    let environment = call.environment(environment)?;
    let (client, unlocked) = (call.client(), call.session.slot::<Unlocked>());
    let rate = how.rate.map(rate).transpose()?;
    if dry_run {
        let (job, looking) = call.environments.preview(&environment, client.name(), action);
        return end(call, job, looking, how.progress).await;
    }
    let caller = Caller { actor: client.name(), unlocked: &unlocked, rate };
    let acting = call.environments.act(&environment, caller, action).await?;
    end(call, acting.job.clone(), acting.outcome(), how.progress).await
}

/// Waits for the end of what was set going, and tells how it goes.
///
/// # Errors
/// What it says.
pub(super) async fn end<T>(
    call: &Call,
    job: Job,
    outcome: impl Future<Output = Result<T>>,
    progress: Option<Token>,
) -> Result<Done<T>> {
    let reporter = tokio::spawn(report(job.clone(), progress, call.notifier.clone()));
    let stop = async {
        call.session.input_ends().await;
        sleep(AFTER_INPUT).await;
        job.cancel();
        pending::<Infallible>().await
    };
    let outcome = tokio::select! {
        outcome = outcome => outcome,
        never = stop => match never {},
    };
    // Its last report comes before the answer.
    let _ = reporter.await;
    Ok(Done { outcome: outcome?, cancelled: job.is_cancelled() })
}

fn rate(rate: f64) -> Result<f64> {
    if rate.is_finite() && rate >= SLOWEST {
        return Ok(rate);
    }
    Call::invalid(format!("`rate` is items a second, at least {SLOWEST}, not {rate}"))
}

/// LSP's name of it.
const PROGRESS: &str = "$/progress";

/// What `rpc.discover` tells of it.
pub(super) fn progress() -> Told {
    Told::of::<Progress>(PROGRESS, "How an action goes, by the token that its caller gave")
}

/// The parameters of `$/progress`, as in LSP.
#[derive(Serialize, JsonSchema)]
struct Progress<'a> {
    token: &'a Token,
    value: Report<'a>,
}

/// How far a job is.
#[derive(Serialize, JsonSchema)]
struct Report<'a> {
    /// `begin`, `report`, `end`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellable: Option<bool>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentage: Option<u64>,
    job: &'a str,
    done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<'a> Report<'a> {
    fn of(kind: &'static str, job: &'a Job, standing: &Standing) -> Self {
        let Standing { status, done, total, .. } = *standing;
        let of_total = total.map(|total| format!(" of {total}")).unwrap_or_default();
        let word = match status {
            JobStatus::Running => "",
            JobStatus::Cancelling => ", stopping",
            JobStatus::Done => ", done",
            JobStatus::Cancelled => ", stopped",
            JobStatus::Failed => ", failed",
        };
        let begins = kind == "begin";
        Report {
            kind,
            title: begins.then(|| job.method()),
            cancellable: begins.then_some(true),
            message: format!("{done}{of_total}{word}"),
            percentage: total.map(|total| (done * 100).checked_div(total).unwrap_or(100).min(100)),
            job: job.id(),
            done,
            total,
        }
    }
}

/// Tells how a job goes until it is over: at once where the client gave a token, else once it
/// takes long.
async fn report(job: Job, token: Option<Token>, notifier: Notifier) {
    let mut standing = job.follow();
    if token.is_none() {
        let over = standing.wait_for(|standing| standing.status.is_over());
        if timeout(LONG, over).await.is_ok() {
            return;
        }
    }
    let token = token.unwrap_or_else(|| Token::Text(job.id().into()));
    let mut kind = "begin";
    loop {
        let now = standing.borrow_and_update().clone();
        let value = Report::of(kind, &job, &now);
        if !notifier.tell(PROGRESS, &Progress { token: &token, value }).await || kind == "end" {
            return;
        }
        if !now.status.is_over() {
            let over = job.follow();
            tokio::select! {
                () = rest(&mut standing) => {}
                () = end_of(over) => {}
            }
        }
        kind = if standing.borrow().status.is_over() { "end" } else { "report" };
    }
}

/// A change, but not sooner than the next report may come.
async fn rest(standing: &mut watch::Receiver<Standing>) {
    sleep(INTERVAL).await;
    // The job holds the sender.
    let _ = standing.changed().await;
}

async fn end_of(mut standing: watch::Receiver<Standing>) {
    let _ = standing.wait_for(|standing| standing.status.is_over()).await;
}
