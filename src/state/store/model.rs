//! What the store must be, in the plainest way: whole tasks by their ids. Takes every change that
//! the store takes; [`Store::check`] compares all that can be asked.

use super::{FORGOTTEN_AFTER, LOOK_PAST, Store};
use crate::state::observation::Micros;
use crate::state::query::{self, Page, Query, Sort};
use crate::state::task::{Place, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All tasks.
#[derive(Debug, Default)]
pub struct Model {
    tasks: BTreeMap<Arc<str>, Task>,
}

impl Model {
    /// A task as it is now.
    pub fn put(&mut self, task: &Task) {
        self.tasks.insert(task.uuid.clone(), task.clone());
    }

    /// Tasks of a name changed.
    pub fn touch(&mut self, name: &str, revision: Option<u64>) {
        let named =
            |task: &&mut Task| task.name.as_ref().is_some_and(|known| *known.value == *name);
        for task in self.tasks.values_mut().filter(named) {
            task.revision = revision.unwrap_or(task.revision);
        }
    }

    /// Nothing of a task is known any more; this is what was.
    pub fn remove(&mut self, task: &Task) {
        let known = self.tasks.remove(&task.uuid);
        assert_eq!(known.as_ref(), Some(task));
    }

    /// May this one be let go? Of those from one time, any may.
    pub fn expect_victim(&self, uuid: &str, now: Micros) {
        let mut oldest: Vec<&Task> = self.tasks.values().collect();
        oldest.sort_by_key(|task| task.seen);
        let silent = oldest.iter().take_while(|task| now - task.seen > FORGOTTEN_AFTER);
        let forgotten = silent.take(LOOK_PAST).find(|task| task.listed.is_none());
        let finished = oldest.iter().find(|task| task.place == Some(Place::Done));
        let victim = forgotten.or(finished).unwrap_or(&oldest[0]);
        let chosen = &self.tasks[uuid];
        let kind = |task: &Task| (task.seen, task.place == Some(Place::Done));
        assert_eq!(kind(chosen), kind(victim), "{uuid} goes instead of {}", victim.uuid);
    }

    fn window(&self, query: &Query, sort: Sort, now: Micros) -> Page {
        query::window(self.tasks.values(), query, sort, now).unwrap()
    }
}

impl Store {
    /// Everything that can be asked of a task alone.
    pub fn check(&self) {
        let Model { tasks } = &self.model;
        assert_eq!(self.len(), tasks.len());
        for (uuid, task) in tasks {
            assert_eq!(self.get(uuid).as_ref(), Some(task));
            assert_eq!(self.lacks_queue(uuid), task.queue.is_none());
            assert_eq!(self.is_at(uuid, Place::Active), task.place == Some(Place::Active));
            assert_eq!(self.is_over(uuid), task.place == Some(Place::Done));
        }
        let places = [Place::Queue, Place::Reserved, Place::Scheduled, Place::Active, Place::Done];
        for place in places {
            let there = tasks.values().filter(|task| task.place == Some(place)).count();
            assert_eq!(self.count(place), there as u64, "{place:?}");
        }
        self.check_groups();
    }

    /// What is found by worker, root and time.
    fn check_groups(&self) {
        let Model { tasks } = &self.model;
        let ids = |wanted: &dyn Fn(&Task) -> bool| -> Vec<&str> {
            tasks.values().filter(|task| wanted(task)).map(|task| &*task.uuid).collect()
        };
        let sorted = |mut uuids: Vec<Arc<str>>| {
            uuids.sort();
            uuids
        };
        let same = |found: Vec<Arc<str>>, wanted: &dyn Fn(&Task) -> bool| {
            assert_eq!(sorted(found).iter().map(|id| &**id).collect::<Vec<_>>(), ids(wanted));
        };
        let workers: Vec<Arc<str>> =
            tasks.values().filter_map(|task| task.worker().cloned()).collect();
        for worker in workers {
            let here = |task: &Task| task.worker() == Some(&worker);
            let runs = |task: &Task| here(task) && task.place == Some(Place::Active);
            same(self.running(&worker), &runs);
            assert_eq!(self.any_running(&worker), !ids(&runs).is_empty());
            same(self.without_queue(&worker), &|task| here(task) && task.queue.is_none());
        }
        let open = |task: &Task| task.place != Some(Place::Done) && task.has_events();
        same(self.open(), &open);
        for root in tasks.keys() {
            let theirs = |task: &Task| {
                task.uuid != *root && task.root_id.as_ref().is_some_and(|id| id.value == *root)
            };
            let found = self.workflow(root, usize::MAX).into_iter().map(|task| task.uuid).collect();
            same(found, &theirs);
        }
        let adrift = self.adrift().map(|(_, task)| task.uuid).collect();
        same(adrift, &|task| task.standing().adrift.is_some());
        let due = self.take_due(Micros::MAX);
        same(due, &|task| task.standing().due.is_some());
        let names = self.by_name.iter().map(|count| count.tasks).sum::<usize>();
        assert_eq!(names, ids(&|task| task.name.is_some()).len());
    }

    /// A query is answered as by looking at all rows.
    pub fn check_window(&self, query: &Query, sort: Sort, now: Micros) -> Page {
        let page = self.window(query, sort, now).unwrap();
        assert_eq!(page, self.model.window(query, sort, now), "{query:?}");
        page
    }
}
