//! Actions as jobs: their progress, their end before and after that of who asked for them.

use crate::support::redis::Redis;
use crate::support::server::{Server, command};
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

/// Somebody who listens to remote control and never answers, so that who asks has to wait.
struct Deaf(#[allow(dead_code)] TcpStream);

impl Deaf {
    fn listen(redis: &Redis) -> Deaf {
        let mut line = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        line.write_all(b"SUBSCRIBE /0.celery.pidbox\r\n").unwrap();
        wait_until("a listener", || {
            let (_, listeners): (String, u64) =
                redis.command(&["PUBSUB", "NUMSUB", "/0.celery.pidbox"]);
            listeners == 1
        });
        Deaf(line)
    }
}

/// Asks somebody who is not there, and so takes as long as it may.
fn control(timeout: f64) -> Value {
    json!({ "method": "enable_events", "destination": ["nobody@lab"], "timeout": timeout })
}

fn call(id: u64, timeout: f64) -> Value {
    let params = control(timeout);
    json!({ "jsonrpc": "2.0", "id": id, "method": "worker/control", "params": params })
}

#[track_caller]
fn wait_for_job(server: &mut Server, status: &str) -> Value {
    wait_until(&format!("a job that is {status}"), || {
        let jobs = server.call("job/list", json!({})).unwrap();
        let row = jobs["rows"][0].clone();
        if row["status"] == status { Ok(row) } else { Err(jobs) }
    })
}

fn outcomes(home: &Path) -> usize {
    let text = fs::read_to_string(home.join("state/lazycelery/audit.jsonl")).unwrap();
    text.lines().filter(|line| line.contains("\"phase\":\"outcome\"")).count()
}

#[test]
fn progress_is_told_by_the_clients_token_and_before_the_answer() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    let mut server = Server::on(&redis);
    for token in [json!(7), json!("mine")] {
        let mut params = control(0.2);
        params["progressToken"] = token.clone();
        let error = server.call("worker/control", params).unwrap_err();
        assert_eq!(error["data"]["kind"], "no_reply", "{error}");
        // Had they come after the answer, they would not have been read with it.
        let told: Vec<Value> = (0..2).map(|_| server.next_notification()).collect();
        for (note, kind) in told.iter().zip(["begin", "end"]) {
            assert_eq!(note["method"], "$/progress");
            assert_eq!(note["params"]["token"], token);
            assert_eq!(note["params"]["value"]["kind"], kind, "{note}");
        }
        assert_eq!(told[0]["params"]["value"]["title"], "worker/control");
        assert_eq!(told[1]["params"]["value"]["message"], "0, failed");
    }
    let mut params = control(0.1);
    params["progressToken"] = json!([]);
    let error = server.call("worker/control", params).unwrap_err();
    assert_eq!(error["message"], "`progressToken`: a text or a whole number", "{error}");
}

#[test]
fn what_takes_long_tells_its_progress_by_the_jobs_name() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    let mut server = Server::on(&redis);
    server.call("worker/control", control(1.5)).unwrap_err();
    let begin = server.next_notification();
    assert_eq!(begin["params"]["token"], "job-1", "{begin}");
    assert_eq!(server.next_notification()["params"]["value"]["kind"], "end");
    server.call("worker/control", control(0.05)).unwrap_err();
    let (unread, _) = server.finish();
    assert_eq!(unread, [json!(null); 0], "what is quick tells nothing");
}

#[test]
fn a_request_that_is_cancelled_leaves_its_job_at_work() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    let mut server = Server::on(&redis);
    server.send(&call(100, 2.0));
    let running = wait_for_job(&mut server, "running");
    assert_eq!(running["method"], "worker/control");
    assert_eq!(running.get("ended"), None);
    server.notify("$/cancelRequest", json!({ "id": 100 }));
    assert_eq!(server.next_notification()["error"]["code"], -32800);
    assert_eq!(wait_for_job(&mut server, "running")["job"], running["job"], "it goes on");

    let failed = wait_for_job(&mut server, "failed");
    assert_eq!((&failed["job"], &failed["error"]["kind"]), (&running["job"], &json!("no_reply")));
    assert!(failed["ended"].as_f64() > failed["started"].as_f64());
    let got = server.call("job/get", json!([failed["job"]])).unwrap();
    assert_eq!((&got["status"], got.get("outcome")), (&json!("failed"), None));
    assert_eq!(outcomes(server.home()), 1);
}

#[test]
fn a_job_is_told_to_stop() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    let mut server = Server::on(&redis);
    let unknown = server.call("job/cancel", json!(["job-9"])).unwrap_err();
    assert_eq!(unknown["message"], "no job `job-9`: `job/list` tells all");
    server.send(&call(100, 1.0));
    let job = wait_for_job(&mut server, "running")["job"].clone();
    let told = server.call("job/cancel", json!({ "job": job })).unwrap();
    assert_eq!(told["status"], "cancelling", "what is in hand ends first");
    let over = wait_for_job(&mut server, "failed");
    let told = server.call("job/cancel", json!({ "job": job })).unwrap();
    assert_eq!(told, over, "what is over stays as it is");
}

#[test]
fn the_end_of_the_process_waits_for_what_a_job_has_in_hand() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    // The second one has more in hand than is waited for.
    for (timeout, told) in [(1.0, 1), (30.0, 0)] {
        let mut server = Server::on(&redis);
        server.send(&call(100, timeout));
        wait_for_job(&mut server, "running");
        server.call("shutdown", json!(null)).unwrap();
        server.notify("exit", json!(null));
        let home = server.home().to_owned();
        wait_until("its end", || !Path::new(&format!("/proc/{}/fd/0", server.pid())).exists());
        assert_eq!(outcomes(&home), told, "{timeout}");
    }
}

/// What takes longer than a second tells its progress unasked: that is no answer.
#[test]
fn a_call_that_takes_long_prints_its_answer_alone() {
    let redis = Redis::start();
    redis.command::<u64>(&["RPUSH", "celery", "a", "b", "c"]);
    let home = tempfile::tempdir().unwrap();
    let params = json!({ "queue": "celery", "rate": 1 }).to_string();
    let mut call = command(home.path());
    call.args(["--broker", &redis.url(0), "call", "queue/purge", &params]);
    let output = call.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["purged"], 3, "{answer}");
    // What is left undone is no success to a script.
    let restore = json!({ "saved_as": answer["saved_as"] }).to_string();
    let restore = |expected| {
        let mut call = command(home.path());
        call.args(["--broker", &redis.url(0), "call", "queue/restore", &restore]);
        assert_eq!(call.output().unwrap().status.code(), Some(expected));
    };
    restore(0);
    restore(3);
}
