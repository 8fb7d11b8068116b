//! What workers are asked: who is there, what they run, what they hold.
//!
//! Every answer goes into the state as it comes, so that a row appears with the first reply and not
//! with the last.

use super::looks::Look;
use super::mailbox::{Answers, Enough, Late};
use super::{Connection, Environment, unheard};
use crate::celery::control::{Inspection, Request, Said};
use crate::error::Result;
use crate::state::Kind;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long we wait for those who are silent.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks, tells the state every answer, and names who was silent.
pub(super) async fn ask(
    environment: &Environment,
    connection: &Connection,
    request: Request,
    enough: Enough,
    timeout: Duration,
) -> Result<Answers> {
    let expected: BTreeSet<String> = match &request.destination {
        Some(names) => names.iter().cloned().collect(),
        None => environment.read(|state| state.workers_online()).into_iter().collect(),
    };
    let method = request.method.clone();
    let broadcast = request.destination.is_none();
    let answers = connection
        .mailbox
        .ask(&request, expected, enough, timeout, |hostname, said| {
            learn(environment, connection, &method, hostname, said);
        })
        .await?;
    if broadcast {
        unheard::heed(environment, connection, answers.listeners).await?;
    }
    if broadcast || !answers.missing.is_empty() {
        environment.observe(Kind::Missing {
            method,
            hostnames: answers.missing.clone(),
            listeners: if broadcast { answers.listeners } else { None },
            answered: answers.answered() as u64,
        });
    }
    Ok(answers)
}

/// One look at all workers.
pub(super) async fn look(
    environment: &Environment,
    connection: &Connection,
    look: Look,
) -> Result<()> {
    let methods: &[&str] = match look {
        Look::Roll => &["ping", "stats", "active_queues", "registered", "conf"],
        _ => &["active", "stats"],
    };
    if look == Look::Roll {
        // Whoever answers to this is seen without having to reply (reference 11).
        connection.mailbox.tell(&Request::new("heartbeat", None)).await?;
    }
    // A roll call is for those that we do not know yet, too.
    let enough = if look == Look::Roll { Enough::Listeners } else { Enough::Known };
    let asked = methods
        .iter()
        .map(|method| ask(environment, connection, Request::new(method, None), enough, TIMEOUT));
    for answers in futures_util::future::join_all(asked).await {
        answers?;
    }
    Ok(())
}

/// Workers that are met for the first time and asked at once: one that is slow to listen holds up
/// no other.
const GREETED_AT_ONCE: usize = 16;

/// Meets workers as they appear (F49).
pub(super) async fn greet(environment: &Environment, connection: &Connection) {
    let mut newcomers = environment.0.newcomers.lock().await;
    stream::poll_fn(|context| newcomers.poll_recv(context))
        .for_each_concurrent(GREETED_AT_ONCE, |name| meet(environment, connection, name))
        .await;
}

/// Asks a worker that was met for the first time all that [`Look::Roll`] asks everybody.
async fn meet(environment: &Environment, connection: &Connection, hostname: String) {
    listens(environment, connection, &hostname).await;
    environment.revoke_again(&hostname).await;
    for method in ["stats", "active_queues", "registered", "conf"] {
        let request = Request::new(method, Some(vec![hostname.clone()]));
        if let Err(error) = ask(environment, connection, request, Enough::Known, TIMEOUT).await {
            tracing::debug!(%error, hostname, method, "a newcomer could not be asked");
        }
    }
}

/// How often a worker that came up is asked whether it listens.
const PINGS: usize = 5;
const BETWEEN_PINGS: Duration = Duration::from_millis(500);

/// A worker says that it is online before it listens to remote control (`celery/worker/consumer`),
/// and what is published to nobody is lost: it is asked until it answers, for a while.
async fn listens(environment: &Environment, connection: &Connection, hostname: &str) {
    for _ in 0..PINGS {
        let ping = Request::new("ping", Some(vec![hostname.to_owned()]));
        match ask(environment, connection, ping, Enough::Known, TIMEOUT).await {
            // With nobody listening at all, the answer is there at once.
            Ok(answers) if answers.replies.is_empty() => tokio::time::sleep(BETWEEN_PINGS).await,
            _ => return,
        }
    }
}

/// Takes in the answers that came after their request had ended.
pub(super) async fn latecomers(
    environment: &Environment,
    connection: &Connection,
    mut late: mpsc::UnboundedReceiver<Late>,
) {
    while let Some(Late { method, hostname, said }) = late.recv().await {
        learn(environment, connection, &method, &hostname, &said);
    }
}

fn learn(
    environment: &Environment,
    connection: &Connection,
    method: &str,
    hostname: &str,
    said: &Said,
) {
    let hostname = hostname.to_owned();
    let value = match said {
        Said::Value(value) => value,
        Said::TooLarge(bytes) => {
            let megabytes = *bytes as f64 / f64::from(1 << 20);
            let reason = format!("its answer of {megabytes:.1} MiB is too large to be read");
            return environment.observe(Kind::Untold { hostname, method: method.into(), reason });
        }
    };
    let said = |reply| Kind::Control { hostname: hostname.clone(), method: method.into(), reply };
    environment.observe(match value.get("error").and_then(Value::as_str) {
        Some(error) => said(error.into()),
        None if !Inspection::METHODS.contains(&method) => said(sentence(value)),
        None => match Inspection::read(method, value) {
            Ok(reply) => {
                if let Inspection::Stats(stats) = &reply {
                    learn_layout(connection, stats);
                }
                Kind::Inspect { hostname, reply }
            }
            Err(reason) => Kind::Undecodable { what: "reply".into(), reason },
        },
    });
}

fn learn_layout(connection: &Connection, stats: &Map<String, Value>) {
    let broker = stats.get("broker").and_then(Value::as_object);
    if let Some(Value::Object(options)) = broker.and_then(|said| said.get("transport_options")) {
        connection.broker.learn(options);
    }
}

/// What a worker says in `ok`, else its whole answer.
fn sentence(value: &Value) -> String {
    match value.get("ok").unwrap_or(value) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
