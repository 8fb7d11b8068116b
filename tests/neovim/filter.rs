//! The filter line: it is followed, completes, remembers, and marks what is wrong where it is wrong.

use super::lab::{self, SMALL, expect, run, tasks, value};

#[test]
fn a_filter_that_is_given_up_restores_the_one_before() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks state:retry");
    assert_eq!(value(&mut nvim, "double.last('task/subscribe').filter"), "\"state:retry\"");
    nvim.keys("i name:x");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"state:retry name:x\"");
    nvim.keys("<C-c>");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"state:retry\"");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    nvim.keys("I");
    expect(&mut nvim, "vim.api.nvim_buf_get_name(0)", "\"lazycelery://prod:tasks\"");
}

#[test]
fn a_mistake_in_a_filter_is_marked_at_its_place() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "double.answers['subscription/update'] = function()
           return nil, { code = -32033, message = 'unknown field `stat`', data = { kind = 'filter', position = 7, expected = 'state' } }
         end",
    );
    nvim.keys("iname:ö stat:x");
    expect(&mut nvim, "#vim.diagnostic.get(0)", "1");
    assert_eq!(value(&mut nvim, "vim.diagnostic.get(0)[1].col"), "8", "characters, not bytes");
    nvim.wait_for_screen("unknown field `stat`; expected state");
    nvim.keys("<Esc>q");
}

#[test]
fn n29_the_filter_stays_one_line_and_enter_keeps_it() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    // As completion plugins do: their own <CR>, mapped when insert mode begins.
    nvim.command("autocmd InsertEnter * inoremap <buffer> <CR> taken");
    nvim.keys("i");
    nvim.keys("a:1<C-r>=\"\\nb:2\"<CR>");
    expect(&mut nvim, "vim.api.nvim_buf_get_lines(0, 0, -1, false)", "{ \"a:1 b:2\" }");
    nvim.keys("<CR>");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"a:1 b:2\"");
}

/// A server that completes as the protocol says, with one word in two bytes before the cursor.
const COMPLETES: &str = "
    double.methods = { 'filter/complete' }
    double.answers['filter/complete'] = function(params)
      asked = params
      if params.text == '' then
        return { from = 0, items = { { text = 'state:', kind = 'field' }, { text = 'name:', kind = 'field' } } }
      end
      return { from = params.position - 2, items = {
        { text = 'failure', kind = 'state', detail = '3 tasks' },
        { text = 'fallen', kind = 'state' },
      } }
    end";

#[test]
fn the_filter_completes_what_the_server_has_seen() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, COMPLETES);
    lab::show(&mut nvim, "LazyCelery tasks");
    nvim.keys("i");
    nvim.keys("name:ö state:fa<Tab>");
    nvim.wait_for_screen("3 tasks");
    assert_eq!(
        value(&mut nvim, "{ asked.noun, asked.text, asked.position, asked.environment }"),
        r#"{ "task", "name:ö state:fa", 15, "prod" }"#
    );
    nvim.keys("<Tab>");
    // The first <CR> takes what is chosen, the second keeps the filter.
    nvim.keys("<CR>");
    expect(&mut nvim, "vim.api.nvim_get_current_line()", "\"name:ö state:fallen\"");
    nvim.keys("<CR>");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"name:ö state:fallen\"");
}

/// A menu that comes when something else is typed already is no menu for it.
#[test]
fn a_late_completion_changes_nothing() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, COMPLETES);
    lab::show(&mut nvim, "LazyCelery tasks");
    run(&mut nvim, "double.held['filter/complete'] = {}");
    nvim.keys("istate:fa<Tab>");
    expect(&mut nvim, "double.last('filter/complete').text", "\"state:fa\"");
    nvim.keys("i");
    run(&mut nvim, "double.release('filter/complete')");
    assert_eq!(value(&mut nvim, "vim.fn.pumvisible()"), "0");
    assert_eq!(value(&mut nvim, "vim.api.nvim_get_current_line()"), "\"state:fai\"");
    nvim.keys("<C-c>");
}

#[test]
fn the_command_line_completes_fields_and_what_open_views_hold() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, COMPLETES);
    // Before any task was shown: a first view of another kind is enough.
    lab::show(&mut nvim, "LazyCelery workers");
    run(&mut nvim, "double.list('worker', {})");
    expect(
        &mut nvim,
        "require('lazycelery.filter.complete').words('task', 'st')",
        r#"{ "state:" }"#,
    );
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("00000001");
    let complete =
        |text: &str| format!("require('lazycelery.filter.complete').words('task', '{text}')");
    expect(&mut nvim, &complete("st"), r#"{ "state:" }"#);
    assert_eq!(value(&mut nvim, &complete("a !na")), r#"{ "!name:" }"#);
    assert_eq!(value(&mut nvim, &complete("state:failure,suc")), r#"{ "state:failure,success" }"#);
    assert_eq!(value(&mut nvim, "vim.fn.getcompletion('LazyCelery ta', 'cmdline')[1]"), "\"task\"");
    assert_eq!(
        value(&mut nvim, "vim.fn.getcompletion('LazyCelery tasks name:sh', 'cmdline')"),
        r#"{ "name:shop.tasks.charge" }"#
    );
}

#[test]
fn filters_of_before_come_back_with_the_arrows_each_to_its_noun() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    for filter in ["state:retry", "name:x"] {
        nvim.keys(&format!("i<C-u>{filter}<CR>"));
        expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
        expect(&mut nvim, "double.last('subscription/update').filter", &format!("{filter:?}"));
    }
    nvim.keys("i<Up><Up>");
    expect(&mut nvim, "vim.api.nvim_get_current_line()", "\"state:retry\"");
    nvim.keys("<Down>");
    expect(&mut nvim, "vim.api.nvim_get_current_line()", "\"name:x\"");
    nvim.keys("<C-c>");
    lab::show(&mut nvim, "LazyCelery workers");
    nvim.keys("i<Up>");
    expect(&mut nvim, "vim.api.nvim_get_current_line()", "\"\"");
    nvim.keys("<C-c>");
}

#[test]
fn what_is_probably_not_meant_is_hinted_at_its_place() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    nvim.keys("iname:x state:failed");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"name:x state:failed\"");
    run(
        &mut nvim,
        "double.list('task', {}, { hints = { { position = 13, text = 'no task is FAILED; FAILURE?' } } })",
    );
    nvim.wait_for_screen("no task is FAILED; FAILURE?");
    assert_eq!(value(&mut nvim, "vim.diagnostic.get(0)[1].col"), "13");
    nvim.keys("<CR>");
    let screen = nvim.wait_for_screen("No task matches  name:x state:failed");
    assert!(screen.contains("no task is FAILED; FAILURE?"), "{screen}");
}
