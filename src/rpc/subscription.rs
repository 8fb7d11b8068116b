//! `subscription/update`: changes a live feed in place.

use super::feed::{self, Feeds};
use super::list;
use super::table::{Call, Table};
use crate::error::Result;
use serde::{Deserialize, Serialize};

pub(super) fn register(table: &mut Table) {
    table.method("subscription/update", &["subscription"], update);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    subscription: u64,
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    interval: Option<f64>,
    paused: Option<bool>,
}

#[derive(Clone, Serialize)]
struct Updated {
    subscription: u64,
}

async fn update(params: Update, call: Call) -> Result<Updated> {
    call.session.slot::<Feeds>().update(params.subscription, |mut view| {
        if params.filter.is_some() || params.sort.is_some() {
            let (source, query) =
                view.source.clone().narrowed(params.filter.as_deref(), params.sort.as_deref())?;
            if params.filter.is_some() {
                view.source = source;
                view.query.filter = query.filter;
            }
            if params.sort.is_some() {
                view.query.sort = query.sort;
            }
        }
        if params.limit.is_some() {
            view.query.limit = list::limit(params.limit)?;
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
