//! A line to a server that goes bad when told to: cut, refused, or silent without an end.

use super::process::free_port;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Weather {
    /// Passes everything on.
    #[default]
    Fair,
    /// Closes whoever connects.
    Refusing,
    /// Takes everything and passes nothing on: a host that is gone without a FIN.
    Swallowing,
    /// Loses a connection like that as soon as it carries this word.
    Losing(&'static str),
}

/// What happens once so many more bytes have passed.
struct Fuse {
    left: usize,
    bang: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Line {
    weather: Mutex<Weather>,
    ends: Mutex<Vec<TcpStream>>,
    passed: AtomicUsize,
    fuse: Mutex<Option<Fuse>>,
    /// The port of this machine that it leads to.
    target: AtomicU16,
    /// Connections that were lost for a word.
    lost: AtomicUsize,
}

/// A TCP proxy on a port of its own.
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
}

impl Proxy {
    /// Passes everything on to a port of this machine.
    pub fn to(port: u16) -> Proxy {
        let own = free_port();
        let listener = TcpListener::bind(("127.0.0.1", own)).unwrap();
        let line = Arc::new(Line { target: AtomicU16::new(port), ..Line::default() });
        let shared = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if *shared.weather.lock().unwrap() != Weather::Refusing {
                    carry(client, &shared);
                }
            }
        });
        Proxy { port: own, line }
    }

    /// `redis://127.0.0.1:PORT/DB`
    pub fn url(&self, db: u8) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Closes every connection; new ones are accepted.
    pub fn cut(&self) {
        for end in self.line.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Closes every connection and each new one at once.
    pub fn refuse(&self) {
        *self.line.weather.lock().unwrap() = Weather::Refusing;
        self.cut();
    }

    /// From now on nothing passes, in neither direction, and nothing is closed.
    pub fn swallow(&self) {
        *self.line.weather.lock().unwrap() = Weather::Swallowing;
    }

    /// Bytes that have passed, in both directions.
    pub fn passed(&self) -> usize {
        self.line.passed.load(Ordering::Relaxed)
    }

    /// Once so many more bytes have passed, in both directions, does something, and cuts the line that
    /// the next one would have passed.
    pub fn after(&self, bytes: usize, bang: impl FnOnce() + Send + 'static) {
        *self.line.fuse.lock().unwrap() = Some(Fuse { left: bytes, bang: Box::new(bang) });
    }

    /// From now on a connection goes silent as soon as it carries this word; the others live on.
    pub fn lose(&self, word: &'static str) {
        *self.line.weather.lock().unwrap() = Weather::Losing(word);
    }

    /// New connections lead elsewhere: a name that resolves anew.
    pub fn aim(&self, port: u16) {
        self.line.target.store(port, Ordering::Release);
    }

    /// How many were lost for a word.
    pub fn lost(&self) -> usize {
        self.line.lost.load(Ordering::Acquire)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// New connections work again.
    pub fn clear(&self) {
        *self.line.weather.lock().unwrap() = Weather::Fair;
    }
}

impl Line {
    fn carry(&self, bytes: &[u8], to: &mut TcpStream) -> io::Result<()> {
        self.passed.fetch_add(bytes.len(), Ordering::Relaxed);
        let mut fuse = self.fuse.lock().unwrap();
        let before = match &mut *fuse {
            Some(fuse) if fuse.left > bytes.len() => {
                fuse.left -= bytes.len();
                bytes.len()
            }
            Some(fuse) => fuse.left,
            None => bytes.len(),
        };
        to.write_all(&bytes[..before])?;
        match fuse.take_if(|_| before < bytes.len()) {
            Some(fuse) => {
                (fuse.bang)();
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            None => Ok(()),
        }
    }
}

fn carry(client: TcpStream, line: &Arc<Line>) {
    let port = line.target.load(Ordering::Acquire);
    // A server that is down is a line that is cut.
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let line = Arc::clone(line);
        thread::spawn(move || pass(from, to, &line));
    }
    line.ends.lock().unwrap().extend([client, server]);
}

fn pass(mut from: TcpStream, mut to: TcpStream, line: &Line) {
    let mut bytes = vec![0; 64 << 10];
    let mut lost = false;
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let weather = *line.weather.lock().unwrap();
        if let Weather::Losing(word) = weather
            && !lost
            && bytes[..read].windows(word.len()).any(|said| said == word.as_bytes())
        {
            lost = true;
            line.lost.fetch_add(1, Ordering::AcqRel);
        }
        let swallowed = lost || weather == Weather::Swallowing;
        if !swallowed && line.carry(&bytes[..read], &mut to).is_err() {
            break;
        }
    }
    if *line.weather.lock().unwrap() != Weather::Swallowing {
        let _ = to.shutdown(Shutdown::Both);
    }
}
