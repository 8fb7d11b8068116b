//! What a list or feed shows: rows of one noun in a scope, or the environments themselves.

use super::call::Call;
use super::scope::Scope;
use crate::environment::{Environment, EnvironmentRow, Environments, Lease, Look, Need};
use crate::error::{Error, Result};
use crate::state::filter::{Filter, Hint};
use crate::state::query::Sort;
use crate::state::{Noun, Page, Query};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::watch;

/// Where rows come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Workers, tasks, names or queues.
    Records(Noun, Scope),
    /// The environments of this process whose names contain a word.
    Environments(Arc<Environments>, String),
}

impl Source {
    /// Rows of a noun in the environments that a call names.
    pub fn records(noun: Noun, call: &Call, environment: Option<&str>) -> Result<Self> {
        Ok(Source::Records(noun, Scope::of(call, environment)?))
    }

    /// The same rows through a filter and in an order.
    ///
    /// # Errors
    /// [`Error::Filter`], and [`Error::InvalidParams`] for a column that cannot be sorted by.
    pub fn narrowed(self, filter: Option<&str>, sort: Option<&str>) -> Result<(Self, Query)> {
        let filter = filter.unwrap_or_default();
        match self {
            Source::Records(noun, _) => {
                let filter = Filter::parse(filter, noun, &TimeZone::system())?;
                let sort = sort.map(|sort| Sort::parse(sort, noun)).transpose()?;
                Ok((self, Query { filter, sort, ..Query::default() }))
            }
            Source::Environments(environments, _) => match sort {
                None | Some("" | "name") => {
                    let word = filter.trim().to_lowercase();
                    Ok((Source::Environments(environments, word), Query::default()))
                }
                Some(_) => Err(Error::InvalidParams("environments are sorted by `name`".into())),
            },
        }
    }

    /// What has to be looked at for these rows to be true.
    pub fn looks(&self) -> &'static [Look] {
        match self {
            Source::Records(Noun::Worker, _) => &[Look::Roll],
            Source::Records(Noun::Queue, _) => &[Look::Names, Look::Depths, Look::Unacked],
            Source::Records(Noun::Task | Noun::Name, _) => {
                &[Look::Roll, Look::Active, Look::Heads, Look::Unacked, Look::Stored]
            }
            Source::Environments(..) => &[],
        }
    }

    fn needs(&self) -> &'static [Need] {
        match self {
            Source::Records(Noun::Worker, _) => &[Need::Workers],
            Source::Records(Noun::Queue, _) => &[Need::Queues],
            Source::Records(Noun::Task | Noun::Name, _) => &[Need::Tasks],
            Source::Environments(..) => &[Need::Counts],
        }
    }

    /// Those it shows something of.
    pub fn environments(&self) -> Arc<[Environment]> {
        match self {
            Source::Records(_, scope) => scope.environments(),
            Source::Environments(environments, _) => environments.all(),
        }
    }

    /// Keeps what is shown looked at, a lease for each environment. Environments are only counted:
    /// listing them contacts nobody.
    pub fn lease(&self) -> Vec<Lease> {
        self.environments().iter().map(|environment| environment.lease(self.needs())).collect()
    }

    /// The looks whose answer is still out or in part, for a feed that does not wait for them.
    pub fn incomplete(&self) -> Vec<&'static str> {
        match self {
            Source::Environments(..) => Vec::new(),
            Source::Records(_, scope) => {
                let environments = scope.environments();
                let mut names: Vec<_> =
                    environments.iter().flat_map(|one| one.incomplete(self.looks())).collect();
                names.sort_unstable();
                names.dedup();
                names
            }
        }
    }

    /// Which rows a query shows now.
    pub fn page(&self, query: &Query) -> Result<Page> {
        match self {
            Source::Records(noun, scope) => scope.page(*noun, query),
            Source::Environments(environments, word) => {
                let all = environments.all();
                let keys: Vec<_> = all
                    .iter()
                    .filter(|one| one.name().to_lowercase().contains(word))
                    .map(|one| (one.name().to_owned(), fingerprint(&one.row())))
                    .collect();
                let total = keys.len() as u64;
                let keys = keys.into_iter().skip(query.offset).take(query.limit).collect();
                Ok(Page { keys, total, exact: true, ..Page::default() })
            }
        }
    }

    /// What should be said beside a page of a query.
    pub fn hints(&self, query: &Query, page: &Page) -> Vec<Hint> {
        match self {
            Source::Records(noun, scope) => query.filter.hints(page, |column| {
                scope.seen(*noun, column).into_iter().map(|seen| seen.value).collect()
            }),
            Source::Environments(..) => Vec::new(),
        }
    }

    /// One row by its key.
    pub fn row(&self, key: &str) -> Option<Value> {
        match self {
            Source::Records(noun, scope) => scope.row(*noun, key),
            Source::Environments(environments, _) => {
                serde_json::to_value(environments.get(Some(key)).ok()?.row()).ok()
            }
        }
    }

    /// What goes up when something could have changed.
    pub fn revisions(&self) -> Vec<watch::Receiver<u64>> {
        match self {
            Source::Records(_, scope) => scope.revisions(),
            Source::Environments(environments, _) => environments.revisions(),
        }
    }
}

/// A row of an environment has no record behind it: its revision is its content.
fn fingerprint(row: &EnvironmentRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{row:?}").hash(&mut hasher);
    hasher.finish()
}
