//! What may be done where, and that it is written down.

use super::refusal;
use crate::support::redis::Redis;
use crate::support::server::{Framing, Server, command, configured};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn guarded(redis: &Redis, guards: &str) -> Server {
    let text = format!("[environments.prod]\nbroker_url = '{}'\n{guards}\n", redis.url(0));
    Server::start_in(configured(&text), Framing::Lines, &[], &[])
}

/// The lines of the audit log.
fn audited(home: &Path) -> Vec<Value> {
    let text = fs::read_to_string(home.join("state/lazycelery/audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn production_is_read_only_until_this_session_unlocks_it() {
    let redis = Redis::start();
    let monitor = redis.monitor();
    let mut server = guarded(&redis, "production = true");
    let initialize = json!({ "clientInfo": { "name": "someone" } });
    server.call("initialize", initialize).unwrap();
    let rule = "the environment is production (`environment/unlock` or `call --unlock` lifts that for a while)";
    let control = json!({ "method": "enable_events" });
    let error = server.call("worker/control", control).unwrap_err();
    assert_eq!((&error["data"]["rule"], &error["data"]["locked"]), (&json!(rule), &json!("prod")));
    assert_eq!(monitor.lines(), [""; 0], "nothing reached the broker");
    assert!(audited(server.home()).is_empty(), "nothing was to be done");

    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let unlocked = server.call("environment/unlock", json!([5])).unwrap();
    assert_eq!(unlocked["environment"], "prod");
    let lasts = unlocked["until"].as_f64().unwrap() - before;
    assert!((300.0..400.0).contains(&lasts), "{lasts}");
    assert_eq!(refusal(&mut server), None);
    let mut other = guarded(&redis, "production = true");
    assert_eq!(refusal(&mut other).as_deref(), Some(rule), "another session did not unlock it");

    server.call("environment/unlock", json!({ "minutes": 0 })).unwrap();
    assert_eq!(refusal(&mut server).as_deref(), Some(rule));

    let lines = audited(server.home());
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["method"].as_str().unwrap(), line["phase"].as_str().unwrap()))
        .collect();
    let action = "worker/control";
    let unlock = ("environment/unlock", "intent");
    assert_eq!(told, [unlock, (action, "intent"), (action, "outcome"), unlock]);
    for line in &lines {
        assert_eq!((&line["actor"], &line["environment"]), (&json!("someone"), &json!("prod")));
        assert!(line["at"].as_f64().unwrap() >= before, "{line}");
    }
    assert_eq!(lines[1]["arguments"]["method"], "enable_events");
    assert!(lines[2]["outcome"]["error"].as_str().unwrap().contains("no worker answered"));
}

/// A call is a session of its own, so no other call can unlock for it.
#[test]
fn a_single_call_unlocks_for_itself_where_it_says_so() {
    let redis = Redis::start();
    redis.command::<u64>(&["RPUSH", "mail", "a"]);
    let text =
        |guards: &str| format!("[environments.prod]\nbroker_url = '{}'\n{guards}\n", redis.url(0));
    let purge = |guards: &str, arguments: &[&str]| {
        let home = configured(&text(guards));
        let mut call = command(home.path());
        call.args(["call", "queue/purge", r#"{"queue": "mail"}"#]).args(arguments);
        let output = call.output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer, audited(home.path()).len())
    };
    let (status, refusal, lines) = purge("production = true", &[]);
    assert_eq!((status, &refusal["data"]["locked"], lines), (Some(1), &json!("prod"), 0));
    let (status, refusal, _) = purge("production = true\nread_only = true", &["--unlock"]);
    assert_eq!((status, &refusal["data"]["kind"]), (Some(1), &json!("forbidden")));
    let (status, purged, lines) = purge("production = true", &["--unlock"]);
    assert_eq!((status, &purged["purged"], lines), (Some(0), &json!(1), 3), "{purged}");
}

#[test]
fn what_is_not_allowed_is_forbidden_and_read_only_cannot_be_unlocked() {
    let redis = Redis::start();
    let mut server = guarded(&redis, "allow = ['retry', 'revoke']");
    assert_eq!(refusal(&mut server).as_deref(), Some("`allow` does not name `control`"));
    let mut locked = guarded(&redis, "allow = ['retry', 'revoke']\nproduction = true");
    let rule = "`allow` does not name `control`";
    assert_eq!(refusal(&mut locked).as_deref(), Some(rule), "to unlock it would be of no use");
    let error = server.call("environment/unlock", json!([5])).unwrap_err();
    assert_eq!(error["message"], "`prod` is not production: nothing is locked");
    let mut server = guarded(&redis, "allow = ['control']");
    assert_eq!(refusal(&mut server), None);

    let mut server = guarded(&redis, "read_only = true\nproduction = true");
    assert_eq!(refusal(&mut server).as_deref(), Some("the environment is read_only"));
    let error = server.call("environment/unlock", json!([5])).unwrap_err();
    assert_eq!(error["data"]["kind"], "forbidden", "{error}");
    for minutes in [json!(-1), json!(481), json!(1e300)] {
        let error = server.call("environment/unlock", json!({ "minutes": minutes })).unwrap_err();
        assert_eq!(error["code"], -32602, "{error}");
    }
}

#[test]
fn a_revocation_that_deletes_needs_both_rights() {
    let redis = Redis::start();
    let mut server = guarded(&redis, "allow = ['revoke']");
    server.call("task/revoke", json!({ "uuids": ["a"] })).unwrap();
    let deleting = json!({ "uuids": ["a"], "delete": true });
    let error = server.call("task/revoke", deleting).unwrap_err();
    assert_eq!(error["data"]["rule"], "`allow` does not name `delete`", "{error}");
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let redis = Redis::start();
    let mut server = guarded(&redis, "");
    fs::create_dir_all(server.home().join("state/lazycelery/audit.jsonl")).unwrap();
    let monitor = redis.monitor();
    let params = json!({ "method": "enable_events", "timeout": 0.1 });
    let error = server.call("worker/control", params).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("nothing was done"), "{error}");
    let published = |line: &String| line.contains("PUBLISH") && line.contains("enable_events");
    assert!(!monitor.lines().iter().any(published));
}

#[test]
fn a_dry_run_needs_no_permission_and_is_not_written_down() {
    let redis = Redis::start();
    let mut server = guarded(&redis, "read_only = true");
    let params = json!({ "method": "enable_events", "timeout": 0.1, "dry_run": true });
    let error = server.call("worker/control", params).unwrap_err();
    assert_eq!(error["data"]["kind"], "no_reply", "{error}");
    assert_eq!(error["data"]["method"], "ping");
    assert!(audited(server.home()).is_empty());
    assert_eq!(server.call("job/list", json!({})).unwrap()["total"], 0);
}
