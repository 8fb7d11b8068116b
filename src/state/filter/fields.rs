//! Which fields each noun's filter knows, and what their values mean.

use super::mistake;
use crate::error::{Result, nearest};
use crate::state::Noun;

/// What a field's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// One of these words, in any case, and no other.
    OneOf(&'static [&'static str]),
    /// A word, in any case; which ones there are, the cluster decides.
    Word,
    /// A name, whole.
    Name,
    /// An id, whole or its beginning.
    Id,
    /// Text that occurs inside, in any case.
    Text,
    /// Likewise; and `key=value` is the value under a key, as in Flower.
    Kwargs,
    /// A host name or either side of its `@`.
    Worker,
    Number,
    Duration,
    Since,
    Until,
}

/// One field of the language.
#[derive(Debug, PartialEq)]
pub(in crate::state) struct Field {
    /// As it is written before the colon.
    pub word: &'static str,
    /// Columns of a row that are looked at; the first is the one that may be lacking.
    pub columns: &'static [&'static str],
    pub(super) means: Means,
}

const fn field(word: &'static str, columns: &'static [&'static str], means: Means) -> Field {
    Field { word, columns, means }
}

pub(super) const SINCE: &str = "since";
pub(super) const UNTIL: &str = "until";

/// As [`crate::state::Place`] writes them.
pub(super) const PLACES: &[&str] = &["queue", "reserved", "scheduled", "active", "done"];

/// As [`crate::state::Status`] writes them.
pub(super) const STATUSES: &[&str] = &["online", "silent", "lost", "offline", "unknown"];

/// As `environment/list` writes `status` and `events`.
const CONNECTIONS: &[&str] = &["idle", "connecting", "connected", "disconnected"];
const FLOWS: &[&str] = &["flowing", "silent", "off"];

const SWITCH: &[&str] = &["on", "off"];
const TRUTH: &[&str] = &["true", "false"];

/// `drawn` is what views draw instead of a state: SCHEDULED, ORPHANED.
static TASK: &[Field] = &[
    field("state", &["state", "drawn"], Means::Word),
    field("name", &["name"], Means::Name),
    field("queue", &["queue"], Means::Name),
    field("worker", &["worker"], Means::Worker),
    field("place", &["place"], Means::OneOf(PLACES)),
    field("id", &["uuid"], Means::Id),
    field("args", &["args"], Means::Text),
    field("kwargs", &["kwargs"], Means::Kwargs),
    field("result", &["result"], Means::Text),
    field("exception", &["exception"], Means::Text),
    field("root", &["root_id"], Means::Id),
    field("parent", &["parent_id"], Means::Id),
    field("group", &["group_id"], Means::Id),
    field("retries", &["retries"], Means::Number),
    field("runtime", &["runtime"], Means::Duration),
    field(SINCE, &["seen"], Means::Since),
    field(UNTIL, &["seen"], Means::Until),
];

static NAME: &[Field] =
    &[field("name", &["name"], Means::Name), field("tasks", &["tasks"], Means::Number)];

static WORKER: &[Field] = &[
    field("status", &["status"], Means::OneOf(STATUSES)),
    field("state", &["status"], Means::OneOf(STATUSES)),
    field("worker", &["hostname"], Means::Worker),
    field("name", &["hostname"], Means::Worker),
    field("queue", &["queues"], Means::Name),
    field("pool", &["pool"], Means::Word),
    field("events", &["events"], Means::OneOf(SWITCH)),
    field("concurrency", &["concurrency"], Means::Number),
    field("active", &["active"], Means::Number),
    field("reserved", &["reserved"], Means::Number),
    field("processed", &["processed"], Means::Number),
    field("failed", &["failed"], Means::Number),
    field("cpu", &["cpu"], Means::Number),
];

static QUEUE: &[Field] = &[
    field("queue", &["name"], Means::Name),
    field("name", &["name"], Means::Name),
    field("worker", &["workers"], Means::Worker),
    field("messages", &["messages"], Means::Number),
    field("unacked", &["unacked"], Means::Number),
    field("consumers", &["consumers"], Means::Number),
];

static ENVIRONMENT: &[Field] = &[
    field("name", &["name"], Means::Name),
    field("status", &["status"], Means::OneOf(CONNECTIONS)),
    field("transport", &["transport"], Means::Word),
    field("url", &["url"], Means::Text),
    field("error", &["error"], Means::Text),
    field("events", &["events"], Means::OneOf(FLOWS)),
    field("production", &["production"], Means::OneOf(TRUTH)),
    field("read_only", &["read_only"], Means::OneOf(TRUTH)),
    field("workers", &["workers"], Means::Number),
    field("tasks", &["tasks"], Means::Number),
    field("queues", &["queues"], Means::Number),
    field("active", &["active"], Means::Number),
    field("queued", &["queued"], Means::Number),
];

impl Field {
    /// Its columns hold few distinct values, which a store may index.
    pub(super) fn is_facet(&self) -> bool {
        matches!(self.means, Means::OneOf(_) | Means::Word | Means::Name | Means::Worker)
    }

    /// Its text is a literal with values under keys.
    pub(super) fn has_keys(&self) -> bool {
        matches!(self.word, "args" | "kwargs" | "result")
    }

    /// What a value of it is, for whoever is offered the field.
    pub(super) fn detail(&self) -> &'static str {
        match self.means {
            Means::OneOf(words) if words == SWITCH => "on or off",
            Means::OneOf(words) if words == TRUTH => "true or false",
            Means::OneOf(_) | Means::Word => "a word, in any case",
            Means::Name => "a whole name; * stands for any text",
            Means::Id => "an id or its beginning",
            Means::Text if self.has_keys() => "a text inside; with .key: the value under a key",
            Means::Kwargs => "a text inside; with .key: the value under a key",
            Means::Text => "a text inside, in any case",
            Means::Worker => "a host name or either side of its @",
            Means::Number => "a number, with < or >",
            Means::Duration => "a duration such as >2s",
            Means::Since => "an age or a time: not older",
            Means::Until => "an age or a time: not newer",
        }
    }
}

pub(super) fn of(noun: Noun) -> &'static [Field] {
    match noun {
        Noun::Task => TASK,
        Noun::Name => NAME,
        Noun::Worker => WORKER,
        Noun::Queue => QUEUE,
        Noun::Environment => ENVIRONMENT,
    }
}

/// The fields a filter on `noun` knows, in the order worth offering.
pub fn field_names(noun: Noun) -> impl Iterator<Item = &'static str> {
    of(noun).iter().map(|field| field.word)
}

/// The columns that a bare word searches.
pub(super) fn texts(noun: Noun) -> &'static [&'static str] {
    match noun {
        Noun::Task => &[
            "name",
            "args",
            "kwargs",
            "exception",
            "result",
            "worker",
            "queue",
            "state",
            "drawn",
            "uuid",
        ],
        Noun::Name => &["name"],
        Noun::Worker => &["hostname", "queues", "pool", "status"],
        Noun::Queue => &["name", "workers"],
        Noun::Environment => &["name", "status", "transport", "url", "error"],
    }
}

/// Finds a field, or names the nearest one.
pub(super) fn find(noun: Noun, word: &str, at: usize) -> Result<&'static Field> {
    let fields = of(noun);
    if let Some(field) = fields.iter().find(|field| field.word == word) {
        return Ok(field);
    }
    let all = field_names(noun).collect::<Vec<_>>().join(", ");
    let known = nearest(word, field_names(noun));
    let wanted = known.map_or("a field".into(), |field| format!("`{field}:`"));
    Err(mistake(at, format!("{wanted} (fields: {all}; quote a word that holds a colon)")))
}
