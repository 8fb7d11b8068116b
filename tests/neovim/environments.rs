//! The view of all environments, and the way between them.

use super::lab::{self, SMALL, expect, number, run, value};
use crate::support::neovim::Neovim;

fn all() -> Neovim {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    nvim.command("LazyCelery environments");
    nvim.wait_for_screen("connected");
    run(&mut nvim, "cluster.tell('environments')");
    nvim.wait_for_screen("not in use");
    nvim
}

#[test]
fn an_environment_is_entered_and_left_and_none_is_contacted_meanwhile() {
    let mut nvim = all();
    assert_eq!(number(&mut nvim, "double.feeds"), 0);
    let screen = nvim.screen();
    assert!(screen.contains("Connection refused"), "{screen}");
    nvim.keys("/staging<CR>");
    assert_eq!(
        value(&mut nvim, "require('lazycelery').row()"),
        "{\n  environment = \"staging\",\n  key = \"staging\",\n  noun = \"environment\"\n}"
    );
    nvim.keys("<CR>");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://staging:workers\"");
    expect(&mut nvim, "double.last('worker/subscribe').environment", "\"staging\"");
    nvim.keys("-");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://:environments\"");
    // The cursor is where it was: `g2` leads to the tasks of that environment.
    nvim.keys("g2");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://staging:tasks\"");
    nvim.keys("g4");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://:environments\"");
    run(&mut nvim, "cluster.tell('environments')");
    nvim.wait_for_screen("not in use");
    nvim.keys("gg/staging<CR>]v");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://staging:workers\"");
}

#[test]
fn several_environments_stand_side_by_side() {
    let mut nvim = all();
    nvim.command("LazyCelery env prod");
    nvim.command("vertical LazyCelery env staging");
    expect(&mut nvim, "double.count('worker/subscribe')", "2");
    run(
        &mut nvim,
        "for id, feed in pairs(double.subscriptions) do
           if feed.method == 'worker/subscribe' then
             local row = { key = 'w', hostname = feed.params.environment .. '-worker', status = 'online' }
             double.tell(id, { rows = { row }, keys = { 'w' }, total = 1, exact = true })
           end
         end",
    );
    nvim.wait_for_screen("prod-worker");
    let screen = nvim.wait_for_screen("staging-worker");
    assert!(screen.contains("prod ●") && screen.contains("staging ◐"), "{screen}");
}

#[test]
fn environments_of_the_options_are_told_to_the_server() {
    let mut nvim = lab::start(SMALL);
    let told = "double.last('initialize').initializationOptions";
    run(
        &mut nvim,
        "require('lazycelery').setup({ cmd = { 'true' }, environments = { staging = { broker_url = 'redis://staging' } } })",
    );
    nvim.command("LazyCelery environments");
    expect(
        &mut nvim,
        &format!("{told}.config.environments.staging.broker_url"),
        "\"redis://staging\"",
    );
    nvim.wait_for_screen("connected");
    assert_eq!(value(&mut nvim, "#require('lazycelery.client').outdated()"), "0");
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' } })");
    nvim.command("LazyCelery environments");
    let messages = value(&mut nvim, "vim.fn.execute('messages')");
    assert!(messages.contains("another `environments`; :LazyCelery restart"), "{messages}");
    nvim.command("LazyCelery restart");
    expect(&mut nvim, "double.count('initialize')", "2");
    assert_eq!(value(&mut nvim, &format!("{told}.config")), "nil");
}

#[test]
fn environments_are_filtered_sorted_and_completed() {
    let mut nvim = all();
    let asked = |member: &str| {
        format!(
            "vim.tbl_filter(function(feed) return feed.params.{member} end,
               vim.tbl_values(double.subscriptions))[1].params.{member}"
        )
    };
    nvim.command("LazyCelery environments status:disconnected");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://:environments?status:disconnected\"");
    expect(&mut nvim, &asked("filter"), "\"status:disconnected\"");
    run(&mut nvim, "cluster.tell('environments')");
    nvim.wait_for_screen("connected");
    nvim.keys("gs");
    expect(&mut nvim, &asked("sort"), "\"-name\"");
    // What completes is asked of no one environment.
    run(&mut nvim, "double.methods = { 'filter/complete' }");
    nvim.command("LazyCelery restart");
    expect(&mut nvim, "double.count('initialize')", "2");
    nvim.keys("i");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-filter\"");
    nvim.keys("<Esc>A <C-x><C-o>");
    expect(&mut nvim, "double.last('filter/complete').noun", "\"environment\"");
    assert_eq!(value(&mut nvim, "double.last('filter/complete').environment"), "nil");
}
