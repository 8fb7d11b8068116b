//! The subscriber: our own reader of a pub/sub connection.
//!
//! redis-rs forwards pub/sub through an unbounded channel; here nothing is kept behind the socket,
//! so TCP is the back-pressure, and a server that cuts a slow reader is noticed as the end of the
//! stream. A silent line is pinged, so that a dead one is noticed too (F54).

use super::super::url::{Address, Server};
use crate::error::{Error, Result};
use bytes::{Buf, Bytes, BytesMut};
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

/// A message of more bytes is skipped. Redis cuts a subscriber whom it owes 32 MiB.
const LARGEST: usize = 16 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Something that was published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// To which channel.
    pub channel: Bytes,
    /// What, or the sentence why it was not read.
    pub payload: Result<Bytes, String>,
}

/// A subscription to patterns of channels on a connection of its own.
pub(crate) struct Subscriber {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    /// Bytes of a message too large that are still to come.
    skip: usize,
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
    pub async fn connect(server: &Server, patterns: &[String]) -> Result<Self> {
        match timeout(PATIENCE, Self::subscribe(server, patterns)).await {
            Ok(subscriber) => subscriber,
            Err(_) => Err(lost("no answer within 3 s")),
        }
    }

    async fn subscribe(server: &Server, patterns: &[String]) -> Result<Self> {
        let stream: Box<dyn Stream> = match server.address() {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(lost)?;
                stream.set_nodelay(true).map_err(lost)?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(lost)?),
        };
        let (buffer, since) = (BytesMut::new(), Instant::now());
        let mut subscriber = Subscriber { stream, buffer, skip: 0, pinged: false, since };
        if let Some(password) = server.password() {
            let user = server.user().map(str::as_bytes);
            let words = [Some(&b"AUTH"[..]), user, Some(password.as_bytes())];
            subscriber.send(&words.into_iter().flatten().collect::<Vec<_>>()).await?;
            subscriber.answer().await?;
        }
        let mut refused = None;
        let mut heard = false;
        for pattern in patterns {
            subscriber.send(&[b"PSUBSCRIBE", pattern.as_bytes()]).await?;
            match subscriber.answer().await {
                Ok(()) => heard = true,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        // A user may be allowed the one pattern that is used (F26).
        refused.filter(|_| !heard).map_or(Ok(subscriber), Err)
    }

    /// Waits for at least one message and takes what has arrived, at most `limit`. Cancelling it
    /// loses nothing.
    ///
    /// # Errors
    /// [`Error::Broker`] once the connection is lost.
    pub async fn next(&mut self, limit: usize, into: &mut Vec<Heard>) -> Result<()> {
        let before = into.len();
        loop {
            while into.len() - before < limit {
                match self.frame()? {
                    Some(BytesFrame::Error(reason)) => return Err(lost(reason)),
                    Some(frame) => into.extend(message(frame)),
                    None => {
                        into.extend(self.too_large());
                        break;
                    }
                }
            }
            if into.len() > before {
                return Ok(());
            }
            self.read().await?;
        }
    }

    fn frame(&mut self) -> Result<Option<BytesFrame>> {
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        let decoded = decode_bytes_mut(&mut self.buffer).map_err(lost)?;
        Ok(decoded.map(|(frame, _, _)| frame))
    }

    /// Where the message that is coming is too large, lets go of what came and skips the rest.
    fn too_large(&mut self) -> Option<Heard> {
        let coming = Coming::read(&self.buffer).filter(|coming| coming.bytes > LARGEST)?;
        self.skip = coming.bytes.saturating_sub(self.buffer.len());
        self.buffer = BytesMut::new();
        let sentence = format!("a message of {} bytes, which is more than is read", coming.payload);
        Some(Heard { channel: coming.channel, payload: Err(sentence) })
    }

    /// Waits for the answer to a command. What an earlier pattern hears meanwhile is none.
    async fn answer(&mut self) -> Result<()> {
        loop {
            match self.frame()? {
                Some(BytesFrame::Error(reason)) => return Err(lost(reason)),
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
        if self.buffer.len() > LARGEST + READ {
            return Err(lost("bytes that are no message"));
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

/// The head of a message whose payload has not come yet.
struct Coming {
    channel: Bytes,
    /// Of the whole message, as it stands on the line.
    bytes: usize,
    payload: usize,
}

impl Coming {
    /// `*4`, then the kind, the pattern and the channel, then the payload's length.
    fn read(buffer: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut line = |kind: u8| -> Option<(usize, usize)> {
            let rest = buffer.get(at..)?;
            let end = rest.windows(2).take(32).position(|pair| pair == b"\r\n")?;
            let number = std::str::from_utf8(rest[..end].strip_prefix(&[kind])?).ok()?;
            at += end + 2;
            let (number, body) = (number.parse().ok()?, at);
            if kind == b'$' {
                at = body.checked_add(number)?.checked_add(2)?;
            }
            Some((number, body))
        };
        let (4, _) = line(b'*')? else { return None };
        line(b'$')?;
        line(b'$')?;
        let (length, begin) = line(b'$')?;
        let (payload, body) = line(b'$')?;
        let channel = Bytes::copy_from_slice(buffer.get(begin..begin + length)?);
        Some(Coming { channel, bytes: body.checked_add(payload)?.checked_add(2)?, payload })
    }
}

/// What was published; confirmations and pongs are nothing.
fn message(frame: BytesFrame) -> Option<Heard> {
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
    Some(Heard { channel, payload: Ok(payload) })
}

fn lost(reason: impl fmt::Display) -> Error {
    Error::Broker { operation: "subscription".into(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_message_tells_its_size() {
        let head = b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$5\r\nhel";
        let coming = Coming::read(head).unwrap();
        assert_eq!((&coming.channel[..], coming.payload), (&b"ab"[..], 5));
        assert_eq!(coming.bytes, head.len() + 4);
        for end in 0..head.len() - 5 {
            assert!(Coming::read(&head[..end]).is_none(), "{end}");
        }
        assert!(Coming::read(b"*3\r\n$9\r\nsubscribe\r\n").is_none());
        assert!(Coming::read(b"*4\r\n$18446744073709551615\r\nx").is_none());
        assert!(Coming::read(b"-ERR what\r\n").is_none());
    }
}
