//! What things are called on Redis: keys and channels, and how a cluster's own names are found out
//! where nobody configured them (reference 1.1 to 1.6).

use super::super::{Binding, Options};
use crate::error::{Error, Result};
use ::redis::RedisResult;
use ::redis::aio::MultiplexedConnection;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// kombu's separator, and the one that many deployments set instead.
const SEP: &str = "\x06\x16";
const COMMON_SEP: &str = ":";

/// kombu's priority steps.
const STEPS: [u8; 4] = [0, 3, 6, 9];

/// The exchange whose binding set every worker with remote control leaves.
const TELLTALE: &str = "_kombu.binding.celery.pidbox";

/// Steps of the search for a prefix, at most.
const PREFIX_STEPS: usize = 20;

/// The names of one cluster: what is configured, else what was found out, else kombu's defaults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    db: u32,
    configured: Options,
    found: Options,
}

impl Layout {
    pub fn new(db: u32, configured: &Options) -> Self {
        Layout { db, configured: configured.clone(), found: Options::default() }
    }

    /// What is in force.
    pub fn options(&self) -> Options {
        Options {
            global_keyprefix: Some(self.prefix().into()),
            sep: Some(self.sep().into()),
            priority_steps: Some(self.steps().to_vec()),
            fanout_prefix: Some(Some(self.fanout_prefix())),
            fanout_patterns: Some(self.fanout_patterns()),
            unacked_key: Some(self.unacked_name().into()),
            unacked_index_key: Some(self.unacked_index_name().into()),
            ack_emulation: self.configured.ack_emulation,
        }
    }

    fn prefix(&self) -> &str {
        either(&self.configured.global_keyprefix, &self.found.global_keyprefix)
            .map_or("", String::as_str)
    }

    fn sep(&self) -> &str {
        either(&self.configured.sep, &self.found.sep).map_or(SEP, String::as_str)
    }

    /// The priority steps, most urgent first.
    pub fn steps(&self) -> &[u8] {
        either(&self.configured.priority_steps, &self.found.priority_steps)
            .map_or(&STEPS, Vec::as_slice)
    }

    /// The step that a message of some priority goes to: kombu clamps it to 0 to 9.
    pub fn step(&self, priority: Option<i64>) -> u8 {
        let priority = priority.unwrap_or_default().clamp(0, 9);
        let below = self.steps().iter().rev().find(|step| i64::from(**step) <= priority);
        below.or(self.steps().last()).copied().unwrap_or_default()
    }

    fn fanout_prefix(&self) -> String {
        match either(&self.configured.fanout_prefix, &self.found.fanout_prefix) {
            None => format!("/{}.", self.db),
            Some(None) => String::new(),
            Some(Some(text)) => text.replace("{db}", &self.db.to_string()),
        }
    }

    fn fanout_patterns(&self) -> bool {
        *either(&self.configured.fanout_patterns, &self.found.fanout_patterns).unwrap_or(&true)
    }

    fn unacked_name(&self) -> &str {
        either(&self.configured.unacked_key, &self.found.unacked_key)
            .map_or("unacked", String::as_str)
    }

    fn unacked_index_name(&self) -> &str {
        either(&self.configured.unacked_index_key, &self.found.unacked_index_key)
            .map_or("unacked_index", String::as_str)
    }

    /// Any key of ours or the cluster's, by its bare name.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    /// The list of a queue's messages of one priority step.
    pub fn queue_key(&self, queue: &str, step: u8) -> String {
        match step {
            0 => self.key(queue),
            step => format!("{}{queue}{}{step}", self.prefix(), self.sep()),
        }
    }

    /// Consumers keep what they have not acknowledged in the broker.
    pub fn keeps_unacked(&self) -> bool {
        self.configured.ack_emulation.unwrap_or(true)
    }

    /// The hash of what consumers hold.
    pub fn unacked_key(&self) -> String {
        self.key(self.unacked_name())
    }

    /// The sorted set of when they were handed it.
    pub fn unacked_index_key(&self) -> String {
        self.key(self.unacked_index_name())
    }

    /// The set of an exchange's bindings.
    pub fn binding_key(&self, exchange: &str) -> String {
        self.key(&format!("_kombu.binding.{exchange}"))
    }

    /// A glob for the binding sets of all exchanges.
    pub fn binding_pattern(&self) -> String {
        self.pattern("_kombu.binding.", "")
    }

    /// A glob for every key that begins and ends like this.
    pub fn pattern(&self, begins: &str, ends: &str) -> String {
        format!("{}{begins}*{ends}", glob_escaped(self.prefix()))
    }

    /// The exchange that a binding set belongs to.
    pub fn exchange_of(&self, key: &[u8]) -> Option<String> {
        let key = std::str::from_utf8(key).ok()?;
        let exchange = key.strip_prefix(self.prefix())?.strip_prefix("_kombu.binding.")?;
        Some(exchange.to_owned())
    }

    /// The channel of a fanout exchange.
    pub fn channel(&self, exchange: &str, routing_key: &str) -> String {
        let channel = format!("{}{}{exchange}", self.prefix(), self.fanout_prefix());
        if self.fanout_patterns() && !routing_key.is_empty() {
            format!("{channel}/{routing_key}")
        } else {
            channel
        }
    }

    /// The patterns of everything that is published to a topic-like fanout exchange. One application
    /// publishes to one of them, by its `fanout_patterns`: where that is not configured, to either.
    pub fn events_patterns(&self, exchange: &str) -> Vec<String> {
        let channel = glob_escaped(&self.channel(exchange, ""));
        match self.configured.fanout_patterns {
            Some(true) => vec![format!("{channel}/*")],
            Some(false) => vec![channel],
            None => vec![format!("{channel}/*"), channel],
        }
    }

    /// Reads a member of a binding set: `routing_key SEP pattern SEP queue`. A malformed one is
    /// `None`: another kombu or separator left it (F56).
    pub fn binding(&self, member: &[u8]) -> Option<Binding> {
        let member = std::str::from_utf8(member).ok()?;
        let sep = match either(&self.configured.sep, &self.found.sep) {
            Some(sep) => sep,
            None => sep_of(member)?,
        };
        let mut parts = member.split(sep);
        let (routing_key, _pattern, queue) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next().is_none() && !queue.is_empty();
        whole.then(|| Binding { routing_key: routing_key.into(), queue: queue.into() })
    }

    /// Takes over what a worker says of its own transport options; `true` where that changed names.
    pub fn learn(&mut self, said: &Map<String, Value>) -> bool {
        let before = self.found.clone();
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let found = &mut self.found;
        found.sep = text("sep").or(found.sep.take());
        found.global_keyprefix = text("global_keyprefix").or(found.global_keyprefix.take());
        found.unacked_key = text("unacked_key").or(found.unacked_key.take());
        found.unacked_index_key = text("unacked_index_key").or(found.unacked_index_key.take());
        let steps = said.get("priority_steps").and_then(Value::as_array).map(|steps| {
            steps.iter().filter_map(|step| u8::try_from(step.as_u64()?).ok()).collect::<Vec<_>>()
        });
        found.priority_steps =
            steps.filter(|steps| !steps.is_empty()).or(found.priority_steps.take());
        self.found != before
    }

    /// Finds out prefix and separator where nobody configured them: every worker with remote
    /// control leaves a binding set of a known name. A failure leaves kombu's defaults.
    ///
    /// # Errors
    /// [`Error::Config`] where several applications share the database: which one is meant, nothing
    /// tells.
    pub async fn find_prefix(&mut self, commands: &mut MultiplexedConnection) -> Result<()> {
        if self.configured.global_keyprefix.is_none() && !self.telltale(commands).await {
            let mut prefixes = find_telltales(commands).await;
            if prefixes.len() > 1 {
                return Err(several(&prefixes));
            }
            self.found.global_keyprefix = prefixes.pop_first();
        }
        if self.configured.sep.is_none() {
            let key = self.key(TELLTALE);
            let member: RedisResult<Option<String>> =
                ::redis::cmd("SRANDMEMBER").arg(key).query_async(commands).await;
            let sep = member.ok().flatten().and_then(|member| sep_of(&member));
            self.found.sep = sep.map(str::to_owned);
        }
        Ok(())
    }

    async fn telltale(&self, commands: &mut MultiplexedConnection) -> bool {
        let exists = ::redis::cmd("EXISTS").arg(self.key(TELLTALE)).query_async(commands).await;
        // Where it may not be asked for, nothing can be found out either.
        exists.unwrap_or(true)
    }
}

/// The prefixes of all telltales in a bounded part of the keyspace.
async fn find_telltales(commands: &mut MultiplexedConnection) -> BTreeSet<String> {
    let (mut cursor, mut prefixes) = (0_u64, BTreeSet::new());
    for _ in 0..PREFIX_STEPS {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("*{TELLTALE}")).arg("COUNT").arg(1_000);
        let scanned: RedisResult<(u64, Vec<String>)> = scan.query_async(commands).await;
        let Ok((next, keys)) = scanned else { break };
        prefixes.extend(keys.iter().filter_map(|key| key.strip_suffix(TELLTALE)).map(String::from));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    prefixes
}

fn several(prefixes: &BTreeSet<String>) -> Error {
    let seen: Vec<String> =
        prefixes.iter().map(|prefix| format!("`{}`", prefix.escape_debug())).collect();
    Error::Config {
        setting: "broker_transport_options.global_keyprefix".into(),
        reason: format!(
            "several applications share this database: choose one of {}",
            seen.join(", ")
        ),
        position: None,
    }
}

/// The separator of a well-formed member.
fn sep_of(member: &str) -> Option<&'static str> {
    [SEP, COMMON_SEP].into_iter().find(|sep| member.split(sep).count() == 3)
}

/// `*`, `?`, `[` and `\` mean themselves.
pub(crate) fn glob_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn either<'a, T>(configured: &'a Option<T>, found: &'a Option<T>) -> Option<&'a T> {
    configured.as_ref().or(found.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layout(options: Options) -> Layout {
        Layout::new(3, &options)
    }

    #[test]
    fn names_are_kombus() {
        let plain = layout(Options::default());
        assert_eq!(plain.queue_key("celery", 0), "celery");
        assert_eq!(plain.queue_key("celery", 9), "celery\x06\x169");
        assert_eq!(plain.channel("celery.pidbox", ""), "/3.celery.pidbox");
        assert_eq!(plain.events_patterns("celeryev"), ["/3.celeryev/*", "/3.celeryev"]);
        assert_eq!(plain.binding_key("celery"), "_kombu.binding.celery");
    }

    #[test]
    fn a_prefix_stands_before_keys_and_channels() {
        let prefixed =
            layout(Options { global_keyprefix: Some("app[1]:".into()), ..Options::default() });
        assert_eq!(prefixed.queue_key("q", 3), "app[1]:q\x06\x163");
        assert_eq!(prefixed.channel("celeryev", "task.sent"), "app[1]:/3.celeryev/task.sent");
        assert_eq!(prefixed.events_patterns("celeryev")[0], "app\\[1\\]:/3.celeryev/*");
        assert_eq!(prefixed.exchange_of(b"app[1]:_kombu.binding.x"), Some("x".into()));
        assert_eq!(prefixed.exchange_of(b"_kombu.binding.x"), None);
    }

    #[test]
    fn a_priority_belongs_to_the_step_at_or_below_it() {
        let default = layout(Options::default());
        for (priority, step) in [(None, 0), (Some(2), 0), (Some(5), 3), (Some(9), 9)] {
            assert_eq!(default.step(priority), step);
        }
        assert_eq!((default.step(Some(-7)), default.step(Some(200))), (0, 9));
    }

    #[test]
    fn fanout_options_change_channels() {
        let bare = layout(Options {
            fanout_prefix: Some(None),
            fanout_patterns: Some(false),
            ..Options::default()
        });
        assert_eq!(bare.events_patterns("celeryev"), ["celeryev"]);
        let own =
            layout(Options { fanout_prefix: Some(Some("x{db}.".into())), ..Options::default() });
        assert_eq!(own.channel("celeryev", ""), "x3.celeryev");
    }

    #[test]
    fn a_member_tells_its_separator() {
        let plain = layout(Options::default());
        let queue = |member: &str| plain.binding(member.as_bytes()).map(|binding| binding.queue);
        assert_eq!(queue("celery\x06\x16\x06\x16celery"), Some("celery".into()));
        assert_eq!(queue("celery::celery"), Some("celery".into()));
        assert_eq!(queue("broken"), None);
        assert_eq!(queue("a\x06\x16b"), None);
    }

    #[test]
    fn a_worker_tells_its_options_but_the_configuration_wins() {
        let mut plain = layout(Options { sep: Some("#".into()), ..Options::default() });
        let said = json!({ "sep": ":", "priority_steps": [0, 1, 2], "visibility_timeout": 1 });
        assert!(plain.learn(said.as_object().unwrap()));
        assert!(!plain.learn(said.as_object().unwrap()));
        assert_eq!(plain.steps(), [0, 1, 2]);
        assert_eq!(plain.queue_key("q", 2), "q#2");
    }
}
