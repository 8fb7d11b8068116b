//! What `record` writes, and how `replay:` plays it.

use super::{rows, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::{Framing, Server, command};
use crate::support::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

fn play(file: &Path, options: &str) -> Server {
    let url = format!("replay:{}{options}", file.display());
    Server::start_with(Framing::Lines, &["--broker", &url], &[])
}

#[test]
fn what_was_recorded_is_there_again() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("recording");
    let mut recorder = command(home.path())
        .args(["--broker", &redis.url(0), "record"])
        .arg(&file)
        .spawn()
        .unwrap();
    wait_until("the worker in the recording", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("w1@lab"))
    });
    let uuid = Sender::start(&redis, App::Default).send("lab.fail", json!([7]));
    wait_until("the failure in the recording", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("task-failed"))
    });
    kill_process(Pid::from_child(&recorder), Signal::TERM).unwrap();
    assert!(recorder.wait().unwrap().success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let mut server = play(&file, "");
    let worker = rows(&mut server, "worker/list", json!({})).swap_remove(0);
    assert_eq!((&worker["key"], &worker["pool"]), (&json!("w1@lab"), &json!("prefork")));
    let task = wait_for_task(&mut server, &uuid, |task| task["state"] == "FAILURE");
    assert_eq!(task["exception"], "CardDeclined('insufficient funds for 7')");
    let error = server.call("worker/inspect", json!({ "method": "ping" })).unwrap_err();
    assert_eq!(error["data"]["kind"], "unsupported", "{error}");

    // A second recording into the same file would destroy the first.
    let again = command(home.path())
        .args(["--broker", &redis.url(0), "record"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists"), "{again:?}");
}

/// Whoever records waits before a silent terminal, perhaps for hours: it says how that goes.
#[test]
fn a_recorder_says_where_it_records_or_why_it_cannot_yet() {
    let redis = Redis::start();
    let home = tempfile::tempdir().unwrap();
    let first_line = |name: &str, url: &str| {
        let mut recorder = command(home.path())
            .args(["--broker", url, "record"])
            .arg(home.path().join(name))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(recorder.stderr.take().unwrap()).read_line(&mut line).unwrap();
        kill_process(Pid::from_child(&recorder), Signal::TERM).unwrap();
        assert!(recorder.wait().unwrap().success(), "{line}");
        line
    };
    let line = first_line("alive", &redis.url(0));
    assert!(line.starts_with("lazycelery: recording `default` into "), "{line}");
    let line = first_line("dead", "redis://127.0.0.1:1/0");
    assert!(line.contains("not connected to redis://127.0.0.1:1/0: "), "{line}");
    assert!(line.ends_with("; it is tried again, until Ctrl-C\n"), "{line}");
}

#[test]
fn a_recording_plays_at_its_pace_again_and_again() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("recording");
    let beat = |hostname: &str, seen: u32| {
        json!({ "seen": seen, "event": {
            "type": "worker-heartbeat", "hostname": hostname, "timestamp": seen, "freq": 600
        }})
        .to_string()
    };
    let header = r#"{"lazycelery":"recording","version":1}"#;
    let lines = [header, &beat("w1@lab", 1_795_500_000), &beat("w2@lab", 1_795_500_100)];
    fs::write(&file, lines.join("\n")).unwrap();

    let mut server = play(&file, "?speed=100&loop=1");
    let subscription = server.subscribe("worker/subscribe", json!({}));
    // Each time around: one worker, then, a second later, the other one too.
    let expected = [json!(["w1@lab"]), json!(["w1@lab", "w2@lab"])];
    for keys in expected.iter().cycle().take(6) {
        wait_until(&format!("{keys}"), || {
            let result = server.next_of(subscription)["result"].take();
            if result["keys"] == *keys { Ok(()) } else { Err(result) }
        });
    }
    let now = |server: &mut Server| -> Value {
        rows(server, "environment/list", json!({})).swap_remove(0)["now"].take()
    };
    wait_until("the clock to begin anew", || {
        let now = now(&mut server);
        if now == 1_795_500_000.0 { Ok(()) } else { Err(now) }
    });
}
