//! What can go wrong between a guest's manifest and its module, each with what to do about it.

use std::{fmt, io, path::PathBuf};

use crate::{ClangWay, Way};

/// Why one way to a compiler was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayFailure<W = Way> {
    /// The way.
    pub way: W,
    /// What stood in it, in one line.
    pub reason: String,
}

/// Why there is no toolchain or no module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No way led to a toolchain that compiles the guests' target.
    #[error("{}", no_toolchain(.0))]
    NoToolchain(Vec<WayFailure>),

    /// No way led to a compiler for C.
    #[error("{}", no_clang(.0))]
    NoClang(Vec<WayFailure<ClangWay>>),

    /// A program that the build needs could not be started.
    #[error("cannot run `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },

    /// The manifest is not there.
    #[error("there is no manifest at {}: give the path of the guest's Cargo.toml", .0.display())]
    NoManifest(PathBuf),

    /// Cargo cannot read the manifest; its own words follow.
    #[error("cargo cannot read {}:\n{complaint}", manifest.display())]
    Metadata {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo said.
        complaint: String,
    },

    /// The manifest is that of a workspace without a package that builds a module.
    #[error("{} is a workspace, and none of its packages builds a wasm module: give the path of a guest's own Cargo.toml", .0.display())]
    NoPackage(PathBuf),

    /// The manifest is that of a workspace, and no package was named.
    #[error("{} is a workspace: name one of its packages that build a module: {}", manifest.display(), list(packages))]
    WhichPackage {
        /// The manifest.
        manifest: PathBuf,
        /// The packages with a `cdylib`.
        packages: Vec<String>,
    },

    /// The workspace has no package of that name.
    #[error("there is no package `{package}` in {}: it has {}", manifest.display(), list(packages))]
    NoSuchPackage {
        /// The manifest.
        manifest: PathBuf,
        /// The name that was asked for.
        package: String,
        /// The packages there are.
        packages: Vec<String>,
    },

    /// The package builds no module.
    #[error("package `{package}` builds no wasm module: add\n\n    [lib]\n    crate-type = [\"cdylib\", \"rlib\"]\n\nto {}", manifest.display())]
    NoCdylib {
        /// The package.
        package: String,
        /// Its manifest.
        manifest: PathBuf,
    },

    /// The package lacks a feature that was asked for.
    #[error("package `{package}` has no feature `{feature}`: it has {}{}", list(features), forward_hint(feature))]
    NoSuchFeature {
        /// The package.
        package: String,
        /// The feature that was asked for.
        feature: String,
        /// The features there are.
        features: Vec<String>,
    },

    /// The guest does not compile; the compiler's own words follow, without cargo's of the packages that compiled.
    #[error("`{package}` does not compile for {}:\n{}", crate::TARGET, crate::complaint::errors(stderr))]
    Compile {
        /// The package.
        package: String,
        /// All that cargo and the compiler said.
        stderr: String,
    },

    /// Cargo reported success but named no module.
    #[error("cargo built `{package}` but reported no .wasm file")]
    NoModule {
        /// The package.
        package: String,
    },

    /// Cargo reported success but named no static library.
    #[error("cargo built `{package}` but reported no static library")]
    NoLibrary {
        /// The package.
        package: String,
    },

    /// The guest in C does not compile; the compiler's own words follow.
    #[error("`{guest}` does not compile:\n{stderr}")]
    CompileC {
        /// The guest.
        guest: String,
        /// All that the compiler and the linker said.
        stderr: String,
    },

    /// The toolchain has no clippy.
    #[error("{toolchain} has no clippy: {advice}")]
    NoClippy {
        /// The toolchain.
        toolchain: String,
        /// How to get it.
        advice: String,
    },

    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn start(program: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Start { program: program.to_string(), source }
    }
}

fn no_toolchain(failures: &[WayFailure]) -> String {
    let text = format!(
        "found no compiler for {}; do one of these, then run this again:\n\
         \x20 - `rustup target add {0}`\n\
         \x20 - `rustup component add rust-src`, which lets cargo build the standard library itself\n\
         \x20 - as root on Debian or Ubuntu: `apt-get update && apt-get install {1}`\n\
         tried:",
        crate::TARGET,
        crate::toolchain::DEBIAN_PACKAGES.join(" "),
    );
    with_failures(text, failures)
}

fn no_clang(failures: &[WayFailure<ClangWay>]) -> String {
    let text = format!(
        "found no C compiler for wasm32; do one of these, then run this again:\n\
         \x20 - as root on Debian or Ubuntu: `apt-get update && apt-get install {}`\n\
         \x20 - unpack wasi-sdk and set `WASI_SDK_PATH` to its folder\n\
         tried:",
        crate::toolchain::CLANG_PACKAGES.join(" "),
    );
    with_failures(text, failures)
}

/// The text with a line for each way that was not taken.
fn with_failures<W: fmt::Display>(mut text: String, failures: &[WayFailure<W>]) -> String {
    for failure in failures {
        text.push_str(&format!("\n  - {}: {}", failure.way, failure.reason));
    }
    text
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn forward_hint(feature: &str) -> String {
    if feature.starts_with("alloc-") {
        format!("; forward the allocator in its manifest: `{feature} = [\"guest-sdk/{feature}\"]`")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_toolchain_lists_every_way_and_every_reason() {
        let told = Error::NoToolchain(vec![
            WayFailure { way: Way::TargetAdded, reason: "no route to host".to_owned() },
            WayFailure { way: Way::DebianPackages, reason: "this user is not root".to_owned() },
        ])
        .to_string();
        for part in [
            "rustup target add wasm32-unknown-unknown",
            "rustup component add rust-src",
            "apt-get install rustc-web",
            "no route to host",
            "this user is not root",
        ] {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
    }

    #[test]
    fn a_missing_allocator_feature_says_how_to_forward_it() {
        let error = |feature: &str| Error::NoSuchFeature {
            package: "shop".to_owned(),
            feature: feature.to_owned(),
            features: vec!["extra".to_owned()],
        };
        let told = error("alloc-leaking").to_string();
        assert!(told.contains("it has extra"), "{told}");
        assert!(told.contains("guest-sdk/alloc-leaking"), "{told}");
        assert!(!error("other").to_string().contains("forward"));
    }
}
