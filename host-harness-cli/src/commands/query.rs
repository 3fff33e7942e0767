//! `query`: runs the program `host-harness-query`, as cargo runs its subcommands.
//!
//! It is a package of its own because a query engine is several hundred packages.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow};

/// The program.
const PROGRAM: &str = "host-harness-query";

/// The words behind `query`, where it is the first. They are the program's, so that no option among them is taken for one of ours.
pub(crate) fn words(words: &[OsString]) -> Option<&[OsString]> {
    match words {
        [_, first, rest @ ..] if first == "query" => Some(rest),
        _ => None,
    }
}

/// Runs the program with these words, and returns its exit status.
///
/// # Errors
/// If there is no such program, or it cannot be started.
pub(crate) fn run(words: &[OsString]) -> Result<ExitCode> {
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = find(beside.as_deref(), &path).ok_or_else(|| {
        anyhow!(
            "`query` needs the program `{PROGRAM}`, which is neither beside host-harness nor on PATH: `cargo install {PROGRAM}`; in a \
             checkout, `cargo install --locked --path query/{PROGRAM}`"
        )
    })?;
    start(Command::new(&program).args(words)).with_context(|| format!("cannot start {}", program.display()))
}

/// The program in the folder of this one, or else the first on `path`.
fn find(beside: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let folders = beside.map(Path::to_owned).into_iter().chain(std::env::split_paths(path));
    folders.map(|folder| folder.join(&name)).find(|program| program.is_file())
}

/// Puts the program in the place of this one, so that signals are its own.
#[cfg(unix)]
fn start(command: &mut Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;

    Err(command.exec())
}

#[cfg(not(unix))]
fn start(command: &mut Command) -> std::io::Result<ExitCode> {
    // Ctrl-C reaches both, and the program says how it ended.
    let _ = ctrlc::set_handler(|| {});
    let status = command.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_behind_query_are_the_programs() {
        let words_of = |line: &str| {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            words(&line).map(<[OsString]>::len)
        };
        assert_eq!(words_of("host-harness query --format csv"), Some(2));
        assert_eq!(words_of("host-harness query"), Some(0));
        assert_eq!([words_of("host-harness --quiet query"), words_of("host-harness")], [None, None]);
    }

    #[test]
    fn the_program_beside_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["none", "one", "other"].map(|name| folder.path().join(name));
        let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
        for with_it in &folders[1..] {
            std::fs::create_dir(with_it).unwrap();
            std::fs::write(with_it.join(&name), "").unwrap();
        }
        let path = std::env::join_paths(&folders).unwrap();
        assert_eq!(find(Some(&folders[2]), &path), Some(folders[2].join(&name)));
        assert_eq!(find(Some(&folders[0]), &path), Some(folders[1].join(&name)));
        assert_eq!(find(None, OsStr::new("")), None);
    }
}
