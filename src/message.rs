//! A kombu message: what travels through a broker, whatever carries it.
//!
//! Knows the envelope that kombu's virtual transports (Redis) put around a message, base64, and
//! zlib compression. Must not know Celery: what headers and body mean is `celery`'s business.

mod cut;

pub use cut::Cut;
pub(crate) use cut::first_text;

use crate::error::{Error, Result};
use crate::json;
use base64_simd::{STANDARD, forgiving_decode_to_vec};
use flate2::read::ZlibDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::Read as _;

/// The most that a compressed text may grow to. What is larger is not read: a few kilobytes can
/// claim gigabytes.
pub const DECOMPRESSED_LIMIT: usize = 16 << 20;

/// A message as kombu sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// `headers`, decoded for reading. Numbers JSON cannot express are null.
    pub headers: Map<String, Value>,
    /// `headers` as the text that travelled; empty where there are none.
    pub headers_json: String,
    /// `properties`, decoded for reading.
    pub properties: Map<String, Value>,
    /// `properties` as the text that travelled; empty where there are none.
    pub properties_json: String,
    /// What it carries.
    pub body: Body,
    /// e.g. `utf-8`.
    pub content_encoding: String,
    /// Bytes of the element as the broker holds it.
    pub bytes: usize,
}

/// What a message carries, without anything of how it travelled: all that matters of an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    /// After base64 and decompression; as they came where [`Body::undecodable`].
    pub bytes: Vec<u8>,
    /// Why they could not be decoded: broken base64, a compression we do not read.
    pub undecodable: Option<String>,
    /// e.g. `application/json`.
    pub content_type: String,
}

impl Message {
    /// A JSON message of ours for an exchange, with the fresh `delivery_tag` without which a
    /// worker drops its connection (`docs/celery.md`).
    pub fn json(body: &Value, exchange: &str, routing_key: &str) -> Message {
        let properties = json!({
            "delivery_tag": uuid::Uuid::new_v4().to_string(),
            "delivery_mode": 2,
            "delivery_info": { "exchange": exchange, "routing_key": routing_key },
            "priority": 0,
            "body_encoding": "base64",
        });
        Message {
            headers_json: "{}".into(),
            properties_json: properties.to_string(),
            properties: object(properties),
            body: Body {
                bytes: body.to_string().into_bytes(),
                content_type: "application/json".into(),
                undecodable: None,
            },
            content_encoding: "utf-8".into(),
            ..Message::default()
        }
    }

    /// Reads the JSON envelope of kombu's virtual transports (`kombu/transport/virtual/base.py`).
    /// Headers are worth having where the body cannot be decoded: that is no error.
    ///
    /// # Errors
    /// [`Error::Undecodable`] where it is no JSON object.
    pub fn from_envelope(raw: &[u8]) -> Result<Message> {
        let text = json::lossy(raw);
        let refused = |why| Error::Undecodable { content_type: format!("envelope ({why})") };
        let envelope = Envelope::cut(&text).map_err(refused)?;
        let object = |text: &str| json::value(text.as_bytes()).map(object).map_err(refused);
        let mut message = Message {
            headers: object(envelope.headers.unwrap_or("null"))?,
            headers_json: envelope.headers.unwrap_or_default().into(),
            properties: object(envelope.properties.unwrap_or("null"))?,
            properties_json: envelope.properties.unwrap_or_default().into(),
            content_encoding: envelope.content_encoding.map(text_of).unwrap_or_default(),
            bytes: raw.len(),
            body: Body::default(),
        };
        message.body.content_type = envelope.content_type.map(text_of).unwrap_or_default();
        match envelope.body.map(|body| (body, json::value(body.as_bytes()))) {
            Some((_, Ok(Value::String(text)))) => {
                let word = |members: &Map<String, Value>, name| {
                    members.get(name).and_then(Value::as_str).map(str::to_owned)
                };
                let encoding = word(&message.properties, "body_encoding");
                let compression = word(&message.headers, "compression");
                message.body.decode(text.into(), encoding.as_deref(), compression.as_deref());
            }
            Some((body, _)) => {
                message.body.bytes = body.as_bytes().to_vec();
                message.body.undecodable = Some("the body is no text".into());
            }
            None => {}
        }
        Ok(message)
    }

    /// The JSON envelope of a message of ours, as kombu would publish it. One that was read and must
    /// stay what it is, to the byte, travels as the raw element that was read, never through here.
    pub fn to_envelope(&self) -> Vec<u8> {
        let text = |text: &str| Value::from(text).to_string();
        format!(
            r#"{{"body": "{}", "content-encoding": {}, "content-type": {}, "headers": {}, "properties": {}}}"#,
            STANDARD.encode_to_string(&self.body.bytes),
            text(&self.content_encoding),
            text(&self.body.content_type),
            self.headers_json,
            self.properties_json,
        )
        .into_bytes()
    }

    /// Sets a property of a message of ours.
    pub fn set_property(&mut self, name: &str, value: Value) {
        self.properties.insert(name.into(), value);
        self.properties_json = Value::Object(self.properties.clone()).to_string();
    }

    /// `properties.delivery_info`, where a message was published to.
    pub fn delivery_info(&self, member: &str) -> Option<&str> {
        self.properties.get("delivery_info")?.get(member)?.as_str()
    }
}

impl Body {
    /// Reads the body out of an envelope, for whoever has no use for the rest.
    ///
    /// # Errors
    /// As [`Message::from_envelope`].
    pub fn from_envelope(raw: &[u8]) -> Result<Body> {
        let text = std::str::from_utf8(raw).ok();
        let bare = text.and_then(|text| serde_json::from_str::<BareEnvelope<'_>>(text).ok());
        let Some(BareEnvelope { body, content_type, headers, properties }) = bare else {
            return Message::from_envelope(raw).map(|message| message.body);
        };
        let mut read = Body { content_type: content_type.into(), ..Body::default() };
        read.decode(body, properties.body_encoding, headers.compression);
        Ok(read)
    }

    fn decode(&mut self, text: Cow<'_, str>, encoding: Option<&str>, compression: Option<&str>) {
        let base64 = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"));
        // Python writes the padding; other producers forget it.
        match base64.then(|| forgiving_decode_to_vec(text.as_bytes())) {
            Some(Ok(decoded)) => self.bytes = decoded,
            None => self.bytes = text.into_owned().into_bytes(),
            Some(Err(error)) => {
                self.undecodable = Some(format!("the body is no base64: {error}"));
                self.bytes = text.into_owned().into_bytes();
                return;
            }
        }
        if let Some(compression) = compression {
            match decompress(compression, &self.bytes) {
                Ok(decoded) => self.bytes = decoded,
                Err(why) => self.undecodable = Some(why),
            }
        }
    }
}

/// What an envelope's body needs, where it is strict JSON and the body a text, as nearly always.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BareEnvelope<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow, default)]
    content_type: Cow<'a, str>,
    #[serde(borrow, default)]
    headers: BareHeaders<'a>,
    #[serde(default)]
    properties: BareProperties<'a>,
}

#[derive(Deserialize, Default)]
struct BareHeaders<'a> {
    compression: Option<&'a str>,
}

#[derive(Deserialize, Default)]
struct BareProperties<'a> {
    body_encoding: Option<&'a str>,
}

/// An envelope's members as the text that stands there; null is absent.
#[derive(Default)]
struct Envelope<'a> {
    body: Option<&'a str>,
    headers: Option<&'a str>,
    properties: Option<&'a str>,
    content_type: Option<&'a str>,
    content_encoding: Option<&'a str>,
}

/// The same, as `serde_json` cuts it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StrictEnvelope<'a> {
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
    content_type: Option<&'a RawValue>,
    content_encoding: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Cuts in one pass where it is strict JSON, as nearly every envelope is.
    fn cut(text: &'a str) -> Result<Envelope<'a>, String> {
        if let Ok(strict) = serde_json::from_str::<StrictEnvelope<'a>>(text) {
            return Ok(Envelope {
                body: strict.body.map(RawValue::get),
                headers: strict.headers.map(RawValue::get),
                properties: strict.properties.map(RawValue::get),
                content_type: strict.content_type.map(RawValue::get),
                content_encoding: strict.content_encoding.map(RawValue::get),
            });
        }
        let mut envelope = Envelope::default();
        for (name, value) in json::members(text)? {
            let place = match name.as_str() {
                "body" => &mut envelope.body,
                "headers" => &mut envelope.headers,
                "properties" => &mut envelope.properties,
                "content-type" => &mut envelope.content_type,
                "content-encoding" => &mut envelope.content_encoding,
                _ => continue,
            };
            *place = (value != "null").then_some(value);
        }
        Ok(envelope)
    }
}

/// Undoes kombu's compression by its content type or alias (`kombu/compression.py`, where "gzip"
/// means a zlib stream).
///
/// # Errors
/// A sentence: another compression, broken data, more than [`DECOMPRESSED_LIMIT`].
pub fn decompress(compression: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    if !matches!(compression, "application/x-gzip" | "gzip" | "zlib") {
        return Err(format!("compressed as {compression}, which is not read here"));
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(data)
        .take(DECOMPRESSED_LIMIT as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| format!("compressed as {compression}, but broken: {error}"))?;
    if plain.len() > DECOMPRESSED_LIMIT {
        return Err(format!("more than {DECOMPRESSED_LIMIT} bytes when decompressed"));
    }
    Ok(plain)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn text_of(json: &str) -> String {
    json::parse(json.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write as _;

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn envelope(body: &[u8], compression: &str) -> Vec<u8> {
        json!({
            "body": STANDARD.encode_to_string(body),
            "headers": { "compression": compression, "id": "a" },
            "properties": { "body_encoding": "base64" },
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn what_is_written_is_read() {
        let body = json!({ "method": "ping" });
        let message = Message::json(&body, "celery.pidbox", "");
        let read = Message::from_envelope(&message.to_envelope()).unwrap();
        assert_eq!(read.body, message.body);
        assert_eq!(read.body.bytes, body.to_string().into_bytes());
        assert_eq!(read.body.content_type, "application/json");
        assert_eq!(read.properties, message.properties);
        assert_eq!(read.delivery_info("exchange"), Some("celery.pidbox"));
        assert_ne!(
            message.properties["delivery_tag"],
            Message::json(&body, "celery.pidbox", "").properties["delivery_tag"]
        );
    }

    #[test]
    fn headers_and_properties_keep_their_text() {
        let raw = br#"{"body": "W10", "headers": {"n": NaN, "big": 100000000000000000000},
            "properties": {"x" : 1.50, "body_encoding": "base64"}, "content-type": null}"#;
        let message = Message::from_envelope(raw).unwrap();
        assert_eq!(message.headers_json, r#"{"n": NaN, "big": 100000000000000000000}"#);
        assert_eq!(message.headers["n"], Value::Null);
        assert_eq!(message.properties_json, r#"{"x" : 1.50, "body_encoding": "base64"}"#);
        assert_eq!(message.body.bytes, b"[]", "padding may be missing");
        assert_eq!((message.body.content_type.as_str(), message.bytes), ("", raw.len()));
    }

    #[test]
    fn a_plain_body_is_its_text() {
        let raw = br#"{"body": "[[\"\u00e9\"], {}, null]", "properties": {}}"#;
        let message = Message::from_envelope(raw).unwrap();
        assert_eq!(message.body.bytes, "[[\"é\"], {}, null]".as_bytes());
    }

    #[test]
    fn kombus_gzip_is_zlib() {
        let message = Message::from_envelope(&envelope(&zlib(b"[1]"), "application/x-gzip"));
        assert_eq!(message.unwrap().body.bytes, b"[1]");
    }

    #[test]
    fn a_body_that_cannot_be_decoded_keeps_its_headers() {
        let zeros = zlib(&vec![0; DECOMPRESSED_LIMIT + 1]);
        for (body, compression, why) in [
            (b"BZh9".as_slice(), "application/x-bz2", "application/x-bz2"),
            (b"not zlib", "application/x-gzip", "broken"),
            (&zeros, "application/x-gzip", "more than 16777216 bytes"),
        ] {
            let message = Message::from_envelope(&envelope(body, compression)).unwrap();
            assert_eq!(message.headers["id"], "a");
            assert_eq!(message.body.bytes, body);
            assert!(message.body.undecodable.as_ref().unwrap().contains(why), "{message:?}");
        }
        let raw = br#"{"body": "!!", "properties": {"body_encoding": "base64"}}"#;
        let message = Message::from_envelope(raw).unwrap();
        assert!(message.body.undecodable.unwrap().contains("base64"));
        let message = Message::from_envelope(br#"{"body": {"order": 5}}"#).unwrap();
        assert_eq!(message.body.bytes, br#"{"order": 5}"#);
        assert!(message.body.undecodable.is_some());
    }

    #[test]
    fn a_body_alone_is_that_of_its_message() {
        let compressed = envelope(&zlib(b"[1]"), "gzip");
        for raw in [
            br#"{"body": "W10=", "content-type": "application/json", "headers": {"id": 5},
                "properties": {"body_encoding": "base64", "priority": 0}}"#
                .as_slice(),
            &compressed,
            br#"{"body": "W10", "properties": {"body_encoding": "BASE64"}}"#,
            br#"{"body": "W10", "properties": {"body_encoding": "base\u00364"}}"#,
            br#"{"body": "[\"\u00e9\"]", "headers": null}"#,
            br#"{"body": "[]", "headers": {"id": NaN}}"#,
            br#"{"body": "!!", "properties": {"body_encoding": "base64"}}"#,
            br#"{"body": {"order": 5}}"#,
            br#"{"body": "first", "body": "last"}"#,
            br#"{"headers": {}}"#,
            b"{\"body\": \"\xff\"}",
        ] {
            let message = Message::from_envelope(raw).unwrap();
            assert_eq!(Body::from_envelope(raw).unwrap(), message.body, "{message:?}");
        }
        assert!(Body::from_envelope(b"[]").is_err());
    }

    #[test]
    fn what_is_no_object_is_undecodable() {
        for raw in [b"".as_slice(), b"[]", b"5", b"\xff\xfe", b"{\"body\": "] {
            let error = Message::from_envelope(raw).unwrap_err();
            assert_eq!(error.kind(), Some("undecodable"), "{raw:?}");
        }
    }
}
