//! Which fields each noun's filter knows, and what their values mean.

use super::mistake;
use crate::error::{Result, nearest};
use crate::state::Noun;

/// What a field's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// One of a few words, in any case.
    Word,
    /// A name, whole.
    Name,
    /// An id, whole or its beginning.
    Id,
    /// Text that occurs inside, in any case.
    Text,
    /// A host name or either side of its `@`.
    Worker,
    Number,
    Duration,
    Since,
    Until,
}

/// One field of the language.
#[derive(Debug)]
pub(super) struct Field {
    pub word: &'static str,
    /// Columns of a row that are looked at.
    pub columns: &'static [&'static str],
    pub means: Means,
}

const fn field(word: &'static str, columns: &'static [&'static str], means: Means) -> Field {
    Field { word, columns, means }
}

/// `drawn` is what views draw instead of a state: SCHEDULED, ORPHANED.
static TASK: &[Field] = &[
    field("state", &["state", "drawn"], Means::Word),
    field("name", &["name"], Means::Name),
    field("queue", &["queue"], Means::Name),
    field("worker", &["worker"], Means::Worker),
    field("place", &["place"], Means::Word),
    field("id", &["uuid"], Means::Id),
    field("args", &["args"], Means::Text),
    field("kwargs", &["kwargs"], Means::Text),
    field("result", &["result"], Means::Text),
    field("exception", &["exception"], Means::Text),
    field("root", &["root_id"], Means::Id),
    field("parent", &["parent_id"], Means::Id),
    field("group", &["group_id"], Means::Id),
    field("retries", &["retries"], Means::Number),
    field("runtime", &["runtime"], Means::Duration),
    field("since", &["seen"], Means::Since),
    field("until", &["seen"], Means::Until),
];

static NAME: &[Field] =
    &[field("name", &["name"], Means::Name), field("tasks", &["tasks"], Means::Number)];

static WORKER: &[Field] = &[
    field("status", &["status"], Means::Word),
    field("state", &["status"], Means::Word),
    field("worker", &["hostname"], Means::Worker),
    field("name", &["hostname"], Means::Worker),
    field("queue", &["queues"], Means::Name),
    field("pool", &["pool"], Means::Word),
    field("events", &["events"], Means::Word),
    field("active", &["active"], Means::Number),
    field("processed", &["processed"], Means::Number),
];

static QUEUE: &[Field] = &[
    field("queue", &["name"], Means::Name),
    field("name", &["name"], Means::Name),
    field("worker", &["workers"], Means::Worker),
    field("messages", &["messages"], Means::Number),
    field("unacked", &["unacked"], Means::Number),
    field("consumers", &["consumers"], Means::Number),
];

fn of(noun: Noun) -> &'static [Field] {
    match noun {
        Noun::Task => TASK,
        Noun::Name => NAME,
        Noun::Worker => WORKER,
        Noun::Queue => QUEUE,
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
    }
}

/// Finds a field, or names the nearest one.
pub(super) fn find(noun: Noun, word: &str, at: usize) -> Result<&'static Field> {
    let fields = of(noun);
    if let Some(field) = fields.iter().find(|field| field.word == word) {
        return Ok(field);
    }
    let all = fields.iter().map(|field| field.word).collect::<Vec<_>>().join(", ");
    let known = nearest(word, fields.iter().map(|field| field.word));
    let wanted = known.map_or("a field".into(), |field| format!("`{field}:`"));
    Err(mistake(at, &format!("{wanted} (fields: {all}; quote a word that holds a colon)")))
}
