//! Every way an operation can fail, and the only table of JSON-RPC codes.
//!
//! Variants hold facts, `Display` is the sentence a person reads. `code`, `kind` and the members of
//! `data` are contract (`docs/protocol.md`); the wording is not. What the *world* sends and we
//! cannot decode is counted where it is met and is no error here.

use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The operation of an [`Error::Broker`] or [`Error::ResultBackend`] whose server refused user or
/// password.
pub const LOGIN: &str = "login";

/// A failed operation. See the [module](self) for what is contract.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// What was read is no JSON text (`-32700`); the sentence is the parser's.
    #[error("parse error: {0}")]
    Parse(String),
    /// JSON, but no request, or one that is not allowed here (`-32600`).
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// No such method (`-32601`).
    #[error("method not found: `{method}`, {}", nearest_method(.nearest))]
    MethodNotFound {
        /// The method that was called.
        method: String,
        /// The known method that looks most like it.
        nearest: Option<String>,
    },
    /// The parameters do not fit the method (`-32602`); the sentence is serde's.
    #[error("{0}")]
    InvalidParams(String),
    /// JSON text that was given as a parameter is none, or not what it should be (`-32602`).
    #[error("`{parameter}`: {reason} at line {line}, column {column}")]
    InvalidJson {
        /// Which parameter.
        parameter: String,
        /// The parser's sentence.
        reason: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// The client cancelled the request (`-32800`).
    #[error("cancelled by the client")]
    Cancelled,
    /// A bug of ours (`-32603`).
    #[error("internal error: {0}")]
    Internal(String),
    /// No environment of that name is configured.
    #[error("unknown environment `{environment}`, known: {}", list(.known))]
    UnknownEnvironment {
        /// The name that was asked for.
        environment: String,
        /// The configured names.
        known: Vec<String>,
    },
    /// The environment is known, its broker cannot be reached now.
    #[error("`{environment}` is not connected{}: {reason}", to(.url))]
    NotConnected {
        /// The environment's name.
        environment: String,
        /// The broker's URL without its password, where it is known.
        url: Option<String>,
        /// Why, in the broker's or the system's words, without secrets.
        reason: String,
        /// Seconds until the next try, where one is planned.
        retry_in: Option<f64>,
    },
    /// No source knows this worker.
    #[error("unknown worker `{hostname}`, asked: {}", list(.sources))]
    UnknownWorker {
        /// The node name that was asked for.
        hostname: String,
        /// What was asked.
        sources: Vec<String>,
    },
    /// No source knows this task.
    #[error("unknown task `{uuid}`, asked: {}", list(.sources))]
    UnknownTask {
        /// The id that was asked for.
        uuid: String,
        /// What was asked.
        sources: Vec<String>,
    },
    /// No source knows this queue.
    #[error("unknown queue `{queue}`, asked: {}", list(.sources))]
    UnknownQueue {
        /// The name that was asked for.
        queue: String,
        /// What was asked.
        sources: Vec<String>,
    },
    /// The broker refused or broke off.
    #[error("broker: {operation}: {reason}")]
    Broker {
        /// What we tried.
        operation: String,
        /// What it said.
        reason: String,
    },
    /// The line to the broker broke before it answered: what it was asked to do it did, or not.
    #[error("broker: {operation}: {reason}: whether it was done{} is not known", of(.uuids))]
    Unsure {
        /// What we tried.
        operation: String,
        /// How the line broke.
        reason: String,
        /// The tasks that it was about, as far as whoever tried knows.
        uuids: Vec<String>,
    },
    /// The result backend refused or broke off.
    #[error("result backend: {operation}: {reason}")]
    ResultBackend {
        /// What we tried.
        operation: String,
        /// What it said.
        reason: String,
    },
    /// No worker answered in time.
    #[error("no worker answered `{method}` within {timeout} s")]
    NoReply {
        /// The remote control method.
        method: String,
        /// Who was asked; `None` for everybody.
        destination: Option<Vec<String>>,
        /// Seconds that were waited.
        timeout: f64,
    },
    /// This broker or pool cannot do it.
    #[error("{operation} is not supported by {transport}")]
    Unsupported {
        /// What was asked.
        operation: String,
        /// Of which transport.
        transport: String,
    },
    /// A serializer or compression that we do not read.
    #[error("cannot decode {content_type}")]
    Undecodable {
        /// The content type, or the compression, as the message names it.
        content_type: String,
    },
    /// Not permitted here.
    #[error("{method} is forbidden: {rule}")]
    Forbidden {
        /// The method that was called.
        method: String,
        /// The rule that forbids it.
        rule: String,
        /// The environment whose lock does, and which its session may unlock.
        locked: Option<String>,
    },
    /// A setting is wrong.
    #[error("{setting}: {reason}")]
    Config {
        /// Which setting.
        setting: String,
        /// What is wrong, and what would be right.
        reason: String,
        /// `file:line:column`, where the setting stands in a file.
        position: Option<String>,
    },
    /// The original arguments are not known exactly.
    #[error("the original arguments of {uuid} are not known exactly")]
    Inexact {
        /// The task.
        uuid: String,
        /// Where we looked.
        sources: Vec<String>,
    },
    /// A step of it would keep the broker from everybody else, and nobody agreed to that.
    #[error(
        "{operation} may block the broker for {milliseconds} ms at a time: `accept_blocking` lets it"
    )]
    Blocking {
        /// What was asked.
        operation: String,
        /// For how long one step may.
        milliseconds: u64,
    },
    /// A file stands where one is to be written.
    #[error("{path} is there already: `overwrite` replaces it")]
    Exists {
        /// Its path.
        path: String,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written: {reason}")]
    File {
        /// Its path.
        path: String,
        /// In the system's words.
        reason: String,
    },
    /// Filter text does not parse.
    #[error("filter, character {}: expected {expected}", .position + 1)]
    Filter {
        /// Characters from 0, of what is wrong.
        position: usize,
        /// What would have been right there.
        expected: String,
    },
}

impl Error {
    /// The JSON-RPC code; contract.
    pub fn code(&self) -> i32 {
        match self {
            Error::Parse(_) => -32700,
            Error::InvalidRequest(_) => -32600,
            Error::MethodNotFound { .. } => -32601,
            Error::InvalidParams(_) | Error::InvalidJson { .. } => -32602,
            Error::Internal(_) => -32603,
            Error::Cancelled => -32800,
            Error::UnknownEnvironment { .. } => -32020,
            Error::NotConnected { .. } => -32021,
            Error::UnknownWorker { .. } => -32022,
            Error::UnknownTask { .. } => -32023,
            Error::UnknownQueue { .. } => -32024,
            Error::Broker { .. } => -32025,
            Error::ResultBackend { .. } => -32026,
            Error::NoReply { .. } => -32027,
            Error::Unsupported { .. } => -32028,
            Error::Undecodable { .. } => -32029,
            Error::Forbidden { .. } => -32030,
            Error::Config { .. } => -32031,
            Error::Inexact { .. } => -32032,
            Error::Filter { .. } => -32033,
            Error::Blocking { .. } => -32034,
            Error::Unsure { .. } => -32035,
            Error::Exists { .. } => -32036,
            Error::File { .. } => -32037,
        }
    }

    /// `data.kind`; contract. `None` for JSON-RPC's own errors.
    pub fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Error::Parse(_)
            | Error::InvalidRequest(_)
            | Error::MethodNotFound { .. }
            | Error::InvalidParams(_)
            | Error::InvalidJson { .. }
            | Error::Internal(_)
            | Error::Cancelled => return None,
            Error::UnknownEnvironment { .. } => "unknown_environment",
            Error::NotConnected { .. } => "not_connected",
            Error::UnknownWorker { .. } => "unknown_worker",
            Error::UnknownTask { .. } => "unknown_task",
            Error::UnknownQueue { .. } => "unknown_queue",
            Error::Broker { .. } => "broker",
            Error::ResultBackend { .. } => "result_backend",
            Error::NoReply { .. } => "no_reply",
            Error::Unsupported { .. } => "unsupported",
            Error::Undecodable { .. } => "undecodable",
            Error::Forbidden { .. } => "forbidden",
            Error::Config { .. } => "config",
            Error::Inexact { .. } => "inexact",
            Error::Filter { .. } => "filter",
            Error::Blocking { .. } => "blocking",
            Error::Unsure { .. } => "unsure",
            Error::Exists { .. } => "exists",
            Error::File { .. } => "file",
        })
    }

    /// Names the tasks that it was about.
    #[must_use]
    pub fn about(mut self, tasks: &[String]) -> Self {
        if let Error::Unsure { uuids, .. } = &mut self {
            *uuids = tasks.to_vec();
        }
        self
    }

    /// The server let nobody in with this user and password.
    pub fn is_login(&self) -> bool {
        let (Error::Broker { operation, .. } | Error::ResultBackend { operation, .. }) = self
        else {
            return false;
        };
        operation == LOGIN
    }

    /// The facts beside the sentence; absent ones are absent members.
    fn data(&self) -> Option<Value> {
        let facts = match self {
            Error::Parse(_)
            | Error::InvalidRequest(_)
            | Error::MethodNotFound { .. }
            | Error::InvalidParams(_)
            | Error::Internal(_)
            | Error::Cancelled => return None,
            Error::InvalidJson { parameter, reason: _, line, column } => {
                json!({ "parameter": parameter, "line": line, "column": column })
            }
            Error::UnknownEnvironment { environment, known } => {
                json!({ "environment": environment, "known": known })
            }
            Error::NotConnected { environment, url, reason, retry_in } => json!({
                "environment": environment, "url": url, "reason": reason, "retry_in": retry_in
            }),
            Error::UnknownWorker { hostname, sources } => {
                json!({ "hostname": hostname, "sources": sources })
            }
            Error::UnknownTask { uuid, sources } => json!({ "uuid": uuid, "sources": sources }),
            Error::UnknownQueue { queue, sources } => json!({ "queue": queue, "sources": sources }),
            Error::Broker { operation, reason } | Error::ResultBackend { operation, reason } => {
                json!({ "operation": operation, "reason": reason })
            }
            Error::Unsure { operation, reason, uuids } => {
                let uuids = Some(uuids).filter(|uuids| !uuids.is_empty());
                json!({ "operation": operation, "reason": reason, "uuids": uuids })
            }
            Error::NoReply { method, destination, timeout } => {
                json!({ "method": method, "destination": destination, "timeout": timeout })
            }
            Error::Unsupported { operation, transport } => {
                json!({ "operation": operation, "transport": transport })
            }
            Error::Undecodable { content_type } => json!({ "content_type": content_type }),
            Error::Forbidden { method, rule, locked: None } => {
                json!({ "method": method, "rule": rule })
            }
            Error::Forbidden { method, rule, locked: Some(name) } => {
                json!({ "method": method, "rule": rule, "locked": name })
            }
            Error::Config { setting, reason, position } => {
                json!({ "setting": setting, "reason": reason, "position": position })
            }
            Error::Inexact { uuid, sources } => json!({ "uuid": uuid, "sources": sources }),
            Error::Filter { position, expected } => {
                json!({ "position": position, "expected": expected })
            }
            Error::Exists { path } => json!({ "path": path }),
            Error::File { path, reason } => json!({ "path": path, "reason": reason }),
            Error::Blocking { operation, milliseconds } => {
                json!({ "operation": operation, "milliseconds": milliseconds })
            }
        };
        let mut data = Map::new();
        data.extend(self.kind().map(|kind| ("kind".to_owned(), kind.into())));
        if let Value::Object(facts) = facts {
            data.extend(facts.into_iter().filter(|(_, fact)| !fact.is_null()));
        }
        Some(Value::Object(data))
    }
}

impl From<Error> for ErrorObjectOwned {
    fn from(error: Error) -> Self {
        ErrorObjectOwned::owned(error.code(), error.to_string(), error.data())
    }
}

fn nearest_method(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`rpc.discover` tells all there are".into(),
    }
}

/// The known name that a wrong one was probably meant to be; one way to guess it for all who do.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typing_errors = wrong.len().div_ceil(3).min(3);
    known
        .into_iter()
        // The lengths first: a client may be wrong a thousand times a second.
        .filter(|name| name.len().abs_diff(wrong.len()) <= typing_errors)
        .map(|name| (strsim::osa_distance(name, wrong), name))
        .filter(|(distance, _)| *distance <= typing_errors)
        .min()
        .map(|(_, name)| name)
}

fn to(url: &Option<String>) -> String {
    url.as_ref().map(|url| format!(" to {url}")).unwrap_or_default()
}

/// So many ids are named in a sentence.
const NAMED: usize = 3;

fn of(uuids: &[String]) -> String {
    let named = uuids.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match uuids.len() {
        0 => String::new(),
        1..=NAMED => format!(" for {named}"),
        all => format!(" for {named} and {} more", all - NAMED),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_facts_are_absent_members() {
        let error = Error::NotConnected {
            environment: "prod".into(),
            url: None,
            reason: "connection refused".into(),
            retry_in: None,
        };
        assert_eq!(error.to_string(), "`prod` is not connected: connection refused");
        let object = ErrorObjectOwned::from(error);
        let data: Value = serde_json::from_str(object.data().unwrap().get()).unwrap();
        assert_eq!(object.code(), -32021);
        assert_eq!(
            data,
            json!({ "kind": "not_connected", "environment": "prod", "reason": "connection refused" })
        );
    }
}
