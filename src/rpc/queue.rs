//! `queue/*`

use super::bounds;
use super::call::Call;
use super::feed::{Listing, Live};
use super::list::{self, List, Rows};
use super::source::Source;
use super::subscription::Subscribe;
use super::table::Table;
use crate::celery::TaskMessage;
use crate::environment::{Look, Need};
use crate::error::Result;
use crate::state::{Noun, QueueRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A `*_json` text above this many bytes is absent and its size told.
const CUT: usize = 256 << 10;

pub(super) fn register(table: &mut Table) {
    table.method("queue/list", "Queues", &[], list);
    table.method(
        "queue/messages",
        "The messages of a queue, next to run first; removes nothing",
        &["queue"],
        messages,
    );
    table.feed(
        "queue/subscribe",
        "Follows a list of queues",
        "queue/changed",
        Some("queue/unsubscribe"),
        &[],
        subscribe,
    );
}

async fn list(params: List, call: Call) -> Result<Rows<QueueRow<'static>>> {
    let source = Source::records(Noun::Queue, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Listing<QueueRow<'static>>> {
    params.feed(Noun::Queue, &call).map(Live::from)
}

/// `accept_redelivery` concerns brokers where looking has a price; on Redis it has none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Messages {
    queue: String,
    environment: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    full: bool,
    #[serde(default, rename = "accept_redelivery")]
    _accept_redelivery: bool,
}

#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "MessageList")]
struct Page {
    rows: Vec<Row>,
    total: u64,
    /// `false` where a bound in bytes ended the page before its limit.
    exact: bool,
}

/// One message, as `queue/messages` shows it.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "QueuedMessage")]
struct Row {
    key: String,
    position: u64,
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kwargs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kwargs_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kwargs_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    retries: u64,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecodable: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

async fn messages(params: Messages, call: Call) -> Result<Page> {
    let environment = call.environment(params.environment.as_deref())?;
    let _lease = environment.lease(&[Need::Queues]);
    let limit = bounds::limit(params.limit)?;
    environment.fresh(&[Look::Names]).await?;
    let peek = environment.peek(&params.queue, params.offset, limit).await?;
    let read = peek.messages.len();
    let mut taken = HashSet::new();
    let rows = peek.messages.into_iter().enumerate().map(|(at, (step, raw))| {
        let position = (params.offset + at) as u64;
        let mut row = row(TaskMessage::from_element(&raw), position, step, params.full);
        // A tag that stands twice in a queue is no key for the second.
        if !taken.insert(row.key.clone()) {
            row.key = format!("{}#{position}", row.key);
        }
        row
    });
    Ok(Page { rows: rows.collect(), total: peek.total, exact: !peek.cut || read == limit })
}

fn row(message: TaskMessage, position: u64, priority: u8, full: bool) -> Row {
    let (args_json, args_bytes) = bounded(message.args_json, full);
    let (kwargs_json, kwargs_bytes) = bounded(message.kwargs_json, full);
    Row {
        key: message.delivery_tag.clone().unwrap_or_else(|| format!("#{position}")),
        position,
        priority,
        delivery_tag: message.delivery_tag,
        uuid: named(message.uuid),
        name: named(message.name),
        args: message.args,
        kwargs: message.kwargs,
        args_json,
        kwargs_json,
        args_bytes,
        kwargs_bytes,
        eta: message.eta,
        expires: message.expires,
        retries: message.retries,
        bytes: message.bytes,
        undecodable: message.undecodable,
        warnings: message.poison,
    }
}

fn named(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn bounded(text: Option<String>, full: bool) -> (Option<String>, Option<usize>) {
    match text {
        Some(text) if !full && text.len() > CUT => (None, Some(text.len())),
        text => (text, None),
    }
}
