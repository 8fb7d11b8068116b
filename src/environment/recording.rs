//! Recordings: every observation of an environment, one JSON text a line, after a first line that
//! tells the format's version. A recording replays exactly ([`super::replay`]).

use super::{Environment, Need};
use crate::error::{Error, Result};
use crate::state::{Kind, Observation};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The first line.
pub(super) const HEADER: &str = r#"{"lazycelery":"recording","version":1}"#;

/// Where observations are written to, while somebody records.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Option<Tape>>);

#[derive(Debug)]
struct Tape {
    file: BufWriter<File>,
    failed: Option<String>,
}

impl Recorder {
    pub fn write(&self, observation: &Observation) {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Tape { file, failed: failed @ None }) = tape.as_mut() {
            *failed = append(file, observation).err().map(|error| error.to_string());
        }
    }

    fn start(&self, file: File) -> std::io::Result<()> {
        let mut file = BufWriter::new(file);
        writeln!(file, "{HEADER}")?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tape { file, failed: None });
        Ok(())
    }

    fn stop(&self) -> Result<(), String> {
        let tape = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match tape {
            Some(Tape { failed: Some(reason), .. }) => Err(reason),
            Some(Tape { mut file, failed: None }) => {
                file.flush().map_err(|error| error.to_string())
            }
            None => Ok(()),
        }
    }
}

/// Once a second what was written reaches the file: whoever is killed loses no more than that.
fn append(file: &mut BufWriter<File>, observation: &Observation) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, observation)?;
    file.write_all(b"\n")?;
    if matches!(observation.kind, Kind::Tick) { file.flush() } else { Ok(()) }
}

/// Records an environment into `path` (mode 0600, never over an existing file) until `stop`.
///
/// # Errors
/// [`Error::Config`] where the file cannot be written; what was written so far stays.
pub async fn record(
    environment: &Environment,
    path: &Path,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let refused = |reason: String| Error::Config {
        setting: path.display().to_string(),
        reason,
        position: None,
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
        |error| match error.kind() {
            ErrorKind::AlreadyExists => {
                refused("the file exists: a recording replaces none".into())
            }
            _ => refused(error.to_string()),
        },
    )?;
    environment.0.recorder.start(file).map_err(|error| refused(error.to_string()))?;
    let lease = environment.lease(&[Need::Workers, Need::Tasks, Need::Queues]);
    stop.await;
    drop(lease);
    environment.0.recorder.stop().map_err(refused)
}
