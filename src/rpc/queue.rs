//! `queue/*`

use super::acting::{self, Done, How, Token};
use super::bounds;
use super::call::Call;
use super::feed::{Listing, Live};
use super::list::{self, List, Rows};
use super::source::Source;
use super::subscription::Subscribe;
use super::table::Table;
use crate::celery::TaskMessage;
use crate::environment::act::queue::moving::MovedAll;
use crate::environment::act::queue::pick::{Picked, Selection};
use crate::environment::act::queue::purge::Purged;
use crate::environment::act::queue::restore::Restored;
use crate::environment::{self, Look, Need, act};
use crate::error::Result;
use crate::state::{Noun, QueueRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

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
    table.method(
        "queue/purge",
        "Removes all that waits in a queue, saved first",
        &["queue"],
        purge,
    );
    table.method(
        "queue/delete_messages",
        "Removes messages from a queue, saved first",
        &["queue"],
        delete,
    );
    table.method(
        "queue/move_messages",
        "Puts messages into another queue, saved first",
        &["queue", "to"],
        relocate,
    );
    table.method(
        "queue/move",
        "Puts all that waits in a queue into another one, saved first",
        &["queue", "to"],
        move_all,
    );
    table.method(
        "queue/restore",
        "Puts back what a purge, a deletion or a move removed",
        &["saved_as"],
        restore,
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
    let mut keys = Keys::default();
    let rows = peek.messages.into_iter().enumerate().map(|(at, (step, raw))| {
        let position = (params.offset + at) as u64;
        let message = TaskMessage::from_element(&raw);
        let key = keys.next(&message, &raw);
        row(key, message, position, step, params.full)
    });
    Ok(Page { rows: rows.collect(), total: peek.total, exact: !peek.cut || read == limit })
}

/// Names for the messages of a page, each one's own. Of equal messages the second is always `#2`, wherever
/// it stands: names stay as the queue moves on.
#[derive(Default)]
struct Keys(HashMap<String, usize>);

impl Keys {
    fn next(&mut self, message: &TaskMessage, raw: &[u8]) -> String {
        let key = environment::message_key(message, raw);
        let mut seen = self.count(&key);
        if seen == 1 {
            return key;
        }
        // A tag that stands twice is no name for the second; neither are bytes that do.
        let bytes = environment::fingerprint(raw);
        if bytes != key {
            seen = self.count(&bytes);
        }
        if seen == 1 { bytes } else { format!("{bytes}#{seen}") }
    }

    fn count(&mut self, key: &str) -> usize {
        let seen = self.0.entry(key.to_owned()).or_default();
        *seen += 1;
        *seen
    }
}

fn row(key: String, message: TaskMessage, position: u64, priority: u8, full: bool) -> Row {
    let (args_json, args_bytes) = bounded(message.args_json, full);
    let (kwargs_json, kwargs_bytes) = bounded(message.kwargs_json, full);
    Row {
        key,
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Purge {
    queue: String,
    environment: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// Messages a second at most.
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
    #[serde(default)]
    accept_blocking: bool,
}

async fn purge(params: Purge, call: Call) -> Result<Done<Purged>> {
    let Purge { queue, accept_blocking, .. } = params;
    let action = act::queue::purge::Purge { queue, accept_blocking };
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    queue: String,
    environment: Option<String>,
    uuids: Option<Vec<String>>,
    /// As `queue/messages` tells them.
    keys: Option<Vec<String>>,
    #[serde(default)]
    dry_run: bool,
    /// Messages a second at most.
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
    #[serde(default)]
    accept_blocking: bool,
}

async fn delete(params: Delete, call: Call) -> Result<Done<Picked>> {
    let names = names(params.uuids, params.keys)?;
    let Delete { queue, accept_blocking, .. } = params;
    let action = act::queue::delete::Delete(Selection { queue, names, accept_blocking });
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    queue: String,
    to: String,
    environment: Option<String>,
    uuids: Option<Vec<String>>,
    /// As `queue/messages` tells them.
    keys: Option<Vec<String>>,
    #[serde(default)]
    dry_run: bool,
    /// Messages a second at most.
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
    #[serde(default)]
    accept_blocking: bool,
}

async fn relocate(params: Move, call: Call) -> Result<Done<Picked>> {
    let names = names(params.uuids, params.keys)?;
    let Move { queue, to, accept_blocking, .. } = params;
    let selection = Selection { queue, names, accept_blocking };
    let action = act::queue::moving::Move { selection, to };
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MoveAll {
    queue: String,
    to: String,
    environment: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// Messages a second at most.
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
    #[serde(default)]
    accept_blocking: bool,
}

async fn move_all(params: MoveAll, call: Call) -> Result<Done<MovedAll>> {
    let MoveAll { queue, to, accept_blocking, .. } = params;
    let action = act::queue::moving::MoveAll { queue, to, accept_blocking };
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Restore {
    /// The file's path, as the action that removed them answered it.
    saved_as: String,
    environment: Option<String>,
    /// Only these; else all.
    uuids: Option<Vec<String>>,
    keys: Option<Vec<String>>,
    /// Into this queue; else to where they came from.
    to: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// Messages a second at most.
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
    #[serde(default)]
    accept_blocking: bool,
}

async fn restore(params: Restore, call: Call) -> Result<Done<Restored>> {
    let some = params.uuids.is_some() || params.keys.is_some();
    let names = if some { names(params.uuids, params.keys)? } else { Vec::new() };
    let Restore { saved_as, to, accept_blocking, .. } = params;
    let action = act::queue::restore::Restore { saved_as, names, to, accept_blocking };
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

/// By uuid or by key, each once: an empty list means nothing, so it is none of "all".
fn names(uuids: Option<Vec<String>>, keys: Option<Vec<String>>) -> Result<Vec<String>> {
    let mut names: Vec<String> = uuids.into_iter().chain(keys).flatten().collect();
    let mut met = HashSet::new();
    names.retain(|name| met.insert(name.clone()));
    if names.is_empty() {
        return Call::invalid("name messages by `uuids` or `keys`");
    }
    Ok(names)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(raws: &[&[u8]]) -> Vec<String> {
        let mut keys = Keys::default();
        raws.iter().map(|raw| keys.next(&TaskMessage::from_element(raw), raw)).collect()
    }

    #[test]
    fn equal_messages_are_numbered_and_keep_their_names_as_the_queue_moves_on() {
        let (same, other) = (&b"{\"order\": 5}"[..], &b"no json"[..]);
        let bytes = environment::fingerprint(same);
        let [second, third] = [2, 3].map(|number| format!("{bytes}#{number}"));
        let last = environment::fingerprint(other);
        assert_eq!(keys(&[same, same, same, other]), [&*bytes, &*second, &*third, &*last]);
        assert_eq!(keys(&[other, same, same]), [&*last, &*bytes, &*second]);
    }

    #[test]
    fn a_tag_that_stands_twice_names_the_first_alone() {
        let tagged = |body: &str| {
            format!(
                r#"{{"body": "{body}", "properties": {{"delivery_tag": "t"}}, "headers": {{}}}}"#
            )
        };
        let (one, two) = (tagged("a"), tagged("b"));
        let other = environment::fingerprint(two.as_bytes());
        let again = format!("{other}#2");
        let raws = [one.as_bytes(), two.as_bytes(), two.as_bytes()];
        assert_eq!(keys(&raws), ["t", &*other, &*again]);
    }
}
