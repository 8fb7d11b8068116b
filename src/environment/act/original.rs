//! What is known of a task that another one is to be sent in place of.

use crate::celery::TaskMessage;
use crate::celery::send::Body;
use crate::environment::Environment;
use crate::environment::queues::LOOK_BYTES;
use crate::error::Result;
use crate::message::Message;
use crate::state::{Place, Source};
use std::collections::HashSet;

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
    pub eta: Option<f64>,
    pub expires: Option<f64>,
    pub priority: Option<i64>,
    /// The text of its message's headers, where that was seen.
    pub headers: Option<String>,
    /// What follows it, where its message was seen: none, or the text.
    pub links: Option<Option<String>>,
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
                    eta: row.eta,
                    expires: row.expires,
                    priority: task.priority,
                    headers: own(task.message.as_ref().map(|message| message.headers_json)),
                    links: task.message.as_ref().map(|message| {
                        own(Some(message.links_json).filter(|links| !links.is_empty()))
                    }),
                }
            })
        })
    }

    /// The message of a task that a worker holds, if it can be found among what workers hold.
    pub(super) async fn held(&self, uuid: &str) -> Result<Option<Held>> {
        let connection = self.connection().await?;
        let look = connection.broker.unacked(&HashSet::new(), LOOK_BYTES).await?;
        Ok(look.new.into_iter().find_map(|held| {
            let task = TaskMessage::from_element(&held.raw);
            let message = Message::from_envelope(&held.raw).ok()?;
            (task.uuid == uuid).then_some(Held { message, task })
        }))
    }
}
