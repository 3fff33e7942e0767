//! A toolchain that compiles `wasm32-unknown-unknown`, and the commands it is used by.
//!
//! How one is found or installed is in [`finder`], what is remembered between runs in [`memory`].

mod active;
mod clang;
mod debian;
mod finder;
mod memory;
#[cfg(all(test, unix))]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

pub use clang::{Clang, ClangWay};
pub use finder::Finder;

#[doc(hidden)]
pub use debian::install_debian_packages;

use crate::{Error, PlainCargo, Progress, TARGET, environment};

pub(crate) use debian::{CLANG_PACKAGES, PACKAGES as DEBIAN_PACKAGES};

/// What cargo builds of the standard library where no built one is there.
pub(crate) const BUILD_STD: &str = "-Zbuild-std=core,alloc,std,panic_abort";

/// Whether cargo says in this line that it begins to compile the standard library, which takes some minutes and is done once for
/// each target folder, compiler and set of flags.
#[must_use]
pub fn begins_standard_library(line: &str) -> bool {
    let core = line.trim_start().strip_prefix("Compiling core v");
    core.is_some_and(|rest| rest.contains("library"))
}

/// How a toolchain was come by, in the order in which the ways are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Way {
    /// The active toolchain has the target already.
    TargetInstalled,
    /// `rustup target add` put it there just now.
    TargetAdded,
    /// The active toolchain has the library's source: cargo builds the standard library for the target.
    RustSource,
    /// Debian's toolchain with its library source, beside the active one.
    DebianSource,
    /// The same, whose packages were installed just now.
    DebianPackages,
}

impl Way {
    /// Every way, in the order in which they are tried.
    pub const ALL: [Self; 5] =
        [Self::TargetInstalled, Self::TargetAdded, Self::RustSource, Self::DebianSource, Self::DebianPackages];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TargetInstalled => "target-installed",
            Self::TargetAdded => "target-added",
            Self::RustSource => "rust-source",
            Self::DebianSource => "debian-source",
            Self::DebianPackages => "debian-packages",
        }
    }

    /// Whether cargo has to build the standard library.
    #[must_use]
    pub const fn builds_std(self) -> bool {
        matches!(self, Self::RustSource | Self::DebianSource | Self::DebianPackages)
    }

    /// Whether it is another toolchain than the active one.
    #[must_use]
    pub const fn is_beside_the_active(self) -> bool {
        matches!(self, Self::DebianSource | Self::DebianPackages)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TargetInstalled => "the target in the active toolchain",
            Self::TargetAdded => "the target added by rustup",
            Self::RustSource => "the active toolchain's library source",
            Self::DebianSource => "Debian's toolchain with its library source",
            Self::DebianPackages => "Debian's toolchain, installed by apt-get",
        })
    }
}

/// A toolchain that compiles the guests' target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    way: Way,
    /// The folder of its programs.
    bin: PathBuf,
    /// What `rustc --version` says.
    version: String,
}

impl Toolchain {
    /// Finds a toolchain that is there, and installs nothing.
    ///
    /// `target_dir` is the folder of guest builds; what was learnt by an earlier run is remembered in it.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] with the ways to get one.
    pub fn find(target_dir: &Path) -> Result<Self, Error> {
        Finder::new().install(false).remember_in(target_dir).find()
    }

    /// Finds a toolchain, or installs what is missing.
    ///
    /// `target_dir` is the folder of guest builds; what was learnt by an earlier run is remembered in it.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] with the ways to get one.
    pub fn find_or_install(target_dir: &Path) -> Result<Self, Error> {
        Finder::new().remember_in(target_dir).find()
    }

    /// How it was come by.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// What `rustc --version` says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The compiler.
    #[must_use]
    pub fn rustc(&self) -> PathBuf {
        self.program("rustc")
    }

    /// A command of its cargo for the host, such as `metadata`, in a clean environment.
    #[must_use]
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.program("cargo"));
        self.prepare(&mut command);
        command.arg(subcommand);
        command
    }

    /// A command of its cargo for the guests' target, such as `build` or `check`, in a clean environment.
    #[must_use]
    pub fn cargo_for_wasm(&self, subcommand: &str) -> Command {
        let mut command = self.cargo(subcommand);
        self.target_arguments(&mut command);
        command
    }

    /// Its `cargo clippy` for the guests' target, in a clean environment.
    ///
    /// Where Debian's toolchain lacks clippy and the user is root, its package is installed first.
    ///
    /// # Errors
    ///
    /// [`Error::NoClippy`] with the way to get it.
    pub fn clippy_for_wasm(&self, progress: Option<&Progress>) -> Result<Command, Error> {
        self.ensure_clippy(progress)?;
        let mut command = Command::new(self.program("cargo-clippy"));
        self.prepare(&mut command);
        // Called by itself it takes the same arguments as `cargo clippy`, its own name included.
        command.env("CARGO", self.program("cargo")).arg("clippy");
        self.target_arguments(&mut command);
        Ok(command)
    }

    fn ensure_clippy(&self, progress: Option<&Progress>) -> Result<(), Error> {
        let is_there = || ["cargo-clippy", "clippy-driver"].iter().all(|name| self.program(name).is_file());
        if is_there() {
            return Ok(());
        }
        let advice = if matches!(self.way, Way::DebianSource | Way::DebianPackages) {
            match debian::Debian::default().install_clippy(progress) {
                Ok(()) if is_there() => return Ok(()),
                Ok(()) => format!("the package {} did not bring it", debian::CLIPPY_PACKAGE),
                Err(reason) => format!("as root, `apt-get install {}` ({reason})", debian::CLIPPY_PACKAGE),
            }
        } else {
            "`rustup component add clippy`".to_owned()
        };
        Err(Error::NoClippy { toolchain: self.version.clone(), advice })
    }

    /// How plain cargo builds a guest with it, without what this crate sets by itself.
    pub(crate) fn plain_cargo(&self, profile: &str, features: &[String], module: PathBuf) -> PlainCargo {
        PlainCargo::new(self, &self.bin, profile, features, module)
    }

    fn prepare(&self, command: &mut Command) {
        environment::clean(command);
        command.env("RUSTC", self.rustc());
        if let Some(path) = with_first(&self.bin) {
            command.env("PATH", path);
        }
        if self.way.builds_std() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
    }

    fn target_arguments(&self, command: &mut Command) {
        command.args(["--target", TARGET]);
        if self.way.builds_std() {
            command.arg(BUILD_STD);
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        self.bin.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.way, self.version)
    }
}

/// `PATH` with `folder` before everything else.
fn with_first(folder: &Path) -> Option<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path))).ok()
}

#[cfg(test)]
mod line_tests {
    use super::begins_standard_library;

    #[test]
    fn the_line_that_begins_the_standard_library_is_known() {
        assert!(begins_standard_library("   Compiling core v0.0.0 (/usr/lib/rustlib/src/rust/library/core)"));
        for other in [
            "   Compiling core-foundation v0.9.4",
            "   Compiling core v0.1.0 (/home/somebody/core)",
            "   Compiling std v0.0.0 (/usr/lib/rustlib/src/rust/library/std)",
            "Fresh core v0.0.0 (/usr/lib/rustlib/src/rust/library/core)",
        ] {
            assert!(!begins_standard_library(other), "{other}");
        }
    }
}
