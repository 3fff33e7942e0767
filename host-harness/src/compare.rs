//! Comparing the allocators on a guest crate: which of them it can be built with, and what came of each build.
//!
//! Building is `guest-build`'s, measuring [`crate::measure`]'s, verifying [`crate::verify`]'s; this joins them.

use std::fmt;
use std::path::{Path, PathBuf};

use guest_build::{Allocator, BuiltGuest, GuestBuild};

/// The result of building a guest with one allocator.
#[derive(Debug)]
pub enum Built {
    /// The module, and how it was built.
    Module(Box<BuiltGuest>),
    /// The crate cannot be built with the allocator, which is no failure: it does not offer it.
    Skipped(Skipped),
}

/// An allocator that a guest crate does not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The allocator.
    pub allocator: Allocator,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {}: {}", self.allocator, self.reason)
    }
}

/// Builds a guest crate once with each allocator, as `prepare` has it built.
///
/// # Errors
/// [`guest_build::Error`] when the crate cannot be found or compiled. That it lacks an allocator's feature is no error.
pub fn build(
    manifest: &Path,
    allocators: &[Allocator],
    prepare: impl Fn(GuestBuild) -> GuestBuild,
) -> Result<Vec<Built>, guest_build::Error> {
    let mut built = Vec::new();
    for allocator in allocators {
        let build = prepare(GuestBuild::new(manifest).allocator(*allocator));
        built.push(match build.build_and_describe() {
            Ok(guest) => Built::Module(Box::new(guest)),
            Err(error @ guest_build::Error::NoSuchFeature { .. }) => {
                Built::Skipped(Skipped { allocator: *allocator, reason: error.to_string() })
            }
            Err(error) => return Err(error),
        });
    }
    Ok(built)
}

/// The state file that a guest crate brings along: `state.json` beside its manifest.
#[must_use]
pub fn state_file_beside(manifest: &Path) -> Option<PathBuf> {
    let beside = manifest.with_file_name("state.json");
    beside.is_file().then_some(beside)
}
