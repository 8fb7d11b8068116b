//! Golden conversations: `tests/transcripts/*.txt`, played against the real binary over stdio.
//!
//! - `$ lazycelery …`, the first line, is how the server is started
//! - `-->` is sent, as it stands
//! - `~~>` is an observation, written to `replay:FIFO`; neighbours arrive together
//! - `<--` must come next; compared exactly, members in order, and nothing else may come. Of
//!   neighbours answers are written first: a notification may overtake an answer
//! - a line that begins with four blanks continues the one above; every other line is prose
//! - `HOME` stands for the folder that the server runs in
//!
//! `UPDATE=1 cargo test transcripts` writes down what comes.

use crate::schemas;
use crate::support::root;
use crate::support::server::{Framing, Server};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Every transcript there is, each a test of its own.
macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_file_is_played() {
            let listed = BTreeSet::from([$(concat!(stringify!($name), ".txt").to_owned()),*]);
            let found = fs::read_dir(folder()).unwrap();
            let found = found.map(|file| file.unwrap().file_name().into_string().unwrap());
            assert_eq!(found.collect::<BTreeSet<_>>(), listed);
        }
    };
}

transcripts![
    act,
    discover,
    environment,
    errors,
    export,
    feeds,
    filter,
    job,
    lifecycle,
    queue,
    task,
    worker
];

/// The first line of every recording.
const RECORDING: &str = r#"{"lazycelery":"recording","version":1}"#;

/// While a transcript is written, silence of this length means that all has come.
const SILENCE: Duration = Duration::from_millis(400);

/// Columns of a line, where JSON lets it.
const WIDTH: usize = 100;

pub fn folder() -> PathBuf {
    root().join("tests/transcripts")
}

pub fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn check(name: &str) {
    let file = folder().join(name).with_extension("txt");
    let written = fs::read_to_string(&file).unwrap();
    let played = play(&written);
    if updating() {
        fs::write(&file, played).unwrap();
        return;
    }
    for (number, (wanted, came)) in written.lines().zip(played.lines()).enumerate() {
        assert_eq!(wanted, came, "{name}.txt:{}; all that came:\n{played}", number + 1);
    }
    assert_eq!(written, played, "{name}.txt");
    schemas::check(messages(&played));
}

/// Everything that was said, with whether we said it; what is no JSON was meant to be none.
fn messages(played: &str) -> Vec<(bool, Value)> {
    let joined = played.replace("\n    ", " ");
    let said = joined.lines().filter_map(|line| {
        let (kind, text) = line.split_at_checked(4)?;
        let sent = matches!(kind, "--> ").then_some(true);
        let sent = sent.or(matches!(kind, "<-- ").then_some(false))?;
        Some((sent, serde_json::from_str(text).ok()?))
    });
    said.collect()
}

/// Plays one conversation; answers it with what really came.
fn play(transcript: &str) -> String {
    let mut lines = transcript.lines().peekable();
    let start = lines.next().unwrap();
    let arguments = start.strip_prefix("$ lazycelery").expect("how it is started");
    let mut stage = Stage::set(&arguments.split_whitespace().collect::<Vec<_>>());
    let mut played = format!("{start}\n");
    while let Some(line) = lines.next() {
        let (kind, first) = line.split_at_checked(4).unwrap_or((line, ""));
        let mut text = first.to_owned();
        let mut shown = format!("{line}\n");
        while let Some(more) = lines.next_if(|next| next.starts_with("    ")) {
            text += more.trim_start();
            shown += &format!("{more}\n");
        }
        let next = lines.peek().and_then(|next| next.get(..4));
        match kind {
            "--> " => stage.say(&text),
            "~~> " => {
                stage.observe(&text);
                if next != Some("~~> ") {
                    stage.flush();
                }
            }
            "<-- " if updating() => continue,
            "<-- " => {
                stage.expected += 1;
                if next == Some("<-- ") {
                    continue;
                }
                shown = stage.hear();
            }
            _ => {}
        }
        played += &shown;
        if updating() && matches!(kind, "--> " | "~~> ") {
            played += &stage.hear_all();
        }
    }
    played + &stage.clear()
}

/// A server and the FIFO that it replays.
struct Stage {
    server: Server,
    home: String,
    observations: File,
    /// Observations that are not written yet.
    waiting: String,
    /// Messages that are not read yet.
    expected: usize,
}

impl Stage {
    fn set(arguments: &[&str]) -> Stage {
        let home = tempfile::tempdir().unwrap();
        let fifo = home.path().join("FIFO");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        // Open for reading too: it never blocks, and its end is not the recording's.
        let mut observations = File::options().read(true).write(true).open(fifo).unwrap();
        writeln!(observations, "{RECORDING}").unwrap();
        let place = home.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let server = Server::start_in(home, Framing::Lines, arguments, &[]);
        Stage { server, home: place, observations, waiting: String::new(), expected: 0 }
    }

    fn say(&mut self, text: &str) {
        self.server.send_bytes(format!("{text}\n").as_bytes());
    }

    fn observe(&mut self, text: &str) {
        self.waiting += text;
        self.waiting += "\n";
    }

    /// In one write, so that they are applied as one.
    fn flush(&mut self) {
        self.observations.write_all(std::mem::take(&mut self.waiting).as_bytes()).unwrap();
    }

    /// As many messages as are expected.
    fn hear(&mut self) -> String {
        let expected = std::mem::take(&mut self.expected);
        let messages: Vec<_> = (0..expected).map_while(|_| self.server.read()).collect();
        self.show_all(&messages)
    }

    /// Whatever comes until silence.
    fn hear_all(&mut self) -> String {
        if !self.waiting.is_empty() {
            return String::new();
        }
        let messages: Vec<_> = std::iter::from_fn(|| self.server.read_within(SILENCE)).collect();
        self.show_all(&messages)
    }

    /// As they came.
    fn show_all(&self, messages: &[Value]) -> String {
        let shown = messages.iter().map(|message| {
            let message = message.to_string().replace(&self.home, "HOME");
            format!("<-- {}\n", layout(&serde_json::from_str(&message).unwrap(), 4))
        });
        shown.collect()
    }

    /// Ends the input; answers what nobody had waited for, and a status other than 0.
    fn clear(mut self) -> String {
        let (unread, status) = self.server.finish();
        let mut last = self.show_all(&unread);
        if !status.success() {
            last += &format!("({status})\n");
        }
        last
    }
}

/// JSON on as few lines as fit the page, indented for a continuation.
fn layout(value: &Value, indent: usize) -> String {
    let whole = compact(value);
    if indent + whole.chars().count() <= WIDTH {
        return whole;
    }
    let deeper = indent + 2;
    let (open, close, items) = match value {
        Value::Array(items) => ('[', ']', items.iter().map(|item| layout(item, deeper)).collect()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), layout(value, deeper))
            };
            ('{', '}', members.iter().map(member).collect())
        }
        _ => return whole,
    };
    let pad = " ".repeat(deeper);
    let body = fill(items, WIDTH - deeper).join(&format!("\n{pad}"));
    format!("{open}\n{pad}{body}\n{}{close}", " ".repeat(indent))
}

/// As many items a line as fit; one of several lines stands alone.
fn fill(items: Vec<String>, width: usize) -> Vec<String> {
    let last = items.len().saturating_sub(1);
    let mut lines: Vec<String> = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let item = if at == last { item } else { item + "," };
        match lines.last_mut() {
            Some(line) if !line.contains('\n') && line.len() + 1 + item.len() <= width => {
                *line += " ";
                *line += &item;
            }
            _ => lines.push(item),
        }
    }
    lines
}

/// One line, with a blank after commas and colons.
fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".into(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), compact(value))
            };
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}
