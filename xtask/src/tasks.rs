//! The tasks, one file each.

mod bench;
mod c_guests;
mod compare;
mod docs;
mod features;
mod guests;
mod licences;
mod package;
mod serve;
mod setup;
mod tables;
pub(crate) mod test;

use std::process::Command;

use anyhow::Result;

use crate::{cli::Task, console::Console, folders};

/// Runs a task; `false` where it ran and something in it failed, of which it has told.
pub(crate) fn run(task: Task) -> Result<bool> {
    let console = Console::new();
    let result = match task {
        Task::Setup(arguments) => setup::run(&console, &arguments).map(|()| true),
        Task::Guests(arguments) => guests::run(&console, &arguments).map(|()| true),
        Task::Compare(arguments) => compare::run(&console, &arguments).map(|()| true),
        Task::Tables => tables::run(&console).map(|()| true),
        Task::Test(arguments) => test::run(&console, &arguments),
        Task::Docs(arguments) => docs::run(&console, &arguments).map(|()| true),
        Task::Serve(arguments) => serve::run(&console, &arguments).map(|()| true),
        Task::Bench(arguments) => bench::run(&console, &arguments).map(|()| true),
    };
    console.end();
    result
}

/// The cargo that this was started by, in the workspace's folder.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folders::root());
    cargo
}
