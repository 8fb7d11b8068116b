//! Starts calls: finds the handler in jsonrpsee's method table and runs it to its answer.
//!
//! jsonrpsee hands a subscription's answer out twice, as the callback's value and on the sink, and a
//! handler that drops its pending sink answers by value only. So each subscription gets a channel of
//! its own: its first message is that second copy and is dropped, the others are notifications.

use super::calls::{Reply, Ticket};
use super::message::Call;
use super::note::Notifier;
use super::session::{Answered, SUBSCRIPTIONS, Session, Written};
use crate::error::{Error, Result, nearest};
use futures_util::FutureExt;
use jsonrpsee::core::server::{
    BoundedSubscriptions, Extensions, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionPermit, SubscriptionState,
};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{Id, Params, SubscriptionId};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// A subscription that was accepted and whose answer is on its way.
pub struct Feed {
    /// The number that the client knows.
    pub subscription: u64,
    /// Its notifications, complete messages.
    pub notifications: mpsc::Receiver<Box<RawValue>>,
    /// Told how many of them were written.
    pub written: watch::Sender<u64>,
}

/// What came of a call.
pub struct Outcome {
    /// Which call.
    pub ticket: Ticket,
    /// Its answer; `None`: the handler panicked.
    pub answer: Option<MethodResponse>,
    /// What follows the answer of a subscription.
    pub feed: Option<Feed>,
    /// The subscription that this call ends, and the call's id: only the loop knows whether there
    /// is one, whichever method made it.
    pub ends: Option<(u64, Id<'static>)>,
    /// Told once the answer is on its way.
    pub answered: watch::Sender<bool>,
}

/// One client's way into the method table.
pub struct Starter {
    methods: Methods,
    session: Arc<Session>,
    notifier: Notifier,
    subscriptions: BoundedSubscriptions,
}

/// Everything one run of a handler needs; nothing of it has happened yet.
pub struct Run {
    callback: MethodCallback,
    id: Id<'static>,
    params: Params<'static>,
    session: Arc<Session>,
    notifier: Notifier,
    /// What the number in the parameters, or the new one, is for.
    subscription: Subscription,
}

/// What a call does to subscriptions.
enum Subscription {
    /// Nothing.
    None,
    /// It makes this one, in one of the places that a session has.
    Makes(u64, SubscriptionPermit),
    /// It ends this one.
    Ends(u64),
}

impl Starter {
    /// Serves `methods` to one session, which hears what its calls have to tell by `notifier`.
    pub fn new(methods: Methods, session: Arc<Session>, notifier: Notifier) -> Self {
        let subscriptions = BoundedSubscriptions::new(SUBSCRIPTIONS);
        Starter { methods, session, notifier, subscriptions }
    }

    /// Looks a call over before anything of it happens.
    pub fn prepare(&self, call: &Call, reply: Reply) -> Result<Run> {
        if self.session.is_shut_down() {
            return Err(Error::InvalidRequest("this session was shut down".into()));
        }
        let callback = self.methods.method(&call.method).ok_or_else(|| self.unknown(call))?;
        let params = call.params();
        let subscription = match callback {
            MethodCallback::Sync(_) | MethodCallback::Async(_) => Subscription::None,
            MethodCallback::Subscription(_) => self.new_subscription(call, reply)?,
            MethodCallback::Unsubscription(_) => Subscription::Ends(subscription(&params)?),
        };
        let id = call.id.clone().unwrap_or(Id::Null);
        let (session, notifier) = (Arc::clone(&self.session), self.notifier.clone());
        Ok(Run { callback: callback.clone(), id, params, session, notifier, subscription })
    }

    fn new_subscription(&self, call: &Call, reply: Reply) -> Result<Subscription> {
        match reply {
            Reply::Alone => {}
            Reply::Batch { .. } => {
                return Err(Error::InvalidRequest("a subscription inside a batch".into()));
            }
            Reply::Nowhere => {
                return Err(Error::InvalidRequest("a subscription without an id".into()));
            }
        }
        let permit = self.subscriptions.acquire().ok_or_else(|| Error::Forbidden {
            method: call.method.clone(),
            rule: format!("at most {SUBSCRIPTIONS} subscriptions a session"),
            locked: None,
        })?;
        Ok(Subscription::Makes(self.session.next_subscription(), permit))
    }

    fn unknown(&self, call: &Call) -> Error {
        let nearest = nearest(&call.method, self.methods.method_names()).map(str::to_owned);
        Error::MethodNotFound { method: call.method.clone(), nearest }
    }
}

/// The one parameter of `…/unsubscribe`, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsubscribe {
    subscription: u64,
}

/// `[3]` or `{ "subscription": 3 }`.
fn subscription(params: &Params) -> Result<u64> {
    let read = if params.is_object() {
        params.parse::<Unsubscribe>().map(|params| params.subscription)
    } else {
        params.one::<u64>()
    };
    read.map_err(|_| Error::InvalidParams("expected [3] or {\"subscription\": 3}".into()))
}

impl Run {
    /// Runs the handler. A panic in it ends nothing but this call.
    pub async fn run(self, ticket: Ticket) -> Outcome {
        let (answered, seen) = Answered::channel();
        if let Subscription::Ends(number) = self.subscription {
            let ends = Some((number, self.id));
            return Outcome { ticket, answer: None, feed: None, ends, answered };
        }
        let (answer, feed) = match AssertUnwindSafe(self.call(seen)).catch_unwind().await {
            Ok((answer, feed)) => (Some(answer), feed),
            Err(_) => (None, None),
        };
        Outcome { ticket, answer, feed, ends: None, answered }
    }

    async fn call(self, answered: Answered) -> (MethodResponse, Option<Feed>) {
        let Run { callback, id, params, session, notifier, subscription } = self;
        let connection = session.connection();
        let mut extensions = Extensions::new();
        extensions.insert(session);
        extensions.insert(answered);
        extensions.insert(notifier);
        let answer = match callback {
            MethodCallback::Sync(call) => call(id, params, usize::MAX, extensions),
            MethodCallback::Unsubscription(_) => {
                let error = Error::Internal("the loop ends subscriptions".into());
                MethodResponse::error(id, error)
            }
            MethodCallback::Async(call) => {
                call(id, params, connection, usize::MAX, extensions).await
            }
            MethodCallback::Subscription(call) => {
                let Subscription::Makes(number, subscription_permit) = subscription else {
                    let error = Error::Internal("a subscription without a number".into());
                    return (MethodResponse::error(id, error), None);
                };
                let (sink, mut notifications) = mpsc::channel(1);
                let (written, seen) = Written::channel();
                extensions.insert(seen);
                let number_of = Number(number);
                let state = SubscriptionState {
                    conn_id: connection,
                    id_provider: &number_of,
                    subscription_permit,
                };
                let answer = call(id, params, MethodSink::new(sink), state, extensions).await;
                if !answer.is_subscription() || answer.is_error() {
                    return (answer, None);
                }
                notifications.recv().await;
                return (answer, Some(Feed { subscription: number, notifications, written }));
            }
        };
        (answer, None)
    }
}

/// The number that the loop chose for a subscription.
#[derive(Debug)]
struct Number(u64);

impl IdProvider for Number {
    fn next_id(&self) -> SubscriptionId<'static> {
        self.0.into()
    }
}
