//! The audit log: `$XDG_STATE_HOME/lazycelery/audit.jsonl`, JSON lines, mode 0600. Who, when, in which
//! environment, what, and what came of it; written before and after. Must not know what actions do.
//!
//! A line is one append under a lock, so the lines of several processes do not mix; it is on the disk
//! before anything is done. Behind a line that was left unfinished (the disk was full, the power went) the next
//! one begins anew.

use super::job::Job;
use crate::environment::wall_clock;
use crate::error::Result;
use crate::state::observation::seconds;
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// One action in the log.
#[derive(Debug)]
pub struct Entry(Value);

impl Entry {
    /// An action that runs as `job`, and its parameters.
    pub(super) fn new(job: &Job, arguments: Value) -> Self {
        let row = job.row();
        Entry(json!({
            "pid": std::process::id(), "job": row.job, "environment": row.environment,
            "actor": row.actor, "method": row.method, "arguments": arguments,
        }))
    }

    /// What is done that is no job, and its parameters.
    pub fn without_job(environment: &str, actor: &str, method: &str, arguments: Value) -> Self {
        Entry(json!({
            "pid": std::process::id(), "environment": environment,
            "actor": actor, "method": method, "arguments": arguments,
        }))
    }

    /// It is about to begin.
    ///
    /// # Errors
    /// What the system says; then nothing may be done.
    pub async fn intent(&self) -> io::Result<()> {
        self.write("intent", None).await
    }

    /// What came of it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn outcome<T: Serialize>(&self, outcome: &Result<T>) -> io::Result<()> {
        let told = match outcome {
            Ok(outcome) => serde_json::to_value(outcome)?,
            Err(error) => json!({ "error": error.to_string() }),
        };
        self.write("outcome", Some(told)).await
    }

    async fn write(&self, phase: &str, outcome: Option<Value>) -> io::Result<()> {
        let mut line = self.0.clone();
        line["at"] = seconds::from_micros(wall_clock()).into();
        line["phase"] = phase.into();
        if let Some(outcome) = outcome {
            line["outcome"] = outcome;
        }
        let path = crate::config::state_home().join("audit.jsonl");
        tokio::task::spawn_blocking(move || append(&path, &line.to_string())).await?
    }
}

/// Appends one line, in one write.
fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    // Whoever put a pipe in its place is not waited for.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = options.custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    // Else a line that somebody is just writing would look like one that was left unfinished.
    flock(&file, FlockOperation::LockExclusive)?;
    let begin = if ends_a_line(&mut file)? { "" } else { "\n" };
    let line = format!("{begin}{line}\n");
    match file.write(line.as_bytes())? {
        whole if whole == line.len() => file.sync_data(),
        _ => Err(ErrorKind::StorageFull.into()),
    }
}

/// Nothing was left unfinished before.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_left_unfinished_ends_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"whole\": 1}\n{\"half\": ").unwrap();
        append(&path, "{\"next\": 1}").unwrap();
        append(&path, "{\"last\": 1}").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let wanted = ["{\"whole\": 1}", "{\"half\": ", "{\"next\": 1}", "{\"last\": 1}"];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let fifo = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(fifo.success());
        assert_eq!(append(&path, "{}").unwrap_err().to_string(), "it is no regular file");
    }

    #[test]
    fn lines_of_several_writers_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/audit.jsonl");
        let lines = 10;
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let text = json!({ "writer": writer, "text": "x".repeat(20_000) }).to_string();
                    (0..lines).for_each(|_| append(path, &text).unwrap());
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4 * lines);
        for line in text.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
