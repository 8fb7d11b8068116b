//! Notifications on their way through the loop, each only after the one before it was written: a
//! client that reads slowly is told less often, and nothing piles up.

use super::wire::Receipt;
use jsonrpsee::core::server::Extensions;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{mpsc, oneshot};

/// What the loop is to send besides answers.
pub(super) enum Note {
    /// A notification of a feed.
    Fed { subscription: u64, json: Box<RawValue>, receipt: Receipt },
    /// A feed ended by itself.
    Ended { subscription: u64 },
    /// What a call has to tell.
    Told { json: Box<RawValue>, receipt: Receipt },
}

/// What a call may tell its client besides its answer, also after it.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<mpsc::Sender<Note>>);

impl Notifier {
    /// A call's own, from the extensions that its handler was given.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Notifier>().cloned().unwrap_or_default()
    }

    pub(super) fn new(notes: mpsc::Sender<Note>) -> Self {
        Notifier(Some(notes))
    }

    /// Sends one notification and waits until it was written. `false`: nobody will hear it, nor
    /// any other.
    pub async fn tell(&self, method: &str, params: &impl Serialize) -> bool {
        #[derive(Serialize)]
        struct Notification<'a, P> {
            jsonrpc: &'static str,
            method: &'a str,
            params: &'a P,
        }
        let Some(notes) = &self.0 else { return false };
        let Ok(json) = to_raw_value(&Notification { jsonrpc: "2.0", method, params }) else {
            return false;
        };
        let (receipt, written) = oneshot::channel();
        notes.send(Note::Told { json, receipt }).await.is_ok() && written.await.is_ok()
    }
}
