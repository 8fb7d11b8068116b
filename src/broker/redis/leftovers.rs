//! Reply lists that others left behind: a program that asked workers by kombu's own client and went
//! away before they answered leaves a list that nobody reads and that never expires (F16).

use super::super::Leftovers;
use super::client::broken;
use super::keys::Layout;
use crate::error::Result;
use ::redis::aio::MultiplexedConnection;
use ::redis::{FromRedisValue, Value};
use std::time::Duration;
use tokio::time::Instant;

/// Keys looked at by one step.
const SCAN: usize = 1_000;

/// A list that was touched within this may still be read.
const IDLE: Duration = Duration::from_secs(60);

/// Looks through the keys for lists of a reply exchange, as far as it comes in `time`.
///
/// # Errors
/// [`crate::Error::Broker`].
pub(super) async fn look(
    layout: &Layout,
    commands: &mut MultiplexedConnection,
    exchange: &str,
    time: Duration,
) -> Result<Leftovers> {
    let until = Instant::now() + time;
    let pattern = layout.pattern("", &format!(".{exchange}"));
    let mut found = Leftovers::default();
    let mut cursor = 0_u64;
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN).arg("TYPE").arg("list");
        let scanned = scan.query_async(commands).await;
        let (next, keys): (u64, Vec<Vec<u8>>) = scanned.map_err(|error| broken("SCAN", &error))?;
        for key in &keys {
            found.take(key, commands).await?;
        }
        cursor = next;
        found.whole = cursor == 0;
        if found.whole || Instant::now() >= until {
            return Ok(found);
        }
    }
}

impl Leftovers {
    /// Counts a list, where nobody touched it lately.
    async fn take(&mut self, key: &[u8], commands: &mut MultiplexedConnection) -> Result<()> {
        let mut ask = ::redis::pipe();
        ask.ignore_errors();
        ask.cmd("OBJECT").arg("IDLETIME").arg(key);
        ask.cmd("MEMORY").arg("USAGE").arg(key);
        let asked = ask.query_async(commands).await;
        let answers: Vec<Value> = asked.map_err(|error| broken("OBJECT", &error))?;
        let number = |at: usize| {
            let answer = answers.get(at)?.clone();
            u64::from_redis_value(answer).ok()
        };
        // Who keeps how often keys are used does not keep since when they are not.
        let Some(idle) = number(0).map(Duration::from_secs) else { return Ok(()) };
        if idle < IDLE {
            return Ok(());
        }
        self.lists += 1;
        self.bytes += number(1).unwrap_or_default();
        if idle >= self.idle {
            self.idle = idle;
            self.example = String::from_utf8_lossy(key).into_owned();
        }
        Ok(())
    }
}
