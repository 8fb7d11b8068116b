//! `queue/purge`, and `queue/restore` of what it saved.

use super::*;
use crate::support::celery::{CeleryWorker, Options};
use crate::support::proxy::Proxy;
use crate::support::wait::wait_until;
use std::os::unix::fs::PermissionsExt;
use std::thread;

#[test]
fn ten_thousand_messages_come_back_byte_for_byte_and_in_order() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.echo", json!(["é\u{7f}", 1.5]));
    let keys = ["celery".to_owned(), format!("celery{SEP}6")];
    let first = template.fill(&redis, "celery", &keys[0], &names("a", 9_000));
    let second = template.fill(&redis, "celery", &keys[1], &names("b", 1_000));
    let mut server = Server::on(&redis);

    let tried = call(&mut server, "queue/purge", json!({ "queue": "celery", "dry_run": true }));
    assert_eq!(tried, json!({ "purged": 10_000, "arrived": 0 }));
    assert_eq!(list(&redis, "celery").len(), 9_000, "it was only tried");
    assert!(files(server.home()).is_empty());

    let answer = call(&mut server, "queue/purge", json!(["celery"]));
    assert_eq!((&answer["purged"], &answer["arrived"]), (&json!(10_000), &json!(0)), "{answer}");
    assert_eq!(answer.get("warnings"), None);
    assert_eq!(redis.command::<u64>(&["EXISTS", &keys[0], &keys[1]]), 0);
    let path = PathBuf::from(answer["saved_as"].as_str().unwrap());
    assert_eq!(files(server.home()), std::slice::from_ref(&path));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let header = &lines(&path)[0];
    assert_eq!((&header["method"], &header["queue"]), (&json!("queue/purge"), &json!("celery")));

    redis.command::<u64>(&["LPUSH", "celery", "later"]);
    let saved_as = json!({ "saved_as": path });
    let mut params = saved_as.clone();
    params["dry_run"] = true.into();
    assert_eq!(call(&mut server, "queue/restore", params)["restored"], 10_000);
    assert_eq!(list(&redis, "celery").len(), 1, "it was only tried");

    let answer = call(&mut server, "queue/restore", saved_as.clone());
    assert_eq!(answer, json!({ "restored": 10_000, "skipped": [] }));
    assert_eq!(list(&redis, "celery")[0], b"later", "what came later runs later");
    assert!(list(&redis, "celery")[1..] == first, "the same bytes in the same order");
    assert!(list(&redis, &keys[1]) == second);

    let again = call(&mut server, "queue/restore", saved_as);
    assert_eq!((&again["restored"], kinds(&again)), (&json!(0), HashSet::from(["many"])));
    assert_eq!(again["skipped"][0]["reason"], "it was put back already");
    assert_eq!(list(&redis, "celery").len(), 9_001, "nothing is doubled");
}

#[test]
fn single_messages_are_put_back_by_name() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    template.fill(&redis, "celery", "celery", &names("t", 5));
    let mut server = Server::on(&redis);
    let saved_as = call(&mut server, "queue/purge", json!(["celery"]))["saved_as"].clone();
    let params = json!({ "saved_as": saved_as, "uuids": ["t-3", "nosuch"], "keys": ["tag-t-1"] });
    let answer = call(&mut server, "queue/restore", params);
    assert_eq!(
        answer,
        json!({ "restored": 2, "skipped": [{ "key": "nosuch", "reason": "not in this file" }] })
    );
    let order: Vec<_> = list(&redis, "celery").iter().map(|raw| task(raw)).collect();
    assert_eq!(order, ["t-3", "t-1"], "the first to run is the last of the list");

    let error = server.call("queue/restore", json!({ "saved_as": saved_as, "uuids": [] }));
    assert_eq!(error.unwrap_err()["code"], -32602);
    let into = json!({ "saved_as": saved_as, "uuids": ["t-0"], "to": "nosuch" });
    let error = server.call("queue/restore", into).unwrap_err();
    assert_eq!(error["data"]["kind"], "unknown_queue", "{error}");
    redis.command::<u64>(&["SADD", "_kombu.binding.other", &format!("other{SEP}{SEP}other")]);
    let into = json!({ "saved_as": saved_as, "uuids": ["t-0"], "to": "other" });
    let answer =
        wait_until("the other queue to be known", || server.call("queue/restore", into.clone()));
    assert_eq!((&answer["restored"], &answer["skipped"]), (&json!(1), &json!([])), "{answer}");
    assert_eq!(kinds(&answer), HashSet::from(["no_consumer"]), "{answer}");
    let [copy] = list(&redis, "other").try_into().unwrap();
    let copy: Value = serde_json::from_slice(&copy).unwrap();
    assert_eq!(
        copy["properties"]["delivery_info"],
        json!({ "exchange": "", "routing_key": "other" })
    );
    assert_ne!(copy["properties"]["delivery_tag"], "tag-t-0");

    let elsewhere = Redis::start();
    let mut other = Server::on(&elsewhere);
    let error = other.call("queue/restore", json!({ "saved_as": saved_as })).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains(&elsewhere.url(0)), "{error}");
}

/// F09
#[test]
fn f09_what_is_no_list_is_left_alone_and_named() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    template.fill(&redis, "celery", "celery", &names("t", 3));
    let foreign = format!("celery{SEP}3");
    redis.command::<()>(&["SET", &foreign, "a rate limiter's"]);
    let mut server = Server::on(&redis);
    let answer = call(&mut server, "queue/purge", json!(["celery"]));
    assert_eq!((&answer["purged"], kinds(&answer)), (&json!(3), HashSet::from(["foreign"])));
    let text = answer["warnings"][0]["text"].as_str().unwrap();
    assert!(text.contains("celery\\u{6}\\u{16}3") && text.contains("string"), "{text}");
    assert_eq!(redis.command::<String>(&["GET", &foreign]), "a rate limiter's");
}

#[test]
fn a_queue_whose_type_may_not_be_asked_for_is_no_foreign_key() {
    let redis = Redis::start();
    redis.command::<u64>(&["RPUSH", "celery", "a", "b"]);
    redis.command::<u64>(&["SADD", &format!("celery{SEP}3"), "a"]);
    redis.command::<()>(&["ACL", "SETUSER", "us", "on", ">p", "~*", "&*", "+@all", "-type"]);
    let url = redis.url(0).replace("redis://", "redis://us:p@");
    let mut server = Server::start(&["--broker", &url], &[]);
    let answer = call(&mut server, "queue/purge", json!(["celery"]));
    assert_eq!(answer["purged"], 2, "{answer}");
    assert_eq!(kinds(&answer), HashSet::from(["foreign"]), "only the set: {answer}");
    assert_eq!(redis.command::<u64>(&["DBSIZE"]), 1);

    redis.command::<u64>(&["RPUSH", "celery", "a"]);
    redis.command::<()>(&["ACL", "SETUSER", "us", "-llen"]);
    let error = server.call("queue/purge", json!(["celery"])).unwrap_err();
    assert_eq!(error["data"]["kind"], "broker", "{error}");
    assert_eq!(redis.command::<u64>(&["LLEN", "celery"]), 1);
}

#[test]
fn what_is_no_recovery_file_is_not_waited_for() {
    let redis = Redis::start();
    let mut server = Server::on(&redis);
    let home = server.home().to_owned();
    let path = home.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    for (path, why) in [
        (path.as_path(), "it is no regular file"),
        (&*home, "it is no regular file"),
        (Path::new("/dev/zero"), "it is no regular file"),
        (Path::new("/etc/hosts"), "not a recovery file of this version"),
    ] {
        let error = server.call("queue/restore", json!([path])).unwrap_err();
        let message = error["message"].as_str().unwrap();
        assert!(error["code"] == -32602 && message.ends_with(why), "{error}");
    }
}

/// F06: purging is the cure, and putting back has to wait.
#[test]
fn f06_a_full_broker_is_purged_and_takes_nothing_back_until_there_is_room() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.echo", json!(["x".repeat(2_000)]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 600));
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let mut server = Server::on(&redis);
    let answer = call(&mut server, "queue/purge", json!(["celery"]));
    assert_eq!(answer["purged"], 600, "{answer}");
    let saved_as = json!({ "saved_as": answer["saved_as"] });
    let error = server.call("queue/restore", saved_as.clone()).unwrap_err();
    assert_eq!(error["data"]["kind"], "broker", "{error}");
    assert!(error["data"]["reason"].as_str().unwrap().starts_with("OOM "), "{error}");

    // Full before it is through: what was refused goes the next time.
    let used: String = redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let room = (used.trim().parse::<u64>().unwrap() + 1_000_000).to_string();
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", &room]);
    let answer = call(&mut server, "queue/restore", saved_as.clone());
    let restored = answer["restored"].as_u64().unwrap();
    assert!((1..600).contains(&restored), "{answer}");
    assert_eq!(kinds(&answer), HashSet::from(["broker"]));
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let answer = call(&mut server, "queue/restore", saved_as);
    assert_eq!(answer["restored"], 600 - restored, "{answer}");
    assert!(list(&redis, "celery") == before, "in order, though it took two");
}

/// F51
#[test]
fn f51_a_broker_whose_disk_is_full_refuses_before_anything_is_done() {
    let disk = tempfile::tempdir().unwrap();
    let redis = Redis::start_with(&["--dir", disk.path().to_str().unwrap(), "--save", "3600 1"]);
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    template.fill(&redis, "celery", "celery", &names("t", 3));
    let mut server = Server::on(&redis);
    let saved_as = call(&mut server, "queue/purge", json!(["celery"]))["saved_as"].clone();
    template.fill(&redis, "celery", "celery", &names("u", 3));
    let files_before = files(server.home());

    drop(disk);
    redis.command::<String>(&["BGSAVE"]);
    wait_until("Redis to refuse writes", || {
        let info: String = redis.command(&["INFO", "persistence"]);
        info.contains("rdb_last_bgsave_status:err")
    });
    for (method, params) in
        [("queue/purge", json!(["celery"])), ("queue/restore", json!({ "saved_as": saved_as }))]
    {
        let error = server.call(method, params).unwrap_err();
        assert_eq!(error["data"]["kind"], "broker", "{error}");
        assert!(error["data"]["reason"].as_str().unwrap().starts_with("MISCONF "), "{error}");
    }
    assert_eq!(list(&redis, "celery").len(), 3);
    assert_eq!(files(server.home()), files_before);
}

#[test]
fn a_purge_that_could_block_for_long_is_refused_and_its_cost_named() {
    let redis = Redis::start();
    redis.command::<()>(&["ACL", "SETUSER", "us", "on", ">p", "~*", "&*", "+@all", "-eval"]);
    let mut pipe = ::redis::pipe();
    for _ in 0..60 {
        pipe.cmd("LPUSH").arg("celery").arg(vec!["x"; 1_000]).ignore();
    }
    pipe.query::<()>(&mut line(&redis)).unwrap();
    let url = redis.url(0).replace("redis://", "redis://us:p@");
    let mut server = Server::start(&["--broker", &url], &[]);
    let error = server.call("queue/purge", json!(["celery"])).unwrap_err();
    assert_eq!(error["data"]["kind"], "blocking", "{error}");
    assert_eq!(error["data"]["milliseconds"], 6);
    assert!(files(server.home()).is_empty());
    let accepted = json!({ "queue": "celery", "accept_blocking": true });
    assert_eq!(call(&mut server, "queue/purge", accepted)["purged"], 60_000);
}

#[test]
fn two_of_us_purge_one_queue_and_each_message_is_removed_once() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 3_000));
    let mut servers = [Server::on(&redis), Server::on(&redis)];
    let answers = thread::scope(|scope| {
        let purging = servers
            .each_mut()
            .map(|server| scope.spawn(|| call(server, "queue/purge", json!(["celery"]))));
        purging.map(|purging| purging.join().unwrap())
    });
    let purged: u64 = answers.iter().map(|answer| answer["purged"].as_u64().unwrap()).sum();
    assert_eq!(purged, 3_000, "{answers:#?}");
    for (server, answer) in servers.iter_mut().zip(&answers) {
        if let Some(saved_as) = answer.get("saved_as") {
            let restored = call(server, "queue/restore", json!({ "saved_as": saved_as }));
            assert_eq!(restored["restored"], answer["purged"], "{restored}");
        }
    }
    let after = list(&redis, "celery");
    let (sorted, mut found) = (
        |mut list: Vec<Vec<u8>>| {
            list.sort();
            list
        },
        after,
    );
    found.sort();
    assert!(sorted(before) == found, "each is there once");
}

#[test]
fn what_workers_take_meanwhile_runs_once_and_the_rest_is_saved() {
    for scripts in [true, false] {
        let redis = Redis::start();
        let template = Template::of(&redis, "lab.add", json!([1, 2]));
        let all = names("t", 2_000);
        template.fill(&redis, "celery", "celery", &all);
        let user = if scripts { "+@all" } else { "-eval" };
        redis.command::<()>(&["ACL", "SETUSER", "us", "on", ">p", "~*", "&*", "+@all", user]);
        let url = redis.url(0).replace("redis://", "redis://us:p@");
        let worker = Options { pool: "threads", concurrency: 4, ..Options::default() };
        let _worker = CeleryWorker::start(&redis, worker);
        wait_until("the worker to be at it", || redis.command_in::<u64>(1, &["DBSIZE"]) > 20);
        let mut server = Server::start(&["--broker", &url], &[]);
        let answer = call(&mut server, "queue/purge", json!(["celery"]));
        let path = PathBuf::from(answer["saved_as"].as_str().unwrap());
        let removed: HashSet<u64> = lines(&path)
            .iter()
            .flat_map(|line| line["removed"].as_array().into_iter().flatten())
            .map(|number| number.as_u64().unwrap())
            .collect();
        assert_eq!(answer["purged"], removed.len());
        assert!(removed.len() > 100, "{answer}");
        let saved = saved(&path);
        let removed: HashSet<String> =
            removed.into_iter().map(|number| task(&saved[number as usize])).collect();
        wait_until("the worker to run all that it took", || {
            let run = redis.command_in::<usize>(1, &["DBSIZE"]);
            if run + removed.len() >= all.len() { Ok(()) } else { Err(run) }
        });
        for name in &all {
            let result = format!("celery-task-meta-{name}");
            let ran = redis.command_in::<bool>(1, &["EXISTS", &result]);
            assert_eq!(ran, !removed.contains(name), "{name}, scripts: {scripts}");
        }
        let restored = call(&mut server, "queue/restore", json!({ "saved_as": path }));
        assert_eq!(restored["restored"], removed.len(), "{restored}");
        wait_until("everything to have run", || {
            redis.command_in::<usize>(1, &["DBSIZE"]) == all.len()
        });
    }
}

#[test]
fn a_purge_that_the_broker_breaks_off_says_so_and_is_explained_by_its_file() {
    let redis = Redis::start();
    let template = Template::of(&redis, "lab.add", json!([1, 2]));
    let before = template.fill(&redis, "celery", "celery", &names("t", 2_000));
    let proxy = Proxy::to(redis.port());
    let mut server = Server::start(&["--broker", &proxy.url(0)], &[]);
    let params = json!({ "queue": "celery", "rate": 2_000, "progressToken": 1 });
    server.send(&json!({ "jsonrpc": "2.0", "id": 99, "method": "queue/purge", "params": params }));
    wait_until("something to be removed", || list(&redis, "celery").len() < 1_500);
    proxy.cut();
    let answer = loop {
        let message = server.read().unwrap();
        if message["id"] == 99 {
            break message["result"].clone();
        }
    };
    assert_eq!(kinds(&answer), HashSet::from(["broker"]), "{answer}");
    let saved_as = json!({ "saved_as": answer["saved_as"] });
    let restored =
        wait_until("the connection to be back", || server.call("queue/restore", saved_as.clone()));
    assert!(restored["restored"].as_u64() >= answer["purged"].as_u64(), "{restored}");
    assert!(list(&redis, "celery") == before, "all are back");
}
