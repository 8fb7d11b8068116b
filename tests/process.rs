//! The process as its parent sees it: how it starts, what it lets through, and that it ends.

use crate::support::server::{PROGRAM, Server, command, configured};
use crate::support::wait::{PATIENCE, wait_until, wait_within};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What an end that was asked for may take on a loaded machine; on a quiet one it is 100 ms.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The grace of the calls, the margin after it, and a loaded machine.
const AFTER_END_OF_INPUT: Duration = Duration::from_secs(7);

/// A server whose pipes the test holds itself, so that it may leave them unread.
struct Raw {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    home: TempDir,
}

impl Raw {
    fn start(arguments: &[&str]) -> Raw {
        Raw::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    fn start_in(home: TempDir, arguments: &[&str]) -> Raw {
        let mut child = command(home.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(home.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        Raw { input: child.stdin.take(), output: child.stdout.take(), child, home }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn call(&mut self, id: u64, method: &str, params: Value) {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.say(format!("{call}\n").as_bytes());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; answers the exit status.
    #[track_caller]
    fn ended(&mut self, bound: Duration) -> Option<i32> {
        let status = wait_within(bound, "the server to end", || self.child.try_wait().unwrap());
        assert_eq!(self.stderr(), "", "standard error stays empty");
        status.code()
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.home.path().join("stderr")).unwrap()
    }

    /// Ends its input, waits for its end, and answers all it said.
    #[track_caller]
    fn finish(mut self) -> String {
        self.input = None;
        let mut said = String::new();
        self.output.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(self.ended(AFTER_END_OF_INPUT), Some(0), "{said}");
        said
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process that is no child of ours is there.
fn lives(pid: i32) -> bool {
    let zombie =
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !zombie && Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

#[test]
fn n23_the_framing_is_found_whatever_comes_first() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"environment/list"}"#;
    for before in ["\u{FEFF}", "\r\n", " "] {
        let mut server = Raw::start(&[]);
        // No line end: the end of input will do.
        server.say(format!("{before}{call}").as_bytes());
        let said = server.finish();
        assert!(
            said.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":"),
            "{before:?}: {said}"
        );
    }
    let mut server = Raw::start(&[]);
    server.say(format!("content-type: x\ncontent-length:{}\n\n", call.len()).as_bytes());
    let (head, tail) = call.split_at(20);
    server.say(head.as_bytes());
    server.say(tail.as_bytes());
    let said = server.finish();
    assert!(said.starts_with("Content-Length: "), "{said}");
}

#[test]
fn n23_what_cannot_be_read_is_said_once_and_ends_cleanly() {
    let wide: Vec<u8> = "{}\n{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for stream in [&wide[..], b"Content-Length: -1\r\n\r\n{}", b"Content-Length: 2 2\r\n\r\n{}"] {
        let mut server = Raw::start(&[]);
        server.say(stream);
        // Its input is still open: it ends by itself.
        assert_eq!(server.ended(AT_ONCE), Some(0));
        let said = server.finish();
        assert_eq!(said.matches("-32700").count(), 1, "{said}");
        assert_eq!(said.matches("jsonrpc").count(), 1, "{said}");
    }
}

#[test]
fn n24_a_program_that_prints_a_url_does_not_meet_the_protocol() {
    let home = configured(
        "[environments.a]\nbroker_url_command = ['sh', '-c', 'cat; echo noise >&2; cat ~/url']\n",
    );
    fs::write(home.path().join("url"), "redis://:hush@127.0.0.1:1/0\n").unwrap();
    let mut server = Raw::start_in(home, &[]);
    server.call(1, "worker/inspect", json!({ "method": "ping" }));
    server.call(2, "environment/list", json!({}));
    server.call(3, "environment/list", json!([]));
    let log = server.home.path().join("state/lazycelery/lazycelery.log");
    let mut output = BufReader::new(server.output.take().unwrap());
    let mut answers = Vec::new();
    for _ in 0..3 {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(!line.contains("hush"), "{line}");
        answers.push(serde_json::from_str::<Value>(&line).unwrap()["id"].as_u64().unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [1, 2, 3]);
    server.input = None;
    assert_eq!(server.ended(AFTER_END_OF_INPUT), Some(0));
    assert!(!fs::read_to_string(log).unwrap().contains("hush"));
}

#[test]
#[cfg(target_os = "linux")]
fn n24_a_stray_print_goes_nowhere() {
    let server = Server::start(&[], &[]);
    for fd in [0, 1] {
        let link = format!("/proc/{}/fd/{fd}", server.pid());
        wait_until("the descriptor to be the null device", || {
            let target = fs::read_link(&link).unwrap();
            if target.as_os_str() == "/dev/null" { Ok(()) } else { Err(target) }
        });
    }
}

/// Starts the server below a parent that holds its pipes, kills that, and waits for the server.
#[test]
fn n25_a_server_does_not_outlive_an_editor_that_is_killed() {
    const PARENT: &str = "import subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(server.pid, flush=True)
server.wait()";
    let home = tempfile::tempdir().unwrap();
    let mut parent = Command::new("python3")
        .args(["-c", PARENT, PROGRAM])
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server: i32 = line.trim().parse().unwrap();
    assert!(lives(server));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_within(AT_ONCE, "the server to end", || !lives(server));
}

#[test]
fn n25_the_end_of_input_is_seen_during_a_connect_that_hangs() {
    // The system accepts the connection, and nobody ever answers on it.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let broker = format!("redis://{}/0", deaf.local_addr().unwrap());
    let mut server = Raw::start(&["--broker", &broker]);
    server.call(1, "worker/list", json!({}));
    server.call(2, "worker/inspect", json!({ "method": "ping" }));
    let said = server.finish();
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn n25_the_end_of_input_is_seen_while_the_output_is_full() {
    let mut server = Raw::start(&[]);
    for id in 0..5000 {
        server.call(id, "no/such/method", json!({}));
    }
    server.input = None;
    // Its output stays open, and unread.
    server.ended(AFTER_END_OF_INPUT);
}

#[test]
fn n25_a_program_that_waits_ends_with_the_server() {
    let home = tempfile::tempdir().unwrap();
    let pid_file = home.path().join("pid");
    let home = configured(&format!(
        "[environments.a]\nbroker_url_command = ['sh', '-c', 'echo $$ > {}; exec sleep 600']\n",
        pid_file.display()
    ));
    let mut server = Raw::start_in(home, &[]);
    server.call(1, "worker/list", json!({}));
    let program: i32 = wait_until("the program to start", || {
        fs::read_to_string(&pid_file).ok().and_then(|pid| pid.trim().parse().ok())
    });
    server.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}\n");
    assert_eq!(server.ended(AT_ONCE), Some(1));
    wait_within(AT_ONCE, "the program to end", || !lives(program));
}

#[test]
fn a_client_that_reads_nothing_is_still_heard() {
    let mut server = Raw::start(&[]);
    let filler = "x".repeat(64 << 10);
    for id in 0..256 {
        server.call(id, "no/such/method", json!({ "filler": filler }));
    }
    let said = Instant::now();
    server.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}\n");
    assert_eq!(server.ended(PATIENCE), Some(1));
    assert!(said.elapsed() < PATIENCE);
}

#[test]
fn a_signal_ends_it_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Raw::start(&[]);
        server.call(1, "environment/list", json!({}));
        let mut line = String::new();
        BufReader::new(server.output.as_mut().unwrap()).read_line(&mut line).unwrap();
        server.signal(signal);
        assert_eq!(server.ended(AT_ONCE), Some(0), "{signal:?}");
    }
}

#[test]
fn exit_is_clean_after_shutdown_only() {
    for (calls, status) in [(&["shutdown", "exit"][..], 0), (&["exit"], 1)] {
        let mut server = Raw::start(&[]);
        for (id, method) in (0..).zip(calls) {
            server.call(id, method, json!({}));
            if *method == "shutdown" {
                let mut line = String::new();
                BufReader::new(server.output.as_mut().unwrap()).read_line(&mut line).unwrap();
            }
        }
        assert_eq!(server.ended(AT_ONCE), Some(status));
    }
}

/// Runs the program to its end: status, stdout, stderr.
fn run(home: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = command(home.path()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn call_prints_the_bare_result_or_the_error() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, err) = run(&home, &["call", "environment/list"]);
    assert_eq!((status, &*err), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["total"], 0);
    assert_eq!(out.lines().count(), 1);
    let (status, out, err) = run(&home, &["call", "environment/lst"]);
    assert_eq!((status, &*err), (1, ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["code"], -32601);
    let (status, out, _) = run(&home, &["call", "worker/list"]);
    let file = home.path().join("config/lazycelery/config.toml");
    let reason = format!("no environment: set CELERY_BROKER_URL, or write {}", file.display());
    assert_eq!(
        (status, &serde_json::from_str::<Value>(&out).unwrap()["data"]["reason"]),
        (1, &reason.into())
    );
}

#[test]
fn a_mistake_in_usage_or_configuration_is_told_on_stderr() {
    let home = configured("[environments.a]\nbrokr_url = 'redis://:pw@h'\n");
    let file = home.path().join("config/lazycelery/config.toml");
    let expected = format!(
        "{}:2:1: environments.a.brokr_url: unknown, did you mean `broker_url`?\n",
        file.display()
    );
    assert_eq!(run(&home, &[]), (2, String::new(), expected.clone()));
    assert_eq!(run(&home, &["call", "environment/list"]), (2, String::new(), expected));
    fs::remove_file(file).unwrap();
    for arguments in [
        &["call", "task/list", "{"][..],
        &["call", "task/list", "7"],
        &["call", "task/list", "--follow"],
        &["call", "task/subscribe"],
        &["--memory-limit", "much"],
        &["--environment", "nowhere"],
        &["--log-file", "/dev/null/log"],
        &["no-such-command"],
    ] {
        let (status, out, err) = run(&home, arguments);
        assert_eq!((status, &*out), (2, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
}

/// Even where the configuration is broken: they are made from the command line alone.
#[test]
fn completions_and_the_man_page_come_from_the_command_line_itself() {
    let home = configured("[environments.a]\nbrokr_url = 'redis://h'\n");
    let (status, completions, complaint) = run(&home, &["completions", "bash"]);
    assert_eq!((status, &*complaint), (0, ""));
    let file = home.path().join("completions");
    fs::write(&file, completions).unwrap();
    let ask = "source completions; COMP_WORDS=(lazycelery --bro); COMP_CWORD=1; \
               _lazycelery lazycelery --bro lazycelery; echo ${COMPREPLY[*]}";
    let bash = Command::new("bash").args(["-c", ask]).current_dir(home.path()).output().unwrap();
    assert_eq!(String::from_utf8(bash.stdout).unwrap(), "--broker\n");
    let (status, page, _) = run(&home, &["man"]);
    assert_eq!(status, 0);
    for told in [".TH lazycelery", "\\-\\-broker", "lazycelery\\-check"] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[test]
fn what_is_no_url_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, _) = run(&home, &["--broker", "nonsense", "call", "worker/list"]);
    let reason = serde_json::from_str::<Value>(&out).unwrap()["data"]["reason"].take();
    let reason = reason.as_str().unwrap();
    assert_eq!(status, 1);
    assert!(reason.contains("`nonsense` is no URL"), "{reason}");
    assert!(reason.contains("redis://HOST:PORT/DB"), "{reason}");
}

#[test]
fn n25_following_ends_when_nobody_reads_any_more() {
    let home = tempfile::tempdir().unwrap();
    let mut follow = command(home.path())
        .args(["call", "environment/subscribe", "--follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(follow.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(serde_json::from_str::<Value>(&line).unwrap()["rows"].is_array(), "{line}");
    drop(output);
    let status = wait_within(AT_ONCE, "the call to end", || follow.try_wait().unwrap());
    let mut complaint = String::new();
    follow.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((status.code(), &*complaint), (Some(0), ""));
}
