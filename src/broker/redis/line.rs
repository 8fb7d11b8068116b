//! A connection that is read by ourselves, where redis-rs would take in whatever comes: nothing is
//! kept behind the socket, so TCP is the back-pressure, and what is too large goes by (F16).
//!
//! Must not know what is said on it.

use super::super::url::{Address, Server};
use crate::error::{Error, Result};
use crate::message::Cut;
use bytes::{Buf, Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use std::time::Duration;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long writing may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes asked of the socket at once.
const READ: usize = 64 << 10;

/// A message of more bytes goes by. Redis cuts a subscriber whom it owes 32 MiB.
const LARGEST: usize = 16 << 20;

/// What is kept of a message that goes by: its first and its last bytes.
const KEPT: usize = 4 << 10;

/// How every line ends.
const END: &[u8] = b"\r\n";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An answer, or something that comes by itself.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// It was read.
    Whole(BytesFrame),
    /// Its last element was too large; the one before it, and what was kept.
    TooLarge(Bytes, Cut),
}

/// A connection, logged in.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    /// What it is for, in errors.
    operation: &'static str,
    passing: Option<Passing>,
}

/// A message that goes by.
struct Passing {
    before: Bytes,
    cut: Cut,
    /// Bytes still to come, the line's end included.
    left: usize,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    /// Connects, and logs in where the URL says how. It takes as long as the caller lets it.
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub async fn connect(server: &Server, operation: &'static str) -> Result<Self> {
        let opened = open(server.address()).await;
        let stream = opened.map_err(|error| lost(operation, error))?;
        let mut line = Line { stream, buffer: BytesMut::new(), operation, passing: None };
        if let Some(password) = server.password() {
            let user = server.user().map(str::as_bytes);
            let words = [Some(&b"AUTH"[..]), user, Some(password.as_bytes())];
            line.ask(&words.into_iter().flatten().collect::<Vec<_>>()).await?;
        }
        Ok(line)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Broker`], also with what the server answers where it refuses.
    pub async fn ask(&mut self, words: &[&[u8]]) -> Result<Frame> {
        self.send(words).await?;
        loop {
            match self.frame()? {
                Some(Frame::Whole(BytesFrame::Error(reason))) => {
                    return Err(self.lost(reason));
                }
                Some(frame) => return Ok(frame),
                None => self.read().await?,
            }
        }
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub async fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            command.extend_from_slice(word);
            command.extend_from_slice(END);
        }
        match timeout(PATIENCE, self.stream.write_all(&command)).await {
            Ok(written) => written.map_err(|error| self.lost(error)),
            Err(_) => Err(self.lost("the line is dead: nothing can be written")),
        }
    }

    /// What has arrived, where it is whole.
    ///
    /// # Errors
    /// [`Error::Broker`] for bytes that are no answer.
    pub fn frame(&mut self) -> Result<Option<Frame>> {
        if let Some(passed) = self.pass_by() {
            return Ok(passed);
        }
        match decode_bytes_mut(&mut self.buffer).map_err(|error| self.lost(error))? {
            Some((frame, ..)) => Ok(Some(Frame::Whole(frame))),
            None => {
                let too_large = Coming::read(&self.buffer).filter(|coming| coming.bytes > LARGEST);
                let Some(coming) = too_large else { return Ok(None) };
                self.passing = Some(Passing {
                    before: coming.before,
                    cut: Cut { bytes: coming.bytes, ..Cut::default() },
                    left: coming.bytes + END.len(),
                });
                self.buffer.advance(coming.begin);
                Ok(self.pass_by().flatten())
            }
        }
    }

    /// Lets what arrived of a message go by; `None` where none goes by, else the message once it is
    /// over.
    #[allow(clippy::option_option)]
    fn pass_by(&mut self) -> Option<Option<Frame>> {
        let passing = self.passing.as_mut()?;
        let passed = self.buffer.split_to(passing.left.min(self.buffer.len()));
        passing.left -= passed.len();
        passing.cut.keep(&passed, KEPT);
        if passing.left > 0 {
            return Some(None);
        }
        let Passing { before, mut cut, .. } = self.passing.take()?;
        cut.tail.truncate(cut.tail.len().saturating_sub(END.len()));
        Some(Some(Frame::TooLarge(before, cut)))
    }

    /// Waits for more. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`Error::Broker`] once the connection is lost.
    pub async fn read(&mut self) -> Result<()> {
        if self.buffer.len() > LARGEST + READ {
            return Err(self.lost("bytes that are no message"));
        }
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(self.lost("the connection was closed")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// What is said where it ended for this reason.
    pub fn lost(&self, reason: impl fmt::Display) -> Error {
        lost(self.operation, reason)
    }
}

async fn open(address: &Address) -> io::Result<Box<dyn Stream>> {
    Ok(match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// The head of an array of texts whose last one has not come yet.
struct Coming {
    /// The element before the last.
    before: Bytes,
    /// Where the last one begins.
    begin: usize,
    /// Its length.
    bytes: usize,
}

impl Coming {
    fn read(buffer: &[u8]) -> Option<Self> {
        let (count @ 2..=4, mut at) = number(buffer, 0, b'*')? else { return None };
        let mut before = 0..0;
        for _ in 1..count {
            let (length, begin) = number(buffer, at, b'$')?;
            before = begin..begin.checked_add(length)?;
            at = before.end.checked_add(END.len())?;
        }
        let (bytes, begin) = number(buffer, at, b'$')?;
        let before = Bytes::copy_from_slice(buffer.get(before)?);
        Some(Coming { before, begin, bytes })
    }
}

/// The number on a line of that kind, and where the next one begins.
fn number(buffer: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let line = buffer.get(at..)?;
    let length = line.windows(END.len()).take(32).position(|end| end == END)?;
    let digits = std::str::from_utf8(line[..length].strip_prefix(&[kind])?).ok()?;
    Some((digits.parse().ok()?, at + length + END.len()))
}

fn lost(operation: &'static str, reason: impl fmt::Display) -> Error {
    Error::Broker { operation: operation.into(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_message_tells_its_size() {
        let head = b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$5\r\nhel";
        let coming = Coming::read(head).unwrap();
        assert_eq!((&coming.before[..], coming.bytes), (&b"ab"[..], 5));
        assert_eq!(coming.begin, head.len() - 3);
        for end in 0..head.len() - 5 {
            assert!(Coming::read(&head[..end]).is_none(), "{end}");
        }
        assert!(Coming::read(b"*2\r\n$4\r\nlist\r\n$9\r\n").is_some());
        assert!(Coming::read(b"*3\r\n$9\r\nsubscribe\r\n").is_none());
        assert!(Coming::read(b"*4\r\n$18446744073709551615\r\nx").is_none());
        assert!(Coming::read(b"-ERR what\r\n").is_none());
    }

    #[tokio::test]
    async fn f16_of_what_is_too_large_the_ends_are_kept_and_the_next_one_is_read() {
        let (mut theirs, ours) = tokio::io::duplex(64 << 10);
        let stream = Box::new(ours);
        let mut line = Line { stream, buffer: BytesMut::new(), operation: "BRPOP", passing: None };
        let payload = [b"begin".as_slice(), &vec![b'x'; LARGEST], b"end"].concat();
        let bytes = payload.len();
        let sent = tokio::spawn(async move {
            let head = format!("*2\r\n$4\r\nlist\r\n${bytes}\r\n");
            for part in [head.as_bytes(), &payload, b"\r\n+PONG\r\n"] {
                theirs.write_all(part).await.unwrap();
            }
        });
        let mut frames = Vec::new();
        while frames.len() < 2 {
            match line.frame().unwrap() {
                Some(frame) => frames.push(frame),
                None => line.read().await.unwrap(),
            }
            assert!(line.buffer.len() <= LARGEST + READ);
        }
        sent.await.unwrap();
        let Frame::TooLarge(list, cut) = &frames[0] else { panic!("{:?}", frames[0]) };
        assert_eq!((&list[..], cut.bytes), (&b"list"[..], bytes));
        assert!(cut.head.starts_with(b"begin") && cut.tail.ends_with(b"end"));
        assert_eq!((cut.head.len(), cut.tail.len()), (KEPT, KEPT));
        assert_eq!(frames[1], Frame::Whole(BytesFrame::SimpleString("PONG".into())));
    }
}
