//! Rule 5 of the design: a view never flickers, never jumps, never changes what was chosen.

use super::lab::{self, LARGE, SMALL, expect, lines, number, run, tasks, value};
use crate::support::neovim::Neovim;

fn five_tasks() -> Neovim {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 5, 100);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5");
    nvim
}

/// The first eight of the id under the cursor.
fn under_cursor(nvim: &mut Neovim) -> String {
    nvim.text("return require('lazycelery').row().key:sub(1, 8)")
}

#[test]
fn on_line_one_a_list_follows() {
    let mut nvim = five_tasks();
    tasks(&mut nvim, 7, 98);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "7");
    assert_eq!(number(&mut nvim, "vim.fn.line('.')"), 1);
    assert_eq!(under_cursor(&mut nvim), "00000099");
}

#[test]
fn what_moved_makes_the_new_order() {
    let mut nvim = five_tasks();
    assert_eq!(value(&mut nvim, "double.last('task/subscribe').moves"), "true");
    // The fourth comes to the top, before it one that is new; the last goes.
    run(
        &mut nvim,
        "local new = double.tasks(1, 41)[1]
         new.key = new.uuid
         local fourth = double.tasks(1, 103)[1].uuid
         double.notify('task/subscribe', {
           rows = { new }, total = 5, exact = true,
           moves = {
             { from = 0, gone = 0, come = { new.key, fourth } },
             { from = 3, gone = 2, come = {} },
           },
         })",
    );
    nvim.wait_for_screen("00000042");
    let found: Vec<String> = lines(&mut nvim)
        .lines()
        .map(|line| line[line.find("00000").unwrap()..][..8].into())
        .collect();
    assert_eq!(found, ["00000042", "00000104", "00000101", "00000102", "00000103"]);
}

#[test]
fn n16_elsewhere_it_holds_and_counts_until_it_is_let_go() {
    let mut nvim = five_tasks();
    nvim.keys("jj");
    tasks(&mut nvim, 5, 98);
    nvim.wait_for_screen("2 new");
    assert_eq!(under_cursor(&mut nvim), "00000103");
    assert_eq!(number(&mut nvim, "vim.fn.line('.')"), 3);
    // Two rows left the window, and stay, dimmed.
    assert!(lines(&mut nvim).contains("00000105"));
    expect(&mut nvim, "vim.tbl_count(require('lazycelery.view').get().gone)", "2");
    nvim.keys("gg");
    nvim.wait_for_screen_that("lets go", |screen| !screen.contains("new"));
    assert!(!lines(&mut nvim).contains("00000105"));
    assert!(lines(&mut nvim).contains("00000099"));
}

#[test]
fn refresh_lets_go_and_keeps_the_item() {
    let mut nvim = five_tasks();
    nvim.keys("jj");
    tasks(&mut nvim, 5, 98);
    nvim.wait_for_screen("2 new");
    run(&mut nvim, "double.answers['task/subscribe'] = nil");
    nvim.keys("R");
    expect(&mut nvim, "vim.fn.line('.')", "5");
    assert_eq!(under_cursor(&mut nvim), "00000103");
}

#[test]
fn a_selection_is_not_changed_by_a_refresh() {
    let mut nvim = five_tasks();
    nvim.keys("Vj");
    tasks(&mut nvim, 8, 97);
    nvim.wait_for_screen("3 new");
    assert_eq!(number(&mut nvim, "vim.api.nvim_buf_line_count(0)"), 5);
    nvim.keys("<Esc>gg");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "8");
}

#[test]
fn n08_half_a_command_a_command_line_and_its_window_freeze() {
    for (aim, leave) in [("d", "<Esc>"), (":", "<C-c>"), (":<C-f>", ":q<CR>")] {
        let mut nvim = five_tasks();
        nvim.type_ahead(aim);
        tasks(&mut nvim, 8, 97);
        expect(&mut nvim, "#require('lazycelery.view').all()[1].keys", "8");
        let shown = "vim.api.nvim_buf_line_count(require('lazycelery.view').all()[1].buf)";
        if aim != ":<C-f>" {
            assert_eq!(number(&mut nvim, shown), 5, "after {aim}");
        }
        nvim.type_ahead(leave);
        expect(&mut nvim, shown, "8");
    }
}

/// Here Neovim answers no request, so all is set going beforehand, the key that ends it included.
#[test]
fn n08_half_a_count_freezes() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "local draw = require('lazycelery.paint.rows').draw
         while_blocking = 0
         require('lazycelery.paint.rows').draw = function(...)
           if vim.api.nvim_get_mode().blocking then while_blocking = while_blocking + 1 end
           return draw(...)
         end
         vim.defer_fn(function() double.list('task', double.tasks(8, 97)) end, 100)
         vim.uv.new_timer():start(600, 0, function() vim.api.nvim_input('l') end)",
    );
    nvim.type_ahead("3");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "8");
    assert_eq!(number(&mut nvim, "while_blocking"), 0);
}

/// As flash, leap and hop do: labels stand on the screen, and a key is waited for.
#[test]
fn n08_jump_labels_freeze() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "vim.keymap.set('n', 's', function() vim.fn.getcharstr() end)
         local rows = require('lazycelery.paint.rows')
         local draw = rows.draw
         while_waiting = 0
         rows.draw = function(...)
           if vim.fn.state('S') ~= '' then while_waiting = while_waiting + 1 end
           return draw(...)
         end
         vim.defer_fn(function() double.list('task', double.tasks(8, 97)) end, 100)
         vim.uv.new_timer():start(600, 0, function() vim.api.nvim_input('x') end)",
    );
    nvim.type_ahead("s");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "8");
    assert_eq!(number(&mut nvim, "while_waiting"), 0);
}

/// What the user typed meanwhile must not answer a question that was not there.
#[test]
fn n17_a_question_that_comes_late_waits_for_a_new_key() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { key = 'w', hostname = 'w', status = 'online', events = 'off' } } }
         double.held['worker/list'] = {}
         vim.ui.select = function(items) asked = items end",
    );
    nvim.keys("ce");
    run(&mut nvim, "vim.defer_fn(function() double.release('worker/list') end, 1100)");
    nvim.wait_for_screen("ready to ask: give ce once more");
    assert_eq!(value(&mut nvim, "asked"), "nil");
    nvim.keys("ce");
    expect(&mut nvim, "asked[1]", "\"No\"");
}

#[test]
fn typing_in_another_window_freezes_nothing() {
    let mut nvim = five_tasks();
    nvim.keys("<C-w>n");
    nvim.keys("isome text");
    tasks(&mut nvim, 8, 97);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(require('lazycelery.view').all()[1].buf)", "8");
    nvim.keys("<Esc>");
}

#[test]
fn n17_a_picker_that_never_answers_freezes_no_longer_than_the_cursor_rests() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { key = 'w', hostname = 'w', status = 'online', events = 'off' } } }
         vim.ui.select = function(items) asked = items end",
    );
    nvim.keys("ce");
    expect(&mut nvim, "asked", r#"{ "No", "Yes, turn task events on: 1 worker of prod" }"#);
    tasks(&mut nvim, 8, 97);
    nvim.wait_for_screen("3 new");
    nvim.keys("l");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "8");
    assert_eq!(number(&mut nvim, "double.count('worker/control')"), 0);
}

#[test]
fn n17_the_first_answer_counts_and_only_the_exact_item_is_yes() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { key = 'w', hostname = 'w', status = 'online', events = 'off' } } }
         double.answers['worker/control'] = { replies = { w = { ok = 'task events enabled' } }, missing = { 'x' } }
         vim.ui.select = function(items, options, choose)
           prompt = options.prompt
           local answers = answer == 'yes' and { items[2], nil } or { nil, items[2] }
           choose(answers[1]) choose(answers[2])
         end",
    );
    nvim.keys("ce");
    expect(&mut nvim, "prompt", "\"Task events on?\"");
    assert_eq!(number(&mut nvim, "double.count('worker/control')"), 0);
    run(&mut nvim, "answer = 'yes'");
    nvim.keys("ce");
    nvim.wait_for_screen("Task events on: 1 of 2 workers; x did not answer");
    assert_eq!(number(&mut nvim, "double.count('worker/control')"), 1);
    assert_eq!(value(&mut nvim, "double.last('worker/control').method"), "\"enable_events\"");
}

#[test]
fn the_command_for_events_asks_for_what_it_was_told() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { key = 'w', hostname = 'w', status = 'online', events = 'off' } } }
         vim.ui.select = function(items) asked = items end",
    );
    nvim.keys(":LazyCelery events maybe<CR>");
    nvim.wait_for_screen("events takes on or off, not \"maybe\"");
    nvim.take_messages();
    nvim.keys(":LazyCelery events off<CR>");
    nvim.wait_for_screen("task events are off already, for every worker of prod");
    assert_eq!(value(&mut nvim, "asked"), "nil");
    nvim.keys(":LazyCelery events on<CR>");
    expect(&mut nvim, "asked", r#"{ "No", "Yes, turn task events on: 1 worker of prod" }"#);
    nvim.keys("l");
}

/// Pickers cut what is long and drop what is on a second line: what is at stake stands in the items.
#[test]
fn n27_a_question_is_short_and_its_items_say_what_is_at_stake() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/list'] = { rows = { { key = 'w', hostname = 'w', status = 'online', events = 'off' } } }
         vim.ui.select = function(items, options)
           asked = { items[1], options.kind, #options.prompt < 50, options.prompt:find('\\n') == nil }
           said = options.format_item(items[2])
         end",
    );
    nvim.keys("ce");
    expect(&mut nvim, "asked", r#"{ "No", "lazycelery", true, true }"#);
    assert_eq!(value(&mut nvim, "said"), "\"Yes, turn task events on: 1 worker of prod\"");
    nvim.keys("l");
}

#[test]
fn a_hidden_view_is_not_fed_and_comes_back_complete() {
    let mut nvim = five_tasks();
    nvim.command("enew");
    expect(&mut nvim, "double.count('task/unsubscribe')", "1");
    nvim.command("buffer #");
    expect(&mut nvim, "double.count('task/subscribe')", "2");
    tasks(&mut nvim, 3, 0);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "3");
}

#[test]
fn a_filter_that_is_typed_while_the_feed_is_asked_for_follows_it() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "double.held['task/subscribe'] = {}");
    lab::show(&mut nvim, "LazyCelery tasks");
    nvim.keys("i");
    expect(&mut nvim, "#vim.api.nvim_list_wins()", "2");
    nvim.keys("state:retry<CR>");
    expect(&mut nvim, "#vim.api.nvim_list_wins()", "1");
    assert_eq!(number(&mut nvim, "double.count('subscription/update')"), 0);
    run(&mut nvim, "double.release('task/subscribe')");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"state:retry\"");
    assert_eq!(number(&mut nvim, "double.last('subscription/update').subscription"), 2);
}

#[test]
fn n10_a_deleted_view_ends_its_feed_and_a_late_notification_harms_nothing() {
    let mut nvim = five_tasks();
    run(&mut nvim, "double.list('task', double.tasks(9, 0)) vim.cmd.bdelete()");
    expect(&mut nvim, "double.count('task/unsubscribe')", "1");
    assert_eq!(value(&mut nvim, "#require('lazycelery.view').all()"), "0");
    nvim.command("buffer lazycelery://prod:tasks");
    expect(&mut nvim, "double.count('task/subscribe')", "2");
    tasks(&mut nvim, 2, 0);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "2");
    assert_eq!(value(&mut nvim, "vim.bo.buftype"), "\"nofile\"");
    nvim.command("bwipeout");
}

#[test]
fn n11_marks_do_not_pile_up() {
    let mut nvim = five_tasks();
    for from in 0..40 {
        tasks(&mut nvim, 5, from);
        nvim.screen();
    }
    let marks = "#vim.api.nvim_buf_get_extmarks(0, -1, 0, -1, {})";
    assert_eq!(number(&mut nvim, marks), 0);
}

#[test]
fn n19_columns_follow_the_narrowest_window() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("RUNTIME");
    nvim.command("vsplit");
    nvim.wait_for_screen_that("has no RUNTIME", |screen| !screen.contains("RUNTIME"));
    nvim.command("only");
    nvim.wait_for_screen("RUNTIME");
}

/// A narrow window in another tab is nobody's business here.
#[test]
fn n19_columns_follow_the_windows_in_sight() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("RUNTIME");
    nvim.command("tab split");
    nvim.command("vsplit");
    nvim.wait_for_screen_that("has no RUNTIME", |screen| !screen.contains("RUNTIME"));
    nvim.command("tabprevious");
    nvim.wait_for_screen("RUNTIME");
    nvim.command("tabnext");
    nvim.wait_for_screen_that("has no RUNTIME", |screen| !screen.contains("RUNTIME"));
}

#[test]
fn n26_a_write_that_neovim_refuses_is_made_up_for() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "vim.keymap.set('n', 'X', function() return vim.fn.getcharstr() end, { expr = true })",
    );
    nvim.command("new");
    nvim.type_ahead("X");
    tasks(&mut nvim, 8, 97);
    expect(&mut nvim, "#require('lazycelery.view').all()[1].keys", "8");
    nvim.type_ahead("<Esc>");
    let shown = "vim.api.nvim_buf_line_count(require('lazycelery.view').all()[1].buf)";
    expect(&mut nvim, shown, "8");
    assert_eq!(nvim.take_messages().trim(), "");
}

#[test]
fn five_thousand_rows_come_in_slices() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "local make, most, count = require('lazycelery.table').line, 0, 0
         require('lazycelery.table').line = function(...) count = count + 1 return make(...) end
         local rows = require('lazycelery.paint.rows')
         local draw = rows.draw
         rows.draw = function(...)
           slices = slices or {}
           local unfinished = draw(...)
           table.insert(slices, count) count = 0
           return unfinished
         end
         double.list('task', double.tasks(5000))",
    );
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5000");
    expect(&mut nvim, "vim.fn.search('^$', 'cnw')", "0");
    expect(&mut nvim, "#vim.tbl_filter(function(n) return n > 1000 end, slices)", "0");
    nvim.keys("G");
    nvim.wait_for_screen("00005000");
}

/// What changed is made, and what did not is not: one row of 5,000 is one line.
#[test]
fn one_row_of_five_thousand_is_one_line() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(&mut nvim, "double.list('task', double.tasks(5000))");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5000");
    expect(&mut nvim, "vim.fn.search('^$', 'cnw')", "0");
    expect(&mut nvim, "vim.tbl_isempty(require('lazycelery.view').get().dirty)", "true");
    run(
        &mut nvim,
        "local make = require('lazycelery.table').line
         made, written = 0, {}
         require('lazycelery.table').line = function(...) made = made + 1 return make(...) end
         vim.api.nvim_buf_attach(0, false, { on_lines = function(_, _, _, first, last, now)
           table.insert(written, { first, last, now })
         end })
         local row = double.tasks(1, 2499)[1]
         row.key, row.state = row.uuid, 'FAILURE'
         double.notify('task/subscribe', { rows = { row }, total = 5000, exact = true })",
    );
    expect(&mut nvim, "vim.fn.search('FAILURE', 'nw')", "2500");
    assert_eq!(number(&mut nvim, "made"), 1);
    assert_eq!(value(&mut nvim, "written"), "{ { 2499, 2500, 2500 } }");
    // One more on top: it comes in, the last goes, and nothing else is touched.
    run(
        &mut nvim,
        "made, written = 0, {}
         local rows = double.tasks(5000)
         local keys = { 'new' }
         for i = 1, 4999 do keys[i + 1] = rows[i].uuid end
         local new = double.tasks(1, 9000)[1]
         new.key = 'new'
         double.notify('task/subscribe', { rows = { new }, keys = keys, total = 5000, exact = true })",
    );
    expect(&mut nvim, "vim.fn.search('00009001', 'nw')", "1");
    assert_eq!(number(&mut nvim, "made"), 1);
    assert_eq!(value(&mut nvim, "written"), "{ { 4999, 5000, 4999 }, { 0, 0, 1 } }");
}

#[test]
fn a_list_grows_by_pages_and_says_what_is_left() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    assert_eq!(number(&mut nvim, "double.last('task/subscribe').limit"), 500);
    run(&mut nvim, "double.list('task', double.tasks(500), { total = 43710 })");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "501");
    nvim.keys("G");
    nvim.wait_for_screen("… 43,210 more: i narrows, g<CR> loads");
    expect(&mut nvim, "double.last('subscription/update').limit", "1000");
}

#[test]
fn n62_calm_changes_no_cell_without_a_key() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' }, calm = true })");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 5, 100);
    let before = nvim.wait_for_screen("00000101");
    tasks(&mut nvim, 5, 0);
    run(&mut nvim, "double.tell_environment({ counts = { tasks = 7 } })");
    expect(&mut nvim, "require('lazycelery.view').get().keys[1]:sub(1, 8)", "\"00000001\"");
    assert_eq!(nvim.screen(), before);
    nvim.keys("R");
    nvim.wait_for_screen("00000001");
}

#[test]
fn sorting_asks_the_server_and_again_reverses() {
    let mut nvim = five_tasks();
    nvim.keys("gs");
    nvim.wait_for_screen("STATE↑");
    assert_eq!(value(&mut nvim, "double.last('subscription/update').sort"), "\"state\"");
    nvim.keys("gs");
    nvim.wait_for_screen("STATE↓");
    // A third time gives the order of before back.
    nvim.keys("gs");
    nvim.wait_for_screen_that("the order of before", |screen| {
        !screen.contains('↑') && !screen.contains('↓')
    });
    assert_eq!(value(&mut nvim, "double.last('subscription/update').sort"), "\"-seen\"");
    nvim.keys("30|gs");
    nvim.wait_for_screen("NAME↑");
    nvim.keys("$gs");
    nvim.wait_for_screen("RESULT does not sort; what does: STATE, NAME, WHEN");
}

#[test]
fn an_order_whose_column_gave_way_stands_in_the_statusline() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    tasks(&mut nvim, 5, 0);
    nvim.wait_for_screen("RECEIVED");
    let shown = "vim.iter(require('lazycelery.view').get().grid.shown)";
    let worker = "find(function(place) return place.column.field == 'worker' end)";
    let x = number(&mut nvim, &format!("{shown}:{worker}.x"));
    nvim.keys(&format!("{}|gs", x + 1));
    nvim.wait_for_screen("WORKER↑");
    nvim.command("vnew");
    nvim.wait_for_screen("by WORKER↑");
}

#[test]
fn paused_nothing_comes_and_it_says_so() {
    let mut nvim = five_tasks();
    nvim.keys("p");
    nvim.wait_for_screen("paused");
    assert_eq!(value(&mut nvim, "double.last('subscription/update').paused"), "true");
    nvim.keys("p");
    nvim.wait_for_screen("prod ●");
    assert_eq!(value(&mut nvim, "double.last('subscription/update').paused"), "false");
}
