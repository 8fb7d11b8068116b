//! `*/list`: one answer to one query.

use super::bounds::{FARTHEST, limit};
use super::scope::{Failed, Shortfall};
use super::source::Source;
use crate::error::{Error, Result};
use crate::state::Query;
use crate::state::filter::Hint;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The parameters of every list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct List {
    pub environment: Option<String>,
    pub filter: Option<String>,
    pub sort: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    pub offset: Option<usize>,
}

/// The answer of every list.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rows {
    pub rows: Vec<Value>,
    pub total: u64,
    pub exact: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Hint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, Failed>,
}

/// Answers a list, once what it shows was looked at.
pub(super) async fn answer(source: Source, list: List) -> Result<Rows> {
    let offset = list.offset.unwrap_or(0);
    if offset > FARTHEST {
        let sentence = format!("`offset` is at most {FARTHEST}; go on with `cursor`");
        return Err(Error::InvalidParams(sentence));
    }
    let (source, query) = source.narrowed(list.filter.as_deref(), list.sort.as_deref())?;
    let query = Query { limit: limit(list.limit)?, offset, cursor: list.cursor, ..query };
    let lease = source.lease();
    let Shortfall { incomplete, failed } = match &source {
        Source::Records(_, scope) => scope.fresh(source.looks()).await?,
        Source::Environments(..) => Shortfall::default(),
    };
    let page = source.page(&query)?;
    let rows = page.keys.iter().filter_map(|(key, _)| source.row(key)).collect();
    let hints = source.hints(&query, &page);
    drop(lease);
    Ok(Rows {
        rows,
        total: page.total,
        exact: page.exact && failed.is_empty(),
        cursor: page.cursor,
        undecided: NonZeroU64::new(page.undecided),
        hints,
        incomplete,
        failed,
    })
}
