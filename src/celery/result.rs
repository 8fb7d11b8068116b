//! Stored task meta: what a result backend holds under a task's id (`celery/backends/base.py`).
//!
//! Reads JSON, also compressed (`result_compression`). Nothing in a stored value names its
//! serializer; what is no JSON is told as such.

use super::{display, instant, literal};
use crate::json;
use crate::message::{Cut, decompress, first_text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a compressed value begins with; the MIME type and a zero byte follow.
const COMPRESSED: &[u8] = b"\x00celery-compressed\x00";

/// The states that Celery itself stores; every other is the application's own.
const OWN_STATES: [&str; 7] =
    ["PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED"];

/// One stored result. Serializes to what a recording holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskMeta {
    /// The task's id.
    pub uuid: String,
    /// As stored: STARTED, RETRY, SUCCESS, FAILURE, REVOKED or custom.
    pub status: String,
    /// The result as JSON text, verbatim.
    pub result_json: Option<String>,
    /// Bytes of the whole stored value, where that was not read: only what its two ends tell is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// `ExcType('message', …)` where the status names an exception.
    pub exception: Option<String>,
    /// Text.
    pub traceback: Option<String>,
    /// Unix seconds; only in SUCCESS, FAILURE and REVOKED.
    pub date_done: Option<f64>,
    /// Group id.
    pub group_id: Option<String>,
    /// Parent.
    pub parent_id: Option<String>,
    /// Only with `result_extended`.
    pub name: Option<String>,
    /// Exact JSON text; only with `result_extended`.
    pub args_json: Option<String>,
    /// Exact JSON text; only with `result_extended`.
    pub kwargs_json: Option<String>,
    /// Only with `result_extended`, or in STARTED.
    pub worker: Option<String>,
    /// Pool process; only in STARTED.
    pub pid: Option<i64>,
    /// Only with `result_extended`.
    pub retries: Option<u64>,
    /// Only with `result_extended`; really the routing key.
    pub queue: Option<String>,
    /// Ids of the tasks this one sent, members for a group; never its own id, though Celery
    /// stores that after a retry.
    pub children: Vec<String>,
}

impl TaskMeta {
    /// Reads a stored value, or one that was published as it was stored. The id is the key's.
    ///
    /// # Errors
    /// A sentence: another serializer or compression, or no task meta.
    pub fn decode(uuid: &str, raw: &[u8]) -> Result<TaskMeta, String> {
        if let Some(rest) = raw.strip_prefix(COMPRESSED) {
            let end = rest.iter().position(|&byte| byte == 0).ok_or("broken compression mark")?;
            let compression = String::from_utf8_lossy(&rest[..end]);
            return TaskMeta::read(uuid, &decompress(&compression, &rest[end + 1..])?);
        }
        TaskMeta::read(uuid, raw)
    }

    /// What the two ends of a value tell that is too large to be read: Celery writes the state first, and
    /// what follows the result last. `None` where they do not tell.
    pub fn of_ends(uuid: &str, ends: &Cut) -> Option<TaskMeta> {
        let head = std::str::from_utf8(&ends.head).ok()?;
        let status =
            head.trim_start().strip_prefix('{')?.trim_start().strip_prefix("\"status\":")?;
        Some(TaskMeta {
            uuid: uuid.into(),
            status: first_text(status.as_bytes())?,
            date_done: ends.header("date_done").as_deref().and_then(instant),
            result_bytes: u64::try_from(ends.bytes).ok(),
            ..TaskMeta::default()
        })
    }

    fn read(uuid: &str, text: &[u8]) -> Result<TaskMeta, String> {
        if text.starts_with(b"\x80") {
            return Err("cannot decode application/x-python-serialize".into());
        }
        let text = json::lossy(text);
        let fields = Fields(json::members(&text)?);
        let mut meta = TaskMeta {
            uuid: uuid.into(),
            status: fields.text("status").ok_or("a result without a status")?,
            result_json: fields.raw("result"),
            traceback: fields.text("traceback"),
            date_done: fields.text("date_done").as_deref().and_then(instant),
            group_id: fields.text("group_id"),
            parent_id: fields.text("parent_id"),
            name: fields.text("name"),
            args_json: fields.raw("args"),
            kwargs_json: fields.raw("kwargs"),
            worker: fields.text("worker"),
            retries: fields.value("retries").as_u64(),
            queue: fields.text("queue"),
            ..TaskMeta::default()
        };
        meta.add_children(&fields.value("children"));
        meta.explain(&fields);
        Ok(meta)
    }

    /// What the task reported of its progress, as it wrote it; without numbers JSON cannot express.
    pub fn progress(&self) -> Option<Map<String, Value>> {
        if OWN_STATES.contains(&self.status.as_str()) {
            return None;
        }
        let mut progress: Map<_, _> = json::parse(self.result_json.as_ref()?.as_bytes()).ok()?;
        progress.retain(|_, value| !value.is_null());
        Some(progress)
    }

    /// The result as a row shows it; absent where it is an exception or a state's own data.
    pub fn result(&self) -> Option<String> {
        (self.status == "SUCCESS").then(|| self.result_json.as_deref().map(display)).flatten()
    }

    /// What `result` says of a state that is no success.
    fn explain(&mut self, fields: &Fields<'_>) {
        match self.status.as_str() {
            "STARTED" => {
                let result = fields.value("result");
                self.pid = result["pid"].as_i64();
                let worker = result["hostname"].as_str().map(str::to_owned);
                self.worker = self.worker.take().or(worker);
            }
            "FAILURE" | "RETRY" | "REVOKED" => {
                self.exception = exception(&fields.value("result"));
            }
            _ => {}
        }
    }

    /// Result tuples `[[id, parent], members]`: only a group has members, which are the tasks.
    fn add_children(&mut self, tuples: &Value) {
        for tuple in tuples.as_array().into_iter().flatten() {
            if tuple[1].is_array() {
                self.add_children(&tuple[1]);
            } else if let Some(id) = tuple[0][0].as_str()
                && id != self.uuid
                && !self.children.iter().any(|child| child == id)
            {
                self.children.push(id.to_owned());
            }
        }
    }
}

/// `CardDeclined('insufficient funds')` of a stored exception.
fn exception(result: &Value) -> Option<String> {
    let name = result["exc_type"].as_str()?;
    Some(match &result["exc_message"] {
        Value::Null => literal::call(name, &[]),
        Value::Array(arguments) => literal::call(name, arguments),
        message => literal::call(name, std::slice::from_ref(message)),
    })
}

/// The members of a stored value, as the text that stands there.
struct Fields<'a>(Vec<(String, &'a str)>);

impl Fields<'_> {
    /// A member that is there and not null.
    fn found(&self, name: &str) -> Option<&str> {
        let (_, raw) = self.0.iter().rev().find(|(member, _)| member == name)?;
        (*raw != "null").then_some(raw)
    }

    fn raw(&self, name: &str) -> Option<String> {
        self.found(name).map(str::to_owned)
    }

    fn value(&self, name: &str) -> Value {
        self.found(name).and_then(|raw| json::value(raw.as_bytes()).ok()).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> TaskMeta {
        TaskMeta::decode("t", text.as_bytes()).unwrap()
    }

    #[test]
    fn a_default_result_tells_little() {
        let meta = read(
            r#"{"status": "SUCCESS", "result": [NaN, 1.50], "traceback": null, "children": [],
                "date_done": "2026-11-24T04:45:04.790424", "task_id": "t"}"#,
        );
        assert_eq!(meta.result_json.as_deref(), Some("[NaN, 1.50]"));
        assert_eq!(meta.result().as_deref(), Some("[NaN, 1.50]"));
        assert_eq!(meta.date_done, Some(1_795_495_504.790424));
        assert_eq!((meta.name, meta.args_json, meta.worker), (None, None, None));
    }

    #[test]
    fn an_extended_result_has_exact_arguments() {
        let meta = read(
            r#"{"status": "SUCCESS", "result": 3, "name": "lab.add", "args": [1, 2.0], "kwargs": {},
                "worker": "w1@lab", "retries": 0, "queue": "celery", "group_id": "g", "parent_id": "p"}"#,
        );
        assert_eq!(meta.args_json.as_deref(), Some("[1, 2.0]"));
        assert_eq!(meta.kwargs_json.as_deref(), Some("{}"));
        assert_eq!((meta.retries, meta.queue.as_deref()), (Some(0), Some("celery")));
    }

    #[test]
    fn an_exception_is_written_as_python_writes_it() {
        for (message, text) in [
            (json!(["insufficient funds"]), "CardDeclined('insufficient funds')"),
            (json!(["boom", 42]), "CardDeclined('boom', 42)"),
            (json!("boom"), "CardDeclined('boom')"),
            (json!([]), "CardDeclined()"),
            (json!(null), "CardDeclined()"),
        ] {
            let meta = json!({ "status": "FAILURE", "traceback": "Traceback…",
                "result": { "exc_type": "CardDeclined", "exc_message": message } });
            let meta = read(&meta.to_string());
            assert_eq!(meta.exception.as_deref(), Some(text));
            assert_eq!((meta.result(), meta.traceback.as_deref()), (None, Some("Traceback…")));
        }
    }

    #[test]
    fn children_are_tasks_and_never_the_task_itself() {
        let children = json!([
            [["t", null], null],
            [["c1", ["t", null]], null],
            [["g", null], [[["m1", null], null], [["m2", null], null], [["c1", null], null]]]
        ]);
        let meta = read(&json!({ "status": "RETRY", "children": children }).to_string());
        assert_eq!(meta.children, ["c1", "m1", "m2"]);
        for odd in [json!(null), json!("c"), json!([null, [], [[]], [[7, null], null]])] {
            let meta = read(&json!({ "status": "RETRY", "children": odd }).to_string());
            assert!(meta.children.is_empty(), "{odd}");
        }
    }

    #[test]
    fn progress_is_what_the_task_wrote() {
        let meta = read(r#"{"status": "PROGRESS", "result": {"current": 1, "total": Infinity}}"#);
        assert_eq!(meta.progress(), json!({ "current": 1 }).as_object().cloned());
        let started = read(r#"{"status": "STARTED", "result": {"pid": 7, "hostname": "w@h"}}"#);
        assert_eq!((started.pid, started.worker.as_deref()), (Some(7), Some("w@h")));
        assert_eq!(started.progress(), None);
    }

    #[test]
    fn what_is_no_meta_is_refused() {
        for raw in [b"".as_slice(), b"7", b"{}", b"\x80\x04}", b"\x00celery-compressed\x00x"] {
            assert!(TaskMeta::decode("t", raw).is_err(), "{raw:?}");
        }
        let bzip2 = b"\x00celery-compressed\x00application/x-bz2\x00BZ";
        assert!(TaskMeta::decode("t", bzip2).unwrap_err().contains("x-bz2"));
    }
}
