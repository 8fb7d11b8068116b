//! Waiting for a value instead of for a time.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// One look: the value, or what was seen instead.
pub trait Look<T> {
    fn look(self) -> Result<T, String>;
}

impl<T> Look<T> for Option<T> {
    fn look(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".into())
    }
}

impl<T, E: Debug> Look<T> for Result<T, E> {
    fn look(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:#?}"))
    }
}

impl Look<()> for bool {
    fn look(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".into())
    }
}

/// Looks until there is a value; fails with the last thing seen.
#[track_caller]
pub fn wait_until<T, L: Look<T>>(what: &str, look: impl FnMut() -> L) -> T {
    wait_within(PATIENCE, what, look)
}

/// Likewise, with a bound of the caller's.
#[track_caller]
pub fn wait_within<T, L: Look<T>>(bound: Duration, what: &str, mut look: impl FnMut() -> L) -> T {
    let until = Instant::now() + bound;
    loop {
        match look().look() {
            Ok(value) => return value,
            Err(seen) if Instant::now() > until => {
                panic!("waited {bound:?} for {what}; last seen: {seen}")
            }
            Err(_) => thread::sleep(BETWEEN_LOOKS),
        }
    }
}
