//! What can be wrong with a cluster's connection: what was seen, what that means, what to do.
//! Looks and pings; changes nothing.

mod bindings;

use super::{Environment, Look, Need};
use crate::broker::url::BrokerUrl;
use crate::broker::{Facts, Memory};
use crate::config::UrlSource;
use crate::error::{Error, Result};
use crate::state::{Ignored, Status, WorkerDetails};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Above this share of its limit a Redis is nearly full.
const NEARLY_FULL: f64 = 0.9;

/// Seconds that clocks may differ before times on screen mislead.
const SKEWED: f64 = 10.0;

/// How long a check listens for what a worker shows only by running tasks, and how often it looks.
const LISTEN: Duration = Duration::from_secs(3);
const BREATH: Duration = Duration::from_millis(50);
/// How long keys are looked through for what others left, and for bindings.
const SEARCH: Duration = Duration::from_millis(500);

/// What workers write instead of a password.
const MASK: &str = "********";

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Check {
    /// The same as `check`.
    pub key: &'static str,
    /// What was checked.
    pub check: &'static str,
    /// How it stands.
    pub status: Health,
    /// What was seen.
    pub evidence: String,
    /// What that means.
    pub meaning: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Something is not told, or could go wrong.
    Warn,
    /// It does not work.
    Fail,
}

/// What one worker told that matters here.
struct Told {
    hostname: String,
    status: Status,
    events: Option<bool>,
    skew: Option<f64>,
    ignores: Vec<Ignored>,
    /// Its password masked.
    result_backend: Option<String>,
}

impl Told {
    fn by(worker: &WorkerDetails<'_>) -> Told {
        let backend = worker.conf.and_then(|conf| conf.get("result_backend")?.as_str());
        Told {
            hostname: worker.row.hostname.into(),
            status: worker.row.status,
            events: worker.row.events.map(|word| word == "on"),
            skew: worker.row.skew,
            ignores: worker.row.ignores.to_vec(),
            result_backend: backend.map(str::to_owned),
        }
    }
}

impl Check {
    fn ok(check: &'static str, evidence: impl Into<String>, meaning: &str) -> Check {
        let (evidence, meaning) = (evidence.into(), meaning.into());
        Check { key: check, check, status: Health::Ok, evidence, meaning, fix: None }
    }

    fn warn(check: &'static str, evidence: impl Into<String>, meaning: &str, fix: &str) -> Check {
        Check { status: Health::Warn, fix: Some(fix.into()), ..Check::ok(check, evidence, meaning) }
    }

    fn fail(check: &'static str, evidence: impl Into<String>, meaning: &str, fix: &str) -> Check {
        Check { status: Health::Fail, ..Check::warn(check, evidence, meaning, fix) }
    }
}

impl Environment {
    /// Checks the connection and what comes through it. Where the broker cannot be reached nothing
    /// behind it is known, and so it is not told.
    pub async fn check(&self) -> Vec<Check> {
        let _lease = self.lease(&[Need::Workers]);
        let mut checks = Vec::new();
        checks.extend(self.check_url());
        match self.reach().await {
            Err(error) => checks.push(Check::fail(
                "broker",
                error.to_string(),
                "nothing can be seen or done",
                self.remedy(&error),
            )),
            Ok(reached) => {
                checks.extend(reached);
                let workers = self.listen().await;
                if self.0.replay.is_none() {
                    checks.extend(self.leftovers().await);
                    checks.extend(self.check_bindings().await);
                }
                checks.push(presence(&workers));
                checks.extend(consumption(&workers));
                checks.extend(events(&workers));
                checks.extend(clocks(&workers));
                checks.push(self.check_backend(&workers).await);
                checks.extend(undecodable(self.read(|state| state.counts().undecodable)));
            }
        }
        checks
    }

    /// The broker, once a first look at the cluster was taken.
    async fn reach(&self) -> Result<Vec<Check>> {
        self.fresh(&[Look::Roll]).await?;
        if self.0.replay.is_some() {
            let evidence = "a recording is played";
            return Ok(vec![Check::ok("broker", evidence, "nothing is contacted")]);
        }
        let connection = self.connection().await?;
        let began = Instant::now();
        connection.broker.ping().await?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        let facts = connection.broker.facts().await;
        let who = facts.version.as_ref().map(|version| format!("Redis {version} "));
        let answered = format!("{}answered in {milliseconds:.1} ms", who.unwrap_or_default());
        let mut checks = vec![Check::ok("broker", answered, "it can be reached")];
        checks.extend(broker_facts(&facts));
        Ok(checks)
    }

    /// What to do about a broker that cannot be reached.
    fn remedy(&self, error: &Error) -> &'static str {
        if let Some(advice) = advice(error) {
            return advice;
        }
        match &self.config().broker {
            UrlSource::Command(_) => {
                "run that program in a shell: it has to print the broker's URL and nothing else; \
                 then see that the broker runs"
            }
            UrlSource::Given(url) => match BrokerUrl::parse(url.expose()) {
                Ok(url) if url.transport() == "redis" => {
                    "see that the broker runs and that the URL is the one your workers use"
                }
                Ok(_) => "only Redis without TLS (redis://) is watched so far",
                Err(_) => "correct the URL",
            },
        }
    }

    /// What workers tell, listened for a while where that is not enough to say whether they send
    /// task events: one that runs tasks shows it soon.
    async fn listen(&self) -> Vec<Told> {
        let deadline = tokio::time::Instant::now() + LISTEN;
        let mut revision = self.revision();
        loop {
            revision.borrow_and_update();
            let told = |worker: WorkerDetails<'_>| Told::by(&worker);
            let workers: Vec<Told> = self.read(|state| state.workers().map(told).collect());
            let open = |worker: &Told| worker.status == Status::Online && worker.events.is_none();
            if self.0.replay.is_some() || !workers.iter().any(open) {
                return workers;
            }
            let more = async {
                tokio::time::sleep(BREATH).await;
                revision.changed().await
            };
            if !matches!(tokio::time::timeout_at(deadline, more).await, Ok(Ok(()))) {
                return workers;
            }
        }
    }

    /// Answers of workers that nobody will ever fetch.
    async fn leftovers(&self) -> Option<Check> {
        const CHECK: &str = "leftover replies";
        let exchange = format!("reply.{}.pidbox", self.config().control_exchange);
        let connection = self.connection().await.ok()?;
        let found = connection.broker.leftovers(&exchange, SEARCH).await.ok()?;
        if found.lists == 0 {
            return None;
        }
        let more = if found.whole { "" } else { " at least (not all keys were looked at)" };
        let evidence = format!(
            "{} {}{more}, {}; {} was not touched for {} min",
            found.lists,
            if found.lists == 1 { "list" } else { "lists" },
            mebibytes(found.bytes),
            found.example,
            found.idle.as_secs() / 60,
        );
        Some(Check::warn(
            CHECK,
            evidence,
            "programs that asked workers and went away before the answers came left them; they \
             never expire",
            "where no such program runs any more, remove them: UNLINK and the name",
        ))
    }

    /// What a URL does not mean although it looks like it.
    fn check_url(&self) -> Option<Check> {
        let UrlSource::Given(url) = &self.config().broker else { return None };
        let url = BrokerUrl::parse(url.expose()).ok()?;
        let from = format!("{} (from {})", url.redacted(), self.config().url_from);
        if url.warnings().is_empty() {
            return Some(Check::ok("url", from, "it is read as Celery reads it"));
        }
        let evidence = format!("{from}: {}", url.warnings().join("; "));
        let meaning = "it may not mean what it says";
        Some(Check::warn("url", evidence, meaning, "write what Celery would read without a doubt"))
    }

    async fn check_backend(&self, workers: &[Told]) -> Check {
        const CHECK: &str = "result backend";
        let theirs = workers.iter().find_map(|worker| worker.result_backend.as_deref());
        match (self.backend().await, theirs) {
            (Err(error), _) => Check::fail(
                CHECK,
                error.to_string(),
                "results are not seen",
                advice(&error).unwrap_or("correct result_backend, or leave it out"),
            ),
            (Ok(Some(backend)), theirs) => match backend.ping().await {
                Ok(()) => self.same_backend(theirs),
                Err(error) => Check::fail(
                    CHECK,
                    error.to_string(),
                    "results are not seen",
                    advice(&error)
                        .unwrap_or("see that it runs and that the URL is the one your workers use"),
                ),
            },
            (Ok(None), Some(theirs)) => {
                let masked = theirs.contains(MASK);
                let password = if masked { ", with its password: workers mask it" } else { "" };
                Check::warn(
                    CHECK,
                    format!("none is configured here; workers store results in {theirs}"),
                    "how a task ended is known only where events tell it",
                    &format!(
                        "set result_backend (or CELERY_RESULT_BACKEND, --backend) to that{password}"
                    ),
                )
            }
            (Ok(None), None) => Check::warn(
                CHECK,
                "none is configured here, and no worker tells of one (those that have it from \
                 CELERY_RESULT_BACKEND do not tell)",
                "how a task ended is known only where events tell it",
                "if your application stores results, set result_backend to the same",
            ),
        }
    }

    /// The backend answers; is it the one that workers store in?
    fn same_backend(&self, theirs: Option<&str>) -> Check {
        const CHECK: &str = "result backend";
        let ours = match &self.config().result_backend {
            Some(UrlSource::Given(url)) => BrokerUrl::parse_backend(url.expose()).ok(),
            _ => None,
        };
        let told = theirs.and_then(|theirs| BrokerUrl::parse_backend(theirs).ok());
        match (ours, told) {
            (Some(ours), Some(told)) if !ours.same_place(&told) => Check::warn(
                CHECK,
                format!("it answers at {ours}; workers store results in {told}"),
                "results may be looked for in the wrong place, unless both names lead to one",
                "set result_backend to what your workers use",
            ),
            (Some(ours), _) => {
                Check::ok(CHECK, format!("it answers at {ours}"), "results are seen")
            }
            (None, _) => Check::ok(CHECK, "it answers", "results are seen"),
        }
    }
}

/// What to do where the system's own words tell it.
fn advice(error: &Error) -> Option<&'static str> {
    const TELLING: [(&str, &str); 5] = [
        (
            "cannot be started",
            "install that program, or correct the command: its first word is a program's name or \
             path, and no shell reads it",
        ),
        ("Connection refused", "nothing listens there: start it, or correct host and port"),
        ("failed to lookup", "nobody knows that host: correct its name"),
        ("no answer within", "the host is down or a firewall is between: try it from a shell"),
        ("No such file", "there is no such socket: start it, or correct the path"),
    ];
    let said = error.to_string();
    TELLING.iter().find(|(words, _)| said.contains(words)).map(|(_, advice)| *advice)
}

fn broker_facts(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for (command, reason) in &facts.refused {
        checks.push(Check::warn(
            "permissions",
            format!("{command}: {reason}"),
            "memory and replication of the broker are not known; all else works without",
            "permit INFO to this user, or live without those facts",
        ));
    }
    if facts.replica == Some(true) {
        checks.push(Check::warn(
            "role",
            "this Redis is a replica",
            "reading only: workers publish elsewhere, and nothing can be sent from here",
            "use the URL of its master",
        ));
    }
    if facts.saved == Some(false) {
        checks.push(Check::warn(
            "broker disk",
            "its last snapshot, or its last write to the append-only file, failed",
            "unless it is told otherwise, Redis takes no messages and no results until one succeeds",
            "see its log: the disk may be full, or its folder gone",
        ));
    }
    checks.extend(facts.memory.as_ref().map(memory));
    checks
}

fn memory(memory: &Memory) -> Check {
    const CHECK: &str = "broker memory";
    let policy = memory.policy.as_deref().unwrap_or("unknown");
    let Some(limit) = memory.limit else {
        let evidence = format!("{} used, no limit set", mebibytes(memory.used));
        return Check::ok(CHECK, evidence, "nothing is evicted");
    };
    let evidence =
        format!("{} of {} used, policy {policy}", mebibytes(memory.used), mebibytes(limit));
    if memory.used as f64 > NEARLY_FULL * limit as f64 {
        let meaning = "nearly full: soon tasks cannot be sent, or are evicted";
        return Check::warn(CHECK, evidence, meaning, "raise maxmemory, or let workers catch up");
    }
    if policy.starts_with("allkeys") {
        let meaning = "when it is full, Redis evicts whole queues";
        return Check::warn(CHECK, evidence, meaning, "set maxmemory-policy to noeviction");
    }
    Check::ok(CHECK, evidence, "there is room")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn presence(workers: &[Told]) -> Check {
    const CHECK: &str = "workers";
    let named = |status: &dyn Fn(Status) -> bool| -> Vec<&str> {
        let some = workers.iter().filter(|worker| status(worker.status));
        some.map(|worker| worker.hostname.as_str()).collect()
    };
    let online = named(&|status| status == Status::Online);
    let silent = named(&|status| matches!(status, Status::Silent | Status::Lost));
    match (online.as_slice(), silent.as_slice()) {
        ([], []) => Check::warn(
            CHECK,
            "no worker answered, and none was heard",
            "none runs on this broker, or it speaks on another database, prefix or exchange",
            "start one; if one runs, compare its broker_url, global_keyprefix, control_exchange \
             and event_exchange with what is configured here",
        ),
        (online, []) => Check::ok(CHECK, format!("online: {}", few(online)), "they answer"),
        (_, silent) => Check::warn(
            CHECK,
            format!("{} online; silent: {}", online.len(), few(silent)),
            "those neither beat nor said goodbye: killed, cut off, or hung",
            "look at their logs and machines; restart them",
        ),
    }
}

/// Who is alive and takes nothing. It takes half a minute of looking to tell.
fn consumption(workers: &[Told]) -> Option<Check> {
    let ignoring: Vec<String> = workers
        .iter()
        .filter_map(|worker| Some((worker, worker.ignores.first()?)))
        .map(|(worker, ignored)| format!("{} from `{}`", worker.hostname, ignored.queue))
        .collect();
    let names: Vec<&str> = ignoring.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        Check::warn(
            "consumption",
            format!("alive and idle, but nothing is taken: {}", few(&names)),
            "they beat and answer, hold nothing, and leave messages that wait: it happens after a \
             broker was away",
            "restart them",
        )
    })
}

/// A few names, and how many more there are.
fn few(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A worker shows that it sends task events by the first, and that it does not by running tasks
/// without; before, nobody knows.
fn events(workers: &[Told]) -> Option<Check> {
    const CHECK: &str = "task events";
    let online = |events: Option<bool>| -> Vec<&str> {
        let online = workers.iter().filter(|worker| worker.status == Status::Online);
        let those = online.filter(|worker| worker.events == events);
        those.map(|worker| worker.hostname.as_str()).collect()
    };
    let (off, unknown, on) = (online(Some(false)), online(None), online(Some(true)));
    match (off.as_slice(), unknown.as_slice(), on.as_slice()) {
        ([], [], []) => None,
        ([], [], _) => Some(Check::ok(CHECK, "on", "tasks are seen as they happen")),
        ([], unknown, _) => Some(Check::warn(
            CHECK,
            format!("not known yet of {}", few(unknown)),
            "a worker shows whether it sends them only when it runs a task",
            "let it run one meanwhile: a check listens for 3 s",
        )),
        (off, ..) => Some(Check::warn(
            CHECK,
            format!("off at {}", few(off)),
            "when their tasks start and end is known only from asking and from stored results",
            "start them with -E (worker_send_task_events), or turn events on now: `ce` in the \
             editor, worker/control enable_events",
        )),
    }
}

fn clocks(workers: &[Told]) -> Option<Check> {
    let off: Vec<String> = workers
        .iter()
        .filter_map(|worker| Some((worker, worker.skew.filter(|skew| skew.abs() > SKEWED)?)))
        .map(|(worker, skew)| format!("{} by {skew:.0} s", worker.hostname))
        .collect();
    let names: Vec<&str> = off.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        Check::warn(
            "clocks",
            format!("they differ from ours: {}", few(&names)),
            "their times, and what follows from them, are off by as much",
            "synchronize the clocks",
        )
    })
}

fn undecodable(count: u64) -> Option<Check> {
    (count > 0).then(|| {
        Check::warn(
            "decoding",
            format!("{count} messages, events or results could not be read"),
            "what they said is missing",
            "a serializer other than JSON, or another program on these channels: see the log",
        )
    })
}
