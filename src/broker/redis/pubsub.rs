//! The subscriber: our own reader of a pub/sub connection.
//!
//! redis-rs forwards pub/sub through an unbounded channel; here nothing is kept behind the socket,
//! so TCP is the back-pressure, and a server that cuts a slow reader is noticed as the end of the
//! stream. A silent line is pinged, so that a dead one is noticed too (F54).

use super::super::url::{Address, Server};
use crate::error::{Error, Result};
use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};

/// How long connecting may take, and how long a ping may stay unanswered.
const PATIENCE: Duration = Duration::from_secs(3);

/// After this much silence the line is pinged.
const SILENCE: Duration = Duration::from_secs(15);

/// Bytes asked of the socket at once.
const READ: usize = 64 << 10;

/// A message that does not end within this many bytes is not read on.
const LARGEST: usize = 64 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A subscription to one pattern of channels on a connection of its own.
pub(crate) struct Subscriber {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    pinged: bool,
    /// When something was last read, or pinged.
    since: Instant,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Subscriber {
    /// Connects and subscribes; once it answers, everything published from then on is heard.
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub async fn connect(server: &Server, pattern: &[u8]) -> Result<Self> {
        match timeout(PATIENCE, Self::subscribe(server, pattern)).await {
            Ok(subscriber) => subscriber,
            Err(_) => Err(lost("no answer within 3 s")),
        }
    }

    async fn subscribe(server: &Server, pattern: &[u8]) -> Result<Self> {
        let stream: Box<dyn Stream> = match server.address() {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(lost)?;
                stream.set_nodelay(true).map_err(lost)?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(lost)?),
        };
        let mut subscriber =
            Subscriber { stream, buffer: BytesMut::new(), pinged: false, since: Instant::now() };
        if let Some(password) = server.password() {
            let user = server.user().map(str::as_bytes);
            let words = [Some(&b"AUTH"[..]), user, Some(password.as_bytes())];
            subscriber.send(&words.into_iter().flatten().collect::<Vec<_>>()).await?;
            subscriber.answer().await?;
        }
        subscriber.send(&[b"PSUBSCRIBE", pattern]).await?;
        subscriber.answer().await?;
        Ok(subscriber)
    }

    /// Waits for at least one message and takes what has arrived, at most `limit`, as channel and
    /// payload. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`Error::Broker`] once the connection is lost.
    pub async fn next(&mut self, limit: usize, into: &mut Vec<(Bytes, Bytes)>) -> Result<()> {
        let before = into.len();
        loop {
            while into.len() - before < limit {
                match self.frame()? {
                    Some(BytesFrame::Error(reason)) => return Err(lost(reason)),
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

    fn frame(&mut self) -> Result<Option<BytesFrame>> {
        let decoded = decode_bytes_mut(&mut self.buffer).map_err(lost)?;
        Ok(decoded.map(|(frame, _, _)| frame))
    }

    /// Waits for the answer to a command.
    async fn answer(&mut self) -> Result<()> {
        loop {
            match self.frame()? {
                Some(BytesFrame::Error(reason)) => return Err(lost(reason)),
                Some(_) => return Ok(()),
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.buffer.len() > LARGEST {
            return Err(lost("a message of more than 64 MiB"));
        }
        loop {
            self.buffer.reserve(READ);
            let patience = if self.pinged { PATIENCE } else { SILENCE };
            let read = self.stream.read_buf(&mut self.buffer);
            match timeout_at(self.since + patience, read).await {
                Ok(Ok(0)) => return Err(lost("the connection was closed")),
                Ok(Ok(_)) => {
                    self.pinged = false;
                    self.since = Instant::now();
                    return Ok(());
                }
                Ok(Err(error)) => return Err(lost(error)),
                Err(_) if self.pinged => return Err(lost("the line is dead: no answer to PING")),
                Err(_) => {
                    self.since = Instant::now();
                    self.pinged = true;
                    self.send(&[b"PING"]).await?;
                }
            }
        }
    }

    async fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            command.extend_from_slice(word);
            command.extend_from_slice(b"\r\n");
        }
        match timeout(PATIENCE, self.stream.write_all(&command)).await {
            Ok(written) => written.map_err(lost),
            Err(_) => Err(lost("the line is dead: nothing can be written")),
        }
    }
}

/// A message's channel and payload; confirmations and pongs are neither.
fn message(frame: BytesFrame) -> Option<(Bytes, Bytes)> {
    let BytesFrame::Array(parts) = frame else { return None };
    let mut parts = parts.into_iter().map(|part| match part {
        BytesFrame::BulkString(bytes) | BytesFrame::SimpleString(bytes) => Some(bytes),
        _ => None,
    });
    let kind = parts.next()??;
    if &kind[..] != b"pmessage" {
        return None;
    }
    let (_pattern, channel, payload) = (parts.next()??, parts.next()??, parts.next()??);
    Some((channel, payload))
}

fn lost(reason: impl fmt::Display) -> Error {
    Error::Broker { operation: "subscription".into(), reason: reason.to_string() }
}
