//! What a view says is so: no count that nobody made, no word that was true yesterday, nothing cut
//! without saying so.

use super::lab::{self, LARGE, SMALL, lines, run};
use crate::support::neovim::Neovim;

const TASK: &str = "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";

#[test]
fn a_cluster_that_was_never_reached_has_no_counts() {
    let mut nvim = Neovim::start(SMALL, &["--broker", "redis://127.0.0.1:1"]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("LazyCelery tasks");
    let screen = nvim.wait_for_screen("The next attempt is in");
    assert!(screen.contains("1 Workers · [2 Tasks] · 3 Queues"), "{screen}");
    assert!(!screen.contains(" 0 "), "{screen}");
}

#[test]
fn a_filtered_list_says_how_many_match_of_how_many() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks state:success");
    run(&mut nvim, "double.list('task', double.tasks(3), { undecided = 2 })");
    nvim.wait_for_screen("/state:success: 3 of 48,210, 2 undecided");
    run(&mut nvim, "double.list('task', double.tasks(3), { total = 1000, exact = false })");
    nvim.wait_for_screen("/state:success: at least 1,000 of 48,210");
    run(&mut nvim, "double.tell_environment({ counts = vim.NIL })");
    nvim.wait_for_screen("/state:success: at least 1,000 match");
}

#[test]
fn a_list_of_which_not_all_was_seen_is_a_sample_and_says_of_what() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(&mut nvim, "part = { exact = false, incomplete = { 'results' } }");
    run(&mut nvim, "double.list('task', double.tasks(3), part)");
    let screen = nvim.wait_for_screen("sample prod ●");
    assert!(screen.contains("\n … not all was looked at: results"), "{screen}");
    run(&mut nvim, "part.total = 1000 double.list('task', double.tasks(3), part)");
    nvim.wait_for_screen(
        "… at least 997 more: i narrows, g<CR> loads · not all was looked at: results",
    );
    run(&mut nvim, "double.list('task', double.tasks(3))");
    lab::expect(&mut nvim, "vim.fn.search('looked at')", "0");
    assert!(!nvim.screen().contains("sample"));
}

#[test]
fn what_reaches_beyond_the_edge_shows_it_and_stays_whole() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "cluster.task.traceback.frames[1].code = ('pay(amount) '):rep(9) .. 'END' cluster.tell('task')",
    );
    nvim.wait_for_screen("▾ Arguments");
    nvim.keys("/Traceback<CR>zt");
    let screen = nvim.wait_for_screen("in charge");
    let frame = screen.lines().find(|line| line.contains("in charge")).unwrap();
    assert!(frame.ends_with('…'), "{frame}");
    assert!(lines(&mut nvim).contains("pay(amount) END"));
    nvim.keys("j$");
    nvim.wait_for_screen("END");
}

/// Raw text that few people ask for is closed at first; what was closed is so after a look elsewhere.
#[test]
fn a_page_that_is_come_back_to_has_its_sections_closed() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, "LazyCelery worker celery@web-1");
    run(&mut nvim, "cluster.tell('worker')");
    let closed = "vim.tbl_map(function(line) return vim.fn.foldclosed(vim.fn.search('^▾ ' .. line, 'nw')) ~= -1 end,
        { 'Queues', 'Active', 'Statistics', 'Configuration' })";
    lab::expect(&mut nvim, closed, "{ false, false, true, true }");
    nvim.keys("/Queues<CR>zc/Statistics<CR>zo");
    lab::expect(&mut nvim, closed, "{ true, false, false, true }");
    nvim.command("split");
    lab::expect(&mut nvim, closed, "{ true, false, false, true }");
    nvim.command("only");
    for way_back in ["<C-^>", ":LazyCelery worker celery@web-1<CR>"] {
        nvim.keys("-");
        lab::expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-workers\"");
        nvim.keys(way_back);
        lab::expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-worker\"");
        run(&mut nvim, "cluster.tell('worker')");
        lab::expect(&mut nvim, closed, "{ true, false, false, true }");
    }
}

#[test]
fn f31_a_worker_that_takes_nothing_is_told_and_what_to_do() {
    let mut nvim = lab::start(LARGE);
    lab::load(&mut nvim, "cluster = require('cluster')");
    let ignores = "{ { queue = 'high', since = 1795521800 } }";
    lab::show(&mut nvim, "LazyCelery workers");
    run(&mut nvim, &format!("cluster.workers[2].ignores = {ignores} cluster.tell('workers')"));
    nvim.wait_for_screen("takes nothing from high");
    lab::show(&mut nvim, "LazyCelery worker celery@web-1");
    run(&mut nvim, &format!("cluster.worker.ignores = {ignores} cluster.tell('worker')"));
    let screen = nvim.wait_for_screen("it takes nothing from high: restart it.");
    assert!(screen.contains("Alive and idle, but since "), "{screen}");
    run(&mut nvim, "cluster.worker.ignores = nil cluster.tell('worker')");
    lab::expect(&mut nvim, "vim.fn.search('takes nothing')", "0");
}

#[test]
fn f05_what_a_worker_does_not_tell_is_said_where_it_would_stand() {
    let mut nvim = lab::start(LARGE);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, "LazyCelery worker celery@web-1");
    run(
        &mut nvim,
        "cluster.worker.untold = { scheduled = 'it cannot encode its answer' } cluster.tell('worker')",
    );
    nvim.wait_for_screen("What events and messages tell stands here.");
    let shown = lines(&mut nvim);
    let (before, after) = shown.split_once("it cannot encode its answer").unwrap();
    assert!(before.contains("Scheduled 1") && !after.contains("Scheduled"), "{shown}");
    assert_eq!(shown.matches("What events and messages tell").count(), 1, "{shown}");
}

/// What a message said while it waited is still what it said; that it waits is not.
#[test]
fn a_finished_task_is_not_said_to_be_in_its_queue() {
    let mut nvim = lab::start(LARGE);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, TASK);
    run(&mut nvim, "cluster.task.sources = { args_json = 'queue' } cluster.tell('task')");
    let screen = nvim.wait_for_screen("exact, from its message, read while it waited");
    assert!(!screen.contains("Waits for a worker"), "{screen}");
    run(&mut nvim, "cluster.task.place, cluster.task.consumers = 'queue', 2 cluster.tell('task')");
    nvim.wait_for_screen("Waits for a worker: 2 workers read high.");
}

#[test]
fn how_long_a_task_runs_is_seen_at_eighty_columns() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "local rows = double.tasks(3)
         rows[1].state, rows[1].place, rows[1].result = 'STARTED', 'active', nil
         rows[1].started = double.environment.now - 75
         rows[2].runtime, rows[3].runtime = 8.21, 0.12
         double.list('task', rows)",
    );
    let screen = nvim.wait_for_screen("for 1m");
    assert!(screen.contains("8.2 s  None"), "{screen}");
    assert!(!screen.contains("120 ms"), "{screen}");
}

/// A cluster without task events, as Celery's defaults are: what is not known says so, and why.
#[test]
fn a_task_says_what_is_not_known_of_it_and_why() {
    let mut nvim = lab::start(SMALL);
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "local row = double.tasks(1)[1]
         row.name, row.args, row.result = nil, nil, nil
         row.state, row.exception = 'FAILURE', \"OutOfStock('sofa')\"
         row.history = { { type = 'FAILURE', at = row.seen, source = 'backend' } }
         double.notify('task/watch', { row = row })",
    );
    let screen = nvim.wait_for_screen("(the name is not known)");
    for said in [
        "queue not known",
        "Only its result was seen: a name stands there with result_extended only.",
        "failed    ┴ OutOfStock: sofa",
    ] {
        assert!(screen.contains(said), "no {said:?} in\n{screen}");
    }
}

#[test]
fn what_runs_has_a_timeline_without_events_too() {
    let mut nvim = lab::start(SMALL);
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "local row = double.tasks(1)[1]
         row.state, row.place, row.result = 'STARTED', 'active', nil
         row.queue, row.started = 'celery', double.environment.now - 75
         row.history = {}
         double.notify('task/watch', { row = row })",
    );
    let screen = nvim.wait_for_screen("▾ Timeline");
    assert!(screen.contains("started   ┴ for 1m"), "{screen}");
    assert!(!screen.contains("queue not known"), "{screen}");
}

/// What a person came for is the code; the path is whole in the peek and in the quickfix list.
#[test]
fn the_path_of_a_frame_gives_way_to_its_code() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "cluster.task.traceback.frames[1].file = '/opt/venv/lib/python3.11/site-packages/celery/app/trace.py'
         cluster.tell('task')",
    );
    nvim.wait_for_screen("▾ Arguments");
    nvim.keys("/Traceback<CR>zt");
    let screen = nvim.wait_for_screen("celery/app/trace.py:");
    assert!(screen.contains("gateway.pay(amount)"), "{screen}");
}

/// Frames of two exceptions are no one stack.
#[test]
fn an_exception_that_led_to_another_stands_between_their_frames() {
    let mut nvim = lab::start(LARGE);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "local frames = cluster.task.traceback.frames
         frames[1].exception, frames[2].exception = \"KeyError: 'sofa'\", 'CardDeclined: no'
         cluster.tell('task')",
    );
    let screen = nvim.wait_for_screen("KeyError: 'sofa'  which led to");
    let between = screen.lines().position(|line| line.contains("which led to")).unwrap();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[between - 1].contains("in charge"), "{screen}");
    assert!(lines[between + 1].contains("in pay"), "{screen}");
    assert_eq!(screen.matches("which led to").count(), 1, "the last is the outcome:\n{screen}");
}

#[test]
fn a_notice_leads_on_and_is_not_cut() {
    let mut nvim = lab::start(SMALL);
    run(
        &mut nvim,
        "double.answers['task/subscribe'] = function()
           return nil, { code = -32033, message = 'filter, character 1: expected ' .. ('a field '):rep(9) .. 'END',
             data = { kind = 'filter', position = 0 } }
         end",
    );
    nvim.command("LazyCelery tasks stat:x");
    let screen = nvim.wait_for_screen("i changes the filter, I clears it.");
    assert!(screen.contains("field END"), "{screen}");
    // Of a mistake in the settings no next attempt is planned.
    run(
        &mut nvim,
        "double.tell_environment({ status = 'disconnected', error = 'broker_url: no', retry_in = vim.NIL })",
    );
    let screen = nvim.wait_for_screen("R tries again");
    assert!(screen.contains("prod ○ not connected"), "{screen}");
}

/// Half of 80 columns: whole columns, and of the statusline what fits.
#[test]
fn half_of_eighty_columns_cuts_no_column() {
    for view in ["workers", "tasks", "queues"] {
        let mut nvim = lab::start(SMALL);
        lab::load(&mut nvim, "cluster = require('cluster')");
        lab::show(&mut nvim, &format!("LazyCelery {view}"));
        run(&mut nvim, &format!("cluster.tell('{view}')"));
        nvim.wait_for_screen_that("has rows", |screen| {
            ["web-1", "charge", "never: growing"].iter().any(|row| screen.contains(row))
        });
        nvim.command("vsplit");
        let screen = nvim.wait_for_screen_that("is halved, and cuts no row", |screen| {
            screen.lines().skip(1).take(21).all(|row| {
                let row: Vec<char> = row.chars().collect();
                row.get(40) == Some(&'│') && row[39] == ' '
            })
        });
        let status = screen.lines().nth(22).unwrap();
        assert!(!status.contains(['>', '<', '…']), "{status:?} is cut");
    }
}
