//! What workers were told not to run is told again to whoever comes up, for as long as workers remember
//! it and this program runs.

use super::{BATCH, Revoke, timeout};
use crate::environment::act::Action;
use crate::environment::act::audit::Entry;
use crate::environment::{Environment, Need};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long workers remember, and how many (`celery/worker/state.py`).
const REMEMBERED: Duration = Duration::from_secs(10_800);
const REMEMBERED_IDS: usize = 50_000;

/// What workers that come up are still to be told.
#[derive(Debug, Default)]
pub(in crate::environment) struct Remembered(Mutex<VecDeque<(Instant, String)>>);

impl Remembered {
    fn add(&self, ids: &[String], now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(ids.iter().map(|id| (now, id.clone())));
        let surplus = known.len().saturating_sub(REMEMBERED_IDS);
        known.drain(..surplus);
    }

    fn ids(&self, now: Instant) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, _)| now.duration_since(*at) < REMEMBERED);
        known.iter().map(|(_, id)| id.clone()).collect()
    }
}

impl Environment {
    /// Whoever comes up while workers remember these is told, too: until then the environment stays
    /// connected.
    pub(super) fn remember_revoked(&self, ids: &[String]) {
        self.0.revoked.add(ids, Instant::now());
        let lease = self.lease(&[Need::Presence]);
        tokio::spawn(async move {
            tokio::time::sleep(REMEMBERED).await;
            drop(lease);
        });
    }

    /// Tells a worker that came up what others were told; not what ended since, over whose result an
    /// older worker would write (reference 6). That it is revoked is no end: workers of Celery 5.6 and
    /// later store that at once, and its message may wait still.
    pub(in crate::environment) async fn revoke_again(&self, hostname: &str) {
        let mut ids = self.0.revoked.ids(Instant::now());
        self.read(|state| ids.retain(|id| !state.is_over(id) || state.is_revoked(id)));
        if ids.is_empty() {
            return;
        }
        let arguments = json!({ "again": hostname, "uuids": ids });
        let entry = Entry::without_job(self.name(), "lazycelery", Revoke::METHOD, arguments);
        if let Err(error) = entry.intent().await {
            tracing::error!(%error, hostname, "nothing was revoked again: it cannot be audited");
            return;
        }
        for batch in ids.chunks(BATCH) {
            let request = super::request(batch, None, Some(vec![hostname.to_owned()]));
            if let Err(error) = self.ask(request, timeout(batch)).await {
                tracing::warn!(%error, hostname, "a worker that came up could not be told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_in_time_and_number() {
        let (remembered, start) = (Remembered::default(), Instant::now());
        remembered.add(&["a".into()], start);
        remembered.add(&["b".into()], start + Duration::from_secs(60));
        assert_eq!(remembered.ids(start + Duration::from_secs(10)), ["a", "b"]);
        assert_eq!(remembered.ids(start + REMEMBERED), ["b"]);
        let many: Vec<String> = (0..REMEMBERED_IDS + 5).map(|n| n.to_string()).collect();
        remembered.add(&many, start + REMEMBERED);
        let ids = remembered.ids(start + REMEMBERED);
        assert_eq!((ids.len(), ids[0].as_str()), (REMEMBERED_IDS, "5"));
    }
}
