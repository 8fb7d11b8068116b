//! The TOML file: its keys, and where in it something is wrong.
//!
//! Reads text and refuses what it does not know, with line, column and the nearest known key. What
//! the settings mean together is the business of the [parent](super).

use super::{CONTROL_EXCHANGE, EVENT_EXCHANGE, EnvironmentConfig, Secret, UrlSource, quantity};
use crate::error::{Error, Result, nearest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// What `allow` may hold: the actions, by the part of their method's name after `/` up to `_`.
pub const ACTIONS: &[&str] = &[
    "send", "retry", "revoke", "purge", "delete", "move", "restore", "control", "start", "restart",
];

/// What a file sets.
#[derive(Debug, Default, PartialEq)]
pub struct Settings {
    pub default: Option<String>,
    pub memory_limit: Option<u64>,
    pub keep: Option<Duration>,
    /// In the order of the file.
    pub environments: Vec<EnvironmentConfig>,
}

/// The file's keys, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    default: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "quantity::read_size")]
    memory_limit: Option<u64>,
    #[serde(default, deserialize_with = "quantity::read_duration")]
    keep: Option<Duration>,
    #[serde(default)]
    environments: BTreeMap<String, Spanned<Environment>>,
}

/// The keys of one environment, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    broker_url: Option<String>,
    broker_url_command: Option<Spanned<Vec<String>>>,
    result_backend: Option<String>,
    result_backend_command: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    broker_transport_options: toml::Table,
    #[serde(default)]
    result_backend_transport_options: toml::Table,
    event_exchange: Option<String>,
    control_exchange: Option<String>,
    #[serde(default)]
    queues: Vec<String>,
    #[serde(default)]
    production: bool,
    #[serde(default)]
    read_only: bool,
    allow: Option<Vec<Spanned<String>>>,
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// [`Error::Config`] with the position of what is wrong.
pub fn read(path: &Path) -> Result<Option<Settings>> {
    let broken = |error: io::Error| Error::Config {
        setting: "the file".into(),
        reason: error.to_string(),
        position: Some(path.display().to_string()),
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(broken)?;
    let metadata = file.metadata().map_err(broken)?;
    let source =
        Source { path: path.display().to_string(), text, may_execute: may_execute(&metadata) };
    source.settings().map(Some)
}

/// Whether programs that this file names may be run: nobody but the user, or root, can have
/// written it.
fn may_execute(file: &Metadata) -> Result<(), &'static str> {
    let user = rustix::process::geteuid().as_raw();
    if file.uid() != user && file.uid() != 0 {
        return Err("refused, the file belongs to another user");
    }
    if file.mode() & 0o022 != 0 {
        return Err("refused, others may write the file: chmod go-w it");
    }
    Ok(())
}

/// A file's text, to make settings of and to tell positions in.
struct Source {
    path: String,
    text: String,
    may_execute: Result<(), &'static str>,
}

impl Source {
    fn settings(&self) -> Result<Settings> {
        let root: Root = toml::from_str(&self.text).map_err(|error| self.syntax(&error))?;
        if let Some(default) = &root.default {
            let known = root.environments.keys().map(String::as_str);
            self.known(default, "default", known)?;
        }
        let mut environments: Vec<_> = root.environments.into_iter().collect();
        environments.sort_by_key(|(_, environment)| environment.span().start);
        let environments = environments
            .into_iter()
            .map(|(name, environment)| self.environment(name, environment))
            .collect::<Result<_>>()?;
        Ok(Settings {
            default: root.default.map(Spanned::into_inner),
            memory_limit: root.memory_limit,
            keep: root.keep,
            environments,
        })
    }

    fn environment(&self, name: String, table: Spanned<Environment>) -> Result<EnvironmentConfig> {
        let at = table.span();
        let table = table.into_inner();
        let broker = self.url("broker_url", table.broker_url, table.broker_url_command, &at)?;
        let Some(broker) = broker else {
            let reason = format!("missing in the environment {name:?}, or broker_url_command");
            return Err(self.wrong("broker_url", reason, Some(at)));
        };
        let result_backend =
            self.url("result_backend", table.result_backend, table.result_backend_command, &at)?;
        for action in table.allow.iter().flatten() {
            self.known(action, "allow", ACTIONS.iter().copied())?;
        }
        Ok(EnvironmentConfig {
            broker_transport_options: table.broker_transport_options,
            result_backend_transport_options: table.result_backend_transport_options,
            event_exchange: table.event_exchange.unwrap_or_else(|| EVENT_EXCHANGE.into()),
            control_exchange: table.control_exchange.unwrap_or_else(|| CONTROL_EXCHANGE.into()),
            queues: table.queues,
            production: table.production,
            read_only: table.read_only,
            allow: table.allow.map(|all| all.into_iter().map(Spanned::into_inner).collect()),
            url_from: self.path.clone(),
            adhoc: false,
            name,
            broker,
            result_backend,
        })
    }

    /// A URL that is written down or printed by a program, but not both.
    fn url(
        &self,
        setting: &str,
        given: Option<String>,
        command: Option<Spanned<Vec<String>>>,
        table: &Range<usize>,
    ) -> Result<Option<UrlSource>> {
        match (given, command) {
            (None, None) => Ok(None),
            (Some(url), None) => Ok(Some(UrlSource::Given(Secret::new(url)))),
            (None, Some(command)) => {
                let at = Some(command.span());
                let setting = format!("{setting}_command");
                let command = command.into_inner();
                if command.first().is_none_or(String::is_empty) {
                    return Err(self.wrong(&setting, "is empty".into(), at));
                }
                match self.may_execute {
                    Ok(()) => Ok(Some(UrlSource::Command(command))),
                    Err(reason) => Err(self.wrong(&setting, reason.into(), at)),
                }
            }
            (Some(_), Some(_)) => {
                let reason = format!("given beside {setting}_command, one of them is enough");
                Err(self.wrong(setting, reason, Some(table.clone())))
            }
        }
    }

    /// Refuses a value that is none of `known`.
    fn known<'a>(
        &self,
        value: &Spanned<String>,
        setting: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let known: Vec<&str> = known.collect();
        if known.contains(&value.as_ref().as_str()) {
            return Ok(());
        }
        let reason = unknown(value.as_ref(), &known);
        Err(self.wrong(setting, reason, Some(value.span())))
    }

    /// What the TOML reader or serde refused.
    fn syntax(&self, error: &toml::de::Error) -> Error {
        let message = error.message();
        let (setting, reason) = match message.strip_prefix("unknown field `") {
            Some(_) => {
                let mut names = message.split('`').skip(1).step_by(2);
                let key = names.next().unwrap_or_default();
                ("key", unknown(key, &names.collect::<Vec<_>>()))
            }
            None => ("TOML", without_values(message)),
        };
        self.wrong(setting, reason, error.span())
    }

    fn wrong(&self, setting: &str, reason: String, at: Option<Range<usize>>) -> Error {
        let before = at.and_then(|at| self.text.get(..at.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let position = Some(format!("{}:{line}:{column}", self.path));
        Error::Config { setting: setting.into(), reason, position }
    }
}

/// Names what is unknown, and the known name that looks most like it.
pub fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("unknown `{name}`, did you mean `{nearest}`?"),
        None if known.is_empty() => format!("unknown `{name}`, none is configured"),
        None => format!("unknown `{name}`, known: {}", known.join(", ")),
    }
}

/// Serde quotes a text of the wrong type, which may be a URL with its password.
fn without_values(message: &str) -> String {
    let message = message.replace('\n', ", ");
    match (message.split_once("string \""), message.rsplit_once("\", expected")) {
        (Some((before, _)), Some((_, after))) => format!("{before}string, expected{after}"),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "c.toml".into(), text: text.into(), may_execute: Ok(()) }
    }

    /// `position: setting: reason`, as `main` prints it.
    fn refusal(text: &str) -> String {
        match source(text).settings() {
            Err(error @ Error::Config { .. }) => {
                let Error::Config { position, .. } = &error else { unreachable!() };
                format!("{}: {error}", position.as_deref().unwrap())
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let settings = source(
            r#"
            default = "prod"
            memory_limit = "1GiB"
            keep = "10m"
            [environments.prod]
            broker_url = "redis://:pw@h/1"
            result_backend_command = ["pass", "show", "results"]
            broker_transport_options = { global_keyprefix = "app1:", priority_steps = [0, 3] }
            result_backend_transport_options = { retry_policy = { timeout = 5.0 } }
            event_exchange = "ev"
            control_exchange = "ctl"
            queues = ["reports"]
            production = true
            read_only = true
            allow = ["retry", "control"]
            [environments.a]
            broker_url_command = ["pass"]
            "#,
        )
        .settings()
        .unwrap();
        assert_eq!(settings.default.as_deref(), Some("prod"));
        assert_eq!(settings.memory_limit, Some(1 << 30));
        assert_eq!(settings.keep, Some(Duration::from_secs(600)));
        let [prod, a] = &settings.environments[..] else { panic!("{settings:?}") };
        let results = ["pass", "show", "results"].map(str::to_owned).to_vec();
        assert_eq!((&*prod.name, &*a.name), ("prod", "a"), "in the order of the file");
        assert_eq!(prod.broker, UrlSource::Given(Secret::new("redis://:pw@h/1")));
        assert_eq!(prod.result_backend, Some(UrlSource::Command(results)));
        assert_eq!(prod.broker_transport_options["global_keyprefix"].as_str(), Some("app1:"));
        assert!(prod.result_backend_transport_options["retry_policy"].is_table());
        assert_eq!((&*prod.event_exchange, &*prod.control_exchange), ("ev", "ctl"));
        assert_eq!(prod.queues, ["reports"]);
        assert!(prod.production && prod.read_only);
        assert_eq!(prod.allow.as_deref(), Some(&["retry".to_owned(), "control".to_owned()][..]));
        assert_eq!((&*a.event_exchange, &*a.control_exchange), ("celeryev", "celery"));
        assert_eq!(a.broker, UrlSource::Command(vec!["pass".into()]));
        assert_eq!((a.result_backend.as_ref(), a.allow.as_ref()), (None, None));
        assert_eq!(a.url_from, "c.toml");
        assert!(!format!("{settings:?}").contains("pw"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_nearest_name() {
        for (text, expected) in [
            (
                "memory_limt = 5",
                "c.toml:1:1: key: unknown `memory_limt`, did you mean `memory_limit`?",
            ),
            (
                "[environments.'é']\n brokr_url = 'x'",
                "c.toml:2:2: key: unknown `brokr_url`, did you mean `broker_url`?",
            ),
            (
                "default = 'prd'\n[environments.prod]\nbroker_url = 'x'",
                "c.toml:1:11: default: unknown `prd`, did you mean `prod`?",
            ),
            ("default = 'x'", "c.toml:1:11: default: unknown `x`, none is configured"),
            (
                "[environments.a]\nbroker_url = 'x'\nallow = ['send', 'purg']",
                "c.toml:3:18: allow: unknown `purg`, did you mean `purge`?",
            ),
            (
                "[environments.a]\nqueues = []",
                "c.toml:1:1: broker_url: missing in the environment \"a\", or broker_url_command",
            ),
            (
                "[environments.a]\nbroker_url = 'x'\nbroker_url_command = ['y']",
                "c.toml:1:1: broker_url: given beside broker_url_command, one of them is enough",
            ),
            (
                "[environments.a]\nbroker_url_command = []",
                "c.toml:2:22: broker_url_command: is empty",
            ),
            ("keep = '5'", "c.toml:1:8: TOML: \"5\" is no duration such as 30s or 5m"),
            (
                "memory_limit = -1",
                "c.toml:1:16: TOML: invalid value: integer `-1`, expected a size from 0",
            ),
            (
                "[environments.a]\nbroker_url_command = 'redis://:pw@h'",
                "c.toml:2:22: TOML: invalid type: string, expected a sequence",
            ),
            ("a = 1\na = 2", "c.toml:2:1: TOML: duplicate key"),
        ] {
            assert_eq!(refusal(text), expected, "{text}");
        }
        assert!(refusal("default = 'a\n").starts_with("c.toml:1:"));
    }

    #[test]
    fn programs_are_run_only_from_a_file_that_nobody_else_can_write() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        assert_eq!(read(&path), Ok(None));
        std::fs::write(&path, "[environments.a]\nbroker_url_command = ['pass']").unwrap();
        for (mode, allowed) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = read(&path);
            assert_eq!(read.is_ok(), allowed, "{mode:o}: {read:?}");
        }
        // A URL that is written down needs no such care.
        std::fs::write(&path, "[environments.a]\nbroker_url = 'redis://h'").unwrap();
        assert!(read(&path).unwrap().is_some());
        assert!(matches!(read(folder.path()), Err(Error::Config { .. })));
    }
}
