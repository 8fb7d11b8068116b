//! What runs just now, as workers answer: what a look told seconds ago may have ended since, and a
//! signal reaches whatever its process runs by then (F37).

use crate::celery::control::{Inspection, Request};
use crate::environment::mailbox::Answers;
use crate::environment::{Environment, results};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long those who are silent are waited for.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Who runs what.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Running {
    /// Which worker runs a task.
    tasks: HashMap<String, String>,
    /// Who told.
    told: HashSet<String>,
}

/// Where a task stands that was seen to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs<'a> {
    /// That worker runs it.
    At(&'a str),
    /// The worker that ran it does so no longer, nor does another one.
    NoLonger,
    /// The worker that ran it does not tell.
    Untold,
}

impl Running {
    /// Asks every worker; where nobody can be asked, nobody tells.
    pub async fn ask(environment: &Environment, uuids: &[String]) -> Self {
        let answers = environment.ask(Request::new("active", None), TIMEOUT).await;
        let running = Running::read(answers.unwrap_or_else(|error| {
            tracing::debug!(%error, "what runs could not be asked for");
            Answers::default()
        }));
        // How those ended that no longer run may be stored, though nobody heard it.
        let ended = |uuid: &&String| {
            !running.tasks.contains_key(*uuid)
                && environment.read(|state| state.knows(uuid) && !state.is_over(uuid))
        };
        let ended: Vec<String> = uuids.iter().filter(ended).cloned().collect();
        if let Err(error) = environment.learn_results(&ended, results::CUT).await {
            tracing::debug!(%error, "how tasks ended could not be asked for");
        }
        running
    }

    fn read(answers: Answers) -> Self {
        let mut running = Running::default();
        for (hostname, said) in answers.replies {
            let Ok(Inspection::Active(tasks)) = Inspection::read("active", &said) else { continue };
            for task in tasks {
                running.tasks.insert(task.uuid, hostname.clone());
            }
            running.told.insert(hostname);
        }
        running
    }

    /// Who runs a task.
    pub fn at(&self, uuid: &str) -> Option<&str> {
        self.tasks.get(uuid).map(String::as_str)
    }

    /// Where a task stands that a worker was seen to run.
    pub fn seen_at(&self, uuid: &str, hostname: Option<&str>) -> Runs<'_> {
        match self.at(uuid) {
            Some(at) => Runs::At(at),
            None if hostname.is_some_and(|name| self.told.contains(name)) => Runs::NoLonger,
            None => Runs::Untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn f37_what_a_worker_no_longer_names_ended_and_who_is_silent_tells_nothing() {
        let active = json!([{ "id": "a", "name": "lab.add", "hostname": "w1@lab" }]);
        let replies =
            [("w1@lab".to_owned(), active), ("odd@lab".to_owned(), json!({ "error": "" }))];
        let answers = Answers { replies: replies.into(), ..Answers::default() };
        let running = Running::read(answers);
        assert_eq!(running.seen_at("a", Some("other@lab")), Runs::At("w1@lab"));
        assert_eq!(running.seen_at("b", Some("w1@lab")), Runs::NoLonger);
        for untold in [Some("odd@lab"), Some("silent@lab"), None] {
            assert_eq!(running.seen_at("b", untold), Runs::Untold, "{untold:?}");
        }
    }
}
