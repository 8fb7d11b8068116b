//! A child process in a group of its own, ended with the test, its output kept where that failed.

use super::wait::{wait_until, wait_within};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A running program. Its group is killed when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts it with no input, standard output and error going to [`Process::log`].
    pub fn spawn(name: &str, command: &mut Command) -> Process {
        command.stdin(Stdio::null());
        Process::spawn_with_input(name, command)
    }

    /// Likewise, with what the caller chose as input.
    pub fn spawn_with_input(name: &str, command: &mut Command) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command
            // What it leaves behind when it is killed goes with it, such as `pymp-*` of a worker's pool.
            .env("TMPDIR", folder.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Process { name: name.into(), child, folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|text| String::from_utf8_lossy(&text).into()).unwrap()
    }

    /// Waits until it prints `text`, or fails with what it printed.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        let what = format!("{} to print {text:?}", self.name);
        wait_until(&what, || {
            if self.log().contains(text) {
                return Ok(());
            }
            assert!(!self.ended(), "{} ended early:\n{}", self.name, self.log());
            Err(self.log())
        });
    }

    /// Has the process itself ended?
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait(&mut self, bound: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_within(bound, &what, || self.child.try_wait().unwrap())
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.unix_pid(), signal).unwrap();
    }

    /// SIGKILL to the whole group, and waits for its leader.
    pub fn kill(&mut self) {
        // An error means that the group is gone already.
        let _ = kill_process_group(self.unix_pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    fn unix_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            keep(&self.name, &self.log_file());
        }
    }
}

/// Keeps a failed test's log in the target folder, and says where.
fn keep(name: &str, log: &Path) {
    let test = thread::current().name().unwrap_or("test").replace("::", ".");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("logs");
    let kept = folder.join(format!("{test}.{name}.log"));
    if fs::create_dir_all(&folder).and_then(|()| fs::copy(log, &kept)).is_ok() {
        let _ = writeln!(std::io::stderr(), "log of {name}: {}", kept.display());
    }
}

/// A port that nothing listens on, given to nobody else in this run.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}
