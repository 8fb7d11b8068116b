//! All environments of one process. One that is broken never harms another.

use super::act::Jobs;
use super::{Environment, PATIENCE, watch};
use crate::broker::url::BrokerUrl;
use crate::config::{self, Brought, Config, EnvironmentConfig, UrlSource};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;

/// Every environment, and which of them a call means that names none. One that is there stays as
/// it is until the end; others may join.
#[derive(Debug)]
pub struct Environments {
    all: Mutex<Arc<[Environment]>>,
    /// How many there are.
    size: channel::Sender<u64>,
    default: Option<String>,
    /// Where the configuration is, or was looked for.
    file: Option<PathBuf>,
    terms: Terms,
    jobs: Jobs,
}

/// What holds for all of them together.
#[derive(Debug)]
struct Terms {
    memory_limit: usize,
    keep: Duration,
    read_only: bool,
}

impl Terms {
    /// The bytes that each of so many may take.
    fn share(&self, environments: usize) -> usize {
        self.memory_limit / environments.max(1)
    }
}

impl Environments {
    /// Makes the environments of a configuration; contacts nobody.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: Config) -> Result<Arc<Self>> {
        let config = config.fold(same_place);
        let Config { default, memory_limit, keep, read_only, environments, file } = config;
        let memory_limit = usize::try_from(memory_limit).unwrap_or(usize::MAX);
        let terms = Terms { memory_limit, keep, read_only };
        let share = terms.share(environments.len());
        let all = environments
            .into_iter()
            .map(|environment| Environment::new(environment, keep, share))
            .collect::<Result<Arc<[_]>>>()?;
        let size = channel::Sender::new(all.len() as u64);
        Ok(Arc::new(Environments {
            all: Mutex::new(all),
            size,
            default,
            file,
            terms,
            jobs: Jobs::default(),
        }))
    }

    /// Lets those join that a client brings: all of them, or none where one cannot be. Contacts
    /// nobody.
    ///
    /// One whose name is known has to agree with the one of that name, which stays as it is. One at
    /// the place of another gets its guards, too; places are compared more closely, with names
    /// looked up and programs run, once something is to be changed.
    ///
    /// # Errors
    /// [`Error::Config`], which names the setting by the keys that lead to it.
    pub fn join(&self, brought: Brought) -> Result<()> {
        let mut all = self.lock();
        let mut grown = all.to_vec();
        for mut config in brought.environments {
            if let Some(known) = all.iter().find(|known| known.name() == config.name) {
                config.guard_as(known.config());
                agree(&config, known.config())?;
                continue;
            }
            config.read_only |= self.terms.read_only;
            for other in all.iter() {
                if other.seems_at(&config) {
                    config.guard_as(other.config());
                }
            }
            grown.push(Environment::new(config, self.terms.keep, 0)?);
        }
        if let Some(default) = &brought.default {
            known(default, &grown)?;
        }
        let share = self.terms.share(grown.len());
        grown.iter().for_each(|environment| environment.keep_to(share));
        *all = grown.into();
        self.size.send_replace(all.len() as u64);
        Ok(())
    }

    /// All of them: in the order of the configuration, then as they joined.
    pub fn all(&self) -> Arc<[Environment]> {
        Arc::clone(&self.lock())
    }

    /// What goes up with everything that a reader of any of them could see, and when one joins.
    pub fn revisions(&self) -> Vec<channel::Receiver<u64>> {
        let size = std::iter::once(self.size.subscribe());
        size.chain(self.all().iter().map(Environment::revision)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Environment]>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment of that name, or the default one.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`]; [`Error::Config`] where none is configured at all.
    pub fn get(&self, name: Option<&str>) -> Result<Environment> {
        let all = self.all();
        let Some(name) = name.or(self.default.as_deref()) else {
            return all.first().cloned().ok_or_else(|| self.none());
        };
        all.iter().find(|environment| environment.name() == name).cloned().ok_or_else(|| {
            Error::UnknownEnvironment {
                environment: name.into(),
                known: all.iter().map(|known| known.name().to_owned()).collect(),
            }
        })
    }

    /// That there is no environment, and how to get one.
    fn none(&self) -> Error {
        let file = self.file.as_deref().unwrap_or(Path::new("config.toml")).display();
        let reason = format!("no environment: set CELERY_BROKER_URL, or write {file}");
        Error::Config { setting: "broker_url".into(), reason, position: None }
    }

    /// What was set going in them.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Leaves every broker; nothing of ours stays. Milliseconds where they answer, a second where
    /// they do not; before that, at most [`PATIENCE`] for what jobs have in hand.
    pub async fn close(&self) {
        self.jobs.end(PATIENCE).await;
        futures_util::future::join_all(self.all().iter().map(watch::leave)).await;
    }
}

/// Refuses what would make another of an environment that is known.
fn agree(brought: &EnvironmentConfig, known: &EnvironmentConfig) -> Result<()> {
    let Some(setting) = brought.departs_from(known) else { return Ok(()) };
    let (name, from) = (&known.name, &known.url_from);
    Err(Error::Config {
        setting: format!("environments.{name}.{setting}"),
        reason: format!("`{name}` is there already and has it otherwise (from {from})"),
        position: None,
    })
}

fn known(default: &str, environments: &[Environment]) -> Result<()> {
    let known: Vec<&str> = environments.iter().map(Environment::name).collect();
    if known.contains(&default) {
        return Ok(());
    }
    let reason = config::unknown(default, &known);
    Err(Error::Config { setting: "default".into(), reason, position: None })
}

/// Whether a given URL means a configured environment's server, database and prefix.
fn same_place(one: &EnvironmentConfig, other: &EnvironmentConfig) -> bool {
    let (UrlSource::Given(a), UrlSource::Given(b)) = (&one.broker, &other.broker) else {
        return false;
    };
    let prefix = |config: &EnvironmentConfig| {
        let prefix = config.broker_transport_options.get("global_keyprefix").cloned();
        prefix.and_then(|prefix| prefix.as_str().map(str::to_owned)).unwrap_or_default()
    };
    // The variables say nothing of a prefix: where the URL is given alone, the place decides.
    let unsaid = other.broker_transport_options.is_empty();
    match (BrokerUrl::parse(a.expose()), BrokerUrl::parse(b.expose())) {
        (Ok(a), Ok(b)) => a.same_place(&b) && (unsaid || prefix(one) == prefix(other)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The environments of a configuration that holds what a client could bring.
    fn configured(config: Value, read_only: bool) -> Arc<Environments> {
        let Brought { default, environments } = brought(config);
        let (memory_limit, keep) = (1 << 20, Duration::from_secs(1));
        Environments::new(Config {
            default,
            memory_limit,
            keep,
            read_only,
            environments,
            file: None,
        })
        .unwrap()
    }

    fn brought(config: Value) -> Brought {
        Brought::read(config.as_object().unwrap()).unwrap()
    }

    fn refusal(environments: &Environments, config: Value) -> String {
        environments.join(brought(config)).unwrap_err().to_string()
    }

    fn names(environments: &Environments) -> Vec<String> {
        environments.all().iter().map(|one| one.name().to_owned()).collect()
    }

    #[tokio::test]
    async fn who_joins_is_there_for_all_and_told_to_those_who_follow() {
        let none = configured(json!({}), false);
        assert!(none.get(None).is_err());
        let mut revisions = none.revisions();
        none.join(brought(json!({ "environments": { "a": { "broker_url": "redis://a" } } })))
            .unwrap();
        assert!(revisions[0].has_changed().unwrap());
        assert_eq!(none.get(None).unwrap().name(), "a");
        assert_eq!(none.revisions().len(), revisions.len() + 1);
        revisions[0].borrow_and_update();

        // The same again changes nothing, however often, and whoever says it.
        let again = json!({ "default": "a", "environments": { "a": { "broker_url": "redis://a" },
            "b": { "broker_url": "redis://b" } } });
        none.join(brought(again.clone())).unwrap();
        let first = none.get(Some("b")).unwrap();
        none.join(brought(again)).unwrap();
        assert_eq!(names(&none), ["a", "b"]);
        assert!(Arc::ptr_eq(&first.0, &none.get(Some("b")).unwrap().0), "it goes on as it was");
    }

    #[tokio::test]
    async fn nobody_joins_where_one_cannot() {
        let all = configured(
            json!({ "environments": { "prod": { "broker_url": "redis://h/1", "production": true } } }),
            false,
        );
        let with = |prod: Value| json!({ "environments": { "first": { "broker_url": "redis://first" }, "prod": prod } });
        let refused = refusal(&all, with(json!({ "broker_url": "redis://elsewhere" })));
        assert_eq!(
            refused,
            "environments.prod.broker_url: `prod` is there already and has it otherwise \
             (from initialize)"
        );
        let refused = refusal(&all, with(json!({ "broker_url": "redis://h/1", "allow": [] })));
        assert!(refused.starts_with("environments.prod.allow: "), "{refused}");
        let refused = refusal(
            &all,
            json!({ "default": "secnd", "environments": { "second": { "broker_url": "x" } } }),
        );
        assert_eq!(refused, "default: unknown `secnd`, did you mean `second`?");
        assert_eq!(names(&all), ["prod"]);

        all.join(brought(with(json!({ "broker_url": "redis://h/1" })))).unwrap();
        assert_eq!(names(&all), ["prod", "first"]);
        assert!(all.get(Some("prod")).unwrap().config().production, "it is as it was");
    }

    #[tokio::test]
    async fn guards_go_with_the_place() {
        let all = configured(
            json!({ "environments": {
                "prod": { "broker_url": "redis://:pw@localhost/1", "production": true },
                "some": { "broker_url": "redis://some/0", "allow": ["retry"],
                          "broker_transport_options": { "global_keyprefix": "a:" } },
            } }),
            false,
        );
        let config = json!({ "environments": {
            "same": { "broker_url": "rediss://u@127.0.0.1:6379/1" },
            "other": { "broker_url": "redis://localhost/2" },
            "said": { "broker_url": "redis://some",
                      "broker_transport_options": { "global_keyprefix": "b:" } },
            "unsaid": { "broker_url": "redis://some", "allow": ["retry", "control"] },
        } });
        all.join(brought(config.clone())).unwrap();
        all.join(brought(config)).unwrap();
        let guards = |name: &str| {
            let config = all.get(Some(name)).unwrap().config().clone();
            (config.production, config.allow)
        };
        assert_eq!(guards("same"), (true, None));
        assert_eq!(guards("other"), (false, None));
        assert_eq!(guards("said"), (false, None), "another application in one database");
        assert_eq!(guards("unsaid"), (false, Some(vec!["retry".into()])));
        assert!(!all.get(Some("other")).unwrap().config().read_only);

        let all = configured(json!({}), true);
        all.join(brought(json!({ "environments": { "a": { "broker_url": "redis://a" } } })))
            .unwrap();
        assert!(all.get(None).unwrap().config().read_only, "--read-only holds for whoever joins");
    }
}
