//! The examples of `docs/clients.md`: each is a file in `tests/clients/`, stands in the page as it is,
//! and is run by the client it is for, against a real cluster with one failed task.

use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::redis::Redis;
use crate::support::server::{PROGRAM, Server, command};
use crate::support::wait::wait_until;
use crate::support::{root, tool};
use crate::transcripts::updating;
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn folder() -> PathBuf {
    root().join("tests/clients")
}

/// `UPDATE=1` writes them down.
#[test]
fn the_page_shows_what_is_run() {
    let file = root().join("docs/clients.md");
    let written = fs::read_to_string(&file).unwrap();
    let (mut page, mut rest, mut shown) = (String::new(), written.as_str(), 0);
    while let Some((before, found)) = rest.split_once("<!-- example clients/") {
        let (name, after) = found.split_once(" -->\n```").unwrap();
        let (language, after) = after.split_once('\n').unwrap();
        let (_, after) = after.split_once("```\n").expect("the block ends");
        let example = fs::read_to_string(folder().join(name)).unwrap();
        page += &format!("{before}<!-- example clients/{name} -->\n```{language}\n{example}```\n");
        (rest, shown) = (after, shown + 1);
    }
    page += rest;
    assert_eq!(shown, fs::read_dir(folder()).unwrap().count(), "each is shown once");
    if updating() {
        fs::write(file, page).unwrap();
    } else {
        assert!(page == written, "an example is stale: UPDATE=1 cargo test --test suite clients");
    }
}

/// A cluster in which one task failed, and a home from which our program is found.
struct Scene {
    redis: Redis,
    home: TempDir,
    _worker: CeleryWorker,
}

impl Scene {
    fn set() -> Scene {
        let redis = Redis::start();
        let worker =
            CeleryWorker::start(&redis, Options { app: App::Talkative, ..Options::default() });
        let uuid = Sender::start(&redis, App::Talkative).send("lab.fail", json!([7]));
        let mut server = Server::on(&redis);
        wait_until("the task to fail", || {
            let task = server.call("task/get", json!({ "uuid": uuid }))?;
            if task["state"] == "FAILURE" { Ok(()) } else { Err(task) }
        });
        Scene { redis, home: tempfile::tempdir().unwrap(), _worker: worker }
    }

    /// A program that finds ours, and knows where the cluster is.
    fn client(&self, program: impl AsRef<Path>) -> Command {
        let ours = Path::new(PROGRAM).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [ours.into()].into_iter().chain(std::env::split_paths(&path));
        let path: OsString = std::env::join_paths(path).unwrap();
        let surroundings = command(self.home.path());
        let mut client = Command::new(program.as_ref());
        for (name, value) in surroundings.get_envs() {
            match value {
                Some(value) => client.env(name, value),
                None => client.env_remove(name),
            };
        }
        client
            .current_dir(self.home.path())
            .env("PATH", path)
            .env("CELERY_BROKER_URL", self.redis.url(0))
            .env("CELERY_RESULT_BACKEND", self.redis.url(1))
            .stdin(Stdio::null());
        client
    }
}

#[track_caller]
fn output(client: &mut Command) -> String {
    let output = client.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_shell() {
    let scene = Scene::set();
    let printed = output(scene.client("sh").arg(folder().join("failures.sh")));
    assert_eq!(printed, "lab.fail CardDeclined('insufficient funds for 7')\n");
}

#[test]
fn python() {
    let scene = Scene::set();
    let printed = output(scene.client(tool("python")).arg(folder().join("failures.py")));
    assert!(printed.starts_with("lab.fail line "), "{printed}");
    assert!(printed.contains("CardDeclined("), "{printed}");
}

/// Neovim always, and Vim where there is one.
#[test]
fn vim() {
    let scene = Scene::set();
    let vim = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("vim"))
        .find(|program| program.exists());
    let neovim = (tool("nvim"), &["--clean", "--headless"][..]);
    let vim = vim.map(|program| (program, &["-u", "NONE", "-N", "-e", "-s"][..]));
    for (program, arguments) in [neovim].into_iter().chain(vim) {
        let found = scene.home.path().join("found");
        let show = "map(getqflist(), {_, item -> \
                    fnamemodify(bufname(item.bufnr), ':t') . ' ' . item.text})";
        let client = &mut scene.client(&program);
        let script = folder().join("failures.vim");
        client.args(arguments).args(["-c", &format!("source {}", script.display())]);
        client.args(["-c", "FailedTasks"]);
        client.args(["-c", &format!("call writefile({show}, '{}')", found.display())]);
        output(client.args(["-c", "qa!"]));
        let lines = fs::read_to_string(&found).unwrap();
        let last = "gateway.py CardDeclined('insufficient funds for 7')";
        assert_eq!(lines.lines().last(), Some(last), "{}: {lines}", program.display());
        fs::remove_file(found).unwrap();
    }
}
