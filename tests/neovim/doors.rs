//! A traceback names whatever it likes; nothing of it is ever run (invariant 9).

use super::lab::{self, LARGE, expect, run, value};
use crate::support::neovim::Neovim;
use std::path::PathBuf;

/// The keys through which Neovim itself would open, and so run, `term://…`.
const DOORS: [&str; 10] =
    ["<CR>", "gf", "gF", "<C-w>f", "<C-w>F", "<C-w>gf", "<C-w>gF", "<C-w><C-f>", "]f", "[f"];

/// A failed task whose first frame is hostile and whose second is a file here; and the file that
/// the hostile one would make.
fn failed_task() -> (Neovim, PathBuf) {
    let mut nvim = lab::start(LARGE);
    let marker = nvim.home().join("pwned");
    let app = nvim.home().join("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(app.join("tasks.py"), "one\ntwo\nthree\n").unwrap();
    run(
        &mut nvim,
        &format!(
            "require('lazycelery').setup({{ cmd = {{ 'true' }}, path_map = {{ ['/srv/app'] = '{}' }} }})",
            app.display()
        ),
    );
    lab::show(&mut nvim, "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77");
    run(
        &mut nvim,
        &format!(
            "local row = double.tasks(1)[1]
             row.state, row.exception = 'FAILURE', \"CardDeclined('no funds')\"
             row.traceback = {{ text = '', frames = {{
               {{ file = 'term://touch$IFS{}', line = 88, ['function'] = 'evil', code = 'x' }},
               {{ file = '/srv/app/tasks.py', line = 2, ['function'] = 'charge', code = 'pay()' }},
             }} }}
             double.notify('task/watch', {{ row = row }})",
            marker.display()
        ),
    );
    nvim.wait_for_screen("in evil");
    (nvim, marker)
}

#[test]
fn a_term_frame_runs_at_no_door() {
    for door in DOORS {
        for modes in ["", "v$h"] {
            if door == "<CR>" && !modes.is_empty() {
                continue;
            }
            let (mut nvim, marker) = failed_task();
            nvim.keys("/term:<CR>");
            nvim.keys(&format!("{modes}{door}"));
            let shown = nvim.take_messages();
            assert!(shown.contains("not a file name"), "{modes}{door} showed {shown}");
            assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-task\"", "{modes}{door}");
            assert!(!value(&mut nvim, "vim.fn.bufnr('term://')").contains("term"));
            assert!(!marker.exists(), "{modes}{door} ran the frame");
        }
    }
}

#[test]
fn a_term_frame_never_enters_the_quickfix_list() {
    let (mut nvim, marker) = failed_task();
    nvim.keys("gq");
    nvim.wait_for_screen("1 frames in the quickfix list, 1 are no files here");
    expect(&mut nvim, "#vim.fn.getqflist()", "1");
    nvim.command("cc 1");
    assert!(value(&mut nvim, "vim.api.nvim_buf_get_name(0)").ends_with("app/tasks.py\""));
    assert!(!marker.exists());
}

/// Payloads in lists and peeks are text as well: there the doors lead nowhere.
#[test]
fn a_term_argument_runs_in_no_list_and_no_peek() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    let marker = nvim.home().join("pwned");
    run(
        &mut nvim,
        &format!(
            "local rows = double.tasks(1)
             rows[1].args = 'term://touch$IFS{}'
             double.list('task', rows)",
            marker.display()
        ),
    );
    nvim.wait_for_screen("term://touch");
    for peek in ["", "KK"] {
        nvim.keys(peek);
        for door in &DOORS[1..] {
            nvim.command("echo ''");
            nvim.keys("/term:<CR>");
            nvim.keys(door);
            nvim.wait_for_screen("No frame of a traceback here");
        }
    }
    assert!(!marker.exists());
}

#[test]
fn a_frame_opens_at_its_line_in_the_window_one_came_from() {
    let (mut nvim, _) = failed_task();
    // From anywhere in the task it leads to where it failed.
    nvim.keys("gg");
    nvim.keys("gF");
    assert!(value(&mut nvim, "vim.api.nvim_buf_get_name(0)").ends_with("app/tasks.py\""));
    assert_eq!(value(&mut nvim, "vim.fn.line('.')"), "2");
    nvim.command("buffer #");
    nvim.keys("/in charge<CR>");
    nvim.keys("gF");
    assert!(value(&mut nvim, "vim.api.nvim_buf_get_name(0)").ends_with("app/tasks.py\""));
    assert_eq!(value(&mut nvim, "vim.fn.line('.')"), "2");
    // In a split of the view, `<CR>` opens in the window one came from.
    nvim.command("buffer #");
    nvim.command("new");
    nvim.command("wincmd p");
    nvim.keys("/in charge<CR>");
    nvim.keys("<CR>");
    assert_eq!(value(&mut nvim, "vim.fn.winnr()"), "1");
    assert!(value(&mut nvim, "vim.api.nvim_buf_get_name(0)").ends_with("app/tasks.py\""));
}
