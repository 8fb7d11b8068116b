//! Views among the user's own buffers, windows, options, autocommands and plugins.

use super::lab::{self, LARGE, SMALL, expect, lines, number, run, tasks, value};

#[test]
fn n04_a_kept_filter_renames_the_buffer_and_leaves_nothing_behind() {
    let mut nvim = lab::start(SMALL);
    nvim.command("edit notes.txt");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("00000003");
    nvim.keys("istate:failure name:shop.*");
    expect(&mut nvim, "double.last('subscription/update').filter", "\"state:failure name:shop.*\"");
    assert_eq!(
        value(&mut nvim, "vim.api.nvim_buf_get_name(require('lazycelery.view').all()[1].buf)"),
        "\"lazycelery://prod:tasks\"",
        "half a filter is no name"
    );
    nvim.keys("<CR>");
    expect(
        &mut nvim,
        "vim.api.nvim_buf_get_name(0)",
        "\"lazycelery://prod:tasks?state%3Afailure%20name%3Ashop.%2A\""
            .replace("%3A", ":")
            .as_str(),
    );
    let ours = "#vim.tbl_filter(function(b) return vim.api.nvim_buf_get_name(b):find('lazycelery://', 1, true) end, vim.api.nvim_list_bufs())";
    assert_eq!(number(&mut nvim, ours), 1);
    nvim.keys("<C-^>");
    assert!(value(&mut nvim, "vim.fn.bufname()").contains("notes.txt"));
    nvim.keys("<C-^>q");
    assert!(value(&mut nvim, "vim.fn.bufname()").contains("notes.txt"));
}

#[test]
fn n09_a_view_opened_in_an_autocommand_is_a_whole_view() {
    for opened in [
        "LazyCelery tasks",
        "edit lazycelery://prod:tasks",
        "noautocmd edit lazycelery://prod:tasks",
    ] {
        let mut nvim = lab::start(SMALL);
        nvim.command(&format!("autocmd User Go {opened}"));
        nvim.command("doautocmd User Go");
        if opened.starts_with("LazyCelery") {
            expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
        }
        // Events do not fire inside an autocommand: what they missed is made up for on return.
        nvim.command("new");
        nvim.command("wincmd p");
        expect(&mut nvim, "double.count('task/subscribe')", "1");
        assert_eq!(value(&mut nvim, "vim.bo.buftype"), "\"nofile\"", "{opened}");
        assert_eq!(value(&mut nvim, "vim.bo.modifiable"), "false", "{opened}");
        tasks(&mut nvim, 2, 0);
        nvim.wait_for_screen("00000002");
    }
}

#[test]
fn n12_n13_no_editorconfig_no_swap_file_no_modeline() {
    let mut nvim = lab::start(SMALL);
    std::fs::write(
        nvim.home().join(".editorconfig"),
        "root=true\n[*]\nmax_line_length=20\nindent_size=7\n",
    )
    .unwrap();
    nvim.command("set modeline modelines=5");
    lab::show(&mut nvim, "LazyCelery tasks");
    run(
        &mut nvim,
        "local rows = double.tasks(1)
         rows[1].result = ' vim: set ft=python nowrap ts=3:'
         double.list('task', rows)",
    );
    nvim.wait_for_screen("vim: set");
    nvim.command("edit");
    expect(&mut nvim, "double.count('task/subscribe')", "2");
    nvim.wait_for_screen("vim: set");
    assert_eq!(
        value(
            &mut nvim,
            "{ vim.bo.filetype, vim.bo.textwidth, vim.bo.tabstop, vim.bo.shiftwidth }"
        ),
        "{ \"lazycelery-tasks\", 0, 8, 8 }"
    );
    assert_eq!(
        value(&mut nvim, "{ vim.bo.swapfile, vim.bo.modeline, vim.bo.undolevels }"),
        "{ false, false, -1 }"
    );
}

#[test]
fn n14_names_are_found_exactly_in_every_order() {
    let uuid = "5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";
    let commands = [
        "LazyCelery tasks".to_owned(),
        format!("LazyCelery task {uuid}"),
        "LazyCelery tasks state:*".to_owned(),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut nvim = lab::start(SMALL);
        for index in order {
            lab::show(&mut nvim, &commands[index]);
        }
        assert_eq!(number(&mut nvim, "#require('lazycelery.view').all()"), 3);
        // Again: the buffers that are there.
        for command in &commands {
            nvim.command(command);
        }
        assert_eq!(number(&mut nvim, "#require('lazycelery.view').all()"), 3);
    }
}

/// Back in a view a window shows the winbar of then: that is nobody else's.
#[test]
fn turning_from_view_to_view_is_no_fight_over_the_winbar() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("00000001");
    for _ in 0..3 {
        nvim.keys("g3");
        nvim.keys("g2");
    }
    nvim.wait_for_screen("00000001");
    assert_eq!(value(&mut nvim, "require('lazycelery.head').lost('winbar')"), "{}");
}

#[test]
fn n22_a_winbar_that_others_set_twice_a_second_is_theirs() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("prod ●");
    nvim.command("setlocal winbar=theirs");
    nvim.command("doautocmd WinEnter");
    nvim.wait_for_screen("prod ●");
    for _ in 0..2 {
        nvim.command("setlocal winbar=theirs");
        nvim.command("doautocmd WinEnter");
    }
    let screen = nvim.wait_for_screen("theirs");
    assert!(
        screen.lines().nth(1).unwrap().starts_with(" STATE"),
        "the header is the first line:\n{screen}"
    );
    assert_eq!(
        value(&mut nvim, "require('lazycelery.head').lost('winbar')"),
        "{ \"lazycelery-tasks\" }"
    );
    assert_eq!(
        value(&mut nvim, "require('lazycelery').row()"),
        "{\n  environment = \"prod\",\n  noun = \"task\"\n}"
    );
}

#[test]
fn n28_q_ends_a_recording_and_only_that() {
    let mut nvim = lab::start(SMALL);
    nvim.command("edit notes.txt");
    nvim.keys("qa");
    expect(&mut nvim, "vim.fn.reg_recording()", "\"a\"");
    lab::show(&mut nvim, "LazyCelery tasks");
    nvim.keys("q");
    expect(&mut nvim, "vim.fn.reg_recording()", "\"\"");
    assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-tasks\"");
    nvim.keys("q");
    expect(&mut nvim, "vim.fn.bufname()", "\"notes.txt\"");
}

#[test]
fn n32_a_percent_in_a_name_is_a_percent() {
    let mut nvim = lab::open(SMALL, "LazyCelery worker a%{x}@%#Error#");
    nvim.wait_for_screen("a%{x}@%#Error#");
    assert!(value(&mut nvim, "vim.wo.winbar").contains("a%%{x}@%%#Error#"));
}

#[test]
fn n34_header_and_columns_agree_with_number_and_signs() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("00000001");
    nvim.command("setlocal number signcolumn=yes");
    let screen = nvim.wait_for_screen_that("agrees", |screen| {
        let mut rows = screen.lines();
        let (header, row) = (rows.next().unwrap(), rows.next().unwrap());
        header.find("STATE") > Some(5) && header.find("STATE") == row.find('✓')
    });
    assert!(screen.contains("shop.tasks.charge"));
    // Moved to the side, the header moves along.
    nvim.keys("20zl");
    nvim.wait_for_screen_that("moved", |screen| !screen.lines().next().unwrap().contains("STATE"));
}

#[test]
fn n35_an_autocommand_that_throws_does_not_stop_a_view() {
    let mut nvim = lab::start(SMALL);
    nvim.command("autocmd BufEnter,BufWinEnter,FileType,WinEnter * throw 'x'");
    nvim.command("silent! LazyCelery tasks");
    expect(&mut nvim, "double.count('task/subscribe')", "1");
    tasks(&mut nvim, 2, 0);
    nvim.wait_for_screen("00000002");
    assert_eq!(value(&mut nvim, "vim.bo.modifiable"), "false");
    nvim.command("autocmd! BufEnter,BufWinEnter,FileType,WinEnter *");
    nvim.take_messages();
}

#[test]
fn n50_a_users_looks_do_not_spoil_the_table_nor_we_theirs() {
    let mut nvim = lab::start(SMALL);
    nvim.command("set list listchars=trail:x,extends:> spell colorcolumn=40 wrap relativenumber");
    nvim.command("edit notes.txt");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 2, 0);
    let screen = nvim.wait_for_screen("00000002");
    assert!(!screen.contains("xxx"), "{screen}");
    assert!(!lines(&mut nvim).lines().any(|line| line.ends_with(' ')));
    assert_eq!(
        value(&mut nvim, "{ vim.wo.listchars, vim.wo.wrap, vim.wo.spell, vim.wo.relativenumber }"),
        "{ \"extends:…,precedes:…\", false, false, true }"
    );
    nvim.keys("q");
    assert_eq!(
        value(
            &mut nvim,
            "{ vim.wo.list, vim.wo.wrap, vim.wo.spell, vim.wo.colorcolumn, vim.wo.winbar }"
        ),
        "{ true, true, true, \"40\", \"\" }"
    );
}

#[test]
fn n54_loading_and_setting_up_twice_is_loading_once() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("setfiletype lazycelery-tasks");
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' } })");
    nvim.command("doautocmd FileType lazycelery-tasks");
    tasks(&mut nvim, 2, 0);
    nvim.wait_for_screen("00000002");
    assert_eq!(number(&mut nvim, "double.starts"), 1);
    assert_eq!(number(&mut nvim, "double.count('task/subscribe')"), 1);
}

#[test]
fn n56_lists_are_listed_unless_the_user_wants_none() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    assert_eq!(value(&mut nvim, "vim.bo.buflisted"), "true");
    nvim.keys("g?");
    assert_eq!(
        value(&mut nvim, "{ vim.bo.filetype, vim.bo.buflisted, vim.api.nvim_buf_get_name(0) }"),
        "{ \"lazycelery-help\", false, \"\" }"
    );
    nvim.keys("q");
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' }, listed = false })");
    lab::show(&mut nvim, "LazyCelery queues");
    assert_eq!(value(&mut nvim, "vim.bo.buflisted"), "false");
}

#[test]
fn n56_a_tab_tells_the_view_and_its_environment() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    nvim.command("tab LazyCelery queues");
    let screen = nvim.wait_for_screen("Queues");
    let tabs = screen.lines().next().unwrap();
    assert!(tabs.contains("prod:tasks") && tabs.contains("prod:queues"), "{tabs}");
}

#[test]
fn n57_no_language_server_stays_attached() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    run(
        &mut nvim,
        "client = vim.lsp.start({ name = 'any', cmd = function() return {
           request = function(method, _, callback) callback(nil, method == 'initialize' and { capabilities = {} } or nil) return true, 1 end,
           notify = function() return true end, is_closing = function() return false end, terminate = function() end,
         } end })",
    );
    expect(&mut nvim, "client ~= nil and #vim.lsp.get_clients({ bufnr = 0 })", "0");
}

#[test]
fn n61_an_id_goes_to_the_register_asked_for_and_no_other() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("00000001");
    run(
        &mut nvim,
        "vim.fn.setreg('a', 'old') vim.fn.setreg('\"', 'kept') vim.fn.setreg('b', 'kept')",
    );
    nvim.keys("\"agy");
    nvim.wait_for_screen("00000001-3b7e");
    assert_eq!(value(&mut nvim, "vim.fn.getreg('a')"), "\"00000001-3b7e-4d1c-9a55-0f6f3e2d1c77\"");
    assert_eq!(value(&mut nvim, "vim.fn.getreg('b')"), "\"kept\"");
    nvim.keys("\"bgY");
    expect(&mut nvim, "vim.fn.getreg('b')", "\"(42, 'eur')\"");
}

#[test]
fn from_windows_that_hold_something_of_their_own_a_view_opens_elsewhere() {
    let float = "lua vim.api.nvim_open_win(0, true, \
        { relative = 'editor', row = 1, col = 1, width = 9, height = 3 })";
    for (made, what) in [
        ("setlocal winfixbuf", "winfixbuf"),
        ("copen", "quickfix"),
        ("terminal cat", "terminal"),
        ("setlocal buftype=prompt", "prompt"),
        ("setlocal previewwindow", "preview"),
        (float, "float"),
    ] {
        let mut nvim = lab::start(SMALL);
        nvim.command("edit notes.txt");
        nvim.command("split");
        nvim.command(made);
        let before = value(&mut nvim, "vim.api.nvim_get_current_win()");
        lab::show(&mut nvim, "LazyCelery tasks");
        assert_ne!(value(&mut nvim, "vim.api.nvim_get_current_win()"), before, "{what}");
        assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-tasks\"", "{what}");
    }
}

/// `:b`, marks, jumps and the alternate file take a view for a file.
#[test]
fn a_view_is_a_buffer_like_any_other() {
    let mut nvim = lab::start(SMALL);
    nvim.command("edit notes.txt");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 5, 0);
    nvim.wait_for_screen("00000005");
    nvim.keys("jjmA");
    for (keys, expected) in [
        ("<C-o>", "notes.txt"),
        ("<C-i>", "lazycelery://prod:tasks"),
        ("<C-^>", "notes.txt"),
        ("'A", "lazycelery://prod:tasks"),
        (":b notes<CR>", "notes.txt"),
        (":b prod:ta<CR>", "lazycelery://prod:tasks"),
    ] {
        nvim.keys(keys);
        expect(&mut nvim, "vim.fn.bufname()", &format!("{expected:?}"));
    }
    assert_eq!(number(&mut nvim, "vim.fn.line('.')"), 3);
    assert!(value(&mut nvim, "vim.fn.execute('ls')").contains("prod:tasks"));
    // Deleted and opened again, it is whole.
    let before = number(&mut nvim, "double.count('task/subscribe')");
    nvim.command("bdelete");
    nvim.command("buffer prod:tasks");
    expect(&mut nvim, "double.count('task/subscribe')", &(before + 1).to_string());
    assert_eq!(value(&mut nvim, "vim.fn.maparg('gy', 'n', false, true).buffer"), "1");
}

#[test]
fn the_way_in_is_the_way_out() {
    let mut nvim = lab::start(SMALL);
    nvim.command("edit notes.txt");
    lab::show(&mut nvim, "LazyCelery");
    nvim.keys("g2");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    expect(&mut nvim, "double.count('task/subscribe')", "1");
    tasks(&mut nvim, 2, 0);
    nvim.wait_for_screen("00000002");
    nvim.keys("j<CR>");
    expect(&mut nvim, "double.count('task/watch')", "1");
    assert_eq!(
        value(&mut nvim, "require('lazycelery').row()"),
        "{\n  environment = \"prod\",\n  key = \"00000002-3b7e-4d1c-9a55-0f6f3e2d1c77\",\n  noun = \"task\"\n}"
    );
    nvim.keys("-");
    expect(&mut nvim, "vim.fn.bufname()", "\"lazycelery://prod:tasks\"");
    assert_eq!(number(&mut nvim, "vim.fn.line('.')"), 2, "as it was left");
    nvim.keys("]v");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-queues\"");
    nvim.keys("2]v");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-workers\"");
    nvim.keys("q");
    expect(&mut nvim, "vim.fn.bufname()", "\"notes.txt\"");
    nvim.command("vertical LazyCelery tasks");
    expect(&mut nvim, "vim.fn.winnr('$')", "2");
    nvim.keys("q");
    expect(&mut nvim, "vim.fn.winnr('$')", "1");
}

#[test]
fn the_help_shows_every_key_that_is_mapped_and_no_other() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    let mapped = nvim.text(
        "local shown = {}
         for _, row in ipairs(require('lazycelery.help').rows(require('lazycelery.views.tasks'))) do
           for key in row[1]:gmatch('%S+') do shown[vim.keycode(key)] = true end
         end
         local doors = { gf = true, gF = true }
         local wrong = {}
         for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, 'n')) do
           local key = vim.keycode(map.lhs)
           -- What stands behind `q` is no key.
           local inner = vim.startswith(map.lhs, '<Plug>')
           if not shown[key] and not inner and not map.desc:find('the frame') then table.insert(wrong, 'not in the help: ' .. map.lhs) end
           shown[key] = nil
         end
         for key in pairs(shown) do table.insert(wrong, 'not mapped: ' .. key) end
         return table.concat(wrong, '\\n')",
    );
    assert_eq!(mapped, "");
}

#[test]
fn checkhealth_says_what_is_there() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    nvim.command("checkhealth lazycelery");
    let report = lines(&mut nvim);
    for said in [
        "Neovim",
        "Running: lazycelery 0.0.0, protocol 1",
        "prod: connected, redis://:***@localhost:6379/0",
    ] {
        assert!(report.contains(said), "no {said:?} in\n{report}");
    }
}
