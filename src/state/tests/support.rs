//! A state that is told things in the shape of a recording.

use crate::state::{Changes, Noun, Observation, Query, Rules, State};
use serde_json::{Value, json};

/// A state, with a budget that nothing here reaches.
pub struct Lab {
    pub state: State,
}

impl Lab {
    pub fn new() -> Lab {
        Lab::with(Rules::Ours, usize::MAX)
    }

    pub fn with(rules: Rules, budget: usize) -> Lab {
        Lab { state: State::new(rules, budget) }
    }

    /// Applies one observation, written as a recording holds it.
    pub fn see(&mut self, at: f64, kind: Value) -> Changes {
        let mut observation = kind;
        observation["seen"] = at.into();
        let text = observation.to_string();
        let observation: Observation =
            serde_json::from_value(observation).unwrap_or_else(|error| panic!("{error}: {text}"));
        self.state.apply(&observation)
    }

    pub fn event(&mut self, at: f64, event: Value) -> Changes {
        self.see(at, json!({ "event": event }))
    }

    /// A task event of `t` from `w1@lab`, heard the moment it happened.
    pub fn task_event(&mut self, at: f64, kind: &str, more: Value) -> Changes {
        self.event(at, event(kind, at, more))
    }

    pub fn beat(&mut self, at: f64, hostname: &str, pid: i64) -> Changes {
        self.event(
            at,
            json!({"type": "worker-heartbeat", "hostname": hostname, "timestamp": at, "pid": pid,
                   "freq": 2.0, "active": 0, "processed": 0}),
        )
    }

    pub fn inspect(&mut self, at: f64, hostname: &str, reply: Value) -> Changes {
        self.see(at, json!({"inspect": {"hostname": hostname, "reply": reply}}))
    }

    pub fn tick(&mut self, at: f64) -> Changes {
        self.see(at, json!({ "tick": null }))
    }

    pub fn task(&self, uuid: &str) -> Value {
        self.row(Noun::Task, uuid)
    }

    pub fn worker(&self, hostname: &str) -> Value {
        self.row(Noun::Worker, hostname)
    }

    pub fn queue(&self, name: &str) -> Value {
        self.row(Noun::Queue, name)
    }

    pub fn row(&self, noun: Noun, key: &str) -> Value {
        self.state.row(noun, key).unwrap_or(Value::Null)
    }

    /// What `task/get` shows.
    pub fn details(&self, uuid: &str) -> Value {
        let told = self.state.task(uuid, false, |details| serde_json::to_value(details).unwrap());
        told.unwrap_or(Value::Null)
    }

    pub fn keys(&self, noun: Noun, query: Query) -> Vec<String> {
        let query = Query { limit: query.limit.max(1000), ..query };
        let page = self.state.window(noun, &query).unwrap();
        page.keys.into_iter().map(|(key, _)| key).collect()
    }
}

/// A task event as Celery publishes it, of the task `t`; `more` adds and replaces fields.
pub fn event(kind: &str, at: f64, more: Value) -> Value {
    let client = kind == "sent";
    let mut event = json!({
        "type": format!("task-{kind}"), "uuid": "t", "timestamp": at, "clock": 1,
        "hostname": if client { "gen9@web" } else { "w1@lab" }, "pid": 7,
    });
    if kind == "sent" || kind == "received" {
        event["name"] = "lab.add".into();
        event["retries"] = 0.into();
        event["args"] = "(1, 2)".into();
        event["kwargs"] = "{}".into();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}
