//! `task/*`

use super::call::Call;
use super::feed::{self, Details, Feed};
use super::list::{self, List, Rows};
use super::source::Source;
use super::subscription::Subscribe;
use super::table::Table;
use crate::environment::{Environment, Found, Need};
use crate::error::{Error, Result};
use crate::state::Noun;
use serde::Deserialize;
use serde_json::Value;

pub(super) fn register(table: &mut Table) {
    table.method("task/list", &[], list);
    table.method("task/names", &[], names);
    table.method("task/get", &["uuid"], get);
    table.feed("task/subscribe", "task/changed", Some("task/unsubscribe"), &[], subscribe);
    table.feed("task/watch", "task/changed", None, &["uuid"], watch);
}

async fn list(params: List, call: Call) -> Result<Rows> {
    let source = Source::records(Noun::Task, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn names(params: List, call: Call) -> Result<Rows> {
    let source = Source::records(Noun::Name, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Feed> {
    params.feed(Noun::Task, &call)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    uuid: String,
    environment: Option<String>,
    #[serde(default)]
    full: bool,
}

async fn get(params: Get, call: Call) -> Result<Value> {
    let environment = call.environments.get(params.environment.as_deref())?;
    let _lease = environment.lease(&[Need::Tasks]);
    let found = environment.find_task(&params.uuid, params.full).await?;
    details(environment, &params.uuid, params.full, &found)
}

fn details(environment: &Environment, uuid: &str, full: bool, found: &Found) -> Result<Value> {
    let details = environment.read(|state| state.task(uuid, full).map(serde_json::to_value));
    let Some(details) = details else {
        return Err(Error::UnknownTask { uuid: uuid.into(), sources: environment.sources() });
    };
    let mut details = details.map_err(|error| Error::Internal(error.to_string()))?;
    if let Some(position) = found.position {
        details["position"] = position.into();
    }
    if !found.searched.is_empty() {
        details["searched"] = serde_json::json!(found.searched);
    }
    Ok(details)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    uuid: String,
    environment: Option<String>,
    interval: Option<f64>,
}

async fn watch(params: Watch, call: Call) -> Result<Feed> {
    let environment = call.environments.get(params.environment.as_deref())?.clone();
    let leases = vec![environment.lease(&[Need::Tasks])];
    let revisions = vec![environment.revision()];
    let interval = feed::interval(params.interval)?;
    let found = environment.find_task(&params.uuid, false).await?;
    details(&environment, &params.uuid, false, &found)?;
    // Where it waited when we looked says nothing of where it is now: the watch leaves it out.
    let details: Details =
        Box::new(move || details(&environment, &params.uuid, false, &Found::default()));
    Ok(Feed::Watch { details, revisions, leases, interval })
}
