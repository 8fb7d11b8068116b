//! The records of tasks and their order, counts and indexes, within a budget of bytes.
//!
//! A task at rest is packed: a [head](head::Head) and a record in a [log]. To change it, it is
//! unpacked into a [`Task`], changed, and packed again, always by [`Store::put`], which keeps all
//! orders and indexes in step; so a count is always the size of a set. [`search`] answers queries.
//! A task record knows nothing of this. Under test a plain `model` takes every change too.

mod census;
mod codec;
mod facets;
mod head;
mod key;
mod log;
#[cfg(test)]
mod model;
mod names;
mod order;
mod records;
mod row;
mod search;
mod sweep;

pub(super) use census::{Census, NameCount};
pub(super) use names::Names;
pub use sweep::Sweep;

use super::observation::Micros;
use super::task::{Place, Standing, Task};
use codec::Writer;
use facets::{Facet, Facets, NONE, Values, stretch_of};
use foldhash::fast::RandomState;
use head::{Head, state_word};
use key::Key;
use names::NameId;
use order::Order;
use records::Records;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::num::NonZeroU128;
use std::sync::Arc;

/// An unfinished task that nobody mentioned for this long goes like a finished one.
const FORGOTTEN_AFTER: Micros = 24 * 3600 * 1_000_000;

/// How far eviction looks past unfinished tasks that are still reported.
const LOOK_PAST: usize = 64;

/// Bytes of an entry in one of the smaller indexes.
const ENTRY: usize = 28;

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub names: Names,
    pub by_name: Census,
    records: Records,
    order: Order,
    facets: Facets,
    /// Tasks that run, by the number of their worker.
    running: HashMap<NameId, usize, RandomState>,
    /// By the hash of the first task's id: the tasks of its workflow, without it.
    roots: BTreeSet<(u64, u32)>,
    hasher: RandomState,
    due: BTreeSet<(Micros, u32)>,
    adrift: BTreeSet<(Micros, u32)>,
    searches: search::Cache,
    /// A record that is being written, and the names in the one it replaces.
    scratch: Vec<u8>,
    met: Vec<NameId>,
    budget: usize,
    /// Tasks let go for want of room.
    pub evicted: u64,
    #[cfg(test)]
    model: model::Model,
}

/// A task that was taken out to be changed.
struct Taken<'a> {
    key: Key<'a>,
    slot: Option<u32>,
    /// Boxed: it is large, and handed on.
    task: Box<Task>,
    before: Option<Standing>,
}

impl Store {
    /// An empty store that keeps to `budget` bytes.
    pub fn new(budget: usize) -> Store {
        Store { budget, ..Store::default() }
    }

    /// One task, unpacked.
    pub fn get(&self, uuid: &str) -> Option<Task> {
        self.task(self.records.find(Key::of(uuid))?)
    }

    fn task(&self, slot: u32) -> Option<Task> {
        Some(*self.records.row(slot, &self.names)?.task(None))
    }

    fn id(&self, slot: u32) -> Option<Arc<str>> {
        let row = self.records.row(slot, &self.names)?;
        Some(row.id().text().into())
    }

    /// When a task last changed.
    pub fn revision_of(&self, uuid: &str) -> Option<u64> {
        Some(self.records.head(self.records.find(Key::of(uuid))?)?.revision)
    }

    /// It is known.
    pub fn contains(&self, uuid: &str) -> bool {
        self.records.find(Key::of(uuid)).is_some()
    }

    /// It is known, and it ended.
    pub fn is_over(&self, uuid: &str) -> bool {
        let head = self.records.find(Key::of(uuid)).and_then(|slot| self.records.head(slot));
        head.is_some_and(Head::ended)
    }

    /// It is known, and there.
    pub fn is_at(&self, uuid: &str, place: Place) -> bool {
        let head = self.records.find(Key::of(uuid)).and_then(|slot| self.records.head(slot));
        head.is_some_and(|head| head.values.place == place as u32)
    }

    /// It is known, and its queue is not.
    pub fn lacks_queue(&self, uuid: &str) -> bool {
        let head = self.records.find(Key::of(uuid)).and_then(|slot| self.records.head(slot));
        head.is_some_and(|head| head.values.queue == NONE)
    }

    /// Bytes that it keeps to.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Changes that; nothing is let go before [`Store::keep_budget`].
    pub fn keep_to(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// How many are in a place.
    pub fn count(&self, place: Place) -> u64 {
        self.facets.place.count(place as u32)
    }

    /// The states that tasks are in, each with how many.
    pub fn states(&self) -> BTreeMap<&str, u64> {
        let mut states = BTreeMap::new();
        for (value, tasks) in self.facets.state.iter() {
            *states.entry(state_word(value, &self.names)).or_default() += tasks.len();
        }
        states
    }

    /// Some task runs at a worker.
    pub fn any_running(&self, worker: &str) -> bool {
        self.names.find(worker).is_some_and(|worker| self.running.contains_key(&worker))
    }

    /// Tasks that run at a worker.
    pub fn running(&self, worker: &str) -> Vec<Arc<str>> {
        let theirs = self.names.find(worker).and_then(|worker| self.facets.worker.get(worker));
        let active = self.facets.place.get(Place::Active as u32);
        let Some((theirs, active)) = theirs.zip(active) else { return Vec::new() };
        (theirs & active).iter().filter_map(|slot| self.id(slot)).collect()
    }

    /// Tasks that a worker is known to have at a place, or that were taken from a queue which is `own`:
    /// that nobody else consumes. At most `limit`.
    pub fn held_by(
        &self,
        worker: &str,
        own: &[&str],
        place: Place,
        limit: usize,
    ) -> impl Iterator<Item = Task> {
        let of = |facet: &Facet, value| facet.get(value).cloned().unwrap_or_default();
        let named = |facet: &Facet, name: &str| {
            self.names.find(name).map(|name| of(facet, name)).unwrap_or_default()
        };
        let theirs = own.iter().map(|queue| named(&self.facets.queue, queue));
        let theirs = theirs.fold(RoaringBitmap::new(), |all, queue| all | queue);
        let theirs = theirs & of(&self.facets.worker, NONE) | named(&self.facets.worker, worker);
        let held = theirs & of(&self.facets.place, place as u32);
        held.into_iter().take(limit).filter_map(|slot| self.task(slot))
    }

    /// Tasks of a worker whose queue is not known.
    pub fn without_queue(&self, worker: &str) -> Vec<Arc<str>> {
        let theirs = self.names.find(worker).and_then(|worker| self.facets.worker.get(worker));
        let lacking = self.facets.queue.get(NONE);
        let Some((theirs, lacking)) = theirs.zip(lacking) else { return Vec::new() };
        (theirs & lacking).iter().filter_map(|slot| self.id(slot)).collect()
    }

    /// Tasks that did not end, as far as events told of them.
    pub fn open(&self) -> Vec<Arc<str>> {
        let open = self.order.open().filter_map(|slot| self.task(slot));
        open.filter(Task::has_events).map(|task| task.uuid).collect()
    }

    /// Some tasks of the workflow that `root` began, without it; in the order of their ids.
    pub fn workflow(&self, root: &str, limit: usize) -> Vec<Task> {
        let hash = self.hasher.hash_one(root);
        let slots = self.roots.range((hash, 0)..=(hash, u32::MAX)).map(|(_, slot)| *slot);
        let tasks = slots.filter_map(|slot| self.task(slot));
        let same = |task: &Task| task.root_id.as_ref().is_some_and(|known| *known.value == *root);
        let mut tasks: Vec<Task> = tasks.filter(same).take(limit).collect();
        tasks.sort_unstable_by(|a, b| a.uuid.cmp(&b.uuid));
        tasks
    }

    /// Tasks of which nobody knows where they are or how they ended, longest first.
    pub fn adrift(&self) -> impl Iterator<Item = (Micros, Task)> {
        self.adrift.iter().filter_map(|(since, slot)| Some((*since, self.task(*slot)?)))
    }

    /// Of those the ones that are nowhere, from before `until`.
    pub fn lost(&self, until: Micros) -> impl Iterator<Item = (Micros, Task)> {
        let long = self.adrift.range(..=(until, u32::MAX));
        let nowhere = |slot: u32| self.records.head(slot).is_some_and(|h| h.values.place == NONE);
        let lost = long.filter(move |(_, slot)| nowhere(*slot));
        lost.filter_map(|(since, slot)| Some((*since, self.task(*slot)?)))
    }

    /// Tasks whose ETA has come by `now`.
    pub fn take_due(&self, now: Micros) -> Vec<Arc<str>> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.filter_map(|(_, slot)| self.id(*slot)).collect()
    }

    /// A worker registered a task of this name.
    pub fn register(&mut self, name: &str, max_retries: Option<u64>, revision: &mut u64) {
        let changed = self.by_name.register(&mut self.names, name, max_retries, revision);
        let named = self.names.find(name).and_then(|name| self.facets.name.get(name));
        for slot in named.filter(|_| changed).into_iter().flatten() {
            self.records.touch(slot, *revision);
        }
        #[cfg(test)]
        self.model.touch(name, changed.then_some(*revision));
    }

    /// An event of a task, made first where it is not known: always a change.
    pub fn event(
        &mut self,
        uuid: &str,
        now: Micros,
        revision: &mut u64,
        change: impl FnOnce(&mut Task, &mut Names),
    ) {
        let mut taken = self.take(uuid);
        change(&mut taken.task, &mut self.names);
        taken.task.place = taken.task.place_at(now);
        *revision += 1;
        taken.task.revision = *revision;
        self.put(taken, *revision);
    }

    /// What a look shows of a task, made first where it is not known. `change` answers when that
    /// happened by our clock, or `None` for now. Where it shows nothing new, nothing happens: no
    /// revision, no time. `revision` is the state's.
    pub fn edit(
        &mut self,
        uuid: &str,
        now: Micros,
        revision: &mut u64,
        change: impl FnOnce(&mut Task, &mut Names) -> Option<Micros>,
    ) {
        let mut taken = self.take(uuid);
        let shown = taken.before.is_some().then(|| Task::clone(&taken.task));
        let task = &mut taken.task;
        let happened = change(task, &mut self.names);
        task.place = task.place_at(now);
        if shown.is_some_and(|shown| task.shows_same_as(shown)) {
            self.put(taken, *revision);
            return;
        }
        task.seen = task.seen.max(happened.unwrap_or(now).min(now));
        *revision += 1;
        task.revision = *revision;
        self.put(taken, *revision);
    }

    /// Rows changed by what stands beside their records.
    pub fn touch(&mut self, uuids: &[&str], revision: &mut u64) {
        for uuid in uuids {
            if self.contains(uuid) {
                *revision += 1;
                let mut taken = self.take(uuid);
                taken.task.revision = *revision;
                self.put(taken, *revision);
            }
        }
    }

    /// Takes a task out to change it, with how it stood; a new one stood nowhere.
    fn take<'a>(&mut self, uuid: &'a str) -> Taken<'a> {
        self.met.clear();
        let key = Key::of(uuid);
        let slot = self.records.find(key);
        match slot.and_then(|slot| self.records.row(slot, &self.names)) {
            Some(row) => {
                let task = row.task(Some(&mut self.met));
                let before = Some(task.standing());
                Taken { key, slot, task, before }
            }
            None => {
                let task = Box::new(Task::new(uuid.into()));
                Taken { key, slot: None, task, before: None }
            }
        }
    }

    /// Packs a task that was taken out.
    fn put(&mut self, taken: Taken<'_>, revision: u64) {
        let Taken { key, slot, mut task, before } = taken;
        let after = task.standing();
        #[cfg(test)]
        self.model.put(&task);
        let former = slot.and_then(|slot| self.records.head(slot)).map(|head| head.values);
        let slot = slot.unwrap_or_else(|| self.records.enter(key));
        let uuid = self.write(key, &mut task);
        let at = self.records.log.append(slot, &self.scratch);
        let values = Values::of(&task, &self.names);
        let Task { seen, revision: changed, .. } = *task;
        let listed = task.listed.is_some();
        let head = Head { uuid, seen, revision: changed, at, values, listed };
        let runtime = task.current.runtime.as_ref().map(|runtime| runtime.value);
        let former_runtime = former.map(|_| stretch_of(self.records.runtime(slot)));
        self.records.set(slot, head, runtime);
        self.facets.shift(slot, former, Some(values));
        let runtime = stretch_of(self.records.runtime(slot));
        self.facets.runtime.shift(slot, former_runtime, Some(runtime));
        self.reindex(slot, before.as_ref(), Some(&after));
        self.by_name.recount(before.as_ref(), Some(&after), revision);
        self.met.drain(..).for_each(|name| self.names.release(name));
        self.records.compact();
    }

    /// Writes a task down, and answers its id where that is a UUID: then the record begins with an
    /// empty text in its stead.
    fn write(&mut self, key: Key<'_>, task: &mut Task) -> Option<NonZeroU128> {
        let Store { scratch, names, .. } = self;
        scratch.clear();
        let (id, seen) = (task.uuid.clone(), task.seen);
        let mut writer = Writer { bytes: scratch, names, id: &id, seen };
        let (uuid, id) = match key {
            Key::Uuid(uuid) => (Some(uuid), ""),
            Key::Text(id) => (None, id),
        };
        writer.slice(id);
        task.pass(&mut writer);
        uuid
    }

    /// Removes a task.
    pub fn remove(&mut self, uuid: &str, revision: u64) -> Option<Task> {
        let Taken { slot, task, before, .. } = self.take(uuid);
        let slot = slot?;
        #[cfg(test)]
        self.model.remove(&task);
        let former = self.records.head(slot).map(|head| head.values);
        self.facets.runtime.shift(slot, Some(stretch_of(self.records.runtime(slot))), None);
        self.records.remove(slot);
        self.facets.shift(slot, former, None);
        self.reindex(slot, before.as_ref(), None);
        self.by_name.recount(before.as_ref(), None, revision);
        self.met.drain(..).for_each(|name| self.names.release(name));
        self.records.compact();
        Some(*task)
    }

    /// Bytes that all of this takes: at least seven eighths of the log are live.
    pub fn bytes(&self) -> usize {
        let entries = self.roots.len() + self.due.len() + self.adrift.len();
        self.records.log.live() * 8 / 7 + self.records.len() * Records::OVERHEAD + entries * ENTRY
    }

    /// Lets tasks go until the budget holds: finished ones, oldest first, and with them unfinished
    /// ones that nobody mentioned for a day (finished ones alone would leave the room to tasks
    /// that never end); then the oldest.
    pub fn keep_budget(&mut self, now: Micros, revision: &mut u64) {
        while self.bytes() > self.budget && self.len() > 1 {
            let Some(uuid) = self.victim(now).and_then(|slot| self.id(slot)) else { break };
            #[cfg(test)]
            self.model.expect_victim(&uuid, now);
            *revision += 1;
            self.remove(&uuid, *revision);
            self.evicted += 1;
        }
    }

    fn victim(&self, now: Micros) -> Option<u32> {
        let silent = self.order.oldest(Micros::MIN);
        let silent = silent.take_while(|(seen, _)| now - seen > FORGOTTEN_AFTER).take(LOOK_PAST);
        let reported = |slot: u32| self.records.head(slot).is_some_and(|head| head.listed);
        let mut forgotten = silent.filter(|(_, slot)| !reported(*slot));
        let first = forgotten.next();
        let first = first.or_else(|| self.order.ended().next());
        let first = first.or_else(|| self.order.oldest(Micros::MIN).next());
        first.map(|(_, slot)| slot)
    }

    /// Moves a task from where it stood to where it stands, in every order and index but the
    /// facets.
    fn reindex(&mut self, slot: u32, before: Option<&Standing>, after: Option<&Standing>) {
        let timed = |standing: &Standing| (standing.seen, standing.finished);
        self.order.shift(slot, before.map(timed), after.map(timed));
        swap(&mut self.due, slot, before.and_then(|s| s.due), after.and_then(|s| s.due));
        let adrift = |standing: &Standing| standing.adrift;
        swap(&mut self.adrift, slot, before.and_then(adrift), after.and_then(adrift));
        let root =
            |standing: &Standing| standing.root.as_ref().map(|root| self.hasher.hash_one(&**root));
        let (was, is) = (before.and_then(root), after.and_then(root));
        swap(&mut self.roots, slot, was, is);
        let runs_at = |standing: &Standing| {
            standing.runs_at.as_ref().and_then(|worker| self.names.number(worker))
        };
        let (was, is) = (before.and_then(runs_at), after.and_then(runs_at));
        if was == is {
            return;
        }
        if let Some(worker) = was
            && let Some(count) = self.running.get_mut(&worker)
        {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&worker);
            }
        }
        if let Some(worker) = is {
            *self.running.entry(worker).or_default() += 1;
        }
    }
}

fn swap<T: Ord + Copy>(
    set: &mut BTreeSet<(T, u32)>,
    slot: u32,
    before: Option<T>,
    after: Option<T>,
) {
    if before == after {
        return;
    }
    if let Some(at) = before {
        set.remove(&(at, slot));
    }
    if let Some(at) = after {
        set.insert((at, slot));
    }
}

#[cfg(test)]
mod tests;
