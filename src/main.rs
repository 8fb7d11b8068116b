//! The program: arguments, logging, runtime, wiring; nothing else.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod arguments;
mod call;
mod check;
mod logging;
mod manual;

use arguments::{Arguments, Command};
use clap::Parser;
use lazycelery::config::Config;
use lazycelery::environment::{self, Environment, Environments, Look};
use lazycelery::server::{Ended, Session, serve, stdio};
use lazycelery::{Error, Result, rpc};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Usage and configuration errors; clap uses the same.
const USAGE: u8 = 2;

/// How long tasks that were dropped may take to end.
const STRAGGLERS: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(status) => status.into(),
        Err(error) => {
            tell(&sentence(&error));
            USAGE.into()
        }
    }
}

/// The only line that stderr ever sees: if it cannot be written, the status still tells.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// `file:line:column: what is wrong`, where there is a file.
fn sentence(error: &Error) -> String {
    match error {
        Error::Config { position: Some(position), .. } => format!("{position}: {error}"),
        _ => format!("lazycelery: {error}"),
    }
}

fn run(arguments: Arguments) -> Result<u8> {
    match &arguments.command {
        // What is made from the command line itself needs no configuration.
        Some(Command::Completions { shell }) => Ok(shown(&manual::completions(*shell))),
        Some(Command::Man) => Ok(shown(&manual::man())),
        None => watching(&arguments, serve_stdio),
        Some(Command::Call(call)) => watching(&arguments, |runtime, environments| {
            call.run(runtime.handle(), rpc::methods(Arc::clone(environments)))
        }),
        Some(Command::Check) => watching(&arguments, |runtime, environments| {
            Ok(runtime.block_on(check::run(&environments.get(None)?)))
        }),
        Some(Command::Record { file }) => watching(&arguments, |runtime, environments| {
            runtime.block_on(record(environments, file))
        }),
    }
}

/// Does some work with the configured environments, and leaves them.
fn watching(
    arguments: &Arguments,
    work: impl FnOnce(&Runtime, &Arc<Environments>) -> Result<u8>,
) -> Result<u8> {
    logging::start(arguments.log_file.as_deref(), arguments.log_level)?;
    let config = Config::load(&arguments.options(), |name| std::env::var(name).ok())?;
    let runtime = Runtime::new().map_err(|error| Error::Internal(error.to_string()))?;
    let environments = {
        let _inside = runtime.enter();
        Environments::new(config)?
    };
    let status = work(&runtime, &environments);
    runtime.block_on(environments.close());
    // Not in the background: what a dropped task holds, such as a program that runs for it, must go.
    runtime.shutdown_timeout(STRAGGLERS);
    status
}

/// Prints a text. Whoever closes our output has read enough.
fn shown(text: &[u8]) -> u8 {
    let _ = io::stdout().write_all(text);
    0
}

/// One session over stdin and stdout.
fn serve_stdio(runtime: &Runtime, environments: &Arc<Environments>) -> Result<u8> {
    let (stdin, stdout) =
        stdio::take().map_err(|error| Error::Internal(format!("stdin and stdout: {error}")))?;
    let methods = rpc::methods(Arc::clone(environments));
    let ended = runtime.block_on(async {
        let signal = stdio::signal();
        tokio::select! {
            ended = serve(stdin, stdout, methods, Session::new()) => Some(ended),
            () = signal => None,
        }
    });
    tracing::info!(?ended, "the session ended");
    Ok(match ended {
        // As in LSP: an `exit` that no `shutdown` announced is a failure.
        Some(Ended::Exit { shut_down: false }) => 1,
        _ => 0,
    })
}

/// Records the default environment until a signal.
async fn record(environments: &Environments, file: &Path) -> Result<u8> {
    let environment = environments.get(None)?;
    tokio::select! {
        // The recording begins before anyone asks how it goes.
        biased;
        ended = environment::record(&environment, file, stdio::signal()) => ended.map(|()| 0),
        () = announce(&environment, file) => Ok(0),
    }
}

/// Says once how a recording goes, to who waits before a silent terminal; then never ends.
async fn announce(environment: &Environment, file: &Path) {
    let (name, file) = (environment.name(), file.display());
    let how = match environment.fresh(&[Look::Roll]).await {
        Ok(_) => format!("recording `{name}` into {file}"),
        Err(error) => format!("{error}; it is tried again"),
    };
    tell(&format!("lazycelery: {how}, until Ctrl-C"));
    std::future::pending().await
}
