//! The right to change a cluster. Whatever writes to one takes it, and only the door makes it.

use super::Job;
use std::ops::Deref;

/// A job that may change its cluster.
#[derive(Debug)]
pub struct Licence(Job);

impl Licence {
    /// The guards let it through.
    pub(super) fn of(job: Job) -> Self {
        Licence(job)
    }
}

impl Deref for Licence {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}
