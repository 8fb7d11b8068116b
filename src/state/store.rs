//! The records of tasks and their order, counts and indexes, within a budget of bytes.
//!
//! Every change goes through [`Store::edit`], which keeps all of them in step; so a count is always
//! the size of a set. A task record knows nothing of this.

use super::observation::Micros;
use super::task::{Place, Standing, Task, TaskState};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// An unfinished task that nobody mentioned for this long goes like a finished one.
const FORGOTTEN_AFTER: Micros = 24 * 3600 * 1_000_000;

/// How far eviction looks past unfinished tasks that are still reported.
const LOOK_PAST: usize = 64;

/// How many tasks of one name there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NameCount {
    pub name: Arc<str>,
    pub tasks: usize,
    pub states: BTreeMap<TaskState, usize>,
    /// Some worker registered it.
    pub registered: bool,
    /// Where `registered` tells.
    pub max_retries: Option<u64>,
    pub revision: u64,
}

/// A change of one task, as [`super::Changes`] tells it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edit {
    pub before: Option<Standing>,
    pub after: Standing,
}

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub names: Interner,
    tasks: HashMap<Arc<str>, Task>,
    /// Newest first; ties in the order of the uuid.
    order: BTreeSet<(Reverse<Micros>, Arc<str>)>,
    finished: BTreeSet<(Micros, Arc<str>)>,
    pub by_name: BTreeMap<Arc<str>, NameCount>,
    running: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    places: BTreeMap<Place, usize>,
    states: BTreeMap<TaskState, usize>,
    roots: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    due: BTreeSet<(Micros, Arc<str>)>,
    adrift: BTreeSet<(Micros, Arc<str>)>,
    bytes: usize,
    budget: usize,
    /// Tasks let go for want of room.
    pub evicted: u64,
}

impl Store {
    /// The bytes that it keeps to.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// An empty store that keeps to `budget` bytes.
    pub fn new(budget: usize) -> Store {
        Store { budget, ..Store::default() }
    }

    /// One task.
    pub fn get(&self, uuid: &str) -> Option<&Task> {
        self.tasks.get(uuid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// Newest first, from after a place in that order.
    pub fn newest_first<'a>(
        &'a self,
        after: Option<(Micros, &str)>,
    ) -> impl Iterator<Item = &'a Task> + use<'a> {
        let from = match after {
            Some((seen, uuid)) => Bound::Excluded((Reverse(seen), Arc::from(uuid))),
            None => Bound::Unbounded,
        };
        let order = self.order.range((from, Bound::Unbounded));
        order.filter_map(|(_, uuid)| self.tasks.get(uuid))
    }

    /// How many are in a place.
    pub fn count(&self, place: Place) -> usize {
        self.places.get(&place).copied().unwrap_or(0)
    }

    /// The states that tasks are in, each with how many.
    pub fn states(&self) -> impl Iterator<Item = (&str, u64)> {
        self.states.iter().map(|(state, tasks)| (state.as_str(), *tasks as u64))
    }

    /// Tasks that run at a worker.
    pub fn running(&self, worker: &str) -> impl Iterator<Item = &Arc<str>> {
        self.running.get(worker).into_iter().flatten()
    }

    /// Tasks of the workflow that `root` began, without it.
    pub fn workflow(&self, root: &str) -> impl Iterator<Item = &Task> {
        self.roots.get(root).into_iter().flatten().filter_map(|uuid| self.tasks.get(uuid))
    }

    /// Tasks of which nobody knows where they are or how they ended, longest first.
    pub fn adrift(&self) -> impl Iterator<Item = (Micros, &Task)> {
        self.adrift.iter().filter_map(|(since, uuid)| Some((*since, self.tasks.get(uuid)?)))
    }

    /// Tasks whose ETA has come by `now`.
    pub fn take_due(&self, now: Micros) -> Vec<Arc<str>> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, uuid)| uuid.clone()).collect()
    }

    /// An event of a task, made first where it is not known: always a change.
    pub fn event(
        &mut self,
        uuid: &str,
        now: Micros,
        revision: &mut u64,
        change: impl FnOnce(&mut Task, &mut Interner),
    ) -> Edit {
        let (uuid, mut task, before) = self.take(uuid);
        change(&mut task, &mut self.names);
        task.place = task.place_at(now);
        self.put(uuid, task, before, revision)
    }

    /// What a look shows of a task, made first where it is not known. `change` answers when that
    /// happened by our clock, or `None` for now. Where it shows nothing new, nothing happens: no
    /// revision, no time. `revision` is the state's.
    pub fn edit(
        &mut self,
        uuid: &str,
        now: Micros,
        revision: &mut u64,
        change: impl FnOnce(&mut Task, &mut Interner) -> Option<Micros>,
    ) -> Option<Edit> {
        let (uuid, mut task, before) = self.take(uuid);
        let shown = before.is_some().then(|| task.clone());
        let happened = change(&mut task, &mut self.names);
        task.place = task.place_at(now);
        if shown.is_some_and(|shown| task.shows_same_as(shown)) {
            let after = task.standing();
            self.tasks.insert(uuid.clone(), task);
            self.reindex(&uuid, before.as_ref(), Some(&after), *revision);
            return None;
        }
        task.seen = task.seen.max(happened.unwrap_or(now).min(now));
        Some(self.put(uuid, task, before, revision))
    }

    /// Takes a task out to change it, with how it stood; a new one stood nowhere.
    fn take(&mut self, uuid: &str) -> (Arc<str>, Task, Option<Standing>) {
        match self.tasks.remove_entry(uuid) {
            Some((uuid, task)) => {
                let standing = task.standing();
                (uuid, task, Some(standing))
            }
            None => {
                let uuid: Arc<str> = uuid.into();
                (uuid.clone(), Task::new(uuid), None)
            }
        }
    }

    fn put(
        &mut self,
        uuid: Arc<str>,
        mut task: Task,
        before: Option<Standing>,
        revision: &mut u64,
    ) -> Edit {
        *revision += 1;
        task.revision = *revision;
        let after = task.standing();
        self.tasks.insert(uuid.clone(), task);
        self.reindex(&uuid, before.as_ref(), Some(&after), *revision);
        Edit { before, after }
    }

    /// Removes a task.
    pub fn remove(&mut self, uuid: &str, revision: u64) -> Option<Task> {
        let task = self.tasks.remove(uuid)?;
        self.reindex(&task.uuid, Some(&task.standing()), None, revision);
        Some(task)
    }

    /// Lets tasks go until the budget holds: finished ones, oldest first, and with them unfinished
    /// ones that nobody mentioned for a day (finished ones alone would leave the room to tasks
    /// that never end); then the oldest. Answers their ids.
    pub fn keep_budget(&mut self, now: Micros, revision: &mut u64) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        while self.bytes > self.budget && self.tasks.len() > 1 {
            let Some(uuid) = self.victim(now) else { break };
            *revision += 1;
            self.remove(&uuid, *revision);
            self.evicted += 1;
            gone.push(uuid);
        }
        gone
    }

    fn victim(&self, now: Micros) -> Option<Arc<str>> {
        let oldest = self.order.iter().rev();
        let silent = oldest.clone().take_while(|(Reverse(seen), _)| now - seen > FORGOTTEN_AFTER);
        let forgotten = silent
            .take(LOOK_PAST)
            .find(|(_, uuid)| self.tasks.get(uuid).is_some_and(|task| task.listed.is_none()));
        let forgotten = forgotten.map(|(_, uuid)| uuid);
        let finished = self.finished.first().map(|(_, uuid)| uuid);
        let oldest = oldest.map(|(_, uuid)| uuid).next();
        forgotten.or(finished).or(oldest).cloned()
    }

    /// Moves a task from where it stood to where it stands, in every count and index.
    fn reindex(
        &mut self,
        uuid: &Arc<str>,
        before: Option<&Standing>,
        after: Option<&Standing>,
        revision: u64,
    ) {
        if let Some(standing) = before {
            self.order.remove(&(Reverse(standing.seen), uuid.clone()));
            self.bytes -= standing.bytes;
        }
        if let Some(standing) = after {
            self.order.insert((Reverse(standing.seen), uuid.clone()));
            self.bytes += standing.bytes;
        }
        let place = |standing: &Standing| standing.place;
        if let Some(place) = before.and_then(place) {
            self.places.entry(place).and_modify(|count| *count -= 1);
        }
        if let Some(place) = after.and_then(place) {
            *self.places.entry(place).or_default() += 1;
        }
        if let Some(standing) = after {
            *self.states.entry(standing.state.clone()).or_default() += 1;
        }
        if let Some(standing) = before
            && let Some(tasks) = self.states.get_mut(&standing.state)
        {
            *tasks -= 1;
            if *tasks == 0 {
                self.states.remove(&standing.state);
            }
        }
        let ended = |standing: &Standing| standing.finished.then_some(standing.seen);
        swap(&mut self.finished, uuid, before.and_then(ended), after.and_then(ended));
        swap(&mut self.due, uuid, before.and_then(|s| s.due), after.and_then(|s| s.due));
        let adrift = |standing: &Standing| standing.adrift;
        swap(&mut self.adrift, uuid, before.and_then(adrift), after.and_then(adrift));
        self.group(uuid, before, after);
        self.recount(before, after, revision);
    }

    /// Keeps the sets by worker and by root.
    fn group(&mut self, uuid: &Arc<str>, before: Option<&Standing>, after: Option<&Standing>) {
        let runs_at = |standing: &Standing| standing.runs_at.clone();
        let (was, is) = (before.and_then(runs_at), after.and_then(runs_at));
        if was != is {
            if let Some(set) = was.as_ref().and_then(|worker| self.running.get_mut(worker)) {
                set.remove(uuid);
            }
            if let Some(worker) = was
                && self.running.get(&worker).is_some_and(BTreeSet::is_empty)
            {
                self.running.remove(&worker);
            }
            if let Some(worker) = is {
                self.running.entry(worker).or_default().insert(uuid.clone());
            }
        }
        let root = |standing: &Standing| standing.root.clone();
        let (was, is) = (before.and_then(root), after.and_then(root));
        if was != is {
            if let Some(root) = was
                && let Some(set) = self.roots.get_mut(&root)
            {
                set.remove(uuid);
                if set.is_empty() {
                    self.roots.remove(&root);
                }
            }
            if let Some(root) = is {
                self.roots.entry(root).or_default().insert(uuid.clone());
            }
        }
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

    /// A worker registered a task of this name. `max_retries` is part of every such task's row.
    pub fn register(&mut self, name: &str, max_retries: Option<u64>, revision: &mut u64) {
        let name = self.names.intern(name);
        let count = self.count_of(&name);
        let max_retries = max_retries.or(count.max_retries);
        if count.registered && count.max_retries == max_retries {
            return;
        }
        *revision += 1;
        (count.registered, count.revision) = (true, *revision);
        if count.max_retries != max_retries {
            count.max_retries = max_retries;
            let of_that_name =
                |task: &&mut Task| task.name.as_ref().is_some_and(|known| known.value == name);
            for task in self.tasks.values_mut().filter(of_that_name) {
                task.revision = *revision;
            }
        }
    }

    /// Keeps the counts by name and state.
    fn recount(&mut self, before: Option<&Standing>, after: Option<&Standing>, revision: u64) {
        let counted = |standing: &Standing| Some((standing.name.clone()?, standing.state.clone()));
        let (was, is) = (before.and_then(counted), after.and_then(counted));
        if was == is {
            return;
        }
        if let Some((name, state)) = was
            && let Some(count) = self.by_name.get_mut(&name)
        {
            count.tasks -= 1;
            count.revision = revision;
            if let Some(tasks) = count.states.get_mut(&state) {
                *tasks -= 1;
            }
            count.states.retain(|_, tasks| *tasks > 0);
            if count.tasks == 0 && !count.registered {
                self.by_name.remove(&name);
            }
        }
        if let Some((name, state)) = is {
            let count = self.count_of(&name);
            count.tasks += 1;
            count.revision = revision;
            *count.states.entry(state).or_default() += 1;
        }
    }
}

fn swap(
    set: &mut BTreeSet<(Micros, Arc<str>)>,
    uuid: &Arc<str>,
    before: Option<Micros>,
    after: Option<Micros>,
) {
    if before == after {
        return;
    }
    if let Some(at) = before {
        set.remove(&(at, uuid.clone()));
    }
    if let Some(at) = after {
        set.insert((at, uuid.clone()));
    }
}

/// Shares the texts that many records repeat: names of tasks, workers, queues and states.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: HashSet<Arc<str>>,
    /// How many texts there may be before the unused ones are let go.
    limit: usize,
}

impl Interner {
    /// The shared copy of a text.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        if self.texts.len() >= self.limit {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.limit = (2 * self.texts.len()).max(1024);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests;
