//! A private Redis server: a free port, a folder of its own, nothing written to disk.

use super::process::{Process, free_port};
use super::tool;
use super::wait::wait_until;
use ::redis::{Client, FromRedisValue};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;

pub struct Redis {
    port: u16,
    folder: TempDir,
    process: Mutex<Process>,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// Likewise, with further options.
    pub fn start_with(options: &[&str]) -> Redis {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let process = Mutex::new(spawn(port, &folder, options));
        let redis = Redis { port, folder, process };
        redis.wait_for_answer();
        redis
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT/DB`
    pub fn url(&self, db: u8) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// SIGKILL: every connection is cut, everything it held is lost.
    pub fn kill(&self) {
        self.process.lock().unwrap().kill();
    }

    /// Starts it again on the same port, with what was saved.
    pub fn restart(&self) {
        self.restart_with(&[]);
        self.wait_for_answer();
    }

    /// Likewise, with further options, and does not wait for an answer.
    pub fn restart_with(&self, options: &[&str]) {
        self.kill();
        *self.process.lock().unwrap() = spawn(self.port, &self.folder, options);
    }

    /// Sends one command to db 0.
    #[track_caller]
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.command_in(0, words)
    }

    /// Likewise to another db.
    #[track_caller]
    pub fn command_in<T: FromRedisValue>(&self, db: u8, words: &[&str]) -> T {
        self.try_command(db, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// What is answered to a line as people type it, quotes and escapes included.
    #[track_caller]
    pub fn typed(&self, line: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Cuts every other connection, logged in with a password of the default user.
    pub fn kill_clients(&self, password: &str) {
        let url = format!("redis://:{password}@127.0.0.1:{}/0", self.port);
        let mut connection = Client::open(url).unwrap().get_connection().unwrap();
        for kind in ["normal", "pubsub"] {
            let mut kill = ::redis::cmd("CLIENT");
            kill.arg(&["KILL", "TYPE", kind, "SKIPME", "yes"]);
            kill.query::<i64>(&mut connection).unwrap();
        }
    }

    /// Follows every command that any client sends from now on.
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self.port)
    }

    fn try_command<T: FromRedisValue>(&self, db: u8, words: &[&str]) -> ::redis::RedisResult<T> {
        let mut connection = Client::open(self.url(db))?.get_connection()?;
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    fn wait_for_answer(&self) {
        wait_until("Redis to answer", || {
            let process = &mut *self.process.lock().unwrap();
            assert!(!process.ended(), "Redis ended: {}", process.log());
            self.try_command::<String>(0, &["PING"])
        });
    }
}

fn spawn(port: u16, folder: &TempDir, options: &[&str]) -> Process {
    let mut command = Command::new(tool("redis-server"));
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--port", &port.to_string()]).arg("--dir").arg(folder.path());
    command.args(options);
    Process::spawn("redis", &mut command)
}

/// The lines of MONITOR so far. Dropping it stops the following.
pub struct Monitor {
    socket: TcpStream,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    fn start(port: u16) -> Monitor {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        socket.write_all(b"MONITOR\r\n").unwrap();
        let mut accepted = String::new();
        reader.read_line(&mut accepted).unwrap();
        assert_eq!(accepted.trim(), "+OK");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        thread::spawn(move || {
            for line in reader.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                kept.lock().unwrap().push(line.trim_end().trim_start_matches('+').to_owned());
            }
        });
        Monitor { socket, lines }
    }

    /// Like `1795494198.9 [0 127.0.0.1:50000] "LLEN" "celery"`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}
