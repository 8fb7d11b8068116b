//! How one order of keys becomes another, with as much as possible left where it is.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use std::iter::successors;

/// Keys of an order that others take the place of.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Move {
    /// Place in the order before, from 0.
    from: usize,
    /// How many keys go there.
    gone: usize,
    /// Keys that come in their place.
    come: Vec<String>,
}

/// What makes `after` of `before`, from the first place to the last. A key stands once in each.
pub(super) fn between(before: &[String], after: &[String]) -> Vec<Move> {
    let first = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[first..], &after[first..]);
    let last = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - last], &new[..new.len() - last]);
    let places: HashMap<&String, usize> =
        old.iter().enumerate().map(|(place, key)| (key, place)).collect();
    let common: Vec<(usize, usize)> = new
        .iter()
        .enumerate()
        .filter_map(|(at, key)| places.get(key).map(|place| (*place, at)))
        .collect();
    let mut moves = Vec::new();
    let (mut from, mut start) = (0, 0);
    for (place, at) in rising(&common).into_iter().chain([(old.len(), new.len())]) {
        if place > from || at > start {
            let come = new[start..at].to_vec();
            moves.push(Move { from: first + from, gone: place - from, come });
        }
        (from, start) = (place + 1, at + 1);
    }
    moves
}

/// How many keys come in all.
pub(super) fn weight(moves: &[Move]) -> usize {
    moves.iter().map(|part| part.come.len()).sum()
}

/// The longest run whose places rise: what stays while the rest moves.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // Where a run of each length ends that can go on the furthest.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; pairs.len()];
    for (index, (place, _)) in pairs.iter().enumerate() {
        let shorter = ends.partition_point(|end| pairs[*end].0 < *place);
        before[index] = shorter.checked_sub(1).map(|length| ends[length]);
        if shorter == ends.len() {
            ends.push(index);
        } else {
            ends[shorter] = index;
        }
    }
    let mut run: Vec<_> = successors(ends.last().copied(), |index| before[*index])
        .map(|index| pairs[index])
        .collect();
    run.reverse();
    run
}

/// The order that a client has after `moves`.
#[cfg(test)]
pub(super) fn apply(before: &[String], moves: &[Move]) -> Vec<String> {
    let (mut after, mut from) = (Vec::new(), 0);
    for part in moves {
        after.extend_from_slice(&before[from..part.from]);
        after.extend_from_slice(&part.come);
        from = part.from + part.gone;
    }
    after.extend_from_slice(&before[from..]);
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn what_may_stay_stays() {
        let cases = [
            ("abc", "abc", vec![]),
            ("abc", "nabc", vec![(0, 0, "n")]),
            ("abcd", "nabc", vec![(0, 0, "n"), (3, 1, "")]),
            ("abcd", "dabc", vec![(0, 0, "d"), (3, 1, "")]),
            ("abcd", "axcd", vec![(1, 1, "x")]),
            ("", "ab", vec![(0, 0, "ab")]),
            ("ab", "", vec![(0, 2, "")]),
        ];
        for (before, after, expected) in cases {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(from, gone, come)| Move { from, gone, come: keys(come) })
                .collect();
            assert_eq!(between(&keys(before), &keys(after)), expected, "{before} to {after}");
        }
    }
}
