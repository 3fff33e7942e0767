//! The command line as users meet it: the real binary, its output and its exit status.
//!
//! `commands` has a file for each command; the other files have a topic that concerns several.

mod allocations;
mod bare;
mod commands;
mod config;
mod folder;
mod gate;
mod input;
mod little_memory;
mod progress;
mod schema;
mod secrets;
mod serve_guide;
mod start;
mod wasi;
#[cfg(unix)]
mod workflow;
