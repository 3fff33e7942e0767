//! The active toolchain: the one whose `rustc` the caller would get.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{MINIMUM_RUST, TARGET, process};

/// What `rustc` says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Active {
    /// Its sysroot, which holds programs, libraries and, maybe, library source.
    pub(super) sysroot: PathBuf,
    /// `rustc --version`.
    pub(super) version: String,
    /// The host's target triple.
    host: String,
}

impl Active {
    /// Asks the compiler `rustc`; the reason why it cannot be used otherwise.
    pub(super) fn ask(rustc: &Path) -> Result<Self, String> {
        let ask = |arguments: &[&str]| {
            let told = process::run(Command::new(rustc).args(arguments), None, None)
                .map_err(|error| format!("`{}` cannot be run: {error}", rustc.display()))?;
            if told.status.success() {
                Ok(told.stdout)
            } else {
                Err(format!("`{}` failed: {}", rustc.display(), told.reason()))
            }
        };
        let version = ask(&["--version", "--verbose"])?;
        let sysroot = ask(&["--print", "sysroot"])?;
        Self::read(&version, &sysroot)
            .ok_or_else(|| format!("`{}` did not say what it is: {version}{sysroot}", rustc.display()))
    }

    fn read(version: &str, sysroot: &str) -> Option<Self> {
        let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
        let version = version.lines().find(|line| line.starts_with("rustc "))?;
        Some(Self {
            sysroot: PathBuf::from(sysroot.lines().next()?),
            version: version.to_owned(),
            host: host.to_owned(),
        })
    }

    /// The folder of its programs.
    pub(super) fn bin(&self) -> PathBuf {
        self.sysroot.join("bin")
    }

    /// Whether it can be used at all: a cargo of its own, and a Rust that guests compile with.
    pub(super) fn check_usable(&self) -> Result<(), String> {
        let cargo = self.bin().join(format!("cargo{}", std::env::consts::EXE_SUFFIX));
        if !cargo.is_file() {
            return Err(format!("it has no cargo at {}", cargo.display()));
        }
        match release(&self.version) {
            Some(release) if release >= MINIMUM_RUST => Ok(()),
            Some(_) => Err(format!("{} is too old: guests need {}.{}", self.version, MINIMUM_RUST.0, MINIMUM_RUST.1)),
            None => Err(format!("its version cannot be read: {}", self.version)),
        }
    }

    /// Whether the standard library is there, built for the guests' target.
    pub(super) fn has_target(&self) -> Result<(), String> {
        let folder = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let is_std = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        };
        let found = fs::read_dir(&folder).into_iter().flatten().flatten().any(is_std);
        if found { Ok(()) } else { Err(format!("{} has no standard library for it", self.version)) }
    }

    /// Whether cargo can build the standard library: its source, and a linker for wasm.
    pub(super) fn has_source(&self) -> Result<(), String> {
        let library = self.sysroot.join("lib/rustlib/src/rust/library");
        if !library.join("std/Cargo.toml").is_file() {
            return Err(format!("{} has no library source", self.version));
        }
        let rustlib = self.sysroot.join("lib/rustlib").join(&self.host).join("bin");
        let name = format!("rust-lld{}", std::env::consts::EXE_SUFFIX);
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let linkers = [rustlib, self.bin()].into_iter().chain(std::env::split_paths(&on_path));
        // Debian's is a link, which dangles until the linker's own package is installed.
        if linkers.into_iter().any(|folder| folder.join(&name).is_file()) {
            Ok(())
        } else {
            Err(format!("{} has no wasm linker (rust-lld)", self.version))
        }
    }
}

/// `(major, minor)` of `rustc 1.95.0 (...)`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("rustc ")?.split(['.', '-', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(release("rustc 1.98.0-nightly (0 2026-01-01)"), Some((1, 98)));
        assert_eq!(release("clang 14"), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_rustc_says_is_read() {
        let version = "rustc 1.96.0 (a 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n";
        let active = Active::read(version, "/usr\n").unwrap();
        assert_eq!(active.sysroot, Path::new("/usr"));
        assert_eq!(active.version, "rustc 1.96.0 (a 2026-01-01)");
        assert_eq!(active.host, "x86_64-unknown-linux-gnu");
        assert_eq!(Active::read("something else", "/usr"), None);
    }
}
