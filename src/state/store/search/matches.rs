//! Which tasks a filter lets through. Terms over columns of few values are unions of bitmaps. Other
//! terms judge rows; what they said of every row is remembered, and only rows that changed since
//! are judged again.

use super::super::Store;
use super::super::facets::NONE;
use super::super::head::drawn_word;
use super::super::key::Key;
use super::super::log::Mark;
use super::super::row::Texts;
use crate::state::filter::{Filter, Pattern, Term, Test, Verdict};
use crate::state::observation::Micros;
use roaring::{MultiOps, RoaringBitmap};
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Terms of which the verdicts are remembered.
const REMEMBERED: usize = 16;

/// Where fewer than this part of all tasks are left, they are judged and nothing is remembered.
const FEW: u64 = 16;

/// Tasks, by slot.
pub enum Rows {
    /// All there are.
    All,
    /// These.
    Some(RoaringBitmap),
}

/// What was said of all rows, by term; the last used first.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Vec<Judged>>);

#[derive(Debug, Clone)]
struct Judged {
    term: Term,
    /// Up to where the log is judged.
    mark: Mark,
    said: Said,
}

/// What a term says of all rows.
#[derive(Debug, Clone, Default)]
struct Said {
    yes: RoaringBitmap,
    undecided: RoaringBitmap,
}

/// What is left of all tasks, term by term.
#[derive(Default)]
struct Left {
    /// All terms say yes. `None` is everything.
    yes: Option<RoaringBitmap>,
    /// No term says no.
    possible: Option<RoaringBitmap>,
}

impl Rows {
    /// Is it one of them?
    pub fn contains(&self, slot: u32) -> bool {
        match self {
            Rows::All => true,
            Rows::Some(rows) => rows.contains(slot),
        }
    }

    /// How many they are.
    pub fn len(&self, store: &Store) -> u64 {
        match self {
            Rows::All => store.len() as u64,
            Rows::Some(rows) => rows.len(),
        }
    }

    /// Each of them.
    pub fn iter<'a>(&'a self, store: &'a Store) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self {
            Rows::All => Box::new(store.records.slots()),
            Rows::Some(rows) => Box::new(rows.iter()),
        }
    }

    /// Those that are among some.
    pub fn among<'a>(&'a self, tasks: &'a RoaringBitmap) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self {
            Rows::All => Box::new(tasks.iter()),
            Rows::Some(rows) => Box::new((rows & tasks).into_iter()),
        }
    }
}

impl Left {
    fn narrow(&mut self, said: Said) {
        let Said { yes, undecided } = said;
        let possible = if undecided.is_empty() { yes.clone() } else { &yes | undecided };
        for (left, by) in [(&mut self.yes, yes), (&mut self.possible, possible)] {
            match left {
                Some(left) => *left &= by,
                None => *left = Some(by),
            }
        }
    }

    fn possible(&self, store: &Store) -> u64 {
        self.possible.as_ref().map_or(store.len() as u64, RoaringBitmap::len)
    }
}

impl Store {
    /// The tasks that match, and how many are undecided.
    pub(in super::super) fn matching(&self, filter: &Filter, now: Micros) -> (Rows, u64) {
        let mut left = Left::default();
        let mut residue = Vec::new();
        for term in &filter.terms {
            match self.by_index(term) {
                Some(said) => left.narrow(said),
                None => residue.push(term),
            }
        }
        let few = left.possible(self) < self.len() as u64 / FEW;
        residue.retain(|term| {
            let remembered = !few && !matches!(term.test, Test::Since(_) | Test::Until(_));
            if remembered {
                left.narrow(self.remembered(term, now));
            }
            !remembered
        });
        if !residue.is_empty() {
            let said = self.judge(&residue, left.possible.take(), now);
            let possible = &said.yes | &said.undecided;
            let yes = match left.yes {
                Some(yes) => yes & said.yes,
                None => said.yes,
            };
            left = Left { yes: Some(yes), possible: Some(possible) };
        }
        match left.yes {
            None => (Rows::All, 0),
            Some(yes) => {
                let undecided = left.possible.map_or(0, |possible| possible.len()) - yes.len();
                (Rows::Some(yes), undecided)
            }
        }
    }

    /// What a term says that few distinct values decide.
    fn by_index(&self, term: &Term) -> Option<Said> {
        if let (Test::Key(id), false) = (&term.test, term.negated) {
            let yes = self.records.find(Key::of(id)).into_iter().collect();
            return Some(Said { yes, undecided: RoaringBitmap::new() });
        }
        let accepted = term.facet()?;
        let column = accepted.columns[0];
        let (facet, _) = self.facet(column)?;
        let drawn = accepted.columns.contains(&"drawn");
        let holds = |value: u32| {
            self.text_of(column, value).is_some_and(|text| accepted.accepts(text))
                || (drawn && drawn_word(value).is_some_and(|word| accepted.accepts(word)))
        };
        let yes = facet.iter().filter(|(value, _)| match *value {
            NONE => term.negated,
            value => holds(value) != term.negated,
        });
        let yes = yes.map(|(_, tasks)| tasks).union();
        let lacking = facet.get(NONE).filter(|_| !term.negated);
        Some(Said { yes, undecided: lacking.cloned().unwrap_or_default() })
    }

    /// Judges rows one by one.
    fn judge(&self, terms: &[&Term], rows: Option<RoaringBitmap>, now: Micros) -> Said {
        let mut said = Said::default();
        let rows = rows.map_or(Rows::All, Rows::Some);
        for slot in rows.iter(self) {
            let Some(row) = self.records.row(slot, &self.names) else { continue };
            let verdicts = terms.iter().map(|term| term.verdict(&row, now));
            let mut verdict = Verdict::Yes;
            for one in verdicts {
                match one {
                    Verdict::Yes => {}
                    Verdict::No => {
                        verdict = Verdict::No;
                        break;
                    }
                    Verdict::Undecided => verdict = Verdict::Undecided,
                }
            }
            said.set(slot, verdict);
        }
        said
    }

    /// What a term says of all rows, of which only the changed ones are judged anew.
    fn remembered(&self, term: &Term, now: Micros) -> Said {
        let mut cache = self.searches.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.iter().position(|judged| judged.term == *term);
        let mut judged = known.map_or_else(
            || Judged { term: term.clone(), mark: Mark::default(), said: Said::default() },
            |at| cache.remove(at),
        );
        let judge = Judge { store: self, term, word: Word::of(self, term), now };
        if judged.mark == Mark::default() {
            judged.said = judge.everything();
        } else {
            for (slot, record) in self.records.log.since(judged.mark) {
                judged.said.set(slot, judge.verdict(slot, record));
            }
        }
        judged.mark = self.records.log.end();
        // Slots that are free say nothing; whoever gets one is judged then.
        judged.said.yes &= &self.facets.all;
        judged.said.undecided &= &self.facets.all;
        let said = judged.said.clone();
        cache.insert(0, judged);
        cache.truncate(REMEMBERED);
        said
    }
}

/// Judges rows by one term.
struct Judge<'a> {
    store: &'a Store,
    term: &'a Term,
    word: Option<Word<'a>>,
    now: Micros,
}

impl Judge<'_> {
    /// Whether a look at a record's bytes leaves it open that the term says yes, or nothing.
    fn is_open(&self, record: &[u8]) -> bool {
        match (&self.word, &self.term.test) {
            _ if self.term.negated => true,
            (Some(word), _) => word.id || word.pattern.may_stand_in(record),
            (None, Test::Text(field, patterns)) => match Texts(record).get(field.columns[0]) {
                Some(text) => patterns.iter().any(|pattern| pattern.may_match(text)),
                None => true,
            },
            _ => true,
        }
    }

    /// What is said of a task and its record. Its head is elsewhere: to fetch that for each of many
    /// records takes longer than to read the records, so it is asked for only where they do not tell.
    fn verdict(&self, slot: u32, record: &[u8]) -> Verdict {
        match (&self.word, &self.term.test) {
            (Some(word), _) => word.verdict(self.store, slot, record),
            (None, Test::Text(field, _)) if field.columns.iter().all(|text| Texts::has(text)) => {
                self.term.verdict(&Texts(record), self.now)
            }
            _ => match self.store.records.row(slot, &self.store.names) {
                Some(row) => self.term.verdict(&row, self.now),
                None => Verdict::No,
            },
        }
    }

    /// What is said of all rows, by as many threads as can run.
    fn everything(&self) -> Said {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let said = thread::scope(|scope| {
            let share = |share| scope.spawn(move || self.share(share, threads));
            let shares: Vec<_> = (0..threads).map(share).collect();
            let said = shares.into_iter().map(|share| match share.join() {
                Ok(said) => said,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            said.reduce(|all, more| Said {
                yes: all.yes | more.yes,
                undecided: all.undecided | more.undecided,
            })
        });
        let mut said = said.unwrap_or_default();
        if let Some(word) = self.word.as_ref().filter(|word| !word.negated) {
            said.yes |= &word.by_value;
        }
        said
    }

    fn share(&self, share: usize, of: usize) -> Said {
        let (mut yes, mut undecided) = (Vec::new(), Vec::new());
        for (slot, record) in self.store.records.log.share(share, of) {
            if !self.is_open(record) {
                continue;
            }
            match self.verdict(slot, record) {
                Verdict::Yes => yes.push(slot),
                Verdict::Undecided => undecided.push(slot),
                Verdict::No => {}
            }
        }
        let [yes, undecided] = [yes, undecided].map(|mut slots| {
            // A bitmap is built fastest in its own order.
            slots.sort_unstable();
            slots.into_iter().collect()
        });
        Said { yes, undecided }
    }
}

/// A word that may stand anywhere in a row. In columns of few values it is looked for once for each
/// value, not once for each row.
struct Word<'a> {
    pattern: &'a Pattern,
    negated: bool,
    by_value: RoaringBitmap,
    /// It may stand in an id that is not in the record.
    id: bool,
}

impl<'a> Word<'a> {
    fn of(store: &Store, term: &'a Term) -> Option<Word<'a>> {
        let Test::Anywhere(columns, pattern) = &term.test else { return None };
        let mut by_value = RoaringBitmap::new();
        for column in *columns {
            let drawn = *column == "drawn";
            // The other columns are the id and what [`Texts`] has.
            let Some((facet, _)) = store.facet(if drawn { "state" } else { column }) else {
                continue;
            };
            for (value, tasks) in facet.iter() {
                let text = if drawn { drawn_word(value) } else { store.text_of(column, value) };
                if text.is_some_and(|text| pattern.matches(text)) {
                    by_value |= tasks;
                }
            }
        }
        let id = pattern.fits_uuid();
        Some(Word { pattern, negated: term.negated, by_value, id })
    }

    fn verdict(&self, store: &Store, slot: u32, record: &[u8]) -> Verdict {
        let in_id = || match self.id {
            true => store.records.key(slot).is_some_and(|id| self.pattern.matches(&id.text())),
            false => Texts(record).id().is_some_and(|id| self.pattern.matches_bytes(id)),
        };
        let holds = self.by_value.contains(slot)
            || Texts(record).any(|text| self.pattern.matches_bytes(text))
            || in_id();
        if holds == self.negated { Verdict::No } else { Verdict::Yes }
    }
}

impl Said {
    fn set(&mut self, slot: u32, verdict: Verdict) {
        let Said { yes, undecided } = self;
        for (rows, holds) in [(yes, Verdict::Yes), (undecided, Verdict::Undecided)] {
            if verdict == holds {
                rows.insert(slot);
            } else {
                rows.remove(slot);
            }
        }
    }
}
