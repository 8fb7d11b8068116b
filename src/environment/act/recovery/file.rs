//! Writing a recovery file: begun with the first message that is saved, only ever appended to, and
//! locked as long as somebody writes to it.

use super::{Header, Place, Record, Saved, VERSION};
use crate::environment::act::Job;
use crate::environment::{Connection, Environment, wall_clock};
use crate::error::{Error, Result};
use crate::state::observation::seconds;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Characters of a queue's name that its files are named by.
const NAMED: usize = 40;

/// A recovery file that is written to.
#[derive(Debug)]
pub(in super::super) struct Recovery {
    header: Header,
    path: PathBuf,
    /// `None` before anything was saved.
    file: Option<Arc<File>>,
    saved: u64,
    /// Lines that are not written yet.
    lines: Vec<u8>,
}

impl Header {
    /// Of what a job does to a queue.
    pub fn new(
        environment: &Environment,
        connection: &Connection,
        job: &Job,
        queue: Option<&str>,
        to: Option<&str>,
    ) -> Self {
        let row = job.row();
        Header {
            lazycelery: "recovery".into(),
            version: VERSION,
            at: seconds::from_micros(wall_clock()),
            method: row.method.into(),
            environment: row.environment,
            place: Place::of(environment, connection),
            queue: queue.map(str::to_owned),
            to: to.map(str::to_owned),
            actor: row.actor,
            job: row.job,
            pid: std::process::id(),
        }
    }

    /// The header that a line is, where this is a file of ours that is understood here.
    pub fn read(line: &[u8]) -> Option<Header> {
        let header: Header = serde_json::from_slice(line).ok()?;
        (header.lazycelery == "recovery" && header.version == VERSION).then_some(header)
    }
}

impl Recovery {
    /// Nothing is written before something is saved.
    pub fn new(header: Header) -> Self {
        let word = header.method.split(['/', '_']).nth(1).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let queue = header
            .queue
            .as_deref()
            .unwrap_or("queues")
            .chars()
            .take(NAMED)
            .map(|c| if plain(c) { c } else { '_' });
        let queue: String = queue.collect();
        // Microseconds: later files sort behind, and two operations of a process have two names.
        let name = format!("{:.6}-{word}-{queue}-{}-{}.jsonl", header.at, header.pid, header.job);
        let path = folder().join(name);
        Recovery { header, path, file: None, saved: 0, lines: Vec::new() }
    }

    /// Goes on with a file that was read by an [`super::Index`].
    pub fn go_on(header: Header, path: PathBuf, file: File) -> io::Result<Self> {
        let mut recovery =
            Recovery { header, path, file: Some(Arc::new(file)), saved: 0, lines: Vec::new() };
        recovery.mend()?;
        Ok(recovery)
    }

    /// Its path, once it is there.
    pub fn saved_as(&self) -> Option<String> {
        self.file.as_ref().map(|_| self.path.to_string_lossy().into_owned())
    }

    /// Takes in a message; [`Recovery::sync`] puts it on the disk. Answers its number.
    pub fn save(&mut self, message: impl FnOnce(u64) -> Saved) -> u64 {
        let number = self.saved;
        self.saved += 1;
        self.note(&Record::Saved(message(number)));
        number
    }

    /// Takes in what became of messages.
    pub fn note(&mut self, record: &Record) {
        let nothing = match record {
            Record::Removed(numbers)
            | Record::Moved(numbers)
            | Record::Taken(numbers)
            | Record::Restoring(numbers)
            | Record::Restored(numbers)
            | Record::Refused(numbers) => numbers.is_empty(),
            Record::Saved(_) | Record::Copy(_) => false,
        };
        if !nothing {
            self.push(record);
        }
    }

    fn push(&mut self, line: &impl serde::Serialize) {
        // Nothing in these types can fail to be written as JSON.
        if serde_json::to_writer(&mut self.lines, line).is_ok() {
            self.lines.push(b'\n');
        }
    }

    /// Appends what was taken in. It outlives this process.
    ///
    /// # Errors
    /// [`Error::Internal`] with the system's reason.
    pub async fn write(&mut self) -> Result<()> {
        self.append(false).await
    }

    /// Appends what was taken in. It outlives the machine's loss of power.
    ///
    /// # Errors
    /// [`Error::Internal`] with the system's reason.
    pub async fn sync(&mut self) -> Result<()> {
        self.append(true).await
    }

    async fn append(&mut self, sync: bool) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return Ok(());
        }
        let written = async {
            let file = match &self.file {
                Some(file) => Arc::clone(file),
                None => {
                    let (path, mut first) = (self.path.clone(), Vec::new());
                    serde_json::to_writer(&mut first, &self.header)?;
                    let begun = tokio::task::spawn_blocking(move || begin(&path, first)).await??;
                    Arc::clone(self.file.insert(Arc::new(begun)))
                }
            };
            let append = move || {
                (&*file).write_all(&lines)?;
                if sync { file.sync_data() } else { Ok(()) }
            };
            tokio::task::spawn_blocking(append).await?
        };
        let written: io::Result<()> = written.await;
        if let Err(reason) = written {
            // What comes next must not go on in a line that is half there.
            let _ = self.mend();
            let path = self.path.display();
            return Err(Error::Internal(format!("{path} cannot be written: {reason}")));
        }
        Ok(())
    }

    /// Ends a line that a process left unfinished.
    fn mend(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.as_deref() else { return Ok(()) };
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
    }
}

/// Where recovery files are.
pub(super) fn folder() -> PathBuf {
    crate::config::state_home().join("recovery")
}

/// Waits for nobody: who writes to a file keeps it until it ends.
pub(super) fn lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

fn begin(path: &Path, mut header: Vec<u8>) -> io::Result<File> {
    let folder = folder();
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create_new(true).mode(0o600).open(path)?;
    lock(&file)?;
    header.push(b'\n');
    file.write_all(&header)?;
    File::open(&folder)?.sync_all()?;
    Ok(file)
}
