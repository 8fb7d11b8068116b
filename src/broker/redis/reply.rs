//! The reply list: where workers `LPUSH` their answers to remote control (reference 4.2, way 2).
//! The only thing of ours that a broker ever holds.

use super::super::Unread;
use super::super::url::Server;
use super::client::{self, broken};
use super::keys::Layout;
use super::line::{Frame, Line};
use crate::error::{Error, Result};
use crate::message::Message;
use ::redis::RedisResult;
use ::redis::aio::MultiplexedConnection;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};
use std::time::Duration;
use tokio::time::timeout;

/// What we leave for answers that are still out expires after this many seconds.
const EXPIRES: u32 = 3600;

/// Reads of one list that may wait at once: the last one, and those of lines that were cut.
const READS: usize = 8;

/// What `TTL` answers of a key that does not expire.
const FOR_EVER: i64 = -1;

/// Our list, and the line that waits on it.
#[derive(Debug)]
pub(super) struct Replies {
    server: Server,
    list: String,
    line: tokio::sync::Mutex<Option<Line>>,
}

impl Replies {
    /// Nothing is contacted. The name says whose it is (F16).
    pub fn new(server: Server) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let random = uuid::Uuid::new_v4().simple();
        let list = format!("lazycelery.{host}.{}.{random}.reply", std::process::id());
        Replies { server, list, line: tokio::sync::Mutex::default() }
    }

    /// Its name, without prefix.
    pub fn list(&self) -> &str {
        &self.list
    }

    /// Waits for one reply, at most `wait`.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn next(
        &self,
        layout: &Layout,
        wait: Duration,
    ) -> Result<Option<Result<Message, Unread>>> {
        let mut held = self.line.lock().await;
        let list = layout.key(&self.list);
        // Until it is answered the line is nobody's: an abandoned wait may hold an answer.
        let mut line = match held.take() {
            Some(line) => line,
            None => match timeout(client::PATIENCE, self.connect()).await {
                Ok(line) => line?,
                Err(_) => return Err(client::silent("connect")),
            },
        };
        let seconds = wait.as_secs_f64().to_string();
        let pop = [b"BRPOP".as_slice(), list.as_bytes(), seconds.as_bytes()];
        let popped = match timeout(wait + client::PATIENCE, line.ask(&pop)).await {
            Ok(popped) => popped?,
            Err(_) => return Err(client::silent("BRPOP")),
        };
        *held = Some(line);
        Ok(match popped {
            Frame::TooLarge(_, cut) => Some(Err(Unread::TooLarge(cut))),
            Frame::Whole(BytesFrame::Array(parts)) => {
                parts.last().and_then(BytesFrame::as_bytes).map(|raw| {
                    Message::from_envelope(raw).map_err(|error| Unread::Odd(error.to_string()))
                })
            }
            Frame::Whole(_) => None,
        })
    }

    async fn connect(&self) -> Result<Line> {
        let mut line = Line::connect(&self.server, "BRPOP").await?;
        line.ask(&[b"SELECT", self.server.db().to_string().as_bytes()]).await?;
        Ok(line)
    }

    /// Asks by a command that writes nothing and that a full Redis refuses like any that might.
    ///
    /// # Errors
    /// [`Error::Broker`] where it is full, or lost.
    pub async fn can_be_stored(
        &self,
        layout: &Layout,
        commands: &mut MultiplexedConnection,
    ) -> Result<()> {
        let mut push = ::redis::cmd("LPUSHX");
        push.arg(layout.key(&self.list)).arg("x");
        let pushed: RedisResult<()> = push.query_async(commands).await;
        match pushed {
            Err(error) if error.code() == Some("OOM") => {
                let reason = client::reason(&error);
                let reason = format!("{reason} (a worker that cannot store its answer would end)");
                Err(Error::Broker { operation: "remote control".into(), reason })
            }
            Err(error) if error.is_io_error() => Err(broken("LPUSHX", &error)),
            // It may be forbidden (F26), or refused by a replica, where nobody hears us (F07).
            _ => Ok(()),
        }
    }

    /// Removes the list. Where an answer is owed, what a late `LPUSH` would create again is put
    /// there now, with a time to live: `LPUSH` keeps it. `commands` may be lost already.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn close(
        &self,
        layout: &Layout,
        commands: &mut MultiplexedConnection,
        owed: bool,
    ) -> Result<()> {
        let key = layout.key(&self.list);
        match close(&key, commands, owed).await {
            Err(error) if error.is_io_error() => {
                let mut anew = client::commands(&self.server).await?;
                close(&key, &mut anew, owed).await
            }
            closed => closed,
        }
        .map_err(|error| broken("leaving", &error))
    }
}

async fn close(key: &str, commands: &mut MultiplexedConnection, owed: bool) -> RedisResult<()> {
    let del: RedisResult<()> = ::redis::cmd("DEL").arg(key).query_async(commands).await;
    del?;
    // A read of ours that nobody waits for any more takes the first one.
    for _ in 0..if owed { READS } else { 0 } {
        let mut place = ::redis::pipe();
        place.cmd("RPUSH").arg(key).arg("x").ignore();
        place.cmd("EXPIRE").arg(key).arg(EXPIRES);
        let (placed,): (bool,) = place.query_async(commands).await?;
        if placed {
            break;
        }
    }
    Ok(())
}

/// One step of the search for lists of ours that do not expire, whoever left them: what lies there
/// for an hour is nobody's.
///
/// # Errors
/// [`crate::Error::Broker`].
pub(super) async fn expire(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    cursor: u64,
    count: usize,
) -> Result<u64> {
    let mut scan = ::redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(layout.pattern("lazycelery.", ".reply"));
    scan.arg("COUNT").arg(count).arg("TYPE").arg("list");
    let scanned = scan.query_async(commands).await;
    let (next, keys): (u64, Vec<Vec<u8>>) = scanned.map_err(|error| broken("SCAN", &error))?;
    for key in keys {
        let ttl: RedisResult<i64> = ::redis::cmd("TTL").arg(&key).query_async(commands).await;
        if ttl.map_err(|error| broken("TTL", &error))? == FOR_EVER {
            let mut expire = ::redis::cmd("EXPIRE");
            let expired: RedisResult<()> =
                expire.arg(&key).arg(EXPIRES).query_async(commands).await;
            expired.map_err(|error| broken("EXPIRE", &error))?;
        }
    }
    Ok(next)
}
