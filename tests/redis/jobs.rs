//! Actions as jobs: their progress, their end before and after that of who asked for them.

use super::rows;
use crate::support::proxy::Proxy;
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

/// Stores the results of so many failed tasks, which name their arguments.
fn store_failures(redis: &Redis, tasks: usize) {
    let result = |number: usize| {
        let failure =
            json!({ "exc_type": "ValueError", "exc_message": ["x"], "exc_module": "builtins" });
        json!({ "status": "FAILURE", "result": failure, "traceback": null, "children": [],
            "date_done": "2026-01-01T00:00:00+00:00", "name": "lab.add", "args": [number, 1],
            "kwargs": {}, "queue": "celery", "task_id": format!("task-{number}") })
    };
    for first in (0..tasks).step_by(500) {
        let stored = (first..tasks.min(first + 500)).flat_map(|number| {
            [format!("celery-task-meta-task-{number}"), result(number).to_string()]
        });
        let words: Vec<String> = std::iter::once("MSET".into()).chain(stored).collect();
        redis.command_in::<()>(1, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A server that knows of so many failed tasks, which it may reach the stored results of by `backend`.
fn knowing(redis: &Redis, backend: &str, failures: usize) -> Server {
    store_failures(redis, failures);
    redis.command::<u64>(&["LPUSH", "celery", "a queue that is there"]);
    let mut server = Server::start(&["--broker", &redis.url(0), "--backend", backend], &[]);
    wait_until("all of them to be known", || {
        let listed = server.call("task/list", json!({ "filter": "state:failure" })).unwrap();
        if listed["total"] == failures { Ok(()) } else { Err(listed["total"].clone()) }
    });
    server
}

fn calls_of(redis: &Redis, command: &str) -> u64 {
    let told: String = redis.command(&["INFO", "commandstats"]);
    let line =
        told.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// Ten million of them: nobody could read the answer.
#[test]
fn an_action_is_about_a_hundred_thousand_tasks_at_most() {
    let redis = Redis::start();
    let mut server = Server::start(&["--broker", &redis.url(0)], &[]);
    let uuids = |count| (0..count).map(|number| format!("{number}")).collect::<Vec<_>>();
    for method in ["task/retry", "task/revoke"] {
        let params = json!({ "uuids": uuids(100_001), "dry_run": true });
        let error = server.call(method, params).unwrap_err();
        let told = "100001 tasks are meant, and 100000 can be at once: narrow it";
        assert_eq!((&error["code"], &error["message"]), (&json!(-32602), &json!(told)), "{method}");
    }
}

#[test]
fn a_dry_run_for_many_tells_its_progress_and_asks_for_many_at_once() {
    let redis = Redis::start();
    let mut server = knowing(&redis, &redis.url(1), 3_000);
    let before = calls_of(&redis, "mget");
    let params = json!({ "filter": "state:failure", "dry_run": true, "progressToken": "mine" });
    let answer = server.call("task/retry", params).unwrap();
    let sent = answer["sent"].as_array().unwrap();
    assert_eq!((sent.len(), answer.get("refused")), (3_000, None));
    assert_eq!((&sent[0]["source"], answer.get("cancelled")), (&json!("backend"), None));
    let asked = calls_of(&redis, "mget") - before;
    assert!(asked <= 30, "{asked} questions for 3,000 tasks");
    let mut told = vec![server.next_notification()["params"]["value"].clone()];
    assert_eq!((&told[0]["kind"], &told[0]["title"]), (&json!("begin"), &json!("task/retry")));
    while told.last().unwrap()["kind"] != "end" {
        told.push(server.next_notification()["params"]["value"].clone());
    }
    let end = told.last().unwrap();
    assert_eq!((&end["done"], &end["total"]), (&json!(3_000), &json!(3_000)), "{told:?}");
    assert_eq!(rows(&mut server, "job/list", json!({})), [json!(null); 0], "nothing was done");
    assert_eq!(redis.command::<u64>(&["LLEN", "celery"]), 1);
}

#[test]
fn a_dry_run_is_told_to_stop() {
    let redis = Redis::start();
    let line = Proxy::to(redis.port());
    let mut server = knowing(&redis, &line.url(1), 1_000);
    // Each question to the backend waits in vain.
    line.lose("STRLEN");
    let params = json!({ "filter": "state:failure", "dry_run": true });
    server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": "task/retry", "params": params }));
    let running = wait_for_job(&mut server, "running");
    assert_eq!((&running["dry_run"], &running["method"]), (&json!(true), &json!("task/retry")));
    server.call("job/cancel", json!([running["job"]])).unwrap();
    let answer = loop {
        let message = server.next_notification();
        if message["id"] == 99 {
            break message["result"].clone();
        }
    };
    assert_eq!(answer["cancelled"], true, "{answer}");
    assert!(answer["sent"].as_array().unwrap().len() < 1_000);
}

#[test]
fn a_dry_run_ends_with_whoever_waits_for_it() {
    let redis = Redis::start();
    let _deaf = Deaf::listen(&redis);
    let mut server = Server::on(&redis);
    let mut asked = call(100, 30.0);
    asked["params"]["dry_run"] = true.into();
    asked["params"]["progressToken"] = "mine".into();
    server.send(&asked);
    let running = wait_for_job(&mut server, "running");
    let told: Vec<Value> = (0..3)
        .map(|nth| {
            if nth == 1 {
                server.notify("$/cancelRequest", json!({ "id": 100 }));
            }
            server.next_notification()
        })
        .collect();
    let kinds = told.iter().map(|note| note["params"]["value"]["kind"].as_str());
    let mut kinds: Vec<_> = kinds.flatten().collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["begin", "end"], "{told:?}");
    assert!(told.iter().any(|note| note["error"]["code"] == -32800), "{told:?}");
    let gone = server.call("job/get", json!([running["job"]])).unwrap_err();
    assert!(gone["message"].as_str().unwrap().starts_with("no job"), "{gone}");
    assert!(!server.home().join("state/lazycelery/audit.jsonl").exists());
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
