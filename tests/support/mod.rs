//! What integration tests stand on: real processes of their own, on free ports, in temporary
//! folders. Nothing here knows what a test is about, and nothing skips: a missing tool fails and
//! says what to run.
//!
//! Not every test file uses every item, and a new one may need any of them.
#![allow(dead_code)]

pub mod celery;
pub mod neovim;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod server;
pub mod wait;

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that `scripts/tools` installed: `celery`, `python`, `nvim`, `redis-server`. For `nvim`
/// stands what `LAZYCELERY_NVIM` names, where it does.
pub fn tool(name: &str) -> PathBuf {
    let other = (name == "nvim").then(|| std::env::var("LAZYCELERY_NVIM").ok()).flatten();
    let name = other.as_deref().unwrap_or(name);
    let cache = std::env::var_os("LAZYCELERY_CACHE").map_or_else(
        || {
            let user = std::env::var_os("XDG_CACHE_HOME")
                .map_or_else(|| home().join(".cache"), PathBuf::from);
            user.join("lazycelery")
        },
        PathBuf::from,
    );
    let program = cache.join("bin").join(name);
    assert!(program.exists(), "{name} is not installed: `make test` and `make editors` do that");
    program
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).expect("HOME is not set")
}
