//! `filter/*`

use super::call::Call;
use super::scope::Scope;
use super::table::Table;
use crate::error::{Error, Result};
use crate::state::Noun;
use crate::state::filter::complete::{Completion, complete};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn register(table: &mut Table) {
    table.method(
        "filter/complete",
        "What the word under a cursor of filter text may become",
        &["noun", "text"],
        completion,
    );
}

/// The lists that take a filter. `name` is `task/names`.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Of {
    Task,
    Name,
    Worker,
    Queue,
    Environment,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Complete {
    noun: Of,
    text: String,
    position: Option<usize>,
    environment: Option<String>,
}

/// From memory: nobody who types waits for a broker.
async fn completion(params: Complete, call: Call) -> Result<Completion> {
    let noun = match params.noun {
        Of::Task => Noun::Task,
        Of::Name => Noun::Name,
        Of::Worker => Noun::Worker,
        Of::Queue => Noun::Queue,
        Of::Environment => Noun::Environment,
    };
    let scope = match params.environment.as_deref() {
        None if noun == Noun::Environment => Scope::every(&call),
        // Where none is configured nothing is seen, but there are still fields.
        None if call.environments.all().is_empty() => Scope::every(&call),
        environment => Scope::of(&call, environment)?,
    };
    let length = params.text.chars().count();
    let cursor = params.position.unwrap_or(length);
    if cursor > length {
        let sentence =
            format!("`position` is at most {length}, the length of `text`, not {cursor}");
        return Err(Error::InvalidParams(sentence));
    }
    Ok(complete(&params.text, cursor, noun, |column| scope.seen(noun, column)))
}
