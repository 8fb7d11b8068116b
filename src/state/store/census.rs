//! How many tasks of each name there are, by state. Each name that is registered or seen is a row.

use super::names::Names;
use crate::state::task::{Standing, TaskState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many tasks of one name there are.
#[derive(Debug, Clone, PartialEq)]
pub struct NameCount {
    pub name: Arc<str>,
    pub tasks: usize,
    pub states: BTreeMap<TaskState, usize>,
    /// Some worker registered it.
    pub registered: bool,
    /// Where `registered` tells.
    pub max_retries: Option<u64>,
    pub revision: u64,
}

/// All names.
#[derive(Debug, Default)]
pub struct Census {
    by_name: BTreeMap<Arc<str>, NameCount>,
}

impl Census {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &NameCount> {
        self.by_name.values()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&NameCount> {
        self.by_name.get(name)
    }

    fn count_of(&mut self, name: &Arc<str>) -> &mut NameCount {
        self.by_name.entry(name.clone()).or_insert_with(|| NameCount {
            name: name.clone(),
            tasks: 0,
            states: BTreeMap::new(),
            registered: false,
            max_retries: None,
            revision: 0,
        })
    }

    /// A worker registered a task of this name. Answers whether `max_retries` changed, which is
    /// part of every such task's row.
    pub fn register(
        &mut self,
        names: &mut Names,
        name: &str,
        max_retries: Option<u64>,
        revision: &mut u64,
    ) -> bool {
        let count = self.count_of(&names.intern(name));
        let max_retries = max_retries.or(count.max_retries);
        if count.registered && count.max_retries == max_retries {
            return false;
        }
        *revision += 1;
        (count.registered, count.revision) = (true, *revision);
        let changed = count.max_retries != max_retries;
        count.max_retries = max_retries;
        changed
    }

    /// Moves a task from what it counted as to what it counts as.
    pub fn recount(&mut self, before: Option<&Standing>, after: Option<&Standing>, revision: u64) {
        let (was, is) = (before.and_then(counted), after.and_then(counted));
        if was == is {
            return;
        }
        if let (Some((name, was)), Some((same, is))) = (was, is)
            && name == same
        {
            let count = self.count_of(name);
            count.leaves(was);
            count.enters(is);
            count.revision = revision;
            return;
        }
        if let Some((name, state)) = was
            && let Some(count) = self.by_name.get_mut(name)
        {
            count.leaves(state);
            count.revision = revision;
            if count.tasks == 0 && !count.registered {
                self.by_name.remove(name);
            }
        }
        if let Some((name, state)) = is {
            let count = self.count_of(name);
            count.enters(state);
            count.revision = revision;
        }
    }
}

impl NameCount {
    fn enters(&mut self, state: &TaskState) {
        self.tasks += 1;
        *self.states.entry(state.clone()).or_default() += 1;
    }

    fn leaves(&mut self, state: &TaskState) {
        self.tasks -= 1;
        if let Some(tasks) = self.states.get_mut(state) {
            *tasks -= 1;
            if *tasks == 0 {
                self.states.remove(state);
            }
        }
    }
}

/// What a task counts as.
fn counted(standing: &Standing) -> Option<(&Arc<str>, &TaskState)> {
    Some((standing.name.as_ref()?, &standing.state))
}
