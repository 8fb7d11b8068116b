//! The process's own stdin and stdout as a byte stream, and the ways in which it makes a process end.
//!
//! End of input is the only signal to count on: an editor that is killed sends no other. So a thread
//! that nothing can block watches for it, and ends the process [`HARD_END`] later, whatever hangs.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process;
use std::sync::Once;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal as listen};

/// How long after the end of input the process may live: the grace of the calls, and a margin.
pub const HARD_END: Duration = Duration::from_millis(3500);

/// Stdin, which ends the process some time after it has ended itself.
#[derive(Debug)]
pub struct Stdin(File);

/// The real stdout.
pub type Stdout = File;

/// Takes the process's stdin and stdout. Both are replaced by the null device, so that a stray print
/// or a child process can neither write into the protocol nor read from it.
///
/// # Errors
/// What the system said to duplicating a descriptor or opening the null device.
pub fn take() -> io::Result<(Stdin, Stdout)> {
    let stdin = File::from(duplicate(rustix::stdio::stdin())?);
    let stdout = File::from(duplicate(rustix::stdio::stdout())?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    let watched = stdin.try_clone()?;
    thread::Builder::new().name("end of input".into()).spawn(move || watch(&watched))?;
    Ok((Stdin(stdin), stdout))
}

/// A copy above the three standard descriptors, which no child inherits.
fn duplicate(fd: impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, 3)?)
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer);
        // A file or a terminal ends without hanging up, so `watch` does not see it.
        if matches!(read, Ok(0)) {
            end_hard();
        }
        read
    }
}

/// Waits until the other end of stdin is closed, without reading.
fn watch(stdin: &File) {
    #[cfg(target_os = "linux")]
    let hang_up = PollFlags::RDHUP;
    #[cfg(not(target_os = "linux"))]
    let hang_up = PollFlags::empty();
    loop {
        let mut fds = [PollFd::new(stdin, hang_up)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if fds[0].revents().intersects(hang_up | PollFlags::HUP | PollFlags::ERR) {
            return end_hard();
        }
        if !fds[0].revents().is_empty() {
            return;
        }
    }
}

/// Ends the process after [`HARD_END`], unless it has ended by then.
fn end_hard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let end = || {
            thread::sleep(HARD_END);
            process::exit(1);
        };
        if thread::Builder::new().name("hard end".into()).spawn(end).is_err() {
            process::exit(1);
        }
    });
}

/// Listens from now on for SIGTERM or SIGINT, and resolves at the first; never, where the system lets
/// us hear neither. Called before anything is served: until then a signal kills.
///
/// # Panics
/// Outside a tokio runtime.
pub fn signal() -> impl Future<Output = ()> {
    let heard = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = heard else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
