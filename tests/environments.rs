//! Several environments in one process.

use crate::support::server::{Feed, Framing, Server, configured};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A recording of so many tasks.
fn record(folder: &Path, name: &str, tasks: usize) -> String {
    let mut lines = String::from("{\"lazycelery\":\"recording\",\"version\":1}\n");
    for number in 0..tasks {
        let seen = 1_795_500_000 + number;
        lines += &json!({ "seen": seen, "event": { "type": "task-received", "uuid":
            format!("{name}-{number:05}"), "name": "lab.add", "hostname": "w1@lab",
            "timestamp": seen, "pid": 7, "clock": number } })
        .to_string();
        lines.push('\n');
    }
    let path = folder.join(name);
    fs::write(&path, lines).unwrap();
    format!("[environments.{name}]\nbroker_url = \"replay:{}\"\n", path.display())
}

/// Every key of a list, page by page.
#[track_caller]
fn pages(server: &mut Server, limit: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut params = json!({ "environment": "*", "limit": limit });
    loop {
        let page = server.call("task/list", params.clone()).unwrap();
        let rows = page["rows"].as_array().unwrap();
        keys.extend(rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()));
        match page.get("cursor") {
            Some(cursor) => params["cursor"] = cursor.clone(),
            None => return keys,
        }
        assert_eq!(rows.len(), limit, "every page but the last is full");
    }
}

#[test]
fn pages_of_all_environments_lose_nothing_however_far() {
    let folder = tempfile::tempdir().unwrap();
    let parts =
        [("a", 9_000), ("b", 7_000), ("c", 7)].map(|(name, n)| record(folder.path(), name, n));
    let home = configured(&parts.concat());
    let mut server = Server::start_in(home, Framing::Lines, &[], &[]);
    let keys = pages(&mut server, 3_000);
    assert_eq!(keys.len(), 16_007);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 16_007, "none comes twice");
    let newest: Vec<_> = keys.iter().take(2).map(String::as_str).collect();
    assert_eq!(newest, ["a/a-08999", "a/a-08998"]);

    let first = json!({ "environment": "*", "limit": 10, "offset": 4 });
    let page = server.call("task/list", first).unwrap();
    assert_eq!(page["rows"][0]["key"], "a/a-08995", "{page}");
    let params = json!({ "environment": "*", "limit": 1, "cursor": page["cursor"] });
    let page = server.call("task/list", params).unwrap();
    assert_eq!(page["rows"][0]["key"], "a/a-08985", "{page}");
}

#[test]
fn a_cursor_that_is_none_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home =
        configured(&[("a", 3), ("b", 3)].map(|(name, n)| record(folder.path(), name, n)).concat());
    let mut server = Server::start_in(home, Framing::Lines, &[], &[]);
    for environment in ["*", "a"] {
        for cursor in ["x", "100", "", "e30x"] {
            let params = json!({ "environment": environment, "cursor": cursor });
            let error = server.call("task/list", params).unwrap_err();
            assert_eq!(error["code"], -32602, "{environment} {cursor:?}: {error}");
        }
    }
    let by_name = json!({ "environment": "*", "limit": 1, "sort": "name" });
    let cursor = server.call("task/list", by_name).unwrap()["cursor"].clone();
    let by_time = json!({ "environment": "*", "limit": 1, "sort": "-seen", "cursor": cursor });
    assert_eq!(server.call("task/list", by_time).unwrap_err()["code"], -32602);
}

#[test]
fn listing_environments_runs_no_program_and_asking_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let home = configured(&format!(
        "[environments.a]\nbroker_url_command = ['sh', '-c', 'echo x >> {}; exit 1']\n",
        ran.display()
    ));
    let mut server = Server::start_in(home, Framing::Lines, &[], &[]);
    let feed = server.subscribe("environment/subscribe", json!({}));
    for _ in 0..3 {
        let answer = server.call("environment/list", json!({})).unwrap();
        assert_eq!(answer["rows"][0]["status"], "idle", "{answer}");
    }
    server.next_of(feed);
    assert!(!ran.exists(), "it was only listed");
    let error = server.call("worker/list", json!({})).unwrap_err();
    assert_eq!(error["data"]["kind"], "not_connected", "{error}");
    assert_eq!(fs::read_to_string(&ran).unwrap(), "x\n");
    let row = &server.call("environment/list", json!({})).unwrap()["rows"][0];
    assert_eq!(row.get("retry_in"), None::<&Value>, "no timer runs it again: {row}");
}

/// `initialize` with this configuration; what it answers.
#[track_caller]
fn initialize(server: &mut Server, config: Value) -> Result<Value, Value> {
    server.call("initialize", json!({ "initializationOptions": { "config": config } }))
}

#[test]
fn a_client_brings_environments_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = |name: &str, tasks| {
        record(folder.path(), name, tasks);
        json!({ "broker_url": format!("replay:{}", folder.path().join(name).display()) })
    };
    let home = configured(&record(folder.path(), "mine", 2));
    let mut server = Server::start_in(home, Framing::Lines, &[], &[]);
    let mut everywhere =
        Feed::new(server.subscribe("task/subscribe", json!({ "environment": "*" })));
    let mut list = Feed::new(server.subscribe("environment/subscribe", json!({})));
    server.follow(&mut everywhere, "the tasks of one", |feed| (feed.total == 2).then_some(()));
    server.follow(&mut list, "the one that is configured", |feed| {
        (feed.rows().len() == 1).then_some(())
    });

    let theirs = recorded("theirs", 3);
    let config = json!({ "default": "theirs", "environments": { "theirs": theirs } });
    let answer = initialize(&mut server, config.clone()).unwrap();
    let names: Vec<_> = answer["environments"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|row| (&row["name"], &row["url_from"])).collect();
    assert_eq!(names[1], (&json!("theirs"), &json!("initialize")), "{answer}");
    assert_eq!((names.len(), &answer["default"]), (2, &json!("theirs")));
    server.follow(&mut everywhere, "the tasks of both", |feed| (feed.total == 5).then_some(()));
    server.follow(&mut list, "the new environment", |feed| feed.row("theirs").map(drop));
    assert_eq!(server.call("task/list", json!({})).unwrap()["total"], 3, "the client's default");
    assert_eq!(initialize(&mut server, config).unwrap()["environments"], {
        server.call("environment/list", json!({})).unwrap()["rows"].clone()
    });
}

#[test]
fn what_a_client_may_not_bring_is_refused_and_nothing_has_changed() {
    let home = configured("[environments.prod]\nbroker_url = 'redis://:pw@h/1'\n");
    let program = home.path().join("ran");
    let mut server = Server::start_in(home, Framing::Lines, &[], &[]);
    for (environments, setting) in [
        (
            json!({ "a": { "broker_url_command": ["touch", program] } }),
            "environments.a.broker_url_command",
        ),
        (
            json!({ "prod": { "broker_url": "redis://:secret@h/2" } }),
            "environments.prod.broker_url",
        ),
        (json!({ "a": { "brokr_url": "redis://h" } }), "environments.a.brokr_url"),
    ] {
        let config = json!({ "environments": environments, "default": "a" });
        let error = initialize(&mut server, config).unwrap_err();
        assert_eq!(error["code"], -32031, "{error}");
        let told = format!("initializationOptions.config.{setting}");
        assert_eq!(error["data"]["setting"], told, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = initialize(&mut server, json!([])).unwrap_err();
    assert_eq!(error["code"], -32602, "{error}");
    let rows = server.call("environment/list", json!({})).unwrap();
    assert_eq!((&rows["total"], &rows["rows"][0]["name"]), (&json!(1), &json!("prod")));
    assert!(!program.exists(), "no program was run");
}

/// Names of the environments that a list answers.
#[track_caller]
fn listed(server: &mut Server, params: Value) -> Vec<String> {
    let answer = server.call("environment/list", params).unwrap();
    let rows = answer["rows"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn environments_are_filtered_sorted_and_paged_as_every_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = [("b", 3), ("a", 1)].map(|(name, n)| record(folder.path(), name, n)).concat();
    config += "[environments.prod]\nbroker_url = 'redis://prod/1'\nproduction = true\n";
    let mut server = Server::start_in(configured(&config), Framing::Lines, &[], &[]);
    let filtered = |filter: &str| json!({ "filter": filter });
    assert_eq!(listed(&mut server, json!({})), ["a", "b", "prod"]);
    assert_eq!(listed(&mut server, filtered("production:true")), ["prod"]);
    assert_eq!(listed(&mut server, filtered("transport:replay,amqp !name:b*")), ["a"]);
    assert_eq!(listed(&mut server, filtered("PROD")), ["prod"], "a word, in any text");
    assert_eq!(listed(&mut server, filtered("status:idle")), ["a", "b", "prod"]);

    for name in ["a", "b"] {
        server.call("task/list", json!({ "environment": name })).unwrap();
    }
    assert_eq!(listed(&mut server, filtered("tasks:>1")), ["b"]);
    let answer = server.call("environment/list", filtered("tasks:>1")).unwrap();
    assert_eq!(answer["undecided"], 1, "of what was never connected nobody knows: {answer}");
    assert_eq!(listed(&mut server, json!({ "sort": "-tasks" })), ["b", "a", "prod"]);
    let first = server.call("environment/list", json!({ "limit": 2 })).unwrap();
    let rest = json!({ "limit": 2, "cursor": first["cursor"] });
    assert_eq!(listed(&mut server, rest), ["prod"]);

    let error = server.call("environment/list", filtered("status:conected")).unwrap_err();
    assert_eq!(error["data"]["position"], 7, "{error}");
    let hints = server.call("environment/list", filtered("name:prd")).unwrap()["hints"].take();
    assert_eq!(hints[0]["text"], "no known name is `prd`: did you mean `prod`?");
    let offered = server.call("filter/complete", json!(["environment", "transport:re"])).unwrap();
    let offered: Vec<_> =
        offered["items"].as_array().unwrap().iter().map(|item| &item["text"]).collect();
    assert_eq!(offered, ["redis", "replay"]);

    // A feed takes them as any other's.
    let mut feed = Feed::new(
        server.subscribe("environment/subscribe", json!({ "filter": "status:connected" })),
    );
    server.follow(&mut feed, "those that are connected", |feed| {
        (feed.rows().len() == 2).then_some(())
    });
    let change = json!({ "subscription": feed.subscription, "filter": "", "sort": "-name" });
    server.call("subscription/update", change).unwrap();
    server.follow(&mut feed, "all of them, from the last", |feed| {
        let names: Vec<_> = feed.rows().iter().map(|row| row["name"].clone()).collect();
        (names == ["prod", "b", "a"]).then_some(())
    });
}
