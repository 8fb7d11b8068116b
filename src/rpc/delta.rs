//! What changed in a window since it was last sent: rows by their records' revisions, keys only
//! when order or membership changed. No row is serialized to find out that it did not change.

use super::moves::{self, Move};
use crate::state::Page;
use std::collections::HashMap;

/// What a client has of one window.
#[derive(Debug, Default)]
pub(super) struct Sent {
    keys: Vec<String>,
    revisions: HashMap<String, u64>,
    total: Option<(u64, bool)>,
    /// The next difference carries all keys, whether they changed or not.
    all_keys: bool,
}

/// A difference.
#[derive(Debug, PartialEq)]
pub(super) struct Delta {
    /// Keys of rows that are new or changed, in order.
    pub rows: Vec<String>,
    /// Every key in order, where that changed.
    pub keys: Option<Vec<String>>,
    /// In their place, how the order changed.
    pub moves: Option<Vec<Move>>,
}

impl Sent {
    /// The client asked for another window: all keys are due.
    pub fn reframed(&mut self) {
        self.all_keys = true;
    }

    /// What to send so that the client has `page`; `None` where it has it already. One that takes
    /// moves gets them where they say less than all keys do.
    pub fn advance(&mut self, page: &Page, takes_moves: bool) -> Option<Delta> {
        let keys: Vec<String> = page.keys.iter().map(|(key, _)| key.clone()).collect();
        let total = Some((page.total, page.exact));
        let rows: Vec<String> = page
            .keys
            .iter()
            .filter(|(key, revision)| self.revisions.get(key) != Some(revision))
            .map(|(key, _)| key.clone())
            .collect();
        let all_keys = self.all_keys || self.total.is_none();
        let moved = all_keys || keys != self.keys;
        if rows.is_empty() && !moved && total == self.total {
            return None;
        }
        let moves = (takes_moves && moved && !all_keys)
            .then(|| moves::between(&self.keys, &keys))
            .filter(|moves| moves::weight(moves) < keys.len());
        let all = (moved && moves.is_none()).then(|| keys.clone());
        self.revisions = page.keys.iter().cloned().collect();
        self.total = total;
        self.all_keys = false;
        self.keys = keys;
        Some(Delta { rows, keys: all, moves })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(keys: &[(&str, u64)]) -> Page {
        let keys: Vec<_> = keys.iter().map(|(key, revision)| ((*key).into(), *revision)).collect();
        Page { total: keys.len() as u64, keys, exact: true, ..Page::default() }
    }

    #[test]
    fn the_first_difference_carries_everything_even_nothing() {
        let mut sent = Sent::default();
        let delta = sent.advance(&page(&[]), false).unwrap();
        assert_eq!(delta, Delta { rows: vec![], keys: Some(vec![]), moves: None });
        assert_eq!(sent.advance(&page(&[]), false), None);
    }

    #[test]
    fn a_changed_row_is_sent_alone() {
        let mut sent = Sent::default();
        sent.advance(&page(&[("a", 1), ("b", 1)]), false);
        let delta = sent.advance(&page(&[("a", 1), ("b", 2)]), false).unwrap();
        assert_eq!(delta, Delta { rows: vec!["b".into()], keys: None, moves: None });
    }

    #[test]
    fn another_window_sends_all_keys_and_only_rows_not_sent() {
        let mut sent = Sent::default();
        sent.advance(&page(&[("a", 1), ("b", 1)]), false);
        sent.reframed();
        let delta = sent.advance(&page(&[("b", 1), ("c", 1)]), false).unwrap();
        let keys = Some(vec!["b".into(), "c".into()]);
        assert_eq!(delta, Delta { rows: vec!["c".into()], keys, moves: None });
    }

    #[test]
    fn who_takes_moves_gets_them_where_they_say_less() {
        let mut sent = Sent::default();
        let first = sent.advance(&page(&[("a", 1), ("b", 1)]), true).unwrap();
        assert_eq!(first.keys, Some(vec!["a".into(), "b".into()]));
        let second = sent.advance(&page(&[("c", 1), ("a", 1), ("b", 1)]), true).unwrap();
        assert_eq!((second.keys, second.moves.map(|moves| moves.len())), (None, Some(1)));
        let third = sent.advance(&page(&[("x", 1), ("y", 1), ("z", 1)]), true).unwrap();
        assert_eq!((third.keys.map(|keys| keys.len()), third.moves), (Some(3), None));
        sent.reframed();
        let last = sent.advance(&page(&[("x", 1), ("y", 1)]), true).unwrap();
        assert_eq!((last.keys.map(|keys| keys.len()), last.moves), (Some(2), None));
    }

    proptest! {
        /// A client that applies every difference has exactly the window.
        #[test]
        fn a_client_that_applies_differences_has_the_window(
            pages in prop::collection::vec(
                prop::collection::btree_map("[a-f]", 0_u64..3, 0..6)
                    .prop_map(|rows| rows.into_iter().collect::<Vec<_>>())
                    .prop_shuffle(),
                1..20
            ),
            takes_moves: bool
        ) {
            let (mut sent, mut rows, mut order) = (Sent::default(), HashMap::new(), Vec::new());
            for keys in pages {
                let page = Page { total: keys.len() as u64, keys, exact: true, ..Page::default() };
                if let Some(delta) = sent.advance(&page, takes_moves) {
                    for key in delta.rows {
                        let revision = page.keys.iter().find(|(known, _)| *known == key).unwrap().1;
                        rows.insert(key, revision);
                    }
                    prop_assert!(delta.moves.is_none() || takes_moves && delta.keys.is_none());
                    order = delta.keys.unwrap_or(order);
                    order = moves::apply(&order, &delta.moves.unwrap_or_default());
                }
                let held: Vec<_> = order.iter().map(|key| (key.clone(), rows[key])).collect();
                prop_assert_eq!(held, page.keys);
            }
        }
    }
}
