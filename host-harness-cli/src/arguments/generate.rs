//! The options of the commands that write what belongs to the command line itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for a page of each command; without it the page of the whole program is printed.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}
