//! Messages of revoked tasks are taken out of the queues where they wait, as `queue/delete_messages`
//! would: each saved first, all in one recovery file.

use super::Revoked;
use crate::environment::act::queue::Skipped;
use crate::environment::act::queue::pick::{Picked, Picking, Selection};
use crate::environment::act::recovery::{Header, Recovery};
use crate::environment::act::{Job, Licence, Warning};
use crate::environment::{Connection, Environment};
use crate::error::Result;
use std::collections::{BTreeMap, HashSet};

/// Messages that wait, as far as anybody knows.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The ids of their tasks, by queue.
    queues: BTreeMap<String, Vec<String>>,
    accept_blocking: bool,
}

impl Waiting {
    /// Of these tasks. Those that no source knows are told to be missed.
    pub fn of(
        environment: &Environment,
        uuids: &[String],
        accept_blocking: bool,
        revoked: &mut Revoked,
    ) -> Self {
        let mut waiting = Waiting { accept_blocking, ..Waiting::default() };
        for uuid in uuids {
            let Some(queues) = environment.read(|state| state.waits_in(uuid)) else {
                revoked.missed.push(skipped(uuid, "not known to wait in any queue"));
                continue;
            };
            for queue in queues {
                waiting.queues.entry(queue).or_default().push(uuid.clone());
            }
        }
        waiting
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.queues.values().map(Vec::len).sum()
    }

    /// Only those whose tasks were revoked.
    pub fn retain(&mut self, revoked: &[String]) {
        let revoked: HashSet<&String> = revoked.iter().collect();
        self.queues.values_mut().for_each(|uuids| uuids.retain(|uuid| revoked.contains(uuid)));
        self.queues.retain(|_, uuids| !uuids.is_empty());
    }

    /// What would be deleted.
    pub async fn preview(
        self,
        connection: &Connection,
        job: &Job,
        revoked: &mut Revoked,
    ) -> Result<()> {
        for selection in self.selections() {
            let picked = selection.preview(connection, job).await?;
            revoked.take_in(picked);
        }
        revoked.warn_of_deletion();
        Ok(())
    }

    /// Deletes them. That they are revoked stands, whatever comes of this.
    pub async fn delete(self, environment: &Environment, job: &Licence, revoked: &mut Revoked) {
        let deleted: Result<()> = async {
            let connection = environment.connection().await?;
            connection.broker.takes_changes(false).await?;
            let mut names = self.queues.keys();
            let one = names.next().filter(|_| names.next().is_none());
            let header = Header::new(environment, &connection, job, one.map(String::as_str), None);
            let mut recovery = Recovery::new(header);
            for selection in self.selections() {
                let picking = Picking::new(&connection, job, &mut recovery, selection, None);
                let picked = picking.carry_out().await?;
                let broke_off = picked.broke_off;
                revoked.take_in(picked);
                if broke_off {
                    break;
                }
            }
            Ok(())
        }
        .await;
        if let Err(error) = deleted {
            let kind = error.kind().unwrap_or("internal");
            let text = format!("they are revoked, and no more was deleted: {error}");
            revoked.warnings.push(Warning::new(kind, text));
        }
        revoked.warn_of_deletion();
    }

    fn selections(&self) -> impl Iterator<Item = Selection> {
        self.queues.iter().map(|(queue, names)| Selection {
            queue: queue.clone(),
            names: names.clone(),
            accept_blocking: self.accept_blocking,
        })
    }
}

impl Revoked {
    fn take_in(&mut self, picked: Picked) {
        let Picked { done, missed, refused, saved_as, warnings, broke_off: _ } = picked;
        self.deleted.get_or_insert_default().extend(done);
        self.missed.extend(missed);
        // They are revoked all the same.
        self.missed.extend(refused.into_iter().map(|left| skipped(&left.uuid, left.reason)));
        self.saved_as = saved_as.or(self.saved_as.take());
        self.warnings.extend(warnings);
    }

    fn warn_of_deletion(&mut self) {
        if self.deleted.as_ref().is_some_and(|deleted| !deleted.is_empty()) {
            let text = "whoever waits for the result of a deleted message is never told, unless a \
                        worker stored that it is revoked, as those of Celery 5.6 and later do";
            self.warnings.push(Warning::new("untold", text));
        }
    }
}

fn skipped(uuid: &str, reason: impl Into<std::borrow::Cow<'static, str>>) -> Skipped {
    Skipped { uuid: Some(uuid.into()), key: None, reason: reason.into() }
}
