//! `environment/*`

use super::bounds;
use super::call::Call;
use super::feed::{self, Feed, View};
use super::list::{self, List, Rows};
use super::source::Source;
use super::table::Table;
use crate::error::Result;
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn register(table: &mut Table) {
    table.method("environment/list", &[], list);
    table.feed(
        "environment/subscribe",
        "environment/changed",
        Some("environment/unsubscribe"),
        &[],
        subscribe,
    );
}

/// The parameters of `environment/list`: those of every list, but it concerns no one environment.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Environments {
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
    cursor: Option<String>,
}

fn source(call: &Call) -> Source {
    Source::Environments(Arc::clone(&call.environments), String::new())
}

async fn list(params: Environments, call: Call) -> Result<Rows> {
    let Environments { filter, sort, limit, offset, cursor } = params;
    list::answer(source(&call), List { environment: None, filter, sort, limit, cursor, offset })
        .await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Subscribe {
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    interval: Option<f64>,
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Feed> {
    let (source, mut query) =
        source(&call).narrowed(params.filter.as_deref(), params.sort.as_deref())?;
    query.limit = bounds::limit(params.limit)?;
    let interval = feed::interval(params.interval)?;
    Ok(Feed::Rows(Box::new(View { source, query, interval, paused: false, after: call.answered })))
}
