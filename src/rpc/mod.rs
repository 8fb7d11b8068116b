//! The methods and feeds of the protocol (`docs/protocol.md`), one namespace a file.
//!
//! Only this module names methods. A handler parses its parameters, asks an
//! [`crate::environment::Environment`], and shapes the answer; it holds no state but what a session
//! remembers.

mod acting;
mod bounds;
mod call;
mod client;
mod delta;
mod discover;
mod environment;
mod feed;
mod filter;
mod job;
mod lifecycle;
mod list;
mod moves;
mod params;
mod queue;
mod scope;
mod source;
mod subscription;
mod table;
mod task;
mod typed;
mod worker;

use crate::environment::Environments;
use jsonrpsee::core::server::Methods;
use std::sync::Arc;
use table::Table;

/// Every method of the protocol, over these environments.
pub fn methods(environments: Arc<Environments>) -> Methods {
    let mut table = Table::new(environments);
    subscription::register(&mut table);
    environment::register(&mut table);
    worker::register(&mut table);
    task::register(&mut table);
    queue::register(&mut table);
    filter::register(&mut table);
    job::register(&mut table);
    // Last: `initialize` tells all that is registered.
    lifecycle::register(&mut table);
    table.methods()
}
