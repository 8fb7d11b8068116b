//! Messages are removed from queues, moved and put back: each is saved first, and none is lost.

mod broker_killed;
mod killed;
mod purge;
mod single;
mod whole;

use crate::support::celery::{App, Sender};
use crate::support::redis::Redis;
use crate::support::server::Server;
use ::redis::{Client, Connection};
use base64_simd::STANDARD;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands between a queue's name and a priority step.
const SEP: &str = "\x06\x16";

/// A message as Celery's own client writes it, to make others from.
struct Template {
    text: String,
    uuid: String,
    tag: String,
}

impl Template {
    /// Of a task that is sent to a queue and taken from there again.
    fn of(redis: &Redis, task: &str, args: Value) -> Template {
        let mut sender = Sender::start(redis, App::Default);
        let uuid = sender.send_with(task, args, json!({ "queue": "template" }));
        let text: String = redis.command(&["RPOP", "template"]);
        let message: Value = serde_json::from_str(&text).unwrap();
        let tag = message["properties"]["delivery_tag"].as_str().unwrap().to_owned();
        Template { text, uuid, tag }
    }

    /// The message of another task, for a queue.
    fn message(&self, name: &str, queue: &str) -> String {
        let text = self.text.replace(&self.uuid, name).replace(&self.tag, &format!("tag-{name}"));
        text.replace("\"template\"", &format!("\"{queue}\""))
    }

    /// Fills a queue as producers do: the first one is the next to run. Answers what stands there.
    fn fill(&self, redis: &Redis, queue: &str, key: &str, names: &[String]) -> Vec<Vec<u8>> {
        let mut line = line(redis);
        for names in names.chunks(500) {
            let mut pipe = ::redis::pipe();
            for name in names {
                pipe.lpush(key, self.message(name, queue)).ignore();
            }
            pipe.query::<()>(&mut line).unwrap();
        }
        list(redis, key)
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

fn line(redis: &Redis) -> Connection {
    Client::open(redis.url(0)).unwrap().get_connection().unwrap()
}

/// Declares a queue as Celery's client does.
fn bind(redis: &Redis, queue: &str) {
    let member = format!("{queue}{SEP}{SEP}{queue}");
    redis.command::<u64>(&["SADD", &format!("_kombu.binding.{queue}"), &member]);
}

/// A list, newest first.
fn list(redis: &Redis, key: &str) -> Vec<Vec<u8>> {
    ::redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut line(redis)).unwrap()
}

/// The task of a raw message.
fn task(raw: &[u8]) -> String {
    let message: Value = serde_json::from_slice(raw).unwrap();
    message["headers"]["id"].as_str().unwrap().to_owned()
}

/// The lines of a recovery file; one that was left unfinished is none.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Every recovery file of a server.
fn files(home: &Path) -> Vec<PathBuf> {
    let folder = home.join("state/lazycelery/recovery");
    let found = fs::read_dir(folder).map(|files| files.map(|file| file.unwrap().path()));
    found.into_iter().flatten().collect()
}

/// Raw bytes of all that a file has saved, in order.
fn saved(path: &Path) -> Vec<Vec<u8>> {
    let raws = lines(path).into_iter().filter_map(|line| {
        let raw = line["saved"]["raw"].as_str()?.to_owned();
        Some(STANDARD.decode_to_vec(raw).unwrap())
    });
    raws.collect()
}

#[track_caller]
fn call(server: &mut Server, method: &str, params: Value) -> Value {
    server.call(method, params).unwrap_or_else(|error| panic!("{method}: {error:#}"))
}

/// The kinds of an answer's warnings.
fn kinds(answer: &Value) -> HashSet<&str> {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning["kind"].as_str().unwrap()).collect()
}
