//! What an export of many tasks costs: time, memory beside what the tasks take anyway, and how long
//! others wait meanwhile.

use crate::support::server::{Framing, Server};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// Prints a row for each format.
pub fn measure(tasks: usize) {
    println!(
        "\n| figure | tasks | seconds | file MB | more memory MB | a list meanwhile, max ms |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut server = holding(tasks);
    for format in ["csv", "json", "jsonl"] {
        let before = memory(&server, "VmRSS");
        fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
        let params = json!({ "path": format!("tasks.{format}") });
        let request =
            json!({ "jsonrpc": "2.0", "id": format, "method": "task/export", "params": params });
        let began = Instant::now();
        server.send(&request);
        let (mut longest, mut answer) = (Duration::ZERO, None);
        while answer.is_none() {
            let asked = Instant::now();
            server.send(&json!({ "jsonrpc": "2.0", "id": "list", "method": "task/list", "params": { "limit": 1 } }));
            loop {
                let message = server.read().unwrap();
                if message["id"] == "list" {
                    break;
                } else if message["id"] == format {
                    answer = Some(message["result"].clone());
                }
            }
            longest = longest.max(asked.elapsed());
        }
        let (took, answer) = (began.elapsed().as_secs_f64(), answer.unwrap());
        assert_eq!(answer["rows"], tasks);
        println!(
            "| export as {format} | {tasks} | {took:.2} | {:.0} | {:.1} | {:.1} |",
            answer["bytes"].as_f64().unwrap() / 1e6,
            (memory(&server, "VmHWM") - before) / 1e3,
            longest.as_secs_f64() * 1e3,
        );
    }
}

/// A server that was told of so many tasks.
fn holding(tasks: usize) -> Server {
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("FIFO");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut told = BufWriter::new(File::options().read(true).write(true).open(fifo).unwrap());
    let arguments = ["--broker", "replay:FIFO", "--memory-limit", "4GiB"];
    let mut server = Server::start_in(home, Framing::Lines, &arguments, &[]);
    server.be_patient(Duration::from_secs(300));
    server.call("task/list", json!({})).unwrap();
    writeln!(told, r#"{{"lazycelery":"recording","version":1}}"#).unwrap();
    for number in 0..tasks {
        let at = 1_795_494_675.0 + number as f64 / 1e3;
        let uuid = format!("{number:08}-3b7e-4d1c-9a55-0f6f3e2d1c77");
        let event = json!({
            "type": "task-received", "uuid": uuid, "name": format!("shop.tasks.task_{}", number % 40),
            "args": format!("({number}, 'eur', 'a customer of order {number}')"), "kwargs": "{'retry': False}",
            "hostname": "celery@web-1", "timestamp": at, "pid": 7, "clock": number,
        });
        writeln!(told, "{}", json!({ "seen": at, "event": event })).unwrap();
    }
    told.flush().unwrap();
    while server.call("task/list", json!({ "limit": 1 })).unwrap()["total"] != tasks {
        std::thread::sleep(Duration::from_millis(100));
    }
    server
}

/// Kilobytes of a server, in one of the kernel's figures.
fn memory(server: &Server, figure: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line =
        status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
