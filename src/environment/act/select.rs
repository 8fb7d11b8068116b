//! Which tasks an action is about.

use super::Warning;
use crate::environment::{Environment, Look};
use crate::error::{Error, Result};
use crate::state::{Filter, Noun, Query};
use serde_json::{Value, json};

/// Tasks that are read from the state at once.
const PAGE: usize = 5_000;

/// Tasks that one action is about, at most: each is named in the answer, which has to be read by somebody.
/// Workers remember half as many revoked ids (`REVOKES_MAX` of `celery/worker/state.py`).
const MOST: usize = 100_000;

/// Tasks that are meant.
#[derive(Debug, Clone)]
pub enum Which {
    /// These.
    Uuids(Vec<String>),
    /// All that match, and the text that says so.
    Filter(Box<Filter>, String),
    /// All of one workflow, by its first task.
    Root(String),
}

impl Which {
    /// For the audit log.
    pub(super) fn describe(&self) -> Value {
        match self {
            Which::Uuids(uuids) => json!({ "uuids": uuids }),
            Which::Filter(_, text) => json!({ "filter": text }),
            Which::Root(root) => json!({ "root_id": root }),
        }
    }
}

impl Environment {
    /// The ids that are meant, each once, once everything was looked at that they depend on; and, where
    /// not all was seen, so that more may be meant than is known, a warning.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where they are more than [`MOST`].
    pub(super) async fn select(&self, which: &Which) -> Result<(Vec<String>, Option<Warning>)> {
        let unseen = self.fresh(Look::TASKS).await?;
        let mut uuids = match which {
            Which::Uuids(uuids) => uuids.clone(),
            Which::Filter(filter, _) => self.matching(filter)?,
            Which::Root(root) => {
                let mut members = self.read(|state| state.workflow_of(root));
                members.insert(0, root.clone());
                members
            }
        };
        let mut met = std::collections::HashSet::new();
        uuids.retain(|uuid| met.insert(uuid.clone()));
        if uuids.len() > MOST {
            let sentence =
                format!("{} tasks are meant, and {MOST} can be at once: narrow it", uuids.len());
            return Err(Error::InvalidParams(sentence));
        }
        let named = matches!(which, Which::Uuids(_));
        Ok((uuids, partial(&unseen).filter(|_| !named)))
    }

    fn matching(&self, filter: &Filter) -> Result<Vec<String>> {
        let mut query = Query { filter: filter.clone(), limit: PAGE, ..Query::default() };
        let mut uuids = Vec::new();
        loop {
            let page = self.read(|state| state.window(Noun::Task, &query))?;
            uuids.extend(page.keys.into_iter().map(|(uuid, _)| uuid));
            match page.cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => break,
            }
        }
        // Newest first is for reading; what came first goes first.
        uuids.reverse();
        Ok(uuids)
    }
}

/// Said where tasks are chosen by what they are, and some may not be known.
fn partial(unseen: &[&str]) -> Option<Warning> {
    let text = || format!("not all tasks are known ({}): more may match", unseen.join(", "));
    (!unseen.is_empty()).then(|| Warning::new("partial", text()))
}
