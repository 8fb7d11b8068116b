//! Cuts a byte stream into JSON texts, in either of two framings, found from the first bytes.
//!
//! A stream whose first character is `C` speaks the LSP base protocol (`Content-Length` headers);
//! any other holds one JSON text a line. Knows nothing of JSON: whether a text *is* JSON is
//! [`super::message`]'s question. Does no I/O, so that tests can cut the bytes anywhere.

/// The longest text that is read, in bytes.
pub const LIMIT: usize = 16 << 20;

/// The longest block of headers, in bytes. Nobody needs more than two short ones.
const HEADERS_LIMIT: usize = 8 << 10;

/// How texts are told apart; answers use the framing of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON text a line.
    Lines,
    /// `Content-Length: n`, an empty line, n bytes.
    Headers,
}

impl Framing {
    /// Appends `json` as one frame to `out`.
    pub fn write(self, json: &str, out: &mut Vec<u8>) {
        if self == Framing::Headers {
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", json.len()).as_bytes());
            out.extend_from_slice(json.as_bytes());
            return;
        }
        // A raw line break can only be white space between two tokens, and would end the frame.
        out.extend(
            json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }),
        );
        out.push(b'\n');
    }
}

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text; never empty.
    Text(Vec<u8>),
    /// A text that was skipped, and why. The next one can be read.
    Skipped(String),
    /// Why nothing that follows can be read.
    Unreadable(String),
}

/// Bytes in, frames out.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where the part of `bytes` that was not yet handed out begins.
    start: usize,
    /// Up to where the line in hand was searched for its end, so that no byte is looked at twice.
    searched: usize,
    framing: Option<Framing>,
    /// The line in hand is too long: drop it up to its end.
    skipping: bool,
    unreadable: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The framing, once the first bytes decided it.
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched = self.searched.saturating_sub(self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame of what was pushed. `ended`: nothing will be pushed any more, so that a last
    /// line needs no line end, and a text that was cut off is told.
    pub fn next(&mut self, ended: bool) -> Option<Frame> {
        if self.unreadable {
            return None;
        }
        let frame = match self.framing {
            None => match self.detect(ended)? {
                Ok(framing) => {
                    self.framing = Some(framing);
                    return self.next(ended);
                }
                Err(reason) => Frame::Unreadable(reason.into()),
            },
            Some(Framing::Lines) => self.line(ended)?,
            Some(Framing::Headers) => match self.block(ended)? {
                Ok(text) => Frame::Text(text),
                Err(reason) => Frame::Unreadable(reason),
            },
        };
        self.unreadable = matches!(frame, Frame::Unreadable(_));
        Some(frame)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn advance(&mut self, count: usize) {
        self.start += count;
        self.searched = self.searched.max(self.start);
    }

    /// Looks past a byte order mark and white space, and moves only once it has decided, so that it
    /// sees the same wherever the stream was cut. `None`: more bytes are needed.
    fn detect(&mut self, ended: bool) -> Option<Result<Framing, &'static str>> {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        let rest = self.rest();
        let head = &rest[..rest.len().min(BOM.len())];
        if !ended && (head.len() < 2 || (head != BOM && BOM.starts_with(head))) {
            return None;
        }
        if matches!(head, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, ..] | [_, 0, ..]) {
            return Some(Err("the input is UTF-16, this protocol is UTF-8"));
        }
        let text = rest.strip_prefix(BOM).unwrap_or(rest).trim_ascii_start();
        let framing = match text.first()? {
            b'C' | b'c' => Framing::Headers,
            _ => Framing::Lines,
        };
        self.advance(rest.len() - text.len());
        Some(Ok(framing))
    }

    fn skip_blank(&mut self) {
        self.advance(self.rest().len() - self.rest().trim_ascii_start().len());
    }

    /// The next line that is not blank.
    fn line(&mut self, ended: bool) -> Option<Frame> {
        loop {
            let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
            self.searched = end.map_or(self.bytes.len(), |end| self.searched + end);
            let too_long = self.searched - self.start > LIMIT;
            if end.is_none() && !ended {
                if too_long || self.skipping {
                    self.start = self.searched;
                }
                return (too_long && !std::mem::replace(&mut self.skipping, true)).then(too_large);
            }
            let line = self.bytes[self.start..self.searched].trim_ascii().to_vec();
            self.advance(self.searched - self.start + usize::from(end.is_some()));
            if std::mem::take(&mut self.skipping) {
                // Its refusal was told when it grew too long.
            } else if too_long {
                return Some(too_large());
            } else if !line.is_empty() {
                return Some(Frame::Text(line));
            }
            end?;
        }
    }

    /// The next block of headers and the text that it announces.
    fn block(&mut self, ended: bool) -> Option<Result<Vec<u8>, String>> {
        // A base protocol text ends without a line end; those who write one anyway do no harm.
        self.skip_blank();
        let rest = self.rest();
        let Some((headers, body_at)) = split_headers(rest) else {
            if rest.len() > HEADERS_LIMIT {
                return Some(Err(format!("more than {HEADERS_LIMIT} bytes of headers")));
            }
            return (ended && !rest.is_empty()).then(|| Err("the headers were cut off".into()));
        };
        let length = match content_length(headers) {
            Ok(length) => length,
            Err(reason) => return Some(Err(reason)),
        };
        match rest.get(body_at..body_at + length) {
            Some(text) => {
                let text = text.to_vec();
                self.advance(body_at + length);
                Some(Ok(text))
            }
            None => ended.then(|| {
                let read = rest.len() - body_at;
                Err(format!("the text was cut off after {read} of {length} bytes"))
            }),
        }
    }
}

fn too_large() -> Frame {
    Frame::Skipped(format!("a text of more than {LIMIT} bytes"))
}

/// The header lines before the first empty line, and where the text after it begins. Lines end with
/// CR LF, or with LF alone.
fn split_headers(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut at = 0;
    while let Some(end) = bytes[at..].iter().take(HEADERS_LIMIT).position(|byte| *byte == b'\n') {
        if bytes[at..at + end].trim_ascii().is_empty() {
            return Some((&bytes[..at], at + end + 1));
        }
        at += end + 1;
        if at > HEADERS_LIMIT {
            break;
        }
    }
    None
}

/// The one `Content-Length`, whatever stands around it.
fn content_length(headers: &[u8]) -> Result<usize, String> {
    let headers = String::from_utf8_lossy(headers);
    let mut found = None;
    for line in headers.lines() {
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("a header without a colon: {line:?}"));
        };
        if !name.trim().eq_ignore_ascii_case("content-length") {
            continue;
        }
        // `parse` alone would take a sign.
        let digits = value.trim();
        let length = digits.parse::<usize>().ok().filter(|_| !digits.starts_with('+'));
        match length {
            Some(length @ 1..=LIMIT) if found.is_none() => found = Some(length),
            Some(length) if length > LIMIT => {
                return Err(format!("a text of more than {LIMIT} bytes"));
            }
            _ => return Err(format!("bad Content-Length: {:?}", value.trim())),
        }
    }
    found.ok_or_else(|| "headers without Content-Length".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All frames of `pieces`, pushed one by one.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            frames.extend(std::iter::from_fn(|| decoder.next(false)));
        }
        frames.extend(std::iter::from_fn(|| decoder.next(true)));
        frames
    }

    fn text(text: &str) -> Frame {
        Frame::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn n23_the_first_bytes_decide_the_framing() {
        for (stream, expected) in [
            (&b"\xEF\xBB\xBF{}\n"[..], vec!["{}"]),
            (b"\r\n{}\n", vec!["{}"]),
            (b" {}\n", vec!["{}"]),
            (b"{}", vec!["{}"]),
            (b"{}\r\n[]\r\n", vec!["{}", "[]"]),
            (b"{\n}\n", vec!["{", "}"]),
            (b"\n\n{}\n \n{}", vec!["{}", "{}"]),
            (b"hello\n", vec!["hello"]),
            (b"content-length: 2\r\n\r\n{}", vec!["{}"]),
            (b"Content-Type: x; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}", vec!["{}"]),
            (b"Content-Length: 2\r\ncontent-type: x\r\n\r\n{}", vec!["{}"]),
            (b"Content-Length:2\r\n\r\n{}", vec!["{}"]),
            (b"Content-Length:   2  \r\n\r\n{}", vec!["{}"]),
            (b"Content-Length: 2\n\n{}Content-Length: 2\n\n[]", vec!["{}", "[]"]),
            (
                b"\xEF\xBB\xBF\r\nContent-Length: 2\r\n\r\n{}\r\nContent-Length: 2\r\n\r\n[]",
                vec!["{}", "[]"],
            ),
            (b"", vec![]),
            (b" ", vec![]),
            (b"\xEF\xBB\xBF", vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(text).collect();
            assert_eq!(frames([stream]), expected, "{}", stream.escape_ascii());
            assert_eq!(frames(stream.chunks(1)), expected, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn n23_a_bad_length_is_one_error_and_the_end() {
        for length in ["-1", "0", "+2", "99999999999999999999", "2 2", "", "0x2", "16777217", "two"]
        {
            let stream =
                format!("Content-Length: {length}\r\n\r\n{{}}Content-Length: 2\r\n\r\n{{}}");
            let read = frames([stream.as_bytes()]);
            assert!(matches!(read[..], [Frame::Unreadable(_)]), "{length}: {read:?}");
        }
        for stream in [
            "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "Content-Type: x\r\n\r\n{}",
            "Content-Length 2\r\n\r\n{}",
            "Content-Length: 2\r\n",
            "Content-Length: 9\r\n\r\n{}",
        ] {
            let read = frames([stream.as_bytes()]);
            assert!(matches!(read[..], [Frame::Unreadable(_)]), "{stream}: {read:?}");
        }
        let endless = "Content-Type: ".to_owned() + &"x".repeat(3 * HEADERS_LIMIT);
        assert!(matches!(frames([endless.as_bytes()])[..], [Frame::Unreadable(_)]));
    }

    #[test]
    fn n23_utf_16_is_said_once() {
        let wide = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        for stream in [
            wide("\u{FEFF}{}\n{}\n", u16::to_le_bytes),
            wide("\u{FEFF}{}\n{}\n", u16::to_be_bytes),
            wide("{}\n{}\n", u16::to_le_bytes),
            wide("{}\n{}\n", u16::to_be_bytes),
        ] {
            let read = frames(stream.chunks(1));
            let [Frame::Unreadable(reason)] = &read[..] else { panic!("{read:?}") };
            assert!(reason.contains("UTF-16"), "{reason}");
        }
    }

    #[test]
    fn a_line_above_the_limit_is_skipped_and_the_next_one_read() {
        let long = vec![b'x'; LIMIT + 1];
        let stream = [&b"1\n"[..], &long, &long, b"\n2\n"].concat();
        let expected = [text("1"), too_large(), text("2")];
        assert_eq!(frames([&stream[..]]), expected);
        assert_eq!(frames(stream.chunks(1 << 20)), expected);
        assert_eq!(frames([&long[..]]), [too_large()]);
        let longest = vec![b'x'; LIMIT];
        assert_eq!(frames([&longest[..], b"\n"]), [Frame::Text(longest.clone())]);
    }

    #[test]
    fn an_answer_is_one_frame() {
        for (framing, expected) in [
            (Framing::Lines, "[1,  \"é\"]\n"),
            (Framing::Headers, "Content-Length: 10\r\n\r\n[1,\r\n\"é\"]"),
        ] {
            let mut out = Vec::new();
            framing.write("[1,\r\n\"é\"]", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn wherever_the_stream_is_cut_the_frames_are_the_same(
            texts in proptest::collection::vec("[ -~é→]{0,30}[!-~é→]", 0..6),
            headers in any::<bool>(),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        ) {
            let framing = if headers { Framing::Headers } else { Framing::Lines };
            // An opening brace, since the first character decides the framing.
            let texts: Vec<String> = texts.iter().map(|text| format!("{{{text}")).collect();
            let mut stream = Vec::new();
            texts.iter().for_each(|text| framing.write(text, &mut stream));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
            let expected: Vec<Frame> = texts.iter().map(|one| text(one)).collect();
            prop_assert_eq!(frames(pieces), expected);
        }

        #[test]
        fn no_bytes_are_fatal(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let whole = pieces.concat();
            prop_assert_eq!(frames(pieces.iter().map(Vec::as_slice)), frames([&whole[..]]));
        }
    }
}
