//! A client over in-memory pipes, and the method table that the tests serve to it.

use crate::error::Error;
use crate::server::{Ended, Session, Written, serve};
use jsonrpsee::RpcModule;
use jsonrpsee::core::server::{Extensions, Methods, PendingSubscriptionSink, ResponsePayload};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// Long enough for a loaded machine; nothing waits for it unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the handlers of a test tell it, and wait for.
#[derive(Default)]
pub struct World {
    pub subscribed: AtomicUsize,
    pub sent: AtomicUsize,
    pub started: AtomicUsize,
    pub go: Notify,
}

/// A client whose answers are read by a thread, so that a test never waits for ever.
pub struct Client {
    pub requests: Option<PipeWriter>,
    pub answers: Receiver<String>,
    pub ended: Receiver<Ended>,
    pub world: Arc<World>,
    pub session: Arc<Session>,
    _runtime: Runtime,
}

impl Client {
    pub fn new() -> Self {
        let (client, mut answers) = Client::deaf();
        let (sender, receiver) = channel();
        thread::spawn(move || {
            while let Some(answer) = read_line(&mut answers) {
                let _ = sender.send(answer);
            }
        });
        Client { answers: receiver, ..client }
    }

    /// A client that does not read its answers.
    pub fn deaf() -> (Self, BufReader<PipeReader>) {
        let runtime = Runtime::new().unwrap();
        let (read, requests) = pipe().unwrap();
        let (answers, write) = pipe().unwrap();
        let world = Arc::new(World::default());
        let session = Session::new();
        let served = serve(read, write, methods(&world), Arc::clone(&session));
        let (end, ended) = channel();
        runtime.spawn(async move { end.send(served.await) });
        let (_, nothing) = channel();
        let client = Client {
            requests: Some(requests),
            answers: nothing,
            ended,
            world,
            session,
            _runtime: runtime,
        };
        (client, BufReader::new(answers))
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.requests.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn say(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    pub fn call(&mut self, id: u64, method: &str, params: Value) {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.say(&call.to_string());
    }

    pub fn hear(&self) -> Value {
        serde_json::from_str(&self.answers.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    pub fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.call(id, method, params);
        self.hear()
    }

    /// Whether that ended a feed, which may still have spoken before the answer.
    pub fn unsubscribe(&mut self, id: u64, method: &str, params: Value) -> bool {
        self.call(id, method, params);
        loop {
            let heard = self.hear();
            if heard.get("id").is_some() {
                return heard["result"].as_bool().unwrap();
            }
        }
    }

    /// Ends the input; everything that is still said until the end.
    pub fn rest(&mut self) -> Vec<Value> {
        self.requests = None;
        let mut rest = Vec::new();
        loop {
            match self.answers.recv_timeout(PATIENCE) {
                Ok(answer) => rest.push(serde_json::from_str(&answer).unwrap()),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("no end, after {rest:?}"),
            }
        }
    }

    pub fn end(&self) -> Ended {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }
}

pub fn read_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (from.read_line(&mut line).unwrap() > 0).then_some(line)
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The method table of the tests: those of the specification's examples, and the wicked ones.
fn methods(world: &Arc<World>) -> Methods {
    #[derive(Deserialize)]
    struct Subtract {
        minuend: i64,
        subtrahend: i64,
    }
    let mut module = RpcModule::from_arc(Arc::clone(world));
    module
        .register_method("subtract", |params, _, _| {
            params.parse().map(|Subtract { minuend, subtrahend }| minuend - subtrahend)
        })
        .unwrap();
    module
        .register_method("sum", |params, _, _| {
            params.parse::<Vec<i64>>().map(|terms| terms.iter().sum::<i64>())
        })
        .unwrap();
    module.register_method("get_data", |_, _, _| json!(["hello", 5])).unwrap();
    for name in ["update", "notify_hello", "notify_sum"] {
        module.register_method(name, |_, _, _| Value::Null).unwrap();
    }
    module
        .register_async_method("hang", |_, world, _| async move {
            world.started.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Value>().await
        })
        .unwrap();
    module
        .register_async_method("wait", |_, world, _| async move {
            world.go.notified().await;
            json!("waited")
        })
        .unwrap();
    module.register_method("panic", |_, _, _| -> Value { panic!("on purpose") }).unwrap();
    module
        .register_method("big", |params, _, _| params.one::<usize>().map(|size| "x".repeat(size)))
        .unwrap();
    module
        .register_method("lines", |_, _, _| {
            ResponsePayload::success(RawValue::from_string("[1,\r\n2]".into()).unwrap())
        })
        .unwrap();
    module
        .register_method("shutdown", |_, _, extensions| {
            Session::of(extensions).shut_down();
            Value::Null
        })
        .unwrap();
    register_feeds(&mut module);
    module.into()
}

fn register_feeds(module: &mut RpcModule<World>) {
    module
        .register_subscription(
            "count/subscribe",
            "count/changed",
            "count/unsubscribe",
            |_, pending, world, extensions| count(pending, world, extensions),
        )
        .unwrap();
    module
        .register_subscription("drop/subscribe", "drop/changed", "drop/unsubscribe", {
            |_, pending, _, _| async move { drop(pending) }
        })
        .unwrap();
    module
        .register_subscription("no/subscribe", "no/changed", "no/unsubscribe", {
            |_, pending, _, _| async move {
                pending.reject(Error::Undecodable { content_type: "x".into() }).await;
            }
        })
        .unwrap();
}

/// Counts up for ever, each number only after the one before it was written.
async fn count(pending: PendingSubscriptionSink, world: Arc<World>, extensions: Extensions) {
    let mut written = Written::of(&extensions);
    let Ok(sink) = pending.accept().await else { return };
    world.subscribed.fetch_add(1, Ordering::SeqCst);
    for number in 1_u64.. {
        let json = serde_json::value::to_raw_value(&number).unwrap();
        if sink.send(json).await.is_err() || !written.reaches(number).await {
            break;
        }
        world.sent.fetch_add(1, Ordering::SeqCst);
    }
    world.subscribed.fetch_sub(1, Ordering::SeqCst);
}

/// An answer without its wording: the sentences are no contract.
pub fn bare(mut answer: Value) -> Value {
    let answers = match &mut answer {
        Value::Array(answers) => answers.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    for error in answers.iter_mut().filter_map(|answer| answer.get_mut("error")) {
        *error = error["code"].clone();
    }
    answer
}
