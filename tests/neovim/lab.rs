//! A Neovim whose plugin talks to the double of `tests/nvim/double.lua`.

use crate::support::neovim::{Neovim, Size};
use crate::support::root;
use crate::support::wait::wait_until;

pub const SMALL: Size = Size(80, 24);
pub const LARGE: Size = Size(200, 50);

/// A Neovim with the double in place, and nothing opened.
pub fn start(size: Size) -> Neovim {
    // `true` is a program that exists; the double never starts it.
    let mut nvim = Neovim::start_with(size, &["true"]);
    // `--clean` leaves out `plugin/` of what `--cmd` put on the path too late for it.
    nvim.command("runtime plugin/lazycelery.lua");
    load(&mut nvim, "double = require('double')");
    nvim
}

/// Runs Lua that may require the modules of `tests/nvim`.
pub fn load(nvim: &mut Neovim, source: &str) {
    let folder = root().join("tests/nvim").display().to_string();
    nvim.lua("package.path = ... .. '/?.lua;' .. package.path", vec![folder.into()]);
    nvim.lua(source, vec![]);
}

/// Puts a picker in place that waits for `pick`.
pub fn picker(nvim: &mut Neovim) {
    load(nvim, "picker = require('picker')");
}

/// The question that is open: its prompt and items, a line each.
#[track_caller]
pub fn asked(nvim: &mut Neovim) -> String {
    expect(nvim, "picker.asked ~= nil", "true");
    nvim.text("return picker.asked.prompt .. '\\n' .. table.concat(picker.asked.items, '\\n')")
}

/// Answers the open question by the number of an item, from 1.
#[track_caller]
pub fn pick(nvim: &mut Neovim, item: usize) {
    expect(nvim, "picker.asked ~= nil", "true");
    run(nvim, &format!("picker.pick({item})"));
}

/// Types into the line that is open.
#[track_caller]
pub fn type_in(nvim: &mut Neovim, text: &str) {
    expect(nvim, "picker.asked ~= nil and #picker.asked.items", "0");
    run(nvim, &format!("picker.typed('{text}')"));
}

/// A Neovim that shows a view, subscribed to and still without rows.
pub fn open(size: Size, command: &str) -> Neovim {
    let mut nvim = start(size);
    show(&mut nvim, command);
    nvim
}

/// Opens a view, and waits until its feed is asked for.
#[track_caller]
pub fn show(nvim: &mut Neovim, command: &str) {
    let before = number(nvim, "double.feeds");
    nvim.command(command);
    wait_until("a feed", || {
        let now = number(nvim, "double.feeds");
        (now > before).then_some(()).ok_or(now)
    });
}

/// Runs Lua.
#[track_caller]
pub fn run(nvim: &mut Neovim, source: &str) {
    nvim.lua(source, vec![]);
}

/// What a Lua expression is, as `vim.inspect` prints it; where it raises, why.
#[track_caller]
pub fn value(nvim: &mut Neovim, expression: &str) -> String {
    nvim.text(&format!(
        "local ok, found = pcall(function() return {expression} end)
         return ok and vim.inspect(found) or found"
    ))
}

/// What a Lua expression that is a number is.
#[track_caller]
pub fn number(nvim: &mut Neovim, expression: &str) -> i64 {
    let found = nvim.lua(&format!("return {expression}"), vec![]);
    found.as_i64().unwrap_or_else(|| panic!("{expression} is {found}"))
}

/// Waits until a Lua expression is what is expected, as `vim.inspect` prints it.
#[track_caller]
pub fn expect(nvim: &mut Neovim, expression: &str, expected: &str) {
    wait_until(&format!("{expression} to be {expected}"), || {
        let found = value(nvim, expression);
        (found == expected).then_some(()).ok_or(found)
    });
}

/// Waits until `text` was said, and takes what was.
#[track_caller]
pub fn said(nvim: &mut Neovim, text: &str) {
    wait_until(&format!("{text:?} to be said"), || {
        // What the message line does not take stands there over several lines.
        let shown = nvim.text("return (vim.fn.execute('messages'):gsub('%s*\\n', ' '))");
        shown.contains(text).then_some(()).ok_or(shown)
    });
    nvim.take_messages();
}

/// The lines of the current buffer.
#[track_caller]
pub fn lines(nvim: &mut Neovim) -> String {
    nvim.text("return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')")
}

/// How many ways the text below the first line of a view looks: one, where all of it is dim.
#[track_caller]
pub fn looks(nvim: &mut Neovim) -> i64 {
    number(
        nvim,
        "(function()
           vim.cmd.redraw()
           local found = {}
           for row = 3, vim.o.lines - 2 do
             -- The last column may hold the mark of what reaches beyond it.
             for column = 1, vim.o.columns - 1 do
               if vim.fn.screenstring(row, column):find('%S') then
                 found[vim.fn.screenattr(row, column)] = true
               end
             end
           end
           return vim.tbl_count(found)
         end)()",
    )
}

/// A list of tasks on the screen: `count` of them, the first `from + 1`.
#[track_caller]
pub fn tasks(nvim: &mut Neovim, count: usize, from: usize) {
    run(nvim, &format!("double.list('task', double.tasks({count}, {from}))"));
}

/// The lines of the window of a filetype.
pub fn shown(nvim: &mut Neovim, filetype: &str) -> String {
    nvim.text(&format!(
        "for _, win in ipairs(vim.api.nvim_list_wins()) do
           local buf = vim.api.nvim_win_get_buf(win)
           if vim.bo[buf].filetype == '{filetype}' then
             return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\\n')
           end
         end
         return ''"
    ))
}

/// The window below that tells what came of each, and closes it.
#[track_caller]
pub fn outcome(nvim: &mut Neovim) -> String {
    let told = wait_until("an outcome", || {
        let told = shown(nvim, "lazycelery-outcome");
        (!told.is_empty()).then_some(told).ok_or(())
    });
    nvim.keys("<C-w>jq");
    expect(nvim, "vim.fn.winnr('$')", "1");
    told
}
