//! The guests of a workspace.

use std::path::{Path, PathBuf};

use crate::{Allocator, Error, package};

/// A package that builds a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The package's name.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The allocators it can be built with: Rust's default one, and those whose feature it declares.
    pub allocators: Vec<Allocator>,
    /// All its features, sorted.
    pub features: Vec<String>,
}

/// The guests of the workspace or package that `manifest` belongs to, sorted by name.
///
/// # Errors
///
/// The manifest is not there or cannot be read.
pub fn guests(manifest: &Path) -> Result<Vec<Guest>, Error> {
    let metadata = package::metadata(package::active_cargo(), manifest)?;
    let mut guests: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package::module(package).is_some())
        .map(|package| Guest {
            name: package.name.to_string(),
            manifest: package.manifest_path.clone().into(),
            allocators: Allocator::ALL
                .into_iter()
                .filter(|allocator| allocator.feature().is_none_or(|feature| package.features.contains_key(feature)))
                .collect(),
            features: package.features.keys().cloned().collect(),
        })
        .collect();
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}
