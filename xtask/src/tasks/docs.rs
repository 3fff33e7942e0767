//! `docs`: the book.

mod html;
mod links;
#[cfg(test)]
mod pages;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(super) use self::links::slug;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::console::Console;
use crate::folders;

/// The mdbook that the book is written for. One of the same minor version that is installed serves too.
const MDBOOK: &str = "0.5.4";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Open the book in a browser afterwards.
    #[arg(long)]
    pub(super) open: bool,
}

/// Builds the book, and opens it where that is asked for.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
    let mdbook = build(console)?;
    console.end();
    println!("{}", folders::book().join("index.html").display());
    if arguments.open {
        // Opening is `mdbook build --open`; the book is built already, so it costs nothing more.
        console.pass_through(build_command(&mdbook).arg("--open"))?;
    }
    Ok(())
}

/// Builds the book, checks it and returns the mdbook that built it.
pub(super) fn build(console: &Console) -> Result<PathBuf> {
    if !folders::root().join("docs/book.toml").is_file() {
        bail!("there is no book: docs/book.toml is missing");
    }
    console.begin("the book");
    links::check(&folders::root())?;
    let mdbook = match installed() {
        Some(mdbook) => mdbook,
        None => install(console)?,
    };
    let (succeeded, output) = console.capture(&mut build_command(&mdbook))?;
    let output = String::from_utf8_lossy(&output);
    let complains = output.lines().any(|line| line.contains("WARN") || line.contains("ERROR"));
    if !succeeded || complains {
        console.say(output.trim_end());
        bail!("mdbook complains about docs/");
    }
    html::check(&folders::book())?;
    Ok(mdbook)
}

fn build_command(mdbook: &Path) -> Command {
    let mut command = Command::new(mdbook);
    command.arg("build").arg(folders::root().join("docs")).arg("--dest-dir").arg(folders::book()).env("NO_COLOR", "1");
    command
}

/// An mdbook of the right version: one that was compiled here before, or one that is on the path.
fn installed() -> Option<PathBuf> {
    let compiled = folders::tools().join("bin").join(format!("mdbook{}", std::env::consts::EXE_SUFFIX));
    [compiled, PathBuf::from("mdbook")].into_iter().find(|mdbook| {
        Command::new(mdbook).arg("--version").output().is_ok_and(|told| serves(&String::from_utf8_lossy(&told.stdout)))
    })
}

/// Whether `mdbook v0.5.4` is of the minor version that the book is written for.
fn serves(version: &str) -> bool {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    let told = version.trim().trim_start_matches("mdbook").trim().trim_start_matches('v');
    minor(told).is_some() && minor(told) == minor(MDBOOK)
}

/// Compiles it, without optimisation and without its server: half a minute, once.
fn install(console: &Console) -> Result<PathBuf> {
    let tools = folders::tools();
    console
        .run(
            cargo()
                .args(["install", "mdbook", "--locked", "--debug", "--version", MDBOOK])
                .args(["--no-default-features", "--features", "search"])
                .arg("--root")
                .arg(&tools)
                .env("CARGO_TARGET_DIR", tools.join("build"))
                .env("CARGO_PROFILE_DEV_DEBUG", "0"),
        )
        .with_context(|| {
            format!("mdbook cannot be compiled; install it by `cargo install mdbook --version {MDBOOK} --locked`")
        })?;
    Ok(tools.join("bin/mdbook"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_minor_version_counts() {
        assert!(serves("mdbook v0.5.4\n"));
        assert!(serves("mdbook v0.5.9"));
        assert!(!serves("mdbook v0.4.40"));
        assert!(!serves("mdbook v1.0.0"));
        assert!(!serves(""));
    }
}
