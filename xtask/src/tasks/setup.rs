//! `setup`: a toolchain that compiles wasm32.

use anyhow::Result;
use guest_build::{Finder, Toolchain};

use crate::{cli, console::Console, folders};

/// Finds or installs a toolchain anew, and says which.
pub(super) fn run(console: &Console, arguments: &cli::Setup) -> Result<()> {
    console.begin("setup");
    let mut finder = finder(console).forget();
    if let Some(ways) = arguments.way.ways() {
        finder = finder.among(ways);
    }
    let toolchain = finder.find()?;
    console.end();
    println!("guests are compiled with {toolchain}");
    Ok(())
}

/// The toolchain for a task that needs one.
pub(super) fn toolchain(console: &Console) -> Result<Toolchain> {
    let toolchain = finder(console).find()?;
    console.say(&format!("guests are compiled with {toolchain}"));
    Ok(toolchain)
}

fn finder(console: &Console) -> Finder {
    Finder::new().remember_in(folders::guests_build()).progress(console.progress())
}
