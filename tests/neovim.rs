//! The plugin in a real Neovim, driven by keys, its screen read cell by cell. Two servers stand
//! behind it: the real binary, and a double inside Neovim for what a real one does by accident.

mod acting;
mod cluster;
mod commands;
mod doors;
mod engine;
mod environments;
mod exporting;
mod filter;
mod hostile;
mod keys;
mod lab;
mod life;
mod lines;
mod manners;
mod messages;
mod queue_writes;
mod queues;
mod real;
mod resend;
mod screens;
mod scripts;
mod sessions;
mod setting;
mod tasks;
mod truth;
mod writing;
