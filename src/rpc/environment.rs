//! `environment/*`

use super::bounds;
use super::call::Call;
use super::feed::{self, Feed, Listing, View};
use super::list::{self, List, Rows};
use super::source::Source;
use super::table::Table;
use crate::environment::{Check, EnvironmentRow, act};
use crate::error::Result;
use crate::state::observation::seconds::from_micros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) fn register(table: &mut Table) {
    table.method(
        "environment/list",
        "Clusters that are configured, and how each is connected",
        &[],
        list,
    );
    table.method("environment/check", "Checks what can be wrong with the connection", &[], check);
    table.method(
        "environment/unlock",
        "Lifts the guard of a production environment for this session, for a while",
        &["minutes"],
        unlock,
    );
    table.feed(
        "environment/subscribe",
        "Follows the list of environments",
        "environment/changed",
        Some("environment/unsubscribe"),
        &[],
        subscribe,
    );
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Checked {
    /// A name; else the default.
    environment: Option<String>,
}

/// What was checked.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "CheckList")]
struct Checks {
    rows: Vec<Check>,
    total: u64,
    exact: bool,
}

async fn check(params: Checked, call: Call) -> Result<Checks> {
    let rows = call.environment(params.environment.as_deref())?.check().await;
    Ok(Checks { total: rows.len() as u64, rows, exact: true })
}

/// The longest that a guard may be lifted, in minutes.
const LONGEST_UNLOCK: f64 = 480.0;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unlock {
    /// 0 locks it again.
    minutes: f64,
    environment: Option<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Unlocked {
    environment: String,
    /// By this program's clock.
    until: f64,
}

async fn unlock(params: Unlock, call: Call) -> Result<Unlocked> {
    let time = match Duration::try_from_secs_f64(params.minutes * 60.0) {
        Ok(time) if params.minutes <= LONGEST_UNLOCK => time,
        _ => {
            let given = params.minutes;
            return Call::invalid(format!("`minutes` is 0 to {LONGEST_UNLOCK}, not {given}"));
        }
    };
    let environment = call.environment(params.environment.as_deref())?;
    let client = call.client();
    let unlocked = call.session.slot::<act::Unlocked>();
    let until = environment.unlock(&unlocked, client.name(), time).await?;
    Ok(Unlocked { environment: environment.name().into(), until: from_micros(until) })
}

/// The parameters of `environment/list`: those of every list, but it concerns no one environment.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Environments {
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
    cursor: Option<String>,
}

async fn list(params: Environments, call: Call) -> Result<Rows<EnvironmentRow>> {
    let Environments { filter, sort, limit, offset, cursor } = params;
    list::answer(
        Source::every_environment(&call),
        List { environment: None, filter, sort, limit, cursor, offset },
    )
    .await
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Subscribe {
    filter: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
    interval: Option<f64>,
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Listing<EnvironmentRow>> {
    let source = Source::every_environment(&call);
    let mut query = source.query(params.filter.as_deref(), params.sort.as_deref())?;
    query.limit = bounds::limit(params.limit)?;
    let interval = feed::interval(params.interval)?;
    let view = View { source, query, interval, paused: false, moves: false, after: call.answered };
    Ok(Feed::Rows(Box::new(view)).into())
}
