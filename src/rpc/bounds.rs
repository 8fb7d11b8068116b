//! How much one answer may hold, and how far it may reach.

use crate::error::{Error, Result};

/// Rows that a list answers where the caller names no limit.
const LIMIT: usize = 100;

/// Rows that a list answers at most.
pub(super) const MOST: usize = 5_000;

/// How far an offset may skip; a cursor has no such bound.
pub(super) const FARTHEST: usize = 10_000;

/// A limit within its bounds.
///
/// # Errors
/// [`Error::InvalidParams`] above [`MOST`].
pub(super) fn limit(asked: Option<usize>) -> Result<usize> {
    match asked.unwrap_or(LIMIT) {
        limit if limit <= MOST => Ok(limit),
        limit => Err(Error::InvalidParams(format!("`limit` is at most {MOST}, not {limit}"))),
    }
}
