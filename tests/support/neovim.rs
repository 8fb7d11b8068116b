//! A real Neovim, headless, driven by keys over msgpack-rpc, its screen read cell by cell.

use super::server::PROGRAM;
use super::wait::{PATIENCE, wait_until};
use super::{root, tool};
use rmpv::Value;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// Columns and lines.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u16, pub u16);

/// A child Neovim with this project, and nothing of the user's, on its runtime path. Dropping it
/// fails where an error was shown that the test did not take.
pub struct Neovim {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    next_id: u64,
    home: TempDir,
    quit: bool,
}

impl Neovim {
    /// Starts one whose plugin runs `lazycelery` with these arguments.
    pub fn start(size: Size, arguments: &[&str]) -> Neovim {
        let mut command = vec![PROGRAM];
        command.extend(arguments);
        Neovim::start_with(size, &command)
    }

    /// Starts one whose plugin runs `command` as its server.
    pub fn start_with(size: Size, command: &[&str]) -> Neovim {
        let home = tempfile::tempdir().unwrap();
        let mut child = nvim(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Neovim does not start");
        let requests = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            while let Ok(message) = rmpv::decode::read_value(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut nvim = Neovim { child, requests, answers, next_id: 0, home, quit: false };
        let command = command.iter().copied().map(Value::from).collect();
        nvim.lua(
            // Nobody is there to answer `-- More --`: a long message would hang instead of being read.
            "local columns, lines, cmd = ...
             vim.o.columns, vim.o.lines, vim.o.more = columns, lines, false
             require('lazycelery').setup({ cmd = cmd })",
            vec![size.0.into(), size.1.into(), Value::Array(command)],
        );
        nvim
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes it as a user does.
    pub fn quit(mut self) {
        self.lua("vim.schedule(function() vim.cmd('qall!') end)", vec![]);
        self.quit = true;
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_for_exit(mut self) {
        self.quit = true;
        wait_until("Neovim to end", || match self.child.try_wait().unwrap() {
            Some(status) if status.success() => Ok(()),
            status => Err(status),
        });
    }

    /// Attaches a screen: without one, Neovim answers its dialogs by itself.
    #[track_caller]
    pub fn attach(&mut self, Size(columns, lines): Size) {
        let options = Value::Map(Vec::new());
        self.call("nvim_ui_attach", vec![columns.into(), lines.into(), options]);
    }

    /// The folder that is its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Types keys as mappings name them (`<CR>`, `gg`), and waits until they were taken.
    #[track_caller]
    pub fn keys(&mut self, keys: &str) {
        self.call("nvim_input", vec![keys.into()]);
        wait_until(&format!("Neovim to take {keys:?}"), || {
            let mode = self.call("nvim_get_mode", vec![]);
            let blocking = field(&mode, "blocking").and_then(Value::as_bool);
            (blocking == Some(false)).then_some(()).ok_or(mode)
        });
    }

    /// Types keys that leave Neovim waiting for more (`d`, `:`, a question).
    #[track_caller]
    pub fn type_ahead(&mut self, keys: &str) {
        self.call("nvim_input", vec![keys.into()]);
    }

    /// Waits for a mode, such as `r?` of a dialog. It is told even while nothing else is.
    #[track_caller]
    pub fn wait_for_mode(&mut self, wanted: &str) {
        wait_until(&format!("mode {wanted:?}"), || {
            let mode = self.call("nvim_get_mode", vec![]);
            let found = field(&mode, "mode").and_then(Value::as_str) == Some(wanted);
            found.then_some(()).ok_or(mode)
        });
    }

    /// Runs an Ex command.
    #[track_caller]
    pub fn command(&mut self, command: &str) {
        self.call("nvim_command", vec![command.into()]);
    }

    /// Runs Lua; `...` are the arguments, and what it returns is answered.
    #[track_caller]
    pub fn lua(&mut self, source: &str, arguments: Vec<Value>) -> Value {
        self.call("nvim_exec_lua", vec![source.into(), Value::Array(arguments)])
    }

    /// Likewise, for Lua that returns a string.
    #[track_caller]
    pub fn text(&mut self, source: &str) -> String {
        let value = self.lua(source, vec![]);
        value.as_str().unwrap_or_else(|| panic!("{source} returned {value}")).to_owned()
    }

    /// The screen: every line, without trailing blanks.
    #[track_caller]
    pub fn screen(&mut self) -> String {
        // Twice: a float that was just opened is wrong after the first (measured, 0.10 to 0.12).
        self.text(
            "vim.cmd.redraw() vim.cmd.redraw()
             local lines = {}
             for row = 1, vim.o.lines do
               local cells = {}
               for column = 1, vim.o.columns do
                 cells[column] = vim.fn.screenstring(row, column)
               end
               lines[row] = table.concat(cells):gsub('%s+$', '')
             end
             return table.concat(lines, '\\n')",
        )
    }

    /// Waits until the screen shows `text`; answers the screen.
    #[track_caller]
    pub fn wait_for_screen(&mut self, text: &str) -> String {
        self.wait_for_screen_that(&format!("shows {text:?}"), |screen| screen.contains(text))
    }

    /// Waits until the screen passes `look`; answers it.
    #[track_caller]
    pub fn wait_for_screen_that(&mut self, what: &str, look: impl Fn(&str) -> bool) -> String {
        wait_until(&format!("a screen that {what}"), || {
            let screen = self.screen();
            if look(&screen) { Ok(screen) } else { Err(Shown(screen)) }
        })
    }

    /// Takes the messages shown since the last time, so that they are no failure.
    #[track_caller]
    pub fn take_messages(&mut self) -> String {
        let shown = self.messages();
        self.lua("vim.v.errmsg = '' vim.cmd('messages clear')", vec![]);
        shown
    }

    fn messages(&mut self) -> String {
        self.text(
            "local shown = vim.api.nvim_exec2('messages', { output = true }).output
             local failed = vim.v.errmsg
             return shown:find(failed, 1, true) and shown or shown .. '\\n' .. failed",
        )
    }

    /// Any function of Neovim's API.
    #[track_caller]
    pub fn call(&mut self, function: &str, arguments: Vec<Value>) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let request = vec![0.into(), id.into(), function.into(), Value::Array(arguments)];
        rmpv::encode::write_value(&mut self.requests, &Value::Array(request)).unwrap();
        self.requests.flush().unwrap();
        loop {
            let message = self.answers.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|why| panic!("{function} got no answer: {why}"));
            let [kind, answered, error, result] = message.as_array().unwrap().as_slice() else {
                continue; // a notification
            };
            if kind.as_u64() == Some(1) && answered.as_u64() == Some(id) {
                assert!(error.is_nil(), "{function}: {error}");
                return result.clone();
            }
        }
    }
}

impl Drop for Neovim {
    fn drop(&mut self) {
        let shown = if self.quit || thread::panicking() { String::new() } else { self.messages() };
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(!is_error(&shown), "Neovim showed an error:\n{shown}");
    }
}

/// Does it hold one of Vim's numbered errors, or a Lua one?
fn is_error(messages: &str) -> bool {
    messages.lines().any(|line| {
        let numbered = line.split_once(':').is_some_and(|(word, _)| {
            word.strip_prefix('E').is_some_and(|digits| digits.parse::<u16>().is_ok())
        });
        numbered || line.contains("Error executing") || line.contains("Error detected")
    })
}

/// A map's entry.
pub fn field<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    let entries = map.as_map()?;
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// A screen in a failure is printed as it stood, not escaped.
struct Shown(String);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{}", self.0)
    }
}

fn nvim(home: &Path) -> Command {
    let mut command = Command::new(tool("nvim"));
    command
        .args(["--embed", "--headless", "--clean", "-i", "NONE", "--cmd"])
        .arg(format!("set runtimepath^={}", root().display()))
        .env_remove("VIM")
        .env_remove("VIMRUNTIME")
        .env_remove("NVIM_APPNAME")
        .env_remove("CELERY_BROKER_URL")
        .env_remove("CELERY_RESULT_BACKEND")
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(home);
    command
}
