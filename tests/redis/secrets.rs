//! URLs that a program prints: how often it is run, who waits for it, and whose guards hold.

use super::{refusal, rows, wait_for_environment};
use crate::support::redis::Redis;
use crate::support::server::{Framing, Server, configured};
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A program that prints what a file says, and counts how often it was run.
struct Program {
    folder: TempDir,
}

impl Program {
    fn printing(url: &str) -> Program {
        let program = Program { folder: tempfile::tempdir().unwrap() };
        program.print(url);
        program
    }

    fn print(&self, url: &str) {
        fs::write(self.file("url"), url).unwrap();
    }

    /// As a TOML array.
    fn command(&self) -> String {
        let (url, runs) = (self.file("url"), self.file("runs"));
        format!("['sh', '-c', 'echo x >> {}; cat {}']", runs.display(), url.display())
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.file("runs")).unwrap_or_default().lines().count()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

fn with_password(redis: &Redis, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{}/0", redis.port())
}

fn serve(config: &str, environment: &[(&str, &str)]) -> Server {
    Server::start_in(configured(config), Framing::Lines, &[], environment)
}

/// Waits until Redis was looked at so often, two seconds each.
fn wait_for_looks(redis: &Redis, count: usize) {
    let monitor = redis.monitor();
    wait_until("looks at unacked", || {
        monitor.lines().iter().filter(|line| line.contains("\"ZRANGE\"")).count() >= count
    });
}

#[test]
fn n48_a_secret_is_asked_for_once_and_again_when_it_has_changed() {
    let redis = Redis::start();
    let program = Program::printing(&redis.url(0));
    let config = format!("[environments.a]\nbroker_url_command = {}\n", program.command());
    let mut server = serve(&config, &[]);
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    redis.kill();
    wait_for_environment(&mut server, |row| row["retry_in"].is_number());
    redis.restart();
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    assert_eq!(program.runs(), 1, "the secret is remembered");

    program.print(&with_password(&redis, "new"));
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "new"]);
    redis.kill_clients("new");
    wait_until("the new secret", || program.runs() == 2);
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    assert_eq!(program.runs(), 2);
}

#[test]
fn n48_a_secret_that_is_wrong_is_not_asked_for_again_and_again() {
    let redis = Redis::start();
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "right"]);
    let program = Program::printing(&with_password(&redis, "wrong"));
    let config = format!("[environments.a]\nbroker_url_command = {}\n", program.command());
    let mut server = serve(&config, &[]);
    let error = server.call("worker/list", json!({})).unwrap_err();
    assert_eq!(error["data"]["kind"], "not_connected", "{error}");
    let row = wait_for_environment(&mut server, |row| row["status"] == "disconnected");
    assert_eq!((row.get("retry_in"), program.runs()), (None, 1), "no timer runs it again: {row}");
    assert!(!row.to_string().contains("wrong"), "{row}");

    program.print(&with_password(&redis, "right"));
    let _ = server.call("worker/list", json!({}));
    wait_for_environment(&mut server, |row| row["status"] == "connected");
    assert_eq!(program.runs(), 2, "the next call ran it");
}

#[test]
fn n48_the_program_of_a_backend_is_not_run_on_a_timer() {
    let redis = Redis::start();
    let program = Program::printing("nonsense://");
    let config = format!(
        "[environments.a]\nbroker_url = '{}'\nresult_backend_command = {}\n",
        redis.url(0),
        program.command()
    );
    let mut server = serve(&config, &[]);
    let feed = server.subscribe("task/subscribe", json!({}));
    server.next_of(feed);
    wait_until("the program to run", || program.runs() > 0);
    wait_for_looks(&redis, 5);
    assert_eq!(program.runs(), 1);

    program.print(&redis.url(1));
    wait_until("the results, after a call", || {
        let answer = server.call("task/list", json!({}))?;
        if answer.get("incomplete").is_none() { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn nobody_waits_for_a_program_that_waits_for_its_user() {
    let redis = Redis::start();
    let config = format!(
        "[environments.a]\nbroker_url = '{}'\nresult_backend_command = ['sleep', '600']\n",
        redis.url(0)
    );
    let mut server = serve(&config, &[]);
    for _ in 0..3 {
        let unknown = server.call("task/get", json!({ "uuid": "nosuch" })).unwrap_err();
        assert_eq!(unknown["data"]["kind"], "unknown_task", "{unknown}");
    }
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
}

#[test]
fn production_is_guarded_whatever_name_leads_there() {
    let (redis, other) = (Redis::start(), Redis::start());
    let program = Program::printing(&redis.url(0));
    let prod = format!(
        "[environments.prod]\nbroker_url_command = {}\nproduction = true\n",
        program.command()
    );
    let exported = |url: &str| serve(&prod, &[("CELERY_BROKER_URL", url)]);
    let rule = "`prod` is the same broker: the environment is production \
                (`environment/unlock` or `call --unlock` lifts that for a while)";

    let mut server = exported(&redis.url(0));
    assert_eq!(rows(&mut server, "worker/list", json!({})), Vec::<Value>::new());
    assert_eq!(program.runs(), 0, "reading asks for no secret");
    assert_eq!(refusal(&mut server).as_deref(), Some(rule));
    assert_eq!(refusal(&mut server).as_deref(), Some(rule));
    assert_eq!(program.runs(), 1, "it is asked once");
    let by_name = redis.url(0).replace("127.0.0.1", "localhost");
    assert_eq!(refusal(&mut exported(&by_name)).as_deref(), Some(rule));
    assert_eq!(refusal(&mut exported(&redis.url(1))), None, "another database is another cluster");
    assert_eq!(refusal(&mut exported(&other.url(0))), None);

    program.print("");
    let refused = refusal(&mut exported(&other.url(0))).unwrap();
    assert!(refused.starts_with("`prod` may be the same broker: "), "{refused}");
    let named = format!(
        "[environments.mine]\nbroker_url = '{}'\n[environments.theirs]\nbroker_url = '{}'\nread_only = true\n",
        redis.url(0),
        redis.url(0)
    );
    let refused = refusal(&mut serve(&named, &[]));
    assert_eq!(
        refused.as_deref(),
        Some("`theirs` is the same broker: the environment is read_only")
    );
}

/// What a client brings is no way around: neither at an address that is known, nor at one that a
/// program would print.
#[test]
fn production_is_guarded_against_what_a_client_brings() {
    let redis = Redis::start();
    let program = Program::printing(&redis.url(0));
    let prod = format!(
        "[environments.prod]\nbroker_url_command = {}\nproduction = true\n",
        program.command()
    );
    let mut server = serve(&prod, &[]);
    let config = json!({ "default": "mine", "environments": {
        "mine": { "broker_url": redis.url(0).replace("127.0.0.1", "localhost") } } });
    let params = json!({ "initializationOptions": { "config": config } });
    server.call("initialize", params.clone()).unwrap();
    let rule = "the environment is production (`environment/unlock` or `call --unlock` lifts that for a while)";
    let led = format!("`prod` is the same broker: {rule}");
    assert_eq!(refusal(&mut server).as_deref(), Some(&*led));

    let known =
        format!("[environments.prod]\nbroker_url = '{}'\nproduction = true\n", redis.url(0));
    let mut server = serve(&known, &[]);
    let answer = server.call("initialize", params).unwrap();
    assert_eq!(answer["environments"][1]["production"], true, "{answer}");
    assert_eq!(refusal(&mut server).as_deref(), Some(rule));
}
