//! What one frame asks for. Knows JSON-RPC 2.0; no method, no stream.

use crate::error::Error;
use jsonrpsee::types::{Id, Params};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One frame.
#[derive(Debug)]
pub enum Incoming {
    /// One message.
    Single(Message),
    /// Several, answered together; never empty.
    Batch(Vec<Message>),
}

/// One message of a frame.
#[derive(Debug)]
pub enum Message {
    /// A request; `id: None` makes it a notification, which is never answered.
    Call(Call),
    /// An answer to a request of ours. Never answered, or two peers would argue for ever.
    Answer,
    /// No message at all: the error to answer, with the id where it could be read.
    Invalid(Id<'static>, Error),
}

/// A request or a notification.
#[derive(Debug)]
pub struct Call {
    /// Absent: a notification.
    pub id: Option<Id<'static>>,
    /// The method's name.
    pub method: String,
    /// Their JSON text: an object or an array.
    pub params: Option<Box<RawValue>>,
}

impl Call {
    /// The parameters as jsonrpsee's handlers take them.
    pub fn params(&self) -> Params<'static> {
        Params::new(self.params.as_deref().map(RawValue::get)).into_owned()
    }
}

/// The members of a message. Members that JSON-RPC does not know are ignored, as LSP clients expect.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Tells an absent member from `null`: an absent id makes a notification, a null one does not.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(member: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(member).map(Some)
}

/// Reads one frame.
pub fn read(frame: &[u8]) -> Incoming {
    let text = match std::str::from_utf8(frame) {
        Ok(text) => text,
        Err(error) => return refused(Error::Parse(error.to_string())),
    };
    let json: &RawValue = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => return refused(Error::Parse(error.to_string())),
    };
    if !json.get().starts_with('[') {
        return Incoming::Single(message(json));
    }
    match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
        Ok(batch) if !batch.is_empty() => Incoming::Batch(batch.into_iter().map(message).collect()),
        Ok(_) => refused(Error::InvalidRequest("an empty batch".into())),
        Err(error) => refused(Error::Parse(error.to_string())),
    }
}

fn refused(error: Error) -> Incoming {
    Incoming::Single(Message::Invalid(Id::Null, error))
}

fn message(json: &RawValue) -> Message {
    let invalid = |id, reason: String| Message::Invalid(id, Error::InvalidRequest(reason));
    if !json.get().starts_with('{') {
        return invalid(Id::Null, "a message is an object".into());
    }
    let members: Members = match serde_json::from_str(json.get()) {
        Ok(members) => members,
        Err(error) => return invalid(Id::Null, error.to_string()),
    };
    if members.method.is_none() && (members.result.is_some() || members.error.is_some()) {
        return Message::Answer;
    }
    let id = match members.id.map(|id| serde_json::from_str::<Id>(id.get())) {
        Some(Ok(id)) => Some(id.into_owned()),
        Some(Err(_)) => {
            return invalid(Id::Null, "`id` is a string, a whole number from 0, or null".into());
        }
        None => None,
    };
    match call(&members) {
        Ok((method, params)) => Message::Call(Call { id, method, params }),
        Err(reason) => invalid(id.unwrap_or(Id::Null), reason.into()),
    }
}

/// Method and parameters, or what is wrong with them.
fn call(members: &Members) -> Result<(String, Option<Box<RawValue>>), &'static str> {
    if members.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err("`jsonrpc` is not \"2.0\"");
    }
    let method = members.method.ok_or("`method` is missing")?;
    let method = serde_json::from_str(method.get()).map_err(|_| "`method` is not a string")?;
    // Clients that always write the member write null for "none".
    let params = members.params.filter(|params| params.get() != "null");
    if params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
        return Err("`params` is neither an object nor an array");
    }
    Ok((method, params.map(ToOwned::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(frame: &str) -> Message {
        match read(frame.as_bytes()) {
            Incoming::Single(message) => message,
            Incoming::Batch(batch) => panic!("{batch:?}"),
        }
    }

    #[test]
    fn a_null_id_is_an_id_and_an_absent_one_is_none() {
        for (frame, expected) in [
            (r#"{"jsonrpc":"2.0","method":"a","id":null}"#, Some(Id::Null)),
            (r#"{"jsonrpc":"2.0","method":"a"}"#, None),
            (r#"{"jsonrpc":"2.0","method":"a","id":"é\n"}"#, Some(Id::Str("é\n".into()))),
            (r#"{"jsonrpc":"2.0","method":"a","id":0,"extra":{}}"#, Some(Id::Number(0))),
        ] {
            let Message::Call(call) = single(frame) else { panic!("{frame}") };
            assert_eq!(call.id, expected, "{frame}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_id() {
        for (frame, id, code) in [
            (r#"{"jsonrpc":"2.0","method":1,"id":5}"#, Id::Number(5), -32600),
            (r#"{"jsonrpc":"2.0","id":5}"#, Id::Number(5), -32600),
            (r#"{"jsonrpc":"1.0","method":"a","id":5}"#, Id::Number(5), -32600),
            (r#"{"method":"a","id":5}"#, Id::Number(5), -32600),
            (r#"{"jsonrpc":"2.0","method":"a","params":"x","id":5}"#, Id::Number(5), -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":-1}"#, Id::Null, -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":{}}"#, Id::Null, -32600),
            (r#"{"jsonrpc":"2.0","method":"a","id":1,"id":2}"#, Id::Null, -32600),
            ("7", Id::Null, -32600),
            ("null", Id::Null, -32600),
            ("{", Id::Null, -32700),
            ("", Id::Null, -32700),
            ("{} {}", Id::Null, -32700),
        ] {
            let Message::Invalid(found, error) = single(frame) else { panic!("{frame}") };
            assert_eq!((found, error.code()), (id, code), "{frame}");
        }
        let broken = read(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xC3\"}");
        assert!(
            matches!(&broken, Incoming::Single(Message::Invalid(Id::Null, Error::Parse(_)))),
            "{broken:?}"
        );
    }

    #[test]
    fn an_answer_is_never_answered() {
        for frame in [r#"{"jsonrpc":"2.0","id":1,"result":null}"#, r#"{"id":null,"error":{}}"#] {
            assert!(matches!(single(frame), Message::Answer), "{frame}");
        }
    }

    #[test]
    fn null_parameters_are_none() {
        let Message::Call(call) = single(r#"{"jsonrpc":"2.0","method":"a","params":null}"#) else {
            panic!()
        };
        assert!(call.params.is_none());
    }
}
