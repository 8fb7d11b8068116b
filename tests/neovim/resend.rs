//! Change and resend, by keys, against a real cluster: what is written is what arrives, byte for byte.

use super::lab::{self, SMALL, expect, lines, run, value};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use crate::support::wait::wait_until;
use base64_simd::STANDARD;
use serde_json::{Value, json};
use std::fs::{self, File};

/// A Neovim at a cluster, whose questions wait for `answer`.
fn at(redis: &Redis) -> Neovim {
    let mut nvim = Neovim::start(SMALL, &["--broker", &redis.url(0), "--backend", &redis.url(1)]);
    nvim.command("runtime plugin/lazycelery.lua");
    picker(&mut nvim);
    nvim
}

/// Puts a picker in place that waits until the test answers.
fn picker(nvim: &mut Neovim) {
    run(
        nvim,
        "asked = 0
         vim.ui.select = function(items, options, choose)
           asked, question, choice = asked + 1, { options.prompt, items }, choose
         end",
    );
}

/// Waits for the question, and answers it: 1 is *No*.
#[track_caller]
fn answer(nvim: &mut Neovim, item: usize) -> String {
    expect(nvim, "question ~= nil", "true");
    let said = value(nvim, &format!("question[2][{item}]"));
    run(nvim, &format!("local items = question[2] question = nil choice(items[{item}])"));
    said.trim_matches('"').to_owned()
}

/// Opens the only task that there is, to be changed.
#[track_caller]
fn change(nvim: &mut Neovim, state: &str) {
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen(state);
    nvim.keys("cc");
    expect(nvim, "vim.bo.filetype", "\"lazycelery-edit\"");
    expect(nvim, "vim.bo.modifiable", "true");
}

/// The bodies of a queue's messages, the newest first.
fn bodies(redis: &Redis, queue: &str) -> Vec<String> {
    let raw: Vec<String> = redis.command(&["LRANGE", queue, "0", "-1"]);
    let body = |raw: &String| {
        let message: Value = serde_json::from_str(raw).unwrap();
        let body = message["body"].as_str().unwrap();
        match message["properties"]["body_encoding"].as_str() {
            Some("base64") => String::from_utf8(STANDARD.decode_to_vec(body).unwrap()).unwrap(),
            _ => body.to_owned(),
        }
    };
    raw.iter().map(body).collect()
}

/// Queues a message as another client may have written it, its JSON laid out as it likes.
fn queue(redis: &Redis, uuid: &str, args: &str, kwargs: &str) {
    let message = json!({
        "body": format!("[{args}, {kwargs}, {{}}]"),
        "content-type": "application/json", "content-encoding": "utf-8",
        "headers": { "lang": "py", "task": "lab.echo", "id": uuid, "retries": 0, "eta": null,
            "expires": null, "timelimit": [60, null], "root_id": uuid,
            "tenant": { "id": 9_007_199_254_740_993_i64 } },
        "properties": { "delivery_tag": uuid, "correlation_id": uuid, "reply_to": "",
            "delivery_info": { "exchange": "", "routing_key": "celery" }, "delivery_mode": 2,
            "priority": 0 },
    });
    redis.command::<u64>(&["SADD", "_kombu.binding.celery", "celery\x06\x16\x06\x16celery"]);
    redis.command::<u64>(&["LPUSH", "celery", &message.to_string()]);
}

#[test]
fn a_failed_task_is_sent_again_with_changed_arguments_and_succeeds() {
    let redis = Redis::start();
    let options = Options { app: App::Talkative, ..Options::default() };
    let _worker = CeleryWorker::start(&redis, options);
    let mut nvim = at(&redis);
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen("●");
    let there = nvim.home().join("there");
    File::create(&there).unwrap();
    let missing = nvim.home().join("missing");
    let mut sender = Sender::start(&redis, App::Talkative);
    let args = json!([missing, 9_007_199_254_740_993_i64, 1.0, "é"]);
    sender.send_with("lab.need", args, json!({ "kwargs": { "order": 1001 } }));
    change(&mut nvim, "FAILURE");
    assert_eq!(value(&mut nvim, "vim.bo.buftype"), "\"acwrite\"");
    let text = lines(&mut nvim);
    assert!(text.contains("# exact, from "), "{text}");

    nvim.keys(":%s/missing/there/<CR>");
    nvim.keys(":%s/1001/9007199254740993/<CR>");
    nvim.keys(":w<CR>");
    assert_eq!(answer(&mut nvim, 1), "No");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "true");
    nvim.keys(":w<CR>");
    assert_eq!(answer(&mut nvim, 2), "Yes, send lab.need to celery on default");
    let screen = nvim.wait_for_screen("✓ SUCCESS");
    assert!(screen.contains("change and resend"), "it is followed below:\n{screen}");
    assert_eq!(value(&mut nvim, "vim.bo.filetype"), "\"lazycelery-edit\"");
    assert_eq!(value(&mut nvim, "vim.bo.modified"), "false");
    assert_eq!(
        fs::read_to_string(&there).unwrap(),
        "[[9007199254740993, 1.0, \"\\u00e9\"], {\"order\": 9007199254740993}]\n",
        "once, and with what was written"
    );

    // The same again is asked about as that.
    nvim.keys(":w<CR>");
    expect(&mut nvim, "question ~= nil", "true");
    nvim.wait_for_screen("Nothing was changed since it was sent as");
    answer(&mut nvim, 1);
    nvim.keys("ggOqueu: x<Esc>:w<CR>");
    nvim.wait_for_screen("no field `queu`");
    nvim.keys("u");
    assert_eq!(fs::read_to_string(&there).unwrap().lines().count(), 1);
}

#[test]
fn n44_arguments_stay_byte_for_byte() {
    let redis = Redis::start();
    let large = format!("[\"{}\"]", "é😀 ".repeat(120_000));
    for (number, args, kwargs) in [
        (
            1,
            r#"[9007199254740993, 1.0,  1.50, 1E2, -0.0, NaN, "\ud83d", "é\u00e9  ", null]"#,
            r#"{"b" : 1, "a":2, "b": 3}"#,
        ),
        (2, "[\n  1,\n\t{\"k\":\n [ ]}\n]", "{}"),
        (3, large.as_str(), "{\"k\": [1, 2]}"),
    ] {
        redis.command::<()>(&["FLUSHALL"]);
        queue(&redis, &format!("seen-{number}"), args, kwargs);
        let mut nvim = at(&redis);
        // A formatter of the user's must not get at it.
        nvim.command("autocmd BufWritePre * silent! %s/ //g");
        change(&mut nvim, "PENDING");
        nvim.keys(":w<CR>");
        answer(&mut nvim, 2);
        let found = wait_until("two messages", || {
            let found = bodies(&redis, "celery");
            if found.len() == 2 { Ok(found) } else { Err(found.len()) }
        });
        assert!(
            found[0].starts_with(&format!("[{args}, {kwargs}, ")),
            "{number}: {}",
            &found[0][..200.min(found[0].len())]
        );
        let raw: Vec<String> = redis.command(&["LRANGE", "celery", "0", "0"]);
        let plain = raw[0].replace(' ', "");
        assert!(plain.contains("{\"id\":9007199254740993}"), "its own headers stay: {plain:.400}");
        assert!(plain.contains("\"timelimit\":[60,null]"), "and its limits");
    }
}

#[test]
fn a_mistake_is_marked_where_it_is() {
    let redis = Redis::start();
    queue(&redis, "seen", "[1]", "{\"é\": 1,\n \"b\": 2}");
    let mut nvim = at(&redis);
    change(&mut nvim, "PENDING");
    let mark = "local one = vim.diagnostic.get(0)[1]
                return one and ('%s|%d|%s'):format(vim.fn.getline(one.lnum + 1), one.col, one.message) or ''";
    for (edit, expected) in [
        (":%s/\"b\": 2/\"é\": x/", " \"é\": x}|7|expected value"),
        (":%s/^queue: .*/queue: celry/", "queue: celry|7|unknown queue"),
        (":%s/^priority:.*/priority: 30/", "priority: 30|10|`priority` is 0 to 9"),
        (":%s/^priority:.*/priority: high/", "priority: high|10|`priority` is a number"),
        (":%s/^eta:/eta: soon/", "eta: soon|5|`eta` is Unix seconds"),
        (":%s/^\\[1\\]/{}/", "{}|0|expected an array"),
        (
            ":%s/^{\"tenant\".*/{\"id\": 7}/",
            "{\"id\": 7}|0|`headers`: the header `id` is Celery's own",
        ),
        (":%s/^name: .*/name:/", "name:|0|the task's name is wanted"),
    ] {
        nvim.keys(&format!("{edit}<CR>:w<CR>"));
        wait_until(expected, || {
            let found = nvim.text(mark);
            if found.starts_with(expected) { Ok(()) } else { Err(found) }
        });
        nvim.keys("u");
        nvim.take_messages();
    }
    assert_eq!(value(&mut nvim, "asked"), "0");
    assert_eq!(bodies(&redis, "celery").len(), 1, "nothing was sent");
    nvim.keys(":w<CR>");
    answer(&mut nvim, 1);
    assert_eq!(value(&mut nvim, "#vim.diagnostic.get(0)"), "0", "what is mended is no mistake");
}

#[test]
fn what_is_not_known_exactly_is_left_to_be_written() {
    let redis = Redis::start();
    let _worker = CeleryWorker::start(&redis, Options::default());
    let mut nvim = at(&redis);
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen("●");
    let mut sender = Sender::start(&redis, App::Default);
    sender.send("lab.fail", json!([42]));
    change(&mut nvim, "FAILURE");
    // By chance its message was seen on its way.
    let text = lines(&mut nvim);
    if !text.contains("# exact") {
        assert!(text.contains("# Not known exactly"), "{text}");
        assert!(text.contains("\nargs:\n# [42]\n"), "{text}");
        nvim.keys(":w<CR>");
        nvim.wait_for_screen("`args` is wanted");
    }
    nvim.keys("ggcGname: lab.fail<CR>args: [43]<CR>kwargs: {}<Esc>:w<CR>");
    answer(&mut nvim, 2);
    wait_until("the new task below", || {
        let page = lab::shown(&mut nvim, "lazycelery-task");
        page.contains("args          [43]").then_some(()).ok_or(page)
    });
}

#[test]
fn a_new_task_is_sent_from_the_command_line() {
    let redis = Redis::start();
    let _worker =
        CeleryWorker::start(&redis, Options { app: App::Talkative, ..Options::default() });
    let mut nvim = at(&redis);
    nvim.command("LazyCelery");
    nvim.wait_for_screen("w1@lab");
    let offered = "vim.fn.getcompletion('LazyCelery send lab.e', 'cmdline')";
    expect(&mut nvim, offered, "{ \"lab.echo\", \"lab.exit\" }");
    nvim.keys(":LazyCelery send lab.echo [1.50, \"a|b\"] {\"x\": \"é\"}<CR>");
    assert_eq!(answer(&mut nvim, 2), "Yes, send lab.echo to celery on default");
    nvim.wait_for_screen("✓ SUCCESS");
    nvim.wait_for_screen("lab.echo");
    run(&mut nvim, "question = nil");
    nvim.keys(":only<CR>:LazyCelery send lab.add<CR>");
    nvim.wait_for_screen("name: lab.add");
    nvim.keys("/^args:<CR>jcc[40, 2]<Esc>:w<CR>");
    answer(&mut nvim, 2);
    nvim.wait_for_screen("✓ SUCCESS");
    nvim.keys(":LazyCelery send lab.add (1)<CR>");
    nvim.wait_for_screen("arguments are [args], {kwargs}, or both");
    nvim.keys(":LazyCelery send lab.add [1<CR>");
    nvim.wait_for_screen("args_json");
    nvim.take_messages();
}
