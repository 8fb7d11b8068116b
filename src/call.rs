//! `lazycelery call`: one call of one session, the same that serves editors, over in-memory pipes.
//!
//! The only place that may print to stdout, since there is no protocol on it.

use clap::Args;
use jsonrpsee::core::server::{MethodCallback, Methods};
use lazycelery::server::{Session, serve, stdio};
use lazycelery::{Error, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::runtime::Handle;

/// The result was an error object.
const FAILED: u8 = 1;

/// The result lacks what could not be asked in time, or who did not answer, or tells of what was left
/// undone.
const INCOMPLETE: u8 = 3;

/// As shells report a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// The subcommand.
#[derive(Debug, Args)]
pub struct Call {
    /// Such as worker/list
    method: String,
    /// Its parameters: a JSON object, or an array of the leading ones
    #[arg(value_parser = params)]
    params: Option<Value>,
    /// Of a subscription, print what follows: one JSON text a line
    #[arg(long)]
    follow: bool,
    /// Unlock the environment, which is production, for this call
    #[arg(long, conflicts_with = "follow")]
    unlock: bool,
}

fn params(text: &str) -> std::result::Result<Value, String> {
    let expected = r#"expected JSON such as '{"filter": "state:failure"}' or '["celery"]'"#;
    match serde_json::from_str(text) {
        Ok(params @ (Value::Object(_) | Value::Array(_))) => Ok(params),
        Ok(_) => Err(expected.into()),
        Err(error) => Err(format!("{expected}: {error}")),
    }
}

/// What the call hears, from whichever side.
enum Heard {
    /// A message of the server.
    Message(String),
    /// The server's end.
    End,
    /// Nobody reads our output any more.
    Closed,
    /// SIGINT or SIGTERM.
    Interrupted,
}

/// A message of the server, as far as a call looks into it.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<Notification<'a>>,
}

/// The parameters of a feed's notification.
#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Call {
    /// Calls, prints, and answers the exit status.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where `--follow` is given for what is no subscription, or is missing
    /// for one: its number alone is of no use.
    pub fn run(&self, runtime: &Handle, methods: Methods) -> Result<u8> {
        let subscribes =
            matches!(methods.method(&self.method), Some(MethodCallback::Subscription(_)));
        if self.follow != subscribes {
            let reason = match self.follow {
                true => format!(
                    "--follow: {} is no subscription: those end in /subscribe or /watch",
                    self.method
                ),
                false => {
                    format!("{} is a subscription: print what it sends by --follow", self.method)
                }
            };
            return Err(Error::InvalidParams(reason));
        }
        let broken = |error: io::Error| Error::Internal(error.to_string());
        let (sender, heard) = channel();
        // The end of its input would end the session, so the request's pipe lives as long as we.
        let (read, mut requests) = io::pipe().map_err(broken)?;
        let (answers, write) = io::pipe().map_err(broken)?;
        runtime.spawn(serve(read, write, methods, Session::new()));
        listen(runtime, answers, sender).map_err(broken)?;
        let (mut out, pretty) = (io::stdout().lock(), io::stdout().is_terminal());
        if self.unlock {
            writeln!(requests, "{}", self.unlocking()).map_err(broken)?;
            let mut said = Vec::new();
            let status = self.answer(&heard, &mut said, pretty);
            if status != 0 {
                // Whoever closed our output does not want it.
                let _ = out.write_all(&said);
                return Ok(status);
            }
        }
        writeln!(requests, "{}", self.request()).map_err(broken)?;
        Ok(self.answer(&heard, &mut out, pretty))
    }

    fn request(&self) -> Value {
        let mut request = json!({ "jsonrpc": "2.0", "id": 1, "method": self.method });
        if let Some(params) = &self.params {
            request["params"] = params.clone();
        }
        request
    }

    /// What unlocks the environment of the request. Its guards are asked once, as it starts.
    fn unlocking(&self) -> Value {
        let environment = self.params.as_ref().and_then(|params| params.get("environment"));
        let params = json!({ "minutes": 1, "environment": environment });
        json!({ "jsonrpc": "2.0", "id": 0, "method": "environment/unlock", "params": params })
    }

    /// Prints until there is nothing more to print. Whoever closes our output has read enough.
    fn answer(&self, heard: &Receiver<Heard>, out: &mut impl Write, pretty: bool) -> u8 {
        let mut answered = false;
        loop {
            let message = match heard.recv() {
                Ok(Heard::Message(message)) => message,
                Ok(Heard::Interrupted) => return INTERRUPTED,
                Ok(Heard::Closed) => return 0,
                Ok(Heard::End) | Err(_) => return FAILED,
            };
            let Ok(message) = serde_json::from_str::<Message>(&message) else { return FAILED };
            // How far an action is, which is told unasked where it takes long, is no answer.
            if message.method.as_deref() == Some("$/progress") {
                continue;
            }
            let (result, error) = match message.params {
                Some(notification) => (notification.result, notification.error),
                None => (message.result, message.error),
            };
            let first = !std::mem::replace(&mut answered, true);
            // Of a feed that is followed, the number it got interests nobody.
            if first && self.follow && error.is_none() {
                continue;
            }
            // Serde reads a null as nothing.
            let text = error.or(result).unwrap_or(RawValue::NULL);
            let printed = print(out, text, pretty && !self.follow);
            if error.is_some() {
                return FAILED;
            }
            if printed.is_err() {
                return 0;
            }
            if !self.follow {
                return if result.is_some_and(is_incomplete) { INCOMPLETE } else { 0 };
            }
        }
    }
}

/// People see it indented, programs one line.
fn print(out: &mut impl Write, json: &RawValue, pretty: bool) -> io::Result<()> {
    match serde_json::from_str::<Value>(json.get()) {
        Ok(value) if pretty => writeln!(out, "{value:#}")?,
        _ => writeln!(out, "{}", json.get())?,
    }
    out.flush()
}

fn is_incomplete(result: &RawValue) -> bool {
    type Items<'a> = Vec<&'a RawValue>;
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Partial<'a> {
        #[serde(borrow)]
        incomplete: Option<&'a RawValue>,
        unnamed: u64,
        #[serde(borrow)]
        missing: Items<'a>,
        #[serde(borrow)]
        refused: Items<'a>,
        #[serde(borrow)]
        missed: Items<'a>,
        #[serde(borrow)]
        skipped: Items<'a>,
    }
    serde_json::from_str::<Partial>(result.get()).is_ok_and(|partial| {
        let Partial { incomplete, unnamed, missing, refused, missed, skipped } = partial;
        let lacking = [missing, refused, missed, skipped].iter().any(|some| !some.is_empty());
        incomplete.is_some() || unnamed > 0 || lacking
    })
}

/// Starts hearing all sides at once.
fn listen(runtime: &Handle, answers: PipeReader, heard: Sender<Heard>) -> io::Result<()> {
    let interrupted = heard.clone();
    runtime.spawn(async move {
        stdio::signal().await;
        // A send fails only where the call is over already; so it is below.
        let _ = interrupted.send(Heard::Interrupted);
    });
    let closed = heard.clone();
    thread::Builder::new().name("stdout".into()).spawn(move || {
        wait_until_closed(&io::stdout());
        let _ = closed.send(Heard::Closed);
    })?;
    thread::Builder::new().name("answers".into()).spawn(move || {
        for line in BufReader::new(answers).lines() {
            let Ok(line) = line else { break };
            if heard.send(Heard::Message(line)).is_err() {
                return;
            }
        }
        let _ = heard.send(Heard::End);
    })?;
    Ok(())
}

/// Waits until nobody reads from a pipe or terminal any more; for ever on a file.
fn wait_until_closed(out: &impl std::os::fd::AsFd) {
    loop {
        let mut fds = [PollFd::new(out, PollFlags::empty())];
        match poll(&mut fds, None) {
            Ok(_) if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call prints, and its status, when the server says these things.
    fn said(follow: bool, pretty: bool, messages: &[&str]) -> (String, u8) {
        let (sender, heard) = channel();
        for message in messages {
            sender.send(Heard::Message((*message).to_owned())).unwrap();
        }
        sender.send(Heard::End).unwrap();
        let call = Call { method: "m".into(), params: None, follow, unlock: false };
        let mut out = Vec::new();
        let status = call.answer(&heard, &mut out, pretty);
        (String::from_utf8(out).unwrap(), status)
    }

    #[test]
    fn parameters_that_are_no_json_are_told_what_json_is() {
        assert_eq!(params("[1]"), Ok(serde_json::json!([1])));
        for wrong in ["state:failure", "{filter: 1}", "7"] {
            let error = params(wrong).unwrap_err();
            assert!(error.starts_with(r#"expected JSON such as '{"filter": "#), "{error}");
        }
    }

    #[test]
    fn the_bare_result_is_printed_or_the_error() {
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"a":[9007199254740993]}}"#;
        let pretty = "{\n  \"a\": [\n    9007199254740993\n  ]\n}\n";
        assert_eq!(said(false, false, &[result]), ("{\"a\":[9007199254740993]}\n".into(), 0));
        assert_eq!(said(false, true, &[result]), (pretty.into(), 0));
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}"#;
        assert_eq!(said(false, false, &[error]), ("{\"code\":-32601}\n".into(), 1));
        let partial = r#"{"jsonrpc":"2.0","id":1,"result":{"rows":[],"incomplete":["workers"]}}"#;
        assert_eq!(said(false, false, &[partial]).1, 3);
        for (answers, status) in [
            (r#"{"id":1,"result":{"replies":{},"missing":[]}}"#, 0),
            (r#"{"id":1,"result":{"replies":{},"missing":["w\u0031@lab"]}}"#, 3),
            (r#"{"id":1,"result":{"replies":{},"missing":[],"unnamed":1}}"#, 3),
            (r#"{"id":1,"result":{"sent":[],"refused":[{"uuid":"a","kind":"waiting"}]}}"#, 3),
            (r#"{"id":1,"result":{"done":[],"missed":[{"key":"a"}],"saved_as":null}}"#, 3),
            (r#"{"id":1,"result":{"restored":1,"skipped":[{"key":"a"}]}}"#, 3),
            (r#"{"id":1,"result":{"sent":[],"refused":[]}}"#, 0),
        ] {
            assert_eq!(said(false, false, &[answers]).1, status, "{answers}");
        }
        assert_eq!(said(false, false, &[r#"{"id":1,"result":null}"#]), ("null\n".into(), 0));
        assert_eq!(said(false, false, &[]), (String::new(), 1));
    }

    #[test]
    fn a_feed_that_is_followed_is_one_text_a_line() {
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":1}"#;
        let note =
            r#"{"jsonrpc":"2.0","method":"m","params":{"subscription":1,"result":{"rows":[]}}}"#;
        let end =
            r#"{"jsonrpc":"2.0","method":"m","params":{"subscription":1,"error":{"code":-32021}}}"#;
        let expected = "{\"rows\":[]}\n{\"rows\":[]}\n{\"code\":-32021}\n";
        assert_eq!(said(true, true, &[answer, note, note, end]), (expected.into(), 1));
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602}}"#;
        assert_eq!(said(true, false, &[error, note]), ("{\"code\":-32602}\n".into(), 1));
    }

    #[test]
    fn parameters_are_an_object_or_an_array() {
        assert!(params("{\"a\": 1}").is_ok() && params("[1]").is_ok());
        for wrong in ["1", "null", "{", "", "{a: 1}"] {
            assert!(params(wrong).is_err(), "{wrong}");
        }
    }
}
