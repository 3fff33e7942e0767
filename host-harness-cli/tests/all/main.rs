//! The command line as users meet it: the real binary, its output and its exit status.
//!
//! `commands` has a file for each command; the other files have a topic that concerns several.

mod allocations;
mod commands;
mod folder;
mod input;
mod progress;
mod wasi;
