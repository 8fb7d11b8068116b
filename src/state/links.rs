//! Which task was sent in place of which. No message tells it, so it is known of what was sent from
//! here, while this program runs.

use std::collections::{HashMap, VecDeque};

/// Links that are kept.
const KEPT: usize = 10_000;

/// The newest links.
#[derive(Debug, Default)]
pub(super) struct Links {
    retry_of: HashMap<String, String>,
    /// The newest, where there are several.
    retried_as: HashMap<String, String>,
    /// The new ones, oldest first.
    order: VecDeque<String>,
}

impl Links {
    /// `new` was sent in place of `old`.
    pub fn add(&mut self, old: &str, new: &str) {
        if self.order.len() == KEPT
            && let Some(new) = self.order.pop_front()
            && let Some(old) = self.retry_of.remove(&new)
            && self.retried_as.get(&old) == Some(&new)
        {
            self.retried_as.remove(&old);
        }
        self.retry_of.insert(new.into(), old.into());
        self.retried_as.insert(old.into(), new.into());
        self.order.push_back(new.into());
    }

    /// What it was sent in place of.
    pub fn retry_of(&self, uuid: &str) -> Option<&str> {
        self.retry_of.get(uuid).map(String::as_str)
    }

    /// What was sent in its place last.
    pub fn retried_as(&self, uuid: &str) -> Option<&str> {
        self.retried_as.get(uuid).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_known_both_ways_and_bounded() {
        let mut links = Links::default();
        links.add("a", "b");
        links.add("a", "c");
        assert_eq!((links.retry_of("b"), links.retry_of("c")), (Some("a"), Some("a")));
        assert_eq!((links.retried_as("a"), links.retried_as("b")), (Some("c"), None));
        (0..KEPT).for_each(|n| links.add(&format!("old-{n}"), &format!("new-{n}")));
        assert_eq!((links.retry_of("c"), links.retried_as("a")), (None, None));
        assert_eq!((links.retry_of.len(), links.retried_as.len()), (KEPT, KEPT));
    }
}
