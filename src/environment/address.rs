//! Where a broker or result backend is: a URL, or the program that prints it.
//!
//! What a program printed stays in memory for as long as the server lets us in with it: whoever has
//! to unlock a key ring is asked once, not at every reconnect (N48). Must not know what is connected.

use crate::config::{Secret, UrlSource};
use crate::error::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One URL, and whether it is worth trying again.
#[derive(Debug)]
pub(super) struct Address {
    source: UrlSource,
    printed: Mutex<Option<Printed>>,
}

#[derive(Debug)]
struct Printed {
    url: Secret,
    /// The server let us in with it.
    proved: bool,
}

impl Address {
    pub fn new(source: UrlSource) -> Self {
        Address { source, printed: Mutex::default() }
    }

    /// The URL, where no program has to be run for it.
    pub fn known(&self) -> Option<Secret> {
        match &self.source {
            UrlSource::Given(url) => Some(url.clone()),
            UrlSource::Command(_) => self.printed().as_ref().map(|printed| printed.url.clone()),
        }
    }

    /// The program that has to be run for it.
    pub fn program(&self) -> Option<String> {
        match (&self.source, self.known()) {
            (UrlSource::Command(command), None) => Some(command.join(" ")),
            _ => None,
        }
    }

    /// The URL; runs the program where it has to be.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub async fn url(&self) -> Result<Secret> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let url = self.source.resolve().await?;
        *self.printed() = Some(Printed { url: url.clone(), proved: false });
        Ok(url)
    }

    /// Learns how connecting ended, and answers whether trying again by itself may help. A secret
    /// that was good and is refused has changed: the program is asked once more. One that was
    /// printed just now would be printed again.
    pub fn heed<T>(&self, outcome: &Result<T>) -> bool {
        let mut printed = self.printed();
        match outcome {
            Ok(_) => {
                printed.iter_mut().for_each(|printed| printed.proved = true);
                true
            }
            Err(Error::Config { .. } | Error::Unsupported { .. }) => {
                *printed = None;
                false
            }
            Err(error) if error.is_login() => match &self.source {
                UrlSource::Given(_) => true,
                UrlSource::Command(_) => printed.take().is_some_and(|printed| printed.proved),
            },
            Err(_) => true,
        }
    }

    fn printed(&self) -> MutexGuard<'_, Option<Printed>> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
