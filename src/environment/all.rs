//! All environments of one process. One that is broken never harms another.

use super::act::Jobs;
use super::{Environment, PATIENCE, watch};
use crate::broker::url::BrokerUrl;
use crate::config::{Config, EnvironmentConfig, UrlSource};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Every configured environment, and which of them a call means that names none.
#[derive(Debug)]
pub struct Environments {
    all: Vec<Environment>,
    default: Option<String>,
    jobs: Jobs,
}

impl Environments {
    /// Makes the environments of a configuration; contacts nobody.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: Config) -> Result<Arc<Self>> {
        let Config { default, memory_limit, keep, environments } = config.fold(same_place);
        let budget =
            usize::try_from(memory_limit).unwrap_or(usize::MAX) / environments.len().max(1);
        let all = environments
            .into_iter()
            .map(|environment| Environment::new(environment, keep, budget))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Environments { all, default, jobs: Jobs::default() }))
    }

    /// All of them, in the order of the configuration.
    pub fn all(&self) -> &[Environment] {
        &self.all
    }

    /// The environment of that name, or the default one.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`]; [`Error::Config`] where none is configured at all.
    pub fn get(&self, name: Option<&str>) -> Result<&Environment> {
        let name = match name.or(self.default.as_deref()) {
            Some(name) => name,
            None => {
                return match self.all.as_slice() {
                    [only] => Ok(only),
                    [] => Err(Error::Config {
                        setting: "broker_url".into(),
                        reason: "no environment is configured: set CELERY_BROKER_URL, or give \
                                 --broker URL, or write config.toml"
                            .into(),
                        position: None,
                    }),
                    [first, ..] => Ok(first),
                };
            }
        };
        self.all.iter().find(|environment| environment.name() == name).ok_or_else(|| {
            Error::UnknownEnvironment {
                environment: name.into(),
                known: self.all.iter().map(|known| known.name().to_owned()).collect(),
            }
        })
    }

    /// The name a call means that names none.
    pub fn default_name(&self) -> Option<&str> {
        self.get(None).ok().map(Environment::name)
    }

    /// What was set going in them.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Leaves every broker; nothing of ours stays. Milliseconds where they answer, a second where
    /// they do not; before that, at most [`PATIENCE`] for what jobs have in hand.
    pub async fn close(&self) {
        self.jobs.end(PATIENCE).await;
        futures_util::future::join_all(self.all.iter().map(watch::leave)).await;
    }
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
