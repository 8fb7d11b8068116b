//! `task/retry`: a task that ended is sent again, as exactly as it is known.
//!
//! Where its arguments come from is told; what is not known exactly is refused, and one that is
//! refused holds up no other. What ties it to a workflow is dropped and named: its group and chord have
//! counted it already, and what follows in a chain has a result of its own by now.

use super::original::{Held, LINKS, Original, link, take_options};
use super::select::Which;
use super::send::check_id;
use super::{Action, Job, Licence, Preview, Refused, Warning};
use crate::celery::send::{Body, Sending, custom_headers};
use crate::celery::{TaskMessage, literal, send};
use crate::environment::{Environment, Need};
use crate::error::{Error, Result};
use crate::state::{Place, Source};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Tasks that sources are asked for at once, and that are sent before it is looked whether to stop.
const BATCH: usize = 200;

/// Tasks whose arguments a preview shows, and how many bytes of them, each.
const SHOWN: usize = 100;
const SHOWN_BYTES: usize = 1_000;

/// Sends tasks again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Which.
    pub which: Which,
    /// Other positional arguments, as JSON text.
    pub args: Option<String>,
    /// Other keyword arguments.
    pub kwargs: Option<String>,
    /// Another queue.
    pub queue: Option<String>,
    /// Not before so long from now on.
    pub countdown: Option<Duration>,
    /// Under its own id.
    pub same_id: bool,
    /// Go on with its chain, callbacks and errbacks.
    pub keep_links: bool,
    /// Also where only a repr of its arguments is known.
    pub accept_inexact: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Retried {
    pub sent: Vec<Resent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// One that was sent again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct Resent {
    pub from: String,
    pub uuid: String,
    pub name: String,
    pub queue: String,
    /// Where its arguments come from: `unacked`, `queue`, `backend`, `repr`, or `given`.
    pub source: &'static str,
    /// What it no longer has.
    pub dropped: Vec<&'static str>,
    /// In a preview: what it will be called with, where that is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs_json: Option<String>,
}

impl Action for Retry {
    type Outcome = Retried;

    const METHOD: &'static str = "task/retry";
    const NEEDS: &'static [Need] = &[Need::Tasks];

    fn describe(&self) -> Value {
        let mut described = self.which.describe();
        described["queue"] = json!(self.queue);
        described["changed"] = json!(self.args.is_some() || self.kwargs.is_some());
        described["same_id"] = json!(self.same_id);
        described
    }

    async fn carry_out(self, environment: &Environment, licence: &Licence) -> Result<Retried> {
        self.each(environment, licence, Some(licence)).await
    }
}

impl Preview for Retry {
    async fn preview(self, environment: &Environment, job: &Job) -> Result<Retried> {
        self.each(environment, job, None).await
    }
}

/// One task as it will be sent again.
struct Plan {
    task: Sending,
    source: &'static str,
    dropped: Vec<&'static str>,
    warnings: Vec<Warning>,
}

impl Retry {
    /// One after another; without a licence nothing is sent.
    async fn each(
        self,
        environment: &Environment,
        job: &Job,
        licence: Option<&Licence>,
    ) -> Result<Retried> {
        let (uuids, partial) = environment.select(&self.which).await?;
        job.expect(uuids.len());
        let mut retried = Retried { warnings: Vec::from_iter(partial), ..Retried::default() };
        let mut targets = Targets::default();
        let mut left = uuids.as_slice();
        'all: while !left.is_empty()
            && let Some(size) = job.batch(left.len().min(BATCH)).await
        {
            let (batch, rest) = left.split_at(size);
            let found = environment.found(batch).await;
            for (at, uuid) in batch.iter().enumerate() {
                let plan = self.plan(environment, uuid, &found).await;
                let sent = match plan {
                    Ok(plan) => {
                        let one = (uuid.as_str(), plan);
                        self.one(environment, licence, one, &mut targets, &mut retried).await
                    }
                    Err(stopped) => Err(stopped),
                };
                job.did(1);
                let Err(Stopped { refused, lost }) = sent else { continue };
                retried.refused.push(refused);
                if let Some(error) = lost {
                    let unreached = left[at + 1..].iter();
                    retried.refused.extend(unreached.map(|uuid| Refused::unreached(uuid, &error)));
                    break 'all;
                }
            }
            left = rest;
        }
        retried.warnings.extend(targets.warnings);
        Ok(retried)
    }

    async fn one(
        &self,
        environment: &Environment,
        licence: Option<&Licence>,
        (uuid, plan): (&str, Plan),
        targets: &mut Targets,
        retried: &mut Retried,
    ) -> Result<(), Stopped> {
        let by = |error: Error| Stopped::by(uuid, error);
        let Plan { task, source, dropped, warnings } = plan;
        targets.check(environment, &task.queue).await.map_err(by)?;
        if let Some(licence) = licence {
            environment.publish(licence, &task, Some(uuid)).await.map_err(by)?;
        }
        retried.warnings.extend(warnings);
        let (args_json, kwargs_json) = match &task.body {
            Body::Json { args, kwargs, .. }
                if licence.is_none()
                    && retried.sent.len() < SHOWN
                    && args.len() + kwargs.len() <= SHOWN_BYTES =>
            {
                (Some(args.clone()), Some(kwargs.clone()))
            }
            _ => (None, None),
        };
        let Sending { uuid: new, name, queue, .. } = task;
        let from = uuid.into();
        let sent = Resent { from, uuid: new, name, queue, source, dropped, args_json, kwargs_json };
        retried.sent.push(sent);
        Ok(())
    }

    /// What would be sent in place of one task.
    async fn plan(
        &self,
        environment: &Environment,
        uuid: &str,
        found: &Found,
    ) -> Result<Plan, Stopped> {
        let by = |error: Error| Stopped::by(uuid, error);
        check_id(uuid).map_err(by)?;
        let mut original = found.original(environment, uuid).map_err(by)?;
        if original.is_unread && !self.is_given() {
            environment.find_task(uuid, true).await.map_err(by)?;
            original = found.original(environment, uuid).map_err(by)?;
        }
        self.check_state(uuid, &original)?;
        // A late acknowledger's message is still there, with all that it says.
        let running = original.place == Some(Place::Active);
        let found = found.held.get(uuid).filter(|_| running);
        let message = found.map(|found| &found.task);
        let Some(name) = message.map(|found| found.name.clone()).or(original.name.clone()) else {
            return Err(refused(uuid, "inexact", "its name is not known").into());
        };
        let mut warnings = Vec::new();
        let (body, source) = match found.and_then(Held::verbatim) {
            Some(body) if self.args.is_none() && self.kwargs.is_none() => {
                let text = "its body is not read here: what it is linked to goes with it";
                warnings.push(Warning::about(uuid, "links", text));
                (body, "unacked")
            }
            _ => self.arguments(uuid, &original, message)?,
        };
        let (queue, warning) = self.queue_of(environment, uuid, &original);
        warnings.extend(warning);
        if running {
            let worker = original.worker.as_deref().unwrap_or("some worker");
            warnings.push(Warning::about(uuid, "running", format!("it still runs on {worker}")));
        }
        if let Some(before) = &original.retried_as {
            let text = format!("it was sent again before, as `{before}`");
            warnings.push(Warning::about(uuid, "retried", text));
        }
        let new = if self.same_id { uuid.to_owned() } else { uuid::Uuid::new_v4().to_string() };
        let mut task = Sending::new(&name, &new, &queue, body);
        task.parent_id = Some(uuid.into()).filter(|_| !self.same_id);
        task.root_id = original.root_id.clone();
        task.priority = original.priority.and_then(|priority| u8::try_from(priority.min(9)).ok());
        // They may hide a secret, which new ones would show to everybody (F03).
        task.argsrepr = original.argsrepr.clone().filter(|_| self.args.is_none());
        task.kwargsrepr = original.kwargsrepr.clone().filter(|_| self.kwargs.is_none());
        let headers = message.map(|found| &found.headers_json).or(original.headers.as_ref());
        if let Some(headers) = headers {
            task.headers = custom_headers(headers);
            take_options(&mut task, headers);
        }
        let dropped = self.drop_ties(&mut task, &original, message);
        Ok(Plan { task, source, dropped, warnings })
    }

    /// All that it will be called with is.
    fn is_given(&self) -> bool {
        self.args.is_some() && self.kwargs.is_some()
    }

    /// The queue it ran from, unless another one is named.
    fn queue_of(
        &self,
        environment: &Environment,
        uuid: &str,
        original: &Original,
    ) -> (String, Option<Warning>) {
        if let Some(queue) = self.queue.as_ref().or(original.queue.as_ref()) {
            return (queue.clone(), None);
        }
        let (queue, _) = environment.default_queue();
        let text = format!("the queue it ran from is not known; it goes to `{queue}`");
        (queue, Some(Warning::about(uuid, "queue", text)))
    }

    /// Whether it may be sent again at all.
    fn check_state(&self, uuid: &str, original: &Original) -> Result<(), Refused> {
        let state = original.state.as_str();
        match original.place {
            Some(place @ (Place::Queue | Place::Reserved | Place::Scheduled)) => {
                let place = match (place, &original.queue) {
                    (Place::Queue, Some(queue)) => format!("in `{queue}`"),
                    _ => "in a worker's hands".into(),
                };
                Err(refused(uuid, "waiting", format!("it still waits {place}, and will run")))
            }
            _ if !self.same_id => Ok(()),
            _ if state == "SUCCESS" => {
                let why = "a stored success is never replaced: under its own id the new result \
                           would be lost";
                Err(refused(uuid, "same_id", why))
            }
            _ if state == "REVOKED" => {
                let why = "workers remember that its id is revoked, and would discard it";
                Err(refused(uuid, "same_id", why))
            }
            _ => Ok(()),
        }
    }

    /// Its arguments, from the best source there is.
    fn arguments(
        &self,
        uuid: &str,
        original: &Original,
        message: Option<&TaskMessage>,
    ) -> Result<(Body, &'static str), Refused> {
        let held = message.and_then(|found| found.args_json.clone().zip(found.kwargs_json.clone()));
        let known = held.map(|held| (held, "unacked")).or_else(|| {
            let (args, source) = original.args.clone()?;
            Some(((args, original.kwargs.clone()?), source_of(source)))
        });
        let given = self.args.clone().zip(self.kwargs.clone()).map(|given| (given, "given"));
        let ((args, kwargs), source) = match given.or(known) {
            Some(known) => known,
            None => (self.read_reprs(uuid, original)?, "repr"),
        };
        let args = self.args.clone().unwrap_or(args);
        let kwargs = self.kwargs.clone().unwrap_or(kwargs);
        Ok((Body::Json { args, kwargs, embed: None }, source))
    }

    /// What is not given, read out of reprs, which are never exact.
    fn read_reprs(&self, uuid: &str, original: &Original) -> Result<(String, String), Refused> {
        if !self.accept_inexact {
            let sources = ["queue", "unacked", "backend"].map(String::from).to_vec();
            return Err(Refused::by(uuid, &Error::Inexact { uuid: uuid.into(), sources }));
        }
        let read = |given: &Option<String>, repr: &Option<String>, name: &str| {
            let read = || repr.as_deref().and_then(literal::json);
            given.clone().or_else(read).ok_or_else(|| {
                let repr = repr.as_deref().unwrap_or("not known");
                let why = format!("its {name} cannot be read back ({repr}): give `{name}`");
                refused(uuid, "inexact", why)
            })
        };
        let args = read(&self.args, &original.argsrepr, "args")?;
        let kwargs = read(&self.kwargs, &original.kwargsrepr, "kwargs")?;
        for (text, is_args) in [(&args, true), (&kwargs, false)] {
            send::check_arguments(text, is_args)
                .map_err(|mistake| refused(uuid, "inexact", mistake.reason))?;
        }
        Ok((args, kwargs))
    }

    /// Cuts what binds it to its time and its workflow; answers what it had of it.
    fn drop_ties(
        &self,
        task: &mut Sending,
        original: &Original,
        message: Option<&TaskMessage>,
    ) -> Vec<&'static str> {
        let eta = original.eta.and_then(send::moment).filter(|eta| *eta > Timestamp::now());
        task.eta = match self.countdown {
            Some(countdown) => Some(Timestamp::now() + countdown),
            None => eta,
        };
        let links = match message {
            Some(found) => Some(found.links()),
            None => original.links.as_ref().map(Option::as_deref),
        };
        let mut dropped = original.ties(links);
        let Some(links) = links else { return dropped };
        let mut kept = Vec::new();
        for name in LINKS {
            let link = link(links.unwrap_or_default(), name);
            let link = link.filter(|_| self.keep_links && name != "chord");
            if link.is_some() {
                dropped.retain(|dropped| *dropped != name);
            }
            kept.push(format!("\"{name}\": {}", link.unwrap_or("null")));
        }
        match &mut task.body {
            Body::Json { embed, .. } => *embed = Some(format!("{{{}}}", kept.join(", "))),
            // Its links are in what is not read here.
            Body::Verbatim { .. } => {}
        }
        dropped
    }
}

/// What sources said of several tasks at once.
struct Found {
    /// The messages of those that run, as workers hold them.
    held: HashMap<String, Held>,
    /// Why they could not be asked: then it is enough where a task is known already.
    lost: Option<Error>,
}

impl Found {
    fn original(&self, environment: &Environment, uuid: &str) -> Result<Original> {
        let unknown = || Error::UnknownTask { uuid: uuid.into(), sources: environment.sources() };
        let lost = || self.lost.clone().unwrap_or_else(unknown);
        environment.original(uuid).ok_or_else(lost)
    }
}

impl Environment {
    /// Asks every source for these tasks.
    async fn found(&self, uuids: &[String]) -> Found {
        let asked = async {
            self.find_tasks(uuids).await?;
            self.held(uuids).await
        };
        match asked.await {
            Ok(held) => Found { held, lost: None },
            Err(error) => Found { held: HashMap::new(), lost: Some(error) },
        }
    }
}

/// Why one was not sent.
struct Stopped {
    refused: Refused,
    /// Where the broker is lost, and the others need not be tried.
    lost: Option<Error>,
}

impl Stopped {
    fn by(uuid: &str, error: Error) -> Self {
        let refused = Refused::by(uuid, &error);
        let lost = matches!(error, Error::NotConnected { .. } | Error::Unsure { .. });
        Stopped { refused, lost: lost.then_some(error) }
    }
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Stopped { refused, lost: None }
    }
}

fn source_of(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Backend) => "backend",
        Some(Source::Unacked) => "unacked",
        _ => "queue",
    }
}

fn refused(uuid: &str, kind: &'static str, reason: impl Into<String>) -> Refused {
    Refused { uuid: uuid.into(), kind, reason: reason.into() }
}

/// The queues that were looked over, and what was said of them: each once.
#[derive(Default)]
struct Targets {
    checked: HashMap<String, Result<()>>,
    warnings: Vec<Warning>,
}

impl Targets {
    async fn check(&mut self, environment: &Environment, queue: &str) -> Result<()> {
        if let Some(checked) = self.checked.get(queue) {
            return checked.clone();
        }
        let checked = environment.check_target(queue).await;
        let checked = checked.map(|warnings| self.warnings.extend(warnings));
        self.checked.insert(queue.into(), checked.clone());
        checked
    }
}
