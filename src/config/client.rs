//! What a client configures in `initialize`: environments as in the file, of the client's own. They
//! add to what the user configured and change nothing of it; nothing that a client names is executed.

use super::file::{self, Origin, Tables, Wrong};
use super::{CONTROL_EXCHANGE, EVENT_EXCHANGE, EnvironmentConfig};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the URLs come from, as rows tell.
const INITIALIZE: &str = "initialize";

/// Environments that a client brings.
#[derive(Debug, Default, PartialEq)]
pub struct Brought {
    /// What the client's calls mean that name none; one of these or one that was there before.
    pub default: Option<String>,
    /// In the order of their names.
    pub environments: Vec<EnvironmentConfig>,
}

/// The keys, as they are written. What concerns the whole process is not a client's to set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    default: Option<String>,
    #[serde(default)]
    environments: Tables,
}

impl Brought {
    /// Reads what a client sent, by the rules of the file.
    ///
    /// # Errors
    /// [`Error::Config`], which names the setting by the keys that lead to it.
    pub fn read(members: &Map<String, Value>) -> Result<Brought> {
        let wrong = |setting, reason| Error::Config { setting, reason, position: None };
        let table: toml::Table = serde_path_to_error::deserialize(members).map_err(|error| {
            let reason = file::in_words(&error.inner().to_string());
            wrong(file::dotted(error.path()), reason)
        })?;
        let refused = |Wrong { setting, reason, .. }| wrong(setting, reason);
        let keys: Keys = file::parse(&table.to_string()).map_err(refused)?;
        let origin = Origin {
            name: INITIALIZE,
            may_execute: Err("refused, only the user's own file may name programs to run"),
        };
        let environments = origin.environments(keys.environments).map_err(refused)?;
        Ok(Brought { default: keys.default, environments })
    }
}

impl EnvironmentConfig {
    /// Forbids what the other forbids, too.
    pub fn guard_as(&mut self, other: &EnvironmentConfig) {
        self.production |= other.production;
        self.read_only |= other.read_only;
        if let Some(theirs) = &other.allow {
            let both = |right: &&String| match &self.allow {
                Some(ours) => ours.contains(right),
                None => true,
            };
            self.allow = Some(theirs.iter().filter(both).cloned().collect());
        }
    }

    /// A setting that `known` has otherwise. What is left out here agrees with anything.
    pub fn departs_from(&self, known: &EnvironmentConfig) -> Option<&'static str> {
        fn other<T: PartialEq>(ours: &T, known: &T, left_out: &T) -> bool {
            ours != known && ours != left_out
        }
        let (none, exchanges) = (toml::Table::new(), [EVENT_EXCHANGE, CONTROL_EXCHANGE]);
        let [events, control] = exchanges.map(str::to_owned);
        let (options, results) =
            (&self.broker_transport_options, &self.result_backend_transport_options);
        let departures = [
            ("broker_url", self.broker != known.broker),
            ("result_backend", other(&self.result_backend, &known.result_backend, &None)),
            ("broker_transport_options", other(options, &known.broker_transport_options, &none)),
            (
                "result_backend_transport_options",
                other(results, &known.result_backend_transport_options, &none),
            ),
            ("event_exchange", other(&self.event_exchange, &known.event_exchange, &events)),
            ("control_exchange", other(&self.control_exchange, &known.control_exchange, &control)),
            ("queues", other(&self.queues, &known.queues, &Vec::new())),
            ("production", other(&self.production, &known.production, &false)),
            ("read_only", other(&self.read_only, &known.read_only, &false)),
            ("allow", other(&self.allow, &known.allow, &None)),
        ];
        departures.into_iter().find(|(_, departs)| *departs).map(|(setting, _)| setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: Value) -> Result<Brought> {
        let Value::Object(members) = config else { panic!("{config}") };
        Brought::read(&members)
    }

    fn one(environment: Value) -> EnvironmentConfig {
        let brought = read(json!({ "environments": { "e": environment } })).unwrap();
        brought.environments.into_iter().next().unwrap()
    }

    #[test]
    fn a_client_brings_what_the_file_could_hold() {
        let brought = read(json!({
            "environments": {
                "stage": {
                    "broker_url": "redis://:pw@stage/1",
                    "broker_transport_options": { "priority_steps": [0, 3], "sep": ":" },
                    "queues": ["reports"],
                    "allow": ["retry"],
                },
                "a": { "broker_url": "redis://a", "production": true },
            },
            "default": "stage",
        }))
        .unwrap();
        assert_eq!(brought.default.as_deref(), Some("stage"));
        let [a, stage] = &brought.environments[..] else { panic!("{brought:?}") };
        assert_eq!((&*a.name, &*stage.name), ("a", "stage"));
        assert_eq!((&*stage.url_from, stage.adhoc), ("initialize", false));
        assert_eq!(stage.broker_transport_options["priority_steps"].as_array().unwrap().len(), 2);
        assert_eq!(stage.allow.as_deref(), Some(&["retry".to_owned()][..]));
        assert!(a.production && !stage.production);
        assert!(!format!("{brought:?}").contains("pw"));
        assert_eq!(read(json!({})), Ok(Brought::default()));
    }

    #[test]
    fn what_cannot_be_is_told_by_the_keys_that_lead_to_it() {
        let program = "refused, only the user's own file may name programs to run";
        for (config, expected) in [
            (json!({ "memory_limit": 5 }), "memory_limit: unknown, known: default, environments"),
            (
                json!({ "environments": { "a.b": { "brokr_url": "x" } } }),
                "environments.a.b.brokr_url: unknown, did you mean `broker_url`?",
            ),
            (
                json!({ "environments": { "a": { "queues": [] } } }),
                "environments.a.broker_url: not set: give it, or broker_url_command, a program that prints it",
            ),
            (
                json!({ "environments": { "a": { "broker_url": 5 } } }),
                "environments.a.broker_url: expected a string, not a whole number",
            ),
            (
                json!({ "environments": { "a": { "broker_url": "x", "allow": ["purg"] } } }),
                "environments.a.allow: unknown `purg`, did you mean `purge`?",
            ),
            (
                json!({ "environments": { "a": { "broker_url": null } } }),
                "environments.a.broker_url: expected a value, not null",
            ),
            (
                json!({ "environments": { "a": { "broker_url_command": ["pass"] } } }),
                &format!("environments.a.broker_url_command: {program}"),
            ),
            (
                json!({ "environments": { "a": {
                    "broker_url": "x", "result_backend_command": ["pass"] } } }),
                &format!("environments.a.result_backend_command: {program}"),
            ),
        ] {
            let error = read(config.clone()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{config}");
            assert!(matches!(error, Error::Config { position: None, .. }), "{error:?}");
        }
    }

    #[test]
    fn guards_add_up() {
        let open = one(json!({ "broker_url": "x" }));
        let shut = one(json!({ "broker_url": "x", "production": true, "read_only": true }));
        let some = one(json!({ "broker_url": "x", "allow": ["retry", "control"] }));
        let other = one(json!({ "broker_url": "x", "allow": ["purge", "control"] }));
        for (first, second, production, allow) in [
            (&open, &open, false, None),
            (&open, &shut, true, None),
            (&shut, &open, true, None),
            (&open, &some, false, Some(vec!["retry", "control"])),
            (&some, &open, false, Some(vec!["retry", "control"])),
            (&some, &other, false, Some(vec!["control"])),
        ] {
            let mut guarded = first.clone();
            guarded.guard_as(second);
            assert_eq!((guarded.production, guarded.read_only), (production, production));
            let allowed = guarded.allow.as_deref();
            let allowed = allowed.map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(allowed, allow, "{first:?} {second:?}");
        }
    }

    #[test]
    fn what_is_left_out_departs_from_nothing() {
        let known = one(json!({
            "broker_url": "redis://h/1", "result_backend": "redis://h/2", "queues": ["a"],
            "event_exchange": "ev", "production": true, "allow": ["retry"],
            "broker_transport_options": { "sep": ":" },
        }));
        for (brought, setting) in [
            (json!({}), None),
            (json!({ "production": true, "queues": ["a"], "allow": ["retry"] }), None),
            (json!({ "broker_url": "redis://h/3" }), Some("broker_url")),
            (json!({ "result_backend": "redis://h/3" }), Some("result_backend")),
            (
                json!({ "broker_transport_options": { "sep": "-" } }),
                Some("broker_transport_options"),
            ),
            (
                json!({ "result_backend_transport_options": { "global_keyprefix": "x" } }),
                Some("result_backend_transport_options"),
            ),
            (json!({ "event_exchange": "other" }), Some("event_exchange")),
            (json!({ "control_exchange": "other" }), Some("control_exchange")),
            (json!({ "queues": ["b"] }), Some("queues")),
            (json!({ "read_only": true }), Some("read_only")),
            (json!({ "allow": ["purge"] }), Some("allow")),
        ] {
            let mut whole = json!({ "broker_url": "redis://h/1" });
            whole.as_object_mut().unwrap().extend(brought.as_object().unwrap().clone());
            assert_eq!(one(whole).departs_from(&known), setting, "{brought}");
        }
    }
}
