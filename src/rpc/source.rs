//! What a list or feed shows: rows of one noun in a scope.

use super::call::Call;
use super::scope::{Scope, Shortfall};
use crate::environment::{Environment, Lease, Look, Need};
use crate::error::Result;
use crate::state::filter::{Filter, Hint};
use crate::state::query::Sort;
use crate::state::{Noun, Page, Query};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// Where rows come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    noun: Noun,
    scope: Scope,
}

impl Source {
    /// Rows of a noun in the environments that a call names.
    pub fn records(noun: Noun, call: &Call, environment: Option<&str>) -> Result<Self> {
        Ok(Source { noun, scope: Scope::of(call, environment)? })
    }

    /// The environments themselves.
    pub fn every_environment(call: &Call) -> Self {
        Source { noun: Noun::Environment, scope: Scope::every(call) }
    }

    /// Which of these rows, in which order; the window is the caller's.
    ///
    /// # Errors
    /// [`Error::Filter`](crate::Error::Filter), and
    /// [`Error::InvalidParams`](crate::Error::InvalidParams) for a column that cannot be sorted by.
    pub fn query(&self, filter: Option<&str>, sort: Option<&str>) -> Result<Query> {
        let filter = Filter::parse(filter.unwrap_or_default(), self.noun, &TimeZone::system())?;
        let sort = sort.map(|sort| Sort::parse(sort, self.noun)).transpose()?;
        Ok(Query { filter, sort, ..Query::default() })
    }

    /// What has to be looked at for these rows to be true.
    fn looks(&self) -> &'static [Look] {
        match self.noun {
            Noun::Worker => &[Look::Roll, Look::Active],
            Noun::Queue => &[Look::Names, Look::Depths, Look::Unacked],
            Noun::Task | Noun::Name => Look::TASKS,
            Noun::Environment => &[],
        }
    }

    /// What has to be seen whole for their number to be exact.
    fn counted_by(&self) -> &'static [Look] {
        match self.noun {
            Noun::Worker => &[Look::Roll],
            Noun::Queue => &[Look::Names],
            Noun::Task | Noun::Name | Noun::Environment => self.looks(),
        }
    }

    fn needs(&self) -> &'static [Need] {
        match self.noun {
            Noun::Worker => &[Need::Workers],
            Noun::Queue => &[Need::Queues],
            Noun::Task | Noun::Name => &[Need::Tasks],
            Noun::Environment => &[Need::Counts],
        }
    }

    /// Those it shows something of.
    pub fn environments(&self) -> Arc<[Environment]> {
        self.scope.environments()
    }

    /// Keeps what is shown looked at, a lease for each environment. Environments are only counted:
    /// listing them contacts nobody.
    pub fn lease(&self) -> Vec<Lease> {
        self.environments().iter().map(|one| one.lease(self.needs())).collect()
    }

    /// Waits until what is shown was looked at; for environments there is nothing to wait for.
    pub async fn fresh(&self) -> Result<Shortfall> {
        match self.looks() {
            [] => Ok(Shortfall::default()),
            looks => self.scope.fresh(looks).await,
        }
    }

    /// Likewise, for a feed. It also looks at what may turn a row in the long run: that a worker takes
    /// nothing shows in the length of its queues.
    pub fn follow(&self) -> Vec<Lease> {
        let mut leases = self.lease();
        if self.noun == Noun::Worker {
            leases.extend(self.environments().iter().map(|one| one.lease(&[Need::Counts])));
        }
        leases
    }

    /// The looks whose answer is still out or in part, for a feed that does not wait for them.
    pub fn incomplete(&self) -> Vec<&'static str> {
        let environments = self.scope.environments();
        let mut names: Vec<_> =
            environments.iter().flat_map(|one| one.incomplete(self.looks())).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Which rows a query shows now; their number is a bound where not all was seen.
    pub fn page(&self, query: &Query) -> Result<Page> {
        // Before they are read: what is seen meanwhile may not be among them.
        let whole = self.environments().iter().all(|one| one.whole(self.counted_by()));
        let page = self.scope.page(self.noun, query)?;
        Ok(Page { exact: page.exact && whole, ..page })
    }

    /// What should be said beside a page of a query.
    pub fn hints(&self, query: &Query, page: &Page) -> Vec<Hint> {
        query.filter.hints(page, |column| {
            self.scope.seen(self.noun, column).into_iter().map(|seen| seen.value).collect()
        })
    }

    /// One row by its key.
    pub fn row(&self, key: &str) -> Option<Value> {
        self.scope.row(self.noun, key)
    }

    /// What goes up when something could have changed.
    pub fn revisions(&self) -> Vec<watch::Receiver<u64>> {
        self.scope.revisions()
    }
}
