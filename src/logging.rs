//! Logs go to a file: stdout is the protocol's, and Neovim copies stderr into a log of its own.
//!
//! The file is capped ([`LIMIT`]), with one older one beside it, so that a server that runs for
//! months fills no disk. A secret or a task's argument is in no line at any level: whoever logs sees
//! to that, and the libraries below us are held to warnings.

use clap::ValueEnum;
use lazycelery::{Error, Result, config};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Bytes after which a new file is begun.
const LIMIT: u64 = 4 << 20;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Nothing.
    Off,
    /// What went wrong and should not have.
    Error,
    /// And what may need a look.
    Warn,
    /// And what happened to connections and sessions.
    Info,
    /// And what was asked and answered, without arguments.
    Debug,
    /// And everything else.
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }
}

/// Starts logging into `file`, or into the usual place. Where nothing can be written there, nothing
/// is logged: that is no reason not to serve.
///
/// # Errors
/// [`Error::Config`] where a file that was named cannot be written.
pub fn start(file: Option<&Path>, level: Level) -> Result<()> {
    quiet_panics();
    if level == Level::Off {
        return Ok(());
    }
    let path = file.map_or_else(|| config::state_home().join("lazycelery.log"), Path::to_owned);
    let log = match Log::open(path, LIMIT) {
        Ok(log) => log,
        Err(_) if file.is_none() => return Ok(()),
        Err(error) => {
            let reason = error.to_string();
            return Err(Error::Config { setting: "--log-file".into(), reason, position: None });
        }
    };
    let level = LevelFilter::from(level);
    let targets =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("lazycelery", level);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
}

/// A panic says where, not what: its message may quote data. And it says so in the log alone.
fn quiet_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// A file that is replaced when it has grown.
struct Log {
    path: PathBuf,
    limit: u64,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Log {
    fn open(path: PathBuf, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let open = Mutex::new(Open::append(&path)?);
        Ok(Log { path, limit, open })
    }
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, bytes })
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: self, open: self.open.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The log, while one line is written.
struct Line<'a> {
    log: &'a Log,
    open: MutexGuard<'a, Open>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Log { path, limit, .. } = self.log;
        if self.open.bytes > 0 && self.open.bytes + bytes.len() as u64 > *limit {
            let mut older = path.clone().into_os_string();
            older.push(".1");
            fs::rename(path, older)?;
            *self.open = Open::append(path)?;
        }
        let count = self.open.file.write(bytes)?;
        self.open.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn n52_a_log_is_capped_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/lazycelery.log");
        let log = Log::open(path.clone(), 100).unwrap();
        for number in 0..50 {
            let line = format!("line {number:02}\n");
            log.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let older = folder.path().join("state/lazycelery.log.1");
        let (now, before) =
            (fs::read_to_string(&path).unwrap(), fs::read_to_string(older).unwrap());
        assert!(now.ends_with("line 49\n"), "{now}");
        assert!(now.len() <= 100 && before.len() <= 100);
        assert_eq!(before.len() / 8 + now.len() / 8, 50 - 50 / 12 * 12 + 12);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // What is there is kept, and counted.
        let again = Log::open(path.clone(), 100).unwrap();
        again.make_writer().write_all(b"more\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), now + "more\n");
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 2);
    }
}
