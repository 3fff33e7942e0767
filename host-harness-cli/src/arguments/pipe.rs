//! Arguments of `pipe`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Pipe {
    /// The pipeline: its source and its stages. Paths in the file are relative to its folder.
    #[arg(value_name = "FILE.toml")]
    pub(crate) file: PathBuf,
}
