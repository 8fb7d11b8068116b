//! `task/retry`

use super::arguments::Kind;
use super::send::countdown;
use super::which;
use crate::environment::act::retry::{Retried, Retry};
use crate::error::Result;
use crate::rpc::acting::{self, Done, How, Token};
use crate::rpc::call::Call;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    uuids: Option<Vec<String>>,
    /// Instead of `uuids`: all that match.
    filter: Option<String>,
    environment: Option<String>,
    #[schemars(with = "Option<Vec<Value>>")]
    args: Option<Box<RawValue>>,
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    kwargs: Option<Box<RawValue>>,
    /// Instead of `args`: a JSON text.
    args_json: Option<String>,
    /// Instead of `kwargs`: a JSON text.
    kwargs_json: Option<String>,
    queue: Option<String>,
    /// Seconds from now on.
    countdown: Option<f64>,
    #[serde(default)]
    same_id: bool,
    #[serde(default)]
    keep_links: bool,
    #[serde(default)]
    accept_inexact: bool,
    #[serde(default)]
    dry_run: bool,
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
}

pub(super) async fn retry(params: Params, call: Call) -> Result<Done<Retried>> {
    let action = Retry {
        which: which(params.uuids, params.filter, None)?,
        args: Kind::Args.given(params.args, params.args_json)?,
        kwargs: Kind::Kwargs.given(params.kwargs, params.kwargs_json)?,
        queue: params.queue,
        countdown: params.countdown.map(countdown).transpose()?,
        same_id: params.same_id,
        keep_links: params.keep_links,
        accept_inexact: params.accept_inexact,
    };
    let how = How { progress: params.progress_token, rate: params.rate };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}
