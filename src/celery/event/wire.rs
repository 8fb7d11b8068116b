//! The JSON of an event: read in one pass, whatever the order of its members, and written back.
//!
//! Reading fails on syntax alone: what is JSON and no event becomes the sentence that says so.

use super::{Body, Event, TaskEvent, WorkerEvent, is_client};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt;

/// The name of a member where it stands, unless it has to be unescaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A member's value as it stands there: of a text nothing is copied before somebody wants it.
enum Plain<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// A list or an object.
    Other(Box<Value>),
}

/// An event's members as they are read; `type`, which tells what they are, comes last.
#[derive(Default)]
struct Members<'a> {
    kind: Cow<'a, str>,
    hostname: Option<String>,
    timestamp: Option<f64>,
    pid: Option<i64>,
    clock: Option<u64>,
    task: Box<TaskEvent>,
}

impl<'a> Members<'a> {
    fn set(&mut self, name: Cow<'a, str>, value: Plain<'a>) {
        let task = &mut self.task;
        // Bytes are told apart by their length and a few of them, texts one after the other.
        match name.as_bytes() {
            b"type" => self.kind = value.text().unwrap_or_default(),
            b"hostname" => self.hostname = value.owned(),
            b"timestamp" => self.timestamp = value.number().and_then(|number| number.as_f64()),
            b"utcoffset" => {}
            b"pid" => self.pid = value.number().and_then(|number| number.as_i64()),
            b"clock" => self.clock = value.number().and_then(|number| count(&number)),
            b"uuid" => task.uuid = value.owned().unwrap_or_default(),
            b"name" => task.name = value.owned(),
            b"args" => task.args = value.owned(),
            b"kwargs" => task.kwargs = value.owned(),
            b"retries" => task.retries = value.number().and_then(|number| count(&number)),
            b"eta" => task.eta = value.owned(),
            b"expires" => task.expires = value.owned(),
            b"root_id" => task.root_id = value.owned(),
            b"parent_id" => task.parent_id = value.owned(),
            b"queue" => task.queue = value.owned(),
            b"exchange" => task.exchange = value.owned(),
            b"routing_key" => task.routing_key = value.owned(),
            b"result" => task.result = value.owned(),
            b"runtime" => task.runtime = value.number().and_then(|number| number.as_f64()),
            b"exception" => task.exception = value.owned(),
            b"traceback" => task.traceback = value.owned(),
            b"terminated" => task.terminated = value.flag(),
            b"signum" => task.signum = value.owned(),
            b"expired" => task.expired = value.flag(),
            b"requeue" => task.requeue = value.flag(),
            _ if matches!(value, Plain::Null) => {}
            _ => drop(task.extra.insert(name.into_owned(), value.into())),
        }
    }

    fn event(mut self) -> Result<Event, String> {
        let parts = self.kind.split_once('-').filter(|(_, subject)| !subject.is_empty());
        let Some((group, subject)) = parts else {
            return Err(format!("`{}` is no type of event", cut(&self.kind)));
        };
        let body = match group {
            "task" if self.task.uuid.is_empty() => {
                return Err(format!("`{}` without a uuid", cut(&self.kind)));
            }
            "task" => {
                self.task.kind = subject.into();
                Body::Task(self.task)
            }
            "worker" => Body::Worker(WorkerEvent::new(subject, &self.task.extra)),
            _ => return Err(format!("`{}` is neither task- nor worker-", cut(&self.kind))),
        };
        let hostname = self.hostname.filter(|hostname| !hostname.is_empty());
        let hostname =
            hostname.ok_or_else(|| format!("`{}` without a hostname", cut(&self.kind)))?;
        if matches!(body, Body::Worker(_)) && is_client(&hostname) {
            return Err(format!("`{}` from a client, `{}`", cut(&self.kind), cut(&hostname)));
        }
        let timestamp =
            self.timestamp.ok_or_else(|| format!("`{}` without a timestamp", cut(&self.kind)))?;
        Ok(Event { hostname, timestamp, pid: self.pid, clock: self.clock, body })
    }
}

impl WorkerEvent {
    fn new(subject: &str, members: &Map<String, Value>) -> WorkerEvent {
        let string = |name: &str| members.get(name)?.as_str().map(str::to_owned);
        let number = |name: &str| members.get(name)?.as_f64();
        let loadavg = |value: &Value| serde_json::from_value(value.clone()).ok();
        WorkerEvent {
            subject: subject.into(),
            freq: number("freq"),
            active: members.get("active").and_then(Value::as_number).and_then(count),
            processed: members.get("processed").and_then(Value::as_number).and_then(count),
            loadavg: members.get("loadavg").and_then(loadavg),
            sw_ident: string("sw_ident"),
            sw_ver: string("sw_ver"),
            sw_sys: string("sw_sys"),
        }
    }
}

impl<'a> Plain<'a> {
    /// Text as it is, anything else as its JSON: a uuid or signal may be a number.
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Plain::Null => None,
            Plain::Text(text) => Some(text),
            other => Some(Value::from(other).to_string().into()),
        }
    }

    fn owned(self) -> Option<String> {
        self.text().map(Cow::into_owned)
    }

    fn number(self) -> Option<Number> {
        match self {
            Plain::Number(number) => Some(number),
            _ => None,
        }
    }

    fn flag(self) -> Option<bool> {
        match self {
            Plain::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

impl From<Plain<'_>> for Value {
    fn from(value: Plain<'_>) -> Value {
        match value {
            Plain::Null => Value::Null,
            Plain::Bool(flag) => flag.into(),
            Plain::Number(number) => number.into(),
            Plain::Text(text) => text.into(),
            Plain::Other(value) => *value,
        }
    }
}

/// A count, which some producers write as a float.
fn count(number: &Number) -> Option<u64> {
    let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    number.as_u64().or_else(|| number.as_f64().and_then(whole))
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Plain<'de>, E> {
        Ok(Plain::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain<'de>, E> {
        Ok(Plain::Text(text.to_owned().into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Plain<'de>, E> {
        Ok(Plain::Text(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Plain<'de>, E> {
        Ok(Plain::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Plain<'de>, E> {
        Ok(Plain::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Plain<'de>, E> {
        Ok(Plain::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Plain<'de>, E> {
        Ok(Plain::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Plain<'de>, E> {
        Ok(Number::from_f64(number).map_or(Plain::Null, Plain::Number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Plain<'de>, A::Error> {
        let list = Value::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(Plain::Other(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Plain<'de>, A::Error> {
        let object = Value::deserialize(MapAccessDeserializer::new(members))?;
        Ok(Plain::Other(object.into()))
    }
}

impl<'de> Deserialize<'de> for Plain<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PlainVisitor)
    }
}

/// What a log or counter may repeat of a stranger's text.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// One item of a batch: an event, or the sentence why it is none.
pub(super) struct Item(pub Result<Event, String>);

/// A message's items: a list, or one.
pub(super) struct Items(pub Vec<Item>);

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut members = Members::default();
        while let Some(Name(name)) = map.next_key()? {
            members.set(name, map.next_value()?);
        }
        Ok(Item(members.event()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item(Err("a list is no event".into())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item(Err(format!("the text `{}` is no event", cut(text)))))
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item(Err("null is no event".into())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Item, E> {
        Ok(Item(Err(format!("{flag} is no event"))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        Ok(Item(Err(format!("{number} is no event"))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item(Err(format!("{number} is no event"))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item(Err(format!("{number} is no event"))))
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(Items(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Items, A::Error> {
        Ok(Items(vec![ItemVisitor.visit_map(map)?]))
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemsVisitor)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Item::deserialize(from)?.0.map_err(de::Error::custom)
    }
}

/// Writes the members that are there.
struct Writer<M>(M);

impl<M: SerializeMap> Writer<M> {
    fn put<T: Serialize>(&mut self, name: &str, value: &Option<T>) -> Result<(), M::Error> {
        value.as_ref().map_or(Ok(()), |value| self.0.serialize_entry(name, value))
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut out = Writer(to.serialize_map(None)?);
        let (group, subject) = match &self.body {
            Body::Worker(worker) => ("worker", worker.subject.as_str()),
            Body::Task(task) => ("task", task.kind.subject()),
        };
        out.0.serialize_entry("type", &format_args!("{group}-{subject}"))?;
        out.0.serialize_entry("hostname", &self.hostname)?;
        out.0.serialize_entry("timestamp", &self.timestamp)?;
        out.put("pid", &self.pid)?;
        out.put("clock", &self.clock)?;
        match &self.body {
            Body::Worker(worker) => worker.write(&mut out)?,
            Body::Task(task) => task.write(&mut out)?,
        }
        out.0.end()
    }
}

impl WorkerEvent {
    fn write<M: SerializeMap>(&self, out: &mut Writer<M>) -> Result<(), M::Error> {
        out.put("freq", &self.freq)?;
        out.put("active", &self.active)?;
        out.put("processed", &self.processed)?;
        out.put("loadavg", &self.loadavg)?;
        out.put("sw_ident", &self.sw_ident)?;
        out.put("sw_ver", &self.sw_ver)?;
        out.put("sw_sys", &self.sw_sys)
    }
}

impl TaskEvent {
    fn write<M: SerializeMap>(&self, out: &mut Writer<M>) -> Result<(), M::Error> {
        out.0.serialize_entry("uuid", &self.uuid)?;
        out.put("name", &self.name)?;
        out.put("args", &self.args)?;
        out.put("kwargs", &self.kwargs)?;
        out.put("retries", &self.retries)?;
        out.put("eta", &self.eta)?;
        out.put("expires", &self.expires)?;
        out.put("root_id", &self.root_id)?;
        out.put("parent_id", &self.parent_id)?;
        out.put("queue", &self.queue)?;
        out.put("exchange", &self.exchange)?;
        out.put("routing_key", &self.routing_key)?;
        out.put("result", &self.result)?;
        out.put("runtime", &self.runtime)?;
        out.put("exception", &self.exception)?;
        out.put("traceback", &self.traceback)?;
        out.put("terminated", &self.terminated)?;
        out.put("signum", &self.signum)?;
        out.put("expired", &self.expired)?;
        out.put("requeue", &self.requeue)?;
        for (name, value) in &self.extra {
            out.0.serialize_entry(name, value)?;
        }
        Ok(())
    }
}
