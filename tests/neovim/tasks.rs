//! Retrying, revoking and ending real tasks by keys: what became of them is asked of Celery's own client.

use super::lab::{LARGE, expect, run};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use crate::support::wait::wait_until;
use serde_json::{Value, json};
use std::fs::{self, File};

/// A Neovim on a cluster, with a picker that waits for the test.
fn watching(redis: &Redis, command: &str) -> Neovim {
    let (broker, backend) = (redis.url(0), redis.url(1));
    let mut nvim = Neovim::start(LARGE, &["--broker", &broker, "--backend", &backend]);
    nvim.command("runtime plugin/lazycelery.lua");
    run(
        &mut nvim,
        "vim.ui.select = function(items, options, choose)
           asked, answer = items, function(number) asked = nil choose(items[number]) end
         end",
    );
    nvim.command(command);
    nvim.wait_for_screen("●");
    nvim
}

/// Answers with the item, from 1, once something is asked; what it said.
#[track_caller]
fn pick(nvim: &mut Neovim, item: usize) -> String {
    expect(nvim, "asked ~= nil", "true");
    nvim.text(&format!("local item = asked[{item}] answer({item}) return item"))
}

#[track_caller]
fn wait_for_result(sender: &mut Sender, uuid: &str, state: &str) -> Value {
    wait_until(&format!("{uuid} to be {state}"), || {
        let (now, result) = sender.result(uuid);
        if now == state { Ok(result) } else { Err((now, result)) }
    })
}

/// Waits for a row of the list, and puts the cursor on it.
#[track_caller]
fn find(nvim: &mut Neovim, uuid: &str, state: &str) {
    let short = &uuid[..8];
    nvim.wait_for_screen_that(&format!("shows {short} {state}"), |screen| {
        screen.lines().any(|line| line.contains(short) && line.contains(state))
    });
    let line = format!("require('lazycelery.view').get().at['{uuid}']");
    run(nvim, &format!("vim.api.nvim_win_set_cursor(0, {{ {line}, 0 }})"));
}

/// Its arguments are exact where the result backend has them: `result_extended`.
#[test]
fn a_failed_task_runs_again_and_both_are_linked() {
    let redis = Redis::start();
    let app = App::Talkative;
    let _worker = CeleryWorker::start(&redis, Options { app, ..Options::default() });
    let mut sender = Sender::start(&redis, app);
    let mut nvim = watching(&redis, "LazyCelery tasks");
    let path = nvim.home().join("there");
    let failed = sender.send("lab.need", json!([path, "é", 9_007_199_254_740_993_u64]));
    wait_for_result(&mut sender, &failed, "FAILURE");
    find(&mut nvim, &failed, "FAILURE");
    File::create(&path).unwrap();
    nvim.keys("r");
    let question = pick(&mut nvim, 2);
    assert_eq!(question, format!("Yes, send lab.need {} again to celery", &failed[..8]));
    nvim.wait_for_screen("Sent again to celery, as lab.need ");
    let new = wait_until("both to be linked", || {
        let rows = "vim.tbl_values(require('lazycelery.view').get().rows)";
        let new = nvim.text(&format!(
            "for _, row in ipairs({rows}) do
               if row.retry_of == '{failed}' then return row.uuid end
             end
             return ''"
        ));
        (!new.is_empty()).then_some(new)
    });
    wait_for_result(&mut sender, &new, "SUCCESS");
    let ran = fs::read_to_string(&path).unwrap();
    assert_eq!(
        ran, "[[\"\\u00e9\", 9007199254740993], {}]\n",
        "once, with what it was called with"
    );
    find(&mut nvim, &failed, &format!("→ {}", &new[..8]));
    find(&mut nvim, &new, &format!("again {}", &failed[..8]));
    nvim.keys("<CR>");
    nvim.wait_for_screen(&format!("Sent in place of {failed}"));
    assert_eq!(
        nvim.text("vim.fn.search('Sent in place of') return vim.api.nvim_get_current_line()")
            .trim(),
        format!("Sent in place of {failed}")
    );
    nvim.keys("<CR>");
    nvim.wait_for_screen(&format!("Sent again as {new}"));
    nvim.keys("ggr");
    expect(&mut nvim, "asked ~= nil", "true");
    nvim.wait_for_screen("it was sent again before, as");
    pick(&mut nvim, 1);
}

/// On Celery's defaults nothing knows the arguments exactly but the message; the view of workers looks
/// into no queue, so that it is not seen.
#[test]
fn what_is_only_known_as_a_text_is_sent_as_it_reads() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut sender = Sender::start(&redis, App::Default);
    let mut nvim = watching(&redis, "LazyCelery workers");
    nvim.wait_for_screen("w1@lab");
    let path = nvim.home().join("there");
    let failed = sender.send("lab.need", json!([path, 7]));
    wait_for_result(&mut sender, &failed, "FAILURE");
    nvim.command("LazyCelery tasks");
    find(&mut nvim, &failed, "FAILURE");
    File::create(&path).unwrap();
    nvim.keys("r");
    expect(&mut nvim, "asked ~= nil", "true");
    nvim.wait_for_screen("not exact");
    let question = pick(&mut nvim, 2);
    assert!(question.ends_with("again, as that text reads"), "{question}");
    wait_until("it to run", || {
        let ran = fs::read_to_string(&path).unwrap();
        if ran == "[[7], {}]\n" { Ok(()) } else { Err(ran) }
    });
}

#[test]
fn a_revoked_task_never_runs() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut sender = Sender::start(&redis, App::Default);
    let mut nvim = watching(&redis, "LazyCelery tasks");
    let path = nvim.home().join("ran");
    let waiting = sender.send_with("lab.note", json!([path]), json!({ "countdown": 2 }));
    find(&mut nvim, &waiting, "SCHEDULED");
    nvim.keys("x");
    let question = pick(&mut nvim, 2);
    assert!(question.starts_with(&format!("Yes, revoke lab.note {} on ", &waiting[..8])));
    nvim.wait_for_screen("Revoked on 1 worker");
    wait_for_result(&mut sender, &waiting, "REVOKED");
    find(&mut nvim, &waiting, "REVOKED");
    assert!(!path.exists(), "it never ran");
}

#[test]
fn a_running_task_is_ended_by_a_signal_and_by_nothing_else() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut sender = Sender::start(&redis, App::Default);
    let mut nvim = watching(&redis, "LazyCelery tasks");
    let (go, state) = (nvim.home().join("go"), nvim.home().join("runs"));
    let running = sender.send("lab.hold", json!([go, state]));
    wait_until("it to run", || state.exists());
    find(&mut nvim, &running, "STARTED");
    nvim.keys("x");
    nvim.wait_for_screen("only `terminate` ends it");
    assert_eq!(pick(&mut nvim, 1), "No");
    nvim.keys("<CR>");
    nvim.wait_for_screen("▾ Timeline");
    nvim.keys("X");
    let question = pick(&mut nvim, 2);
    let expected = format!("Yes, end lab.hold {}: SIGTERM, its process ends", &running[..8]);
    assert_eq!(question, expected);
    nvim.wait_for_screen("Told to end the task by SIGTERM: 1 worker");
    wait_for_result(&mut sender, &running, "REVOKED");
    nvim.wait_for_screen("⊘ REVOKED");
}
