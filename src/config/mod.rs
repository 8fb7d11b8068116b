//! Configuration: a TOML file, the process's environment variables and the command line, merged
//! into one [`Config`]; and what a client brings ([`Brought`]). Says who may set what; contacts
//! nothing, and executes nothing but what prints a URL, when asked to ([`UrlSource::resolve`]).
//!
//! Whether two URLs mean one place is the broker's knowledge: see [`Config::fold`].

mod client;
mod command;
mod file;
pub mod quantity;

pub use client::Brought;
pub use file::{ACTIONS, unknown};

use crate::error::{Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Celery's `event_exchange`.
pub const EVENT_EXCHANGE: &str = "celeryev";

/// Celery's `control_exchange`.
pub const CONTROL_EXCHANGE: &str = "celery";

/// The state's bytes where nothing else is set.
const MEMORY_LIMIT: u64 = 256 << 20;

/// How long an unused environment stays connected where nothing else is set.
const KEEP: Duration = Duration::from_secs(300);

/// The name of the environment that a bare URL makes.
const GIVEN: &str = "default";

/// A text that never reaches a log, an error or an answer: `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The environment that a call without one means.
    pub default: Option<String>,
    /// Bytes that the state of all environments together may take.
    pub memory_limit: u64,
    /// How long an unused environment stays connected.
    pub keep: Duration,
    /// Nothing may be changed, through whatever environment.
    pub read_only: bool,
    /// In the order of the file; the one from the command line or variables last.
    pub environments: Vec<EnvironmentConfig>,
    /// Where the file is, or was looked for.
    pub file: Option<PathBuf>,
}

/// Where a URL comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum UrlSource {
    /// It was written down.
    Given(Secret),
    /// A program prints it: an argument list, no shell.
    Command(Vec<String>),
}

/// One environment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentConfig {
    /// Its name.
    pub name: String,
    /// `broker_url` or `broker_url_command`.
    pub broker: UrlSource,
    /// `result_backend` or `result_backend_command`; `None`: none is configured.
    pub result_backend: Option<UrlSource>,
    /// `broker_transport_options`, as far as they concern the layout.
    pub broker_transport_options: toml::Table,
    /// `result_backend_transport_options`
    pub result_backend_transport_options: toml::Table,
    /// `celeryev`
    pub event_exchange: String,
    /// `celery`
    pub control_exchange: String,
    /// Also watched when nothing binds them.
    pub queues: Vec<String>,
    /// Read-only until unlocked.
    pub production: bool,
    /// Read-only for good.
    pub read_only: bool,
    /// Permitted actions; `None`: all.
    pub allow: Option<Vec<String>>,
    /// `CELERY_BROKER_URL`, `--broker`, or the file.
    pub url_from: String,
    /// Made from a bare URL, not from a file.
    pub adhoc: bool,
}

/// What the command line sets; it wins over everything else.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--broker`
    pub broker: Option<Secret>,
    /// `--backend`
    pub backend: Option<Secret>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--environment`
    pub environment: Option<String>,
    /// `--transport-options`
    pub transport_options: Option<toml::Table>,
    /// `--memory-limit`, in bytes
    pub memory_limit: Option<u64>,
    /// `--read-only`
    pub read_only: bool,
}

impl Config {
    /// Merges file, variables and command line. `variable` looks a variable of the process up.
    ///
    /// Which environment is the default: `--environment`, else the one of `--broker`, else that of
    /// `CELERY_BROKER_URL`, else the file's `default`, else the first one of the file.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that cannot be read, a setting that is wrong, or an
    /// `--environment` that does not exist.
    pub fn load(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let own = home(&variable, "XDG_CONFIG_HOME", ".config");
        let own = own.map(|folder| folder.join("lazycelery/config.toml"));
        let settings = settings(options.config.as_deref(), own.as_deref())?;
        let mut config = Config {
            default: settings.default,
            memory_limit: options.memory_limit.or(settings.memory_limit).unwrap_or(MEMORY_LIMIT),
            keep: settings.keep.unwrap_or(KEEP),
            read_only: options.read_only,
            environments: settings.environments,
            file: options.config.clone().or(own),
        };
        if config.default.is_none() {
            config.default = config.environments.first().map(|first| first.name.clone());
        }
        if let Some(given) = given(options, &variable) {
            config.default = Some(GIVEN.into());
            config.environments.push(given);
        }
        if let Some(name) = &options.environment {
            config.known(name)?;
            config.default = Some(name.clone());
        }
        config.override_by(options);
        Ok(config)
    }

    /// Lets a URL from the command line or a variable *be* the environment that is configured for
    /// the same place, so that an exported production URL keeps its guards. `same_place(configured,
    /// given)` compares server, database and prefix.
    ///
    /// Where no configured one is at that place, the given one stays, and replaces a configured one
    /// of its name.
    #[must_use]
    pub fn fold(
        mut self,
        same_place: impl Fn(&EnvironmentConfig, &EnvironmentConfig) -> bool,
    ) -> Config {
        let Some(given) = self.environments.pop_if(|last| last.adhoc) else { return self };
        let place = self.environments.iter_mut().find(|configured| same_place(configured, &given));
        match place {
            Some(configured) => {
                if self.default.as_deref() == Some(GIVEN) {
                    self.default = Some(configured.name.clone());
                }
                configured.result_backend =
                    given.result_backend.or(configured.result_backend.take());
                configured.url_from = given.url_from;
            }
            None => {
                self.environments.retain(|configured| configured.name != given.name);
                self.environments.push(given);
            }
        }
        self
    }

    fn known(&self, name: &str) -> Result<()> {
        let known: Vec<&str> = self.environments.iter().map(|known| &*known.name).collect();
        if known.contains(&name) {
            return Ok(());
        }
        let setting = "--environment".into();
        Err(Error::Config { setting, reason: file::unknown(name, &known), position: None })
    }

    /// The options that change the default environment, whichever that is.
    fn override_by(&mut self, options: &Options) {
        for environment in &mut self.environments {
            environment.read_only |= options.read_only;
        }
        let default = self.default.as_deref();
        // The last one of a name: a given one comes after a configured one.
        let chosen = self.environments.iter_mut().rev();
        if let Some(chosen) = { chosen }.find(|known| Some(&*known.name) == default) {
            if let Some(backend) = &options.backend {
                chosen.result_backend = Some(UrlSource::Given(backend.clone()));
            }
            if let Some(transport_options) = &options.transport_options {
                chosen.broker_transport_options.clone_from(transport_options);
            }
        }
    }
}

/// Where this program keeps its logs and its audit: `$XDG_STATE_HOME/lazycelery`.
pub fn state_home() -> PathBuf {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    home(&variable, "XDG_STATE_HOME", ".local/state").unwrap_or_default().join("lazycelery")
}

/// A folder of the XDG base directory specification; `None` where not even a home is known.
fn home(variable: &impl Fn(&str) -> Option<String>, name: &str, below: &str) -> Option<PathBuf> {
    match variable(name) {
        Some(folder) => Some(folder.into()),
        None => Some(PathBuf::from(variable("HOME")?).join(below)),
    }
}

/// The file's settings. One that is named must exist, the user's own need not.
fn settings(named: Option<&Path>, own: Option<&Path>) -> Result<file::Settings> {
    if let Some(path) = named {
        return file::read(path)?.ok_or_else(|| Error::Config {
            setting: "--config".into(),
            reason: "there is no such file".into(),
            position: Some(path.display().to_string()),
        });
    }
    Ok(own.map(file::read).transpose()?.flatten().unwrap_or_default())
}

/// The environment of `--broker` or `CELERY_BROKER_URL`. The variable for results goes with the one
/// for the broker: beside another broker it would be another cluster's.
fn given(
    options: &Options,
    variable: &impl Fn(&str) -> Option<String>,
) -> Option<EnvironmentConfig> {
    let variables = |name| variable(name).map(Secret::new);
    let (broker, backend, url_from) = match &options.broker {
        Some(broker) => (broker.clone(), None, "--broker"),
        None => {
            let broker = variables("CELERY_BROKER_URL")?;
            (broker, variables("CELERY_RESULT_BACKEND"), "CELERY_BROKER_URL")
        }
    };
    Some(EnvironmentConfig {
        name: GIVEN.into(),
        broker: UrlSource::Given(broker),
        result_backend: backend.map(UrlSource::Given),
        broker_transport_options: toml::Table::new(),
        result_backend_transport_options: toml::Table::new(),
        event_exchange: EVENT_EXCHANGE.into(),
        control_exchange: CONTROL_EXCHANGE.into(),
        queues: Vec::new(),
        production: false,
        read_only: false,
        allow: None,
        url_from: url_from.into(),
        adhoc: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        memory_limit = '1GiB'
        [environments.prod]
        broker_url = 'redis://prod/1'
        result_backend = 'redis://prod/2'
        production = true
        [environments.stage]
        broker_url = 'redis://stage/1'
    ";

    /// A configuration home with `text` in it, and what `load` makes of that.
    fn load(text: &str, options: &Options, variables: &[(&str, &str)]) -> Result<Config> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("lazycelery")).unwrap();
        std::fs::write(home.path().join("lazycelery/config.toml"), text).unwrap();
        Config::load(options, |name| match name {
            "XDG_CONFIG_HOME" => Some(home.path().display().to_string()),
            _ => {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
            }
        })
    }

    fn url(source: &UrlSource) -> &str {
        let UrlSource::Given(url) = source else { panic!("{source:?}") };
        url.expose()
    }

    fn same_url(configured: &EnvironmentConfig, given: &EnvironmentConfig) -> bool {
        configured.broker == given.broker
    }

    #[test]
    fn which_environment_wins() {
        let broker = Options { broker: Some(Secret::new("redis://x")), ..Options::default() };
        let named = Options { environment: Some("stage".into()), ..broker.clone() };
        let none = Options::default();
        let exported = [("CELERY_BROKER_URL", "redis://y"), ("CELERY_RESULT_BACKEND", "redis://z")];
        let only = "[environments.one]\nbroker_url = 'redis://one'";
        let first = format!("default = 'stage'\n{FILE}");
        for (text, options, variables, default, given) in [
            (FILE, &named, &exported[..], Some("stage"), Some("redis://x")),
            (FILE, &broker, &exported, Some("default"), Some("redis://x")),
            (&first, &none, &exported, Some("default"), Some("redis://y")),
            (&first, &none, &[("CELERY_BROKER_URL", "")], Some("stage"), None),
            (only, &none, &[], Some("one"), None),
            (FILE, &none, &[], Some("prod"), None),
            ("", &none, &[], None, None),
        ] {
            let config = load(text, options, variables).unwrap();
            let last = config.environments.last().filter(|last| last.adhoc);
            assert_eq!(config.default.as_deref(), default, "{text} {options:?}");
            assert_eq!(last.map(|last| url(&last.broker)), given, "{text} {options:?}");
        }
        let unknown = Options { environment: Some("prd".into()), ..Options::default() };
        let error = load(FILE, &unknown, &[]).unwrap_err();
        assert_eq!(error.to_string(), "--environment: unknown `prd`, did you mean `prod`?");
    }

    #[test]
    fn an_exported_production_url_keeps_its_guards() {
        let exported =
            [("CELERY_BROKER_URL", "redis://prod/1"), ("CELERY_RESULT_BACKEND", "redis://other")];
        let config = load(FILE, &Options::default(), &exported).unwrap().fold(same_url);
        let names: Vec<_> = config.environments.iter().map(|known| &*known.name).collect();
        assert_eq!((config.default.as_deref(), names), (Some("prod"), vec!["prod", "stage"]));
        let prod = &config.environments[0];
        assert!(prod.production);
        assert_eq!(prod.url_from, "CELERY_BROKER_URL");
        assert_eq!(prod.result_backend.as_ref().map(url), Some("redis://other"));
    }

    #[test]
    fn a_url_of_its_own_replaces_a_configured_default() {
        let text = "[environments.default]\nbroker_url = 'redis://a'\nproduction = true";
        let exported = [("CELERY_BROKER_URL", "redis://b")];
        let config = load(text, &Options::default(), &exported).unwrap().fold(same_url);
        let [only] = &config.environments[..] else { panic!("{config:?}") };
        assert_eq!((url(&only.broker), only.production), ("redis://b", false));
    }

    #[test]
    fn options_change_the_chosen_environment() {
        let options = Options {
            backend: Some(Secret::new("redis://b")),
            environment: Some("stage".into()),
            transport_options: Some(toml::toml! { sep = ":" }),
            memory_limit: Some(5),
            read_only: true,
            ..Options::default()
        };
        let config = load(FILE, &options, &[("CELERY_BROKER_URL", "redis://y")]).unwrap();
        let [prod, stage, given] = &config.environments[..] else { panic!("{config:?}") };
        assert_eq!(prod.result_backend.as_ref().map(url), Some("redis://prod/2"));
        assert_eq!(stage.result_backend.as_ref().map(url), Some("redis://b"));
        assert_eq!(stage.broker_transport_options["sep"].as_str(), Some(":"));
        assert_eq!((given.result_backend.as_ref(), config.memory_limit), (None, 5));
        assert!(prod.read_only && stage.read_only && given.read_only);
    }

    #[test]
    fn a_named_file_must_exist() {
        let options = Options { config: Some("/no/such.toml".into()), ..Options::default() };
        let error = load("", &options, &[]).unwrap_err();
        let Error::Config { position, .. } = &error else { panic!("{error}") };
        assert_eq!(position.as_deref(), Some("/no/such.toml"));
        assert_eq!(Config::load(&Options::default(), |_| None).unwrap().environments, []);
    }
}
