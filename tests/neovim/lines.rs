//! The winbar and the statusline, ours and those of other plugins.

use super::lab::{self, LARGE, SMALL, expect, lines, run, tasks, value};
use crate::support::neovim::Neovim;

fn two_tasks(nvim: &mut Neovim) {
    lab::show(nvim, "LazyCelery tasks");
    tasks(nvim, 2, 0);
    nvim.wait_for_screen("00000002");
}

/// The last line but one: the statusline of the lowest window.
fn status(screen: &str) -> &str {
    screen.split('\n').rev().nth(1).unwrap()
}

#[test]
fn a_plain_statusline_shows_the_state_and_follows_it() {
    let mut nvim = lab::start(SMALL);
    nvim.command("set laststatus=2 statusline=%f%=%{%v:lua.require'lazycelery'.statusline()%}");
    nvim.command("edit notes.txt");
    assert_eq!(status(&nvim.screen()).trim(), "notes.txt", "before a view nothing is known");
    two_tasks(&mut nvim);
    nvim.command("belowright split notes.txt");
    nvim.wait_for_screen_that("shows the figures, percent and all", |screen| {
        let shown = status(screen);
        shown.starts_with("notes.txt")
            && shown.ends_with("prod ●  ✓ 99.3 %  ↓ 82.0/s  12 active  1,204 queued")
    });
    run(&mut nvim, "double.tell_environment({ counts = { active = 99 } })");
    nvim.wait_for_screen_that("follows", |screen| status(screen).ends_with("99 active"));
    run(&mut nvim, "double.tell_environment({ status = 'disconnected' })");
    nvim.wait_for_screen_that("follows", |screen| status(screen).contains("prod ○"));
}

/// The badge gives way to titles, and what is not normal does not.
#[test]
fn no_title_is_cut_by_a_badge_that_says_nothing_new() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, "LazyCelery queues");
    run(&mut nvim, "cluster.tell('queues')");
    nvim.wait_for_screen("1,204");
    let header = |nvim: &mut Neovim, columns: u16| {
        run(nvim, &format!("vim.o.columns = {columns} vim.cmd.redraw()"));
        nvim.wait_for_screen_that("has its header", |screen| {
            screen.split('\n').next().unwrap().contains("EMPT")
        })
    };
    for columns in 80..140 {
        let screen = header(&mut nvim, columns);
        assert!(screen.split('\n').next().unwrap().contains("EMPTY IN"), "{columns}:\n{screen}");
    }
    for (columns, badge) in [(80, "prod ●"), (88, "EMPTY IN    ●"), (93, "EMPTY IN  prod ●")]
    {
        let screen = header(&mut nvim, columns);
        let first = screen.split('\n').next().unwrap();
        assert!(first.trim_end().ends_with(badge), "{columns}: {first}");
    }
    run(&mut nvim, "double.tell_environment({ status = 'disconnected', retry_in = 3 })");
    nvim.wait_for_screen_that("tells of the retry", |screen| {
        screen.split('\n').next().unwrap().contains("○ retry 3 s")
    });
}

/// As lualine does it: the line is built from the texts of functions, and set again every second.
const PLUGIN: &str = "
    local sections = { function() return 'NORMAL' end, function() return '%f' end,
                       function() return require('lazycelery').statusline() end }
    function refresh()
      local texts = vim.tbl_map(function(section) return section() end, sections)
      vim.wo.statusline = texts[1] .. ' ' .. texts[2] .. '%=' .. texts[3]
    end
    vim.uv.new_timer():start(0, 1000, vim.schedule_wrap(refresh))";

#[test]
fn a_statusline_that_a_plugin_keeps_setting_is_theirs_and_shows_ours_as_text() {
    let mut nvim = lab::start(LARGE);
    run(&mut nvim, PLUGIN);
    two_tasks(&mut nvim);
    expect(&mut nvim, "require('lazycelery.head').lost('statusline')", "{ \"lazycelery-tasks\" }");
    run(
        &mut nvim,
        "refresh()
         local at = vim.wo.statusline
         double.tell_environment({ counts = { active = 99 } })
         vim.wait(300, function() return vim.wo.statusline ~= at end, 5)",
    );
    let theirs = nvim.wait_for_screen_that("is theirs", |screen| {
        status(screen).starts_with("NORMAL") && status(screen).contains("99 active")
    });
    assert!(status(&theirs).contains("99.3 %"), "{theirs}");
    // The header is still ours.
    assert!(theirs.lines().next().unwrap().contains("prod ●"), "{theirs}");
    nvim.command("checkhealth lazycelery");
    assert!(lines(&mut nvim).contains("Another plugin sets the statusline of our windows"));
}

/// What is set for all windows is no plugin at work: our windows keep their own.
#[test]
fn a_users_global_winbar_and_statusline_are_for_the_other_windows() {
    let mut nvim = lab::start(SMALL);
    nvim.command("set winbar=THEIR-BAR statusline=THEIR-LINE laststatus=2");
    nvim.command("edit notes.txt");
    two_tasks(&mut nvim);
    for _ in 0..3 {
        nvim.keys("<C-^>");
        nvim.wait_for_screen_that("is theirs", |screen| {
            screen.starts_with("THEIR-BAR") && status(screen).starts_with("THEIR-LINE")
        });
        nvim.keys("<C-^>");
        nvim.wait_for_screen_that("is ours", |screen| {
            screen.starts_with(" STATE") && status(screen).contains("[2 Tasks")
        });
    }
    assert_eq!(value(&mut nvim, "require('lazycelery.head').lost('winbar')"), "{}");
}

#[test]
fn either_can_be_off() {
    let mut nvim = lab::start(SMALL);
    nvim.command("set statusline=THEIRS laststatus=2");
    run(
        &mut nvim,
        "require('lazycelery').setup({ cmd = { 'true' }, winbar = false, statusline = false })",
    );
    two_tasks(&mut nvim);
    let screen = nvim.screen();
    assert!(screen.starts_with(" ✓ SUCCESS"), "{screen}");
    assert!(status(&screen).starts_with("THEIRS"), "{screen}");
}

#[test]
fn one_statusline_for_all_windows_is_as_wide_as_the_screen() {
    let mut nvim = lab::start(SMALL);
    nvim.command("set laststatus=3");
    two_tasks(&mut nvim);
    nvim.command("vertical new");
    nvim.command("wincmd p");
    nvim.wait_for_screen_that("says all", |screen| {
        status(screen).contains("1 Workers 3")
            && status(screen).trim_end().ends_with("1,204 queued")
    });
}
