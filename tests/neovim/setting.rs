//! The plugin in its surroundings: how it was loaded, what it was started with, whose colours it has,
//! what it tells `:checkhealth`.

use super::lab::{self, LARGE, SMALL, expect, lines, run, tasks, value};
use crate::support::neovim::Neovim;
use crate::support::{root, tool};
use std::process::Command;

#[test]
fn n31_nothing_is_loaded_before_it_is_used() {
    let out = Command::new(tool("nvim"))
        .args(["--clean", "--headless", "-i", "NONE", "--cmd"])
        .arg(format!("set runtimepath^={}", root().display()))
        .args(["-c", "runtime plugin/lazycelery.lua", "-c"])
        .arg(
            "lua for name in pairs(package.loaded) do
               if name:find('^lazycelery') then io.write(name, ' ') end
             end
             io.write(vim.fn.exists(':LazyCelery'))",
        )
        .args(["-c", "qall!"])
        .env_remove("VIM")
        .env_remove("VIMRUNTIME")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "2");
}

#[test]
fn n31_a_buffer_of_the_scheme_that_is_no_view_is_told_of() {
    let mut nvim = lab::start(LARGE);
    nvim.command("noautocmd edit lazycelery://prod:tasks");
    nvim.command("checkhealth lazycelery");
    let report = lines(&mut nvim);
    assert!(report.contains("lazycelery://prod:tasks, is no view"), "{report}");
    assert!(report.contains("lazy = false"), "{report}");
}

#[test]
fn an_older_neovim_is_told_in_one_sentence() {
    let mut nvim = Neovim::start_with(SMALL, &["true"]);
    run(
        &mut nvim,
        "vim.g.loaded_lazycelery = nil
         pcall(vim.api.nvim_del_augroup_by_name, 'lazycelery')
         local has = vim.fn.has
         vim.fn.has = function(what) return what == 'nvim-0.10' and 0 or has(what) end",
    );
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("silent! LazyCelery tasks state:retry");
    assert_eq!(nvim.take_messages().trim(), "lazycelery needs Neovim 0.10 or newer");
    assert_eq!(value(&mut nvim, "vim.fn.exists('#lazycelery')"), "0", "nothing else is set up");
}

/// No colour is computed: all are links, so that they follow the scheme, its flip and its absence.
#[test]
fn n39_colours_follow_a_background_that_flips_or_is_transparent() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    run(&mut nvim, "double.tell_environment({ production = true })");
    expect(&mut nvim, "vim.wo.winbar:find('LazyCeleryProduction') ~= nil", "true");
    let shown = "vim.api.nvim_get_hl(0, { name = 'LazyCeleryProduction', link = false }).fg";
    let meant = "vim.api.nvim_get_hl(0, { name = 'DiagnosticError', link = false }).fg";
    for command in [
        "set background=light",
        "highlight Normal guibg=NONE",
        "set background=dark",
        "colorscheme blue",
    ] {
        nvim.command(command);
        let meant = value(&mut nvim, meant);
        expect(&mut nvim, shown, &meant);
        assert_eq!(
            value(&mut nvim, "vim.api.nvim_get_hl(0, { name = 'LazyCeleryOk' }).link"),
            "\"DiagnosticOk\"",
            "{command}"
        );
        nvim.wait_for_screen("00000001");
    }
}

/// Assistants and completion plugins look at these before they read a buffer.
#[test]
fn n33_every_buffer_tells_assistants_to_stay_out() {
    let mut nvim = lab::open(SMALL, "LazyCelery tasks");
    tasks(&mut nvim, 1, 0);
    nvim.wait_for_screen("00000001");
    let told = "{ vim.b.copilot_enabled, vim.b.codeium_enabled, vim.b.supermaven_enabled, vim.b.completion }";
    for (keys, filetype) in [("", "tasks"), ("KK", "peek"), ("qg?", "help"), ("qi", "filter")] {
        nvim.keys(keys);
        expect(&mut nvim, "vim.bo.filetype", &format!("\"lazycelery-{filetype}\""));
        assert_eq!(value(&mut nvim, told), "{ false, false, false, false }", "{filetype}");
    }
    nvim.keys("<C-c>");
}

#[test]
fn n47_settings_that_changed_since_the_server_started_are_told() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    nvim.command("let $CELERY_BROKER_URL = 'redis://elsewhere:6379/0'");
    nvim.command("LazyCelery queues");
    let shown = nvim.take_messages().replace('\n', "");
    assert!(
        shown
            .contains("the server was started with another CELERY_BROKER_URL; :LazyCelery restart"),
        "{shown}"
    );
    nvim.command("checkhealth lazycelery");
    assert!(lines(&mut nvim).contains("started with another CELERY_BROKER_URL"));
    assert!(lines(&mut nvim).contains("redis://:***@localhost:6379/0"));
    nvim.command("bwipeout");
    nvim.take_messages();
    assert_eq!(value(&mut nvim, "double.starts"), "1", "never by itself");
    nvim.command("LazyCelery restart");
    expect(&mut nvim, "double.starts", "2");
    expect(&mut nvim, "require('lazycelery.client').phase()", "\"ready\"");
    nvim.command("LazyCelery queues");
    assert_eq!(nvim.take_messages().trim(), "");
}

#[test]
fn n52_checkhealth_tells_the_size_of_both_logs() {
    let mut nvim = lab::open(LARGE, "LazyCelery tasks");
    let folder = nvim.home().join("state/lazycelery");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("lazycelery.log"), vec![b'x'; 4096]).unwrap();
    nvim.command("checkhealth lazycelery");
    let report = lines(&mut nvim);
    assert!(report.contains("lazycelery/lazycelery.log (4.0K)"), "{report}");
    assert!(report.contains("Neovim's LSP log:"), "{report}");
    assert!(report.contains("Options: cmd = { \"true\" }"), "{report}");
}

#[test]
fn keys_of_terminal_uis_are_there_for_who_asks_and_the_help_says_so() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, "require('lazycelery').setup({ cmd = { 'true' }, keys = 'tui' })");
    lab::show(&mut nvim, "LazyCelery tasks");
    nvim.keys("3");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-queues\"");
    nvim.keys("1");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-workers\"");
    nvim.keys("<Tab>");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-tasks\"");
    nvim.keys("?");
    nvim.wait_for_screen("Tasks: keys");
    let help = lines(&mut nvim);
    assert!(help.lines().any(|line| line.contains("g1 1")), "{help}");
    nvim.keys("q");
    nvim.keys("f");
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-filter\"");
    nvim.keys("<C-c>");
    // Nowhere but in lists: counts, `f` and `?` stay Vim's.
    lab::show(&mut nvim, "LazyCelery task 5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77");
    assert_eq!(value(&mut nvim, "vim.fn.maparg('f', 'n') .. vim.fn.maparg('1', 'n')"), "\"\"");
    let refused = "pcall(require('lazycelery').setup, { keys = 'emacs' })";
    assert!(value(&mut nvim, &format!("select(2, {refused})")).contains("takes a table or"));
}
