//! What a handler is given besides its parameters.

use super::client::Client;
use crate::environment::{Environment, Environments};
use crate::error::{Error, Result};
use crate::server::{Answered, Notifier, Session};
use jsonrpsee::Extensions;
use std::sync::Arc;

/// One call on its way to its handler.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// All environments of this process.
    pub environments: Arc<Environments>,
    /// The client that calls.
    pub session: Arc<Session>,
    /// Whether its answer is on its way.
    pub answered: Answered,
    /// What it may tell besides.
    pub notifier: Notifier,
}

impl Call {
    /// The call that the loop put into jsonrpsee's extensions.
    pub fn of(environments: &Arc<Environments>, extensions: &Extensions) -> Self {
        Call {
            environments: Arc::clone(environments),
            session: Session::of(extensions),
            answered: Answered::of(extensions),
            notifier: Notifier::of(extensions),
        }
    }

    /// What the session remembers of its client.
    pub fn client(&self) -> Arc<Client> {
        self.session.slot()
    }

    /// The environment of that name, or the one that this client's calls mean.
    ///
    /// # Errors
    /// As [`Environments::get`].
    pub fn environment(&self, name: Option<&str>) -> Result<Environment> {
        match name {
            Some(name) => self.environments.get(Some(name)),
            None => self.environments.get(self.client().environment().as_deref()),
        }
    }

    /// A parameter that cannot be.
    pub fn invalid<T>(sentence: impl Into<String>) -> Result<T> {
        Err(Error::InvalidParams(sentence.into()))
    }
}
