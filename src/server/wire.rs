//! The two threads between the loop and its byte stream.
//!
//! Plain threads, since a read of stdin inside the runtime cannot be cancelled and would hold up
//! its end. The reader never waits for a handler, the loop never for the writer: what piles up
//! between them is bounded in bytes, by [`ROOM`] on the way in and [`BACKLOG`] on the way out.

use super::frame::{Decoder, Frame, Framing};
use serde_json::value::RawValue;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Bytes of requests that are read before the first of them is answered. A client that reads no
/// answers can still send this much, and is still heard when it cancels or says `exit`.
const ROOM: usize = 32 << 20;

/// Bytes of unwritten answers above which no further call is started.
const BACKLOG: usize = 16 << 20;

/// How much is read or written at once.
const CHUNK: usize = 64 << 10;

/// What the reader hands to the loop.
pub enum Input {
    /// A text, and the room that it takes until its calls are answered.
    Text(Vec<u8>, Arc<OwnedSemaphorePermit>),
    /// A text that was skipped, and why.
    Skipped(String),
    /// Why nothing more can be read.
    Unreadable(String),
    /// The end of the stream.
    End,
}

/// Receives what the read thread read. Dropping it ends the thread, at its next byte.
pub struct Inlet {
    inputs: mpsc::UnboundedReceiver<Input>,
    room: Arc<Semaphore>,
}

impl Inlet {
    /// Starts reading. The framing is told as soon as the first bytes decided it.
    pub fn open(
        read: impl Read + Send + 'static,
        framing: Arc<OnceLock<Framing>>,
    ) -> io::Result<Self> {
        let room = Arc::new(Semaphore::new(ROOM));
        let (sender, inputs) = mpsc::unbounded_channel();
        let reader =
            Reader { sender, room: Arc::clone(&room), framing, runtime: Handle::current() };
        thread::Builder::new().name("read".into()).spawn(move || reader.run(read))?;
        Ok(Inlet { inputs, room })
    }

    /// The next input; after the end, for ever [`Input::End`].
    pub async fn next(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::End)
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.room.close();
    }
}

struct Reader {
    sender: mpsc::UnboundedSender<Input>,
    room: Arc<Semaphore>,
    framing: Arc<OnceLock<Framing>>,
    runtime: Handle,
}

impl Reader {
    /// Reads to the end, or until nobody listens. The receiver reads a closed channel as the end.
    fn run(self, mut read: impl Read) {
        let mut decoder = Decoder::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match read.read(&mut chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "reading requests");
                    0
                }
            };
            decoder.push(&chunk[..count]);
            while let Some(frame) = decoder.next(count == 0) {
                if let Some(framing) = decoder.framing() {
                    self.framing.get_or_init(|| framing);
                }
                if self.hand_over(frame).is_none() {
                    return;
                }
            }
            if count == 0 {
                return;
            }
        }
    }

    /// `None`: nobody listens any more.
    fn hand_over(&self, frame: Frame) -> Option<()> {
        let input = match frame {
            Frame::Text(text) => {
                // Frames are shorter than both numbers, see `frame::LIMIT`.
                let bytes = u32::try_from(text.len()).ok()?;
                let room = Arc::clone(&self.room).acquire_many_owned(bytes);
                Input::Text(text, Arc::new(self.runtime.block_on(room).ok()?))
            }
            Frame::Skipped(reason) => Input::Skipped(reason),
            Frame::Unreadable(reason) => Input::Unreadable(reason),
        };
        self.sender.send(input).ok()
    }
}

/// Told when its message was written, or dropped when it never will be.
pub type Receipt = oneshot::Sender<()>;

struct Outgoing {
    json: Box<RawValue>,
    receipt: Option<Receipt>,
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    shrunk: Notify,
}

/// Sends to the write thread, without ever waiting for it.
pub struct Outlet {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    backlog: Arc<Backlog>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Outlet {
    /// Starts the write thread.
    pub fn open(
        write: impl Write + Send + 'static,
        framing: Arc<OnceLock<Framing>>,
    ) -> io::Result<Self> {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let backlog = Arc::new(Backlog::default());
        let writer = Writer { queue, backlog: Arc::clone(&backlog), framing };
        thread::Builder::new().name("write".into()).spawn(move || end.send(writer.run(write)))?;
        Ok(Outlet { outgoing, backlog, ended })
    }

    /// Queues one message.
    pub fn send(&self, json: Box<RawValue>, receipt: Option<Receipt>) {
        self.backlog.bytes.fetch_add(json.get().len(), Ordering::AcqRel);
        // A writer that is gone has said so through `failed`.
        let _ = self.outgoing.send(Outgoing { json, receipt });
    }

    /// Whether so little is unwritten that further calls may be started.
    pub fn has_room(&self) -> bool {
        self.backlog.bytes.load(Ordering::Acquire) < BACKLOG
    }

    /// Waits until something was written, or can never be.
    pub async fn progress(&mut self) -> io::Result<()> {
        tokio::select! {
            () = self.backlog.shrunk.notified() => Ok(()),
            // The thread ends by itself only when a write failed.
            ended = &mut self.ended => {
                Err(ended.ok().and_then(Result::err).unwrap_or(ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// Waits until everything was written, but not longer than `limit`.
    pub async fn close(self, limit: Duration) {
        drop(self.outgoing);
        if tokio::time::timeout(limit, self.ended).await.is_err() {
            tracing::warn!("the client did not read all of its answers");
        }
    }
}

struct Writer {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    backlog: Arc<Backlog>,
    framing: Arc<OnceLock<Framing>>,
}

impl Writer {
    /// Writes what is queued, several messages at once where several wait.
    fn run(mut self, mut write: impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        while let Some(first) = self.queue.blocking_recv() {
            let framing = self.framing.get().copied().unwrap_or(Framing::Lines);
            let mut receipts = Vec::new();
            let mut taken = 0;
            let mut next = Some(first);
            while let Some(message) = next {
                taken += message.json.get().len();
                framing.write(message.json.get(), &mut bytes);
                receipts.extend(message.receipt);
                next = if bytes.len() < CHUNK { self.queue.try_recv().ok() } else { None };
            }
            write.write_all(&bytes)?;
            write.flush()?;
            bytes.clear();
            bytes.shrink_to(CHUNK);
            self.backlog.bytes.fetch_sub(taken, Ordering::AcqRel);
            self.backlog.shrunk.notify_one();
            for receipt in receipts {
                // The subscription may be gone by now.
                let _ = receipt.send(());
            }
        }
        Ok(())
    }
}
