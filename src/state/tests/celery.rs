//! [`Rules::Celery`] against what Celery's own `State` made of the same streams
//! (`tests/fixtures/state.py`).

use crate::celery::instant;
use crate::state::task::{Fact, Task};
use crate::state::worker::Worker;
use crate::state::{Kind, Observation, Rules, State, observation::seconds};
use serde_json::{Map, Value, json};

#[test]
fn celerys_rules_are_celerys() {
    let text = include_str!("../../../tests/fixtures/state/streams.json");
    let streams: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(streams.len() > 300);
    let wrong: Vec<String> = streams.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{} differ, first {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
}

fn differences(stream: &Value) -> Vec<String> {
    let state = play(stream);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, ours: Value, celerys: &Value| {
        if floats(&ours) != floats(celerys) {
            wrong.push(format!("{}: {what}: ours {ours}, Celery's {celerys}", stream["name"]));
        }
    };
    let tasks = stream["tasks"].as_object().unwrap();
    for (uuid, theirs) in tasks {
        let ours = state.tasks.get(uuid).as_ref().map_or(Value::Null, task);
        compare(uuid, ours, &comparable(theirs));
    }
    compare("tasks", state.tasks.len().into(), &tasks.len().into());
    let workers = stream["workers"].as_object().unwrap();
    for (hostname, theirs) in workers {
        let ours = state.workers.get(hostname.as_str()).map_or(Value::Null, worker);
        compare(hostname, ours, theirs);
    }
    compare("workers", state.workers.len().into(), &workers.len().into());
    wrong
}

fn play(stream: &Value) -> State {
    let mut state = State::new(Rules::Celery, usize::MAX);
    let events = stream["events"].as_array().unwrap();
    for (event, received) in events.iter().zip(stream["local_received"].as_array().unwrap()) {
        let event = serde_json::from_value(event.clone()).unwrap();
        let seen = seconds::to_micros(received.as_f64().unwrap());
        state.apply(&Observation { seen, kind: Kind::Event(event) });
    }
    state
}

/// Celery's fields without those that a record of ours does not hold; times as numbers.
fn comparable(theirs: &Value) -> Value {
    let mut fields = theirs.as_object().unwrap().clone();
    for name in ["client", "terminated", "signum", "expired", "requeue"] {
        fields.remove(name);
    }
    for name in ["eta", "expires"] {
        if let Some(time) = fields.get_mut(name) {
            *time = json!(time.as_str().and_then(instant));
        }
    }
    Value::Object(fields)
}

fn task(task: &Task) -> Value {
    fn text<T: AsRef<str>>(fact: &Option<Fact<T>>) -> Value {
        json!(fact.as_ref().map(|fact| fact.value.as_ref()))
    }
    fn number<T: Copy + serde::Serialize>(fact: &Option<Fact<T>>) -> Value {
        json!(fact.as_ref().map(|fact| fact.value))
    }
    let run = &task.current;
    let fields = json!({
        "name": text(&task.name), "state": run.state.as_str(), "sent": number(&task.sent),
        "received": number(&run.times.received), "started": number(&run.times.started),
        "succeeded": number(&run.times.succeeded), "failed": number(&run.times.failed),
        "retried": number(&run.times.retried), "revoked": number(&run.times.revoked),
        "rejected": number(&run.times.rejected), "args": text(&task.args),
        "kwargs": text(&task.kwargs), "eta": number(&task.eta), "expires": number(&task.expires),
        "retries": number(&run.retries), "result": text(&run.result),
        "exception": text(&run.exception), "timestamp": run.timestamp,
        "runtime": number(&run.runtime), "traceback": text(&run.traceback),
        "queue": text(&task.queue), "exchange": text(&task.exchange),
        "routing_key": text(&task.routing_key), "root_id": text(&task.root_id),
        "parent_id": text(&task.parent_id), "worker": text(&run.worker),
    });
    known(fields)
}

fn worker(worker: &Worker) -> Value {
    let beats = worker.heartbeats.iter().copied().map(seconds::from_micros);
    let fields = json!({
        "pid": worker.pid, "freq": worker.freq.map_or(json!(60), |freq| json!(freq)),
        "heartbeats": beats.collect::<Vec<_>>(), "active": worker.active,
        "processed": worker.processed, "loadavg": worker.loadavg,
        "sw_ident": worker.software.ident, "sw_ver": worker.software.version,
        "sw_sys": worker.software.system,
    });
    known(fields)
}

/// Every number as a float: Python writes 7 where we hold 7.0.
fn floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(floats).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), floats(value))).collect()
        }
        other => other.clone(),
    }
}

fn known(fields: Value) -> Value {
    let fields: Map<String, Value> = match fields {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}
