//! Task names, registered or seen: how many tasks each has, in which states.

use super::record::{Cell, Record};
use super::store::NameCount;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A registered or seen task name, with its tasks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(missing_docs)] // the protocol's own names: `docs/protocol.md`
pub struct NameRow<'a> {
    pub key: &'a str,
    pub name: &'a str,
    pub tasks: usize,
    pub states: BTreeMap<&'a str, usize>,
    pub registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u64>,
}

impl NameCount {
    /// The row of `task/names`.
    pub(super) fn row(&self) -> NameRow<'_> {
        NameRow {
            key: &self.name,
            name: &self.name,
            tasks: self.tasks,
            states: self.states.iter().map(|(state, tasks)| (state.as_str(), *tasks)).collect(),
            registered: self.registered,
            max_retries: self.max_retries,
        }
    }
}

impl Record for NameCount {
    fn key(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn field(&self, name: &str) -> Option<Cell<'_>> {
        match name {
            "name" => Some(Cell::Text(&self.name)),
            "tasks" => Some(Cell::Number(self.tasks as f64)),
            _ => None,
        }
    }
}
