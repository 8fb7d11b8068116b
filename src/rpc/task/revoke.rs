//! `task/revoke`

use super::which;
use crate::environment::act::revoke::{Revoke, Revoked, Signal};
use crate::error::{Error, Result};
use crate::rpc::acting::{self, Done, How, Token};
use crate::rpc::call::Call;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    uuids: Option<Vec<String>>,
    /// Instead of `uuids`: all that match.
    filter: Option<String>,
    /// Instead of `uuids`: a whole workflow, by its first task.
    root_id: Option<String>,
    environment: Option<String>,
    /// End those that run.
    #[serde(default)]
    terminate: bool,
    /// By this signal; `SIGTERM`.
    signal: Option<String>,
    /// Delete the messages of those that wait in a queue, too.
    #[serde(default)]
    delete: bool,
    #[serde(default)]
    accept_blocking: bool,
    #[serde(default)]
    dry_run: bool,
    rate: Option<f64>,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
}

pub(super) async fn revoke(params: Params, call: Call) -> Result<Done<Revoked>> {
    let which = which(params.uuids, params.filter, params.root_id)?;
    let terminate = match (params.terminate, params.signal) {
        (false, None) => None,
        (true, None) => Some(Signal::Term),
        (true, Some(name)) => Some(signal(&name)?),
        (false, Some(_)) => return Call::invalid("`signal` without `terminate`"),
    };
    let how = How { progress: params.progress_token, rate: params.rate };
    if params.accept_blocking && !params.delete {
        return Call::invalid("`accept_blocking` without `delete`");
    }
    let (delete, accept_blocking) = (params.delete, params.accept_blocking);
    let action = Revoke { which, terminate, delete, accept_blocking };
    acting::act(&call, params.environment.as_deref(), params.dry_run, how, action).await
}

fn signal(name: &str) -> Result<Signal> {
    Signal::ALL.into_iter().find(|signal| signal.name() == name).ok_or_else(|| {
        let known = Signal::ALL.map(Signal::name).join(", ");
        Error::InvalidParams(format!("`signal` is one of {known}, not {name:?}"))
    })
}
