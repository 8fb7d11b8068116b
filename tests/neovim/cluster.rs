//! Every view on a real cluster: the double speaks as we believe the server does, this is how it
//! does.

use super::lab::{LARGE, value};
use crate::support::celery::{App, CeleryWorker, Options, Sender};
use crate::support::neovim::Neovim;
use crate::support::redis::Redis;
use serde_json::json;

/// A view, what opens it, and texts that show that it is whole.
fn views(failed: &str) -> Vec<(String, Vec<&'static str>)> {
    vec![
        ("LazyCelery workers".into(), vec!["w1@lab", "prefork", "w2@lab", "solo"]),
        (
            "LazyCelery worker w1@lab".into(),
            vec![
                "▾ Queues",
                "celery",
                "Active 1",
                "lab.hold",
                "Reserved 1",
                "lab.add",
                "Scheduled 1",
                " at ",
                "as of",
                "Registered",
                "Statistics",
                "Configuration",
            ],
        ),
        ("LazyCelery tasks".into(), vec!["FAILURE", "SUCCESS", "STARTED", "PENDING"]),
        (
            format!("LazyCelery task {failed}"),
            vec!["lab.fail", "▾ Timeline", "gateway.py:", "in pay"],
        ),
        ("LazyCelery queues".into(), vec!["celery", "nobody"]),
        ("LazyCelery messages nobody".into(), vec!["lab.add", "[8, 9]"]),
    ]
}

#[test]
fn every_view_shows_a_real_cluster() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let hold = folder.path().join("go").display().to_string();
    let options = Options { concurrency: 1, ..Options::default() };
    let _first = CeleryWorker::start(&redis, options);
    let second = Options { name: "w2", pool: "solo", queues: &["other"], ..Options::default() };
    let _second = CeleryWorker::start(&redis, second);
    let mut sender = Sender::start(&redis, App::Default);
    sender.send_with("lab.add", json!([8, 9]), json!({ "queue": "nobody" }));

    let broker = redis.url(0);
    let backend = redis.url(1);
    let mut nvim = Neovim::start(LARGE, &["--broker", &broker, "--backend", &backend]);
    nvim.command("runtime plugin/lazycelery.lua");
    nvim.command("LazyCelery tasks");
    nvim.wait_for_screen("●");
    let failed = sender.send("lab.fail", json!([7]));
    nvim.wait_for_screen("FAILURE");
    sender.send("lab.add", json!([1, 2]));
    nvim.wait_for_screen("SUCCESS");
    sender.send("lab.hold", json!([hold]));
    sender.send("lab.add", json!([3, 4]));
    sender.send_with("lab.add", json!([5, 6]), json!({ "countdown": 3600 }));

    for (command, texts) in views(&failed) {
        nvim.command(&command);
        if command.contains(" worker ") {
            // Sections that few people ask for are closed at first.
            nvim.wait_for_screen("Registered");
            nvim.keys("zR");
        }
        let all = "table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')";
        for text in texts {
            super::lab::expect(
                &mut nvim,
                &format!("{all}:find('{text}', 1, true) and true or {all}"),
                "true",
            );
        }
        assert_eq!(value(&mut nvim, "vim.trim(vim.fn.execute('messages'))"), "\"\"", "{command}");
    }
}
