//! A queue as text: lines are deleted, put elsewhere, written, taken back. On a real cluster.

use super::lab::{self, SMALL, expect, number, value};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use crate::support::wait::wait_until;
use serde_json::{Value, json};

/// A Redis whose queue `from` holds so many messages, `to` one; and a Neovim that shows `from`.
struct Lab {
    redis: Redis,
    sender: Sender,
    nvim: Neovim,
}

impl Lab {
    fn start(messages: i64) -> Lab {
        Lab::start_with(messages, "lab.add", |n| json!([n, 9_007_199_254_740_993_i64]))
    }

    fn start_with(messages: i64, task: &str, args: impl Fn(i64) -> Value) -> Lab {
        let redis = Redis::start();
        let mut sender = Sender::start(&redis, App::Default);
        for n in 0..messages {
            sender.send_with(task, args(n), json!({ "queue": "from" }));
        }
        sender.send_with("lab.echo", json!(["there"]), json!({ "queue": "to" }));
        let mut nvim = Neovim::start(SMALL, &["--broker", &redis.url(0)]);
        nvim.command("runtime plugin/lazycelery.lua");
        lab::picker(&mut nvim);
        let mut lab = Lab { redis, sender, nvim };
        lab.show("from", messages);
        lab
    }

    /// Shows a queue, and waits until all of it is there.
    #[track_caller]
    fn show(&mut self, queue: &str, messages: i64) {
        self.nvim.command(&format!("LazyCelery messages {queue}"));
        let name = format!("\"lazycelery://default:messages:{queue}\"");
        expect(&mut self.nvim, "vim.api.nvim_buf_get_name(0)", &name);
        self.lines(messages.max(1));
        expect(&mut self.nvim, "vim.bo.modifiable", "true");
    }

    #[track_caller]
    fn lines(&mut self, count: i64) {
        expect(&mut self.nvim, "vim.api.nvim_buf_line_count(0)", &count.to_string());
    }

    /// Writes, and says yes to a question that shows `plan`.
    #[track_caller]
    fn write(&mut self, plan: &str) {
        self.nvim.keys(":w<CR>");
        let question = lab::asked(&mut self.nvim);
        assert!(question.contains(plan), "{plan}:\n{question}");
        lab::pick(&mut self.nvim, 2);
    }

    #[track_caller]
    fn said(&mut self, text: &str) {
        lab::said(&mut self.nvim, text);
    }

    #[track_caller]
    fn modified(&mut self, is: bool) {
        expect(&mut self.nvim, "vim.bo.modified", &is.to_string());
    }

    /// What a queue holds, next to run last.
    fn queue(&self, name: &str) -> Vec<String> {
        self.redis.command(&["LRANGE", name, "0", "-1"])
    }
}

#[test]
fn what_is_deleted_and_moved_comes_back_byte_for_byte() {
    let mut lab = Lab::start(8);
    let (from, to) = (lab.queue("from"), lab.queue("to"));
    lab.nvim.keys("gg3dd2dd");
    lab.show("to", 1);
    lab.nvim.keys("p");
    lab.lines(3);
    lab.write("Yes, move 2 from from to to, delete 3 of from on default");
    lab.said("Moved 2 from from to to, deleted 3 of from; u and :w undo it");
    assert_eq!(lab.queue("from"), from[..3]);
    let moved = lab.queue("to");
    assert_eq!((moved.len(), &moved[2]), (3, &to[0]));
    lab.modified(false);

    // N01: news go by, and `u` still knows what was there.
    lab.sender.send_with("lab.echo", json!(["later"]), json!({ "queue": "to" }));
    lab.nvim.wait_for_screen("1 new");
    lab.nvim.keys("u");
    lab.modified(true);
    lab.nvim.command("LazyCelery messages from");
    lab.modified(false);
    lab.nvim.keys("uu");
    lab.lines(8);
    lab.modified(true);
    lab.write("Yes, put 5 back into from on default");
    lab.said("Put 5 back into from");
    assert_eq!(lab.queue("from"), from);
    assert_eq!(lab.queue("to").len(), 2);
    lab.modified(false);

    // Done again, as often as one likes.
    lab.nvim.keys("Gk2dd");
    lab.write("Yes, delete 2 of from");
    lab.said("Deleted 2 of from");
    assert_eq!(lab.queue("from"), from[2..]);
    lab.nvim.keys("u");
    lab.write("Yes, put 2 back into from");
    lab.said("Put 2 back into from");
    assert_eq!(lab.queue("from"), from);
    lab.nvim.keys(":w<CR>");
    lab.said("Nothing to write. At ");
}

/// A move stands in two buffers, and `u` in either of them takes all of it back.
#[test]
fn u_in_one_of_two_buffers_takes_a_move_back() {
    for undone_in in ["from", "to"] {
        let mut lab = Lab::start(3);
        let (from, to) = (lab.queue("from"), lab.queue("to"));
        lab.nvim.keys("ggdd");
        lab.show("to", 1);
        lab.nvim.keys("p");
        lab.lines(2);
        lab.write("Yes, move 1 from from to to");
        lab.said("Moved 1 from from to to");
        lab.show(undone_in, 2);
        lab.nvim.keys("u");
        lab.modified(true);
        lab.write("Yes, put 1 back into from on default");
        lab.said("Put 1 back into from");
        assert_eq!((lab.queue("from"), lab.queue("to")), (from.clone(), to.clone()));
        for (queue, lines) in [("from", 3), ("to", 1)] {
            lab.show(queue, lines);
            lab.modified(false);
            lab.nvim.keys(":w<CR>");
            lab.said("Nothing to write. At ");
        }
        assert_eq!((lab.queue("from"), lab.queue("to")), (from, to));
    }
}

/// What is edited beside what `u` took back is what it says.
#[test]
fn u_takes_back_no_more_than_was_moved() {
    let mut lab = Lab::start(3);
    lab.nvim.keys("ggdd");
    lab.show("to", 1);
    lab.nvim.keys("p");
    lab.write("Yes, move 1 from from to to");
    lab.said("Moved 1 from from to to");
    lab.nvim.keys("udd");
    lab.write("Yes, put 1 back into from, delete 1 of to on default");
    lab.said("Put 1 back into from, deleted 1 of to");
    assert_eq!((lab.queue("from").len(), lab.queue("to").len()), (3, 0));
    // Moved once more, and deleted where it is: that is no `u`.
    lab.show("from", 3);
    lab.nvim.keys("ggdd");
    lab.show("to", 1);
    lab.nvim.keys("p");
    lab.write("Yes, move 1 from from to to");
    lab.said("Moved 1 from from to to");
    lab.nvim.keys("dd");
    lab.write("Yes, delete 1 of to on default");
    lab.said("Deleted 1 of to");
    assert_eq!((lab.queue("from").len(), lab.queue("to").len()), (2, 0));
}

/// N40: what was cut and written, and then put elsewhere, is no new message: it comes out of its file.
#[test]
fn n40_what_we_deleted_can_be_put_into_another_queue_later() {
    let mut lab = Lab::start(3);
    lab.nvim.keys("ggdd");
    lab.write("Yes, delete 1 of from");
    lab.said("Deleted 1 of from");
    lab.show("to", 1);
    lab.nvim.keys("p");
    lab.write("Yes, put 1 back into to");
    lab.said("Put 1 back into to");
    assert_eq!((lab.queue("from").len(), lab.queue("to").len()), (2, 2));
    // And on: it is known there under its new key.
    lab.nvim.keys("dd");
    lab.write("Yes, delete 1 of to");
    lab.said("Deleted 1 of to");
    assert_eq!((lab.queue("from").len(), lab.queue("to").len()), (2, 1));
    let worker = Options { queues: &["from", "to"], ..Options::default() };
    let worker = CeleryWorker::start(&lab.redis, worker);
    wait_until("the rest to be run", || {
        let runs = worker.log().matches("succeeded").count();
        (runs == 3).then_some(()).ok_or_else(|| worker.log())
    });
}

#[test]
fn a_message_that_a_worker_took_meanwhile_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go").display().to_string();
    let mut lab = Lab::start_with(4, "lab.hold", |_| json!([go]));
    // From the first change on nothing is drawn over.
    lab.nvim.keys("gg$xu0");
    let one: &[&str] = &["--prefetch-multiplier", "1"];
    let worker = Options { queues: &["from"], concurrency: 1, extra: one, ..Options::default() };
    let _worker = CeleryWorker::start(&lab.redis, worker);
    wait_until("a worker to take some", || match lab.queue("from").len() {
        2 => Ok(()),
        left => Err(left),
    });
    let screen = lab.nvim.wait_for_screen("taken by a worker, or somebody else");
    assert_eq!(screen.matches("taken by").count(), 2, "{screen}");
    lab.nvim.keys("gg3dd");
    lab.write("Yes, delete 3 of from");
    lab.said("Deleted 1 of from; 2 were missed: not in the queue");
    assert_eq!(lab.queue("from").len(), 1);
    lab::outcome(&mut lab.nvim);
    lab.modified(false);
    // What is gone can be brought back as a line, and nothing is made of it.
    lab.nvim.keys("u");
    lab.lines(4);
    lab.write("Yes, put 1 back into from");
    lab.said("Put 1 back into from");
    assert_eq!(lab.queue("from").len(), 2);
    std::fs::write(&go, "").unwrap();
}

#[test]
fn a_broker_that_is_gone_loses_nothing_and_the_lines_stay() {
    let mut lab = Lab::start(3);
    lab.nvim.keys("ggdd");
    lab.redis.kill();
    lab.nvim.wait_for_screen("○");
    lab.write("Yes, delete 1 of from");
    lab.said("not reached");
    // The reason is longer than the line: it stands in a buffer of its own.
    lab::outcome(&mut lab.nvim);
    lab.modified(true);
    lab.lines(2);
    assert_eq!(value(&mut lab.nvim, "vim.fn.getreg('\"'):match('lab%.add')"), "\"lab.add\"");
}

/// N05, N30: one empty line is "not loaded yet", not "delete all".
#[test]
fn n05_a_restored_queue_that_is_not_loaded_is_not_written() {
    let mut lab = Lab::start(2);
    let path = lab.nvim.home().join("Session.vim").display().to_string();
    lab.nvim.command(&format!("mksession {path}"));
    let broker = lab.redis.url(0);
    lab.redis.kill();
    let mut nvim = Neovim::start(SMALL, &["--broker", &broker]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command(&format!("source {path}"));
    expect(&mut nvim, "vim.bo.filetype", "\"lazycelery-messages\"");
    nvim.keys("p");
    nvim.wait_for_screen("E21");
    nvim.take_messages();
    nvim.keys(":w<CR>");
    nvim.wait_for_screen("not loaded yet");
    nvim.take_messages();
    lab.redis.restart();
    lab.sender = Sender::start(&lab.redis, App::Default);
    lab.sender.send_with("lab.add", json!([1, 2]), json!({ "queue": "from" }));
    nvim.keys(":e!<CR>");
    nvim.wait_for_screen("lab.add");
    assert_eq!(number(&mut nvim, "vim.api.nvim_buf_line_count(0)"), 1);
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "false");
    // Nothing of what was drawn can be taken back.
    nvim.keys("u");
    nvim.wait_for_screen("Already at oldest change");
}
