//! `lazycelery check`: what `environment/check` answers, for people.

use lazycelery::environment::{Check, Environment, Health};
use std::io::{self, Write};

/// Something does not work.
const FAILED: u8 = 1;

/// Checks an environment and prints what was found; answers the exit status.
pub async fn run(environment: &Environment) -> u8 {
    let checks = environment.check().await;
    // Whoever closes our output has read enough; the status tells all the same.
    let _ = write_all(environment.name(), &checks, &mut io::stdout().lock());
    if checks.iter().any(|check| check.status == Health::Fail) { FAILED } else { 0 }
}

fn write_all(name: &str, checks: &[Check], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{name}")?;
    checks.iter().try_for_each(|check| write(check, out))
}

fn write(check: &Check, out: &mut impl Write) -> io::Result<()> {
    let word = match check.status {
        Health::Ok => "ok",
        Health::Warn => "warn",
        Health::Fail => "FAIL",
    };
    writeln!(out, "  {word:4}  {:14}  {}", check.check, check.evidence)?;
    if check.status != Health::Ok {
        writeln!(out, "  {:22}  {}", "", check.meaning)?;
    }
    match &check.fix {
        Some(fix) => writeln!(out, "  {:22}  -> {fix}", ""),
        None => Ok(()),
    }
}
