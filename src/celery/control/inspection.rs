//! What workers answer to the inspect methods, read leniently: a member that is odd is absent.

use crate::celery::{display, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one worker answered to one of the inspect methods that we ask by ourselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inspection {
    /// `ping`
    Ping,
    /// `stats`, whole, as the worker said it; see [`super::Stats`].
    Stats(Map<String, Value>),
    /// `active`, always asked with `safe: true`.
    Active(Vec<RequestInfo>),
    /// `reserved`
    Reserved(Vec<RequestInfo>),
    /// `scheduled`
    Scheduled(Vec<RequestInfo>),
    /// `registered`
    Registered(Vec<RegisteredTask>),
    /// `active_queues`
    ActiveQueues(Vec<ActiveQueue>),
    /// `conf`, secrets masked.
    Conf(Map<String, Value>),
    /// `revoked`
    Revoked(Vec<String>),
}

/// A task as `active`, `reserved` and `scheduled` describe it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestInfo {
    /// The task's id.
    pub uuid: String,
    /// Registered name.
    pub name: String,
    /// Display text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// Display text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kwargs: Option<String>,
    /// Unix seconds by the worker's clock; absent while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_start: Option<f64>,
    /// Pool process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_pid: Option<i64>,
    /// Already acknowledged.
    pub acknowledged: bool,
    /// From `delivery_info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<String>,
    /// From `delivery_info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// From `delivery_info`.
    pub redelivered: bool,
    /// ISO 8601; `scheduled` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
}

/// One entry of `registered`, e.g. `lab.limited [rate_limit=1/m]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RegisteredTask {
    /// Registered name.
    pub name: String,
    /// The `k=v` pairs; numbers and flags as such.
    pub info: Map<String, Value>,
}

/// One entry of `active_queues`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ActiveQueue {
    /// The queue's name on the broker.
    pub name: String,
    /// Its name in the application, where it differs (Broadcast queues).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The exchange's name; empty for the default exchange.
    pub exchange: String,
    /// direct, topic, fanout.
    pub exchange_type: String,
    /// Binding key.
    pub routing_key: String,
    /// The whole entry, as the worker said it.
    pub raw: Map<String, Value>,
}

impl Inspection {
    /// The methods that [`Inspection::read`] knows.
    pub const METHODS: [&str; 9] = [
        "ping",
        "stats",
        "active",
        "reserved",
        "scheduled",
        "registered",
        "active_queues",
        "conf",
        "revoked",
    ];

    /// Reads a worker's answer to `method`.
    ///
    /// # Errors
    /// The worker's own words where it answers `{"error": …}`, else a sentence.
    pub fn read(method: &str, value: &Value) -> Result<Inspection, String> {
        if let Some(error) = value.get("error").and_then(Value::as_str) {
            return Err(error.to_owned());
        }
        let odd = || format!("an odd answer to `{method}`");
        let items = || value.as_array().ok_or_else(odd);
        let members = || value.as_object().cloned().ok_or_else(odd);
        Ok(match method {
            "ping" => Inspection::Ping,
            "stats" => Inspection::Stats(members()?),
            "conf" => Inspection::Conf(members()?),
            "active" => Inspection::Active(items()?.iter().map(RequestInfo::read).collect()),
            "reserved" => Inspection::Reserved(items()?.iter().map(RequestInfo::read).collect()),
            "scheduled" => Inspection::Scheduled(items()?.iter().map(scheduled).collect()),
            "registered" => {
                let names = items()?.iter().filter_map(Value::as_str);
                Inspection::Registered(names.map(RegisteredTask::read).collect())
            }
            "active_queues" => {
                let queues = items()?.iter().filter_map(Value::as_object);
                Inspection::ActiveQueues(queues.map(ActiveQueue::read).collect())
            }
            "revoked" => Inspection::Revoked(items()?.iter().filter_map(text).collect()),
            _ => return Err(format!("`{method}` is no inspect method that is read here")),
        })
    }
}

/// An entry of the worker's timer: the time, and the request that waits for it.
fn scheduled(entry: &Value) -> RequestInfo {
    RequestInfo { eta: text(&entry["eta"]), ..RequestInfo::read(&entry["request"]) }
}

impl RequestInfo {
    fn read(info: &Value) -> RequestInfo {
        let delivery = &info["delivery_info"];
        // `name` shows the shadow, where a task has one; `type` is what is registered.
        let name = text(&info["type"]).or_else(|| text(&info["name"]));
        RequestInfo {
            uuid: text(&info["id"]).unwrap_or_default(),
            name: name.unwrap_or_default(),
            args: text(&info["args"]).as_deref().map(display),
            kwargs: text(&info["kwargs"]).as_deref().map(display),
            time_start: info["time_start"].as_f64(),
            worker_pid: info["worker_pid"].as_i64(),
            acknowledged: info["acknowledged"].as_bool().unwrap_or_default(),
            routing_key: text(&delivery["routing_key"]),
            priority: delivery["priority"].as_i64(),
            redelivered: delivery["redelivered"].as_bool().unwrap_or_default(),
            eta: None,
        }
    }
}

impl RegisteredTask {
    /// Celery answers a text for people (`celery/worker/control.py`).
    fn read(entry: &str) -> RegisteredTask {
        let described = entry.strip_suffix(']').and_then(|entry| entry.rsplit_once(" ["));
        let (name, info) = described.unwrap_or((entry, ""));
        let pairs = info.split_whitespace().filter_map(|pair| pair.split_once('='));
        RegisteredTask {
            name: name.into(),
            info: pairs.map(|(key, value)| (key.to_owned(), literal(value))).collect(),
        }
    }
}

/// What Python's `str` made of a setting.
fn literal(text: &str) -> Value {
    match text {
        "True" => true.into(),
        "False" => false.into(),
        _ => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

impl ActiveQueue {
    /// Its exchange sends every message to everybody. On Redis it is no list then, but a channel.
    pub fn is_fanout(&self) -> bool {
        self.exchange_type == "fanout"
    }

    /// The name that the application knows. On the broker every consumer of a Broadcast queue has a
    /// queue with another name.
    pub fn known_as(&self) -> &str {
        self.alias.as_deref().filter(|_| self.is_fanout()).unwrap_or(&self.name)
    }

    fn read(queue: &Map<String, Value>) -> ActiveQueue {
        let member = |name: &str| queue.get(name).and_then(text);
        let exchange =
            |name: &str| queue.get("exchange").and_then(|exchange| text(&exchange[name]));
        ActiveQueue {
            name: member("name").unwrap_or_default(),
            alias: member("alias"),
            exchange: exchange("name").unwrap_or_default(),
            exchange_type: exchange("type").unwrap_or_default(),
            routing_key: member("routing_key").unwrap_or_default(),
            raw: queue.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_read_with_or_without_safe() {
        let info = json!({ "id": "t", "name": "pretty", "type": "lab.add", "args": [1, 2],
            "kwargs": "{'a': 1}", "time_start": 1795494675.68, "acknowledged": true, "worker_pid": 7,
            "delivery_info": { "exchange": "", "routing_key": "q", "priority": 5, "redelivered": null } });
        let Ok(Inspection::Active(active)) = Inspection::read("active", &json!([info])) else {
            panic!("not read")
        };
        assert_eq!(
            (active[0].name.as_str(), active[0].args.as_deref()),
            ("lab.add", Some("[1,2]"))
        );
        assert_eq!(active[0].kwargs.as_deref(), Some("{'a': 1}"));
        assert_eq!((active[0].priority, active[0].routing_key.as_deref()), (Some(5), Some("q")));

        let entry = json!([{ "eta": "2026-11-24T04:24:10+00:00", "priority": 6, "request": info }]);
        let Ok(Inspection::Scheduled(scheduled)) = Inspection::read("scheduled", &entry) else {
            panic!("not read")
        };
        assert_eq!((scheduled[0].uuid.as_str(), scheduled[0].priority), ("t", Some(5)));
        assert_eq!(scheduled[0].eta.as_deref(), Some("2026-11-24T04:24:10+00:00"));
    }

    #[test]
    fn registered_is_a_text_for_people() {
        let answer =
            json!(["lab.add", "lab.limited [rate_limit=1/m max_retries=3 acks_late=True]"]);
        let Ok(Inspection::Registered(tasks)) = Inspection::read("registered", &answer) else {
            panic!("not read")
        };
        assert_eq!(tasks[0], RegisteredTask { name: "lab.add".into(), info: Map::new() });
        assert_eq!(tasks[1].name, "lab.limited");
        let info = json!({ "rate_limit": "1/m", "max_retries": 3, "acks_late": true });
        assert_eq!(Value::Object(tasks[1].info.clone()), info);
    }

    #[test]
    fn a_broadcast_queue_has_an_alias() {
        let answer = json!([{ "name": "bcast.1", "alias": "bq", "routing_key": "bq",
            "exchange": { "name": "bq", "type": "fanout" } }]);
        let Ok(Inspection::ActiveQueues(queues)) = Inspection::read("active_queues", &answer)
        else {
            panic!("not read")
        };
        assert_eq!(queues[0].alias.as_deref(), Some("bq"));
        assert_eq!(queues[0].exchange_type, "fanout");
    }

    #[test]
    fn a_workers_error_is_told_in_its_words() {
        let error = json!({ "error": "KeyError('nosuch')" });
        for method in Inspection::METHODS {
            assert_eq!(Inspection::read(method, &error), Err("KeyError('nosuch')".into()));
        }
        for (method, odd) in [("stats", json!(null)), ("active", json!({})), ("nosuch", json!(1))] {
            assert!(Inspection::read(method, &odd).unwrap_err().contains(method));
        }
        let odd = json!([null, 7, "x", {}]);
        for method in ["active", "reserved", "scheduled", "registered", "active_queues", "revoked"]
        {
            assert!(Inspection::read(method, &odd).is_ok(), "{method}");
        }
    }
}
