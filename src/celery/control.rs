//! Remote control: pidbox requests and replies (`kombu/pidbox.py`, `celery/worker/control.py`).
//!
//! [`Request`] becomes the message that is broadcast to `<control_exchange>.pidbox`; each worker's
//! [`Reply`] is matched to it by its ticket. [`Inspection`] is what the inspect methods answer.

mod inspection;
mod stats;

pub use inspection::{ActiveQueue, Inspection, RegisteredTask, RequestInfo};
pub use stats::Stats;

use super::json_body;
use crate::error::{Error, Result};
use crate::json;
use crate::message::{Cut, Message};
use serde_json::{Map, Value, json};

/// What `registered` is asked to tell of each task; `None` values are left out by the worker.
const REGISTERED_INFO: [&str; 4] = ["rate_limit", "max_retries", "acks_late", "time_limit"];

/// One remote control request, ready to be broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Celery's own method name: `ping`, `stats`, `enable_events` …
    pub method: String,
    /// Celery's own arguments.
    pub arguments: Map<String, Value>,
    /// Exact node names; `None` is everybody. An empty list cannot be sent: it would reach everybody.
    pub destination: Option<Vec<String>>,
}

/// One worker's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The ticket of the request, which tells a late answer from an awaited one.
    pub ticket: String,
    /// Who answers.
    pub hostname: String,
    /// What.
    pub said: Said,
}

/// What a worker answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// In its words: bare for inspect methods, `{"ok": …}` or `{"error": …}` for others.
    Value(Value),
    /// So many bytes that they were not read.
    TooLarge(usize),
}

impl Request {
    /// A request with the arguments that we ask this method with: `active` safely, because one
    /// task with odd arguments makes a worker mute otherwise (F05), `registered` with details.
    pub fn new(method: &str, destination: Option<Vec<String>>) -> Request {
        let arguments = match method {
            "active" => json!({ "safe": true }),
            "registered" => json!({ "taskinfoitems": REGISTERED_INFO }),
            _ => json!({}),
        };
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        Request { method: method.into(), arguments, destination }
    }

    /// The message to broadcast on [`exchange`]. `reply_to` is an exchange and a routing key;
    /// without it nobody answers.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] for an empty destination: workers take it for everybody.
    pub fn message(
        &self,
        control_exchange: &str,
        ticket: &str,
        reply_to: Option<(&str, &str)>,
    ) -> Result<Message> {
        if self.destination.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::InvalidParams(format!(
                "`{}` with an empty destination",
                self.method
            )));
        }
        let mut body = json!({
            "method": self.method,
            "arguments": self.arguments,
            "destination": self.destination,
            "pattern": null,
            "matcher": null,
            "ticket": ticket,
        });
        if let Some((exchange, routing_key)) = reply_to {
            body["reply_to"] = json!({ "exchange": exchange, "routing_key": routing_key });
        }
        Ok(Message::json(&body, &exchange(control_exchange), ""))
    }
}

/// The fanout exchange of a control namespace: `control_exchange` is `celery` by default.
pub fn exchange(control_exchange: &str) -> String {
    format!("{control_exchange}.pidbox")
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    /// A sentence: another serializer (replies use the worker's `task_serializer`), or no reply.
    pub fn read(message: &Message) -> Result<Reply, String> {
        let ticket = message.headers.get("ticket").and_then(Value::as_str).unwrap_or_default();
        let body: Map<String, Value> = json::parse(json_body(&message.body)?)?;
        let (hostname, value) = body.into_iter().next().ok_or("a reply from nobody")?;
        Ok(Reply { ticket: ticket.into(), hostname, said: Said::Value(value) })
    }

    /// Whose answer it is that was too large to be read.
    pub fn too_large(cut: &Cut) -> Option<Reply> {
        let (ticket, hostname) = (cut.header("ticket")?, cut.first_member()?);
        Some(Reply { ticket, hostname, said: Said::TooLarge(cut.bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(message: &Message) -> Value {
        json::value(&message.body.bytes).unwrap()
    }

    #[test]
    fn a_request_is_what_pidbox_reads() {
        let request = Request::new("ping", Some(vec!["w1@lab".into()]));
        let message = request.message("celery", "T", Some(("", "mine"))).unwrap();
        assert_eq!(
            sent(&message),
            json!({ "method": "ping", "arguments": {}, "destination": ["w1@lab"], "pattern": null,
                "matcher": null, "ticket": "T", "reply_to": { "exchange": "", "routing_key": "mine" } })
        );
        assert_eq!(message.delivery_info("exchange"), Some("celery.pidbox"));
        assert!(message.properties["delivery_tag"].is_string());
    }

    #[test]
    fn nobody_is_never_everybody() {
        let request = Request::new("shutdown", Some(Vec::new()));
        assert!(request.message("celery", "T", None).is_err());
        let everybody = Request::new("ping", None).message("celery", "T", None).unwrap();
        assert_eq!(sent(&everybody)["destination"], Value::Null);
        assert_eq!(sent(&everybody).get("reply_to"), None);
    }

    #[test]
    fn f05_active_is_always_asked_safely() {
        assert_eq!(Request::new("active", None).arguments["safe"], true);
        assert!(Request::new("active_queues", None).arguments.is_empty(), "it takes none");
    }

    #[test]
    fn a_reply_names_its_ticket_and_its_worker() {
        let mut message = Message::json(&json!({ "w1@lab": { "ok": "pong" } }), "", "mine");
        message.headers.insert("ticket".into(), "T".into());
        let reply = Reply::read(&message).unwrap();
        assert_eq!((reply.ticket.as_str(), reply.hostname.as_str()), ("T", "w1@lab"));
        assert_eq!(reply.said, Said::Value(json!({ "ok": "pong" })));
        message.body.bytes = b"{}".to_vec();
        assert!(Reply::read(&message).is_err());
        message.body.content_type = "application/x-python-serialize".into();
        assert!(Reply::read(&message).unwrap_err().contains("x-python-serialize"));
    }
}
