//! `task/*`

mod arguments;
mod export;
mod retry;
mod revoke;
mod send;

use crate::environment::act::select::Which;
use crate::environment::{Environment, Found, Need, Searched};
use crate::error::{Error, Result};
use crate::rpc::call::Call;
use crate::rpc::feed::{self, Details, Feed, Listing, Live, Whole};
use crate::rpc::list::{self, List, Rows};
use crate::rpc::source::Source;
use crate::rpc::subscription::Subscribe;
use crate::rpc::table::Table;
use crate::rpc::typed::Typed;
use crate::state::filter::Filter;
use crate::state::{NameRow, Noun, TaskDetails, TaskRow};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) fn register(table: &mut Table) {
    table.method("task/list", "Tasks, wherever they are", &[], list);
    table.method("task/names", "Registered or seen task names", &[], names);
    table.method(
        "task/get",
        "Everything known of a task, after asking every source",
        &["uuid"],
        get,
    );
    table.method("task/export", "Writes all tasks that match to a file", &["path"], export::export);
    table.method("task/retry", "Sends tasks that ended again", &[], retry::retry);
    table.method(
        "task/revoke",
        "Tells workers not to run tasks, or to end them",
        &[],
        revoke::revoke,
    );
    table.method("task/send", "Sends a task as Celery's own client would", &["name"], send::send);
    table.feed(
        "task/subscribe",
        "Follows a list of tasks",
        "task/changed",
        Some("task/unsubscribe"),
        &[],
        subscribe,
    );
    table.feed(
        "task/watch",
        "Follows the details of one task",
        "task/changed",
        None,
        &["uuid"],
        watch,
    );
}

async fn list(params: List, call: Call) -> Result<Rows<TaskRow<'static>>> {
    let source = Source::records(Noun::Task, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn names(params: List, call: Call) -> Result<Rows<NameRow<'static>>> {
    let source = Source::records(Noun::Name, &call, params.environment.as_deref())?;
    list::answer(source, params).await
}

async fn subscribe(params: Subscribe, call: Call) -> Result<Listing<TaskRow<'static>>> {
    params.feed(Noun::Task, &call).map(Live::from)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Get {
    uuid: String,
    environment: Option<String>,
    #[serde(default)]
    full: bool,
}

/// Everything known of a task.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Task")]
struct Known<'a> {
    #[serde(flatten)]
    task: TaskDetails<'a>,
    /// How far queues were read for it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    searched: &'a [Searched],
}

async fn get(params: Get, call: Call) -> Result<Typed<Known<'static>>> {
    let environment = call.environment(params.environment.as_deref())?;
    let _lease = environment.lease(&[Need::Tasks]);
    let found = environment.find_task(&params.uuid, params.full).await?;
    details(&environment, &params.uuid, params.full, &found).map(Typed::from)
}

fn details(environment: &Environment, uuid: &str, full: bool, found: &Found) -> Result<Value> {
    let details = environment.read(|state| {
        state.task(uuid, full, |mut task| {
            task.position = found.position.or(task.position);
            serde_json::to_value(Known { task, searched: &found.searched })
        })
    });
    match details {
        Some(details) => details.map_err(|error| Error::Internal(error.to_string())),
        None => Err(Error::UnknownTask { uuid: uuid.into(), sources: environment.sources() }),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Watch {
    uuid: String,
    environment: Option<String>,
    interval: Option<f64>,
}

async fn watch(params: Watch, call: Call) -> Result<Live<Whole<'static, Known<'static>>>> {
    let environment = call.environment(params.environment.as_deref())?;
    let leases = vec![environment.lease(&[Need::Tasks])];
    let revisions = vec![environment.revision()];
    let interval = feed::interval(params.interval)?;
    let found = environment.find_task(&params.uuid, false).await?;
    details(&environment, &params.uuid, false, &found)?;
    // Where it waited when we looked says nothing of where it is now: the watch leaves it out.
    let details: Details =
        Box::new(move || details(&environment, &params.uuid, false, &Found::default()));
    Ok(Feed::Watch { details, revisions, leases, interval }.into())
}

/// Which tasks an action is about: exactly one way to say it.
fn which(
    uuids: Option<Vec<String>>,
    filter: Option<String>,
    root_id: Option<String>,
) -> Result<Which> {
    match (uuids, filter, root_id) {
        (Some(uuids), None, None) if !uuids.is_empty() => Ok(Which::Uuids(uuids)),
        (None, Some(text), None) => {
            let filter = Filter::parse(&text, Noun::Task, &TimeZone::system())?;
            Ok(Which::Filter(Box::new(filter), text))
        }
        (None, None, Some(root)) if !root.is_empty() => Ok(Which::Root(root)),
        _ => Call::invalid("which tasks: give `uuids`, some of them, or one other way to tell"),
    }
}
