//! A URL that a program prints, so that a password need not stand in a file.
//!
//! The program must not meet the protocol on our stdin and stdout, nor the editor's terminal: it gets
//! neither, a process group of its own, a limit of time and one of output.

use super::{Secret, UrlSource};
use crate::error::{Error, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// How long a program may take: a person may have to unlock a key ring.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The longest output that is read, in bytes.
const OUTPUT_LIMIT: u64 = 64 << 10;

impl UrlSource {
    /// The URL itself; runs the program where one prints it.
    ///
    /// # Errors
    /// [`Error::Config`], which quotes the program's name and its first line of stderr, and never
    /// anything of its output.
    pub async fn resolve(&self) -> Result<Secret> {
        match self {
            UrlSource::Given(url) => Ok(url.clone()),
            UrlSource::Command(command) => run(command, TIME_LIMIT).await.map_err(|reason| {
                let setting = format!("the command `{}`", command.join(" "));
                Error::Config { setting, reason, position: None }
            }),
        }
    }
}

async fn run(command: &[String], limit: Duration) -> Result<Secret, String> {
    let [program, arguments @ ..] = command else { return Err("it is empty".into()) };
    let mut child = Command::new(program)
        .args(arguments)
        // A prompt on the terminal would draw over the editor that runs us, and eat its keys.
        .env_remove("GPG_TTY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (status, output, complaint) = tokio::time::timeout(limit, outcome(&mut child))
        .await
        .map_err(|_| {
            format!("no answer within {} s; is it waiting to be unlocked?", limit.as_secs())
        })?
        .map_err(|error| format!("cannot be read: {error}"))?;
    group.0 = None;
    if !status.success() {
        return Err(format!("{status}{}", first_line(&complaint)));
    }
    url(output)
}

/// Reads until both outputs end, then waits. Output above the limit is left unread: the program then
/// waits for a reader, and ends by the time limit or with the group.
async fn outcome(child: &mut Child) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, complaint) = tokio::try_join!(capped(stdout), capped(stderr))?;
    if output.len() as u64 > OUTPUT_LIMIT {
        return Err(std::io::Error::other(format!("it prints more than {OUTPUT_LIMIT} bytes")));
    }
    Ok((child.wait().await?, output, complaint))
}

async fn capped(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // Dropping the pipe at the limit lets the program see a closed one.
        pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// One line, without its end.
fn url(output: Vec<u8>) -> Result<Secret, String> {
    let text = String::from_utf8(output).map_err(|_| "it prints no UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("it prints nothing".into()),
        _ if line.contains('\n') => Err("it prints more than one line".into()),
        _ => Ok(Secret::new(line)),
    }
}

/// `: ` and what the program complained about first, if it did.
fn first_line(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let visible =
        |line: &str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    line.map(|line| format!(": {}", visible(line))).unwrap_or_default()
}

/// Ends the program and what it started, unless it ended by itself: also where the caller gave up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may just have ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, limit: Duration) -> Result<String, String> {
        let command = ["sh", "-c", script].map(str::to_owned);
        run(&command, limit).await.map(|url| url.expose().to_owned())
    }

    #[tokio::test]
    async fn n24_a_program_meets_neither_our_stdin_nor_our_stdout() {
        let limit = Duration::from_secs(20);
        assert_eq!(shell("cat; echo hi", limit).await, Ok("hi".into()));
        assert_eq!(shell("printf 'hi\\r\\n'; echo no >&2", limit).await, Ok("hi".into()));
        for (script, reason) in [
            ("printf 'a\\nb\\n'", "it prints more than one line"),
            ("true", "it prints nothing"),
            ("echo", "it prints nothing"),
            ("printf '\\377'", "it prints no UTF-8"),
            ("echo secret; echo 'not found' >&2; exit 3", "exit status: 3: not found"),
            ("head -c 70000 /dev/zero", "cannot be read: it prints more than 65536 bytes"),
        ] {
            assert_eq!(shell(script, limit).await, Err(reason.into()), "{script}");
        }
        let missing = run(&["/no/such/program".into()], limit).await.unwrap_err();
        assert!(missing.starts_with("cannot be started"), "{missing}");
        assert_eq!(run(&[], limit).await, Err("it is empty".into()));
    }

    #[tokio::test]
    async fn n48_a_program_sees_no_terminal_to_ask_on() {
        let script = "test -z \"$GPG_TTY\" && ! test -t 0 && ! test -t 1 && ! test -t 2 && echo ok";
        assert_eq!(shell(script, Duration::from_secs(20)).await, Ok("ok".into()));
    }

    #[tokio::test]
    async fn n48_a_program_that_waits_is_ended_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let waiting = shell(&script, Duration::from_secs(1)).await.unwrap_err();
        assert!(waiting.starts_with("no answer within 1 s"), "{waiting}");
        let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        let stat = format!("/proc/{pid}/stat");
        // A zombie has ended too; nobody may be there to bury it.
        let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let start = std::time::Instant::now();
        while alive() {
            assert!(start.elapsed() < Duration::from_secs(10), "process {pid} lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn an_error_names_the_command_and_a_given_url_runs_nothing() {
        let given = UrlSource::Given(Secret::new("redis://h"));
        assert_eq!(given.resolve().await.unwrap().expose(), "redis://h");
        let error = UrlSource::Command(vec!["false".into()]).resolve().await.unwrap_err();
        assert_eq!(error.to_string(), "the command `false`: exit status: 1");
    }
}
