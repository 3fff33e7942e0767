//! The oracle: an instance that is restored after each call must behave, and look, like a fresh one for each call.
//!
//! Two instances run the same random sequence of calls. The *subject* is restored by the strategy under test, the
//! *reference* is made anew for every call. After each call the outcomes are compared (result or cause of failure,
//! intents, log lines, trace of host calls, allocation counters, memory size), and the subject's memory, globals and
//! tables are compared with its snapshot, region by region, as far as the strategy promises them to be equal. Both
//! apply the intents of successful calls to their own copy of the state, so calls see what earlier calls wrote.
//!
//! It finds differences; it does not look for their cause, and it cannot judge a guest that is not a pure function of
//! its state.

mod image;
mod observe;

use std::fmt;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::error::LoadError;
use crate::guest::{Function, Guest};
use crate::instance::{Instance, InstanceConfig};
use crate::policy::{RestorePolicy, RestoreStrategy};
use crate::restore::Restore;
use crate::snapshot::RegionKind;
use crate::state::MemoryState;

pub use observe::Aspect;
use observe::Observed;

/// What to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How instances are made; its strategy and residue are what is verified.
    pub config: InstanceConfig,
    /// Functions to call; all of the guest's when `None`.
    pub functions: Option<Vec<String>>,
    /// Calls to make.
    pub calls: u64,
    /// Seed of the random sequence.
    pub seed: u64,
    /// Differences after which to stop.
    pub max_differences: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { config: InstanceConfig::default(), functions: None, calls: 1000, seed: 0, max_differences: 10 }
    }
}

/// What verification found.
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
    /// What differed, in the order of the calls.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Whether nothing differed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Something that differed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Number of the call, from 1.
    pub call: u64,
    /// The function that was called.
    pub function: String,
    /// The function that was called before it, which may have left what was found.
    pub previous: Option<String>,
    /// What differed.
    pub what: What,
    /// For a difference in the outcome: what earlier calls had left in memory, and the restore before this call too,
    /// because its strategy may. It is where to look for the cause.
    pub residue: Vec<Residual>,
}

/// A region that differs from the snapshot after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residual {
    /// The region.
    pub region: RegionKind,
    /// First address that differs.
    pub address: u64,
    /// What the snapshot has there.
    pub expected: u8,
    /// What is there.
    pub found: u8,
    /// Bytes of the region that differ.
    pub bytes: u64,
}

/// What differed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A region of memory, after the restore.
    Memory {
        /// The region.
        region: RegionKind,
        /// First address that differs.
        address: u64,
        /// What the snapshot has there.
        expected: u8,
        /// What is there.
        found: u8,
        /// Bytes of the region that differ.
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
        /// What a fresh instance gave.
        expected: String,
        /// What the restored one gave.
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
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} (`{}`", self.call, self.function)?;
        if let Some(previous) = &self.previous {
            write!(f, ", after `{previous}`")?;
        }
        write!(f, "): {}", self.what)?;
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
            Self::Global { name, expected, found } => write!(
                f,
                "after the restore global `{name}` differs from the snapshot: {expected} expected, {found} found"
            ),
            Self::Table { name } => write!(f, "after the restore table `{name}` differs from the snapshot"),
            Self::Outcome { aspect, expected, found } => {
                write!(f, "{aspect} differs from that of a fresh instance: {expected} expected, {found} found")
            }
            Self::Creep { pages, fresh } => {
                write!(f, "memory creeps: it has {pages} pages, no fresh instance needed more than {fresh}")
            }
            Self::Replaced => f.write_str("the instance could not be restored in place and was replaced"),
        }
    }
}

/// Verifies a guest under the strategy and the residue of `options.config`.
///
/// `progress` is told the number of calls made, now and then.
///
/// # Errors
/// [`LoadError`] when an instance cannot be made, for instance as the strategy does not serve the guest.
pub fn verify(
    guest: &Guest,
    options: &VerifyOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64),
) -> Result<Verdict, LoadError> {
    let subject = guest.instantiate(&subject_config(options), state.clone())?;
    run(guest, subject, options, state, progress)
}

/// Verifies a guest under a strategy that is not one of [`RestoreStrategy`]'s.
///
/// # Errors
/// As for [`verify`].
pub fn verify_with(
    guest: &Guest,
    restore: Box<dyn Restore>,
    options: &VerifyOptions,
    state: &MemoryState,
) -> Result<Verdict, LoadError> {
    let subject = guest.instantiate_with(restore, &subject_config(options), state.clone())?;
    run(guest, subject, options, state, &mut |_| ())
}

fn subject_config(options: &VerifyOptions) -> InstanceConfig {
    InstanceConfig { policy: RestorePolicy::EveryCall, count: true, trace: true, ..options.config.clone() }
}

fn run(
    guest: &Guest,
    mut subject: Instance,
    options: &VerifyOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64),
) -> Result<Verdict, LoadError> {
    let reference = InstanceConfig { strategy: RestoreStrategy::Reinstantiate, ..subject_config(options) };
    let mut reference = guest.instantiate(&reference, state.clone())?;
    let functions = functions(guest, options)?;
    let mut verdict = Verdict {
        strategy: subject.strategy_name().to_owned(),
        seed: options.seed,
        calls: 0,
        failures: 0,
        differences: Vec::new(),
    };
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut previous: Option<Function> = None;
    let mut residue = Vec::new();
    let mut fresh_pages = reference.physical_pages().max(subject.physical_pages());
    for call in 0..options.calls {
        if functions.is_empty() || verdict.differences.len() >= options.max_differences {
            break;
        }
        let function = next(&functions, call, &mut random);
        let expected = Observed::of(&mut reference, function);
        let found = Observed::of(&mut subject, function);
        let mut differences = Vec::new();
        expected.compare(&found, guest, &mut differences);
        fresh_pages = fresh_pages.max(expected.pages);
        if guest.prepared().logical_pages_export.is_some() && subject.physical_pages() > fresh_pages {
            differences.push(What::Creep { pages: subject.physical_pages(), fresh: fresh_pages });
        }
        if subject.in_place().is_some() && found.replaced {
            differences.push(What::Replaced);
        }
        let residue_behind = image::compare(&mut subject, &mut differences);
        verdict.calls += 1;
        verdict.failures += u64::from(expected.failed());
        verdict.differences.extend(differences.into_iter().map(|what| Difference {
            call: call + 1,
            function: guest.function_name(function).to_owned(),
            previous: previous.map(|previous| guest.function_name(previous).to_owned()),
            residue: if matches!(what, What::Outcome { .. }) { residue.clone() } else { Vec::new() },
            what,
        }));
        residue = residue_behind;
        previous = Some(function);
        progress(call + 1);
    }
    Ok(verdict)
}

fn functions(guest: &Guest, options: &VerifyOptions) -> Result<Vec<Function>, LoadError> {
    let names = options.functions.as_deref().unwrap_or(guest.functions());
    let find = |name: &String| guest.function(name).map_err(LoadError::Function);
    names.iter().map(find).collect()
}

/// Every function once in order, every function twice in a row, then any.
fn next(functions: &[Function], call: u64, random: &mut ChaCha8Rng) -> Function {
    let count = functions.len();
    let index = match usize::try_from(call) {
        Ok(call) if call < count => call,
        Ok(call) if call < 3 * count => (call - count) / 2,
        _ => random.random_range(0..count),
    };
    functions[index]
}
