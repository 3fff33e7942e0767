//! The allocators that a guest can be built with, and the cargo feature that picks each.

use std::{fmt, str::FromStr};

/// A guest's global allocator, as the features of `guest-sdk` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Allocator {
    /// Rust's default allocator for the target; no feature.
    System,
    /// A bump pointer that never frees.
    Leaking,
    /// A bump pointer with a mark that the host resets to.
    BumpReset,
    /// A full freelist.
    Freelist,
    /// The freelist behind the interface of `wee_alloc`.
    Wee,
}

impl Allocator {
    /// Every allocator, in the order in which reports list them.
    pub const ALL: [Self; 5] = [Self::System, Self::Leaking, Self::BumpReset, Self::Freelist, Self::Wee];

    /// The name used in file names, reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Leaking => "leaking",
            Self::BumpReset => "bump-reset",
            Self::Freelist => "freelist",
            Self::Wee => "wee",
        }
    }

    /// The cargo feature that picks it; `None` where it takes none.
    #[must_use]
    pub const fn feature(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Leaking => Some("alloc-leaking"),
            Self::BumpReset => Some("alloc-bump-reset"),
            Self::Freelist => Some("alloc-freelist"),
            Self::Wee => Some("alloc-wee"),
        }
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is not that of an allocator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no allocator `{0}`: use one of system, leaking, bump-reset, freelist, wee")]
pub struct UnknownAllocator(pub String);

impl FromStr for Allocator {
    type Err = UnknownAllocator;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|allocator| allocator.name() == name || allocator.feature() == Some(name))
            .ok_or_else(|| UnknownAllocator(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_feature_is_read_back() {
        for allocator in Allocator::ALL {
            assert_eq!(allocator.name().parse(), Ok(allocator));
            if let Some(feature) = allocator.feature() {
                assert_eq!(feature.parse(), Ok(allocator));
            }
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_every_known_one() {
        let told = "slab".parse::<Allocator>().unwrap_err().to_string();
        assert!(told.contains("`slab`"), "{told}");
        for allocator in Allocator::ALL {
            assert!(told.contains(allocator.name()), "{told}");
        }
    }
}
