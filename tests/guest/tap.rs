//! A line to Redis that is listened to: every command of whoever connects through it, when it was
//! sent, and how large its reply was.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// One command, its words as text.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: Instant,
    pub words: Vec<String>,
}

impl Sent {
    /// Its name in capitals, with the subcommand where the command has them.
    pub fn name(&self) -> String {
        let name = self.words[0].to_uppercase();
        let grouped = ["CLIENT", "ACL", "CONFIG", "PUBSUB", "SCRIPT", "OBJECT", "MEMORY"]
            .contains(&name.as_str());
        match self.words.get(1) {
            Some(sub) if grouped => format!("{name} {}", sub.to_uppercase()),
            _ => name,
        }
    }
}

#[derive(Default)]
struct Heard {
    sent: Mutex<Vec<Sent>>,
    largest: Mutex<usize>,
}

pub struct Tap {
    port: u16,
    heard: Arc<Heard>,
}

impl Tap {
    /// Listens on a port of its own and passes everything on to that of a Redis.
    pub fn on(redis: u16) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = Tap { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = Arc::clone(&tap.heard);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", redis)).unwrap();
                carry(&client, &server, &heard);
            }
        });
        tap
    }

    pub fn url(&self, db: u8) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Every command so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.heard.sent.lock().unwrap().clone()
    }

    /// Bytes of the largest reply so far.
    pub fn largest_reply(&self) -> usize {
        *self.heard.largest.lock().unwrap()
    }
}

fn carry(client: &TcpStream, server: &TcpStream, heard: &Arc<Heard>) {
    let commands = Arc::clone(heard);
    pass(client, server, move |frame| {
        let sent = Sent { at: Instant::now(), words: words(frame) };
        commands.sent.lock().unwrap().push(sent);
    });
    let replies = Arc::clone(heard);
    pass(server, client, move |frame| {
        let mut largest = replies.largest.lock().unwrap();
        *largest = frame.len().max(*largest);
    });
}

/// Passes frames on in one direction until either end closes.
fn pass(from: &TcpStream, to: &TcpStream, hear: impl Fn(&[u8]) + Send + 'static) {
    let mut reader = BufReader::new(from.try_clone().unwrap());
    let mut to = to.try_clone().unwrap();
    thread::spawn(move || {
        let mut frame = Vec::new();
        while read_frame(&mut reader, &mut frame).is_ok() && to.write_all(&frame).is_ok() {
            hear(&frame);
            frame.clear();
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Reads one RESP value, whole.
fn read_frame(reader: &mut impl BufRead, frame: &mut Vec<u8>) -> Result<()> {
    let start = frame.len();
    if reader.read_until(b'\n', frame)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let head = String::from_utf8_lossy(&frame[start..]).trim_end().to_owned();
    let count = head.get(1..).and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
    match head.as_bytes().first() {
        Some(b'$' | b'=' | b'!') if head != "$-1" => {
            reader.take(count as u64 + 2).read_to_end(frame)?;
        }
        Some(b'*' | b'~' | b'>') => (0..count).try_for_each(|_| read_frame(reader, frame))?,
        Some(b'%') => (0..2 * count).try_for_each(|_| read_frame(reader, frame))?,
        _ => {}
    }
    Ok(())
}

/// The words of a command: an array of bulk strings.
fn words(mut frame: &[u8]) -> Vec<String> {
    let mut line = Vec::new();
    let mut words = Vec::new();
    let mut part = Vec::new();
    while frame.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.first() == Some(&b'$') {
            let length = String::from_utf8_lossy(&line[1..]).trim_end().parse().unwrap();
            frame.by_ref().take(length).read_to_end(&mut part).unwrap();
            words.push(String::from_utf8_lossy(&part).into());
            frame = &frame[2..];
            part.clear();
        }
        line.clear();
    }
    words
}
