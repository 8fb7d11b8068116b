//! What a live list is asked with: by `*/subscribe` at first, by `subscription/update` later.

use super::bounds;
use super::call::Call;
use super::feed::{self, Feed, Feeds, View};
use super::source::Source;
use super::table::Table;
use crate::error::Result;
use crate::state::Noun;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn register(table: &mut Table) {
    table.method("subscription/update", "Changes a live feed in place", &["subscription"], update);
}

/// The parameters of every `*/subscribe` but that of environments.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Subscribe {
    environment: Option<String>,
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    interval: Option<f64>,
    /// Where the order changed in part, tell what moved in place of all keys.
    moves: bool,
}

impl Subscribe {
    /// The feed that these parameters describe. It waits for nothing: what is not looked at yet is
    /// told in `incomplete`.
    pub fn feed(self, noun: Noun, call: &Call) -> Result<Feed> {
        let source = Source::records(noun, call, self.environment.as_deref())?;
        let mut query = source.query(self.filter.as_deref(), self.sort.as_deref())?;
        query.limit = bounds::limit(self.limit)?;
        let interval = feed::interval(self.interval)?;
        Ok(Feed::Rows(Box::new(View {
            source,
            query,
            interval,
            paused: false,
            moves: self.moves,
            after: call.answered.clone(),
        })))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Update {
    subscription: u64,
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    interval: Option<f64>,
    paused: Option<bool>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Updated {
    subscription: u64,
}

async fn update(params: Update, call: Call) -> Result<Updated> {
    call.session.slot::<Feeds>().update(params.subscription, |mut view| {
        if params.filter.is_some() || params.sort.is_some() {
            let query = view.source.query(params.filter.as_deref(), params.sort.as_deref())?;
            if params.filter.is_some() {
                view.query.filter = query.filter;
            }
            if params.sort.is_some() {
                view.query.sort = query.sort;
            }
        }
        if params.limit.is_some() {
            view.query.limit = bounds::limit(params.limit)?;
        }
        if params.interval.is_some() {
            view.interval = feed::interval(params.interval)?;
        }
        view.paused = params.paused.unwrap_or(view.paused);
        view.after = call.answered.clone();
        Ok(view)
    })?;
    Ok(Updated { subscription: params.subscription })
}
