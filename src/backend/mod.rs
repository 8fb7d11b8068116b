//! Result backends: where Celery stores what became of a task. Reading only.

pub mod redis;

use crate::broker::url::BrokerUrl;
use crate::celery::TaskMeta;
use crate::error::Result;
use async_trait::async_trait;
use std::sync::Arc;

/// A stored result, or the sentence why it could not be read.
pub type Stored = std::result::Result<TaskMeta, String>;

/// A live subscription to results as they are stored. Dropping it ends it.
#[async_trait]
pub trait Stores: Send {
    /// Waits for at least one result and takes what has arrived, at most `limit`.
    ///
    /// # Errors
    /// [`crate::Error::ResultBackend`] once the connection is lost.
    async fn next(&mut self, limit: usize, into: &mut Vec<Stored>) -> Result<()>;
}

/// A result backend, connected.
#[async_trait]
pub trait ResultBackend: Send + Sync + std::fmt::Debug {
    /// `redis`
    fn transport(&self) -> &'static str;

    /// Results of these tasks, in the order asked for; `None` where nothing is stored. Of values above
    /// `cut` bytes only the ends are read: they tell the state and the size, or a sentence does.
    ///
    /// # Errors
    /// [`crate::Error::ResultBackend`].
    async fn get(&self, uuids: &[String], cut: usize) -> Result<Vec<Option<Stored>>>;

    /// One step of a slow walk over what is stored: task ids, and the cursor to go on from (0: through).
    ///
    /// # Errors
    /// [`crate::Error::ResultBackend`].
    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>)>;

    /// Is it there? At most 3 s.
    ///
    /// # Errors
    /// [`crate::Error::ResultBackend`].
    async fn ping(&self) -> Result<()>;

    /// Listens to results as they are stored.
    ///
    /// # Errors
    /// [`crate::Error::ResultBackend`].
    async fn subscribe(&self) -> Result<Box<dyn Stores>>;
}

/// Connects to a result backend by its URL; `keyprefix` is `global_keyprefix` of
/// `result_backend_transport_options`.
///
/// # Errors
/// [`crate::Error::Config`], [`crate::Error::Unsupported`], [`crate::Error::ResultBackend`].
pub async fn connect(url: &BrokerUrl, keyprefix: &str) -> Result<Arc<dyn ResultBackend>> {
    redis::connect(url, keyprefix).await
}
