//! `task/export`: the rows of `task/list` in a file.

use super::*;
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A server that heard of so many tasks; the results of some look like formulas to a spreadsheet.
fn told(redis: &Redis, tasks: usize) -> Server {
    let mut server = Server::on(redis);
    server.call("task/list", json!({})).unwrap();
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    let event = |number: usize| {
        let uuid = format!("task-{number}");
        let happened = 1_764_000_000.0 + number as f64;
        let common = json!({ "uuid": uuid, "hostname": "celery@web-1", "pid": 7, "clock": 1, "timestamp": happened });
        let mut received = common.clone();
        received["type"] = "task-received".into();
        received["name"] = "shop.tasks.charge".into();
        received["args"] = "(42, 'é, \"x\"\n')".into();
        received["kwargs"] = "{'order': 9007199254740993}".into();
        let mut succeeded = common;
        succeeded["type"] = "task-succeeded".into();
        succeeded["runtime"] = (number as f64 / 7.0).into();
        let formula = number.is_multiple_of(100);
        succeeded["result"] = if formula { "=cmd()".into() } else { format!("-{number}").into() };
        [received, succeeded]
    };
    for first in (0..tasks).step_by(100) {
        let events: Vec<Value> = (first..tasks.min(first + 100)).flat_map(event).collect();
        let envelope = json!({ "body": json!(events).to_string(), "content-type": "application/json",
            "headers": {}, "properties": { "delivery_tag": "t", "delivery_info": {} } });
        let heard: i64 =
            redis.command(&["PUBLISH", "/0.celeryev/task.multi", &envelope.to_string()]);
        assert_eq!(heard, 1);
    }
    wait_until("all of them to be known", || {
        let total = server.call("task/list", json!({})).unwrap()["total"].clone();
        if total == tasks { Ok(()) } else { Err(total) }
    });
    server
}

fn every_row(server: &mut Server, filter: &str) -> BTreeMap<String, Value> {
    let (mut rows, mut cursor) = (BTreeMap::new(), Value::Null);
    loop {
        let mut params = json!({ "filter": filter, "limit": 5_000 });
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let page = server.call("task/list", params).unwrap();
        for row in page["rows"].as_array().unwrap() {
            rows.insert(row["uuid"].as_str().unwrap().to_owned(), row.clone());
        }
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            return rows;
        }
    }
}

fn by_uuid(rows: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    let rows: Vec<_> = rows.map(|row| (row["uuid"].as_str().unwrap().to_owned(), row)).collect();
    let count = rows.len();
    let rows = BTreeMap::from_iter(rows);
    assert_eq!(rows.len(), count, "each once");
    rows
}

#[test]
fn ten_thousand_rows_are_those_of_the_list() {
    let redis = Redis::start();
    let mut server = told(&redis, 10_000);
    let listed = every_row(&mut server, "");
    let home = server.home().canonicalize().unwrap();
    let path = |name: &str| home.join(name);

    let answer = server.call("task/export", json!(["tasks.jsonl"])).unwrap();
    let text = fs::read_to_string(path("tasks.jsonl")).unwrap();
    assert_eq!(answer, json!({ "rows": 10_000, "path": path("tasks.jsonl"), "bytes": text.len() }));
    let mode = fs::metadata(path("tasks.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "arguments are private");
    let written = by_uuid(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    assert!(written == listed);

    server.call("task/export", json!({ "path": path("tasks.json") })).unwrap();
    let text = fs::read_to_string(path("tasks.json")).unwrap();
    let array: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(by_uuid(array.into_iter()) == listed);

    let answer = server.call("task/export", json!({ "path": "sheet", "format": "csv" })).unwrap();
    assert_eq!(answer["rows"], 10_000);
    let [warning] = answer["warnings"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!(warning["kind"], "formula");
    assert!(warning["text"].as_str().unwrap().contains("would run: 100."), "{warning}");
    let text = fs::read_to_string(path("sheet")).unwrap();
    let rows = csv_rows(&text);
    for (uuid, row) in by_uuid(rows.into_iter()) {
        for (column, cell) in row.as_object().unwrap() {
            let cell = cell.as_str().unwrap();
            let wanted = match &listed[&uuid][column] {
                Value::Null => String::new(),
                Value::String(text) if text.starts_with('=') => format!("'{text}"),
                Value::String(text) => text.clone(),
                Value::Number(number) => {
                    assert_eq!(of_cell(cell), number.as_f64().unwrap(), "{uuid} {column}");
                    continue;
                }
                other => other.to_string(),
            };
            assert_eq!(cell, wanted, "{uuid} {column}");
        }
    }
}

/// A number, or a moment as Unix seconds.
fn of_cell(cell: &str) -> f64 {
    let moment =
        || Ok::<_, jiff::Error>(cell.parse::<jiff::Timestamp>()?.as_microsecond() as f64 / 1e6);
    cell.parse().or_else(|_| moment()).unwrap()
}

/// A reader of RFC 4180, not ours: Python's.
fn csv_rows(text: &str) -> Vec<Value> {
    let python = "import csv, io, json, sys; csv.field_size_limit(sys.maxsize)\n\
                  text = io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8', newline='')\n\
                  print(json.dumps(list(csv.DictReader(text, strict=True))))";
    let mut child = std::process::Command::new("python3")
        .args(["-c", python])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_filter_says_which_and_what_is_there_is_kept_unless_it_is_to_go() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { events: true, ..Options::default() });
    let mut server = Server::on(&redis);
    let mut sender = Sender::start(&redis, App::Default);
    let failed = sender.send("lab.fail", json!([]));
    sender.send("lab.add", json!([1, 2]));
    wait_until("both to have run", || {
        let rows = rows(&mut server, "task/list", json!({ "filter": "place:done" }));
        if rows.len() == 2 { Ok(()) } else { Err(rows) }
    });
    let params = json!({ "path": "failed.jsonl", "filter": "state:failure" });
    assert_eq!(server.call("task/export", params.clone()).unwrap()["rows"], 1);
    let file = server.home().join("failed.jsonl");
    let row: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(row["uuid"], failed);

    fs::write(&file, "mine").unwrap();
    let error = server.call("task/export", params.clone()).unwrap_err();
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32036), &json!("exists")));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let mut params = params;
    params["overwrite"] = true.into();
    assert_eq!(server.call("task/export", params).unwrap()["rows"], 1);
    assert_ne!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(!server.home().join("state/lazycelery/audit.jsonl").exists(), "nothing was changed");
}

#[test]
fn an_export_that_is_stopped_leaves_nothing() {
    let redis = Redis::start();
    let mut server = told(&redis, 50_000);
    let params = json!({ "path": "tasks.csv", "progressToken": "mine" });
    server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": "task/export", "params": params }));
    let begun = server.next_notification();
    assert_eq!(begun["params"]["value"]["title"], "task/export", "{begun}");
    server
        .send(&json!({ "jsonrpc": "2.0", "id": 100, "method": "job/cancel", "params": ["job-1"] }));
    let answer = loop {
        let message = server.read().unwrap();
        if message["id"] == 99 {
            break message;
        }
    };
    // It may have been through before it could be stopped; then it is whole.
    let rows = answer["result"]["rows"].as_u64().unwrap();
    let files: Vec<_> =
        fs::read_dir(server.home()).unwrap().map(|file| file.unwrap().file_name()).collect();
    let there = files.iter().any(|name| name == "tasks.csv");
    assert_eq!((there, rows > 0), (rows == 50_000, rows == 50_000), "{answer}");
    assert!(!files.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{files:?}");
}

#[test]
fn what_is_known_is_written_though_the_broker_is_lost_and_said_to_be_incomplete() {
    let redis = Redis::start();
    let mut server = told(&redis, 250);
    redis.kill();
    wait_for_environment(&mut server, |row| row["status"] == "disconnected");
    let params = json!({ "path": "tasks.jsonl", "overwrite": true });
    wait_until("what was looked at to be too old", || {
        let answer = server.call("task/export", params.clone())?;
        assert_eq!(answer["rows"], 250, "{answer}");
        answer["incomplete"].as_array().map(|_| ()).ok_or(answer.clone())
    });
    let text = fs::read_to_string(server.home().join("tasks.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 250);

    // Who never reached it knows nothing, and writes nothing.
    let mut server = Server::on(&redis);
    let error = server.call("task/export", json!(["tasks.jsonl"])).unwrap_err();
    assert_eq!(error["data"]["kind"], "not_connected", "{error}");
    let files = fs::read_dir(server.home()).unwrap().map(|file| file.unwrap().file_name());
    let named = files.filter(|name| name.to_string_lossy().contains("tasks")).count();
    let parts = fs::read_dir(server.home()).unwrap().map(|file| file.unwrap().file_name());
    let hidden = parts.filter(|name| name.to_string_lossy().ends_with(".part")).count();
    assert_eq!((named, hidden), (0, 0));
}

#[test]
fn of_two_exports_to_one_file_one_is_there_whole() {
    let redis = Redis::start();
    let mut server = told(&redis, 5_000);
    for (id, filter) in [(98, "state:success"), (99, "state:failure")] {
        let params = json!({ "path": "tasks.jsonl", "filter": filter });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "task/export", "params": params });
        server.send(&call);
    }
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let message = server.read().unwrap();
        // What takes long tells its progress, too.
        answers.extend(message.get("id").is_some().then_some(message));
    }
    let written: Vec<u64> =
        answers.iter().filter_map(|answer| answer["result"]["rows"].as_u64()).collect();
    let refused = answers.iter().filter(|answer| answer["error"]["data"]["kind"] == "exists");
    assert_eq!((written.len(), refused.count()), (1, 1), "{answers:?}");
    let text = fs::read_to_string(server.home().join("tasks.jsonl")).unwrap();
    assert_eq!(text.lines().count() as u64, written[0]);
}
