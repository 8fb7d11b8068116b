//! `gX` and `:LazyCelery export`: what a view's filter lets through, in a file that the real server
//! writes; and what a real one shows too seldom, told by the double.

use super::lab::{self, SMALL, expect, run, value};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use serde_json::{Value, json};
use std::fs;

const CATCH: &str =
    "vim.ui.select = function(items, options, choose) asked, choose_ = items, choose end
    vim.ui.input = function(options, done) typing, type_ = options, done end
    said = {}
    vim.notify = function(text) table.insert(said, text) end";

#[test]
fn what_the_filter_shows_is_what_the_file_holds() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options { events: true, ..Options::default() });
    let (broker, backend) = (redis.url(0), redis.url(1));
    let mut nvim = Neovim::start(SMALL, &["--broker", &broker, "--backend", &backend]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen("●");
    let mut sender = Sender::start(&redis, App::Default);
    let failed = sender.send("lab.fail", json!([7]));
    sender.send("lab.add", json!([1, 2]));
    nvim.wait_for_screen("SUCCESS");
    nvim.wait_for_screen("FAILURE");
    run(&mut nvim, CATCH);

    nvim.command("LazyCelery tasks state:failure");
    nvim.wait_for_screen_that("shows one", |screen| {
        screen.contains("FAILURE") && !screen.contains("SUCCESS")
    });
    nvim.keys("gX");
    expect(&mut nvim, "typing.completion", "\"file\"");
    assert_eq!(value(&mut nvim, "typing.prompt"), "\"Export 1 task to (.csv, .json, .jsonl): \"");
    run(&mut nvim, "type_('~/failed.jsonl')");
    expect(&mut nvim, "said[1]:match('^Exported 1 task to ')", "\"Exported 1 task to \"");
    let file = nvim.home().join("failed.jsonl");
    let row: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(row["uuid"], failed);

    fs::write(&file, "mine").unwrap();
    nvim.command("LazyCelery export ~/failed.jsonl");
    expect(&mut nvim, "asked and asked[1]", "\"No\"");
    assert!(value(&mut nvim, "asked[2]").starts_with("\"Yes, overwrite /"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    run(&mut nvim, "choose_(asked[2])");
    expect(&mut nvim, "#said", "2");
    assert!(fs::read_to_string(&file).unwrap().contains(&failed));
    nvim.command("LazyCelery! export ~/failed.jsonl");
    expect(&mut nvim, "#said", "3");

    nvim.command("LazyCelery export failed.txt");
    expect(&mut nvim, "said[4]:match('`csv`, `json` or `jsonl`')", "\"`csv`, `json` or `jsonl`\"");
    fs::write(nvim.home().join("other.csv"), "").unwrap();
    assert_eq!(
        value(&mut nvim, "vim.fn.getcompletion('LazyCelery export oth', 'cmdline')"),
        "{ \"other.csv\" }"
    );
    nvim.command("LazyCelery queues");
    nvim.wait_for_screen("QUEUE");
    nvim.command("LazyCelery export ~/all.csv");
    expect(&mut nvim, "said[5]", "\"lazycelery: export is of tasks; g2 shows them\"");
}

#[test]
fn a_long_export_shows_how_far_it_is_and_is_stopped() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    lab::tasks(&mut nvim, 5, 0);
    nvim.wait_for_screen("00000001");
    run(&mut nvim, CATCH);
    run(
        &mut nvim,
        "double.silent['task/export'] = true
         double.answers['job/cancel'] = function(params) cancelled = params.job return {} end",
    );
    nvim.command("LazyCelery export /tmp/tasks.csv");
    expect(&mut nvim, "double.last('task/export') ~= nil", "true");
    run(
        &mut nvim,
        "double.progress('task/export', { kind = 'report', done = 43210, total = 1000000 })",
    );
    nvim.wait_for_screen("Exporting tasks: 43,210 of 1,000,000");
    nvim.keys("<C-c>");
    expect(&mut nvim, "cancelled", "\"job-1\"");
}
