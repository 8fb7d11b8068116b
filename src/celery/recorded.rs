//! Everything here against what real Celery workers wrote (`tests/fixtures/record.py`).

use super::control::{Inspection, Reply, Request, Said, Stats};
use super::event::{Body, TaskEventKind, decode};
use super::traceback::frames;
use super::{Event, TaskMessage, TaskMeta};
use crate::json;
use crate::message::{self, Message};
use base64_simd::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;

/// One file of `tests/fixtures/real`.
struct Recorded(Value);

impl Recorded {
    fn read(setting: &str) -> Recorded {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/real");
        let text = std::fs::read(format!("{folder}/{setting}.json")).unwrap();
        Recorded(serde_json::from_slice(&text).unwrap())
    }

    fn all() -> [Recorded; 3] {
        ["defaults", "talkative", "compressed"].map(Recorded::read)
    }

    /// The raw items of one part, each with its other members.
    fn part(&self, name: &str) -> Vec<(Value, Vec<u8>)> {
        let items = self.0[name].as_array().unwrap();
        assert!(!items.is_empty() || name == "messages", "no {name}");
        let raw = |item: &Value| match item["raw"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => STANDARD.decode_to_vec(item["base64"].as_str().unwrap()).unwrap(),
        };
        items.iter().map(|item| (item.clone(), raw(item))).collect()
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (_, raw) in self.part("events") {
            let decoded = decode(&message::Body::from_envelope(&raw).unwrap());
            assert_eq!(decoded.bad, Vec::<String>::new());
            events.extend(decoded.events);
        }
        events
    }

    fn messages(&self) -> BTreeMap<String, TaskMessage> {
        let parked = self.part("messages").into_iter();
        let messages = parked.map(|(_, raw)| TaskMessage::from_element(&raw));
        messages.map(|message| (message.uuid.clone(), message)).collect()
    }

    fn results(&self) -> BTreeMap<String, TaskMeta> {
        let stored = self.part("results").into_iter().chain(self.part("published"));
        let read = |(item, raw): (Value, Vec<u8>)| {
            let key = item["key"].as_str().or(item["channel"].as_str()).unwrap();
            let uuid = key.strip_prefix("celery-task-meta-").unwrap();
            (uuid.to_owned(), TaskMeta::decode(uuid, &raw).unwrap())
        };
        stored.rev().map(read).collect()
    }

    /// What each worker answered to one method.
    fn replies(&self, method: &str) -> BTreeMap<String, Result<Inspection, String>> {
        let asked = self.part("replies").into_iter().filter(|(item, _)| item["method"] == method);
        let read = |(_, raw): (Value, Vec<u8>)| {
            let reply = Reply::read(&Message::from_envelope(&raw).unwrap()).unwrap();
            assert_eq!(reply.ticket.len(), 36);
            let Said::Value(value) = reply.said else { panic!("{reply:?}") };
            (reply.hostname, Inspection::read(method, &value))
        };
        asked.map(read).collect()
    }
}

#[test]
fn every_event_is_read_and_written_back() {
    for recorded in Recorded::all() {
        for (_, raw) in recorded.part("events") {
            let body = message::Body::from_envelope(&raw).unwrap();
            let published = match json::value(&body.bytes).unwrap() {
                Value::Array(items) => items,
                one => vec![one],
            };
            let decoded = decode(&body);
            assert_eq!(decoded.events.len(), published.len());
            for (event, mut published) in decoded.events.iter().zip(published) {
                let members = published.as_object_mut().unwrap();
                members.retain(|name, value| !value.is_null() && name != "utcoffset");
                let mut written = serde_json::to_value(event).unwrap();
                if let Some(signum) = members.get("signum").map(ToString::to_string) {
                    written["signum"] = serde_json::from_str(&signum).unwrap();
                }
                assert_eq!(written, published);
            }
        }
    }
}

#[test]
fn every_kind_of_event_was_met() {
    let mut met: Vec<String> = Vec::new();
    for event in Recorded::all().iter().flat_map(Recorded::events) {
        match &event.body {
            Body::Task(task) => met.push(task.kind.subject().into()),
            Body::Worker(worker) => met.push(format!("worker-{}", worker.subject)),
        }
        let sent = matches!(&event.body, Body::Task(task) if task.kind == TaskEventKind::Sent);
        assert_eq!(event.is_from_client(), sent);
    }
    for kind in [
        "sent",
        "received",
        "started",
        "succeeded",
        "failed",
        "retried",
        "revoked",
        "progress",
        "worker-online",
        "worker-heartbeat",
        "worker-offline",
    ] {
        assert!(met.iter().any(|met| met == kind), "no {kind} in {met:?}");
    }
}

#[test]
fn every_message_is_read_and_no_good_one_is_poison() {
    for recorded in [Recorded::read("defaults"), Recorded::read("talkative")] {
        let messages = recorded.messages();
        assert_eq!(messages.len(), 12);
        for message in messages.values() {
            assert_eq!(message.poison, Vec::<String>::new(), "{}", message.uuid);
            assert_eq!(message.name, if message.uuid == "p-odd" { "lab.odd" } else { "lab.add" });
            assert_eq!(message.routing_key.as_deref(), Some("parked"));
        }
        let odd = r#"["\ud83d", NaN, 1000000000000000000000000000000, "\u00e9"]"#;
        assert_eq!(messages["p-odd"].args_json.as_deref(), Some(odd));
        assert_eq!(messages["p-gzip"].args_json.as_deref(), Some("[1, 2]"));
        assert_eq!(messages["p-protocol-1"].args_json.as_deref(), Some("[5, 6]"));
        assert_eq!(messages["p-priority"].priority, Some(5));
        assert_eq!(messages["p-eta"].eta.as_deref(), Some("2027-01-01T00:00:00+05:30"));
        assert_eq!(messages["p-eta"].kwargs_json.as_deref(), Some(r#"{"y": 3}"#));
        assert!(messages["p-chain"].embed_json.as_ref().unwrap().contains(r#""args": [4]"#));
        for (uuid, why) in [("p-bzip2", "x-bz2"), ("p-pickle", "x-python-serialize")] {
            assert!(messages[uuid].undecodable.as_ref().unwrap().contains(why));
            assert_eq!(messages[uuid].args_json, None);
            assert!(messages[uuid].args.is_some(), "the header's repr is there");
        }
    }
}

#[test]
fn f03_a_repr_may_hide_what_the_message_holds() {
    let hidden = &Recorded::read("defaults").messages()["p-hidden"];
    assert_eq!(hidden.args.as_deref(), Some("('***',)"));
    assert_eq!(hidden.args_json.as_deref(), Some(r#"["topsecret", 1]"#));
}

#[test]
fn what_is_unacked_is_the_message_with_its_way_back() {
    for recorded in Recorded::all() {
        for (item, raw) in recorded.part("unacked") {
            let entry = String::from_utf8(raw).unwrap();
            let [message, exchange, routing_key] = json::elements(&entry).unwrap()[..] else {
                panic!("{entry}")
            };
            let message = TaskMessage::from_element(message.as_bytes());
            assert_eq!(
                (message.uuid.as_str(), exchange, routing_key),
                ("t-eta", "\"\"", "\"celery\"")
            );
            assert_eq!(message.delivery_tag.as_deref(), item["tag"].as_str());
            assert_eq!(message.poison, Vec::<String>::new());
        }
    }
}

#[test]
fn every_result_is_read() {
    let defaults = Recorded::read("defaults").results();
    let charge = &defaults["t-charge"];
    assert_eq!(charge.exception.as_deref(), Some("CardDeclined('insufficient funds')"));
    assert!(charge.date_done.is_some_and(|done| done > 1.7e9));
    assert_eq!(charge.name, None, "Celery's defaults do not tell it");
    let frames = frames(charge.traceback.as_ref().unwrap());
    assert!(frames.iter().any(|frame| frame.file.ends_with("/lab.py")
        && frame.function.as_deref() == Some("charge")
        && frame.code.as_deref() == Some("{}[card]")));
    let odd = r#"{"nan": NaN, "infinity": Infinity, "big": 1000000000000000000000000000000, "half": "\ud83d"}"#;
    assert_eq!(defaults["t-odd"].result_json.as_deref(), Some(odd));
    assert_eq!(defaults["t-linked"].children.len(), 1);
    assert_eq!(defaults["t-expired"].exception.as_deref(), Some("TaskRevokedError('expired')"));
    assert_eq!(defaults["t-flaky"].parent_id.as_deref(), Some("t-flaky"));

    let talkative = Recorded::read("talkative").results();
    assert_eq!(talkative["t-add"].args_json.as_deref(), Some("[2, 3]"));
    assert_eq!(talkative["t-add"].queue.as_deref(), Some("celery"));
    assert_eq!(talkative["t-flaky"].retries, Some(1));

    let compressed = Recorded::read("compressed").results();
    assert_eq!(compressed["t-3"].result_json.as_deref(), Some("6"));
}

#[test]
fn every_state_on_its_way_is_read() {
    let talkative = Recorded::read("talkative");
    let published = talkative.part("published").into_iter();
    let metas: Vec<_> =
        published.map(|(_, raw)| TaskMeta::decode("t-flaky", &raw).unwrap()).collect();
    let of = |status: &str| metas.iter().find(|meta| meta.status == status).unwrap();
    assert_eq!(of("STARTED").worker.as_deref(), Some("w1@lab"));
    assert!(of("STARTED").pid.is_some());
    assert_eq!(of("RETRY").exception.as_deref(), Some("ConnectionError('try again')"));
    assert_eq!(of("RETRY").children, Vec::<String>::new(), "it names itself");
    assert_eq!(of("PROGRESS").progress().unwrap()["total"], 2);
}

#[test]
fn every_pool_says_how_much_it_runs() {
    let replies = Recorded::read("defaults").replies("stats");
    for (hostname, pool, concurrency) in
        [("w1@lab", "prefork", 2), ("w2@lab", "threads", 2), ("w3@lab", "solo", 1)]
    {
        let Ok(Inspection::Stats(stats)) = &replies[hostname] else { panic!("{replies:?}") };
        let stats = Stats::new(stats);
        assert_eq!((stats.pool(), stats.concurrency()), (Some(pool), Some(concurrency)));
        assert!(stats.cpu_seconds() > Some(0.0) && stats.memory_peak() > Some(1 << 20));
        assert!(
            stats.clock() > Some(1) && stats.pid() > Some(1) && stats.prefetch_count().is_some()
        );
        assert!(stats.total().is_some() && stats.transport_options().is_some());
    }
}

#[test]
fn every_inspection_is_read() {
    for recorded in Recorded::all() {
        for method in Inspection::METHODS {
            for (hostname, reply) in recorded.replies(method) {
                assert!(reply.is_ok(), "{hostname} {method}: {reply:?}");
            }
        }
        let refused = recorded.replies("nosuch");
        assert!(refused.values().all(|reply| reply == &Err("KeyError('nosuch')".into())));
    }
    let defaults = Recorded::read("defaults");
    let registered = defaults.replies("registered");
    let Ok(Inspection::Registered(tasks)) = &registered["w1@lab"] else { panic!("{registered:?}") };
    let limited = tasks.iter().find(|task| task.name == "lab.limited").unwrap();
    assert_eq!(limited.info["rate_limit"], "10/m");
    assert_eq!(
        (&limited.info["max_retries"], &limited.info["acks_late"]),
        (&3.into(), &true.into())
    );
    let queues = defaults.replies("active_queues");
    let Ok(Inspection::ActiveQueues(queues)) = &queues["w1@lab"] else { panic!("{queues:?}") };
    assert_eq!((queues[0].name.as_str(), queues[0].exchange_type.as_str()), ("celery", "direct"));
    let scheduled: Vec<_> = defaults
        .replies("scheduled")
        .into_values()
        .flat_map(|reply| match reply {
            Ok(Inspection::Scheduled(scheduled)) => scheduled,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(scheduled[0].uuid, "t-eta");
    assert!(scheduled[0].eta.is_some() && scheduled[0].time_start.is_none());
}

#[test]
fn our_requests_are_as_celerys_own() {
    for (_, raw) in Recorded::read("defaults").part("requests") {
        let theirs = Message::from_envelope(&raw).unwrap();
        let body = json::value(&theirs.body.bytes).unwrap();
        let method = body["method"].as_str().unwrap();
        let ours = Request::new(method, None).message("celery", "T", Some(("x", "y"))).unwrap();
        let names = |text: &[u8]| {
            let text = std::str::from_utf8(text).unwrap().to_owned();
            let members = json::members(&text).unwrap();
            let mut names: Vec<_> = members.into_iter().map(|(name, _)| name).collect();
            names.sort();
            names
        };
        let told = names(&theirs.body.bytes);
        let unasked = ["ticket", "reply_to"];
        for name in names(&ours.body.bytes) {
            assert!(told.contains(&name) || unasked.contains(&name.as_str()), "{method}: {name}");
        }
        assert!(told.len() >= 5, "{told:?}");
        assert_eq!(names(&ours.to_envelope()), names(&raw));
    }
}
