//! An environment that is a recording: `replay:FILE`. Lines apply as they come, as fast as they
//! can, so a FIFO steps it, or at the pace they were recorded at; the recording's clock is `now`.
//! There is no broker to ask.

mod address;

use super::{BATCH, Environment, Status, recording};
use crate::config::UrlSource;
use crate::error::{Error, Result};
use crate::state::Observation;
use crate::state::observation::Micros;
use address::Address;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a reader that waits looks whether the recording was caught up with.
const LOOK: Duration = Duration::from_millis(5);

/// How long the end of a recording stays before it begins again.
const REST: Duration = Duration::from_secs(1);

/// A recording being read.
#[derive(Debug)]
pub(super) struct Replay {
    address: Address,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    started: AtomicBool,
    /// The newest line's time.
    now: AtomicI64,
    /// Between taking bytes from the file and having applied them.
    busy: AtomicBool,
    /// Nothing more will come, or only as time passes: nobody need wait.
    through: AtomicBool,
    file: Mutex<Option<File>>,
    failed: Mutex<Option<String>>,
}

impl Replay {
    /// The recording that a URL names; `None` where it names a broker.
    pub fn of(source: &UrlSource) -> Result<Option<Self>> {
        let UrlSource::Given(url) = source else { return Ok(None) };
        let Some(address) = url.expose().strip_prefix("replay:") else { return Ok(None) };
        Ok(Some(Replay { address: Address::parse(address)?, shared: Arc::default() }))
    }

    pub fn now(&self) -> Micros {
        self.shared.now.load(Ordering::Acquire)
    }

    /// Starts reading where nobody has.
    pub fn ensure(&self, environment: &Environment) {
        if self.shared.started.swap(true, Ordering::AcqRel) {
            return;
        }
        environment.link().status = Status::Connecting;
        let (address, shared, environment) =
            (self.address.clone(), Arc::clone(&self.shared), environment.clone());
        // A plain thread: reading a FIFO blocks, and nobody waits for this thread's end.
        std::thread::spawn(move || {
            let outcome = play(&address, &shared, &environment);
            if let Err(reason) = outcome {
                *shared.failed.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(reason.clone());
                let mut link = environment.link();
                link.status = Status::Disconnected;
                link.error = Some(reason);
            }
            shared.through.store(true, Ordering::Release);
            environment.changed();
        });
    }

    /// Waits until everything that was written so far is applied.
    pub async fn caught_up(&self, name: &str) -> Result<Vec<&'static str>> {
        let deadline = tokio::time::Instant::now() + super::PATIENCE;
        while !self.shared.idle() {
            if tokio::time::Instant::now() >= deadline {
                return Ok(vec!["recording"]);
            }
            tokio::time::sleep(LOOK).await;
        }
        match &*self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(Vec::new()),
            Some(reason) => Err(Error::NotConnected {
                environment: name.into(),
                url: None,
                reason: reason.clone(),
                retry_in: None,
            }),
        }
    }
}

impl Shared {
    /// Nothing is left to read, and what was read is applied. The order matters: bytes leave the
    /// file only after `busy` is set, so "nothing readable, then not busy" cannot lie.
    fn idle(&self) -> bool {
        if self.through.load(Ordering::Acquire) {
            return true;
        }
        let readable = match &*self.file.lock().unwrap_or_else(PoisonError::into_inner) {
            None => return false,
            Some(file) => readable(file, Some(&rustix::time::Timespec::default())),
        };
        !readable && !self.busy.load(Ordering::Acquire)
    }
}

fn readable(file: &File, timeout: Option<&rustix::time::Timespec>) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
}

/// Plays a recording, once or again and again.
fn play(address: &Address, shared: &Shared, environment: &Environment) -> Result<(), String> {
    loop {
        play_once(address, shared, environment)?;
        if !address.again {
            return Ok(());
        }
        std::thread::sleep(REST);
        shared.now.store(0, Ordering::Release);
        environment.begin_again();
    }
}

fn play_once(address: &Address, shared: &Shared, environment: &Environment) -> Result<(), String> {
    let mut lines = open(address, shared)?;
    {
        let mut link = environment.link();
        link.status = Status::Connected;
        link.ever_connected = true;
    }
    environment.changed();
    let header = lines.next()?.unwrap_or_default();
    check(&header)?;
    let mut pace = address.speed.map(Pace::new);
    loop {
        if lines.reader.buffer().is_empty() {
            shared.busy.store(false, Ordering::Release);
            readable(lines.reader.get_ref(), None);
            shared.busy.store(true, Ordering::Release);
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(line) = lines.next()? else {
                apply(shared, environment, batch);
                return Ok(());
            };
            if line.trim().is_empty() {
                continue;
            }
            let observation = read(&line, lines.number)?;
            if let Some(wait) = pace.as_mut().and_then(|pace| pace.until(observation.seen)) {
                apply(shared, environment, std::mem::take(&mut batch));
                shared.through.store(true, Ordering::Release);
                std::thread::sleep(wait);
            }
            batch.push(observation);
            if lines.reader.buffer().is_empty() {
                break;
            }
        }
        apply(shared, environment, batch);
    }
}

fn open(address: &Address, shared: &Shared) -> Result<Lines, String> {
    let path = &address.path;
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let watched = file.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    // Before anybody can look: the header's bytes may bring the first lines along.
    shared.busy.store(true, Ordering::Release);
    *shared.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(File::from(watched));
    Ok(Lines { reader: BufReader::new(file), number: 0 })
}

/// The pace at which a recording was made, times its speed.
struct Pace {
    speed: f64,
    /// When the first line was applied, and its own time.
    first: Option<(Instant, Micros)>,
}

impl Pace {
    fn new(speed: f64) -> Self {
        Pace { speed, first: None }
    }

    /// How long what was `seen` then is still to come; `None` where it is due.
    fn until(&mut self, seen: Micros) -> Option<Duration> {
        let (began, first) = *self.first.get_or_insert_with(|| (Instant::now(), seen));
        let passed = u64::try_from(seen.saturating_sub(first)).unwrap_or(0);
        let due = Duration::from_micros(passed).div_f64(self.speed);
        due.checked_sub(began.elapsed()).filter(|wait| !wait.is_zero())
    }
}

fn apply(shared: &Shared, environment: &Environment, batch: Vec<Observation>) {
    if let Some(last) = batch.last() {
        shared.now.fetch_max(last.seen, Ordering::AcqRel);
    }
    environment.apply(batch);
}

fn check(line: &str) -> Result<(), String> {
    if line.trim() == recording::HEADER {
        return Ok(());
    }
    Err(format!(
        "not a recording of a version we read: the first line should be {}",
        recording::HEADER
    ))
}

fn read(line: &str, number: usize) -> Result<Observation, String> {
    serde_json::from_str(line).map_err(|error| format!("line {number} of the recording: {error}"))
}

struct Lines {
    reader: BufReader<File>,
    number: usize,
}

impl Lines {
    fn next(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        self.number += 1;
        let read = self.reader.read_line(&mut line).map_err(|error| error.to_string())?;
        Ok((read > 0).then_some(line))
    }
}
