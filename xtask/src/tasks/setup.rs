//! `setup`: a toolchain that compiles wasm32, and a compiler for guests in C.

use anyhow::Result;
use clap::ValueEnum;
use guest_build::{Clang, Finder, Toolchain, Way};

use crate::console::Console;
use crate::folders;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The toolchain to use, now and in later runs; `auto` forgets an earlier choice.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) way: WayChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum WayChoice {
    /// The first that works.
    Auto,
    /// The target in the active toolchain; rustup adds it if it is missing.
    Target,
    /// The active toolchain's library source.
    RustSource,
    /// Debian's toolchain with its library source; apt-get installs it if it is missing.
    Debian,
}

impl WayChoice {
    /// The ways it stands for; `None` for all.
    fn ways(self) -> Option<&'static [Way]> {
        match self {
            Self::Auto => None,
            Self::Target => Some(&[Way::TargetInstalled, Way::TargetAdded]),
            Self::RustSource => Some(&[Way::RustSource]),
            Self::Debian => Some(&[Way::DebianSource, Way::DebianPackages]),
        }
    }
}

/// Finds or installs a toolchain anew, and says which.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
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
