//! `task/send`

use super::arguments::{self, Kind, Time};
use crate::celery::send::{Body, Sending, check_header, members};
use crate::environment::act::send::{Send, Sent};
use crate::error::{Error, Result};
use crate::rpc::acting::{self, Done, How, Token};
use crate::rpc::call::Call;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// The greatest priority there is: on Redis the least urgent.
const PRIORITIES: std::ops::RangeInclusive<i64> = 0..=9;

/// The longest countdown: a hundred years.
const LONGEST: f64 = 3_155_760_000.0;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// As it is registered.
    name: String,
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
    eta: Option<Time>,
    expires: Option<Time>,
    priority: Option<i64>,
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    headers: Option<BTreeMap<String, Box<RawValue>>>,
    /// Instead of `headers`: a JSON text.
    headers_json: Option<String>,
    uuid: Option<String>,
    /// The task in whose place it is sent.
    retry_of: Option<String>,
    /// The name that others see.
    shadow: Option<String>,
    /// The arguments that others see.
    argsrepr: Option<String>,
    kwargsrepr: Option<String>,
    /// Seconds.
    time_limit: Option<f64>,
    soft_time_limit: Option<f64>,
    ignore_result: Option<bool>,
    #[serde(default)]
    dry_run: bool,
    #[serde(rename = "progressToken")]
    progress_token: Option<Token>,
}

pub(super) async fn send(params: Params, call: Call) -> Result<Done<Sent>> {
    let (environment, dry_run) = (params.environment.clone(), params.dry_run);
    let how = How { progress: params.progress_token.clone(), rate: None };
    let action = params.action()?;
    acting::act(&call, environment.as_deref(), dry_run, how, action).await
}

impl Params {
    fn action(self) -> Result<Send> {
        if self.name.is_empty() {
            return Call::invalid("`name` is empty");
        }
        let body = Body::Json {
            args: Kind::Args.given(self.args, self.args_json)?.unwrap_or_else(|| "[]".into()),
            kwargs: Kind::Kwargs
                .given(self.kwargs, self.kwargs_json)?
                .unwrap_or_else(|| "{}".into()),
            embed: None,
        };
        let uuid = self.uuid.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mut task = Sending::new(&self.name, &uuid, "", body);
        let moment = |name, time: Option<Time>| match time {
            Some(time) => time.moment(name),
            None => Ok(None),
        };
        task.eta = moment("eta", self.eta)?;
        task.expires = moment("expires", self.expires)?;
        let countdown = self.countdown.map(countdown).transpose()?;
        if task.eta.is_some() && countdown.is_some() {
            return Call::invalid("`eta` and `countdown`: one of them is enough");
        }
        task.priority = self.priority.map(priority).transpose()?;
        task.headers = headers(self.headers, self.headers_json)?;
        task.timelimit = [
            limit("time_limit", self.time_limit)?,
            limit("soft_time_limit", self.soft_time_limit)?,
        ];
        task.shadow = self.shadow;
        task.argsrepr = self.argsrepr;
        task.kwargsrepr = self.kwargsrepr;
        task.ignore_result = self.ignore_result;
        Ok(Send { task, queue: self.queue, countdown, retry_of: self.retry_of })
    }
}

/// Seconds from now on.
pub(super) fn countdown(seconds: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(countdown) if seconds <= LONGEST => Ok(countdown),
        _ => Call::invalid(format!("`countdown` is 0 to {LONGEST} seconds, not {seconds}")),
    }
}

fn priority(priority: i64) -> Result<u8> {
    let known = u8::try_from(priority).ok().filter(|_| PRIORITIES.contains(&priority));
    known.ok_or_else(|| Error::InvalidParams(format!("`priority` is 0 to 9, not {priority}")))
}

/// Headers of the caller's own, each as its text; of one that stands twice, the last, as Python has it.
fn headers(
    given: Option<BTreeMap<String, Box<RawValue>>>,
    text: Option<String>,
) -> Result<Vec<(String, String)>> {
    let headers: BTreeMap<String, String> = match (given, text) {
        (Some(_), Some(_)) => {
            return Call::invalid("`headers` and `headers_json`: one of them is enough");
        }
        (given, None) => {
            let given = given.unwrap_or_default().into_iter();
            given.map(|(name, value)| (name, value.get().to_owned())).collect()
        }
        (None, Some(text)) => {
            arguments::check("headers_json".into(), &text, false)?;
            members(&text)
        }
    };
    for (name, value) in &headers {
        check_header(name, value)
            .map_err(|why| Error::InvalidParams(format!("`headers`: {why}")))?;
    }
    Ok(headers.into_iter().collect())
}

/// A time limit, whole where it is: Celery's pools take either.
fn limit(name: &str, seconds: Option<f64>) -> Result<Value> {
    match seconds {
        None => Ok(Value::Null),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded, and whole
        Some(seconds) if seconds > 0.0 && seconds <= LONGEST && seconds.fract() == 0.0 => {
            Ok((seconds as u64).into())
        }
        Some(seconds) if seconds > 0.0 && seconds <= LONGEST => Ok(seconds.into()),
        Some(seconds) => Call::invalid(format!("`{name}` is more than 0 seconds, not {seconds}")),
    }
}
