//! Tasks by the time of their newest news, those that ended apart from those that did not. Ties are
//! in the order of their ids, which stand elsewhere.

use crate::state::observation::Micros;
use std::collections::BTreeSet;

/// Both orders. Each pair is a time and a slot.
#[derive(Debug, Default)]
pub struct Order {
    open: BTreeSet<(Micros, u32)>,
    ended: BTreeSet<(Micros, u32)>,
}

impl Order {
    /// Moves a task; `bool` says whether it ended.
    pub fn shift(
        &mut self,
        slot: u32,
        before: Option<(Micros, bool)>,
        after: Option<(Micros, bool)>,
    ) {
        if before == after {
            return;
        }
        if let Some((seen, ended)) = before {
            self.of(ended).remove(&(seen, slot));
        }
        if let Some((seen, ended)) = after {
            self.of(ended).insert((seen, slot));
        }
    }

    fn of(&mut self, ended: bool) -> &mut BTreeSet<(Micros, u32)> {
        if ended { &mut self.ended } else { &mut self.open }
    }

    /// Those that did not end, oldest first.
    pub fn open(&self) -> impl Iterator<Item = u32> {
        self.open.iter().map(|(_, slot)| *slot)
    }

    /// All, oldest first, from a time on.
    pub fn oldest(&self, from: Micros) -> impl Iterator<Item = (Micros, u32)> {
        self.from((from, 0))
    }

    /// All, oldest first, from one place of this order on.
    pub fn from(&self, place: (Micros, u32)) -> impl Iterator<Item = (Micros, u32)> {
        let from = place..;
        merge(self.open.range(from.clone()), self.ended.range(from), |open, ended| open < ended)
    }

    /// All, newest first, from a time on.
    pub fn newest(&self, from: Micros) -> impl Iterator<Item = (Micros, u32)> {
        let upto = ..=(from, u32::MAX);
        let (open, ended) = (self.open.range(upto).rev(), self.ended.range(upto).rev());
        merge(open, ended, |open, ended| open > ended)
    }

    /// Those that ended, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = (Micros, u32)> {
        self.ended.iter().copied()
    }
}

fn merge<'a>(
    open: impl Iterator<Item = &'a (Micros, u32)>,
    ended: impl Iterator<Item = &'a (Micros, u32)>,
    open_first: impl Fn(&(Micros, u32), &(Micros, u32)) -> bool,
) -> impl Iterator<Item = (Micros, u32)> {
    let (mut open, mut ended) = (open.peekable(), ended.peekable());
    std::iter::from_fn(move || {
        let first = match (open.peek(), ended.peek()) {
            (Some(a), Some(b)) if open_first(a, b) => open.next(),
            (Some(_), None) => open.next(),
            _ => ended.next(),
        };
        first.copied()
    })
}
