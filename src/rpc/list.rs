//! `*/list`: one answer to one query.

use super::bounds::{FARTHEST, limit};
use super::scope::{Failed, Shortfall};
use super::source::Source;
use super::typed::{Row, Typed};
use crate::error::{Error, Result};
use crate::state::Query;
use crate::state::filter::Hint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The parameters of every list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct List {
    /// A name; `*` for all; else the default.
    pub environment: Option<String>,
    /// In the filter language.
    pub filter: Option<String>,
    /// A column; with `-` before it the greatest first.
    pub sort: Option<String>,
    /// Rows at most.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Rows skipped.
    pub offset: Option<usize>,
}

/// The answer of every list.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(super) struct Rows<T> {
    pub rows: Vec<Typed<Row<T>>>,
    /// How many match.
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
pub(super) async fn answer<T>(source: Source, list: List) -> Result<Rows<T>> {
    let offset = list.offset.unwrap_or(0);
    if offset > FARTHEST {
        let sentence = format!("`offset` is at most {FARTHEST}; go on with `cursor`");
        return Err(Error::InvalidParams(sentence));
    }
    let query = source.query(list.filter.as_deref(), list.sort.as_deref())?;
    let query = Query { limit: limit(list.limit)?, offset, cursor: list.cursor, ..query };
    let lease = source.lease();
    let Shortfall { incomplete, failed } = source.fresh().await?;
    let page = source.page(&query)?;
    let rows = page.keys.iter().filter_map(|(key, _)| source.row(key).map(Typed::from)).collect();
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
