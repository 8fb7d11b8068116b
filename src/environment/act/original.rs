//! What is known of a task that another one is to be sent in place of.

use crate::celery::TaskMessage;
use crate::celery::send::{Body, Sending};
use crate::environment::Environment;
use crate::environment::queues::LOOK_BYTES;
use crate::error::Result;
use crate::json;
use crate::message::Message;
use crate::state::{Place, Source};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What may follow a task.
pub(super) const LINKS: [&str; 4] = ["callbacks", "errbacks", "chain", "chord"];

/// As the state knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Original {
    pub name: Option<String>,
    pub state: String,
    pub place: Option<Place>,
    pub worker: Option<String>,
    pub queue: Option<String>,
    pub root_id: Option<String>,
    pub group_id: Option<String>,
    /// As others see its arguments; not our own cut of them.
    pub argsrepr: Option<String>,
    pub kwargsrepr: Option<String>,
    /// Exact, and where from.
    pub args: Option<(String, Option<Source>)>,
    pub kwargs: Option<String>,
    /// A result is stored that is too large to be read with many others, and may name them.
    pub is_unread: bool,
    pub eta: Option<f64>,
    pub expires: Option<f64>,
    pub priority: Option<i64>,
    /// The text of its message's headers, where that was seen.
    pub headers: Option<String>,
    /// The newest that was sent in its place.
    pub retried_as: Option<String>,
    /// What follows it, where its message was seen: none, or the text.
    pub links: Option<Option<String>>,
}

impl Original {
    /// What binds it to its time and its workflow; `unknown` where its message, which took the links
    /// with it, was never seen.
    pub fn ties(&self, links: Option<Option<&str>>) -> Vec<&'static str> {
        let mut ties = Vec::new();
        ties.extend(self.expires.map(|_| "expires"));
        ties.extend(self.group_id.as_ref().map(|_| "group"));
        match links {
            None => ties.push("unknown"),
            Some(links) => {
                let links = links.unwrap_or_default();
                ties.extend(LINKS.into_iter().filter(|name| link(links, name).is_some()));
            }
        }
        ties
    }
}

/// What stands in a message's links under a name.
pub(super) fn link<'text>(links: &'text str, name: &str) -> Option<&'text str> {
    let members = json::members(links).unwrap_or_default();
    let found = members.into_iter().rev().find(|(known, _)| known == name);
    found.map(|(_, link)| link).filter(|link| !matches!(*link, "null" | "[]"))
}

/// Takes over what a message says beside its arguments, where nothing was given.
pub(super) fn take_options(task: &mut Sending, headers_json: &str) {
    let Ok(Value::Object(headers)) = json::value(headers_json.as_bytes()) else { return };
    let text = |name: &str| headers.get(name).and_then(Value::as_str).map(str::to_owned);
    if text("task").is_none_or(|name| name == task.name) {
        task.shadow = task.shadow.take().or_else(|| text("shadow"));
    }
    let ignored = || headers.get("ignore_result").and_then(Value::as_bool);
    task.ignore_result = task.ignore_result.or_else(ignored);
    let limits = headers.get("timelimit").and_then(Value::as_array).map(Vec::as_slice);
    if let (Some([hard, soft]), [Value::Null, Value::Null]) = (limits, &task.timelimit) {
        task.timelimit = [hard.clone(), soft.clone()];
    }
}

/// A task's message in the hands of a worker.
#[derive(Debug, Clone)]
pub(super) struct Held {
    message: Message,
    pub task: TaskMessage,
}

impl Held {
    /// The body of a message that is no JSON, as it is.
    pub fn verbatim(&self) -> Option<Body> {
        let Message { content_encoding, body, headers, .. } = &self.message;
        self.task.args_json.is_none().then(|| Body::Verbatim {
            bytes: body.bytes.clone(),
            content_type: body.content_type.clone(),
            content_encoding: content_encoding.clone(),
            // What could not be undone still stands.
            compression: headers
                .get("compression")
                .filter(|_| body.undecodable.is_some())
                .and_then(|name| name.as_str().map(str::to_owned)),
        })
    }
}

impl Environment {
    /// A task as the state knows it now.
    pub(super) fn original(&self, uuid: &str) -> Option<Original> {
        self.read(|state| {
            state.task(uuid, true, |task| {
                let own = |text: Option<&str>| text.map(str::to_owned);
                // A repr of ours is cut by another sign than Celery's, and made of the JSON itself.
                let repr = |repr: Option<&str>, json: Option<&str>| {
                    let celery = |repr: &&str| Some(*repr) != json && !repr.ends_with('…');
                    own(repr.filter(celery))
                };
                let row = &task.row;
                let exact = task.args_json.map(str::to_owned);
                Original {
                    name: own(row.name),
                    state: row.state.into(),
                    place: row.place,
                    worker: own(row.worker),
                    queue: own(row.queue),
                    root_id: own(row.root_id),
                    group_id: own(row.group_id),
                    argsrepr: repr(row.args, task.args_json),
                    kwargsrepr: repr(row.kwargs, task.kwargs_json),
                    args: exact.map(|args| (args, task.sources.get("args_json").copied())),
                    kwargs: own(task.kwargs_json),
                    is_unread: task.args_json.is_none() && task.result_bytes.is_some(),
                    eta: row.eta,
                    expires: row.expires,
                    priority: task.priority,
                    headers: own(task.message.as_ref().map(|message| message.headers_json)),
                    retried_as: own(row.retried_as),
                    links: task.message.as_ref().map(|message| {
                        own(Some(message.links_json).filter(|links| !links.is_empty()))
                    }),
                }
            })
        })
    }

    /// The messages of those of these tasks that run, as far as they can be found among what workers
    /// hold.
    pub(super) async fn held(&self, uuids: &[String]) -> Result<HashMap<String, Held>> {
        let runs = |uuid: &&String| self.read(|state| state.is_at(uuid, Place::Active));
        let running: HashSet<&str> = uuids.iter().filter(runs).map(String::as_str).collect();
        if running.is_empty() {
            return Ok(HashMap::new());
        }
        let connection = self.connection().await?;
        let look = connection.broker.unacked(&HashSet::new(), LOOK_BYTES).await?;
        let held = look.new.into_iter().filter_map(|held| {
            let task = TaskMessage::from_element(&held.raw);
            let message = Message::from_envelope(&held.raw).ok()?;
            let uuid = running.get(task.uuid.as_str())?;
            Some(((*uuid).to_owned(), Held { message, task }))
        });
        Ok(held.collect())
    }
}
