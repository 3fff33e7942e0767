//! What is restored, when and how thoroughly.

use std::fmt;
use std::str::FromStr;

/// How an instance is put back to its snapshot.
///
/// ```
/// use guest_host::RestoreStrategy;
///
/// let strategy: RestoreStrategy = "dirty-cards".parse()?;
/// assert_eq!(strategy, RestoreStrategy::DirtyCards);
/// # Ok::<(), guest_host::UnknownName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum RestoreStrategy {
    /// One of the others, picked when an instance is made: [`Instance::strategy`](crate::Instance::strategy) says which and why.
    #[default]
    Auto,
    /// A new instance takes the place of the old one.
    Reinstantiate,
    /// The whole snapshot is copied back and grown memory is zeroed.
    FullCopy,
    /// What was written since is copied back, as the write barrier marked it, card by card.
    DirtyCards,
    /// Statics and the snapshotted heap are copied back, and the heap is zeroed up to the allocator's high-water mark.
    Watermark,
    /// Statics are copied back and the heap pointer returns to its mark.
    BumpReset,
}

impl RestoreStrategy {
    /// All strategies but [`Self::Auto`], from the one that asks least of a guest to the one that asks most.
    pub const ALL: [Self; 5] =
        [Self::Reinstantiate, Self::FullCopy, Self::DirtyCards, Self::Watermark, Self::BumpReset];

    /// The strategy's name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reinstantiate => "reinstantiate",
            Self::FullCopy => "full-copy",
            Self::DirtyCards => "dirty-cards",
            Self::Watermark => "watermark",
            Self::BumpReset => "bump-reset",
        }
    }
}

impl fmt::Display for RestoreStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that means no strategy, policy or residue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of: {expected}")]
pub struct UnknownName {
    given: String,
    expected: &'static str,
}

impl FromStr for RestoreStrategy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().chain([Self::Auto]).find(|strategy| strategy.name() == name).ok_or_else(|| UnknownName {
            given: name.to_owned(),
            expected: "auto, reinstantiate, full-copy, dirty-cards, watermark, bump-reset",
        })
    }
}

/// When an instance is restored. After any failure it is restored whatever the policy.
///
/// ```
/// use guest_host::RestorePolicy;
///
/// let policy: RestorePolicy = "on-heap-above=1048576".parse()?;
/// assert_eq!(policy, RestorePolicy::OnHeapAbove(1 << 20));
/// assert!(policy.is_lazy());
/// # Ok::<(), guest_host::UnknownName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum RestorePolicy {
    /// After every call.
    #[default]
    EveryCall,
    /// Only after a call that failed.
    OnError,
    /// After a call that leaves more than this many bytes of heap in use, and after a call that failed.
    OnHeapAbove(u64),
    /// Only after a call that failed, and never otherwise however large the heap grows; a name for the intention.
    Never,
}

impl RestorePolicy {
    /// Whether successful calls may be followed by another without a restore in between.
    #[must_use]
    pub fn is_lazy(self) -> bool {
        self != Self::EveryCall
    }
}

impl fmt::Display for RestorePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryCall => f.write_str("every-call"),
            Self::OnError => f.write_str("on-error"),
            Self::OnHeapAbove(bytes) => write!(f, "on-heap-above={bytes}"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl FromStr for RestorePolicy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let bytes = name.strip_prefix("on-heap-above=").and_then(|bytes| bytes.parse().ok());
        match (name, bytes) {
            ("every-call", _) => Ok(Self::EveryCall),
            ("on-error", _) => Ok(Self::OnError),
            ("never", _) => Ok(Self::Never),
            (_, Some(bytes)) => Ok(Self::OnHeapAbove(bytes)),
            _ => Err(UnknownName {
                given: name.to_owned(),
                expected: "every-call, on-error, on-heap-above=BYTES, never",
            }),
        }
    }
}

/// What becomes of bytes that no safe guest can reach after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Residue {
    /// They are put back as well, so that nothing of one call is left in memory for the next.
    #[default]
    Scrub,
    /// They stay where they are.
    Keep,
}

impl Residue {
    /// The word for it on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::Keep => "keep",
        }
    }
}

impl fmt::Display for Residue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Residue {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "scrub" => Ok(Self::Scrub),
            "keep" => Ok(Self::Keep),
            _ => Err(UnknownName { given: name.to_owned(), expected: "scrub, keep" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for strategy in RestoreStrategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        for policy in
            [RestorePolicy::EveryCall, RestorePolicy::OnError, RestorePolicy::OnHeapAbove(5), RestorePolicy::Never]
        {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        for residue in [Residue::Scrub, Residue::Keep] {
            assert_eq!(residue.to_string().parse(), Ok(residue));
        }
        let error = "full".parse::<RestoreStrategy>().unwrap_err().to_string();
        assert_eq!(error, "`full` is none of: auto, reinstantiate, full-copy, dirty-cards, watermark, bump-reset");
        assert!("on-heap-above=x".parse::<RestorePolicy>().is_err());
    }
}
