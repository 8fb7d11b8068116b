//! `worker/*`

use super::acting::{self, Done, How, Token};
use super::call::Call;
use super::feed::{self, Details, Feed, Listing, Live, Whole};
use super::list::{self, List, Rows};
use super::source::Source;
use super::subscription::Subscribe;
use super::table::Table;
use super::typed::Typed;
use crate::celery::control::Request;
use crate::environment::act::control::{self, Command};
use crate::environment::{Environment, Look, Need, Replies};
use crate::error::{Error, Result};
use crate::state::{Noun, WorkerDetails, WorkerRow};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Inspect methods without side effects (`celery/worker/control.py`); `hello` has one.
const INSPECT: [&str; 11] = [
    "active",
    "active_queues",
    "clock",
    "conf",
    "ping",
    "query_task",
    "registered",
    "report",
    "reserved",
    "revoked",
    "scheduled",
];

/// Seconds that silent workers are waited for, by default and at most.
const TIMEOUT: f64 = 1.0;
const LONGEST: f64 = 30.0;

pub(super) fn register(table: &mut Table) {
    table.method("worker/list", "Workers", &[], list);
    table.method("worker/get", "Everything known of a worker", &["hostname"], get);
    table.method(
        "worker/inspect",
        "Asks workers by one of Celery's inspect methods that have no side effects",
        &["method"],
        inspect,
    );
    table.method("worker/control", "Turns task events on or off", &["method"], control);
    table.feed(
        "worker/subscribe",
        "Follows a list of workers",
        "worker/changed",
        Some("worker/unsubscribe"),
        &[],
        subscribe,
    );
    table.feed(
        "worker/watch",
        "Follows the details of one worker",
        "worker/changed",
        None,
        &["hostname"],
        watch,
    );
}

async fn list(params: List, call: Call) -> Result<Rows<WorkerRow<'static>>> {
    let source = Source::records(Noun::Worker, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Listing<WorkerRow<'static>>> {
    params.feed(Noun::Worker, &call).map(Live::from)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Get {
    hostname: String,
    environment: Option<String>,
}

async fn get(params: Get, call: Call) -> Result<Typed<WorkerDetails<'static>>> {
    let environment = call.environment(params.environment.as_deref())?;
    let _lease = environment.lease_worker(&params.hostname);
    environment.fresh(&[Look::Roll, Look::Active]).await?;
    environment.ask_held(&params.hostname).await;
    details(&environment, &params.hostname).map(Typed::from)
}

fn details(environment: &Environment, hostname: &str) -> Result<Value> {
    let details = environment.read(|state| state.worker(hostname).map(serde_json::to_value));
    match details {
        Some(details) => details.map_err(|error| Error::Internal(error.to_string())),
        None => Err(Error::UnknownWorker {
            hostname: hostname.into(),
            sources: ["events", "inspect"].map(String::from).to_vec(),
        }),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Watch {
    hostname: String,
    environment: Option<String>,
    interval: Option<f64>,
}

async fn watch(params: Watch, call: Call) -> Result<Live<Whole<'static, WorkerDetails<'static>>>> {
    let environment = call.environment(params.environment.as_deref())?;
    let leases = vec![environment.lease_worker(&params.hostname)];
    let revisions = vec![environment.revision()];
    let interval = feed::interval(params.interval)?;
    if details(&environment, &params.hostname).is_err() {
        environment.fresh(&[Look::Roll]).await?;
        details(&environment, &params.hostname)?;
    }
    let details: Details = Box::new(move || details(&environment, &params.hostname));
    Ok(Feed::Watch { details, revisions, leases, interval }.into())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inspect {
    method: String,
    environment: Option<String>,
    destination: Option<Vec<String>>,
    #[serde(default)]
    arguments: Map<String, Value>,
    timeout: Option<f64>,
}

async fn inspect(params: Inspect, call: Call) -> Result<Replies> {
    if params.method != "stats" && !INSPECT.contains(&params.method.as_str()) {
        let known = INSPECT.join(", ");
        return Call::invalid(format!(
            "`{}` is no inspect method without side effects, expected one of: {known}, stats",
            params.method
        ));
    }
    let timeout = timeout(params.timeout)?;
    let environment = call.environment(params.environment.as_deref())?;
    let _lease = environment.lease(&[Need::Workers]);
    let mut request = Request::new(&params.method, some(params.destination)?);
    request.arguments.extend(params.arguments);
    if params.method == "active" {
        // One task with odd arguments makes a worker mute without it (F05).
        request.arguments.insert("safe".into(), true.into());
    }
    environment.fresh(&[Look::Roll]).await?;
    let destination = request.destination.clone();
    let answers = environment.ask(request, timeout).await?;
    if answers.is_empty() {
        let method = params.method;
        return Err(Error::NoReply { method, destination, timeout: timeout.as_secs_f64() });
    }
    Ok(Replies::of(answers, destination.as_deref()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Control {
    method: String,
    environment: Option<String>,
    destination: Option<Vec<String>>,
    #[serde(default)]
    arguments: Map<String, Value>,
    timeout: Option<f64>,
    #[serde(default)]
    dry_run: bool,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
}

async fn control(params: Control, call: Call) -> Result<Done<Replies>> {
    let Some(command) = Command::named(&params.method) else {
        let sentence = "expected `enable_events` or `disable_events`";
        return Call::invalid(format!("unknown control method `{}`, {sentence}", params.method));
    };
    if let Some(name) = params.arguments.keys().next() {
        return Call::invalid(format!("`{}` takes no arguments, not `{name}`", params.method));
    }
    let timeout = timeout(params.timeout)?;
    let action = control::Control { command, destination: some(params.destination)?, timeout };
    let how = How { progress: params.progress_token, rate: None };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

/// An empty list would reach everybody (reference 4.1).
fn some(destination: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
    if destination.as_ref().is_some_and(Vec::is_empty) {
        return Call::invalid("`destination` is empty: leave it out to reach every worker");
    }
    Ok(destination)
}

fn timeout(seconds: Option<f64>) -> Result<Duration> {
    let seconds = seconds.unwrap_or(TIMEOUT);
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if seconds <= LONGEST => Ok(timeout),
        _ => Call::invalid(format!("`timeout` is 0 to {LONGEST} seconds, not {seconds}")),
    }
}
