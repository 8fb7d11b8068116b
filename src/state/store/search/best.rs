//! The first few of many, in an order.

use std::cmp::Ordering;

/// Takes items in any order and keeps the first of them.
pub struct Best<T, C> {
    kept: Vec<T>,
    wanted: usize,
    compare: C,
    /// The last of the wanted ones stands where it belongs: what comes behind it is of no interest.
    bounded: bool,
}

impl<T, C: Fn(&T, &T) -> Ordering> Best<T, C> {
    /// None yet.
    pub fn new(wanted: usize, compare: C) -> Best<T, C> {
        Best { kept: Vec::new(), wanted, compare, bounded: false }
    }

    /// What an item must come before to be of interest; `None` while everything is.
    pub fn bound(&self) -> Option<&T> {
        self.kept.get(self.wanted.checked_sub(1)?).filter(|_| self.bounded)
    }

    /// Is it of interest?
    pub fn admits(&self, item: &T) -> bool {
        self.bound().is_none_or(|bound| (self.compare)(item, bound) == Ordering::Less)
    }

    /// Takes an item.
    pub fn offer(&mut self, item: T) {
        if self.wanted == 0 || !self.admits(&item) {
            return;
        }
        self.kept.push(item);
        if self.kept.len() >= self.wanted.saturating_mul(2).saturating_add(64) {
            self.kept.select_nth_unstable_by(self.wanted - 1, &self.compare);
            self.kept.truncate(self.wanted);
            self.bounded = true;
        }
    }

    /// The first ones, in order.
    pub fn into_sorted(mut self) -> Vec<T> {
        self.kept.sort_unstable_by(&self.compare);
        self.kept.truncate(self.wanted);
        self.kept
    }
}
