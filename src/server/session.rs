//! One client: what a session remembers between its calls.
//!
//! The server does not know what is remembered: whoever needs something per client asks for a slot
//! of its own type. Everything in the slots goes when the session goes.

use jsonrpsee::core::server::{ConnectionId, Extensions};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The subscriptions that one session may hold.
pub const SUBSCRIPTIONS: u32 = 256;

/// One client.
pub struct Session {
    /// Tells the subscriptions of different sessions apart in one method table.
    connection: ConnectionId,
    last_subscription: AtomicU64,
    shut_down: AtomicBool,
    input_ended: watch::Sender<bool>,
    slots: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Session {
    /// A client that has said nothing yet.
    pub fn new() -> Arc<Self> {
        static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
        Arc::new(Session {
            connection: ConnectionId(CONNECTIONS.fetch_add(1, Ordering::Relaxed)),
            last_subscription: AtomicU64::new(0),
            shut_down: AtomicBool::new(false),
            input_ended: watch::Sender::new(false),
            slots: Mutex::default(),
        })
    }

    /// The session that a handler is called for; a fresh one where no server called it.
    pub fn of(extensions: &Extensions) -> Arc<Self> {
        extensions.get::<Arc<Session>>().cloned().unwrap_or_else(Session::new)
    }

    /// What this session remembers of type `T`; made on first use.
    pub fn slot<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default());
            Arc::clone(slot)
        };
        // The key is the type, so this cannot fail.
        slot.downcast().unwrap_or_default()
    }

    /// LSP's `shutdown`: calls that follow are refused, `exit` is then a clean one.
    pub fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
    }

    /// Whether [`Session::shut_down`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// Waits until the client says no more: what is not answered [`super::GRACE`] later never is.
    pub async fn input_ends(&self) {
        // The sender lives as long as this.
        let _ = self.input_ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(super) fn end_input(&self) {
        self.input_ended.send_replace(true);
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// 1, 2, 3 …: exact as Lua's numbers, and the same in every run.
    pub(super) fn next_subscription(&self) -> u64 {
        self.last_subscription.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// Whether the answer to a call is on its way to the client: what a call sets going elsewhere can
/// so be told after its answer.
#[derive(Debug, Clone, Default)]
pub struct Answered(Option<watch::Receiver<bool>>);

impl Answered {
    /// A call's own, from the extensions that its handler was given.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Answered>().cloned().unwrap_or_default()
    }

    /// Waits for the answer; no longer once there will be none.
    pub async fn wait(&mut self) {
        if let Some(answered) = &mut self.0 {
            // The loop is gone: nobody is told anything any more.
            let _ = answered.wait_for(|answered| *answered).await;
        }
    }

    pub(super) fn channel() -> (watch::Sender<bool>, Self) {
        let (answered, seen) = watch::channel(false);
        (answered, Answered(Some(seen)))
    }
}

/// How far a subscription's notifications have been written to the client.
///
/// A sink's `send` returns as soon as the notification is queued; a feed that computes its next
/// difference only after [`Written::reaches`] never runs ahead of a client that reads slowly.
#[derive(Debug, Clone)]
pub struct Written(Option<watch::Receiver<u64>>);

impl Written {
    /// A subscription's own, from the extensions that its handler was given.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Written>().cloned().unwrap_or(Written(None))
    }

    /// Waits until `count` notifications of this subscription were written. `false`: the
    /// subscription or the session ended first. Without a server nobody writes: `true` at once.
    pub async fn reaches(&mut self, count: u64) -> bool {
        match &mut self.0 {
            Some(written) => written.wait_for(|written| *written >= count).await.is_ok(),
            None => true,
        }
    }

    pub(super) fn channel() -> (watch::Sender<u64>, Self) {
        let (written, seen) = watch::channel(0);
        (written, Written(Some(seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_value_per_session_and_type() {
        let (one, other) = (Session::new(), Session::new());
        one.slot::<AtomicU64>().store(7, Ordering::Relaxed);
        assert_eq!(one.slot::<AtomicU64>().load(Ordering::Relaxed), 7);
        assert_eq!(other.slot::<AtomicU64>().load(Ordering::Relaxed), 0);
        assert!(!one.slot::<AtomicBool>().load(Ordering::Relaxed));
        assert_ne!(one.connection(), other.connection());
    }
}
