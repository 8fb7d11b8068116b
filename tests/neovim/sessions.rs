//! Views that a session brings back: live again, without surprising anyone.

use super::lab::{self, SMALL, expect, number, run, tasks, value};
use crate::support::neovim::Neovim;

/// A session with a view in each of three tabs.
fn session() -> (Neovim, String) {
    let mut nvim = lab::start(SMALL);
    let views = ["LazyCelery tasks state:retry", "tab LazyCelery workers", "tab LazyCelery queues"];
    for command in views {
        lab::show(&mut nvim, command);
    }
    let path = nvim.home().join("Session.vim").display().to_string();
    nvim.command(&format!("mksession {path}"));
    (nvim, path)
}

#[test]
fn n30_a_restored_session_is_live_again() {
    let (_before, path) = session();
    let mut nvim = lab::start(SMALL);
    nvim.command(&format!("source {path}"));
    expect(&mut nvim, "double.feeds", "3");
    assert_eq!(value(&mut nvim, "vim.bo.buftype"), "\"nofile\"");
    assert_eq!(number(&mut nvim, "#require('lazycelery.view').all()"), 3);
    assert_eq!(value(&mut nvim, "double.last('task/subscribe').filter"), "\"state:retry\"");
    nvim.command("tabfirst");
    tasks(&mut nvim, 2, 0);
    nvim.wait_for_screen("00000002");
}

/// Without `blank` a session leaves the windows of views out, and keeps their names: they open.
#[test]
fn n30_a_name_that_a_session_only_adds_opens_on_demand() {
    let mut before = lab::start(SMALL);
    before.command("set sessionoptions-=blank");
    before.command("edit notes.txt");
    lab::show(&mut before, "LazyCelery tasks state:retry");
    let path = before.home().join("Session.vim").display().to_string();
    before.command(&format!("mksession {path}"));
    let mut nvim = lab::start(SMALL);
    nvim.command(&format!("source {path}"));
    assert_eq!(number(&mut nvim, "double.count('task/subscribe')"), 0);
    nvim.command("buffer prod:tasks");
    expect(&mut nvim, "double.count('task/subscribe')", "1");
    assert_eq!(value(&mut nvim, "double.last('task/subscribe').filter"), "\"state:retry\"");
    assert_eq!(value(&mut nvim, "vim.bo.buftype"), "\"nofile\"");
}

#[test]
fn n30_a_restored_view_of_production_contacts_nothing_before_a_key() {
    let (_before, path) = session();
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "double.environment.production = true double.environment.status = 'idle'");
    nvim.command(&format!("source {path}"));
    nvim.command("tabfirst");
    nvim.wait_for_screen("Restored from a session: prod is production. R connects.");
    assert_eq!(number(&mut nvim, "double.feeds"), 0);
    nvim.keys("R");
    expect(&mut nvim, "double.feeds", "1");
    assert_eq!(value(&mut nvim, "double.last('task/subscribe').filter"), "\"state:retry\"");
}

#[test]
fn n30_a_restored_view_of_an_environment_that_is_no_more_says_so() {
    let (_before, path) = session();
    let mut nvim = lab::start(SMALL);
    run(
        &mut nvim,
        "double.environment.name, double.environment.key = 'other', 'other'
         double.answers['task/subscribe'] = function()
           return nil, { code = -32020, message = 'no environment prod', data = { kind = 'unknown_environment' } }
         end",
    );
    nvim.command(&format!("source {path}"));
    nvim.command("tabfirst");
    nvim.wait_for_screen("no environment prod");
}
