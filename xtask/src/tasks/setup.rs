//! `setup`: a toolchain that compiles wasm32, and a compiler for guests in C.

use anyhow::Result;
use guest_build::{Clang, Finder, Toolchain};

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
    console.begin("setup");
    let clang = Clang::find_or_install(&toolchain, Some(&console.progress()))?;
    console.end();
    println!("guests in C are compiled with {clang}");
    Ok(())
}

/// The toolchain for a task that needs one.
pub(super) fn toolchain(console: &Console) -> Result<Toolchain> {
    let toolchain = finder(console).find()?;
    console.say(&format!("guests are compiled with {toolchain}"));
    Ok(toolchain)
}

/// The compiler for a task that builds guests in C.
pub(super) fn clang(console: &Console, toolchain: &Toolchain) -> Result<Clang> {
    let clang = Clang::find_or_install(toolchain, Some(&console.progress()))?;
    console.say(&format!("guests in C are compiled with {clang}"));
    Ok(clang)
}

fn finder(console: &Console) -> Finder {
    Finder::new().remember_in(folders::guests_build()).progress(console.progress())
}
