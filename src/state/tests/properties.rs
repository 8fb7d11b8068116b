//! What holds after any observations whatever.

use super::support::{Lab, event};
use crate::state::{Noun, Observation, Query, Rules, State};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOUNS: [Noun; 4] = [Noun::Task, Noun::Name, Noun::Worker, Noun::Queue];

/// Observations as a recording holds them, a moment apart.
fn recording() -> impl Strategy<Value = Vec<Value>> {
    recording_of(kind())
}

/// Observations of a kind.
pub fn recording_of(kind: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec((kind, 1..4_000_u32), 1..60).prop_map(|kinds| {
        let mut at = 1_000_000.0;
        let observation = |(mut kind, pause): (Value, u32)| {
            at += f64::from(pause) / 100.0;
            kind["seen"] = at.into();
            kind
        };
        kinds.into_iter().map(observation).collect()
    })
}

/// Any observation.
pub fn kind() -> impl Strategy<Value = Value> {
    let uuid =
        || prop::sample::select(vec!["a", "b", "été", "5f2c9e10-0000-4000-8000-000000000077"]);
    let host = || prop::sample::select(vec!["w1@lab", "w2@lab"]);
    let queue = || prop::sample::select(vec!["celery", "high"]);
    let at = || (0..2_000_u32).prop_map(|at| 1_000_000.0 + f64::from(at));
    let subject = prop::sample::select(vec![
        "sent",
        "received",
        "started",
        "succeeded",
        "failed",
        "retried",
        "revoked",
        "rejected",
        "progress",
        "cancelled",
    ]);
    let task =
        (subject, uuid(), host(), at(), 0..3_u32).prop_map(|(kind, uuid, host, at, retries)| {
            let host = if kind == "sent" { "gen9@web" } else { host };
            let more = json!({"uuid": uuid, "hostname": host, "retries": retries, "root_id": "a"});
            json!({ "event": event(kind, at, more) })
        });
    let beat =
        (host(), at(), 1..4_i64, prop::sample::select(vec!["heartbeat", "offline", "online"]));
    let beat = beat.prop_map(|(host, at, pid, kind)| {
        json!({"event": {"type": format!("worker-{kind}"), "hostname": host, "timestamp": at,
                         "pid": pid, "freq": 2.0, "active": 1, "processed": pid, "clock": 4}})
    });
    let reply = prop_oneof![
        Just(json!("ping")),
        prop::collection::vec((uuid(), at()), 0..3).prop_map(|tasks| {
            let tasks = tasks.iter().map(|(uuid, at)| json!({"uuid": uuid, "time_start": at}));
            json!({ "active": tasks.collect::<Vec<_>>() })
        }),
        prop::collection::vec(uuid(), 0..3).prop_map(|uuids| {
            let tasks = uuids.iter().map(|uuid| json!({"uuid": uuid, "routing_key": "celery"}));
            json!({ "reserved": tasks.collect::<Vec<_>>() })
        }),
        prop::collection::vec(queue(), 0..3).prop_map(|queues| {
            let queues = queues.iter().map(|queue| json!({ "name": queue }));
            json!({ "active_queues": queues.collect::<Vec<_>>() })
        }),
        (1..4_i64).prop_map(|pid| json!({"stats": {"pid": pid, "uptime": 5}})),
        Just(json!({"registered": [{"name": "lab.add", "info": {"max_retries": 3}}]})),
    ];
    let inspect = (host(), reply)
        .prop_map(|(host, reply)| json!({"inspect": {"hostname": host, "reply": reply}}));
    let head = (queue(), prop::collection::vec(uuid(), 0..4), any::<bool>(), any::<bool>());
    let head = head.prop_map(|(queue, uuids, complete, redelivered)| {
        let messages = uuids
            .iter()
            .map(|uuid| json!({"uuid": uuid, "args_json": "[1.0]", "redelivered": redelivered}));
        json!({"head": {"queue": queue, "messages": messages.collect::<Vec<_>>(),
                        "complete": complete, "total": 9}})
    });
    let unacked =
        (prop::collection::vec((uuid(), at()), 0..3), queue()).prop_map(|(held, queue)| {
            let index: Vec<Value> = held.iter().map(|(uuid, at)| json!([uuid, at])).collect();
            let new = held.iter().map(|(uuid, _)| {
            json!({"delivery_tag": uuid, "queue": queue, "message": {"uuid": uuid}})
        });
            json!({"unacked": {"index": index, "new": new.collect::<Vec<_>>(), "complete": true}})
        });
    let status = prop::sample::select(vec!["SUCCESS", "FAILURE", "RETRY", "STARTED", "PROGRESS"]);
    let result = (uuid(), status, prop::option::of(at())).prop_map(|(uuid, status, done)| {
        json!({"result": {"uuid": uuid, "status": status, "date_done": done,
                          "result_json": "{\"current\": 1}"}})
    });
    let depth = (queue(), 0..9_u64, prop::option::of(0..9_u64)).prop_map(|(queue, count, arrived)| {
        json!({"queues": [{"name": queue, "priorities": {"0": count}, "arrived": arrived}]})
    });
    prop_oneof![
        4 => task,
        2 => beat,
        3 => inspect,
        2 => head,
        2 => unacked,
        2 => result,
        1 => depth,
        2 => Just(json!({ "tick": null })),
        1 => uuid().prop_map(|uuid| json!({"no_result": {"uuids": [uuid]}})),
        1 => at().prop_map(|at| json!({"gap": {"from": at}})),
        1 => Just(json!({ "disconnected": null })),
        1 => Just(json!({ "refilled": null })),
        1 => host().prop_map(|host| json!({"missing": {"method": "ping", "hostnames": [host],
                                           "listeners": 2, "answered": 1}})),
        1 => Just(json!({"control": {"hostname": "w1@lab", "method": "enable_events",
                         "reply": "task events enabled"}})),
        1 => Just(json!({"queue_names": {"names": ["celery"], "exact": true}})),
        1 => Just(json!({"undecodable": {"what": "event"}})),
    ]
}

/// Everything that a reader could see, by key.
fn readable(state: &State) -> Vec<(Option<Noun>, String, u64, Value)> {
    let mut seen = vec![(
        None,
        "environment".to_owned(),
        0,
        json!([state.counts(), state.rates(), state.gaps(), state.events_flow()]),
    )];
    for noun in NOUNS {
        let page = state.window(noun, &Query { limit: 1000, ..Query::default() }).unwrap();
        for (key, revision) in page.keys {
            let row = match noun {
                Noun::Task => {
                    let told = state.task(&key, true, |task| serde_json::to_value(task).unwrap());
                    let mut details = told.unwrap();
                    // Relatives are other records, a position and who reads are the queue's: not this
                    // record's news.
                    for other in ["workflow", "position", "consumers"] {
                        details.as_object_mut().unwrap().remove(other);
                    }
                    details
                }
                Noun::Worker => json!(state.worker(&key)),
                Noun::Name | Noun::Queue | Noun::Environment => state.row(noun, &key).unwrap(),
            };
            seen.push((Some(noun), key, revision, row));
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_revision_rises_where_something_shows_and_only_there(recording in recording()) {
        let mut lab = Lab::new();
        for observation in recording {
            let (before, revision) = (readable(&lab.state), lab.state.revision());
            lab.see(observation["seen"].as_f64().unwrap(), observation.clone());
            let after = readable(&lab.state);
            let rose = lab.state.revision() > revision;
            prop_assert_eq!(before != after, rose, "{}", observation);
            for (noun, key, record, row) in &after {
                let known = before.iter().find(|(n, k, ..)| (n, k) == (noun, key));
                if let (Some(_), Some((_, _, old, shown))) = (noun, known) {
                    prop_assert_eq!(shown != row, old != record, "{} after {}", key, observation);
                }
            }
        }
    }

    #[test]
    fn a_recording_replays_to_the_same_state(recording in recording()) {
        let mut live = Lab::new();
        let mut lines = Vec::new();
        for observation in recording {
            let observation: Observation = serde_json::from_value(observation).unwrap();
            let line = serde_json::to_string(&observation).unwrap();
            let again: Observation = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&again, &observation, "{}", line);
            live.state.apply(&observation);
            lines.push(line);
        }
        let mut replayed = Lab::new();
        for line in lines {
            replayed.state.apply(&serde_json::from_str(&line).unwrap());
        }
        prop_assert_eq!(readable(&live.state), readable(&replayed.state));
        prop_assert_eq!(live.state.unexplained(9), replayed.state.unexplained(9));
    }

    #[test]
    fn counts_are_sizes_of_sets(recording in recording(), budget in 3_000..30_000_usize) {
        let mut lab = Lab::with(Rules::Ours, budget);
        for observation in recording {
            lab.see(observation["seen"].as_f64().unwrap(), observation);
            let counts = lab.state.counts();
            let all = lab.keys(Noun::Task, Query::default());
            prop_assert_eq!(counts.tasks, all.len() as u64);
            let active = all.iter().filter(|uuid| lab.task(uuid)["place"] == "active").count();
            prop_assert_eq!(counts.active, active as u64);
            let named = all.iter().filter(|uuid| !lab.task(uuid)["name"].is_null()).count();
            let names = lab.keys(Noun::Name, Query::default());
            let by_name = names.iter().map(|name| lab.row(Noun::Name, name)["tasks"].as_u64().unwrap());
            prop_assert_eq!(by_name.sum::<u64>(), named as u64);
            let seen: Vec<f64> = all.iter().map(|uuid| lab.task(uuid)["seen"].as_f64().unwrap()).collect();
            prop_assert!(seen.is_sorted_by(|a, b| a >= b));
        }
    }
}
