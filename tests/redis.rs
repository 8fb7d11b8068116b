//! The real binary against a real Redis and real Celery workers, mostly on Celery's defaults.

mod backend;
mod check;
mod editing;
mod exporting;
mod guards;
mod jobs;
mod outages;
mod queues;
mod recordings;
mod replies;
mod retrying;
mod revoking;
mod secrets;
mod sending;
mod tasks;
mod weather;
mod workers;

use crate::support::server::Server;
use crate::support::wait::wait_until;
use serde_json::{Value, json};

/// The rows of a list, or the failure of the call.
#[track_caller]
fn rows(server: &mut Server, method: &str, params: Value) -> Vec<Value> {
    let answer = server.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
    answer["rows"].as_array().unwrap_or_else(|| panic!("{method} answered {answer}")).clone()
}

/// Waits until the row of that key passes `look`; answers the row.
#[track_caller]
fn wait_for_row(
    server: &mut Server,
    method: &str,
    key: &str,
    look: impl Fn(&Value) -> bool,
) -> Value {
    wait_until(&format!("{key} in {method}"), || {
        let rows = match server.call(method, json!({ "limit": 1000 })) {
            Ok(answer) => answer["rows"].clone(),
            Err(error) => return Err(error),
        };
        let row = rows.as_array().into_iter().flatten().find(|row| row["key"] == key).cloned();
        row.filter(&look).ok_or(rows)
    })
}

/// Waits until a task's details pass `look`; answers them.
#[track_caller]
fn wait_for_task(server: &mut Server, uuid: &str, look: impl Fn(&Value) -> bool) -> Value {
    wait_until(&format!("task {uuid}"), || {
        let task = server.call("task/get", json!({ "uuid": uuid }))?;
        if look(&task) { Ok(task) } else { Err(task) }
    })
}

/// Waits until the environment's row passes `look`; answers it.
#[track_caller]
fn wait_for_environment(server: &mut Server, look: impl Fn(&Value) -> bool) -> Value {
    wait_until("the environment", || {
        let row = rows(server, "environment/list", json!({})).swap_remove(0);
        if look(&row) { Ok(row) } else { Err(row) }
    })
}

/// The rule by which an action is forbidden; `None` where it is let through. Nobody listens to it.
#[track_caller]
fn refusal(server: &mut Server) -> Option<String> {
    let params = json!({ "method": "enable_events", "timeout": 0.1 });
    let error = server.call("worker/control", params).unwrap_err();
    match error["data"]["kind"].as_str().unwrap_or_default() {
        "no_reply" => None,
        "forbidden" => Some(error["data"]["rule"].as_str().unwrap().to_owned()),
        _ => panic!("{error}"),
    }
}

/// A list of texts.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
