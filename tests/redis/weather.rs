//! Bad weather: servers that restart, fill up, refuse or are copies; clocks that are off; those who
//! are asleep; and many of everything. What is shown, and how it recovers.

use super::{rows, wait_for_environment, wait_for_row, wait_for_task};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::proxy::Proxy;
use crate::support::redis::Redis;
use crate::support::server::{Server, command};
use crate::support::wait::{wait_until, wait_within};
use ::redis::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What took longer hangs: three seconds are promised, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a failover may take to be noticed: workers find the new master first.
const BAD_WEATHER: Duration = Duration::from_secs(60);

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn beat(redis: &Redis, hostname: &str, timestamp: f64) -> i64 {
    let body = json!({ "type": "worker-heartbeat", "hostname": hostname, "timestamp": timestamp,
        "pid": 7, "freq": 2.0, "active": 0, "processed": 0 });
    let envelope = json!({ "body": body.to_string(), "content-type": "application/json",
        "headers": {}, "properties": { "delivery_tag": "t", "delivery_info": {} } });
    redis.command(&["PUBLISH", "/0.celeryev/worker.heartbeat", &envelope.to_string()])
}

/// Calls, and fails where that takes longer than anything may.
#[track_caller]
fn at_once(server: &mut Server, method: &str, params: Value) -> Result<Value, Value> {
    let asked = Instant::now();
    let answer = server.call(method, params);
    assert!(asked.elapsed() < PATIENCE, "{method} took {:?}", asked.elapsed());
    answer
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn a_redis_that_loads_its_data_says_so_and_is_waited_for() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    redis.command::<()>(&["EVAL", "for i=1,300 do redis.call('SET', 'k'..i, 'x') end", "0"]);
    redis.command::<String>(&["SAVE"]);
    // Ten milliseconds a key: three seconds in which every command is refused.
    redis.restart_with(&[
        "--key-load-delay",
        "10000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let row = wait_for_environment(&mut server, |row| {
        row["error"].as_str().is_some_and(|error| error.contains("LOADING"))
    });
    assert_eq!(row["status"], "disconnected", "{row}");
    assert_eq!(at_once(&mut server, "worker/list", json!({})).unwrap()["rows"], json!([]));
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    wait_until("somebody to listen", || beat(&redis, "after@lab", now()) > 0);
    wait_for_row(&mut server, "worker/list", "after@lab", |_| true);
}

#[test]
fn a_redis_that_takes_no_more_clients_says_so_and_is_found_again() {
    let redis = Redis::start();
    redis.command::<()>(&["CONFIG", "SET", "maxclients", "1"]);
    let mut held = redis::Client::open(redis.url(0)).unwrap().get_connection().unwrap();
    let mut server = Server::on(&redis);
    let error = at_once(&mut server, "worker/list", json!({})).unwrap_err();
    assert!(error["data"]["reason"].as_str().unwrap().contains("max number of clients"), "{error}");
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "100"]).query::<()>(&mut held).unwrap();
    wait_for_environment(&mut server, |row| row["status"] == "connected");
}

#[test]
fn who_was_asleep_is_cut_off_and_tells_the_gap() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |_| true);
    redis.command::<()>(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1"]);
    signal(server.pid(), Signal::STOP);
    worker.freeze();
    let large = "x".repeat(1 << 20);
    wait_until("Redis to cut who does not read", || {
        redis.command::<i64>(&["PUBLISH", "/0.celeryev/task.sent", &large]) == 0
    });
    worker.thaw();
    signal(server.pid(), Signal::CONT);
    let row = wait_for_environment(&mut server, |row| {
        row["status"] == "connected" && row["missed"][0]["refilled"] == json!(true)
    });
    assert!(row["missed"][0]["to"].as_f64() >= row["missed"][0]["from"].as_f64(), "{row}");
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
}

#[test]
fn a_worker_that_is_stopped_and_continued_is_silent_and_back() {
    let redis = Redis::start();
    let worker = CeleryWorker::start(&redis, Options { pool: "threads", ..Options::default() });
    let mut server = Server::on(&redis);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
    worker.freeze();
    let row = wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "silent");
    assert!(row["evidence"].is_string(), "{row}");
    worker.thaw();
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
}

#[test]
fn f36_a_clock_that_is_an_hour_off_is_a_skew_and_nothing_else() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    for (hostname, ahead) in [("ahead@lab", 3600.0), ("behind@lab", -3600.0)] {
        wait_until("somebody to listen", || beat(&redis, hostname, now() + ahead) > 0);
        let row = wait_for_row(&mut server, "worker/list", hostname, |row| row["skew"].is_number());
        assert_eq!(row["status"], "online", "{row}");
        assert!((row["skew"].as_f64().unwrap() + ahead).abs() < 60.0, "{row}");
        let beats = row["heartbeats"].as_array().unwrap();
        assert!((beats[0].as_f64().unwrap() - now()).abs() < 60.0, "by our clock: {row}");
    }
}

#[test]
fn f07_a_replica_is_told() {
    let (master, replica) = (Redis::start(), Redis::start());
    let port = master.port().to_string();
    replica.command::<String>(&["REPLICAOF", "127.0.0.1", &port]);
    let _worker = CeleryWorker::start(&master, Options { pool: "solo", ..Options::default() });
    let lim = ["ACL", "SETUSER", "lim", "on", ">pw", "&*", "~*", "+@all", "-@dangerous"];
    replica.command::<String>(&lim);
    for (login, said) in
        [("", "this server is a replica"), ("lim:pw@", "or this server is a replica")]
    {
        let url = format!("redis://{login}127.0.0.1:{}/0", replica.port());
        let mut server = Server::start(&["--broker", &url], &[]);
        let row =
            wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
        assert!(row["heartbeats"].is_array(), "its master's events are relayed: {row}");
        let feed = server.subscribe("worker/subscribe", json!({}));
        server.next_of(feed);
        wait_for_environment(&mut server, |row| {
            row["warning"].as_str().is_some_and(|warning| warning.contains(said))
        });
        let params = json!({ "method": "enable_events" });
        let error = at_once(&mut server, "worker/control", params).unwrap_err();
        assert_eq!(error["data"]["kind"], "no_reply", "{error}");
        let revoked = at_once(&mut server, "task/revoke", json!({ "uuids": ["a"] })).unwrap();
        let told = revoked["warnings"].to_string();
        assert!(told.contains("although workers are heard, so none was told"), "{revoked}");
        let sending = json!({ "name": "lab.add", "args": [1, 2], "queue": "celery" });
        let error = at_once(&mut server, "task/send", sending).unwrap_err();
        assert!(error["message"].as_str().unwrap().contains("READONLY"), "{error}");
    }
}

/// Our server is demoted while we are connected: it relays the events of the new master, and takes
/// requests that nobody hears.
#[test]
fn f07_a_failover_is_noticed_and_followed_once_the_name_leads_to_the_new_master() {
    let (old, new) = (Redis::start(), Redis::start());
    let (ours, theirs) = (Proxy::to(old.port()), Proxy::to(old.port()));
    let follow = |redis: &Redis, master: &Redis| {
        redis.command::<String>(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    };
    let options = Options { pool: "solo", broker: Some(theirs.port()), ..Options::default() };
    let _worker = CeleryWorker::start(&old, options);
    let mut server = Server::start(&["--broker", &ours.url(0)], &[]);
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
    follow(&new, &old);
    wait_until("the copy", || {
        let role = new.command::<String>(&["INFO", "replication"]);
        if role.contains("master_link_status:up") { Ok(()) } else { Err(role) }
    });

    new.command::<String>(&["REPLICAOF", "NO", "ONE"]);
    // A worker that waits for messages at a server which is demoted ends by its `UNBLOCKED`.
    theirs.aim(new.port());
    theirs.cut();
    follow(&old, &new);
    let ping = json!({ "method": "ping", "timeout": 0.5 });
    wait_within(BAD_WEATHER, "the replica to be told", || {
        let answer = server.call("worker/inspect", ping.clone());
        assert!(answer.is_err(), "nobody hears us: {answer:?}");
        let row = rows(&mut server, "environment/list", json!({})).swap_remove(0);
        let told = row["warning"].as_str().is_some_and(|said| said.contains("is a replica"));
        if told { Ok(()) } else { Err(row) }
    });
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");

    ours.aim(new.port());
    wait_within(BAD_WEATHER, "the worker to answer at the new master", || {
        let answer = server.call("worker/inspect", ping.clone())?;
        if answer["replies"]["w1@lab"].is_object() { Ok(()) } else { Err(answer) }
    });
    let row = wait_for_environment(&mut server, |row| row.get("warning").is_none());
    assert_eq!(row["status"], "connected", "{row}");
    assert!(!row["missed"].as_array().unwrap().is_empty(), "the way there is a gap: {row}");
}

#[test]
fn a_thousand_workers_are_a_thousand_rows() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    wait_until("somebody to listen", || beat(&redis, "w0@lab", now()) > 0);
    for number in 0..1_000 {
        beat(&redis, &format!("w{number}@lab"), now());
    }
    wait_until("all workers", || {
        let answer = at_once(&mut server, "worker/list", json!({ "limit": 5000 }))?;
        if answer["total"] == 1_000 { Ok(()) } else { Err(answer["total"].clone()) }
    });
}

#[test]
fn a_thousand_queues_and_a_million_messages_are_counted_at_once() {
    let redis = Redis::start();
    let fill = "for i=1,1000 do \
        redis.call('SADD', '_kombu.binding.celery', 'q'..i..'\\6\\22\\6\\22q'..i) \
        redis.call('LPUSH', 'q'..i, ARGV[1]) end \
        for i=1,1000 do local t = {} for j=1,1000 do t[j] = ARGV[1] end \
        redis.call('LPUSH', 'q1', unpack(t)) end";
    let body = json!({ "body": "W1tdLCB7fSwge31d", "content-type": "application/json",
        "headers": { "id": "u", "task": "lab.add" }, "properties": { "body_encoding": "base64" } });
    redis.command::<()>(&["EVAL", fill, "0", &body.to_string()]);
    let mut server = Server::on(&redis);
    let params = json!({ "limit": 5000, "sort": "-messages" });
    let answer = wait_until("every queue to be counted", || {
        let answer = at_once(&mut server, "queue/list", params.clone())?;
        let whole = answer["total"] == 1_000 && answer.get("incomplete").is_none();
        if whole { Ok(answer) } else { Err(answer["incomplete"].clone()) }
    });
    assert_eq!(answer["rows"][0]["messages"], 1_000_001, "{}", answer["rows"][0]);
    let page = json!({ "queue": "q1", "limit": 10, "offset": 900_000 });
    let page = at_once(&mut server, "queue/messages", page).unwrap();
    assert_eq!(
        (&page["total"], &page["rows"][9]["position"]),
        (&json!(1_000_001), &json!(900_009))
    );
    at_once(&mut server, "task/list", json!({})).unwrap();
}

#[test]
fn a_million_stored_results_are_not_waited_for() {
    let (redis, backend) = (Redis::start(), Redis::start());
    let fill = "for i=1,1000000 do redis.call('SET', 'celery-task-meta-'..i, ARGV[1]) end";
    let meta = json!({ "status": "SUCCESS", "result": 3, "traceback": null });
    backend.command::<()>(&["EVAL", fill, "0", &meta.to_string()]);
    let mut server = Server::start(&["--broker", &redis.url(0), "--backend", &backend.url(0)], &[]);
    wait_until("some of them", || {
        let answer = at_once(&mut server, "task/list", json!({}))?;
        if answer["total"].as_u64() > Some(0) { Ok(()) } else { Err(answer) }
    });
    let task = at_once(&mut server, "task/get", json!({ "uuid": "999999" })).unwrap();
    assert_eq!(task["state"], "SUCCESS", "{task}");
}

#[test]
fn f06_a_redis_that_is_full_is_watched_and_nobody_is_asked() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { pool: "threads", ..Options::default() });
    let mut server = Server::on(&redis);
    // A worker that is just answering then ends.
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| {
        row["heartbeats"].as_array().is_some_and(|beats| beats.len() >= 3)
    });
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let ping = json!({ "method": "ping", "timeout": 0.5 });
    let error = at_once(&mut server, "worker/inspect", ping.clone()).unwrap_err();
    assert_eq!(error["data"]["kind"], "broker", "{error}");
    assert!(error["data"]["reason"].as_str().unwrap().contains("maxmemory"), "{error}");
    let answer = at_once(&mut server, "queue/list", json!({})).unwrap();
    assert_eq!(answer["rows"][0]["messages"], 0, "lengths are read: {answer}");
    let answer = at_once(&mut Server::on(&redis), "queue/list", json!({})).unwrap();
    assert_eq!(answer["rows"][0]["messages"], 0, "also by who comes later: {answer}");
    let row = wait_for_environment(&mut server, |_| true);
    assert_eq!(row["status"], "connected", "{row}");

    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_until("the worker to answer again", || {
        let answer = server.call("worker/inspect", ping.clone())?;
        if answer["replies"]["w1@lab"].is_object() { Ok(()) } else { Err(answer) }
    });
    wait_for_row(&mut server, "worker/list", "w1@lab", |row| row["status"] == "online");
}

#[test]
fn two_workers_of_one_name_are_one_row_and_a_listener_without_a_name() {
    let redis = Redis::start();
    let options = || Options { pool: "solo", ..Options::default() };
    let mut twins = [options(), options()].map(|options| CeleryWorker::launch(&redis, options));
    twins.iter_mut().for_each(CeleryWorker::wait_until_ready);
    let monitor = redis.monitor();
    let mut server = Server::on(&redis);
    let row = wait_for_row(&mut server, "worker/list", "w1@lab", |row| {
        row["heartbeats"].as_array().is_some_and(|beats| beats.len() >= 3)
    });
    assert_eq!(row["status"], "online", "{row}");
    assert!(twins.iter().any(|twin| row["pid"] == json!(twin.pid())), "{row}");
    let answer = server.call("worker/inspect", json!({ "method": "ping" })).unwrap();
    assert_eq!(answer["unnamed"], 1, "{answer}");
    let asked = |line: &&String| line.contains("PUBLISH") && line.contains("celery.pidbox");
    let asked = monitor.lines().iter().filter(asked).count();
    assert!(asked < 40, "no beat of the other one is a newcomer's: {asked} requests");
    twins[1].kill9();
    wait_until("one of them to be left", || {
        let answer = server.call("worker/inspect", json!({ "method": "ping" }))?;
        if answer.get("unnamed").is_none() { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn messages_and_results_of_a_megabyte_are_told_by_their_size() {
    let redis = Redis::start();
    let mut sender = Sender::start(&redis, App::Default);
    let large = "x".repeat(1 << 20);
    for _ in 0..10 {
        sender.send_with("lab.echo", json!([large]), json!({ "queue": "parked" }));
    }
    let mut server = Server::on(&redis);
    let page = at_once(&mut server, "queue/messages", json!({ "queue": "parked" })).unwrap();
    assert_eq!((&page["total"], &page["exact"]), (&json!(10), &json!(false)), "a bound ended it");
    let row = &page["rows"][0];
    assert!(row["args_bytes"].as_u64() > Some(1 << 20) && row.get("args_json").is_none(), "{row}");
    let whole = json!({ "queue": "parked", "limit": 1, "full": true });
    let page = at_once(&mut server, "queue/messages", whole).unwrap();
    assert_eq!(page["rows"][0]["args_json"], json!(format!("[\"{large}\"]")));

    let _worker = CeleryWorker::start(&redis, Options { pool: "solo", ..Options::default() });
    let uuid = sender.send("lab.echo", json!([large]));
    let task = wait_for_task(&mut server, &uuid, |task| task["result_bytes"].is_number());
    assert_eq!(task.get("result_json"), None, "not unless it is asked for");
    assert!(task["result_bytes"].as_u64() > Some(1 << 20), "its size is told before: {task}");
    assert_eq!(task["state"], "SUCCESS");
    // A server that heard no event of it.
    let mut other = Server::on(&redis);
    let task = wait_for_task(&mut other, &uuid, |task| task["result_bytes"].is_number());
    assert_eq!((&task["state"], &task["sources"]["state"]), (&json!("SUCCESS"), &json!("backend")));
    assert!(task["finished"].is_number(), "{task}");
    let row = &rows(&mut other, "environment/list", json!({}))[0];
    assert_eq!(row["counts"]["undecodable"], 0, "it is too large, and nothing is wrong: {row}");
    let whole = json!({ "uuid": uuid, "full": true });
    let task = at_once(&mut server, "task/get", whole).unwrap();
    assert_eq!(task["result_json"], json!(format!("[\"{large}\"]")));
    let task = at_once(&mut server, "task/get", json!({ "uuid": uuid })).unwrap();
    assert!(task["result_bytes"].as_u64() > Some(1 << 20), "its size is known then: {task}");
}

/// What is published to a client that never reads is not kept for it: what changed is looked up when it
/// reads.
#[test]
fn a_client_that_never_reads_costs_no_memory_though_much_changes() {
    const BUDGET: &str = "32MiB";
    const BOUND: usize = 128 << 10;
    let redis = Redis::start();
    let home = tempfile::tempdir().unwrap();
    let mut deaf = command(home.path());
    deaf.args(["--broker", &redis.url(0), "--memory-limit", BUDGET]);
    deaf.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut deaf = deaf.spawn().unwrap();
    let mut input = deaf.stdin.take().unwrap();
    for id in 0..8 {
        let params = json!({ "limit": 5000, "interval": 0.1 });
        let request =
            json!({ "jsonrpc": "2.0", "id": id, "method": "task/subscribe", "params": params });
        writeln!(input, "{request}").unwrap();
    }
    wait_until("somebody to listen", || beat(&redis, "w1@lab", now()) > 0);
    let mut line = Client::open(redis.url(0)).unwrap().get_connection().unwrap();
    let filling = "x".repeat(900);
    for chunk in 0..80 {
        let mut pipe = ::redis::pipe();
        for batch in 0..100 {
            let received = |n: usize| {
                json!({ "type": "task-received", "uuid": format!("{chunk}-{batch}-{n}"), "pid": 7,
                    "hostname": "w1@lab", "timestamp": now(), "name": "lab.echo", "args": filling,
                    "kwargs": "{}", "retries": 0 })
            };
            let events: Vec<Value> = (0..24).map(received).collect();
            let envelope = json!({ "body": json!(events).to_string(), "headers": {},
                "content-type": "application/json",
                "properties": { "delivery_tag": "t", "delivery_info": {} } });
            pipe.cmd("PUBLISH").arg("/0.celeryev/task.multi").arg(envelope.to_string()).ignore();
        }
        pipe.query::<()>(&mut line).unwrap();
        // Redis would cut off who lags by 32 MB.
        wait_until("them to be read", || {
            let list: String = redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
            if list.contains(" omem=0 ") { Ok(()) } else { Err(list) }
        });
    }
    let status = fs::read_to_string(format!("/proc/{}/status", deaf.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < BOUND, "{peak} KiB, of which {BUDGET} are for what is known");
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "method": "exit" })).unwrap();
    wait_until("its end", || deaf.try_wait().unwrap());
}
