//! Live feeds: a query and an interval. When something changed, a feed waits out its interval,
//! re-runs its own query and sends its own difference; the next is computed only after the one
//! before was written.

use super::delta::{Delta, Sent};
use super::moves::Move;
use super::source::Source;
use super::typed::{Row, Typed};
use crate::environment::Lease;
use crate::error::{Error, Result};
use crate::server::{Answered, Session, Written};
use crate::state::filter::Hint;
use crate::state::{Page, Query};
use futures_util::future::select_all;
use jsonrpsee::core::server::SubscriptionSink;
use jsonrpsee::types::{ErrorObjectOwned, SubscriptionId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Rows that one notification carries at most.
const ROWS: usize = 500;

/// Of a core, a feed spends at most this share: after work that took t it rests this many t.
const REST: u32 = 9;

/// The interval where the client names none, and the shortest.
const INTERVAL: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// What a feed shows; replaced whole by `subscription/update`.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub source: Source,
    pub query: Query,
    pub interval: Duration,
    pub paused: bool,
    /// The client takes moves in place of all keys.
    pub moves: bool,
    /// The call that asked for it is answered first.
    pub after: Answered,
}

/// The details of one thing, read anew when something changed.
pub(super) type Details = Box<dyn Fn() -> Result<Value> + Send + Sync>;

/// A subscription on its way.
pub(super) enum Feed {
    /// Rows of one filter, sort and window.
    Rows(Box<View>),
    /// The details of one thing.
    Watch {
        /// Reads them.
        details: Details,
        /// What goes up when they could have changed.
        revisions: Vec<watch::Receiver<u64>>,
        /// Keeps them looked at.
        leases: Vec<Lease>,
        /// The shortest time between two notifications.
        interval: Duration,
    },
}

/// A feed whose notifications carry an `N`, for the document of the protocol.
pub(super) struct Live<N>(pub Feed, pub PhantomData<fn() -> N>);

impl<N> From<Feed> for Live<N> {
    fn from(feed: Feed) -> Self {
        Live(feed, PhantomData)
    }
}

/// The feed of a list of `T`.
pub(super) type Listing<T> = Live<Changed<'static, Row<T>>>;

/// The live feeds of one session, for `subscription/update`.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<HashMap<u64, watch::Sender<View>>>);

impl Feeds {
    /// Changes a feed in place.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where there is no such subscription, or it shows details; what
    /// `change` says otherwise, and then nothing is changed.
    pub fn update(&self, id: u64, change: impl FnOnce(View) -> Result<View>) -> Result<()> {
        let feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(feed) = feeds.get(&id) else {
            return Err(Error::InvalidParams(format!("no subscription {id} that can be updated")));
        };
        let changed = change(feed.borrow().clone())?;
        feed.send_replace(changed);
        Ok(())
    }

    fn add(&self, id: u64, view: View) -> watch::Receiver<View> {
        let (sender, receiver) = watch::channel(view);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        receiver
    }

    fn remove(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Seconds between two notifications, within their bounds.
///
/// # Errors
/// [`Error::InvalidParams`] where it is no length of time.
pub(super) fn interval(seconds: Option<f64>) -> Result<Duration> {
    let Some(seconds) = seconds else { return Ok(INTERVAL) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(interval) => Ok(interval.clamp(SHORTEST, LONGEST)),
        Err(_) => Err(Error::InvalidParams(format!("`interval` is seconds, not {seconds}"))),
    }
}

/// Runs a feed until the client or the session ends it.
pub(super) async fn run(feed: Feed, sink: &SubscriptionSink, written: Written, session: &Session) {
    let mut out = Out { sink, written, sent: 0 };
    match feed {
        Feed::Rows(view) => {
            let id = number(&sink.subscription_id());
            let feeds = session.slot::<Feeds>();
            let view = feeds.add(id, *view);
            rows(view, &mut out).await;
            feeds.remove(id);
        }
        Feed::Watch { details, revisions, leases, interval } => {
            details_of(details, revisions, interval, &mut out).await;
            drop(leases);
        }
    }
}

fn number(id: &SubscriptionId<'_>) -> u64 {
    match id {
        SubscriptionId::Num(number) => *number,
        SubscriptionId::Str(_) => 0,
    }
}

/// Where notifications go.
struct Out<'a> {
    sink: &'a SubscriptionSink,
    written: Written,
    sent: u64,
}

impl Out<'_> {
    /// Sends one notification and waits until it was written; `false` ends the feed.
    async fn send(&mut self, content: &impl Serialize) -> bool {
        let Ok(json) = to_raw_value(content) else { return false };
        self.raw(json).await
    }

    async fn raw(&mut self, json: Box<RawValue>) -> bool {
        if self.sink.send(json).await.is_err() {
            return false;
        }
        self.sent += 1;
        self.written.reaches(self.sent).await
    }
}

/// What changed in a window; the first one carries everything.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Change")]
pub(super) struct Changed<'a, T> {
    /// New or changed, whole.
    rows: Vec<Typed<T>>,
    /// Every key in order, where order or membership changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<&'a [String]>,
    /// In place of `keys`, where the client asked for it: how the order changed, from the first
    /// place to the last, places being those of the order before.
    #[serde(skip_serializing_if = "Option::is_none")]
    moves: Option<&'a [Move]>,
    total: u64,
    exact: bool,
    /// Rows that lack a field the filter asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    undecided: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hints: &'a [Hint],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    incomplete: &'a [&'static str],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

async fn rows(mut views: watch::Receiver<View>, out: &mut Out<'_>) {
    let mut sent = Sent::default();
    let mut told = Vec::new();
    let mut view = views.borrow_and_update().clone();
    let mut lease = view.source.follow();
    loop {
        // New ones, so what is read below is at least as new as they.
        let revisions = view.source.revisions();
        if lease.len() != view.source.environments().len() {
            lease = renewed(lease, &view);
        }
        let began = Instant::now();
        if !view.paused {
            let incomplete = view.source.incomplete();
            let Ok(page) = view.source.page(&view.query) else { return };
            if incomplete != told {
                sent.reframed();
            }
            if let Some(delta) = sent.advance(&page, view.moves)
                && !send(&view, &page, &delta, &incomplete, out).await
            {
                return;
            }
            told = incomplete;
        }
        let rest = view.interval.max(began.elapsed() * REST);
        tokio::select! {
            () = out.sink.closed() => return,
            changed = views.changed() => {
                if changed.is_err() {
                    return;
                }
                view = views.borrow_and_update().clone();
                view.after.wait().await;
                lease = renewed(lease, &view);
                sent.reframed();
                continue;
            }
            () = pause(revisions, rest) => {}
        }
    }
}

/// The new leases are taken before the old ones go: nothing disconnects between them.
fn renewed(old: Vec<Lease>, view: &View) -> Vec<Lease> {
    let new = view.source.follow();
    drop(old);
    new
}

/// Waits until something changed, and out the rest of the interval.
async fn pause(mut revisions: Vec<watch::Receiver<u64>>, rest: Duration) {
    tokio::time::sleep(rest).await;
    if revisions.is_empty() {
        return std::future::pending().await;
    }
    let changes = revisions.iter_mut().map(|revision| {
        Box::pin(async move {
            if revision.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }) as Pin<Box<dyn Future<Output = ()> + Send + '_>>
    });
    select_all(changes).await;
}

/// Sends one difference, at most [`ROWS`] rows at a time.
async fn send(
    view: &View,
    page: &Page,
    delta: &Delta,
    incomplete: &[&'static str],
    out: &mut Out<'_>,
) -> bool {
    let mut chunks = delta.rows.chunks(ROWS).peekable();
    let (mut keys, mut moves) = (delta.keys.as_deref(), delta.moves.as_deref());
    let hints = view.source.hints(&view.query, page);
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let notification = Changed::<()> {
            rows: chunk.iter().filter_map(|key| view.source.row(key).map(Typed::from)).collect(),
            keys: keys.take(),
            moves: moves.take(),
            total: page.total,
            exact: page.exact,
            undecided: NonZeroU64::new(page.undecided),
            hints: &hints,
            incomplete,
            more: chunks.peek().is_some(),
        };
        if !out.send(&notification).await {
            return false;
        }
        if chunks.peek().is_none() {
            return true;
        }
    }
}

/// The details of one thing, whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Whole")]
pub(super) struct Whole<'a, T> {
    row: &'a Typed<T>,
}

async fn details_of(
    details: Details,
    mut revisions: Vec<watch::Receiver<u64>>,
    interval: Duration,
    out: &mut Out<'_>,
) {
    let mut last = None;
    loop {
        for revision in &mut revisions {
            revision.borrow_and_update();
        }
        let began = Instant::now();
        match details() {
            Ok(row) => {
                let row = Typed::<()>::from(row);
                if last.as_ref() != Some(&row) && !out.send(&Whole { row: &row }).await {
                    return;
                }
                last = Some(row);
            }
            // It is gone (evicted, purged): what was last known stays with the client.
            Err(error) => tracing::debug!(error = %ErrorObjectOwned::from(error), "no details"),
        }
        let rest = interval.max(began.elapsed() * REST);
        tokio::select! {
            () = out.sink.closed() => return,
            () = pause(revisions.clone(), rest) => {}
        }
    }
}
