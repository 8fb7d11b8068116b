//! Shell completions and the man page: the command line's own definition, written in other ways.

use crate::arguments::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

/// The completions of a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), env!("CARGO_PKG_NAME"), &mut text);
    text
}

/// The man page.
pub fn man() -> Vec<u8> {
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(Arguments::command()).render(&mut page);
    page
}
