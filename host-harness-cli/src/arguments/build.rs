//! The options of `build`.

use std::path::PathBuf;

use clap::Args;
use guest_build::Allocator;

use crate::values::manifest;

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Manifest of the guest crate, or its folder.
    #[arg(long, value_name = "Cargo.toml", default_value = "Cargo.toml", value_parser = manifest())]
    pub(crate) manifest_path: PathBuf,
    /// Package to build, if the manifest is that of a workspace.
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Build only with this allocator (system, leaking, bump-reset, freelist, wee); may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub(crate) allocator: Vec<Allocator>,
    /// Features of the crate to build with; several with commas.
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// Put the modules into this folder instead of `guests` in cargo's target folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}
