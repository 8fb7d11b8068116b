//! What of a filter is probably not what was meant, said beside the answer. No error: a state, a
//! name or a queue may be seen a moment later.

use super::fields::{Field, Means};
use super::pattern::Pattern;
use super::{Facet, Filter, Term, Test};
use crate::error::nearest;
use crate::state::Page;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Words for states that Celery does not use, its events' own among them.
const SAID: &[(&str, &str)] = &[
    ("failed", "failure"),
    ("error", "failure"),
    ("succeeded", "success"),
    ("retried", "retry"),
    ("retrying", "retry"),
    ("running", "started"),
    ("sent", "pending"),
    ("queued", "pending"),
    ("waiting", "pending"),
    ("cancelled", "revoked"),
    ("canceled", "revoked"),
];

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hint {
    /// Characters from 0, of the value it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// A sentence.
    pub text: String,
}

impl Filter {
    /// What should be said beside a page of this filter. `seen` tells the values that a column has
    /// or could have, and is asked only where something looks wrong.
    pub fn hints(&self, page: &Page, seen: impl Fn(&'static str) -> Vec<Arc<str>>) -> Vec<Hint> {
        let mut hints = Vec::new();
        for term in &self.terms {
            hints.extend(term.unknown_values(page, &seen));
        }
        hints.extend(self.left_out(page.undecided));
        hints
    }

    /// Why rows are undecided.
    fn left_out(&self, undecided: u64) -> Option<Hint> {
        let mut fields: Vec<String> = self
            .terms
            .iter()
            .filter_map(Term::may_be_lacking)
            .map(|field| format!("`{field}`"))
            .collect();
        fields.sort_unstable();
        fields.dedup();
        if fields.is_empty() {
            return None;
        }
        let rows = match undecided {
            0 => return None,
            1 => "1 row is left out: its".to_owned(),
            rows => format!("{rows} rows are left out: their"),
        };
        let mut text = format!("{rows} {} is not known", fields.join(" or "));
        if fields.iter().any(|field| field == "`name`") {
            text.push_str("; a stored result tells the name with `result_extended` only");
        }
        Some(Hint { position: None, text })
    }
}

impl Term {
    /// Values that nothing here has. Where rows match all the same, only states are worth a word:
    /// they are few, and all of them are known. Where rows are undecided, one of them could have a
    /// name that nobody knows yet: then only what looks mistyped is.
    fn unknown_values(
        &self,
        page: &Page,
        seen: &impl Fn(&'static str) -> Vec<Arc<str>>,
    ) -> Vec<Hint> {
        let Some(facet) = self.facet() else { return Vec::new() };
        let doubtful = match facet.field.means {
            Means::Word => true,
            Means::Name | Means::Worker => page.total == 0 && !self.negated,
            _ => false,
        };
        if !doubtful {
            return Vec::new();
        }
        let known: Vec<Arc<str>> = facet.columns.iter().flat_map(|column| seen(column)).collect();
        let sure = matches!(facet.field.means, Means::Word) || page.undecided == 0;
        let unknown = |pattern| unknown_value(facet, pattern, &known, sure);
        facet.patterns.iter().filter_map(unknown).collect()
    }

    /// The field whose absence leaves this term undecided.
    fn may_be_lacking(&self) -> Option<String> {
        match &self.test {
            Test::Within(field, path, _) => Some(format!("{}.{}", field.word, path.join("."))),
            Test::Text(field, _) | Test::Number(field, _) if !self.negated => {
                Some(field.word.to_owned())
            }
            _ => None,
        }
    }
}

fn unknown_value(
    facet: Facet<'_>,
    pattern: &Pattern,
    known: &[Arc<str>],
    sure: bool,
) -> Option<Hint> {
    let value = pattern.plain()?;
    let field = facet.field;
    let one = Facet { patterns: std::slice::from_ref(pattern), ..facet };
    if known.iter().any(|known| one.accepts(known)) {
        return None;
    }
    let nothing = format!("no known {} is `{value}`", field.word);
    let text = match meant(field, value, known) {
        Some(meant) => format!("{nothing}: did you mean `{meant}`?"),
        None if sure => nothing,
        None => return None,
    };
    Some(Hint { position: Some(pattern.at()), text })
}

/// The known value that a wrong one was probably meant to be.
fn meant(field: &Field, value: &str, known: &[Arc<str>]) -> Option<String> {
    let folded = value.to_lowercase();
    if field.word == "state" {
        let said = SAID.iter().find(|(word, _)| *word == folded);
        let states: Vec<String> = known.iter().map(|state| state.to_lowercase()).collect();
        let near = || nearest(&folded, states.iter().map(String::as_str));
        return said.map(|(_, state)| *state).or_else(near).map(str::to_owned);
    }
    let sides = |known: &Arc<str>| {
        known.split_once('@').map(|(name, host)| [name.to_owned(), host.to_owned()])
    };
    let sides: Vec<String> = known.iter().filter_map(sides).flatten().collect();
    let whole = known.iter().map(|known| &**known);
    let near = nearest(value, whole.clone().chain(sides.iter().map(String::as_str)));
    let holding = || whole.clone().find(|known| known.to_lowercase().contains(&folded));
    near.or_else(holding).map(str::to_owned)
}
