//! The broker is killed in the middle of each action, and comes back with what it had written down: each
//! answers what was done and what is not known, and every message is accounted for.

use super::*;
use crate::support::proxy::Proxy;
use crate::support::wait::wait_until;
use std::sync::Arc;

/// Messages in a queue, and tasks of a bulk.
const MANY: usize = 20;

/// Points at which each action meets the broker's end.
const POINTS: usize = 4;

/// What is answered is on its disk.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A broker that dies, and the line to it.
struct Mortal {
    redis: Arc<Redis>,
    proxy: Proxy,
    template: Template,
}

/// What came of one action.
struct Played {
    /// The result, or the error.
    answer: Result<Value, Value>,
    /// Bytes that passed.
    passed: usize,
    /// Its home, where recovery files are, lives as long.
    _server: Server,
}

impl Mortal {
    fn start() -> Mortal {
        let redis = Arc::new(Redis::start_with(&DURABLE));
        let proxy = Proxy::to(redis.port());
        let template = Template::of(&redis, "lab.add", json!([1, 2]));
        Mortal { redis, proxy, template }
    }

    fn server(&self) -> Server {
        let (broker, backend) = (self.proxy.url(0), self.redis.url(1));
        let mut server = Server::start(&["--broker", &broker, "--backend", &backend], &[]);
        wait_until("the broker to be there", || server.call("queue/list", json!({})));
        server
    }

    /// Plays an action; the broker is killed once so many bytes have passed, and started again.
    fn play(&self, method: &str, params: &Value, bytes: usize) -> Played {
        let mut server = self.server();
        let before = self.proxy.passed();
        server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": method, "params": params }));
        let dying = Arc::clone(&self.redis);
        self.proxy.after(bytes, move || dying.kill());
        let answer = loop {
            let mut message = server.read().expect("an answer");
            if message["id"] == 99 {
                break match message.get_mut("error") {
                    Some(error) => Err(error.take()),
                    None => Ok(message["result"].take()),
                };
            }
        };
        self.proxy.after(usize::MAX, || {});
        let passed = self.proxy.passed() - before;
        self.redis.restart_with(&DURABLE);
        wait_until("the broker to be back", || {
            let client = Client::open(self.redis.url(0)).unwrap();
            client.get_connection().and_then(|mut line| ::redis::cmd("PING").exec(&mut line))
        });
        Played { answer, passed, _server: server }
    }

    /// An action's plays: one to the end, which tells how many bytes pass, and those that are cut.
    fn plays(&self, mut play: impl FnMut(&str, usize) -> usize) {
        let through = play("through", usize::MAX);
        for point in 1..=POINTS {
            play(&format!("at-{point}"), through * point / (POINTS + 1));
        }
    }

    fn fill(&self, queue: &str) -> Vec<Vec<u8>> {
        bind(&self.redis, queue);
        self.template.fill(&self.redis, queue, queue, &names(queue, MANY))
    }

    /// The tasks that wait in a queue.
    fn tasks(&self, queue: &str) -> HashSet<String> {
        list(&self.redis, queue).iter().map(|raw| task(raw)).collect()
    }

    /// What a recovery file holds comes back, each message once.
    fn come_back(&self, queue: &str, before: &[Vec<u8>], saved_as: &Value) {
        let mut server = self.server();
        let whole = json!({ "saved_as": saved_as });
        let first = call(&mut server, "queue/restore", whole.clone());
        let skipped = first["skipped"].as_array().unwrap().iter();
        let doubtful: Vec<&Value> = skipped
            .filter(|skipped| skipped["reason"].as_str().unwrap().contains("was about to be"))
            .map(|skipped| &skipped["key"])
            .collect();
        if !doubtful.is_empty() {
            call(&mut server, "queue/restore", json!({ "saved_as": saved_as, "keys": doubtful }));
        }
        let (mut before, mut after) = (before.to_vec(), list(&self.redis, queue));
        before.sort();
        after.sort();
        assert!(before == after, "{queue}: each is there once: {first}");
        assert_eq!(call(&mut server, "queue/restore", whole)["restored"], 0, "nothing is doubled");
    }
}

/// What an answer names in one of its lists.
fn named(answer: &Value, list: &str, member: &str) -> Vec<String> {
    let items = answer[list].as_array().into_iter().flatten();
    items.map(|item| item.get(member).unwrap_or(item).as_str().unwrap().to_owned()).collect()
}

/// The kind of an error that may come of a broker that dies before anything is done.
#[track_caller]
fn before_anything(error: &Value) {
    let kind = error["data"]["kind"].as_str().unwrap();
    assert!(["broker", "not_connected"].contains(&kind), "{error}");
}

#[test]
fn f54_what_is_sent_while_the_broker_dies_is_there_or_named_as_unsure() {
    let mortal = Mortal::start();
    mortal.plays(|point, bytes| {
        let queue = format!("sent-{point}");
        bind(&mortal.redis, &queue);
        let params = json!({ "name": "lab.add", "args": [1, 2], "queue": queue });
        let played = mortal.play("task/send", &params, bytes);
        let there = mortal.tasks(&queue);
        match &played.answer {
            Ok(sent) => {
                assert_eq!(there, HashSet::from([sent["uuid"].as_str().unwrap().to_owned()]));
            }
            Err(error) if error["data"]["kind"] == "unsure" => {
                let unsure = named(&error["data"], "uuids", "");
                assert_eq!(unsure.len(), 1, "{error}");
                assert!(there.is_empty() || there == unsure.into_iter().collect(), "{error}");
            }
            Err(error) => {
                before_anything(error);
                assert_eq!(there, HashSet::new(), "{point}: {error}");
            }
        }
        played.passed
    });
}

#[test]
fn f54_a_bulk_of_retries_stops_where_the_broker_dies_and_names_what_is_unsure() {
    let mortal = Mortal::start();
    mortal.plays(|point, bytes| {
        let queue = format!("retried-{point}");
        bind(&mortal.redis, &queue);
        let all = names(&queue, MANY);
        for uuid in &all {
            let failure =
                json!({ "exc_type": "ValueError", "exc_message": ["x"], "exc_module": "builtins" });
            let stored = json!({
                "status": "FAILURE", "result": failure, "traceback": null, "children": [],
                "date_done": "2026-11-24T04:45:04.790424+00:00", "name": "lab.add", "args": [1, 2],
                "kwargs": {}, "worker": "w1@lab", "retries": 0, "queue": queue, "task_id": uuid,
            });
            let key = format!("celery-task-meta-{uuid}");
            mortal.redis.command_in::<()>(1, &["SET", &key, &stored.to_string()]);
        }
        let played = mortal.play("task/retry", &json!({ "uuids": all }), bytes);
        let there = mortal.tasks(&queue);
        let answer = match &played.answer {
            Ok(answer) => answer,
            Err(error) => {
                before_anything(error);
                assert_eq!(there, HashSet::new(), "{point}: {error}");
                return played.passed;
            }
        };
        let told = [named(answer, "sent", "from"), named(answer, "refused", "uuid")].concat();
        assert_eq!(told, all, "{point}: each is told once, in order: {answer}");
        let sent: HashSet<String> = named(answer, "sent", "uuid").into_iter().collect();
        assert!(sent.is_subset(&there), "{point}: {answer}");
        let refused = answer["refused"].as_array().into_iter().flatten();
        let unsure: Vec<&Value> = refused.filter(|one| one["kind"] == "unsure").collect();
        for uuid in there.difference(&sent) {
            let named = |one: &&Value| one["reason"].as_str().unwrap().contains(uuid.as_str());
            assert!(unsure.iter().any(named), "{point}: {uuid}: {answer}");
        }
        assert!(unsure.len() <= 1, "{point}: the others were not tried: {answer}");
        played.passed
    });
}

#[test]
fn a_revocation_that_deletes_tells_how_far_it_came() {
    let mortal = Mortal::start();
    mortal.plays(|point, bytes| {
        let queue = format!("revoked-{point}");
        let before = mortal.fill(&queue);
        let all = names(&queue, MANY);
        let played = mortal.play("task/revoke", &json!({ "uuids": all, "delete": true }), bytes);
        let there = mortal.tasks(&queue);
        match &played.answer {
            Ok(answer) => {
                let told =
                    [named(answer, "revoked", ""), named(answer, "refused", "uuid")].concat();
                assert_eq!(told, all, "{point}: {answer}");
                let deleted = named(answer, "deleted", "");
                assert!(deleted.iter().all(|uuid| !there.contains(uuid)), "{point}: {answer}");
                match answer.get("saved_as") {
                    Some(saved_as) => mortal.come_back(&queue, &before, saved_as),
                    None => assert_eq!(there.len(), MANY, "{point}: {answer}"),
                }
            }
            Err(error) => {
                if error["data"]["kind"] == "unsure" {
                    assert_eq!(named(&error["data"], "uuids", ""), all, "{point}: {error}");
                } else {
                    before_anything(error);
                }
                assert_eq!(there.len(), MANY, "{point}: {error}");
            }
        }
        played.passed
    });
}

#[test]
fn a_purge_that_the_broker_does_not_survive_names_its_file() {
    let mortal = Mortal::start();
    mortal.plays(|point, bytes| {
        let queue = format!("purged-{point}");
        let before = mortal.fill(&queue);
        let played = mortal.play("queue/purge", &json!({ "queue": queue }), bytes);
        match &played.answer {
            Ok(answer) => {
                let left = mortal.tasks(&queue).len();
                assert!(answer["purged"].as_u64().unwrap() as usize + left <= MANY, "{answer}");
                mortal.come_back(&queue, &before, &answer["saved_as"]);
            }
            Err(error) => {
                before_anything(error);
                assert_eq!(mortal.tasks(&queue).len(), MANY, "{point}: {error}");
            }
        }
        played.passed
    });
}

#[test]
fn of_a_deletion_and_a_move_each_message_is_told_though_the_broker_dies() {
    let mortal = Mortal::start();
    for (method, to) in [("queue/delete_messages", None), ("queue/move_messages", Some("target"))] {
        mortal.plays(|point, bytes| {
            let queue = format!("picked-{}-{point}", to.is_some());
            let before = mortal.fill(&queue);
            let all = names(&queue, MANY);
            let mut params = json!({ "queue": queue, "uuids": all });
            if let Some(to) = to {
                bind(&mortal.redis, to);
                params["to"] = to.into();
            }
            let played = mortal.play(method, &params, bytes);
            let there = mortal.tasks(&queue);
            match &played.answer {
                Ok(answer) => {
                    let done: HashSet<String> = named(answer, "done", "").into_iter().collect();
                    let missed = named(answer, "missed", "key");
                    let told: HashSet<String> = done.iter().chain(&missed).cloned().collect();
                    assert_eq!(told, all.into_iter().collect(), "{point}: {answer}");
                    assert!(done.is_disjoint(&there), "{point}: {answer}");
                    for left in answer["missed"].as_array().unwrap() {
                        let unknown = left["reason"].as_str().unwrap().contains("is not known");
                        let key = left["key"].as_str().unwrap();
                        assert!(unknown || there.contains(key), "{point}: {left}");
                    }
                    match answer.get("saved_as") {
                        Some(saved_as) => mortal.come_back(&queue, &before, saved_as),
                        None => assert_eq!(there.len(), MANY, "{point}: {answer}"),
                    }
                }
                Err(error) => {
                    before_anything(error);
                    assert_eq!(there.len(), MANY, "{point}: {error}");
                }
            }
            assert_eq!(mortal.tasks("target"), HashSet::new(), "{point}");
            played.passed
        });
    }
}

#[test]
fn a_restore_that_the_broker_does_not_survive_is_taken_up_again() {
    let mortal = Mortal::start();
    mortal.plays(|point, bytes| {
        let queue = format!("restored-{point}");
        let before = mortal.fill(&queue);
        let mut purging = mortal.server();
        let purged = call(&mut purging, "queue/purge", json!({ "queue": queue }));
        let saved_as = json!({ "saved_as": purged["saved_as"] });
        let played = mortal.play("queue/restore", &saved_as, bytes);
        if let Ok(answer) = &played.answer {
            let restored = answer["restored"].as_u64().unwrap() as usize;
            assert!(restored <= mortal.tasks(&queue).len(), "{point}: {answer}");
        }
        mortal.come_back(&queue, &before, &purged["saved_as"]);
        played.passed
    });
}
