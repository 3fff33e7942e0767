//! The command line as users meet it: the real binary, its output and its exit status.

mod allocations;
mod commands;
mod compile;
mod folder;
mod input;
mod metrics;
mod replay;
mod wasi;
