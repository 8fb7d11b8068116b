//! The reply list: where workers `LPUSH` their answers to remote control (reference 4.2, way 2).
//! The only thing of ours that a broker ever holds.

use super::super::url::Server;
use super::client::{self, broken};
use super::keys::Layout;
use crate::error::Result;
use ::redis::aio::MultiplexedConnection;
use std::time::Duration;
use tokio::time::timeout;

/// What we leave for answers that are still out expires after this many seconds.
const EXPIRES: u32 = 3600;

/// Our list, and the connection that waits on it.
#[derive(Debug)]
pub(super) struct Replies {
    server: Server,
    list: String,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
}

impl Replies {
    /// Nothing is contacted. The name says whose it is (F16).
    pub fn new(server: Server) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let random = uuid::Uuid::new_v4().simple();
        let list = format!("lazycelery.{host}.{}.{random}.reply", std::process::id());
        Replies { server, list, connection: tokio::sync::Mutex::default() }
    }

    /// Its name, without prefix.
    pub fn list(&self) -> &str {
        &self.list
    }

    /// Waits for one reply, at most `wait`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn next(&self, layout: &Layout, wait: Duration) -> Result<Option<Vec<u8>>> {
        let mut held = self.connection.lock().await;
        let mut pop = ::redis::cmd("BRPOP");
        pop.arg(layout.key(&self.list)).arg(wait.as_secs_f64());
        // Until it is answered the connection is nobody's: an abandoned wait may hold an answer.
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => client::blocking(&self.server).await?,
        };
        let popped = timeout(wait + client::PATIENCE, pop.query_async(&mut connection)).await;
        let popped: Option<(String, Vec<u8>)> = match popped {
            Ok(popped) => popped.map_err(|error| broken("BRPOP", &error))?,
            Err(_) => return Err(client::silent("BRPOP")),
        };
        *held = Some(connection);
        Ok(popped.map(|(_, raw)| raw))
    }
}

/// Removes a reply list. Where answers are out, what a late `LPUSH` would create again is put there
/// now, with a time to live: `LPUSH` keeps it.
///
/// # Errors
/// [`crate::Error::Broker`].
pub(super) async fn close(
    key: &str,
    commands: &mut MultiplexedConnection,
    outstanding: bool,
) -> Result<()> {
    let mut leave = ::redis::pipe();
    leave.cmd("DEL").arg(key).ignore();
    if outstanding {
        leave.cmd("RPUSH").arg(key).arg("x").ignore();
        leave.cmd("EXPIRE").arg(key).arg(EXPIRES).ignore();
    }
    leave.query_async(commands).await.map_err(|error| broken("leaving", &error))
}
