//! `job/*`: what was set going, whoever set it going.

use super::bounds::limit;
use super::call::Call;
use super::table::Table;
use crate::environment::act::{JobDetails, JobRow};
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn register(table: &mut Table) {
    table.method("job/list", "What changes clusters now, or lately did", &[], list);
    table.method("job/get", "A job, and what came of it", &["job"], get);
    table.method("job/cancel", "Stops a job after what it has in hand", &["job"], cancel);
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct List {
    /// Only that one's; else all.
    environment: Option<String>,
    limit: Option<usize>,
}

#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "JobList")]
struct Rows {
    rows: Vec<JobRow>,
    total: u64,
    exact: bool,
}

/// Newest first.
async fn list(params: List, call: Call) -> Result<Rows> {
    let mut rows = call.environments.jobs().rows();
    if let Some(name) = params.environment.filter(|name| name != "*") {
        let environment = call.environments.get(Some(&name))?;
        rows.retain(|row| row.environment == environment.name());
    }
    let total = rows.len() as u64;
    rows.truncate(limit(params.limit)?);
    Ok(Rows { rows, total, exact: true })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    job: String,
}

async fn get(params: Which, call: Call) -> Result<JobDetails> {
    call.environments.jobs().get(&params.job)
}

async fn cancel(params: Which, call: Call) -> Result<JobRow> {
    call.environments.jobs().cancel(&params.job)
}
