//! `task/export`

use crate::environment::export::{Export, Exported, Format};
use crate::error::Result;
use crate::rpc::acting::{self, Done, Token};
use crate::rpc::call::Call;
use crate::state::{Filter, Noun};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The file, from the folder that the server runs in.
    path: String,
    /// Only those that match; else all.
    filter: Option<String>,
    /// Else as the end of the file's name tells.
    format: Option<Format>,
    /// In the place of a file that is there.
    #[serde(default)]
    overwrite: bool,
    environment: Option<String>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
}

pub(super) async fn export(params: Params, call: Call) -> Result<Done<Exported>> {
    let environment = call.environment(params.environment.as_deref())?;
    let filter = params.filter.as_deref().unwrap_or_default();
    let filter = Filter::parse(filter, Noun::Task, &TimeZone::system())?;
    let Params { path, overwrite, .. } = params;
    let Some(format) = params.format.or_else(|| Format::of(&path)) else {
        return Call::invalid(format!(
            "`format` is `csv`, `json` or `jsonl`, and the name of {path:?} tells none of them"
        ));
    };
    let export = Export { filter, format, path, overwrite };
    let acting = call.environments.export(&environment, call.client().name(), export);
    let job = acting.job.clone();
    acting::end(&call, job, acting.outcome(), params.progress_token).await
}
