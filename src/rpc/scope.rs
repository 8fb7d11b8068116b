//! Which environments a call is about: one, or all of them (`"*"`), whose rows then carry their
//! environment and whose keys begin with it.

use super::bounds::FARTHEST;
use super::call::Call;
use crate::environment::{Environment, Lease, Look, Need};
use crate::error::{Error, Result};
use crate::state::query::Sort;
use crate::state::{Noun, Page, Query};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The environments of one call.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// One.
    One(Environment),
    /// All of them.
    Every(Vec<Environment>),
}

/// Why an environment could not answer, under `"*"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Failed {
    kind: &'static str,
    reason: String,
}

/// What was left undone while a scope was made fresh.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Shortfall {
    pub incomplete: Vec<&'static str>,
    pub failed: BTreeMap<String, Failed>,
}

impl Scope {
    /// The scope that a call's `environment` names.
    pub fn of(call: &Call, environment: Option<&str>) -> Result<Self> {
        Ok(match environment {
            Some("*") => Scope::Every(call.environments.all().to_vec()),
            name => Scope::One(call.environments.get(name)?.clone()),
        })
    }

    pub fn environments(&self) -> &[Environment] {
        match self {
            Scope::One(environment) => std::slice::from_ref(environment),
            Scope::Every(environments) => environments,
        }
    }

    pub fn lease(&self, needs: &[Need]) -> Vec<Lease> {
        self.environments().iter().map(|environment| environment.lease(needs)).collect()
    }

    /// Waits until these looks are fresh everywhere. Under `"*"` a broken environment is told in
    /// `failed` and harms no other.
    pub async fn fresh(&self, looks: &[Look]) -> Result<Shortfall> {
        let mut shortfall = Shortfall::default();
        match self {
            Scope::One(environment) => shortfall.incomplete = environment.fresh(looks).await?,
            Scope::Every(environments) => {
                let all = environments.iter().map(|environment| environment.fresh(looks));
                let outcomes = futures_util::future::join_all(all).await;
                for (environment, outcome) in environments.iter().zip(outcomes) {
                    match outcome {
                        Ok(names) => shortfall.incomplete.extend(names),
                        Err(error) => {
                            let kind = error.kind().unwrap_or("internal");
                            let failed = Failed { kind, reason: error.to_string() };
                            shortfall.failed.insert(environment.name().into(), failed);
                        }
                    }
                }
                shortfall.incomplete.sort_unstable();
                shortfall.incomplete.dedup();
            }
        }
        Ok(shortfall)
    }

    /// Which rows a query shows now.
    pub fn page(&self, noun: Noun, query: &Query) -> Result<Page> {
        match self {
            Scope::One(environment) => environment.read(|state| state.window(noun, query)),
            Scope::Every(environments) => self.merged(environments, noun, query),
        }
    }

    /// One row by its key.
    pub fn row(&self, noun: Noun, key: &str) -> Option<Value> {
        match self {
            Scope::One(environment) => environment.read(|state| state.row(noun, key)),
            Scope::Every(environments) => {
                let (environment, own) = environments.iter().find_map(|environment| {
                    let own = key.strip_prefix(environment.name())?.strip_prefix('/')?;
                    Some((environment, own))
                })?;
                let mut row = environment.read(|state| state.row(noun, own))?;
                row["key"] = key.into();
                row["environment"] = environment.name().into();
                Some(row)
            }
        }
    }

    /// The windows of all environments, merged by the sort field. Each contributes as many rows as
    /// the merged window could need.
    fn merged(&self, environments: &[Environment], noun: Noun, query: &Query) -> Result<Page> {
        let start = match &query.cursor {
            Some(cursor) => {
                cursor.parse().ok().filter(|start| *start <= FARTHEST).ok_or_else(|| {
                    Error::InvalidParams(format!("`cursor` is none of ours: `{cursor}`"))
                })?
            }
            None => query.offset,
        };
        let reach = Query { offset: 0, cursor: None, limit: start + query.limit, ..query.clone() };
        let sort = query.sort.unwrap_or_else(|| Sort::of(noun));
        let mut merged = Page { exact: true, ..Page::default() };
        let mut rows = Vec::new();
        for environment in environments {
            let page = environment.read(|state| state.window(noun, &reach))?;
            merged.total += page.total;
            merged.undecided += page.undecided;
            merged.exact &= page.exact;
            for (key, revision) in page.keys {
                let key = format!("{}/{key}", environment.name());
                let by = self
                    .row(noun, &key)
                    .and_then(|mut row| row.get_mut(sort.column()).map(Value::take));
                rows.push((by, key, revision));
            }
        }
        rows.sort_by(|a, b| {
            compare(a.0.as_ref(), b.0.as_ref(), sort.descending()).then(a.1.cmp(&b.1))
        });
        let more = merged.total > (start + query.limit) as u64;
        merged.cursor = more.then(|| (start + query.limit).to_string());
        let window = rows.into_iter().skip(start).take(query.limit);
        merged.keys = window.map(|(_, key, revision)| (key, revision)).collect();
        Ok(merged)
    }
}

/// Absent last in both directions.
fn compare(a: Option<&Value>, b: Option<&Value>, descending: bool) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let ordering = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(a), Some(b)) => a.to_string().cmp(&b.to_string()),
    };
    if descending { ordering.reverse() } else { ordering }
}
