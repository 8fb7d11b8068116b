//! What is known of an envelope that is too large to be read: kombu writes the body first and the
//! headers last, so its two ends tell whose it is.

use base64_simd::STANDARD;
use serde_json::Deserializer;

/// The two ends of an envelope that was not read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cut {
    /// Of the whole.
    pub bytes: usize,
    /// Its first bytes.
    pub head: Vec<u8>,
    /// Its last bytes.
    pub tail: Vec<u8>,
}

impl Cut {
    /// Keeps what came of the first and of the last `kept` bytes.
    pub fn keep(&mut self, came: &[u8], kept: usize) {
        let missing = kept.saturating_sub(self.head.len()).min(came.len());
        self.head.extend_from_slice(&came[..missing]);
        // What ends the line comes behind the last byte, and is taken off later.
        let kept = kept + b"\r\n".len();
        self.tail.extend_from_slice(&came[came.len().saturating_sub(kept)..]);
        self.tail.drain(..self.tail.len().saturating_sub(kept));
    }

    /// A header that is a text.
    pub fn header(&self, name: &str) -> Option<String> {
        let tail = String::from_utf8_lossy(&self.tail);
        let (_, value) = tail.rsplit_once(&format!("\"{name}\":"))?;
        first_text(value.trim_start().as_bytes())
    }

    /// The first member's name of a body that is a JSON object in base64.
    pub fn first_member(&self) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        let (_, body) = head.split_once("\"body\":")?;
        let body = body.trim_start().strip_prefix('"')?;
        let whole = body.len() - body.len() % 4;
        let body = STANDARD.decode_to_vec(body.get(..whole)?).ok()?;
        first_text(body.trim_ascii_start().strip_prefix(b"{")?)
    }
}

/// The JSON text that stands first.
pub(crate) fn first_text(json: &[u8]) -> Option<String> {
    Deserializer::from_slice(json).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use serde_json::json;

    #[test]
    fn f16_the_ends_of_an_envelope_tell_whose_it_is() {
        let body = json!({ "w\u{e9}1@lab": ["x".repeat(100_000)] });
        let mut message = Message::json(&body, "", "mine");
        message.headers_json = json!({ "ticket": "T" }).to_string();
        let raw = [message.to_envelope(), b"\r\n".to_vec()].concat();
        let mut cut = Cut::default();
        raw.chunks(1_000).for_each(|came| cut.keep(came, 4_096));
        assert_eq!(cut.header("ticket").as_deref(), Some("T"));
        assert_eq!(cut.first_member().as_deref(), Some("w\u{e9}1@lab"));
        assert_eq!((cut.head.len(), cut.tail.len()), (4_096, 4_098));
        let odd = Cut { head: b"\x00{\"body\": 5}".to_vec(), ..Cut::default() };
        assert_eq!((odd.header("ticket"), odd.first_member()), (None, None));
    }
}
