//! Commands that act, given where no view is: in the environment that there is, or that is chosen.

use super::lab::{self, SMALL, asked, expect, number, pick, run, shown, type_in, value};
use crate::support::neovim::Neovim;

/// A Neovim that edits a file, and whose server was never asked for anything.
fn elsewhere() -> Neovim {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "acting, picker = require('acting'), require('picker')");
    nvim.command("edit notes.txt");
    nvim.keys("ione<CR>two<Esc>");
    nvim
}

/// Waits until a method was asked for so often, and answers the environment of the last time.
#[track_caller]
fn calls(nvim: &mut Neovim, method: &str, count: i64) -> String {
    expect(nvim, &format!("double.count('{method}')"), &count.to_string());
    value(nvim, &format!("double.last('{method}').environment"))
}

#[test]
fn tasks_are_acted_on_by_their_ids_from_anywhere() {
    let mut nvim = elsewhere();
    nvim.command("LazyCelery retry a-1");
    assert!(asked(&mut nvim).contains("Yes, send shop.tasks.charge a-1 again to high"));
    assert!(shown(&mut nvim, "lazycelery-plan").contains("exact, from the result backend"));
    pick(&mut nvim, 1);
    assert_eq!(calls(&mut nvim, "task/retry", 1), "\"prod\"");
    nvim.command("LazyCelery revoke a-1 b-2");
    assert!(asked(&mut nvim).ends_with("Yes, revoke 2 tasks on prod"));
    pick(&mut nvim, 2);
    nvim.wait_for_screen("2 tasks revoked on 3 of 4 workers");
    assert_eq!(calls(&mut nvim, "task/revoke", 2), "\"prod\"");
    assert!(shown(&mut nvim, "lazycelery-outcome").contains("b-2"));
    nvim.keys("<C-w>jq");
    nvim.command("LazyCelery! retry a-1");
    nvim.wait_for_screen("Sent again to high");
    assert_eq!(lab::lines(&mut nvim), "one\ntwo");
    for command in ["retry", "revoke", "terminate"] {
        nvim.keys(&format!(":LazyCelery {command}<CR>"));
        lab::said(&mut nvim, &format!(":LazyCelery {command} takes ids, or in a view its lines"));
    }
}

/// A task is found by the beginning of its id that lists show, if that means one.
#[test]
fn a_task_opens_by_the_id_that_lists_show() {
    let mut nvim = elsewhere();
    run(
        &mut nvim,
        "double.answers['task/list'] = function(params)
           local rows = { { uuid = '5f2c9e10-a' }, { uuid = '5f2c9e10-b' } }
           return { rows = vim.list_slice(rows, 1, found), total = found, exact = true }
         end",
    );
    let names = ["task:5f2c9e10", "task:5f2c9e10-a", "tasks?id:5f2c9e10"];
    for (found, name) in names.into_iter().enumerate() {
        run(&mut nvim, &format!("found = {found}"));
        nvim.command("LazyCelery task 5f2c9e10");
        let name = format!("\"lazycelery://prod:{name}\"");
        expect(&mut nvim, "vim.api.nvim_buf_get_name(0)", &name);
    }
    expect(&mut nvim, "double.last('task/list').filter", "\"id:5f2c9e10\"");
}

/// The page that is alone in a window made for it has its list behind it, not an empty buffer.
#[test]
fn a_page_whose_window_was_made_for_it_goes_back_to_its_list() {
    let mut nvim = elsewhere();
    nvim.command("belowright split");
    nvim.command("botright LazyCelery task a-1");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-task\"");
    nvim.command("only!");
    nvim.keys("q");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
}

/// What guards an environment is asked for, as no view has told it.
#[test]
fn production_has_names_typed_from_anywhere() {
    let mut nvim = elsewhere();
    run(
        &mut nvim,
        "double.environment.production = true
         double.answers['queue/purge'] = { purged = 3, arrived = 0, warnings = {} }",
    );
    nvim.command("LazyCelery! purge celery");
    assert!(asked(&mut nvim).contains("prod is production. Type celery to go on: "));
    type_in(&mut nvim, "celery");
    nvim.wait_for_screen("Purged 3");
    run(&mut nvim, "double.tell_environment({ read_only = true })");
    expect(&mut nvim, "require('lazycelery').status().environments[1].read_only", "true");
    nvim.command("LazyCelery purge celery");
    nvim.wait_for_screen("prod is read-only");
}

#[test]
fn one_of_several_environments_is_chosen() {
    let mut nvim = elsewhere();
    run(
        &mut nvim,
        "local stage = vim.tbl_extend('force', double.environment, { key = 'stage', name = 'stage' })
         local both = { rows = { double.environment, stage }, total = 2, exact = true }
         double.answers['environment/list'] = both",
    );
    nvim.command("LazyCelery revoke a-1");
    assert_eq!(asked(&mut nvim), "In which environment?\nprod\nstage");
    pick(&mut nvim, 2);
    assert!(asked(&mut nvim).ends_with("Yes, revoke task a-1 on stage"));
    pick(&mut nvim, 1);
    assert_eq!(calls(&mut nvim, "task/revoke", 1), "\"stage\"");
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' }, environment = 'prod' })");
    nvim.command("LazyCelery revoke a-1");
    assert!(asked(&mut nvim).ends_with("Yes, revoke task a-1 on prod"));
    pick(&mut nvim, 1);
}

/// A question that comes late waits for the same command, and a picker that never answers is given up.
#[test]
fn a_question_that_comes_late_is_kept_for_the_same_command() {
    let mut nvim = elsewhere();
    run(&mut nvim, "double.held['task/revoke'] = {}");
    nvim.command("LazyCelery revoke a-1");
    calls(&mut nvim, "task/revoke", 1);
    nvim.wait_for_screen("Looking at what would be revoked …   :LazyCelery cancel cancels");
    run(&mut nvim, "vim.defer_fn(function() double.release('task/revoke') end, 1100)");
    nvim.wait_for_screen("ready to ask: give :LazyCelery revoke once more");
    assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    run(&mut nvim, "acting.warnings = { { uuid = 'a-1', kind = 'running', text = 'it runs' } }");
    nvim.command("LazyCelery revoke a-1");
    assert!(asked(&mut nvim).contains("Yes, revoke task a-1"));
    pick(&mut nvim, 1);
    nvim.command("LazyCelery revoke a-1");
    asked(&mut nvim);
    assert!(shown(&mut nvim, "lazycelery-plan").contains("it runs"));
    nvim.keys("k");
    expect(&mut nvim, "#vim.api.nvim_list_wins()", "1");
    expect(&mut nvim, "#vim.api.nvim_get_autocmds({ event = 'CursorMoved', buffer = 0 })", "0");
}

#[test]
fn what_a_command_has_under_way_is_cancelled_by_one() {
    let mut nvim = elsewhere();
    nvim.command("LazyCelery cancel");
    nvim.wait_for_screen("Nothing is under way");
    run(&mut nvim, "double.held['task/retry'] = {}");
    nvim.command("LazyCelery! retry a-1");
    nvim.wait_for_screen("Sending task a-1 again …   :LazyCelery cancel cancels");
    run(&mut nvim, "double.progress('task/retry', { kind = 'begin', done = 0 })");
    nvim.command("LazyCelery cancel");
    expect(&mut nvim, "(double.last('job/cancel') or {}).job", "\"job-1\"");
    run(&mut nvim, "double.release('task/retry')");
    nvim.wait_for_screen("Sent again to high");
}

/// What became empty, or is not there, is said as it is; nothing is asked about it.
#[test]
fn nothing_is_done_to_nothing() {
    let mut nvim = elsewhere();
    run(
        &mut nvim,
        "double.answers['queue/purge'] = function(params)
           return { purged = params.dry_run and 3 or 0, arrived = 0, taken = 3, warnings = {} }
         end",
    );
    nvim.command("LazyCelery purge celery");
    assert!(asked(&mut nvim).contains("Yes, purge celery on prod: 3 messages"));
    pick(&mut nvim, 2);
    nvim.wait_for_screen("Nothing was purged: celery was empty by then (3 taken by workers)");
    run(&mut nvim, "double.answers['queue/purge'] = { purged = 0, arrived = 0, warnings = {} }");
    nvim.command("LazyCelery! purge celery");
    nvim.wait_for_screen("celery is empty on prod");
    assert_eq!(value(&mut nvim, "double.last('queue/purge').dry_run"), "true");

    lab::show(&mut nvim, "LazyCelery tasks");
    lab::tasks(&mut nvim, 0, 0);
    nvim.wait_for_screen("No task is known yet");
    for (key, said) in [
        ("x", "no task here"),
        ("r", "no task here"),
        ("X", "no task here"),
        ("cc", "no task here"),
        ("gX", "there is no task to be exported"),
        ("u", "nothing was purged, deleted or moved on prod"),
    ] {
        nvim.keys(key);
        lab::said(&mut nvim, said);
        assert_eq!(value(&mut nvim, "picker.asked"), "nil", "{key}");
    }
    assert_eq!(number(&mut nvim, "double.count('task/retry') + double.count('task/revoke')"), 0);
}

#[test]
fn other_commands_act_from_anywhere_too() {
    let mut nvim = elsewhere();
    nvim.command("LazyCelery undo");
    nvim.wait_for_screen("nothing was purged, deleted or moved on prod from this Neovim");
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { hostname = 'celery@web-1', status = 'online',
           events = 'off' } }, total = 1, exact = true }
         double.answers['task/export'] = function(params)
           return { path = params.path, rows = 7, bytes = 100, warnings = {} }
         end",
    );
    nvim.command("LazyCelery events on");
    assert!(asked(&mut nvim).contains("Yes, turn task events on: 1 worker of prod"));
    pick(&mut nvim, 1);
    nvim.command("LazyCelery export all.csv");
    nvim.wait_for_screen("Exported 7 tasks to all.csv");
    assert_eq!(calls(&mut nvim, "task/export", 1), "\"prod\"");
    nvim.keys(":LazyCelery purge<CR>");
    lab::said(&mut nvim, "takes a queue, or in a view its lines");
    assert_eq!(number(&mut nvim, "double.count('queue/purge')"), 0);
}
