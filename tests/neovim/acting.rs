//! How whatever acts from the editor goes: what is caught at the key, asked, done, told. With the double:
//! late and silent pickers, locks, a job that goes on for long, a server that dies in the middle.

mod revoking;
mod screens;

use super::lab::{self, SMALL, asked, expect, lines, number, pick, run, shown, tasks, value};
use crate::schemas::check_one;
use crate::support::neovim::Neovim;
use serde_json::Value;

/// Five tasks, `00000101` to `00000105`, and a picker that waits for the test.
fn five_tasks() -> Neovim {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    lab::load(&mut nvim, "acting, picker = require('acting'), require('picker')");
    tasks(&mut nvim, 5, 100);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5");
    nvim
}

/// Calls of a method that were no dry run.
fn done(nvim: &mut Neovim, method: &str) -> i64 {
    number(
        nvim,
        &format!(
            "#vim.tbl_filter(function(call)
               return call.method == '{method}' and not call.params.dry_run
             end, double.calls)"
        ),
    )
}

/// The first eight of the ids that a method was last asked for.
fn sent(nvim: &mut Neovim, method: &str) -> String {
    nvim.text(&format!(
        "local ids = vim.tbl_map(function(id) return id:sub(1, 8) end, double.last('{method}').uuids)
         return table.concat(ids, ' ')"
    ))
}

/// What the double said could have been said by the server.
fn honest(nvim: &mut Neovim) {
    let said = nvim.text("return vim.json.encode(double.said)");
    for one in serde_json::from_str::<Vec<Value>>(&said).unwrap() {
        check_one(one["method"].as_str().unwrap(), &one["params"], &one["result"]);
    }
}

#[test]
fn a_task_is_sent_again_once_that_was_seen_and_answered() {
    let mut nvim = five_tasks();
    nvim.keys("jr");
    let question = asked(&mut nvim);
    let yes = "Yes, send shop.tasks.charge 00000102 again to high";
    assert_eq!(question, format!("Send this task again?\nNo\n{yes}"));
    let plan = shown(&mut nvim, "lazycelery-plan");
    for part in ["[42, \"eur\"]", "exact, from the result backend", "what follows it in its chain"]
    {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    pick(&mut nvim, 1);
    assert_eq!(
        (done(&mut nvim, "task/retry"), shown(&mut nvim, "lazycelery-plan")),
        (0, String::new())
    );
    nvim.keys("r");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("Sent again to high, as shop.tasks.charge a0000001");
    assert_eq!(
        (done(&mut nvim, "task/retry"), sent(&mut nvim, "task/retry")),
        (1, "00000102".into())
    );
    honest(&mut nvim);
}

/// What is sent is what the key was pressed on, whatever the list shows by then.
#[test]
fn the_tasks_are_those_of_the_key_press() {
    let mut nvim = five_tasks();
    run(&mut nvim, "double.held['task/retry'] = {}");
    nvim.keys("2r");
    expect(&mut nvim, "double.last('task/retry').dry_run", "true");
    tasks(&mut nvim, 5, 200);
    expect(
        &mut nvim,
        "vim.api.nvim_buf_get_lines(0, 0, 1, false)[1]:find('00000201') ~= nil",
        "true",
    );
    run(&mut nvim, "double.release('task/retry')");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("2 tasks sent again");
    assert_eq!(sent(&mut nvim, "task/retry"), "00000101 00000102");
}

#[test]
fn a_count_a_selection_a_range_and_ids_are_taken() {
    let mut nvim = five_tasks();
    for (keys, meant) in [
        ("gg3x", "00000101 00000102 00000103"),
        ("GVkx", "00000104 00000105"),
        (":2,3LazyCelery revoke<CR>", "00000102 00000103"),
        (":LazyCelery revoke a-1 b-2<CR>", "a-1 b-2"),
    ] {
        nvim.keys(keys);
        pick(&mut nvim, 2);
        nvim.wait_for_screen("celery@gpu-1 did not answer");
        assert_eq!(sent(&mut nvim, "task/revoke"), meant, "{keys}");
        run(&mut nvim, "vim.api.nvim_echo({ { '' } }, false, {})");
        nvim.command("only");
    }
    assert_eq!(value(&mut nvim, "vim.fn.mode()"), "\"n\"");
    nvim.command("silent! 1,2LazyCelery revoke a-1");
    assert!(nvim.take_messages().contains("a range or ids, not both"));
    nvim.command("LazyCelery! retry a-1");
    nvim.wait_for_screen("Sent again to high");
    assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    let ids = value(&mut nvim, "vim.fn.getcompletion('LazyCelery terminate 00000103', 'cmdline')");
    assert!(ids.contains("00000103-3b7e"), "{ids}");
}

#[test]
fn a_dot_repeats_and_asks_again() {
    let mut nvim = five_tasks();
    nvim.keys("2x");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("celery@gpu-1 did not answer");
    nvim.command("only");
    nvim.keys("3G.");
    assert!(asked(&mut nvim).starts_with("Revoke 2 tasks?"));
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.last('task/revoke').uuids[1]:sub(1, 8)", "\"00000103\"");
    assert_eq!(sent(&mut nvim, "task/revoke"), "00000103 00000104");
    nvim.command("only");
    nvim.keys("gg1.");
    assert!(asked(&mut nvim).contains("revoke shop.tasks.charge 00000101 on prod"));
    pick(&mut nvim, 1);
    lab::show(&mut nvim, "LazyCelery queues");
    nvim.keys(".");
    nvim.wait_for_screen("nothing here for . to revoke");
}

/// What is loaded is not all: whoever takes all of it is asked which is meant, and the server counts.
#[test]
fn all_that_match_are_meant_where_that_is_chosen() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "acting.matching = vim.tbl_map(function(row) return row.uuid end, double.tasks(4210, 100))
         double.list('task', double.tasks(5, 100), { total = 4210 })",
    );
    nvim.wait_for_screen("4,205 more");
    nvim.keys(":%LazyCelery retry<CR>");
    let question = asked(&mut nvim);
    let expected = "More match: retry?\nNo\nThe 5 that are loaded\nAll 4,210 tasks there are";
    assert_eq!(question, expected);
    pick(&mut nvim, 2);
    assert!(asked(&mut nvim).contains("Yes, send 5 tasks again on prod"));
    pick(&mut nvim, 1);
    nvim.keys("ggVGr");
    pick(&mut nvim, 3);
    assert!(asked(&mut nvim).contains("Yes, send 4,210 tasks again on prod"));
    assert_eq!(value(&mut nvim, "double.last('task/retry').filter"), "\"\"");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("4,210 tasks sent again");
    assert_eq!(
        number(&mut nvim, "#double.last('task/retry').uuids"),
        4210,
        "those that were counted"
    );
}

/// The question waits, ready, for the very key: a look that is slow is not taken again.
#[test]
fn n17_a_question_that_comes_late_is_kept_for_the_same_key() {
    let mut nvim = five_tasks();
    run(&mut nvim, "double.held['task/retry'] = {}");
    nvim.keys("r");
    run(&mut nvim, "vim.defer_fn(function() double.release('task/retry') end, 1100)");
    nvim.wait_for_screen("ready to ask: give r once more");
    assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    nvim.keys("jr");
    assert!(asked(&mut nvim).contains("00000102"), "another task is another question");
    pick(&mut nvim, 1);
    run(&mut nvim, "double.held['task/retry'] = {} vim.api.nvim_echo({ { '' } }, false, {})");
    nvim.keys("kr");
    run(&mut nvim, "vim.defer_fn(function() double.release('task/retry') end, 1100)");
    nvim.wait_for_screen("ready to ask: give r once more");
    let looks = number(&mut nvim, "double.count('task/retry')");
    nvim.keys("r");
    assert!(asked(&mut nvim).contains("00000101"));
    assert_eq!(number(&mut nvim, "double.count('task/retry')"), looks);
}

#[test]
fn n17_a_picker_that_never_answers_leaves_nothing_behind() {
    let mut nvim = five_tasks();
    nvim.keys("jr");
    asked(&mut nvim);
    tasks(&mut nvim, 8, 97);
    nvim.wait_for_screen("3 new");
    assert_ne!(shown(&mut nvim, "lazycelery-plan"), "");
    nvim.keys("l");
    expect(&mut nvim, "vim.fn.winnr('$')", "1");
    nvim.keys("gg");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "8");
    run(&mut nvim, "picker.pick(2)");
    nvim.wait_for_screen("Sent again");
    run(&mut nvim, "picker.answer('Yes')");
    assert_eq!(done(&mut nvim, "task/retry"), 1, "its first answer counts, however late");
}

/// Arguments that are only known as a text are sent once they were seen, and on request alone.
fn inexact(nvim: &mut Neovim) {
    run(
        nvim,
        "local inexact = { kind = 'inexact', reason = 'the arguments are not known exactly' }
         local waiting = { kind = 'waiting', reason = 'it still waits in `high`, and will run' }
         for i, row in ipairs(double.tasks(5, 100)) do
           acting.refused[row.uuid] = ({ [2] = inexact, [4] = inexact, [5] = waiting })[i]
         end",
    );
}

#[test]
fn f01_what_is_not_exact_is_shown_before_it_is_accepted() {
    let mut nvim = five_tasks();
    inexact(&mut nvim);
    nvim.keys("jr");
    let question = asked(&mut nvim);
    assert!(question.ends_with("Yes, send shop.tasks.charge 00000102 again, as that text reads"));
    let plan = shown(&mut nvim, "lazycelery-plan");
    assert!(plan.contains("[42, \"eur\"]") && plan.contains("not exact"), "{plan}");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("Sent again");
    assert_eq!(value(&mut nvim, "double.last('task/retry').accept_inexact"), "true");
    nvim.keys("ggVGr");
    let question = asked(&mut nvim);
    let yes = "No\nYes, send 2 of 5 tasks again on prod\nYes, 4: also 2 as their texts read";
    assert_eq!(question, format!("Send 4 of 5 tasks again?\n{yes}"));
    pick(&mut nvim, 2);
    nvim.wait_for_screen("2 of 5 tasks sent again; 3 left alone");
    assert_eq!(sent(&mut nvim, "task/retry"), "00000101 00000103");
    nvim.command("only");
    nvim.keys("Gr");
    nvim.wait_for_screen("Not sent again: it still waits in `high`, and will run");
    honest(&mut nvim);
}

/// Three are to be sent again, of which one still waits.
fn some_left_alone() -> Neovim {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "local over = { kind = 'waiting', reason = 'it still waits in `high`, and will run' }
         acting.refused[double.tasks(1, 101)[1].uuid] = over",
    );
    nvim.keys("3r");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("2 of 3 tasks sent again; 1 left alone");
    nvim
}

#[test]
fn what_came_of_each_is_listed_and_leads_to_the_tasks() {
    let mut nvim = some_left_alone();
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    nvim.keys("<C-w>j<CR>");
    expect(&mut nvim, "vim.fn.bufname():match('task:(%x+)')", "\"a0000001\"");
    nvim.keys("<C-w>j2w<CR>");
    expect(&mut nvim, "vim.fn.bufname():match('task:(%x+)')", "\"00000101\"");
    nvim.keys("<C-w>jq");
    expect(&mut nvim, "vim.fn.winnr('$')", "1");
    nvim.command("LazyCelery outcome");
    assert_eq!(lines(&mut nvim).lines().count(), 3);
}

/// A job of 4,210, of which 100 are done.
fn long_job() -> Neovim {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "acting.matching = vim.tbl_map(function(row) return row.uuid end, double.tasks(4210, 100))
         double.list('task', double.tasks(5, 100), { total = 4210 })
         local retry = double.answers['task/retry']
         double.answers['task/retry'] = function(params)
           local answer = retry(params)
           if not params.dry_run then
             answer.sent = vim.list_slice(answer.sent, 1, 120)
             answer.cancelled = true
           end
           return answer
         end",
    );
    nvim.wait_for_screen("4,205 more");
    nvim.keys("ggVGr");
    pick(&mut nvim, 3);
    expect(&mut nvim, "(picker.asked or {}).prompt", "\"Send 4,210 tasks again?\"");
    run(&mut nvim, "double.held['task/retry'] = {}");
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.last('task/retry').progressToken ~= nil", "true");
    nvim.wait_for_screen("Sending 4,210 tasks again …   <C-c> cancels");
    run(&mut nvim, "double.progress('task/retry', { kind = 'begin', done = 0 })");
    run(&mut nvim, "double.progress('task/retry', { kind = 'report', done = 100, total = 4210 })");
    nvim.wait_for_screen("Sending 4,210 tasks again: 100 of 4,210 …   <C-c> cancels");
    nvim
}

/// So is the look at what would be done.
#[test]
fn a_long_look_tells_how_far_it_is_and_is_given_up() {
    let mut nvim = five_tasks();
    run(&mut nvim, "double.held['task/retry'] = {}");
    nvim.keys("2r");
    nvim.wait_for_screen("Looking at what would be sent …   <C-c> cancels");
    run(&mut nvim, "double.progress('task/retry', { kind = 'report', done = 1200, total = 4210 })");
    nvim.wait_for_screen("Looking at what would be sent: 1,200 of 4,210 …   <C-c> cancels");
    nvim.keys("<C-c>");
    nvim.wait_for_screen("Given up; nothing was done");
    assert!(number(&mut nvim, "double.last('$/cancelRequest').id") > 0);
    run(&mut nvim, "double.release('task/retry')");
    nvim.keys("<C-c>");
    nvim.wait_for_screen("Nothing is under way");
    assert_eq!(
        (value(&mut nvim, "picker.asked"), done(&mut nvim, "task/retry")),
        ("nil".into(), 0)
    );
}

/// How far it is, is told, and `<C-c>` stops it; what was done until then is told.
#[test]
fn a_long_job_tells_how_far_it_is_and_is_stopped() {
    let mut nvim = long_job();
    nvim.keys("<C-c>");
    expect(&mut nvim, "(double.last('job/cancel') or {}).job", "\"job-1\"");
    run(&mut nvim, "double.progress('task/retry', { kind = 'end', done = 120, total = 4210 })");
    run(&mut nvim, "double.release('task/retry')");
    nvim.wait_for_screen("Stopped: 120 of 4,210 tasks sent again; the others were left alone");
    assert!(shown(&mut nvim, "lazycelery-outcome").contains("4,090 others not reached"));
    nvim.keys("<C-c>");
    nvim.wait_for_screen("Nothing is under way");
    honest(&mut nvim);
    nvim.wait_for_screen("r sends the 4,090 again that it did not come to");
    nvim.keys("<C-w>jr");
    expect(&mut nvim, "(picker.asked or {}).prompt", "\"Send 4,090 tasks again?\"");
    pick(&mut nvim, 2);
    expect(&mut nvim, "#double.last('task/retry').uuids", "4090");
    expect(
        &mut nvim,
        "vim.list_contains(double.last('task/retry').uuids, acting.matching[121])",
        "true",
    );
}

/// A message that Neovim cannot read is dropped whole: the job is asked for.
#[test]
fn n18_an_answer_that_was_lost_on_its_way_is_fetched() {
    let mut nvim = five_tasks();
    nvim.keys("r");
    asked(&mut nvim);
    run(
        &mut nvim,
        "require('lazycelery.act.job').SILENT_MS = 50
         double.silent['task/retry'] = true
         double.answers['job/get'] = function(params)
           local row = double.answers['job/cancel'](params)
           asked_for = (asked_for or 0) + 1
           row.status = asked_for < 3 and 'running' or 'done'
           if row.status == 'done' then
             row.outcome = retry(double.last('task/retry'))
           end
           return row
         end
         retry = double.answers['task/retry']",
    );
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.last('task/retry').progressToken ~= nil", "true");
    run(&mut nvim, "double.progress('task/retry', { kind = 'begin', done = 0 })");
    nvim.wait_for_screen("Sent again to high, as shop.tasks.charge a0000001");
    assert_eq!(number(&mut nvim, "double.count('job/get')"), 3, "while it runs it is waited for");
    honest(&mut nvim);
}

/// What is longer than the screen can be read before it is answered.
#[test]
fn a_long_plan_can_be_read_first() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "local rows = double.tasks(40, 100)
         for i, row in ipairs(rows) do
           if i > 1 then
             acting.refused[row.uuid] = { kind = 'waiting', reason = 'it still waits in `q' .. i .. '`' }
           end
         end
         double.list('task', rows)",
    );
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "40");
    nvim.keys("ggVGr");
    let question = asked(&mut nvim);
    assert!(question.ends_with("Yes, send 1 of 40 tasks again on prod\nLet me read that first"));
    pick(&mut nvim, 3);
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-plan\"");
    nvim.keys("G");
    nvim.wait_for_screen("it still waits in `q40`");
    nvim.keys("<CR>");
    pick(&mut nvim, 2);
    nvim.wait_for_screen("1 of 40 tasks sent again; 39 left alone");
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_that_unknown() {
    let mut nvim = five_tasks();
    nvim.keys("r");
    asked(&mut nvim);
    run(&mut nvim, "double.silent['task/retry'] = true");
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.last('task/retry').progressToken ~= nil", "true");
    run(&mut nvim, "double.die(139)");
    nvim.wait_for_screen("whether all of it was done is not known");
    nvim.take_messages();
}
