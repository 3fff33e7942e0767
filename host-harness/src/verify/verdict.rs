//! The verdict of a verification: its differences, and the sentences that describe them.

use std::fmt;

use guest_host::restore::Promise;
use guest_host::snapshot::RegionKind;
use serde::{Deserialize, Serialize};

use super::observe::Aspect;
use crate::probe::WantedRecord;

/// The findings of verification.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Name of the strategy.
    pub strategy: String,
    /// Seed of the sequence.
    pub seed: u64,
    /// Calls that were made and compared.
    pub calls: u64,
    /// Calls among them that failed, in the same way on both sides.
    pub failures: u64,
    /// Functions of which calls were skipped, as they ended by the deadline on one side only.
    pub skipped: Vec<Skipped>,
    /// The functions and stages of which calls were compared.
    pub functions: Vec<Compared>,
    /// Functions of which calls were compared and none succeeded.
    pub never_succeeded: Vec<NeverSucceeded>,
    /// Functions that broke the rules of memory blocks in some calls, in the same way on both sides.
    pub broken_rules: Vec<BrokenRules>,
    /// Whether the time limit ended it before all calls were made.
    pub ended_early: bool,
    /// Functions that were not called before the time limit.
    pub not_called: Vec<String>,
    /// The differences, in the order of the calls.
    pub differences: Vec<Difference>,
    /// How each region of memory looked after the restores, in the order of [`RegionKind`]; empty where a new instance
    /// took the place of each.
    pub regions: Vec<RegionFinding>,
    /// Times that the instance was suspended after a call and resumed; `None` where restores were verified.
    pub suspensions: Option<u64>,
    /// Calls after which it could not be suspended, if there were some.
    pub unsuspended: Option<Unsuspended>,
}

impl Verdict {
    /// A verdict before the first call.
    pub(super) fn new(strategy: &str, seed: u64) -> Self {
        Self {
            strategy: strategy.to_owned(),
            seed,
            calls: 0,
            failures: 0,
            skipped: Vec::new(),
            functions: Vec::new(),
            never_succeeded: Vec::new(),
            broken_rules: Vec::new(),
            ended_early: false,
            not_called: Vec::new(),
            differences: Vec::new(),
            regions: Vec::new(),
            suspensions: None,
            unsuspended: None,
        }
    }

    /// Whether nothing differed, and each function that was called was compared and succeeded at least once, unless it may
    /// fail; and it was suspended, if that was verified.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
            && self.skipped.iter().all(|skipped| skipped.compared > 0)
            && self.never_succeeded.iter().all(|function| function.allowed)
            && self.not_called.is_empty()
            && self.suspensions != Some(0)
    }

    /// Calls that were skipped.
    #[must_use]
    pub fn skipped_calls(&self) -> u64 {
        self.skipped.iter().map(|skipped| skipped.calls).sum()
    }

    /// Adds what differed; what is there already, from an earlier call, is counted.
    pub(super) fn add(&mut self, difference: Difference) {
        let known = self.differences.iter_mut();
        match known.into_iter().find(|known| known.is_like(&difference)) {
            Some(known) => known.again += 1,
            None => self.differences.push(difference),
        }
    }
}

/// Calls of one function that could not be compared: each time that they were made, they ended by the deadline on one
/// side only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Skipped {
    /// The function.
    pub function: String,
    /// Calls of it that were skipped.
    pub calls: u64,
    /// Those among them that, at the last try, ended by the deadline on the restored instance and not on the fresh one.
    pub on_restored: u64,
    /// Calls of it that were compared.
    pub compared: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, calls, on_restored, compared } = self;
        write!(
            f,
            "inconclusive: {calls} call(s) of `{function}` were skipped because the deadline or the limit of instructions \
             ended them on one side only: {on_restored} time(s) on the restored instance, {} on the fresh one; {compared} call(s) of it \
             were compared",
            calls - on_restored
        )
    }
}

/// Calls after which an instance could not be suspended, so that what it does when it wakes from there is not proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Unsuspended {
    /// The number of these calls.
    pub calls: u64,
    /// Why, of the last of them.
    pub message: String,
}

impl fmt::Display for Unsuspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, message } = self;
        write!(f, "after {calls} call(s) it could not be suspended: {message}")
    }
}

/// A function of which calls were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Compared {
    /// The function.
    pub function: String,
    /// Calls of it that were compared.
    pub calls: u64,
    /// Calls among them that failed, in the same way on both sides.
    pub failed: u64,
}

/// A function of which no call succeeded, so that the comparison of its calls proves nothing about those that do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NeverSucceeded {
    /// The function.
    pub function: String,
    /// Calls of it that were compared, all of which failed.
    pub calls: u64,
    /// A word for the commonest cause, see [`Cause::kind`](guest_host::Cause::kind).
    pub cause: String,
    /// That cause in a sentence.
    pub message: String,
    /// Calls that failed of that cause.
    pub of_that_cause: u64,
    /// Whether it may fail: see [`AllowFailing`](super::AllowFailing).
    pub allowed: bool,
    /// Records that it asked for and the state did not have, as far as a [probe](crate::probe) found them.
    #[serde(default)]
    pub wanted: Vec<WantedRecord>,
}

impl fmt::Display for NeverSucceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, calls, cause, message, of_that_cause, allowed, wanted } = self;
        let share = if of_that_cause == calls { "all".to_owned() } else { format!("{of_that_cause} of them") };
        let proved = if *allowed { "allowed" } else { "inconclusive" };
        write!(f, "{proved}: `{function}` never succeeded: {calls} call(s) failed, {share} by {cause}: {message}")?;
        if let Some((first, others)) = wanted.split_first() {
            write!(f, "; it asks for {first}")?;
            others.iter().try_for_each(|record| write!(f, ", {record}"))?;
        }
        Ok(())
    }
}

/// A function that broke the rules of memory blocks in some of its calls and succeeded in others. Its restores are proved, and yet the guest has
/// a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BrokenRules {
    /// The function.
    pub function: String,
    /// Calls of it that were compared.
    pub calls: u64,
    /// Those among them that broke a rule.
    pub broken: u64,
    /// The first breach in a sentence.
    pub message: String,
}

impl fmt::Display for BrokenRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, calls, broken, message } = self;
        write!(f, "note: `{function}` failed in {broken} of {calls} call(s), on both sides alike: {message}")
    }
}

/// How a region of memory looked after the restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RegionFinding {
    /// The region.
    pub region: RegionKind,
    /// The strategy's promise for it.
    pub promise: Promise,
    /// Restores after which bytes of it were not as in the snapshot.
    pub restores: u64,
    /// The most such bytes after one restore.
    pub bytes: u64,
}

impl RegionFinding {
    /// Adds what was found after one restore.
    pub(super) fn add(findings: &mut Vec<Self>, one: Self) {
        let restores = u64::from(one.bytes > 0);
        match findings.binary_search_by_key(&one.region, |known| known.region) {
            Ok(at) => {
                findings[at].restores += restores;
                findings[at].bytes = findings[at].bytes.max(one.bytes);
            }
            Err(at) => findings.insert(at, Self { restores, ..one }),
        }
    }
}

/// Something that differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Difference {
    /// Number of the call, from 1.
    pub call: u64,
    /// The function that was called.
    pub function: String,
    /// The function that was called before it, which may have left what was found.
    pub previous: Option<String>,
    /// Later calls of the function in which the same differed: the same region, global, table or part of the outcome.
    pub again: u64,
    /// The thing that differed.
    pub what: What,
    /// For a difference in the outcome: what earlier calls had left in memory, and the restore before this call too,
    /// because its strategy may. It is where to look for the cause.
    pub residue: Vec<Residual>,
}

impl Difference {
    /// Whether it is of the same function, and the same differed.
    fn is_like(&self, other: &Self) -> bool {
        let same = match (&self.what, &other.what) {
            (What::Memory { region: one, .. }, What::Memory { region: two, .. })
            | (What::NewMemory { region: one, .. }, What::NewMemory { region: two, .. })
            | (What::ResumedMemory { region: one, .. }, What::ResumedMemory { region: two, .. }) => one == two,
            (What::Global { name: one, .. }, What::Global { name: two, .. })
            | (What::ResumedGlobal { name: one, .. }, What::ResumedGlobal { name: two, .. })
            | (What::Sleep { reason: one }, What::Sleep { reason: two })
            | (What::Table { name: one }, What::Table { name: two }) => one == two,
            (What::Outcome { aspect: one, .. }, What::Outcome { aspect: two, .. })
            | (What::ResumedOutcome { aspect: one, .. }, What::ResumedOutcome { aspect: two, .. }) => one == two,
            (What::Creep { .. }, What::Creep { .. })
            | (What::Ring { .. }, What::Ring { .. })
            | (What::Replaced, What::Replaced) => true,
            _ => false,
        };
        same && self.function == other.function
    }
}

/// A region that differs from the snapshot after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Residual {
    /// The region.
    pub region: RegionKind,
    /// First address that differs.
    pub address: u64,
    /// The snapshot's byte.
    pub expected: u8,
    /// The byte found.
    pub found: u8,
    /// Bytes of the region that differ.
    pub bytes: u64,
}

/// The thing that differed. In JSON `kind` is the variant's name, for instance `new-memory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// A region of memory, after the restore.
    Memory {
        /// The region.
        region: RegionKind,
        /// First address that differs.
        address: u64,
        /// The snapshot's byte.
        expected: u8,
        /// The byte found.
        found: u8,
        /// Bytes of the region that differ.
        bytes: u64,
    },
    /// A region of memory of a new instance, before the first call or in the place of a restore.
    NewMemory {
        /// The region.
        region: RegionKind,
        /// First address that differs.
        address: u64,
        /// A fresh instance's byte.
        expected: u8,
        /// The byte found.
        found: u8,
        /// Bytes of the region that differ.
        bytes: u64,
    },
    /// The pages of a ring of memory blocks, after the restore.
    Ring {
        /// First address that differs.
        address: u64,
        /// The byte that the host sees in the ring.
        expected: u8,
        /// The byte found.
        found: u8,
        /// Bytes of the ring that differ.
        bytes: u64,
    },
    /// A mutable global, after the restore.
    Global {
        /// Its name: from the name section, or the name of its export.
        name: String,
        /// The snapshot's value.
        expected: String,
        /// Its value.
        found: String,
    },
    /// A table, after the restore.
    Table {
        /// Its name.
        name: String,
    },
    /// The call's outcome.
    Outcome {
        /// Which part of it.
        aspect: Aspect,
        /// Where in it, for instance which intent and which of its fields.
        place: Option<String>,
        /// The value from a fresh instance.
        expected: String,
        /// The value from the restored one.
        found: String,
    },
    /// The memory has more pages than any fresh instance needed so far.
    Creep {
        /// Pages that it has.
        pages: u64,
        /// The most that a fresh instance had.
        fresh: u64,
    },
    /// The instance could not be restored in place.
    Replaced,
    /// A region of memory of an instance that was resumed.
    ResumedMemory {
        /// The region.
        region: RegionKind,
        /// First address that differs.
        address: u64,
        /// The byte of the instance that was never suspended.
        expected: u8,
        /// The byte found.
        found: u8,
        /// Bytes of the region that differ.
        bytes: u64,
    },
    /// A mutable global of an instance that was resumed.
    ResumedGlobal {
        /// Its name: from the name section, or the name of its export.
        name: String,
        /// The value of the instance that was never suspended.
        expected: String,
        /// Its value.
        found: String,
    },
    /// The outcome of a call after the instance was resumed.
    ResumedOutcome {
        /// Which part of it.
        aspect: Aspect,
        /// Where in it, for instance which intent and which of its fields.
        place: Option<String>,
        /// The value from the instance that was never suspended.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A suspension or a resumption that failed, or gave another state.
    Sleep {
        /// What is wrong.
        reason: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} (`{}`", self.call, self.function)?;
        if let Some(previous) = &self.previous {
            write!(f, ", after `{previous}`")?;
        }
        f.write_str(")")?;
        if self.again > 0 {
            write!(f, " and {} later call(s) of it", self.again)?;
        }
        write!(f, ": {}", self.what)?;
        for (index, Residual { region, address, expected, found, bytes }) in self.residue.iter().enumerate() {
            let lead = if index == 0 { "; before the call there was residue in the" } else { " and in the" };
            write!(
                f,
                "{lead} {region}: {bytes} byte(s), first at address {address:#x} ({expected:#04x} in the snapshot, \
                 {found:#04x} found)"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { region, address, expected, found, bytes } => write!(
                f,
                "after the restore the {region} differs from the snapshot in {bytes} byte(s), first at address \
                 {address:#x}: {expected:#04x} expected, {found:#04x} found"
            ),
            Self::NewMemory { region, address, expected, found, bytes } => write!(
                f,
                "a new instance differs from a fresh one in {bytes} byte(s) of the {region}, first at address \
                 {address:#x}: {expected:#04x} expected, {found:#04x} found"
            ),
            Self::Ring { address, expected, found, bytes } => write!(
                f,
                "after the restore the ring's pages differ from the ring in {bytes} byte(s), first at address {address:#x}: \
                 {expected:#04x} expected, {found:#04x} found"
            ),
            Self::Global { name, expected, found } => write!(
                f,
                "after the restore global `{name}` differs from the snapshot: {expected} expected, {found} found"
            ),
            Self::Table { name } => write!(f, "after the restore table `{name}` differs from the snapshot"),
            Self::Outcome { aspect, place, expected, found } => {
                write!(f, "{aspect} differs from that of a fresh instance")?;
                write_place(f, place.as_deref(), expected, found)
            }
            Self::ResumedOutcome { aspect, place, expected, found } => {
                write!(f, "{aspect} differs from that of an instance that was never suspended")?;
                write_place(f, place.as_deref(), expected, found)
            }
            Self::ResumedMemory { region, address, expected, found, bytes } => write!(
                f,
                "the instance that was resumed differs from one that was never suspended in {bytes} byte(s) of the {region}, first \
                 at address {address:#x}: {expected:#04x} expected, {found:#04x} found"
            ),
            Self::ResumedGlobal { name, expected, found } => write!(
                f,
                "global `{name}` differs from that of an instance that was never suspended: {expected} expected, {found} found"
            ),
            Self::Sleep { reason } => write!(f, "the instance was not suspended and resumed as it was: {reason}"),
            Self::Creep { pages, fresh } => {
                write!(f, "memory creeps: it has {pages} pages, no fresh instance needed more than {fresh}")
            }
            Self::Replaced => f.write_str("the instance could not be restored in place and was replaced"),
        }
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, place: Option<&str>, expected: &str, found: &str) -> fmt::Result {
    if let Some(place) = place {
        write!(f, " in {place}")?;
    }
    write!(f, ": {expected} expected, {found} found")
}
