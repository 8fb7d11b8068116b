//! What a session remembers of its client: who it says it is, and which environment its calls mean.

use std::sync::{Mutex, OnceLock, PoisonError};

/// The client of one session, as `initialize` told of it.
#[derive(Debug, Default)]
pub(super) struct Client {
    name: OnceLock<String>,
    environment: Mutex<Option<String>>,
}

impl Client {
    /// Its name: the actor of the audit log.
    pub fn name(&self) -> &str {
        self.name.get().map_or("unnamed", String::as_str)
    }

    /// Learns the name. A second one does not change who the client is.
    pub fn introduce(&self, name: String) {
        let _ = self.name.set(name);
    }

    /// The environment that its calls mean where they name none; `None`: the process's default.
    pub fn environment(&self) -> Option<String> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets that. It is this client's alone: others are not led to another cluster.
    pub fn prefer(&self, environment: String) {
        *self.environment.lock().unwrap_or_else(PoisonError::into_inner) = Some(environment);
    }
}
