//! LazyCelery watches Celery clusters and serves what it learns over JSON-RPC 2.0.
//!
//! One trip through the code: a worker publishes an event → [`broker`] reads the bytes into a
//! [`message::Message`] → [`celery`] decodes it → [`environment`] wraps it in an
//! [`state::Observation`] → [`state::State::apply`] merges it → every live feed in [`rpc`] re-runs
//! its own query and sends its own difference → [`server`] writes it to the client.
//!
//! The layer rule, kept by `tests/tidy.rs`: a module imports only from the modules to its left.
//!
//! `error json message` ← `celery` ← `broker backend state config` ← `environment` ← `rpc`, with
//! `server` beside them all: it knows jsonrpsee and [`error`], and no method's name.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod backend;
pub mod broker;
pub mod celery;
pub mod config;
pub mod environment;
pub mod error;
pub mod json;
pub mod message;
pub mod rpc;
pub mod server;
pub mod state;

pub use error::{Error, Result};
