//! The real binary over stdio, as a client sees it.

use super::wait::{PATIENCE, wait_until};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The binary under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lazycelery");

/// How messages are told apart on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON text a line.
    Lines,
    /// `Content-Length` headers, the base protocol of LSP.
    ContentLength,
}

/// A `lazycelery` that knows nothing of this user: its configuration, state and home are empty
/// folders, its time zone is UTC, and no variable names a broker.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_remove("CELERY_BROKER_URL")
        .env_remove("CELERY_RESULT_BACKEND")
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("TZ", "UTC")
        .current_dir(home);
    command
}

/// A home whose configuration file is `text`.
pub fn configured(text: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("config/lazycelery")).unwrap();
    fs::write(home.path().join("config/lazycelery/config.toml"), text).unwrap();
    home
}

/// A running server. Dropping it ends its input, and fails unless it ends by itself, saying nothing
/// on standard error.
pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    notifications: VecDeque<Value>,
    framing: Framing,
    patience: Duration,
    next_id: u64,
    ended: bool,
    home: TempDir,
}

impl Server {
    /// Starts one that speaks in lines.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        Server::start_with(Framing::Lines, arguments, environment)
    }

    /// Starts one on a broker and result backend.
    pub fn on(redis: &super::redis::Redis) -> Server {
        Server::start(&["--broker", &redis.url(0), "--backend", &redis.url(1)], &[])
    }

    pub fn start_with(
        framing: Framing,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Server {
        Server::start_in(tempfile::tempdir().unwrap(), framing, arguments, environment)
    }

    /// Likewise, at home in a folder that the caller has filled: relative paths start there.
    pub fn start_in(
        home: TempDir,
        framing: Framing,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Server {
        let mut child = command(home.path())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(home.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            while let Some(message) = read_message(&mut output, framing) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Server {
            input: child.stdin.take(),
            child,
            messages,
            notifications: VecDeque::new(),
            framing,
            patience: PATIENCE,
            next_id: 1,
            ended: false,
            home,
        }
    }

    /// Waits longer from now on: what is awaited takes its time by definition.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder that is its home; its state is in `state/lazycelery`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Calls a method and waits for its answer: the result, or the error object.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.next_message(method);
            if message["id"] == id {
                return match message.get_mut("error") {
                    Some(error) => Err(error.take()),
                    None => Ok(message["result"].take()),
                };
            }
            self.notifications.push_back(message);
        }
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Subscribes (`worker/subscribe`, `task/watch` …); answers the subscription's number.
    #[track_caller]
    pub fn subscribe(&mut self, method: &str, params: Value) -> u64 {
        let answer = self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
        answer.as_u64().unwrap_or_else(|| panic!("{method} answered {answer}"))
    }

    /// The next notification, whatever it is about.
    #[track_caller]
    pub fn next_notification(&mut self) -> Value {
        match self.notifications.pop_front() {
            Some(kept) => kept,
            None => self.next_message("a notification"),
        }
    }

    /// The next `params` of one subscription; the others' are kept.
    #[track_caller]
    pub fn next_of(&mut self, subscription: u64) -> Value {
        let ours = |message: &Value| message["params"]["subscription"] == subscription;
        if let Some(at) = self.notifications.iter().position(ours) {
            return self.notifications.remove(at).unwrap()["params"].take();
        }
        loop {
            let mut message = self.next_message("a notification of this subscription");
            if ours(&message) {
                return message["params"].take();
            }
            self.notifications.push_back(message);
        }
    }

    /// Follows a feed until what it shows passes `look`; answers that.
    #[track_caller]
    pub fn follow<T>(
        &mut self,
        feed: &mut Feed,
        what: &str,
        mut look: impl FnMut(&Feed) -> Option<T>,
    ) -> T {
        let until = Instant::now() + self.patience;
        loop {
            if let Some(found) = look(feed) {
                return found;
            }
            assert!(Instant::now() < until, "waited for {what}; last shown: {:#?}", feed.rows());
            let params = self.next_of(feed.subscription);
            feed.take(&params);
        }
    }

    /// One message, in this server's framing.
    pub fn send(&mut self, message: &Value) {
        let text = message.to_string();
        match self.framing {
            Framing::Lines => self.send_bytes(format!("{text}\n").as_bytes()),
            Framing::ContentLength => {
                let head = format!("Content-Length: {}\r\n\r\n", text.len());
                self.send_bytes((head + &text).as_bytes());
            }
        }
    }

    /// Bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input has been ended");
        input.write_all(bytes).and_then(|()| input.flush()).unwrap();
    }

    /// The next message, or `None` at the end of output.
    #[track_caller]
    pub fn read(&mut self) -> Option<Value> {
        match self.messages.recv_timeout(self.patience) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the server said nothing for {:?}", self.patience)
            }
        }
    }

    /// The next message, where one comes within `bound`.
    pub fn read_within(&mut self, bound: Duration) -> Option<Value> {
        self.messages.recv_timeout(bound).ok()
    }

    /// SIGKILL, and its end; its home stays as long as this does.
    pub fn kill(&mut self) {
        self.ended = true;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Ends its input and waits for its end; answers whatever it still said.
    #[track_caller]
    pub fn finish(&mut self) -> (Vec<Value>, ExitStatus) {
        self.ended = true;
        self.end_input();
        let mut last: Vec<Value> = self.notifications.drain(..).collect();
        while let Some(message) = self.read() {
            last.push(message);
        }
        let what = "the server to end with its output";
        let status = wait_until(what, || self.child.try_wait().unwrap());
        assert_eq!(self.standard_error(), "", "standard error stays empty");
        (last, status)
    }

    #[track_caller]
    fn next_message(&mut self, what: &str) -> Value {
        self.read().unwrap_or_else(|| {
            panic!("the server ended before {what} came: {}", self.standard_error())
        })
    }

    fn standard_error(&self) -> String {
        fs::read_to_string(self.home.path().join("stderr")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else if !self.ended {
            let (_, status) = self.finish();
            assert!(status.success(), "it ended with {status}");
        }
    }
}

fn read_message(output: &mut impl BufRead, framing: Framing) -> Option<Value> {
    let text = match framing {
        Framing::Lines => {
            let mut line = String::new();
            (output.read_line(&mut line).ok()? > 0).then_some(line)?.into_bytes()
        }
        Framing::ContentLength => {
            let mut length = None;
            loop {
                let mut line = String::new();
                output.read_line(&mut line).ok().filter(|&read| read > 0)?;
                match line.trim_end().split_once(": ") {
                    Some(("Content-Length", value)) => length = value.parse().ok(),
                    Some(_) => {}
                    None => break,
                }
            }
            let mut text = vec![0; length.expect("a Content-Length")];
            output.read_exact(&mut text).ok()?;
            text
        }
    };
    let message = serde_json::from_slice(&text);
    Some(message.unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&text))))
}

/// What a client that follows a feed holds: the rows of the window, by key and in order.
#[derive(Debug, Default)]
pub struct Feed {
    pub subscription: u64,
    pub total: u64,
    keys: Vec<String>,
    rows: Map<String, Value>,
}

impl Feed {
    pub fn new(subscription: u64) -> Feed {
        Feed { subscription, ..Feed::default() }
    }

    /// Takes in one notification's `params`.
    #[track_caller]
    pub fn take(&mut self, params: &Value) {
        assert!(params.get("error").is_none(), "the feed ended: {params}");
        let result = &params["result"];
        for row in result["rows"].as_array().into_iter().flatten() {
            self.rows.insert(row["key"].as_str().unwrap().into(), row.clone());
        }
        if let Some(keys) = result["keys"].as_array() {
            self.keys = keys.iter().map(|key| key.as_str().unwrap().into()).collect();
        }
        self.total = result["total"].as_u64().unwrap_or(self.total);
    }

    /// The rows shown, in order.
    pub fn rows(&self) -> Vec<&Value> {
        self.keys.iter().filter_map(|key| self.rows.get(key)).collect()
    }

    /// One row, where it is shown.
    pub fn row(&self, key: &str) -> Option<&Value> {
        self.keys.iter().any(|shown| shown == key).then(|| self.rows.get(key)).flatten()
    }
}
