//! The real server behind the plugin: a recording stepped line by line, and its death.

use super::lab::{SMALL, expect, value};
use crate::support::neovim::Neovim;
use crate::support::server::PROGRAM;
use crate::support::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

const SEEN: f64 = 1_795_521_880.0; // 2026-11-24 12:04:40 UTC

/// A recording that is written while it is played.
struct Feed {
    folder: TempDir,
    fifo: File,
}

impl Feed {
    fn new() -> Feed {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        // For reading as well: opening it waits for no reader, and lines are kept for a late one.
        let fifo = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut feed = Feed { folder, fifo };
        feed.line(&json!({"lazycelery": "recording", "version": 1}));
        feed
    }

    fn broker(&self) -> String {
        format!("replay:{}", self.folder.path().join("feed").display())
    }

    fn line(&mut self, line: &Value) {
        writeln!(self.fifo, "{line}").unwrap();
    }

    fn event(&mut self, seen: f64, mut event: Value) {
        event["timestamp"] = seen.into();
        event["clock"] = 1.into();
        event["pid"] = 4242.into();
        event["hostname"] = event.get("hostname").cloned().unwrap_or_else(|| "w1@lab".into());
        self.line(&json!({"seen": seen, "event": event}));
    }

    fn heartbeat(&mut self, seen: f64, active: u64) {
        self.event(
            seen,
            json!({"type": "worker-heartbeat", "freq": 2.0, "active": active, "processed": 7,
                   "loadavg": [0.1, 0.2, 0.3], "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux"}),
        );
    }
}

fn watching(feed: &Feed, command: &str) -> Neovim {
    let mut nvim = Neovim::start(SMALL, &["--broker", &feed.broker()]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command(command);
    nvim
}

/// The server's process.
fn server(nvim: &mut Neovim) -> Pid {
    let children = Path::new("/proc").join(nvim.pid().to_string()).join("task");
    wait_until("the server's process", || {
        let path = children.join(nvim.pid().to_string()).join("children");
        let listed = std::fs::read_to_string(path).unwrap();
        listed.split_whitespace().find_map(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim() == "lazycelery").then(|| Pid::from_raw(pid.parse().unwrap()))?
        })
    })
}

#[test]
fn a_heartbeat_becomes_a_row_and_the_next_one_changes_it() {
    let mut feed = Feed::new();
    feed.heartbeat(SEEN, 0);
    let mut nvim = watching(&feed, "LazyCelery");
    let screen = nvim.wait_for_screen("w1@lab");
    assert!(screen.contains("● w1@lab"), "{screen}");
    feed.heartbeat(SEEN + 2.0, 3);
    nvim.wait_for_screen_that("shows three active", |screen| {
        screen.lines().any(|line| line.contains("w1@lab") && line.contains("  3"))
    });
}

#[test]
fn a_task_is_followed_from_the_list_into_its_details() {
    let mut feed = Feed::new();
    let uuid = "5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";
    feed.heartbeat(SEEN, 0);
    feed.event(
        SEEN,
        json!({"type": "task-received", "uuid": uuid, "name": "shop.tasks.charge",
               "args": "(42, 'eur')", "kwargs": "{}", "retries": 0, "root_id": uuid}),
    );
    let mut nvim = watching(&feed, "LazyCelery tasks");
    nvim.wait_for_screen("RECEIVED");
    feed.event(SEEN + 1.0, json!({"type": "task-started", "uuid": uuid}));
    nvim.wait_for_screen("▶ STARTED");
    nvim.keys("<CR>");
    nvim.wait_for_screen("▾ Timeline");
    feed.event(
        SEEN + 2.0,
        json!({"type": "task-failed", "uuid": uuid, "exception": "CardDeclined('no funds')",
               "traceback": "Traceback (most recent call last):\n  File \"/srv/app/tasks.py\", line 88, in charge\n    gateway.pay(amount)\nCardDeclined: no funds\n"}),
    );
    let screen = nvim.wait_for_screen("/srv/app/tasks.py:88");
    assert!(screen.contains("✗ FAILURE"), "{screen}");
    assert!(screen.contains("CardDeclined: no funds"), "{screen}");
}

#[test]
fn a_filter_of_the_real_server_narrows_and_its_mistakes_are_marked() {
    let mut feed = Feed::new();
    for (number, name) in ["shop.charge", "shop.mail", "mail.send"].iter().enumerate() {
        let uuid = format!("{number}f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77");
        feed.event(SEEN, json!({"type": "task-received", "uuid": uuid, "name": name, "args": "()", "kwargs": "{}"}));
    }
    let mut nvim = watching(&feed, "LazyCelery tasks");
    nvim.wait_for_screen("mail.send");
    nvim.keys("iname:shop.*");
    nvim.wait_for_screen_that("shows two", |screen| {
        screen.contains("shop.mail") && !screen.contains("mail.send")
    });
    nvim.keys(" stat:x");
    expect(&mut nvim, "#vim.diagnostic.get(0)", "1");
    assert_eq!(value(&mut nvim, "vim.diagnostic.get(0)[1].col"), "12");
    nvim.keys("<C-c>");
    nvim.wait_for_screen("mail.send");
}

/// `gs` sorts by what the server knows by that name.
#[test]
fn every_column_that_sorts_is_known_to_the_server() {
    let mut feed = Feed::new();
    feed.heartbeat(SEEN, 0);
    let mut nvim = watching(&feed, "LazyCelery");
    nvim.wait_for_screen("w1@lab");
    nvim.lua(
        "refused, asked, answered = {}, 0, 0
         for _, view in ipairs(require('lazycelery.view').order) do
           local def = require('lazycelery.view').def(view)
           local sorts = vim.tbl_map(function(column) return column.sort or '' end, def.columns)
           for _, sort in ipairs(vim.list_extend(sorts, { def.sort })) do
             if sort ~= '' then
               asked = asked + 1
               require('lazycelery').request(def.noun .. '/list', { sort = sort }, function(err)
                 answered = answered + 1
                 if err then table.insert(refused, view .. ' ' .. sort .. ': ' .. err.message) end
               end)
             end
           end
         end",
        vec![],
    );
    expect(&mut nvim, "asked > 10 and answered == asked", "true");
    assert_eq!(value(&mut nvim, "refused"), "{}");
}

#[test]
fn a_server_that_is_killed_is_started_again() {
    let mut feed = Feed::new();
    feed.heartbeat(SEEN, 0);
    let mut nvim = watching(&feed, "LazyCelery");
    nvim.wait_for_screen("w1@lab");
    kill_process(server(&mut nvim), Signal::KILL).unwrap();
    feed.line(&json!({"lazycelery": "recording", "version": 1}));
    feed.heartbeat(SEEN + 4.0, 2);
    nvim.wait_for_screen_that("shows two active", |screen| {
        screen.lines().any(|line| line.contains("w1@lab") && line.contains("  2"))
    });
}

#[test]
fn n25_neovim_closed_or_killed_leaves_no_server() {
    for kill in [false, true] {
        let mut feed = Feed::new();
        feed.heartbeat(SEEN, 0);
        let mut nvim = watching(&feed, "LazyCelery");
        nvim.wait_for_screen("w1@lab");
        let server = server(&mut nvim);
        if kill {
            drop(nvim); // SIGKILL
        } else {
            nvim.quit();
        }
        wait_until("the server to be gone", || test_kill_process(server).is_err());
    }
}

#[test]
fn environments_of_the_options_are_watched_by_the_server() {
    let mut feed = Feed::new();
    feed.heartbeat(SEEN, 0);
    let mut nvim = Neovim::start(SMALL, &[]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command(&format!(
        "lua require('lazycelery').setup({{ cmd = {{ '{PROGRAM}' }}, environments = {{ lab = {{ broker_url = '{}' }} }} }})",
        feed.broker()
    ));
    nvim.command("LazyCelery");
    nvim.wait_for_screen("● w1@lab");
    nvim.wait_for_screen("lab ●");
}
