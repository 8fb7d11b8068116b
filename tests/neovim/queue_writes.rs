//! What `:w` in a queue's buffer asks, refuses and does not do by accident. With the double: every
//! request is noted.

use super::lab::{self, SMALL, expect, number, pick, run, said, shown, type_in, value};
use crate::support::neovim::Neovim;

/// Two queues, of five messages and of one, kept by the double: what is removed is not there any more.
const QUEUES: &str = "
    queues = { celery = {}, high = {} }
    local function fill(queue, count)
      for i = 1, count do
        local key = ('%s-%d'):format(queue, i)
        queues[queue][i] = {
          key = key, delivery_tag = key, position = i - 1, priority = 0, retries = 0, bytes = 400,
          uuid = ('%08d-%s'):format(i, queue), name = 'shop.tasks.charge', args = ('(%d,)'):format(i),
        }
      end
    end
    fill('celery', 5)
    fill('high', 1)
    double.answers['queue/messages'] = function(params)
      local rows = vim.deepcopy(queues[params.queue])
      return { rows = rows, total = #rows, exact = true }
    end
    local function remove(params)
      local done, left = {}, {}
      for _, row in ipairs(queues[params.queue]) do
        local picked = vim.list_contains(params.keys, row.key)
        table.insert(picked and done or left, picked and row.uuid or row)
      end
      queues[params.queue] = left
      return { done = done, missed = {}, saved_as = '/recovery/1.jsonl', warnings = {} }
    end
    double.answers['queue/delete_messages'] = remove
    double.answers['queue/move_messages'] = remove
    acts = function()
      return double.count('queue/delete_messages') + double.count('queue/move_messages')
        + double.count('queue/restore')
    end";

/// A Neovim that shows the five.
fn start() -> Neovim {
    let mut nvim = lab::start(SMALL);
    lab::picker(&mut nvim);
    run(&mut nvim, QUEUES);
    show(&mut nvim, "celery", 5);
    nvim
}

#[track_caller]
fn show(nvim: &mut Neovim, queue: &str, lines: i64) {
    nvim.command(&format!("LazyCelery messages {queue}"));
    let name = format!("\"lazycelery://prod:messages:{queue}\"");
    expect(nvim, "vim.api.nvim_buf_get_name(0)", &name);
    expect(nvim, "vim.bo.modifiable", "true");
    expect(nvim, "vim.api.nvim_buf_line_count(0)", &lines.to_string());
}

/// Writes, and waits until the question is there: the plan above it, the prompt, the answers.
#[track_caller]
fn ask(nvim: &mut Neovim, keys: &str) -> String {
    nvim.keys(keys);
    let question = lab::asked(nvim);
    format!("{}\n{question}", shown(nvim, "lazycelery-plan"))
}

/// What is not written yet shows it, and the other views are a key away as everywhere.
#[test]
fn what_is_unwritten_is_signed_and_stays_while_one_looks_elsewhere() {
    let mut nvim = start();
    assert!(!nvim.screen().contains("[+]"));
    nvim.keys("ggdd");
    nvim.wait_for_screen("[+] prod");
    nvim.keys("g3");
    expect(&mut nvim, "vim.api.nvim_buf_get_name(0)", "\"lazycelery://prod:queues\"");
    show(&mut nvim, "celery", 4);
    nvim.keys("u");
    nvim.wait_for_screen_that("no sign", |screen| !screen.contains("[+]"));
    run(&mut nvim, "queues.empty = {}");
    nvim.command("LazyCelery messages empty");
    nvim.wait_for_screen("Messages of empty");
}

#[test]
fn one_write_plans_all_queues_and_no_means_nothing() {
    let mut nvim = start();
    nvim.keys("ggdd3dd");
    show(&mut nvim, "high", 1);
    nvim.keys("\"1p");
    let screen = ask(&mut nvim, ":w<CR>");
    assert!(
        screen.contains("Yes, move 3 from celery to high, delete 1 of celery on prod"),
        "{screen}"
    );
    for line in
        ["Move 3 from celery to high, behind what waits there", "00000001  (1,)", "00000004  (4,)"]
    {
        assert!(screen.contains(line), "{line}:\n{screen}");
    }
    pick(&mut nvim, 1);
    assert_eq!(number(&mut nvim, "acts()"), 0);
    expect(&mut nvim, "vim.bo.modified", "true");
    ask(&mut nvim, ":w<CR>");
    pick(&mut nvim, 2);
    said(&mut nvim, "Moved 3 from celery to high, deleted 1 of celery; u and :w undo it");
    assert_eq!(value(&mut nvim, "double.last('queue/move_messages').to"), "\"high\"");
    assert_eq!(
        value(&mut nvim, "table.concat(double.last('queue/move_messages').keys, ' ')"),
        "\"celery-2 celery-3 celery-4\""
    );
    for _ in 0..2 {
        expect(&mut nvim, "vim.bo.modified", "false");
        nvim.command("buffer celery");
    }
}

/// What a write removed is what was done last, from wherever it is taken back.
#[test]
fn undo_knows_what_a_write_removed() {
    let mut nvim = start();
    run(
        &mut nvim,
        "double.answers['queue/restore'] = function()
           return { restored = 1, skipped = {}, warnings = {} }
         end",
    );
    nvim.keys("ggdd");
    ask(&mut nvim, ":w<CR>");
    pick(&mut nvim, 2);
    said(&mut nvim, "Deleted 1 of celery");
    let screen = ask(&mut nvim, ":LazyCelery undo<CR>");
    assert!(screen.contains("Yes, put 1 message back into celery on prod"), "{screen}");
    pick(&mut nvim, 2);
    said(&mut nvim, "Put back 1 message into celery");
    assert_eq!(value(&mut nvim, "double.last('queue/restore').saved_as"), "\"/recovery/1.jsonl\"");
}

/// N07: twice means once.
#[test]
fn n07_a_second_write_says_what_was_sent() {
    let mut nvim = start();
    nvim.keys("ggdd");
    run(&mut nvim, "double.held['queue/delete_messages'] = {}");
    ask(&mut nvim, ":w<CR>");
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.count('queue/delete_messages')", "1");
    nvim.keys(":w<CR>");
    said(&mut nvim, "still being carried out");
    run(&mut nvim, "double.release('queue/delete_messages')");
    said(&mut nvim, "Deleted 1 of celery");
    nvim.keys(":w<CR>");
    said(&mut nvim, "Nothing to write. At ");
    assert_eq!(number(&mut nvim, "acts()"), 1);
}

/// N07: what may have been done is named before it is done again.
#[test]
fn n07_after_an_unknown_outcome_the_next_write_names_the_first_message() {
    let mut nvim = start();
    nvim.keys("gg2dd");
    run(&mut nvim, "double.silent['queue/delete_messages'] = true");
    ask(&mut nvim, ":w<CR>");
    pick(&mut nvim, 2);
    expect(&mut nvim, "double.count('queue/delete_messages')", "1");
    run(&mut nvim, "double.die(137)");
    said(&mut nvim, "not known what became of 00000001 and after");
    expect(&mut nvim, "vim.bo.modified", "true");
    expect(&mut nvim, "require('lazycelery.client').phase()", "\"ready\"");
    let screen = ask(&mut nvim, ":w<CR>");
    assert!(screen.contains("00000001 may be done already. Again?"), "{screen}");
    pick(&mut nvim, 1);
    nvim.take_messages();
}

/// N21: what Vim makes of lines is objected to at its line, and is right again after `u`.
#[test]
fn n21_lines_that_say_nothing_refuse_the_write() {
    let cases = [
        ("gg0i!<Esc>", 1, "no message"),
        ("ggJ", 1, "edited"),
        ("gg>>", 1, "no message"),
        ("ggohello<Esc>", 2, "no message"),
        ("ggA!<Esc>", 1, "edited"),
        ("ggyyp", 2, "moved, not copied"),
        (":%s/charge/refund/<CR>", 1, "edited"),
    ];
    let mut nvim = start();
    for (keys, line, text) in cases {
        nvim.keys(keys);
        expect(&mut nvim, "vim.bo.modified", "true");
        nvim.keys(":w<CR>");
        said(&mut nvim, &format!("celery, line {line}: "));
        let found = value(&mut nvim, "vim.diagnostic.get(0)[1].message");
        assert!(found.contains(text), "{keys}: {found}");
        assert_eq!(number(&mut nvim, "vim.diagnostic.get(0)[1].lnum"), line - 1);
        nvim.keys("u");
        expect(&mut nvim, "#vim.diagnostic.get(0)", "0");
        expect(&mut nvim, "vim.bo.modified", "false");
    }
    nvim.keys("ggddp");
    nvim.keys(":w<CR>");
    said(&mut nvim, "the order of lines changes nothing");
    assert_eq!(number(&mut nvim, "acts()"), 0);
}

/// N02, N03: whoever writes without being told to writes nothing.
#[test]
fn n02_n03_accidents_send_nothing() {
    let mut nvim = start();
    nvim.command("autocmd WinLeave,FocusLost,BufLeave * silent! wall");
    nvim.command("set autowrite hidden");
    nvim.keys("ggdd");
    nvim.keys("<C-w>n");
    nvim.keys(":silent !true<CR>");
    nvim.command("doautocmd FocusLost");
    nvim.keys(":wall<CR>");
    nvim.keys(":bufdo silent! update<CR>");
    run(&mut nvim, "vim.defer_fn(function() vim.cmd('silent! wall') waited = true end, 10)");
    expect(&mut nvim, "waited", "true");
    assert_eq!(number(&mut nvim, "acts()"), 0);
    assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    assert!(value(&mut nvim, "vim.fn.execute('messages')").contains("unsent"));
    expect(&mut nvim, "vim.fn.getbufinfo('celery')[1].changed", "1");
    nvim.take_messages();
}

/// N03: `:wa` in a queue's buffer is one plan of all, whichever of them were changed.
#[test]
fn n03_all_written_from_a_queue_is_one_plan() {
    let mut nvim = start();
    nvim.keys("ggdd");
    show(&mut nvim, "high", 1);
    nvim.keys("p");
    let screen = ask(&mut nvim, ":wa<CR>");
    assert!(screen.contains("Yes, move 1 from celery to high on prod"), "{screen}");
    pick(&mut nvim, 1);
    let screen = ask(&mut nvim, "u:wall<CR>");
    assert!(screen.contains("Yes, delete 1 of celery on prod"), "{screen}");
    pick(&mut nvim, 2);
    said(&mut nvim, "Deleted 1 of celery");
    // One question each time.
    nvim.keys(":wa<CR>");
    assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    assert_eq!(number(&mut nvim, "acts()"), 1);
}

/// N06: it is not left before it is written, and is left then.
#[test]
fn n06_write_and_quit_waits_for_the_answer() {
    let mut nvim = start();
    nvim.command("tab split");
    nvim.keys("ggdd");
    ask(&mut nvim, ":wq<CR>");
    pick(&mut nvim, 1);
    assert_eq!(number(&mut nvim, "#vim.api.nvim_list_tabpages()"), 2);
    ask(&mut nvim, ":wq<CR>");
    pick(&mut nvim, 2);
    said(&mut nvim, "Deleted 1 of celery");
    expect(&mut nvim, "#vim.api.nvim_list_tabpages()", "1");
}

/// N06: `:wqa` ends Neovim once all was written, whichever buffer of a queue it is typed in.
#[test]
fn n06_write_all_and_quit_waits_for_the_answer() {
    for typed_in in ["celery", "high"] {
        let mut nvim = start();
        show(&mut nvim, "high", 1);
        nvim.command("split");
        show(&mut nvim, "celery", 5);
        nvim.keys("ggdd");
        show(&mut nvim, typed_in, if typed_in == "high" { 1 } else { 4 });
        let question = ask(&mut nvim, ":wqa<CR>");
        assert!(question.contains("Yes, delete 1 of celery on prod"), "{question}");
        pick(&mut nvim, 1);
        assert_eq!(number(&mut nvim, "acts() + #vim.api.nvim_list_wins()"), 2);
        ask(&mut nvim, ":xa<CR>");
        pick(&mut nvim, 2);
        nvim.wait_for_exit();
    }
}

/// N06: what else is not written is named, and keeps Neovim.
#[test]
fn n06_what_is_not_written_keeps_neovim() {
    let mut nvim = start();
    nvim.command("edit notes.txt");
    nvim.keys("ihello<Esc>");
    show(&mut nvim, "celery", 5);
    nvim.keys("ggdd");
    for keys in [":q<CR>", ":qa<CR>"] {
        nvim.keys(keys);
        assert!(nvim.take_messages().contains("E37"));
        assert_eq!(value(&mut nvim, "picker.asked"), "nil");
    }
    ask(&mut nvim, ":wq<CR>");
    pick(&mut nvim, 2);
    said(&mut nvim, "Neovim stays: notes.txt is not written");
    assert_eq!(number(&mut nvim, "acts()"), 1);
}

/// What answers "Save changes?" with yes is asked what that means, and is left then.
#[test]
fn n06_a_yes_to_save_changes_is_asked_about() {
    let mut nvim = start();
    nvim.attach(SMALL);
    nvim.keys("ggdd");
    nvim.type_ahead(":confirm qall<CR>");
    nvim.wait_for_mode("r?");
    nvim.type_ahead("y");
    assert!(lab::asked(&mut nvim).contains("Yes, delete 1 of celery on prod"));
    pick(&mut nvim, 2);
    nvim.wait_for_exit();
}

#[test]
fn production_wants_the_queue_typed_whatever_was_skipped() {
    let mut nvim = start();
    run(&mut nvim, "double.tell_environment({ production = true })");
    nvim.wait_for_screen("prod ●");
    nvim.keys("gg2dd");
    assert!(ask(&mut nvim, ":w!<CR>").contains("Type celery to go on"));
    type_in(&mut nvim, "high");
    said(&mut nvim, "nothing was done");
    assert_eq!(number(&mut nvim, "acts()"), 0);
    ask(&mut nvim, ":w!<CR>");
    type_in(&mut nvim, "celery");
    said(&mut nvim, "Deleted 2 of celery");
}

/// What came of each is as the server says: what was left alone stays to be written.
#[test]
fn the_outcome_is_told_message_by_message() {
    let mut nvim = start();
    run(
        &mut nvim,
        "double.answers['queue/delete_messages'] = function(params)
           return {
             done = { '00000001-celery' },
             missed = { { key = 'celery-2', reason = 'not in the queue' } },
             refused = { { uuid = '00000003-celery', kind = 'blocking', reason = 'it would take 9 ms' } },
             saved_as = '/recovery/1.jsonl', warnings = {}, cancelled = true,
           }
         end",
    );
    nvim.keys("gg4dd");
    ask(&mut nvim, ":w<CR>");
    pick(&mut nvim, 2);
    said(&mut nvim, "Deleted 1 of celery; 1 was missed: not in the queue");
    let told = lab::outcome(&mut nvim);
    for word in ["left alone", "not reached", "it would take 9 ms", "missed"] {
        assert!(told.contains(word), "{word}:\n{told}");
    }
    expect(&mut nvim, "vim.bo.modified", "true");
    let screen = ask(&mut nvim, ":w<CR>");
    assert!(screen.contains("Yes, delete 2 of celery"), "{screen}");
    pick(&mut nvim, 1);
}

/// The NAME of one buffer is wider than that of the other.
#[test]
fn a_line_stands_in_the_columns_of_the_buffer_it_is_put_into() {
    let mut nvim = lab::start(SMALL);
    lab::picker(&mut nvim);
    run(&mut nvim, QUEUES);
    run(&mut nvim, "queues.celery[1].name = 'shop.billing.monthly.statements'");
    show(&mut nvim, "celery", 5);
    nvim.keys("gg2dd");
    show(&mut nvim, "high", 1);
    let columns = "vim.tbl_map(function(line)
         return vim.fn.strdisplaywidth((line:gsub(' 0000000%d .*', '')))
       end, vim.api.nvim_buf_get_lines(0, 0, -1, false))";
    nvim.keys("p");
    expect(&mut nvim, &format!("#vim.fn.uniq({columns})"), "1");
    assert_eq!(number(&mut nvim, "vim.api.nvim_buf_line_count(0)"), 3);
    // Where they will stand in the queue is not known: it is not said.
    assert_eq!(value(&mut nvim, "vim.fn.getline(2):sub(20, 27):match('%S')"), "nil");
    for (keys, lines) in [("u", 1), ("<C-r>", 3)] {
        nvim.keys(keys);
        expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", &lines.to_string());
        assert_eq!(number(&mut nvim, &format!("#vim.fn.uniq({columns})")), 1, "{keys}");
    }
    let question = ask(&mut nvim, ":w<CR>");
    assert!(question.contains("Yes, move 2 from celery to high on prod"), "{question}");
    pick(&mut nvim, 2);
    said(&mut nvim, "Moved 2 from celery to high");
    expect(&mut nvim, "vim.bo.modified", "false");
}

/// Native editing: no key of ours is in its way.
#[test]
fn editing_is_vims_own() {
    let mut nvim = start();
    let taken = nvim.text(
        "local keys = {}
         for _, mode in ipairs({ 'n', 'x', 'o', 'i' }) do
           for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, mode)) do
             if not map.lhs:find('^<Plug>') then keys[map.lhs] = true end
           end
         end
         keys = vim.tbl_keys(keys)
         table.sort(keys)
         return table.concat(keys, ' ')",
    );
    // The last are doors that Neovim would open by itself.
    let ours = "- <C-C> <CR> K g1 g2 g3 g4 g? gX gy";
    let doors = "<C-W><C-F> <C-W>F <C-W>f <C-W>gF <C-W>gf [f ]f gF gf";
    let mut wanted: Vec<_> = ours.split(' ').chain(doors.split(' ')).collect();
    wanted.sort_unstable();
    assert_eq!(taken.split(' ').collect::<Vec<_>>(), wanted);
    nvim.keys("g?");
    nvim.wait_for_screen("show the plan of all queues' buffers, and ask");
    nvim.keys("q");
    // What is yanked by `gy` holds no id of a line.
    nvim.keys("ggjgy");
    assert_eq!(value(&mut nvim, "vim.fn.getreg('\"')"), "\"00000002-celery\"");
    // `u` undoes nothing that we did.
    nvim.keys("u");
    nvim.wait_for_screen("Already at oldest change");
    // Deleted by a pattern, too.
    nvim.keys(":g/(4,)/d<CR>");
    let screen = ask(&mut nvim, ":w<CR>");
    assert!(screen.contains("Yes, delete 1 of celery"), "{screen}");
    pick(&mut nvim, 1);
    nvim.keys(":e!<CR>");
    expect(&mut nvim, "vim.api.nvim_buf_line_count(0)", "5");
    expect(&mut nvim, "vim.bo.modified", "false");
}

#[test]
fn messages_are_exported_without_the_ids_of_lines() {
    let mut nvim = start();
    run(&mut nvim, "queues.celery[1].args_json = '[9007199254740993, 1.0]'");
    let path = nvim.home().join("out.jsonl");
    for overwrite in [false, true] {
        assert!(ask(&mut nvim, "gX").contains("Export the messages of celery to: "));
        type_in(&mut nvim, &path.display().to_string());
        if overwrite {
            assert!(lab::asked(&mut nvim).contains("Yes, overwrite"));
            pick(&mut nvim, 2);
        }
        said(&mut nvim, "Exported 5 messages of celery to ");
        let text = std::fs::read_to_string(&path).unwrap();
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0]["args_json"], "[9007199254740993, 1.0]");
        assert_eq!(rows[4]["uuid"], "00000005-celery");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(number(&mut nvim, "acts()"), 0);
}
