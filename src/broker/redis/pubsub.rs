//! The subscriber: our own reader of a pub/sub connection.
//!
//! redis-rs forwards pub/sub through an unbounded channel; here a server that cuts a slow reader is
//! noticed as the end of the stream. A silent line is pinged, so that a dead one is noticed too (F54).

use super::super::url::Server;
use super::client;
use super::line::{Frame, Line};
use crate::error::Result;
use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What the line is for, in errors.
const SUBSCRIPTION: &str = "subscription";

/// How long connecting may take, and how long a ping may stay unanswered.
const PATIENCE: Duration = Duration::from_secs(3);

/// After this much silence the line is pinged.
const SILENCE: Duration = Duration::from_secs(15);

/// Something that was published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// To which channel.
    pub channel: Bytes,
    /// What, or the sentence why it was not read.
    pub payload: Result<Bytes, String>,
}

/// A subscription to patterns of channels on a connection of its own.
#[derive(Debug)]
pub(crate) struct Subscriber {
    line: Line,
    pinged: bool,
    /// When something was last read, or pinged.
    since: Instant,
}

impl Subscriber {
    /// Connects and subscribes; once it answers, everything published from then on is heard.
    ///
    /// # Errors
    /// [`crate::Error::Broker`].
    pub async fn connect(server: &Server, patterns: &[String]) -> Result<Self> {
        let subscribed = async {
            let line = Line::connect(server, SUBSCRIPTION).await?;
            let mut subscriber = Subscriber { line, pinged: false, since: Instant::now() };
            subscriber.subscribe(patterns).await.map(|()| subscriber)
        };
        match timeout(PATIENCE, subscribed).await {
            Ok(subscriber) => subscriber,
            Err(_) => Err(client::silent(SUBSCRIPTION)),
        }
    }

    async fn subscribe(&mut self, patterns: &[String]) -> Result<()> {
        let mut refused = None;
        let mut heard = false;
        for pattern in patterns {
            match self.answer(&[b"PSUBSCRIBE", pattern.as_bytes()]).await {
                Ok(()) => heard = true,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        // A user may be allowed the one pattern that is used (F26).
        refused.filter(|_| !heard).map_or(Ok(()), Err)
    }

    /// Waits for at least one message and takes what has arrived, at most `limit`. Cancelling it
    /// loses nothing.
    ///
    /// # Errors
    /// [`crate::Error::Broker`] once the connection is lost.
    pub async fn next(&mut self, limit: usize, into: &mut Vec<Heard>) -> Result<()> {
        let before = into.len();
        loop {
            while into.len() - before < limit {
                match self.line.frame()? {
                    Some(Frame::Whole(BytesFrame::Error(reason))) => {
                        return Err(self.line.lost(reason));
                    }
                    Some(frame) => into.extend(message(frame)),
                    None => break,
                }
            }
            if into.len() > before {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Sends a command and waits for its answer. What an earlier pattern hears meanwhile is none.
    async fn answer(&mut self, words: &[&[u8]]) -> Result<()> {
        self.line.send(words).await?;
        loop {
            match self.line.frame()? {
                Some(Frame::Whole(BytesFrame::Error(reason))) => {
                    return Err(self.line.lost(reason));
                }
                Some(frame) => {
                    if message(frame).is_none() {
                        return Ok(());
                    }
                }
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        loop {
            let patience = if self.pinged { PATIENCE } else { SILENCE };
            match timeout_at(self.since + patience, self.line.read()).await {
                Ok(read) => {
                    self.pinged = false;
                    self.since = Instant::now();
                    return read;
                }
                Err(_) if self.pinged => {
                    return Err(self.line.lost("the line is dead: no answer to PING"));
                }
                Err(_) => {
                    self.since = Instant::now();
                    self.pinged = true;
                    self.line.send(&[b"PING"]).await?;
                }
            }
        }
    }
}

/// What was published; confirmations and pongs are nothing.
fn message(frame: Frame) -> Option<Heard> {
    let parts = match frame {
        Frame::TooLarge(channel, cut) => {
            let sentence = format!("a message of {} bytes, which is more than is read", cut.bytes);
            return Some(Heard { channel, payload: Err(sentence) });
        }
        Frame::Whole(BytesFrame::Array(parts)) => parts,
        Frame::Whole(_) => return None,
    };
    let mut parts = parts.into_iter().map(|part| match part {
        BytesFrame::BulkString(bytes) | BytesFrame::SimpleString(bytes) => Some(bytes),
        _ => None,
    });
    let kind = parts.next()??;
    if &kind[..] != b"pmessage" {
        return None;
    }
    let (_pattern, channel, payload) = (parts.next()??, parts.next()??, parts.next()??);
    Some(Heard { channel, payload: Ok(payload) })
}
