//! Whole queues purged, moved and put back, by keys and on a real broker: the messages that stand in
//! it before and after are compared byte for byte.

use super::lab::{self, LARGE, SMALL, expect, run, value};
use crate::support::celery::{App, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use crate::support::server::PROGRAM;
use crate::support::wait::wait_until;
use serde_json::json;

/// Messages of real tasks that nobody takes: `high` has three, `low` has one, `mail` has two.
fn filled(redis: &Redis) {
    let mut sender = Sender::start(redis, App::Default);
    for (queue, count) in [("high", 3), ("low", 1), ("mail", 2)] {
        for number in 0..count {
            sender.send_with("lab.echo", json!(["é", number]), json!({ "queue": queue }));
        }
    }
}

fn list(redis: &Redis, queue: &str) -> Vec<Vec<u8>> {
    redis.command(&["LRANGE", queue, "0", "-1"])
}

/// The queues of a real broker in Neovim, where `asked` is the question that is open.
fn watching(redis: &Redis) -> Neovim {
    let mut nvim = Neovim::start(SMALL, &["--broker", &redis.url(0)]);
    prepare(&mut nvim);
    nvim.command("LazyCelery queues");
    for queue in ["high", "low", "mail"] {
        nvim.wait_for_screen(queue);
    }
    nvim
}

fn prepare(nvim: &mut Neovim) {
    nvim.command("runtime plugin/lazycelery.lua");
    run(
        nvim,
        "vim.ui.select = function(items, options, choose)
           asked = { prompt = options.prompt, items = items }
           choose_ = choose
         end
         vim.ui.input = function(options, done) typing, type_ = options, done end
         said = {}
         vim.notify = function(text) table.insert(said, text) end",
    );
}

/// Waits for a question with this among its answers, and gives it.
#[track_caller]
fn answer(nvim: &mut Neovim, text: &str) {
    expect(nvim, &format!("asked and vim.list_contains(asked.items, '{text}') or asked"), "true");
    assert_eq!(value(nvim, "asked.items[1]"), "\"No\"");
    run(nvim, &format!("local choose = choose_ asked, choose_ = nil, nil choose('{text}')"));
}

#[track_caller]
fn told(nvim: &mut Neovim, sentence: &str) {
    expect(nvim, &format!("vim.list_contains(said, '{sentence}') or said"), "true");
}

#[test]
fn a_queue_is_purged_and_taken_back() {
    let redis = Redis::start();
    filled(&redis);
    let before = list(&redis, "high");
    let mut nvim = watching(&redis);
    nvim.keys("/high<CR>X");
    answer(&mut nvim, "Yes, purge high on default: 3 messages");
    told(&mut nvim, "Purged 3; u takes them back");
    assert_eq!(list(&redis, "high").len(), 0);
    assert_eq!(list(&redis, "low").len(), 1, "one line is one queue");

    nvim.keys("u");
    answer(&mut nvim, "Yes, put 3 messages back into high on default");
    told(&mut nvim, "Put back 3 messages into high");
    assert!(list(&redis, "high") == before, "byte for byte");
    nvim.keys("/low<CR>.");
    answer(&mut nvim, "Yes, purge low on default: 1 message");
    told(&mut nvim, "Purged 1; u takes it back");
    nvim.keys("u");
    answer(&mut nvim, "Yes, put 1 message back into low on default");
    told(&mut nvim, "Put back 1 message into low");
    nvim.keys("u");
    told(&mut nvim, "lazycelery: nothing was purged, deleted or moved on default from this Neovim");
}

#[test]
fn a_selection_is_one_change_and_a_second_undo_takes_back_the_one_before() {
    let redis = Redis::start();
    filled(&redis);
    let before = ["high", "low", "mail"].map(|queue| list(&redis, queue));
    let mut nvim = watching(&redis);
    nvim.keys("/mail<CR>X");
    answer(&mut nvim, "Yes, purge mail on default: 2 messages");
    told(&mut nvim, "Purged 2; u takes them back");
    nvim.keys("ggVG:LazyCelery purge<CR>");
    expect(&mut nvim, "asked ~= nil", "true");
    let screen = nvim.wait_for_screen("3 messages");
    assert!(screen.contains("high") && screen.contains("low"), "{screen}");
    answer(&mut nvim, "Yes, purge 2 queues on default: 4 messages");
    told(&mut nvim, "Purged 4; u takes them back");
    wait_until("all to be empty", || {
        let left = ["high", "low", "mail"].map(|queue| list(&redis, queue).len());
        (left == [0, 0, 0]).then_some(()).ok_or(left)
    });

    nvim.command("LazyCelery undo");
    answer(&mut nvim, "Yes, put 4 messages back into high and low on default");
    told(&mut nvim, "Put back 4 messages into high and low");
    nvim.keys("u");
    answer(&mut nvim, "Yes, put 2 messages back into mail on default");
    told(&mut nvim, "Put back 2 messages into mail");
    let after = ["high", "low", "mail"].map(|queue| list(&redis, queue));
    assert!(before == after, "byte for byte");
}

#[test]
fn what_came_while_it_was_asked_goes_too_and_is_told() {
    let redis = Redis::start();
    filled(&redis);
    let mut nvim = watching(&redis);
    nvim.keys("/high<CR>X");
    expect(&mut nvim, "asked ~= nil", "true");
    redis.command::<u64>(&["LPUSH", "high", "{}"]);
    answer(&mut nvim, "Yes, purge high on default: 3 messages");
    told(&mut nvim, "Purged 4 (1 came after it was asked); u takes them back");
}

#[test]
fn a_queue_is_moved_to_one_that_is_chosen_and_back() {
    let redis = Redis::start();
    filled(&redis);
    let (high, low) = (list(&redis, "high"), list(&redis, "low"));
    let mut nvim = watching(&redis);
    nvim.keys("/high<CR>cm");
    answer(&mut nvim, "Yes, move 3 messages to low, behind 1; no worker tells that it reads it");
    told(&mut nvim, "Moved 3 to low; u takes them back");
    assert_eq!((list(&redis, "high").len(), list(&redis, "low").len()), (0, 4));
    nvim.keys("u");
    answer(&mut nvim, "Yes, put 3 messages back into high on default, from low");
    told(&mut nvim, "Put back 3 messages into high");
    assert!((list(&redis, "high"), list(&redis, "low")) == (high, low), "byte for byte");
}

#[test]
fn no_is_no_and_nothing_is_asked_where_nothing_waits() {
    let redis = Redis::start();
    filled(&redis);
    let mut nvim = watching(&redis);
    nvim.keys("/high<CR>X");
    answer(&mut nvim, "No");
    redis.command::<u64>(&["DEL", "low"]);
    nvim.command("LazyCelery purge low");
    told(&mut nvim, "lazycelery: low is empty on default");
    nvim.command("LazyCelery purge nosuch");
    expect(
        &mut nvim,
        "said[2] and said[2]:match('unknown queue `nosuch`')",
        "\"unknown queue `nosuch`\"",
    );
    let completed = value(&mut nvim, "vim.fn.getcompletion('LazyCelery purge hi', 'cmdline')");
    assert_eq!(completed, "{ \"high\" }");
    assert_eq!(list(&redis, "high").len(), 3);
    assert_eq!(value(&mut nvim, "asked"), "nil");
}

/// A production environment is unlocked first, and the queue's name is typed.
#[test]
fn production_has_the_name_typed() {
    let redis = Redis::start();
    filled(&redis);
    let mut nvim = Neovim::start(LARGE, &[]);
    prepare(&mut nvim);
    run(
        &mut nvim,
        &format!(
            "require('lazycelery').setup({{ cmd = {{ '{PROGRAM}' }}, environments = {{
               prod = {{ broker_url = '{}', production = true }} }} }})",
            redis.url(0)
        ),
    );
    nvim.command("LazyCelery queues");
    nvim.wait_for_screen("high");
    nvim.keys("/high<CR>X");
    answer(&mut nvim, "Yes, purge high on prod: 3 messages");
    expect(&mut nvim, "typing and typing.prompt", "\"prod is production. Type high to go on: \"");
    run(&mut nvim, "type_('low')");
    told(&mut nvim, "lazycelery: nothing was done: high was not typed");
    nvim.keys("X");
    answer(&mut nvim, "Yes, purge high on prod: 3 messages");
    run(&mut nvim, "type_('high')");
    answer(&mut nvim, "Yes, unlock prod for 15 minutes, and go on");
    told(&mut nvim, "Purged 3; u takes them back");
    assert_eq!(list(&redis, "high").len(), 0);
    let _ = lab::lines(&mut nvim);
}
