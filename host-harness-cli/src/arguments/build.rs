//! The options of `build`.

use std::path::PathBuf;

use clap::Args;

use super::GuestCrate;

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) guest: GuestCrate,
    /// Put the modules into this folder instead of `guests` in cargo's target folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}
