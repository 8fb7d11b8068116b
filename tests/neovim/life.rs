//! The server's life as the client sees it: silent, wrong, dead, back.

use super::lab::{self, SMALL, expect, number, run, tasks, value};
use crate::support::neovim::Neovim;
use std::os::unix::fs::PermissionsExt;

#[test]
fn n15_a_dead_server_leaves_a_stale_view_that_recovers() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("prod ●");
    run(&mut nvim, "double.silent.initialize = true double.die(139)");
    nvim.wait_for_screen("server gone");
    assert!(nvim.screen().contains("00000001"), "the last data stays");
    assert_eq!(lab::looks(&mut nvim), 1);
    // It is started again by itself; what answers is followed anew.
    expect(&mut nvim, "double.starts", "2");
    run(&mut nvim, "double.silent.initialize = nil double.die(1)");
    nvim.wait_for_screen("no server");
    nvim.keys("R");
    expect(&mut nvim, "double.starts", "3");
    expect(
        &mut nvim,
        "double.last('task/subscribe') ~= nil and require('lazycelery.client').phase()",
        "\"ready\"",
    );
    run(&mut nvim, "double.list('task', double.tasks(2, 10))");
    nvim.wait_for_screen("00000011");
    nvim.wait_for_screen("prod ●");
}

#[test]
fn n15_a_deaf_server_fails_the_request_at_its_deadline() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "double.silent['worker/get'] = true
         require('lazycelery.client').request('worker/get', {}, function(err) answer = err.message end, 0.05)",
    );
    expect(&mut nvim, "answer", "\"worker/get: no answer within 0 s\"");
}

#[test]
fn a_cancelled_request_is_told_so_and_never_calls_back() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "double.silent['worker/get'] = true
         local cancel = require('lazycelery').request('worker/get', {}, function() called = true end)
         cancel()",
    );
    expect(&mut nvim, "double.last('$/cancelRequest') ~= nil", "true");
    assert_eq!(value(&mut nvim, "called"), "nil");
}

#[test]
fn n18_after_a_lost_message_every_feed_starts_anew() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("00000003");
    let before = number(&mut nvim, "double.count('task/subscribe')");
    run(&mut nvim, "double.garble()");
    expect(&mut nvim, "double.count('task/subscribe')", &(before + 1).to_string());
    tasks(&mut nvim, 1, 7);
    nvim.wait_for_screen("00000008");
}

#[test]
fn an_ended_feed_is_asked_for_again_once_the_broker_is_back() {
    let mut nvim = lab::start(SMALL);
    run(
        &mut nvim,
        "double.environment.status = 'disconnected'
         double.environment.error = 'Connection refused'
         double.environment.retry_in = 9
         double.answers['task/subscribe'] = function()
           return nil, { code = -32021, message = 'prod is not connected', data = { kind = 'not_connected' } }
         end",
    );
    nvim.command("LazyCelery tasks");
    let screen = nvim.wait_for_screen("The next attempt is in");
    assert!(screen.contains("prod: no connection to redis://:***@localhost:6379/0"), "{screen}");
    assert!(screen.contains("Connection refused"), "{screen}");
    run(
        &mut nvim,
        "double.answers['task/subscribe'] = nil
         double.tell_environment({ status = 'connected', error = vim.NIL, retry_in = vim.NIL })",
    );
    expect(&mut nvim, "vim.tbl_count(double.subscriptions)", "2");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("00000001");
}

#[test]
fn a_lost_broker_keeps_the_last_rows_dimmed_and_tells_the_events() {
    let mut nvim = lab::start(SMALL);
    run(
        &mut nvim,
        "heard = {}
         vim.api.nvim_create_autocmd('User', { pattern = 'LazyCelery*', callback = function(event)
           table.insert(heard, event.match .. ' ' .. event.data.environment)
         end })",
    );
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("00000003");
    run(
        &mut nvim,
        "double.tell_environment({ status = 'disconnected', retry_in = 3, now = vim.NIL })",
    );
    let screen = nvim.wait_for_screen("prod ○ retry 3 s");
    assert!(screen.contains("00000003"), "{screen}");
    nvim.wait_for_screen("retry 2 s");
    assert_eq!(lab::looks(&mut nvim), 1);
    run(&mut nvim, "double.tell_environment({ status = 'connected', retry_in = vim.NIL })");
    nvim.wait_for_screen("prod ●");
    assert_eq!(
        value(&mut nvim, "heard"),
        r#"{ "LazyCeleryConnected prod", "LazyCeleryDisconnected prod", "LazyCeleryConnected prod" }"#
    );
}

/// A Neovim whose server is a script of ours.
fn with_program(script: Option<&str>, mode: u32) -> (Neovim, String) {
    let folder = tempfile::tempdir().unwrap().keep();
    let path = folder.join("lazycelery");
    if let Some(script) = script {
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let path = path.display().to_string();
    let mut nvim = Neovim::start_with(SMALL, &[&path]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("LazyCelery");
    (nvim, path)
}

#[test]
fn n38_why_the_server_does_not_start_is_told_apart() {
    let cases = [
        (None, 0, "is not on PATH: install it"),
        (Some("#!/bin/sh\n"), 0o644, "is not executable"),
        (Some("#!/nowhere/loader\n"), 0o755, "cannot be started"),
        (
            Some("#!/bin/sh\necho 'GLIBC_2.99 not found' >&2\nexit 1\n"),
            0o755,
            "exited with 1: GLIBC_2.99 not found",
        ),
        // Its version would be no answer to why.
        (
            Some(
                "#!/bin/sh\n[ \"$1\" = --version ] && exec echo lazycelery 1\n\
                 echo 'config.toml:2:1: key: unknown `broker_ur`' >&2\nexit 2\n",
            ),
            0o755,
            "exited with 2: config.toml:2:1: key: unknown `broker_ur`",
        ),
    ];
    for (script, mode, expected) in cases {
        let (mut nvim, path) = with_program(script, mode);
        expect(&mut nvim, "require('lazycelery.client').phase()", "\"refused\"");
        let shown = nvim.take_messages();
        let shown = shown.replace('\n', "");
        assert!(shown.contains(expected), "{path}: {shown}");
    }
}

#[test]
fn another_program_of_that_name_is_stopped_after_two_seconds() {
    let (mut nvim, path) = with_program(Some("#!/bin/sh\nexec cat >/dev/null\n"), 0o755);
    expect(&mut nvim, "require('lazycelery.client').phase()", "\"refused\"");
    let shown = nvim.take_messages().replace('\n', "");
    assert!(shown.contains(&format!("{path} did not answer within 2 s")), "{shown}");
}

#[test]
fn n42_another_protocol_is_one_sentence() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "double.answers.initialize = { protocol = 2 }");
    nvim.command("LazyCelery");
    expect(&mut nvim, "require('lazycelery.client').phase()", "\"refused\"");
    let shown = nvim.take_messages();
    assert!(
        shown.contains("speaks protocol 2, this plugin 1: update the older of the two"),
        "{shown}"
    );
}

#[test]
fn n59_null_is_nothing() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "local rows = double.tasks(1)
         rows[1].queue, rows[1].worker, rows[1].exception = vim.NIL, vim.NIL, vim.NIL
         double.list('task', rows)",
    );
    nvim.wait_for_screen("00000001");
    assert_eq!(
        value(&mut nvim, "select(2, next(require('lazycelery.view').get().rows)).queue"),
        "nil"
    );
}

#[test]
fn a_third_start_within_a_minute_is_the_last() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    for starts in 2..=3 {
        expect(&mut nvim, "require('lazycelery.client').phase()", "\"ready\"");
        run(&mut nvim, "double.die(1)");
        expect(&mut nvim, "double.starts", &starts.to_string());
    }
    expect(&mut nvim, "require('lazycelery.client').phase()", "\"ready\"");
    run(&mut nvim, "double.die(1)");
    nvim.wait_for_screen("the server ended 3 times within a minute");
    nvim.keys("R");
    expect(&mut nvim, "double.starts", "4");
}
