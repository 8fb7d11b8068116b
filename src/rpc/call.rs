//! What a handler is given besides its parameters.

use crate::environment::Environments;
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

    /// A parameter that cannot be.
    pub fn invalid<T>(sentence: impl Into<String>) -> Result<T> {
        Err(Error::InvalidParams(sentence.into()))
    }
}
