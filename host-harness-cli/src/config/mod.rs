//! `harness.toml`: a project's defaults of the command line.
//!
//! The file has a table for each command and `[common]` for the common options. A key is the long name of an option without
//! its dashes, and its value is what would stand behind the option: so every option can have a default, and a new option needs
//! nothing here. The entries become default values of the parser's arguments; the command line wins over them.

mod entries;
mod find;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use guest_host::text::printable;

pub(crate) use entries::EntryError;

/// Name of the file.
const FILE: &str = "harness.toml";

/// Where defaults come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Options {
    /// Take defaults of options from this file instead of the `harness.toml` of the project.
    ///
    /// That one is in the folder of --manifest-path or in the working folder, or in a folder around it up to the repository's.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,
    /// Take no defaults from a `harness.toml`.
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
}

/// Why there are no arguments.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The parser's answer, which may be help that was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file has something that is no default.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// Parses the command line, with defaults from the file that it names or that the project has.
///
/// # Errors
/// [`Error`] if the command line or the file is wrong.
pub(crate) fn parse(command: Command, words: Vec<OsString>) -> Result<ArgMatches, Error> {
    // Without complaints, as a value that is missing may be in the file. Help and version end here.
    let given = command.clone().ignore_errors(true).try_get_matches_from(&words)?;
    let Some((name, given)) = given.subcommand() else {
        return Ok(command.try_get_matches_from(words)?);
    };
    let Some(path) = find::file(given) else {
        return Ok(command.try_get_matches_from(words)?);
    };
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
    let defaults = entries::read(&path, &text, &command, name)?;
    let mut with_defaults = command;
    for default in defaults.into_iter().filter(|default| !is_overridden(default, given)) {
        with_defaults = default.put_into(with_defaults, name);
    }
    let matches = with_defaults.try_get_matches_from(words)?;
    if matches.subcommand().is_some_and(|(_, matches)| matches.get_flag("verbose")) {
        // Nobody may be there to read it.
        let note = format!("note: defaults from {}", path.display());
        let _ = writeln!(std::io::stderr(), "{}", printable(&note));
    }
    Ok(matches)
}

/// Whether the command line has the option, or one that excludes it.
fn is_overridden(default: &entries::Default, given: &ArgMatches) -> bool {
    let is_given =
        |id: &str| given.try_contains_id(id).is_ok() && given.value_source(id) == Some(ValueSource::CommandLine);
    std::iter::once(&default.id).chain(&default.excluded_by).any(|id| is_given(id))
}
