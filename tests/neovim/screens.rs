//! Every view as it looks, at both sizes and in every state it can be in, cell by cell, on the
//! Neovim that the project's tools install. `UPDATE=1` writes the files anew; look at them then.

use super::lab::{self, LARGE, SMALL, expect, load, run};
use crate::schemas::check_one;
use crate::support::neovim::{Neovim, Size};
use crate::support::root;
use crate::support::wait::wait_until;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const UUID: &str = "5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";

/// View, what opens it, and a text that is there once it is whole.
const VIEWS: [(&str, &str, &str); 7] = [
    ("workers", "LazyCelery", "celery@web-2"),
    ("worker", "LazyCelery worker celery@web-1", "▸ Configuration"),
    ("tasks", "LazyCelery tasks", "e77e001a"),
    ("task", "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77", "▸ Message"),
    ("queues", "LazyCelery queues", "1,204"),
    ("messages", "LazyCelery messages high", "undecodable"),
    ("environments", "LazyCelery environments", "not in use"),
];

/// Views that can be empty.
const LISTS: [&str; 5] = ["workers", "tasks", "queues", "messages", "environments"];

fn name_of(size: Size) -> String {
    format!("{}x{}", size.0, size.1)
}

fn opened(view: &str, size: Size) -> Neovim {
    let (_, command, _) = VIEWS.iter().find(|(name, ..)| *name == view).unwrap();
    let mut nvim = lab::start(size);
    load(&mut nvim, "cluster = require('cluster')");
    if view == "messages" || view == "environments" {
        nvim.command(command);
        if view == "environments" {
            nvim.wait_for_screen("connected");
        }
    } else {
        lab::show(&mut nvim, command);
    }
    nvim
}

fn live(view: &str, size: Size) -> Neovim {
    let (_, _, whole) = VIEWS.iter().find(|(name, ..)| *name == view).unwrap();
    let mut nvim = opened(view, size);
    run(&mut nvim, &format!("cluster.tell('{view}')"));
    // A page taller than the window is whole where its last line is in the buffer.
    let whole = whole.replace('▸', "▾");
    if view != "environments" {
        nvim.wait_for_screen("prod ●");
    }
    expect(
        &mut nvim,
        &format!(
            "table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n'):find('{whole}', 1, true) ~= nil"
        ),
        "true",
    );
    nvim
}

/// What the double says could be said by the server: screens of anything else prove nothing.
#[test]
fn the_double_speaks_as_the_server_does() {
    let mut methods = BTreeSet::new();
    for (view, ..) in VIEWS {
        let mut nvim = live(view, SMALL);
        if view == "tasks" {
            lab::tasks(&mut nvim, 3, 0);
        }
        let said = nvim.text("return vim.json.encode(double.said)");
        for one in serde_json::from_str::<Vec<Value>>(&said).unwrap() {
            let method = one["method"].as_str().unwrap();
            check_one(method, &one["params"], &one["result"]);
            methods.insert(method.to_owned());
        }
    }
    for noun in ["environment", "worker", "task", "queue"] {
        assert!(methods.contains(&format!("{noun}/changed")), "{methods:?}");
    }
}

/// Compares the screen with its file, or writes it.
pub fn check(nvim: &mut Neovim, view: &str, size: Size, state: &str) {
    let name = format!("{view}-{}-{state}", name_of(size));
    let path = root().join("tests/screens").join(format!("{name}.txt"));
    // A view that stood still for a moment makes up for it, unless a question keeps it still.
    let behind = "(function(view) return view.pending and not view.confirming or false end)";
    expect(nvim, &format!("{behind}(require('lazycelery.view').get() or {{}})"), "false");
    let screen = nvim.screen() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &screen).unwrap();
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("no tests/screens/{name}.txt; UPDATE=1 writes\n{screen}"));
    assert!(screen == expected, "{name} looks otherwise:\n{screen}\nand should look:\n{expected}");
}

fn each_live(size: Size) {
    for (view, ..) in VIEWS {
        let mut nvim = live(view, size);
        check(&mut nvim, view, size, "live");
    }
}

#[test]
fn live_small() {
    each_live(SMALL);
}

#[test]
fn live_large() {
    each_live(LARGE);
}

#[test]
fn loading() {
    for (view, command, _) in VIEWS {
        for size in [SMALL, LARGE] {
            let mut nvim = lab::start(size);
            run(&mut nvim, "double.silent['queue/messages'] = true");
            if view == "environments" {
                run(&mut nvim, "double.silent['environment/subscribe'] = true");
            }
            nvim.command(command);
            if view != "environments" {
                nvim.wait_for_screen("prod ●");
            }
            nvim.wait_for_screen_that("says that it loads", |screen| {
                screen.contains("Loading …") && !screen.contains("Loading … 2")
            });
            check(&mut nvim, view, size, "loading");
        }
    }
}

#[test]
fn empty() {
    for view in LISTS {
        for size in [SMALL, LARGE] {
            let mut nvim = opened(view, size);
            if view == "messages" {
                run(
                    &mut nvim,
                    "double.answers['queue/messages'] = { rows = {}, total = 0, exact = true }",
                );
            } else {
                run(
                    &mut nvim,
                    "double.tell_environment({ counts = { workers = 0, tasks = 0, queues = 0, active = 0, queued = 0 } })",
                );
                run(&mut nvim, &format!("cluster.tell_nothing('{view}')"));
            }
            nvim.wait_for_screen_that("explains", |screen| {
                screen.contains("[") && !screen.contains("Loading") && screen.contains(" No ")
            });
            check(&mut nvim, view, size, "empty");
        }
    }
}

#[test]
fn nothing_matches() {
    let mut nvim = opened("tasks", SMALL);
    nvim.keys("istate:retry<CR>");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"state:retry\"");
    run(&mut nvim, "cluster.tell_nothing('tasks')");
    nvim.wait_for_screen("No task matches");
    nvim.wait_for_screen("/state:retry");
    check(&mut nvim, "tasks", SMALL, "no-match");
}

#[test]
fn no_task_events() {
    for size in [SMALL, LARGE] {
        let mut nvim = live("tasks", size);
        run(&mut nvim, "double.tell_environment({ events = 'off', rates = vim.NIL })");
        nvim.wait_for_screen("no task events: ce");
        nvim.wait_for_screen("prod ◐");
        check(&mut nvim, "tasks", size, "no-events");
        run(&mut nvim, "cluster.tell_nothing('tasks')");
        nvim.wait_for_screen("ce turns task events on");
        check(&mut nvim, "tasks", size, "no-events-empty");
    }
}

#[test]
fn the_broker_is_down() {
    for size in [SMALL, LARGE] {
        for (view, ..) in VIEWS {
            let mut nvim = live(view, size);
            lose(&mut nvim);
            if view == "environments" {
                nvim.wait_for_screen("Connection refused");
            } else {
                nvim.wait_for_screen("○ retry 4 s");
                wait_until_dim(&mut nvim);
            }
            check(&mut nvim, view, size, "down");
        }
    }
    let mut nvim = opened("tasks", SMALL);
    lose(&mut nvim);
    nvim.wait_for_screen("The next attempt is in 4 s.");
    check(&mut nvim, "tasks", SMALL, "down-from-the-start");
}

/// What was loaded once is shown again while the broker is away, and so looks.
#[test]
fn a_page_opened_while_the_broker_is_down_is_dim() {
    for view in ["worker", "task", "workers"] {
        let mut nvim = lab::start(SMALL);
        load(&mut nvim, "cluster = require('cluster')");
        nvim.command("LazyCelery queues");
        nvim.wait_for_screen("prod ●");
        lose(&mut nvim);
        nvim.wait_for_screen("prod ○ retry 4 s");
        let (_, command, _) = VIEWS.iter().find(|(name, ..)| *name == view).unwrap();
        lab::show(&mut nvim, command);
        run(&mut nvim, &format!("cluster.tell('{view}')"));
        nvim.wait_for_screen("web-1");
        wait_until_dim(&mut nvim);
    }
}

#[track_caller]
fn wait_until_dim(nvim: &mut Neovim) {
    wait_until("all to be dim", || match lab::looks(nvim) {
        1 => Ok(()),
        several => Err((several, nvim.screen())),
    });
}

/// The connection to the broker is lost.
fn lose(nvim: &mut Neovim) {
    // By a clock that stands, the countdown does not tick under the comparison.
    run(
        nvim,
        "double.answers['queue/messages'] = function()
           return nil, { code = -32021, message = 'prod is not connected', data = { kind = 'not_connected' } }
         end
         double.tell_environment({ status = 'disconnected', retry_in = 3.999, error = 'Connection refused' })",
    );
}

#[test]
fn the_server_is_gone() {
    let mut nvim = live("tasks", SMALL);
    run(&mut nvim, "double.silent.initialize = true double.die(139)");
    nvim.wait_for_screen("server gone");
    check(&mut nvim, "tasks", SMALL, "server-gone");
}

#[test]
fn help_and_peek() {
    let mut nvim = live("tasks", SMALL);
    nvim.keys("g?");
    nvim.wait_for_screen("Tasks: keys");
    check(&mut nvim, "tasks", SMALL, "help");
    nvim.keys("q");
    nvim.keys("K");
    nvim.wait_for_screen("exception");
    check(&mut nvim, "tasks", SMALL, "peek");
}

/// Several queues are named above the question; what came of it stands in the last line.
#[test]
fn queues_are_purged() {
    let mut nvim = live("queues", SMALL);
    run(
        &mut nvim,
        "vim.ui.select = function(items, _, choose) asked, choose_ = items, choose end
         double.answers['queue/purge'] = function(params)
           local purged = ({ celery = 120, gpu = 31, high = 1204 })[params.queue] or 0
           return params.dry_run and { purged = purged, arrived = 0 }
             or { purged = purged, arrived = 2, saved_as = params.queue .. '.jsonl' }
         end",
    );
    nvim.keys("ggVGX");
    nvim.wait_for_screen("1,204 messages");
    check(&mut nvim, "queues", SMALL, "purge");
    run(&mut nvim, "choose_(asked[2])");
    nvim.wait_for_screen("Purged");
    check(&mut nvim, "queues", SMALL, "purged");
}

#[test]
fn change_and_resend() {
    let mut nvim = live("task", SMALL);
    run(
        &mut nvim,
        "double.answers['task/get'] = cluster.task
         double.answers['task/send'] = function(params)
           if params.kwargs_json:find('x') then
             return nil, { code = -32602, message = '`kwargs_json`: expected value at line 1, column 11',
               data = { parameter = 'kwargs_json', line = 1, column = 11 } }
           end
           return { uuid = params.uuid, queue = params.queue, dropped = { 'group' },
             warnings = { { kind = 'no_consumer', text = 'no worker says that it reads `high`' } } }
         end
         require('lazycelery.act.resend.send').uuid = function() return '9d2c6f0e-0d2c-4c58-9a57-0f3f6d1b7c02' end
         vim.ui.select = function(items) asked = items end",
    );
    nvim.keys("cc");
    nvim.wait_for_screen("kwargs:");
    check(&mut nvim, "edit", SMALL, "live");
    nvim.keys("g?");
    nvim.wait_for_screen("A task to be sent");
    check(&mut nvim, "edit", SMALL, "help");
    nvim.keys("q:%s/9007199254740993/x/<CR>:w<CR>");
    nvim.wait_for_screen("expected value");
    check(&mut nvim, "edit", SMALL, "mistake");
    nvim.keys("u:%s/740993/740992/<CR>:w<CR>");
    nvim.wait_for_screen("1 value changed");
    assert_eq!(
        lab::value(&mut nvim, "asked"),
        "{ \"No\", \"Yes, send shop.tasks.charge to high on prod\" }"
    );
    check(&mut nvim, "edit", SMALL, "question");
}

/// A queue that is being edited: what happens in it meanwhile, what cannot be written, and the plan.
#[test]
fn a_queue_being_edited() {
    let mut nvim = live("messages", SMALL);
    nvim.keys("ggdd");
    run(
        &mut nvim,
        "local before = double.answers['queue/messages']()
         double.answers['queue/messages'] = function()
           local rows = vim.deepcopy(before.rows)
           table.remove(rows, 3)
           table.insert(rows, 2, vim.tbl_extend('force', rows[2], { key = 'new' }))
           return { rows = rows, total = 1204, exact = true }
         end",
    );
    nvim.wait_for_screen("taken by a worker");
    nvim.wait_for_screen("1 new");
    check(&mut nvim, "messages", SMALL, "news");
    nvim.keys("yyp:w<CR>");
    nvim.wait_for_screen("moved, not copied");
    check(&mut nvim, "messages", SMALL, "objection");
    nvim.keys("u");
    expect(&mut nvim, "#vim.diagnostic.get(0)", "0");
    nvim.take_messages();
    nvim.keys("jdd");
    nvim.type_ahead(":w<CR>");
    nvim.wait_for_screen("Yes, delete 2 of high");
    check(&mut nvim, "messages", SMALL, "plan");
    nvim.type_ahead("1<CR>");
}

#[test]
fn ascii() {
    let mut nvim = lab::start(SMALL);
    load(&mut nvim, "cluster = require('cluster')");
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' }, ascii = true })");
    lab::show(&mut nvim, "LazyCelery tasks");
    run(&mut nvim, "cluster.tasks[9].args = '()' cluster.tell('tasks')");
    let screen = nvim.wait_for_screen("prod up");
    let odd: Vec<_> = screen.chars().filter(|c| !c.is_ascii() && !"…—·".contains(*c)).collect();
    assert!(odd.is_empty(), "{odd:?} in\n{screen}");
}

/// What is in the folder is what is compared, and no two screens are the same.
#[test]
fn each_screen_is_its_own() {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(root().join("tests/screens")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let header = text.lines().next().unwrap();
        assert!(!header.contains("prod ") || header.contains("  prod "), "{name}: {header:?}");
        if let Some(other) = seen.insert(text, name.clone()) {
            panic!("{name} and {other} look the same");
        }
    }
    let states = |view: &str| {
        let list = LISTS.contains(&view).then_some("empty");
        let events = (view == "tasks").then_some("no-events");
        ["loading", "down", "live"].into_iter().chain(list).chain(events)
    };
    for size in [SMALL, LARGE] {
        for (view, ..) in VIEWS {
            for state in states(view) {
                let name = format!("{view}-{}-{state}", name_of(size));
                assert!(seen.values().any(|one| *one == name), "no screen {name}");
            }
        }
    }
    assert!(seen.values().all(|name| !name.contains(UUID)));
}
