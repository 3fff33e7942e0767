//! The options of a guest crate that is to be built.

use std::path::PathBuf;

use clap::Args;
use guest_build::{Allocator, GuestBuild};

use crate::values::manifest;

#[derive(Debug, Args)]
pub(crate) struct GuestCrate {
    /// Manifest of the guest crate, or its folder.
    #[arg(long, value_name = "Cargo.toml", default_value = "Cargo.toml", value_parser = manifest())]
    pub(crate) manifest_path: PathBuf,
    /// Package to build, if the manifest is that of a workspace.
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Build only with this allocator (system, leaking, bump-reset, freelist, wee); may be given more than once.
    #[arg(long, value_name = "NAME")]
    allocator: Vec<Allocator>,
    /// Features of the crate to build with; several with commas.
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
}

impl GuestCrate {
    /// The allocators that were asked for; without any, all.
    pub(crate) fn allocators(&self) -> &[Allocator] {
        match self.allocator.as_slice() {
            [] => &Allocator::ALL,
            asked => asked,
        }
    }

    /// A build of this package with these features.
    pub(crate) fn prepare(&self, build: GuestBuild) -> GuestBuild {
        let build = build.features(&self.features);
        match &self.package {
            Some(package) => build.package(package),
            None => build,
        }
    }

    /// The files of the crate that a build reads and no report may replace: its manifest and its lock file.
    pub(crate) fn inputs(&self) -> [PathBuf; 2] {
        [self.manifest_path.clone(), self.manifest_path.with_file_name("Cargo.lock")]
    }
}
