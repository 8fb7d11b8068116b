//! Which environments a call is about: one, or all of them (`"*"`), whose rows then carry their
//! environment and whose keys begin with it.

use super::call::Call;
use crate::environment::{Environment, Environments, Look};
use crate::error::{Error, Result};
use crate::state::query::{Sort, window};
use crate::state::{Noun, Page, Query, Seen};
use base64_simd::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The environments of one call.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// One.
    One(Environment),
    /// All of them, also those that join later.
    Every(Arc<Environments>),
}

/// Why an environment could not answer, under `"*"`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
            Some("*") => Scope::every(call),
            name => Scope::One(call.environment(name)?),
        })
    }

    /// All environments.
    pub fn every(call: &Call) -> Self {
        Scope::Every(Arc::clone(&call.environments))
    }

    pub fn environments(&self) -> Arc<[Environment]> {
        match self {
            Scope::One(environment) => Arc::from([environment.clone()]),
            Scope::Every(environments) => environments.all(),
        }
    }

    /// What goes up when something in them could have changed.
    pub fn revisions(&self) -> Vec<watch::Receiver<u64>> {
        match self {
            Scope::One(environment) => vec![environment.revision()],
            Scope::Every(environments) => environments.revisions(),
        }
    }

    /// Waits until these looks are fresh everywhere. Under `"*"` a broken environment is told in
    /// `failed` and harms no other.
    pub async fn fresh(&self, looks: &[Look]) -> Result<Shortfall> {
        let mut shortfall = Shortfall::default();
        match self {
            Scope::One(environment) => shortfall.incomplete = environment.fresh(looks).await?,
            Scope::Every(environments) => {
                let environments = environments.all();
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
        match (noun, self) {
            (Noun::Environment, _) => self.environment_page(query),
            (_, Scope::One(environment)) => environment.read(|state| state.window(noun, query)),
            (_, Scope::Every(environments)) => self.merged(&environments.all(), noun, query),
        }
    }

    /// The values of a column in all environments.
    pub fn seen(&self, noun: Noun, column: &str) -> Vec<Seen> {
        if let Scope::One(environment) = self {
            return environment.seen(noun, column);
        }
        let mut all: BTreeMap<Arc<str>, Option<u64>> = BTreeMap::new();
        for environment in self.environments().iter() {
            for Seen { value, tasks } in environment.seen(noun, column) {
                let sum = all.entry(value).or_default();
                *sum = match (*sum, tasks) {
                    (Some(sum), Some(tasks)) => Some(sum + tasks),
                    (sum, tasks) => sum.or(tasks),
                };
            }
        }
        all.into_iter().map(|(value, tasks)| Seen { value, tasks }).collect()
    }

    /// One row by its key.
    pub fn row(&self, noun: Noun, key: &str) -> Option<Value> {
        match (noun, self) {
            (Noun::Environment, _) => {
                let environments = self.environments();
                let environment = environments.iter().find(|one| one.name() == key)?;
                serde_json::to_value(environment.row()).ok()
            }
            (_, Scope::One(environment)) => environment.read(|state| state.row(noun, key)),
            (_, Scope::Every(environments)) => {
                let environments = environments.all();
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

    /// The window over the environments themselves. Nothing they are asked depends on the time.
    fn environment_page(&self, query: &Query) -> Result<Page> {
        let rows: Vec<_> = self.environments().iter().map(Environment::row).collect();
        let sort = query.sort.unwrap_or_else(|| Sort::of(Noun::Environment));
        window(rows.iter(), query, sort, 0)
    }

    /// The windows of all environments, merged by the sort field. Each contributes as many rows as
    /// the merged window could need, and goes on after the last one of its own that was shown.
    fn merged(&self, environments: &[Environment], noun: Noun, query: &Query) -> Result<Page> {
        let places = query.cursor.as_deref().map(Places::read).transpose()?;
        let sort = query.sort.unwrap_or_else(|| Sort::of(noun));
        let end = query.offset + query.limit;
        let mut merged = Page { exact: true, ..Page::default() };
        let (mut parts, mut rows) = (Vec::new(), Vec::new());
        for environment in environments {
            let place = places.as_ref().map_or(Some(None), |places| places.of(environment.name()));
            // Of one that is through, only the counts are wanted.
            let limit = if place.is_some() { end } else { 0 };
            let cursor = place.flatten();
            let reach = Query { offset: 0, cursor, limit, ..query.clone() };
            let page = environment.read(|state| state.window(noun, &reach))?;
            merged.total += page.total;
            merged.undecided += page.undecided;
            merged.exact &= page.exact;
            for (key, revision) in &page.keys {
                let key = format!("{}/{key}", environment.name());
                let by = self
                    .row(noun, &key)
                    .and_then(|mut row| row.get_mut(sort.column()).map(Value::take));
                rows.push((by, key, *revision, parts.len()));
            }
            parts.push(Part { environment, reach, page, shown: 0 });
        }
        rows.sort_by(|a, b| {
            compare(a.0.as_ref(), b.0.as_ref(), sort.descending()).then(a.1.cmp(&b.1))
        });
        rows.truncate(end);
        for (_, _, _, part) in &rows {
            parts[*part].shown += 1;
        }
        let window = rows.into_iter().skip(query.offset);
        merged.keys = window.map(|(_, key, revision, _)| (key, revision)).collect();
        merged.cursor = Places::after(parts, noun)?.write();
        Ok(merged)
    }
}

/// What one environment contributed to a merged window.
struct Part<'a> {
    environment: &'a Environment,
    reach: Query,
    page: Page,
    shown: usize,
}

/// Where the next page starts in every environment that has more: a cursor of its own, or `None`
/// at its beginning.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Places(BTreeMap<String, Option<String>>);

impl Places {
    fn of(&self, environment: &str) -> Option<Option<String>> {
        self.0.get(environment).cloned()
    }

    fn after(parts: Vec<Part>, noun: Noun) -> Result<Self> {
        let mut places = Places::default();
        for Part { environment, mut reach, page, shown } in parts {
            let place = match shown {
                0 if page.keys.is_empty() => continue,
                0 => reach.cursor,
                all if all == page.keys.len() => match page.cursor {
                    Some(cursor) => Some(cursor),
                    None => continue,
                },
                some => {
                    reach.limit = some;
                    environment.read(|state| state.window(noun, &reach))?.cursor
                }
            };
            places.0.insert(environment.name().into(), place);
        }
        Ok(places)
    }

    /// `None` on the last page.
    fn write(&self) -> Option<String> {
        let json = serde_json::to_vec(&self.0).ok().filter(|_| !self.0.is_empty())?;
        Some(URL_SAFE_NO_PAD.encode_to_string(json))
    }

    fn read(cursor: &str) -> Result<Self> {
        let json = URL_SAFE_NO_PAD.decode_to_vec(cursor).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).ok_or_else(|| {
            Error::InvalidParams("cursor: it is none of ours for all environments".into())
        })
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
