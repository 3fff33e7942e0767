//! Packages of npm and PyPI that have programs in them: each is installed into a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow, bail};

use crate::console::describe;

/// Installs packages of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installer {
    Npm,
    Pip,
}

/// A package of a registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) installer: Installer,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl Package {
    /// Installs the package into a folder, whole or not at all.
    pub(super) fn install(&self, folder: &Path) -> Result<()> {
        let part = folder.with_extension("part");
        for folder in [&part, folder] {
            if folder.exists() {
                fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
            }
        }
        let mut command = self.install_command(&part);
        // Nothing is asked, nothing of the package runs, and a registry that does not answer is not waited for.
        command.args(match self.installer {
            Installer::Npm => ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"],
            Installer::Pip => ["--no-input", "--no-deps", "--only-binary=:all:", "--retries=1"],
        });
        run(&mut command).map_err(|error| anyhow!(reason(&format!("{error:#}")).to_owned()))?;
        fs::rename(&part, folder).with_context(|| format!("making {}", folder.display()))
    }

    /// The command that installs it, as a person would type it.
    pub(super) fn command(&self, folder: &Path) -> String {
        describe(&self.install_command(folder))
    }

    fn install_command(&self, folder: &Path) -> Command {
        let Self { name, version, .. } = self;
        let (program, arguments, exactly): (_, &[&str], _) = match self.installer {
            Installer::Npm => ("npm", &["install", "--prefix"], "@"),
            Installer::Pip => ("python3", &["-m", "pip", "install", "--target"], "=="),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(folder).arg(format!("{name}{exactly}{version}"));
        command
    }
}

/// Runs a command that must succeed. The error has everything that it printed.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let told = describe(command);
    let Output { status, stdout, stderr } =
        guest_build::clean(command).output().with_context(|| format!("cannot run `{told}`"))?;
    if status.success() {
        return Ok(());
    }
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).concat();
    bail!("`{told}` failed ({status}):\n{said}")
}

/// The line in an installer's output that says why it failed: warnings may stand before it, and the place of a log behind.
fn reason(said: &str) -> &str {
    let is_reason = |line: &&str| line.starts_with("ERROR:") || line.starts_with("npm error");
    said.lines().find(is_reason).or_else(|| said.lines().last()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_installer_is_one_line() {
        let pip = "`python3 -m pip` failed:\nWARNING: Retrying\nERROR: Could not find a version\nERROR: No match";
        assert_eq!(reason(pip), "ERROR: Could not find a version");
        assert_eq!(reason("cannot run `npm`: No such file"), "cannot run `npm`: No such file");
    }
}
