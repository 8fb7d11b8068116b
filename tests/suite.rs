//! The one integration binary: its modules share `support`, and link once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod broker;
mod clients;
mod demo;
mod environments;
mod guest;
mod neovim;
mod process;
mod redis;
mod schemas;
mod support;
mod tidy;
mod transcripts;
