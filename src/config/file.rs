//! The TOML file: its keys, and where in it something is wrong.
//!
//! Reads text and refuses what it does not know, with its place and the nearest known key. What
//! the settings mean together is the business of the [parent](super).

use super::{CONTROL_EXCHANGE, EVENT_EXCHANGE, EnvironmentConfig, Secret, UrlSource, quantity};
use crate::error::{Error, Result, nearest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
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

/// What stands for all environments, and so is the name of none. Under it, a `/` ends each one's name.
const ALL: &str = "*";

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
    environments: Tables,
}

/// Environments by name, as they are written.
pub(super) type Tables = BTreeMap<String, Spanned<Environment>>;

/// The keys of one environment, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Environment {
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
    let origin = Origin { name: &path.display().to_string(), may_execute: may_execute(&metadata) };
    settings(&text, origin).map(Some)
}

/// The settings that a file's text holds.
fn settings(text: &str, origin: Origin) -> Result<Settings> {
    origin.settings(text).map_err(|wrong| wrong.in_file(origin.name, text))
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

/// Something that cannot be: which setting, and where it stands in the text.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The keys that lead to it, with dots between them; empty where the text is no TOML.
    pub setting: String,
    /// What is wrong, and what would be right.
    pub reason: String,
    at: Option<Range<usize>>,
}

impl Wrong {
    fn in_file(self, path: &str, text: &str) -> Error {
        let before = self.at.and_then(|at| text.get(..at.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let setting = if self.setting.is_empty() { "TOML".into() } else { self.setting };
        let position = Some(format!("{path}:{line}:{column}"));
        Error::Config { setting, reason: self.reason, position }
    }
}

/// Who wrote a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// What its environments say of where they come from.
    pub name: &'a str,
    /// Whether programs that it names may be run, or why not.
    pub may_execute: Result<(), &'static str>,
}

impl Origin<'_> {
    fn settings(self, text: &str) -> Result<Settings, Wrong> {
        let root: Root = parse(text)?;
        if let Some(default) = &root.default {
            known(default, "default".into(), root.environments.keys().map(String::as_str))?;
        }
        Ok(Settings {
            environments: self.environments(root.environments)?,
            default: root.default.map(Spanned::into_inner),
            memory_limit: root.memory_limit,
            keep: root.keep,
        })
    }

    /// In the order of the text.
    pub fn environments(self, tables: Tables) -> Result<Vec<EnvironmentConfig>, Wrong> {
        let mut tables: Vec<_> = tables.into_iter().collect();
        tables.sort_by_key(|(_, table)| table.span().start);
        tables.into_iter().map(|(name, table)| self.environment(name, table)).collect()
    }

    fn environment(
        self,
        name: String,
        table: Spanned<Environment>,
    ) -> Result<EnvironmentConfig, Wrong> {
        let at = table.span();
        let table = table.into_inner();
        if name == ALL || name.is_empty() || name.contains('/') {
            let setting = format!("environments.{name:?}");
            let reason =
                format!("a name is not empty, not `{ALL}`, which means all, and has no `/`");
            return Err(Wrong { setting, reason, at: Some(at) });
        }
        let path = |setting: &str| format!("environments.{name}.{setting}");
        let url = |setting, given, command: Option<_>| {
            if let (Some(_), Some(_)) = (&given, &command) {
                let reason = format!("given beside {setting}_command, one of them is enough");
                return Err(Wrong { setting: path(setting), reason, at: Some(at.clone()) });
            }
            let command = command
                .map(|command| self.command(path(&format!("{setting}_command")), command))
                .transpose()?;
            let given = given.map(|url: String| UrlSource::Given(Secret::new(url)));
            Ok(given.or(command))
        };
        let Some(broker) = url("broker_url", table.broker_url, table.broker_url_command)? else {
            let reason = "not set: give it, or broker_url_command, a program that prints it".into();
            return Err(Wrong { setting: path("broker_url"), reason, at: Some(at) });
        };
        let result_backend =
            url("result_backend", table.result_backend, table.result_backend_command)?;
        for action in table.allow.iter().flatten() {
            known(action, path("allow"), ACTIONS.iter().copied())?;
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
            url_from: self.name.into(),
            adhoc: false,
            name,
            broker,
            result_backend,
        })
    }

    /// A program that prints a URL.
    fn command(self, setting: String, command: Spanned<Vec<String>>) -> Result<UrlSource, Wrong> {
        let at = Some(command.span());
        let command = command.into_inner();
        let reason = match self.may_execute {
            _ if command.first().is_none_or(String::is_empty) => "is empty",
            Ok(()) => return Ok(UrlSource::Command(command)),
            Err(reason) => reason,
        };
        Err(Wrong { setting, reason: reason.into(), at })
    }
}

/// Reads text into keys that are known.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let document = toml::Deserializer::parse(text).map_err(|error| refused("", &error))?;
    serde_path_to_error::deserialize(document)
        .map_err(|error| refused(&dotted(error.path()), error.inner()))
}

/// What the TOML reader or serde refused.
fn refused(path: &str, error: &toml::de::Error) -> Wrong {
    let message = error.message();
    let mut names = message.split('`').skip(1).step_by(2);
    let reason = match names.next().filter(|_| message.starts_with("unknown field `")) {
        Some(key) => format!("unknown, {}", instead_of(key, &names.collect::<Vec<_>>())),
        None => in_words(&without_values(message)),
    };
    Wrong { setting: path.into(), reason, at: error.span() }
}

/// The keys of a path, without the steps that only serde sees.
pub(super) fn dotted(path: &serde_path_to_error::Path) -> String {
    let keys = path.iter().filter_map(|segment| match segment {
        Segment::Map { key } if !key.starts_with("$__serde") => Some(key.as_str()),
        _ => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

/// Refuses a value that is none of `known`.
fn known<'a>(
    value: &Spanned<String>,
    setting: String,
    known: impl Iterator<Item = &'a str>,
) -> Result<(), Wrong> {
    let known: Vec<&str> = known.collect();
    if known.contains(&value.as_ref().as_str()) {
        return Ok(());
    }
    Err(Wrong { setting, reason: unknown(value.as_ref(), &known), at: Some(value.span()) })
}

/// Names what is unknown, and the known name that looks most like it.
pub fn unknown(name: &str, known: &[&str]) -> String {
    format!("unknown `{name}`, {}", instead_of(name, known))
}

fn instead_of(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "none is configured".into(),
        None => format!("known: {}", known.join(", ")),
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

/// Serde's kinds of values in the words of who writes TOML.
pub(super) fn in_words(message: &str) -> String {
    const KINDS: [(&str, &str); 7] = [
        ("sequence", "an array"),
        ("map", "a table"),
        ("boolean", "true or false"),
        ("string", "a string"),
        ("integer", "a whole number"),
        ("floating point", "a number"),
        ("null", "null"),
    ];
    const EXPECTED: [(&str, &str); 5] = [
        ("a sequence", "an array, such as [\"one\", \"two\"]"),
        ("a map", "a table"),
        ("struct Environment", "a table, with broker_url in it"),
        ("a boolean", "true or false"),
        ("any valid TOML value", "a value"),
    ];
    let told =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "));
    let Some((is, expected)) = told else { return message.into() };
    let kind = KINDS.iter().find(|(kind, _)| is.starts_with(kind)).map_or(is, |(_, word)| word);
    let word = EXPECTED.iter().find(|(serde, _)| *serde == expected);
    format!("expected {}, not {kind}", word.map_or(expected, |(_, word)| word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Settings> {
        settings(text, Origin { name: "c.toml", may_execute: Ok(()) })
    }

    /// `position: setting: reason`, as `main` prints it.
    fn refusal(text: &str) -> String {
        match read_text(text) {
            Err(error @ Error::Config { .. }) => {
                let Error::Config { position, .. } = &error else { unreachable!() };
                format!("{}: {error}", position.as_deref().unwrap())
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let settings = read_text(
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
            ("memory_limt = 5", "c.toml:1:1: memory_limt: unknown, did you mean `memory_limit`?"),
            (
                "[environments.'é']\n brokr_url = 'x'",
                "c.toml:2:2: environments.é.brokr_url: unknown, did you mean `broker_url`?",
            ),
            (
                "default = 'prd'\n[environments.prod]\nbroker_url = 'x'",
                "c.toml:1:11: default: unknown `prd`, did you mean `prod`?",
            ),
            ("default = 'x'", "c.toml:1:11: default: unknown `x`, none is configured"),
            (
                "[environments.a]\nbroker_url = 'x'\nallow = ['send', 'purg']",
                "c.toml:3:18: environments.a.allow: unknown `purg`, did you mean `purge`?",
            ),
            (
                "[environments.a]\nqueues = []",
                "c.toml:1:1: environments.a.broker_url: not set: give it, or broker_url_command, a program that prints it",
            ),
            (
                "[environments.a]\nbroker_url = 'x'\nbroker_url_command = ['y']",
                "c.toml:1:1: environments.a.broker_url: given beside broker_url_command, one of them is enough",
            ),
            (
                "[environments.a]\nbroker_url_command = []",
                "c.toml:2:22: environments.a.broker_url_command: is empty",
            ),
            ("keep = '5'", "c.toml:1:8: keep: \"5\" is no duration such as 30s or 5m"),
            (
                "memory_limit = -1",
                "c.toml:1:16: memory_limit: invalid value: integer `-1`, expected a size from 0",
            ),
            (
                "[environments.a]\nbroker_url_command = 'redis://:pw@h'",
                "c.toml:2:22: environments.a.broker_url_command: expected an array, such as [\"one\", \"two\"], not a string",
            ),
            (
                "[environments.a]\nbroker_url = 'x'\nproduction = 'yes'",
                "c.toml:3:14: environments.a.production: expected true or false, not a string",
            ),
            (
                "environments.a = 3",
                "c.toml:1:18: environments.a: expected a table, with broker_url in it, not a whole number",
            ),
            ("environments = []", "c.toml:1:16: environments: expected a table, not an array"),
            (
                "[environments.'*']\nbroker_url = 'x'",
                "c.toml:1:1: environments.\"*\": a name is not empty, not `*`, which means all, and has no `/`",
            ),
            (
                "[environments.'a/b']\nbroker_url = 'x'",
                "c.toml:1:1: environments.\"a/b\": a name is not empty, not `*`, which means all, and has no `/`",
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
