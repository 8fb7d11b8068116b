//! `scripts/demo`: the cluster that `make demo` shows comes up, and nothing of it outlives it.

use crate::support::root;
use crate::support::wait::wait_until;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A demo around a command that tells where the broker is, and then waits.
struct Demo {
    launcher: Child,
    broker: String,
}

impl Demo {
    fn start() -> Demo {
        let tell = "echo $CELERY_BROKER_URL; python3 -c 'import sys; sys.stdin.read()'";
        let mut launcher = Command::new(root().join("scripts/demo"))
            .args(["--headless", "sh", "-c", tell])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(launcher.stdout.take().unwrap()).lines();
        let broker = said.next().expect("the demo did not come up").unwrap();
        Demo { launcher, broker }
    }

    /// Ends the command's input, and waits until no process is left that knows of this broker.
    fn wait_until_gone(&mut self) {
        drop(self.launcher.stdin.take());
        wait_until("the demo's processes to be gone", || {
            let listed = Command::new("ps").arg("axeww").output().unwrap();
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let left = listed.lines().find(|process| process.contains(&self.broker));
            left.map_or(Ok(()), |process| Err(process.to_owned()))
        });
    }
}

#[test]
fn nothing_is_left_when_its_command_ends() {
    let mut demo = Demo::start();
    demo.wait_until_gone();
    assert!(demo.launcher.wait().unwrap().success());
}

#[test]
fn nothing_is_left_when_it_is_killed() {
    let mut demo = Demo::start();
    demo.launcher.kill().unwrap();
    demo.launcher.wait().unwrap();
    demo.wait_until_gone();
}
