//! Real Celery workers, and a client that sends them tasks. The application is `lab/`.

use super::process::Process;
use super::redis::Redis;
use super::{root, tool};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Which settings the application runs with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum App {
    /// Celery's defaults: what most clusters in the world run.
    #[default]
    Default,
    /// `task_send_sent_event`, `result_extended` and `task_track_started` are on.
    Talkative,
    /// Arguments may be pickled.
    Pickling,
    /// A Broadcast queue, `notices`, beside the ordinary one.
    Broadcasting,
    /// Messages that are not acknowledged within two seconds are handed out again.
    Impatient,
    /// The result backend is set by the application, not by the environment: as user `lab`, with
    /// the password `lab-secret`.
    Configured,
}

impl App {
    fn module(self) -> &'static str {
        match self {
            App::Default => "lab.app",
            App::Talkative => "lab.talkative",
            App::Broadcasting => "lab.broadcasting",
            App::Impatient => "lab.impatient",
            App::Pickling => "lab.pickling",
            App::Configured => "lab.configured",
        }
    }
}

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node is called `<name>@lab`.
    pub name: &'static str,
    /// `prefork`, `threads`, `solo`.
    pub pool: &'static str,
    pub concurrency: usize,
    pub queues: &'static [&'static str],
    /// `-E`
    pub events: bool,
    pub app: App,
    /// The broker's port, where the worker reaches it by another line.
    pub broker: Option<u16>,
    /// Further arguments of `celery worker`.
    pub extra: &'static [&'static str],
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: "w1",
            pool: "prefork",
            concurrency: 2,
            queues: &["celery"],
            events: true,
            app: App::Default,
            broker: None,
            extra: &[],
        }
    }
}

pub struct CeleryWorker {
    name: &'static str,
    process: Process,
}

impl CeleryWorker {
    /// Starts one and waits until it is ready.
    pub fn start(redis: &Redis, options: Options) -> CeleryWorker {
        let mut worker = CeleryWorker::launch(redis, options);
        worker.wait_until_ready();
        worker
    }

    /// Starts one and does not wait, so that several come up together.
    pub fn launch(redis: &Redis, options: Options) -> CeleryWorker {
        let mut command = Command::new(tool("celery"));
        surroundings(&mut command, redis);
        if let Some(port) = options.broker {
            command.env("CELERY_BROKER_URL", format!("redis://127.0.0.1:{port}/0"));
        }
        command.args(["-A", options.app.module(), "worker", "--loglevel", "INFO"]);
        command.args(["-n", &format!("{}@lab", options.name), "-P", options.pool]);
        command.args(["-c", &options.concurrency.to_string(), "-Q", &options.queues.join(",")]);
        command.args(options.events.then_some("-E")).args(options.extra);
        CeleryWorker { name: options.name, process: Process::spawn(options.name, &mut command) }
    }

    pub fn wait_until_ready(&mut self) {
        self.process.wait_for_log(&format!("{} ready.", self.hostname()));
    }

    /// `w1@lab`
    pub fn hostname(&self) -> String {
        format!("{}@lab", self.name)
    }

    /// Of the worker itself, not of its pool.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// SIGKILL to the worker and its pool: nobody says goodbye.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: it keeps its connections and says nothing.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// SIGTERM, the warm shutdown, and waits for its end.
    pub fn term(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait(super::wait::PATIENCE);
    }
}

/// A worker of Celery 3.1, as far as it tells of itself: `elder@lab`, which reads the queue `old`.
pub struct Elder(#[allow(dead_code)] Process);

impl Elder {
    pub fn start(redis: &Redis) -> Elder {
        let mut command = Command::new(tool("python"));
        surroundings(&mut command, redis);
        command.args(["-m", "lab.elder"]);
        Elder(Process::spawn("elder", &mut command))
    }
}

/// A long-lived client process: sending costs a millisecond, not a Python start.
pub struct Sender {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sender {
    pub fn start(redis: &Redis, app: App) -> Sender {
        let mut command = Command::new(tool("python"));
        surroundings(&mut command, redis);
        command.args(["-m", "lab.sender", app.module()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Sender { child, requests, answers }
    }

    /// Sends one task; answers its id.
    #[track_caller]
    pub fn send(&mut self, task: &str, args: Value) -> String {
        self.send_with(task, args, json!({}))
    }

    /// Likewise, with `kwargs` and everything else that `apply_async` takes by name.
    #[track_caller]
    pub fn send_with(&mut self, task: &str, args: Value, options: Value) -> String {
        let ids = self.ask(&json!({ "task": task, "args": args, "options": options }));
        ids[0].as_str().unwrap().to_owned()
    }

    /// Sends one of the workflows in `lab/workflows.py`; answers the ids it knows, the last one first.
    #[track_caller]
    pub fn workflow(&mut self, name: &str) -> Vec<String> {
        self.workflow_with(name, json!([]))
    }

    /// Likewise, one that takes arguments.
    #[track_caller]
    pub fn workflow_with(&mut self, name: &str, args: Value) -> Vec<String> {
        let ids = self.ask(&json!({ "workflow": name, "args": args }));
        ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// The state and the result of a task, as Celery's own client sees them.
    #[track_caller]
    pub fn result(&mut self, uuid: &str) -> (String, Value) {
        let mut told = self.ask(&json!({ "result": uuid }));
        (told[0].as_str().unwrap().to_owned(), told[1].take())
    }

    /// What so many workers answer to one of Celery's inspect methods.
    #[track_caller]
    pub fn inspect(&mut self, method: &str, workers: usize) -> Value {
        self.ask(&json!({ "inspect": method, "workers": workers }))
    }

    #[track_caller]
    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer)
            .unwrap_or_else(|_| panic!("the sender ended at {request}; its error stands above"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn surroundings(command: &mut Command, redis: &Redis) {
    command
        .current_dir(root().join("tests/support"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Workers that accept pickle refuse to run as root, as tests do in a container.
        .env("C_FORCE_ROOT", "1")
        .env("CELERY_BROKER_URL", redis.url(0))
        .env("CELERY_RESULT_BACKEND", redis.url(1));
}
