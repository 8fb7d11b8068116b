//! `:w` where it sends something: what is meant, what happens by accident, and what is done twice.

use super::lab::{self, SMALL, expect, number, run, value};
use crate::support::neovim::Neovim;

const UUID: &str = "5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77";

/// Answers of a server that knows a failed task, and takes whatever is sent.
const SERVER: &str = "
  double.answers['task/get'] = function(params)
    if known and known[params.uuid] then return known[params.uuid] end
    if params.uuid:find('^5f2c') then
      return { uuid = params.uuid, name = 'shop.tasks.charge', state = 'FAILURE', place = 'done',
        queue = 'high', args_json = '[42, \"eur\"]', kwargs_json = '{\"order\": 1001}',
        message = { headers_json = '{}', properties_json = '{}', content_type = 'application/json', bytes = 1 },
        priority = 5, sources = { args_json = 'backend' } }
    end
    return nil, { code = -32023, message = 'unknown task', data = { kind = 'unknown_task', uuid = params.uuid } }
  end
  sent = {}
  double.answers['task/send'] = function(params)
    if not params.dry_run then
      table.insert(sent, params)
      if broken then return nil, vim.deepcopy(broken) end
    end
    return { uuid = params.uuid, queue = params.queue or 'celery' }
  end
  asked = 0
  vim.ui.select = function(items, options, choose)
    asked, question, choice = asked + 1, items, choose
  end";

/// A Neovim that shows the task, to be changed, beside a file.
fn changing() -> Neovim {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, SERVER);
    nvim.command("edit notes.txt");
    lab::show(&mut nvim, &format!("LazyCelery task {UUID}"));
    run(
        &mut nvim,
        "double.notify('task/watch', { row = double.answers['task/get']({ uuid = '5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77' }) })",
    );
    nvim.wait_for_screen("charge");
    nvim.keys("cc");
    expect(&mut nvim, "vim.bo.modifiable and vim.bo.filetype", "\"lazycelery-edit\"");
    nvim
}

/// Likewise, with something changed.
fn changed() -> Neovim {
    let mut nvim = changing();
    nvim.keys(":%s/42/43/<CR>");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "true");
    nvim
}

#[track_caller]
fn answer(nvim: &mut Neovim, item: usize) {
    expect(nvim, "question ~= nil", "true");
    run(nvim, &format!("local items = question question = nil choice(items[{item}])"));
}

/// Nothing was sent or asked, and what was typed is still no more than typed.
#[track_caller]
fn nothing_happened(nvim: &mut Neovim, what: &str) {
    let edited = "(function() for _, buf in ipairs(vim.api.nvim_list_bufs()) do
        if vim.bo[buf].filetype == 'lazycelery-edit' then return vim.bo[buf].modified end end end)()";
    // What was scheduled has run by then.
    expect(nvim, "settled or vim.schedule(function() settled = true end)", "true");
    run(nvim, "settled = nil");
    assert_eq!(value(nvim, edited), "true", "{what}");
    assert_eq!(number(nvim, "double.count('task/send') + asked"), 0, "{what}");
}

#[test]
fn n02_n03_a_write_that_nobody_typed_sends_nothing() {
    // Each fires BufWriteCmd: in the window, from elsewhere, for a hidden buffer.
    for (what, keys) in [
        ("autowrite", ":set autowrite<CR>:silent !true<CR>"),
        ("autowriteall", ":set autowriteall<CR>:set nohidden<CR>:silent! make<CR>"),
        ("an autocommand", ":autocmd InsertLeave * ++nested silent! wall<CR>Gox<Esc>"),
        (
            "a Lua autocommand",
            ":lua vim.api.nvim_create_autocmd('TextChanged', { nested = true, callback = function() vim.cmd('silent! write') end })<CR>Gyyp",
        ),
        ("another window", ":new<CR>:wall<CR>"),
        ("leaving the window", ":autocmd WinLeave * ++nested silent! wall<CR><C-w>s<C-w>w"),
        ("a hidden buffer", ":buffer notes.txt<CR>:wall<CR>"),
        ("bufdo", ":buffer notes.txt<CR>:silent! bufdo update<CR>"),
        (
            "a timer",
            ":lua vim.defer_fn(function() vim.cmd('silent! write') late = true end, 1)<CR>",
        ),
        ("another name", ":silent! write lazycelery://prod:edit:other<CR>"),
    ] {
        let mut nvim = changed();
        nvim.keys(keys);
        if what == "a timer" {
            expect(&mut nvim, "late", "true");
        }
        nothing_happened(&mut nvim, what);
        nvim.take_messages();
    }
}

#[test]
fn n02_it_is_noted_once_that_nothing_was_sent() {
    let mut nvim = changed();
    for _ in 0..3 {
        nvim.command("silent! write");
    }
    nvim.wait_for_screen("unsent");
    nothing_happened(&mut nvim, "writes of a program");
    let noted = nvim.take_messages();
    assert_eq!(noted.matches("unsent").count(), 1, "{noted}");
    nvim.keys(":w<CR>");
    answer(&mut nvim, 1);
    nvim.command("silent! write");
    nvim.wait_for_screen("unsent");
}

#[test]
fn a_write_that_was_typed_is_meant_however_it_is_typed() {
    for keys in [
        ":w<CR>",
        ":update<CR>",
        ":wall<CR>",
        "qq:w<CR>q",
        ":nnoremap <lt>C-s> <lt>Cmd>write<lt>CR><CR><C-s>",
        ":lua vim.keymap.set('n', 'S', function() vim.cmd.write() end)<CR>S",
        ":command! W write<CR>:set autowrite<CR>:W<CR>",
        "ZZ",
    ] {
        let mut nvim = changed();
        nvim.keys(keys);
        answer(&mut nvim, 2);
        expect(&mut nvim, "#sent", "1");
        assert_eq!(value(&mut nvim, "sent[1].args_json"), "'[43, \"eur\"]'", "{keys}");
        assert_eq!(value(&mut nvim, "sent[1].retry_of"), format!("\"{UUID}\""));
    }
}

#[test]
fn n06_write_and_quit_leaves_once_it_was_sent() {
    for keys in [":wq<CR>", "ZZ", ":x<CR>"] {
        let mut nvim = changed();
        nvim.keys(keys);
        expect(&mut nvim, "question ~= nil", "true");
        assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-edit\"", "still there");
        answer(&mut nvim, 1);
        assert_eq!(value(&mut nvim, "vim.bo.modified"), "true", "No leaves it as it is");
        nvim.take_messages();
        nvim.keys(keys);
        answer(&mut nvim, 2);
        expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-task\"");
        assert_eq!(number(&mut nvim, "#sent"), 1);
        nvim.take_messages();
    }
}

#[test]
fn n06_write_all_and_quit_ends_neovim_once_it_was_sent() {
    let mut nvim = changed();
    nvim.keys(":wqall<CR>");
    answer(&mut nvim, 1);
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "true", "No leaves it as it is");
    nvim.keys(":xall<CR>");
    answer(&mut nvim, 2);
    nvim.wait_for_exit();
}

#[test]
fn n07_the_same_is_not_sent_twice_by_habit() {
    let mut nvim = changed();
    nvim.keys(":w<CR>");
    expect(&mut nvim, "question ~= nil", "true");
    // A second question, of a picker that left the first one open: one of them counts.
    run(&mut nvim, "first = choice question = nil");
    nvim.keys(":w<CR>");
    expect(&mut nvim, "asked", "2");
    run(&mut nvim, "first(question[2])");
    answer(&mut nvim, 2);
    expect(&mut nvim, "#sent", "1");
    expect(&mut nvim, "vim.bo.modified", "false");

    nvim.keys(":w<CR>");
    nvim.wait_for_screen("Nothing was changed since it was sent as");
    answer(&mut nvim, 2);
    expect(&mut nvim, "#sent", "2");
    assert_eq!(
        value(&mut nvim, "sent[1].uuid ~= sent[2].uuid"),
        "true",
        "a new one, since it was wanted"
    );

    run(&mut nvim, "double.held['task/send'] = {}");
    nvim.keys(":%s/43/44/<CR>:w<CR>");
    run(&mut nvim, "double.release('task/send')");
    expect(&mut nvim, "question ~= nil", "true");
    run(&mut nvim, "double.held['task/send'] = {}");
    answer(&mut nvim, 2);
    nvim.keys(":w<CR>");
    nvim.wait_for_screen("it is being sent, as");
    run(&mut nvim, "double.release('task/send')");
    expect(&mut nvim, "vim.bo.modified", "false");
    assert_eq!(number(&mut nvim, "#sent"), 3);
}

#[test]
fn n07_what_may_have_been_sent_is_looked_for_first() {
    let mut nvim = changed();
    run(
        &mut nvim,
        "broken = { code = -32035, message = 'the broker broke off', data = { kind = 'unsure' } }",
    );
    nvim.keys(":w<CR>");
    answer(&mut nvim, 2);
    nvim.wait_for_screen("perhaps sent as");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "true");
    nvim.take_messages();

    // Nobody knows it: it is asked about once more, and goes out under the same id.
    run(&mut nvim, "broken = nil");
    nvim.keys(":w<CR>");
    nvim.wait_for_screen("Perhaps it was sent already");
    answer(&mut nvim, 1);
    assert_eq!(value(&mut nvim, "double.last('task/get').uuid == sent[1].uuid"), "true");

    // It arrived after all: nothing more is sent.
    run(&mut nvim, "known = { [sent[1].uuid] = { uuid = sent[1].uuid, state = 'PENDING' } }");
    nvim.keys(":w<CR>");
    nvim.wait_for_screen("it was sent, as");
    assert_eq!(value(&mut nvim, "{ #sent, vim.bo.modified }"), "{ 1, false }");

    // Changed, it is another task.
    run(&mut nvim, "known = nil");
    nvim.keys(":%s/43/44/<CR>:w<CR>");
    answer(&mut nvim, 2);
    expect(&mut nvim, "#sent", "2");
    assert_eq!(value(&mut nvim, "sent[1].uuid ~= sent[2].uuid"), "true");
}

#[test]
fn a_change_of_what_may_have_been_sent_says_so() {
    let mut nvim = changed();
    run(
        &mut nvim,
        "broken = { code = -32035, message = 'the broker broke off', data = { kind = 'unsure' } }",
    );
    nvim.keys(":w<CR>");
    answer(&mut nvim, 2);
    nvim.wait_for_screen("perhaps sent as");
    nvim.take_messages();
    nvim.keys(":%s/43/44/<CR>:w<CR>");
    nvim.wait_for_screen("What stood here before was perhaps sent, as");
    answer(&mut nvim, 1);
}

/// Where a lock stays, nothing is on its way.
#[test]
fn a_lock_that_stays_leaves_it_to_be_sent_later() {
    let mut nvim = changed();
    run(
        &mut nvim,
        "broken = { code = -32030, message = 'prod is locked', data = { kind = 'forbidden', locked = 'prod' } }
         double.answers['environment/unlock'] = { environment = 'prod', ['until'] = 1 }",
    );
    nvim.keys(":w<CR>");
    answer(&mut nvim, 2);
    expect(&mut nvim, "question and question[2]", "\"Yes, unlock prod for 15 minutes, and go on\"");
    answer(&mut nvim, 1);
    nvim.wait_for_screen("nothing was done: prod is locked");
    nvim.take_messages();
    nvim.keys(":w<CR>");
    answer(&mut nvim, 2);
    expect(&mut nvim, "question and #question", "2");
    run(&mut nvim, "broken = nil");
    answer(&mut nvim, 2);
    expect(&mut nvim, "vim.bo.modified", "false");
    assert_eq!(number(&mut nvim, "#sent"), 3, "two of them were refused");
}

#[test]
fn n05_n30_a_restored_buffer_has_nothing_to_send() {
    let mut before = changed();
    let path = before.home().join("Session.vim").display().to_string();
    before.command(&format!("mksession {path}"));
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, SERVER);
    nvim.command(&format!("source {path}"));
    nvim.wait_for_screen("Not restored");
    assert_eq!(number(&mut nvim, "double.count('task/get')"), 0, "it contacts nobody by itself");
    nvim.keys(":w<CR>");
    nvim.wait_for_screen("nothing is loaded");
    assert_eq!(number(&mut nvim, "asked + #sent"), 0);
    nvim.keys(":e<CR>");
    nvim.wait_for_screen("[42, \"eur\"]");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "false");
}

#[test]
fn what_was_typed_stays_when_one_comes_back() {
    let mut nvim = changed();
    nvim.keys(":buffer notes.txt<CR>");
    lab::run(&mut nvim, "before = double.count('task/get')");
    nvim.command(&format!("LazyCelery task {UUID}"));
    nvim.wait_for_screen("charge");
    nvim.keys("cc");
    nvim.wait_for_screen("[43, \"eur\"]");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "true");
    nvim.keys(":e!<CR>");
    nvim.wait_for_screen("[42, \"eur\"]");
    nvim.keys("u");
    nvim.wait_for_screen("[42, \"eur\"]");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "false", "no undo goes before what was loaded");
}

/// A plugin manager loads us anew: what was typed is not touched.
#[test]
fn n54_what_was_typed_outlives_the_plugin() {
    let mut nvim = changed();
    run(
        &mut nvim,
        "require('lazycelery').deactivate()
         for name in pairs(package.loaded) do
           if name:find('^lazycelery') then package.loaded[name] = nil end
         end
         vim.g.loaded_lazycelery, vim.g.lazycelery_cmd = nil, { 'true' }",
    );
    nvim.command("runtime plugin/lazycelery.lua");
    let known = "require('lazycelery.act.resend.edit').get(vim.api.nvim_get_current_buf()) ~= nil";
    expect(&mut nvim, known, "true");
    nvim.keys(":w<CR>");
    answer(&mut nvim, 2);
    expect(&mut nvim, "#sent", "1");
    assert_eq!(value(&mut nvim, "sent[1].args_json"), "'[43, \"eur\"]'");
}

#[test]
fn n12_n13_n33_n57_nothing_else_gets_at_the_text() {
    let mut nvim = lab::start(SMALL);
    run(&mut nvim, SERVER);
    std::fs::write(nvim.home().join(".editorconfig"), "root = true\n[*]\nmax_line_length = 20\n")
        .unwrap();
    nvim.command(&format!("edit lazycelery://prod:edit:{UUID}"));
    nvim.wait_for_screen("[42, \"eur\"]");
    assert_eq!(
        value(
            &mut nvim,
            "{ vim.bo.textwidth, vim.bo.swapfile, vim.bo.modeline, vim.bo.buftype, vim.b.completion, vim.b.copilot_enabled }"
        ),
        "{ 0, false, false, \"acwrite\", false, false }"
    );
    // The doors through which Neovim would run what a payload names lead nowhere.
    let marker = nvim.home().join("pwned");
    nvim.keys(&format!(":%s#eur#term://touch$IFS{}#<CR>", marker.display()));
    for door in ["gf", "gF", "<C-w>f", "<C-w>gf", "]f"] {
        nvim.keys(&format!("/term:<CR>{door}"));
    }
    assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-edit\"");
    assert!(!marker.exists());
    nvim.take_messages();
}
