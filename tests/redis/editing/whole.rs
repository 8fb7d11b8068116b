//! `queue/move`: all that waits in a queue, and back.

use super::*;
use crate::support::celery::{CeleryWorker, Options};
use crate::support::proxy::Proxy;
use crate::support::wait::wait_until;

/// A server that knows a queue to move to.
fn server_with(redis: &Redis, queue: &str, url: &str) -> Server {
    redis.command::<u64>(&[
        "SADD",
        &format!("_kombu.binding.{queue}"),
        &format!("{queue}{SEP}{SEP}{queue}"),
    ]);
    let mut server = Server::start(&["--broker", url], &[]);
    wait_until("the other queue to be known", || {
        let rows = call(&mut server, "queue/list", json!({}));
        let known = rows["rows"].as_array().unwrap().iter().any(|row| row["key"] == queue);
        if known { Ok(()) } else { Err(rows) }
    });
    server
}

fn tasks(redis: &Redis, key: &str) -> Vec<String> {
    list(redis, key).iter().map(|raw| task(raw)).collect()
}

#[test]
fn all_that_waits_moves_in_order_and_comes_back_byte_for_byte() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.echo", json!(["é\u{7f}", 1.5]));
    let keys = ["celery".to_owned(), format!("celery{SEP}6")];
    let there = [format!("other{SEP}6"), "other".to_owned()];
    let first = template.fill(&redis, "celery", &keys[0], &names("a", 2_000));
    let second = template.fill(&redis, "celery", &keys[1], &names("b", 300));
    let waiting = template.fill(&redis, "other", "other", &names("o", 3));
    let mut server = server_with(&redis, "other", &redis.url(0));

    let params = json!({ "queue": "celery", "to": "other" });
    let mut tried = params.clone();
    tried["dry_run"] = true.into();
    let answer = call(&mut server, "queue/move", tried);
    assert_eq!((&answer["moved"], &answer["arrived"]), (&json!(2_300), &json!(0)), "{answer}");
    assert_eq!(list(&redis, "celery").len(), 2_000, "it was only tried");

    let answer = call(&mut server, "queue/move", params);
    assert_eq!(answer["moved"], 2_300, "{answer}");
    assert_eq!(kinds(&answer), HashSet::from(["no_consumer"]), "nobody reads the other queue");
    assert_eq!(redis.command::<u64>(&["EXISTS", &keys[0], &keys[1]]), 0);
    let before: Vec<_> = first.iter().map(|raw| task(raw)).collect();
    assert_eq!(tasks(&redis, "other")[..2_000], before, "behind what waits there, in order");
    assert!(list(&redis, "other")[2_000..] == waiting);
    assert_eq!(tasks(&redis, &there[0]), second.iter().map(|raw| task(raw)).collect::<Vec<_>>());
    let copy: Value = serde_json::from_slice(&list(&redis, "other")[0]).unwrap();
    assert_eq!(copy["properties"]["delivery_info"]["routing_key"], "other");

    redis.command::<u64>(&["LPUSH", "celery", "later"]);
    let saved_as = json!({ "saved_as": answer["saved_as"] });
    let answer = call(&mut server, "queue/restore", saved_as);
    assert_eq!(answer, json!({ "restored": 2_300, "skipped": [] }));
    assert!(list(&redis, "celery")[1..] == first, "the same bytes in the same order");
    assert!(list(&redis, &keys[1]) == second);
    assert!(list(&redis, "other") == waiting, "and nothing is left there");

    let error = server.call("queue/move", json!(["celery", "celery"])).unwrap_err();
    assert_eq!(error["code"], -32602, "{error}");
    let error = server.call("queue/move", json!(["celery", "nosuch"])).unwrap_err();
    assert_eq!(error["data"]["kind"], "unknown_queue", "{error}");
}

/// The most that a process has ever held, in bytes.
fn peak(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_restore_holds_no_messages() {
    const MESSAGES: usize = 1_000;
    let redis = Redis::start();
    let padding = "x".repeat(20_000);
    let mut pipe = ::redis::pipe();
    for name in names("t", MESSAGES) {
        let way_back = json!({ "exchange": "", "routing_key": "celery" });
        let properties =
            json!({ "delivery_info": way_back, "delivery_tag": format!("tag-{name}") });
        let message = json!({ "body": "", "properties": properties, "padding": padding });
        pipe.lpush("celery", message.to_string()).ignore();
    }
    pipe.query::<()>(&mut line(&redis)).unwrap();
    let before = list(&redis, "celery");
    let bytes: usize = before.iter().map(Vec::len).sum();
    redis.command::<u64>(&["LPUSH", "other", "bystander"]);
    let mut server = Server::on(&redis);
    let answer = call(&mut server, "queue/move", json!(["celery", "other"]));
    assert_eq!(answer["moved"], MESSAGES, "{answer}");
    // Workers took the first two, and one was pushed behind.
    for _ in 0..2 {
        redis.command::<u64>(&["LREM", "other", "-1", "bystander"]);
        redis.command::<Vec<u8>>(&["RPOP", "other"]);
    }
    redis.command::<u64>(&["LPUSH", "other", "newcomer"]);

    let mut server = Server::on(&redis);
    call(&mut server, "queue/list", json!({}));
    let peak_before = peak(&server);
    let mut params = json!({ "saved_as": answer["saved_as"], "dry_run": true });
    let foreseen = call(&mut server, "queue/restore", params.clone());
    params["dry_run"] = false.into();
    let restored = call(&mut server, "queue/restore", params);
    let grown = peak(&server) - peak_before;
    assert!(grown < bytes / 4 * 3, "{grown} of {bytes} bytes");
    assert_eq!((&restored, &foreseen["restored"]), (&foreseen, &json!(MESSAGES - 2)));
    let skipped: Vec<_> = restored["skipped"].as_array().unwrap().iter().collect();
    assert_eq!(skipped.len(), 2, "{restored}");
    assert!(list(&redis, "celery") == before[..MESSAGES - 2], "in order, byte for byte");
    assert_eq!(list(&redis, "other"), [b"newcomer"]);
}

#[test]
fn what_workers_take_meanwhile_runs_once_with_and_without_scripts() {
    for scripts in [true, false] {
        let redis = Redis::start();
        let template = Template::of(&redis, "lab.add", json!([1, 2]));
        let all = names("t", 2_000);
        template.fill(&redis, "celery", "celery", &all);
        let user = if scripts { "+@all" } else { "-eval" };
        redis.command::<()>(&["ACL", "SETUSER", "us", "on", ">p", "~*", "&*", "+@all", user]);
        let url = redis.url(0).replace("redis://", "redis://us:p@");
        let mut server = server_with(&redis, "other", &url);
        let worker = Options { pool: "threads", concurrency: 4, ..Options::default() };
        let _worker = CeleryWorker::start(&redis, worker);
        wait_until("the worker to be at it", || redis.command_in::<u64>(1, &["DBSIZE"]) > 20);
        let answer = call(&mut server, "queue/move", json!(["celery", "other"]));
        let moved = answer["moved"].as_u64().unwrap();
        assert_eq!(tasks(&redis, "other").len() as u64, moved, "{answer}");
        wait_until("the worker to run all that it took", || {
            let run = redis.command_in::<u64>(1, &["DBSIZE"]);
            if run + moved >= 2_000 { Ok(()) } else { Err(run) }
        });
        for name in tasks(&redis, "other") {
            let result = format!("celery-task-meta-{name}");
            assert!(!redis.command_in::<bool>(1, &["EXISTS", &result]), "{name}: {scripts}");
        }
        let restored =
            call(&mut server, "queue/restore", json!({ "saved_as": answer["saved_as"] }));
        assert_eq!(restored["restored"], moved, "{restored}");
        wait_until("everything to have run", || {
            redis.command_in::<usize>(1, &["DBSIZE"]) == all.len()
        });
    }
}

#[test]
fn a_move_that_the_broker_breaks_off_is_explained_by_its_file() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 2_000));
    let proxy = Proxy::to(redis.port());
    let mut server = server_with(&redis, "other", &proxy.url(0));
    let params = json!({ "queue": "celery", "to": "other", "rate": 2_000, "progressToken": 1 });
    server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": "queue/move", "params": params }));
    wait_until("something to be moved", || list(&redis, "celery").len() < 1_500);
    proxy.cut();
    let answer = loop {
        let message = server.read().unwrap();
        if message["id"] == 99 {
            break message["result"].clone();
        }
    };
    let unsure = kinds(&answer).iter().any(|kind| ["broker", "unsure"].contains(kind));
    assert!(unsure, "{answer}");
    let there = list(&redis, "other").len() + list(&redis, "celery").len();
    assert_eq!(there, 2_000, "each is in one of the two");
    let saved_as = json!({ "saved_as": answer["saved_as"] });
    wait_until("the connection to be back", || server.call("queue/restore", saved_as.clone()));
    assert!(list(&redis, "celery") == before, "all are back");
}
