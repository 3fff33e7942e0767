//! Commands that programs of their own run, as cargo runs its subcommands: `query`, `serve` and `serve-nats`.
//!
//! They are packages of their own because of what they depend on: a query engine is several hundred packages.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow};

/// A command with its program.
#[derive(Debug)]
pub(crate) struct Program {
    command: &'static str,
    program: &'static str,
    /// The package that has the program, and its folder in a checkout.
    package: &'static str,
    folder: &'static str,
    /// Options behind the command, for a message.
    example: &'static str,
}

/// `query`.
pub(crate) const QUERY: Program = Program {
    command: "query",
    program: "host-harness-query",
    package: "host-harness-query",
    folder: "query/host-harness-query",
    example: "--format csv ...",
};

/// `serve`.
pub(crate) const SERVE: Program = Program {
    command: "serve",
    program: "host-harness-serve",
    package: "guest-serve",
    folder: "guest-serve",
    example: "FOLDER --listen ...",
};

/// `serve-nats`.
pub(crate) const SERVE_NATS: Program = Program {
    command: "serve-nats",
    program: "host-harness-serve-nats",
    package: "guest-serve-nats",
    folder: "guest-serve-nats",
    example: "FOLDER --nats ...",
};

/// The program, and the words behind its command, where that is the first word. They are the program's, so that no option among
/// them is taken for one of ours.
pub(crate) fn of(words: &[OsString]) -> Option<(&'static Program, &[OsString])> {
    let [_, first, rest @ ..] = words else { return None };
    [&QUERY, &SERVE, &SERVE_NATS].into_iter().find(|program| first == program.command).map(|program| (program, rest))
}

impl Program {
    /// Runs the program with these words, and returns its exit status.
    ///
    /// # Errors
    /// If there is no such program, or it cannot be started.
    pub(crate) fn run(&self, words: &[OsString]) -> Result<ExitCode> {
        let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = self.find(beside.as_deref(), &path).ok_or_else(|| {
            let Self { command, program, package, folder, .. } = self;
            anyhow!(
                "`{command}` needs the program `{program}`, which is neither beside host-harness nor on PATH: `cargo install {package}`; in \
                 a checkout, `cargo install --locked --path {folder}`"
            )
        })?;
        start(Command::new(&program).args(words)).with_context(|| format!("cannot start {}", program.display()))
    }

    /// The error of options of ours before the command, which are not the program's.
    pub(crate) fn options_before(&self) -> anyhow::Error {
        let Self { command, example, .. } = self;
        anyhow!("options of `{command}` go behind it: `host-harness {command} {example}`")
    }

    /// The program in the folder of this one, or else the first on `path`.
    fn find(&self, beside: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
        let name = format!("{}{}", self.program, std::env::consts::EXE_SUFFIX);
        let folders = beside.map(Path::to_owned).into_iter().chain(std::env::split_paths(path));
        folders.map(|folder| folder.join(&name)).find(|program| program.is_file())
    }
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
    fn the_words_behind_the_command_are_the_programs() {
        let words_of = |line: &str| {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            of(&line).map(|(program, words)| (program.program, words.len()))
        };
        assert_eq!(words_of("host-harness query --format csv"), Some(("host-harness-query", 2)));
        assert_eq!(words_of("host-harness query"), Some(("host-harness-query", 0)));
        assert_eq!(words_of("host-harness serve guests"), Some(("host-harness-serve", 1)));
        assert_eq!(words_of("host-harness serve-nats send a b"), Some(("host-harness-serve-nats", 3)));
        assert_eq!([words_of("host-harness --quiet query"), words_of("host-harness")], [None, None]);
    }

    #[test]
    fn the_program_beside_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["none", "one", "other"].map(|name| folder.path().join(name));
        let name = format!("{}{}", QUERY.program, std::env::consts::EXE_SUFFIX);
        for with_it in &folders[1..] {
            std::fs::create_dir(with_it).unwrap();
            std::fs::write(with_it.join(&name), "").unwrap();
        }
        let path = std::env::join_paths(&folders).unwrap();
        assert_eq!(QUERY.find(Some(&folders[2]), &path), Some(folders[2].join(&name)));
        assert_eq!(QUERY.find(Some(&folders[0]), &path), Some(folders[1].join(&name)));
        assert_eq!(QUERY.find(None, OsStr::new("")), None);
    }
}
