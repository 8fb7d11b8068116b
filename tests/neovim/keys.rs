//! Keys, commands and what they leave alone: counts, selections, registers, macros, Vim's own keys.

use super::lab::{self, LARGE, SMALL, expect, lines, number, run, tasks, value};
use crate::support::neovim::Neovim;

const VIEWS: [&str; 7] = [
    "LazyCelery workers",
    "LazyCelery worker celery@web-1",
    "LazyCelery tasks",
    "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77",
    "LazyCelery queues",
    "LazyCelery messages high",
    "LazyCelery environments",
];

fn five_tasks() -> Neovim {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 5, 100);
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5");
    nvim
}

/// The first eight of each line of a register, and its type.
fn register(nvim: &mut Neovim, name: &str) -> String {
    nvim.text(&format!(
        "local ids = vim.tbl_map(function(line) return line:sub(1, 8) end, vim.fn.getreg('{name}', 1, true))
         return table.concat(ids, ' ') .. ' ' .. vim.fn.getregtype('{name}')"
    ))
}

#[test]
fn a_row_action_takes_a_count_a_selection_and_a_range() {
    let mut nvim = five_tasks();
    nvim.keys("jgy");
    assert_eq!(register(&mut nvim, "\""), "00000102 v");
    nvim.keys("2gy");
    assert_eq!(register(&mut nvim, "\""), "00000102 00000103 V");
    nvim.wait_for_screen("2 ids yanked");
    nvim.keys("\"a99gy");
    assert_eq!(register(&mut nvim, "a"), "00000102 00000103 00000104 00000105 V");
    nvim.keys("Vk\"bgy");
    assert_eq!(register(&mut nvim, "b"), "00000101 00000102 V");
    assert_eq!(value(&mut nvim, "vim.fn.mode()"), "\"n\"");
    nvim.command("4,5LazyCelery yank_id");
    assert_eq!(register(&mut nvim, "\""), "00000104 00000105 V");
    nvim.keys("2gY");
    expect(&mut nvim, "vim.fn.getreg('\"', 1, true)", r#"{ "(42, 'eur')", "(42, 'eur')" }"#);
}

/// Of a page, what stands on its lines.
#[test]
fn a_selection_of_a_page_yanks_each_id_once() {
    let mut nvim = lab::start(LARGE);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, VIEWS[3]);
    run(&mut nvim, "cluster.tell('task')");
    nvim.wait_for_screen("Workflow");
    nvim.keys("ggVGgy");
    let yanked = value(&mut nvim, "vim.fn.getreg('\"', 1, true)");
    let ids: Vec<&str> = yanked.split('"').filter(|text| text.len() > 5).collect();
    assert!(ids.len() > 1 && ids.contains(&"5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77"), "{yanked}");
    let each: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(each.len(), ids.len(), "{yanked}");
}

/// Why names are not there is said where names are not there.
#[test]
fn a_list_without_names_says_why() {
    let mut nvim = five_tasks();
    let why = "Only its result was seen: a name stands there with result_extended only.";
    for keys in ["g?", "KK"] {
        nvim.keys(keys);
        assert!(!lab::lines(&mut nvim).contains(why), "{keys}");
        nvim.keys("q");
    }
    run(
        &mut nvim,
        "local rows = double.tasks(5, 100)
         rows[3].name, rows[3].finished = nil, rows[3].seen
         double.list('task', rows)",
    );
    nvim.wait_for_screen("—");
    nvim.keys("gg2jg?");
    let help = lab::lines(&mut nvim);
    assert!(help.contains("NAME —") && help.contains("Only its result was seen"), "{help}");
    nvim.keys("qKK");
    assert!(lab::lines(&mut nvim).contains(why));
}

#[test]
fn what_is_for_no_rows_takes_no_range() {
    let mut nvim = five_tasks();
    for command in ["2LazyCelery tasks", "2,3LazyCelery refresh"] {
        nvim.command(&format!("silent! {command}"));
        let shown = nvim.take_messages();
        assert!(shown.contains("takes no range"), "{command}: {shown}");
    }
}

#[test]
fn n28_what_is_recorded_is_replayed_without_the_key_that_ended_it() {
    let mut nvim = lab::start(SMALL);
    nvim.command("edit notes.txt");
    nvim.keys("qa");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 5, 100);
    nvim.wait_for_screen("00000105");
    nvim.keys("j\"Agyq");
    expect(&mut nvim, "vim.fn.reg_recording()", "\"\"");
    run(&mut nvim, "vim.fn.setreg('b', 'j\"Cgy')");
    nvim.keys("2@b");
    let yanked = value(&mut nvim, "vim.fn.getreg('c')");
    assert!(yanked.contains("00000103") && yanked.contains("00000104"), "{yanked}");
    assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-tasks\"");
    assert!(!value(&mut nvim, "vim.fn.getreg('a')").contains("gyq"), "q is part of the macro");
}

/// In every buffer of ours.
#[test]
fn n28_q_ends_a_recording_before_it_closes_a_float_or_a_filter() {
    for (opens, filetype) in [("g?", "help"), ("KK", "peek"), ("i<Esc>", "filter")] {
        let mut nvim = lab::start(SMALL);
        nvim.command("edit notes.txt");
        nvim.keys("qa");
        lab::show(&mut nvim, "LazyCelery tasks");
        tasks(&mut nvim, 1, 0);
        nvim.wait_for_screen("00000001");
        nvim.keys(opens);
        let filetype = format!("\"lazycelery-{filetype}\"");
        expect(&mut nvim, "vim.bo.filetype", &filetype);
        nvim.keys("q");
        expect(&mut nvim, "vim.fn.reg_recording()", "\"\"");
        assert_eq!(value(&mut nvim, "vim.bo.filetype"), filetype);
        nvim.keys("q");
        expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    }
}

/// Keys that raise E21 in a buffer that cannot be changed, free pairs, and the exceptions.
#[test]
fn views_take_no_key_that_vim_uses_for_reading() {
    let mut nvim = lab::start(LARGE);
    for view in VIEWS {
        nvim.command(view);
        let kind = view.split(' ').nth(1).unwrap();
        expect(&mut nvim, "vim.bo.filetype", &format!("\"lazycelery-{kind}\""));
        let taken = nvim.text(
            "local ours = {}
             for _, mode in ipairs({ 'n', 'x', 'o' }) do
               for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, mode)) do
                 if not vim.startswith(map.lhs, '<Plug>') then
                   table.insert(ours, map.lhs)
                   if map.nowait == 0 then table.insert(ours, 'waits:' .. map.lhs) end
                 end
               end
             end
             return table.concat(ours, ' ')",
        );
        let exceptions = "<CR> <2-LeftMouse> K - q <F1> <C-C> gs gO ]] [[ \
            gf gF <C-W>f <C-W>F <C-W>gf <C-W>gF <C-W><C-F> ]f [f";
        let refused = "o O R p r x X u cc ce g? i I gq"; // E21, where the buffer cannot be changed
        let free = "gy gY gX g1 g2 g3 g4 ]v [v gb g<CR> cm";
        for key in taken.split(' ') {
            let allowed = format!(" {exceptions} {refused} {free} ");
            assert!(allowed.contains(&format!(" {key} ")), "{view} takes {key}");
        }
    }
}

/// What E21 refuses is told by Vim itself, so that the table above cannot lie.
#[test]
fn the_keys_that_views_take_would_change_text() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "vim.fn.setline(1, 'text') vim.bo.modifiable = false");
    nvim.keys("$");
    for key in ["o", "O", "R", "p", "rx", "x", "X", "u", "cc", "ce", "g?g?", "i", "I"] {
        nvim.lua("vim.fn.setreg('\"', 'text') vim.v.errmsg = ''", vec![]);
        nvim.keys(&format!("{key}<Esc>"));
        assert!(nvim.take_messages().contains("E21"), "{key} is Vim's");
    }
}

#[test]
fn nothing_global_is_set() {
    let mut nvim = lab::start(LARGE);
    let surroundings = "
        local set = {}
        for _, mode in ipairs({ 'n', 'x', 'o', 'i', 'c', 't' }) do
          for _, map in ipairs(vim.api.nvim_get_keymap(mode)) do table.insert(set, mode .. map.lhs) end
        end
        for _, option in pairs(vim.api.nvim_get_all_options_info()) do
          local ok, now = pcall(vim.api.nvim_get_option_value, option.name, { scope = 'global' })
          -- Neovim itself sets 'syntax' so, for every filetype.
          if option.name ~= 'syntax' then
            table.insert(set, option.name .. '=' .. tostring(ok and now))
          end
        end
        for _, command in ipairs(vim.api.nvim_get_autocmds({})) do
          local ours = command.group_name and vim.startswith(command.group_name, 'lazycelery')
          if not command.buflocal and not ours then
            table.insert(set, command.event .. command.pattern .. (command.group_name or ''))
          end
        end
        table.sort(set)
        return table.concat(set, '\\n')";
    // Neovim 0.12 sets an autocommand of its own where diagnostics are first used.
    nvim.lua("vim.diagnostic.get(0)", vec![]);
    let before = nvim.text(surroundings);
    for view in VIEWS {
        nvim.command(view);
    }
    nvim.keys("g?q");
    lab::show(&mut nvim, "LazyCelery tasks state:retry");
    nvim.keys("i<C-c>");
    nvim.command("silent! only");
    let changed: Vec<String> = {
        let after = nvim.text(surroundings);
        let before: std::collections::HashSet<&str> = before.lines().collect();
        after.lines().filter(|line| !before.contains(line)).map(str::to_owned).collect()
    };
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn a_users_own_keys_win() {
    let mut nvim = lab::start(SMALL);
    run(
        &mut nvim,
        "require('lazycelery').setup({ cmd = { 'true' }, keys = {
           all = { gb = false }, tasks = { gs = false, ['<leader>s'] = 'sort', Y = 'yank_id' } } })",
    );
    nvim.command("autocmd FileType lazycelery-tasks nnoremap <buffer> gy <Cmd>let g:mine = 1<CR>");
    lab::show(&mut nvim, "LazyCelery tasks");
    tasks(&mut nvim, 3, 0);
    nvim.wait_for_screen("00000003");
    nvim.keys("gy");
    expect(&mut nvim, "vim.g.mine", "1");
    nvim.keys("VjY");
    assert_eq!(register(&mut nvim, "\""), "00000001 00000002 V");
    nvim.keys("\\\\s");
    nvim.wait_for_screen("STATE↑");
    assert_eq!(value(&mut nvim, "vim.fn.maparg('gb', 'n')"), "\"\"");
}

#[test]
fn every_action_is_a_command_that_completes() {
    let mut nvim = five_tasks();
    let missing = nvim.text(
        "local offered = {}
         for _, name in ipairs(vim.fn.getcompletion('LazyCelery ', 'cmdline')) do offered[name] = true end
         local missing = {}
         for name in pairs(require('lazycelery.actions').list) do
           if not offered[name] then table.insert(missing, name) end
         end
         return table.concat(missing, ' ')",
    );
    assert_eq!(missing, "");
    nvim.command("LazyCelery pause");
    nvim.wait_for_screen("paused");
    nvim.command("tab LazyCelery queues");
    expect(&mut nvim, "vim.fn.tabpagenr('$')", "2");
    nvim.command("LazyCelery tasks name:a|b \"c\" 100%");
    assert!(value(&mut nvim, "vim.fn.bufname()").ends_with("name:a%7Cb%20%22c%22%20100%25\""));
}

#[test]
fn a_bang_skips_the_question_of_events() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.answers['worker/control'] = { replies = { w = { ok = 'x' } }, missing = {} }
         vim.ui.select = function() asked = true end",
    );
    nvim.command("LazyCelery! events on");
    nvim.wait_for_screen("Task events on: 1 worker");
    assert_eq!(value(&mut nvim, "double.last('worker/control').method"), "\"enable_events\"");
    assert_eq!(value(&mut nvim, "asked"), "nil");
}

#[test]
fn the_log_of_the_server_opens_at_its_end_for_reading() {
    let mut nvim = lab::start(SMALL);
    nvim.command("LazyCelery log");
    assert!(nvim.take_messages().contains("there is no log at"));
    let path = nvim.home().join("named %.log");
    std::fs::write(&path, "first\nlast\n").unwrap();
    let path = path.display().to_string();
    nvim.lua(
        "require('lazycelery').setup({ cmd = { 'true', '--log-file', ... } })",
        vec![path.as_str().into()],
    );
    nvim.command("LazyCelery log");
    assert_eq!(lines(&mut nvim), "first\nlast");
    assert_eq!(value(&mut nvim, "{ vim.bo.readonly, vim.fn.line('.') }"), "{ true, 2 }");
    assert_eq!(number(&mut nvim, "vim.fn.winnr('$')"), 2);
}

/// A plugin manager loads us anew: the old server ends, the views that are open go on with the new one.
#[test]
fn n54_loaded_anew_the_old_server_ends_and_open_views_go_on() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "require('lazycelery').deactivate()
         for name in pairs(package.loaded) do
           if name:find('^lazycelery') then package.loaded[name] = nil end
         end
         vim.g.loaded_lazycelery, vim.g.lazycelery_cmd = nil, { 'true' }",
    );
    assert_eq!(number(&mut nvim, "vim.tbl_count(double.subscriptions)"), 0);
    nvim.command("runtime plugin/lazycelery.lua");
    expect(&mut nvim, "double.count('task/subscribe')", "2");
    assert_eq!(number(&mut nvim, "double.starts"), 2);
    tasks(&mut nvim, 2, 0);
    nvim.wait_for_screen("00000002");
    assert_eq!(number(&mut nvim, "vim.api.nvim_buf_line_count(0)"), 2);
}
