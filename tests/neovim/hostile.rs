//! What comes from a broker is as long, as wide and as odd as it likes.

use super::lab::{self, LARGE, SMALL, expect, lines, number, run, value};

const TASK: &str = "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";

#[test]
fn a_name_of_ninety_characters_is_cut_from_the_left_and_whole_in_the_peek() {
    let name = format!("shop.{}.charge", "very_long_module_name.".repeat(4));
    for size in [SMALL, LARGE] {
        let mut nvim = lab::open(size, "LazyCelery tasks");
        run(
            &mut nvim,
            &format!(
                "local rows = double.tasks(2) rows[2].name = '{name}' double.list('task', rows)"
            ),
        );
        let screen = nvim.wait_for_screen("name..charge");
        assert!(screen.contains('…') && screen.contains("00000002"), "{screen}");
        nvim.keys("jK");
        // The float may break it: it is whole in its buffer.
        nvim.keys("K");
        expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-peek\"");
        assert!(lines(&mut nvim).contains(&name));
    }
}

/// The subject is cut; what it is of, and the badge, stay whole and apart.
#[test]
fn a_page_of_a_long_or_wide_name_has_a_whole_header() {
    let long = format!("shop.{}.charge", "very_long_module_name.".repeat(4));
    for name in [long, "倉庫".repeat(30)] {
        let mut nvim = lab::start(SMALL);
        lab::load(&mut nvim, "cluster = require('cluster')");
        lab::show(&mut nvim, TASK);
        run(&mut nvim, &format!("cluster.task.name = '{name}' cluster.tell('task')"));
        nvim.wait_for_screen("prod ●");
        run(&mut nvim, "double.tell_environment({ status = 'disconnected' })");
        let screen = nvim.wait_for_screen("prod ○ not connected");
        let header = screen.lines().next().unwrap();
        assert!(header.starts_with(" …"), "{screen}");
        assert!(header.contains("  5f2c9e10  as of 12:04:40  "), "{screen}");
        assert!(header.contains("  prod ○ not connected"), "{screen}");
    }
}

#[test]
fn wide_and_hostile_text_keeps_its_columns() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    run(
        &mut nvim,
        "local rows = double.tasks(4)
         rows[1].args = '日本語日本語日本語日本語日本語'
         rows[2].args = 'a\\nb\\27[31m\\0c'
         rows[3].args = '\\226\\128\\174evil\\226\\128\\172'
         rows[4].args = ('e\\204\\129'):rep(40)
         for _, row in ipairs(rows) do row.queue = 'HERE' end
         double.list('task', rows)",
    );
    nvim.wait_for_screen("00000004");
    let columns = nvim.lua(
        "local found = {}
         for line = 1, 4 do
           local text = vim.fn.getline(line)
           found[line] = vim.fn.strdisplaywidth(text:sub(1, text:find('HERE') - 1))
         end
         return found",
        vec![],
    );
    let columns = columns.as_array().unwrap();
    assert!(columns.iter().all(|column| column == &columns[0]), "{columns:?}");
    let shown = lines(&mut nvim);
    assert!(shown.contains("<202e>evil<202c>"), "{shown}");
    assert!(shown.contains(r"a\nb\x1b[31m\x00c"), "{shown}");
}

#[test]
fn a_traceback_of_two_thousand_frames_is_a_page() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "local frames = {}
         for i = 1, 2000 do
           frames[i] = { file = 'shop/deep.py', line = i, ['function'] = 'again', code = 'again()' }
         end
         cluster.task.traceback.frames = frames
         cluster.tell('task')",
    );
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0) > 2000", "true");
    nvim.keys("/deep.py:2000<CR>");
    nvim.wait_for_screen("shop/deep.py:2000");
    nvim.keys("gg");
    nvim.keys("3]]");
    nvim.wait_for_screen("▾ Arguments");
}

#[test]
fn arguments_of_a_megabyte_are_loaded_by_a_key_and_shown_verbatim() {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, "cluster = require('cluster')");
    run(
        &mut nvim,
        "large = '[\"' .. ('日本'):rep(180000) .. '\", 9007199254740993, 1.0]'
         double.answers['task/get'] = function(params)
           asked = params
           return { uuid = params.uuid, args_json = large }
         end",
    );
    lab::show(&mut nvim, TASK);
    run(
        &mut nvim,
        "cluster.task.args_json, cluster.task.args, cluster.task.args_bytes = nil, nil, #large
         cluster.tell('task')",
    );
    nvim.wait_for_screen("1.0M, not loaded: <CR> loads it");
    assert_eq!(number(&mut nvim, "double.count('task/get')"), 0);
    nvim.keys("/not loaded<CR>");
    nvim.keys("<CR>");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-value\"");
    assert_eq!(value(&mut nvim, "vim.fn.getline(1) == large"), "true");
    assert_eq!(value(&mut nvim, "{ asked.full, asked.environment }"), "{ true, \"prod\" }");
    nvim.keys("q");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-task\"");
}
