//! The oracle: an instance that is restored after each call must behave, and look, like a fresh one for each call.
//!
//! Two instances run the same random sequence of calls. The *subject* is restored by the strategy under test, the
//! *reference* is made anew for every call, in memory that the system maps for it: the engine's pool is itself under test,
//! so no fresh instance comes from it. Wherever the subject is new, its memory is compared with that of the reference; under
//! `reinstantiate` that is after every call. After each call the outcomes are compared (result or cause of failure,
//! return values, intents, log lines, trace of host calls, allocation counters, memory size), and the subject's memory, globals and
//! tables are compared with its snapshot, region by region, as far as the strategy promises them to be equal. The
//! intents of calls that succeeded are applied to the state of both, so calls see what earlier calls wrote; where the
//! intents differ, those of the fresh instance are, so that one difference does not bring others with it.
//!
//! A call that ends by its deadline on one side only says nothing of the restore: the machine may have been busy. It is
//! made again on both sides, and skipped when that does not help. Memory, globals and tables are compared all the same. The
//! limit of instructions ends equal calls at the same place and costs less time than a deadline; but a write barrier's marks
//! count, so a call near the limit may end by it on one side only. A function that limits ended in each of its first calls is
//! not called again: the calls go to the others.
//!
//! A function of which no call succeeded proves nothing: as far as anybody knows, what it does before it fails is all that was
//! compared. The verdict names it, with the commonest cause, and passes only if [`AllowFailing`] allows that.
//!
//! Stages are called with memory blocks that the seed determines. Each side has equal blocks of its own, which are copied, mapped, or in a
//! [ring](RingOptions) as the options say. After the restore the result block and the input block are compared, whole, and the counts of
//! attachments. Some breaches of the rules of blocks are found only by the marks of a write barrier; so the fresh instances have one exactly
//! if the restored instance has. The pages of a ring are no part of the snapshot: after each call they are compared with the bytes that the
//! host sees in the ring.
//!
//! It finds differences; it does not look for their cause, and it cannot judge a guest that is not a pure function of
//! its state.

mod blocks;
mod draw;
mod image;
mod observe;
mod reference;
mod sleeper;
mod suspend;
mod tally;
mod tested;
mod verdict;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::probe;
use guest_host::restore::Restore;
use guest_host::{Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy};

use blocks::{Input, Seen};
use draw::{Callee, Draw};
pub use observe::Aspect;
use observe::{CauseOfFailure, Observed};
use reference::Reference;
pub use sleeper::{Sleep, Sleeper};
pub use suspend::{NotSuspended, verify_suspension};
use tally::Tally;
use tested::{Tested, in_ring_or_alone};
pub use verdict::{
    BrokenRules, Compared, Difference, NeverSucceeded, RegionFinding, Residual, Skipped, Unsuspended, Verdict, What,
};

/// Options of verification.
///
/// ```
/// use guest_host::{InstanceConfig, RestoreStrategy};
/// use host_harness::verify::VerifyOptions;
///
/// let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
/// // Another seed is another sequence of calls.
/// let options = VerifyOptions::default().with_config(config).with_calls(10_000).with_seed(7);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How instances are made; its strategy and residue are what is verified. A guest that reads the clock or random bytes
    /// of the system is given a fixed clock and seeded randomness: no two instances could be compared otherwise.
    pub config: InstanceConfig,
    /// Functions and [stages](guest_abi::block) to call; when `None`, all of the guest's but functions that take arguments and have
    /// none. A stage goes by its own name, and is called with memory blocks that the seed determines.
    pub functions: Option<Vec<String>>,
    /// Calls to make.
    pub calls: u64,
    /// Seed of the random sequence.
    pub seed: u64,
    /// Differences after which to stop; what differs again in the same way counts once.
    pub max_differences: usize,
    /// Functions that may fail in every call.
    pub allow_failing: AllowFailing,
    /// Time after which it ends with what it has found; `None` for never. A call that is under way comes to its end.
    pub time_limit: Option<Duration>,
    /// A ring that the instances join, so that stages are called with blocks in its slots; `None` for blocks that are copied or mapped.
    /// Suspensions are verified without one.
    pub ring: Option<RingOptions>,
}

/// A ring of memory blocks that instances join, see [`RingGroup`](guest_host::blocks::RingGroup). The restored instance joins one alone, and
/// so does the fresh one, for each call anew.
///
/// The instances must not be from a pool, the strategy must be `dirty-cards`, and the guest must offer storage for the whole ring when it
/// is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RingOptions {
    /// Slots.
    pub slots: usize,
    /// Bytes of a slot, rounded up to whole pages. Blocks that are larger are in no slot.
    pub slot_size: u32,
    /// How the guest joins.
    pub role: RingRole,
}

/// The access of a guest to the blocks of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RingRole {
    /// Write them and read them.
    #[default]
    Writer,
    /// Read them.
    Reader,
}

/// Functions of which every call may fail without making a verdict inconclusive.
///
/// ```
/// use host_harness::verify::AllowFailing;
///
/// let allowed = AllowFailing::Functions(vec!["refuse".to_owned()]);
/// assert!(allowed.allows("refuse") && !allowed.allows("count_up"));
/// assert!(AllowFailing::All.allows("count_up"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AllowFailing {
    /// None.
    #[default]
    None,
    /// These.
    Functions(Vec<String>),
    /// All.
    All,
}

impl AllowFailing {
    /// Whether every call of this function may fail.
    #[must_use]
    pub fn allows(&self, function: &str) -> bool {
        match self {
            Self::None => false,
            Self::Functions(names) => names.iter().any(|name| name == function),
            Self::All => true,
        }
    }
}

impl VerifyOptions {
    guest_prepare::setters! {
        /// Sets [`Self::config`].
        with_config(config: InstanceConfig);
        /// Sets [`Self::functions`].
        with_functions(functions: Option<Vec<String>>);
        /// Sets [`Self::calls`].
        with_calls(calls: u64);
        /// Sets [`Self::seed`].
        with_seed(seed: u64);
        /// Sets [`Self::max_differences`].
        with_max_differences(max_differences: usize);
        /// Sets [`Self::allow_failing`].
        with_allow_failing(allow_failing: AllowFailing);
        /// Sets [`Self::time_limit`].
        with_time_limit(time_limit: Option<Duration>);
        /// Sets [`Self::ring`].
        with_ring(ring: Option<RingOptions>);
    }
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            config: InstanceConfig::default(),
            functions: None,
            calls: 1000,
            seed: 0,
            max_differences: 10,
            allow_failing: AllowFailing::None,
            time_limit: None,
            ring: None,
        }
    }
}

/// Verifies a guest under the strategy and the residue of `options.config`.
///
/// `progress` is told the number of calls made, now and then.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions};
/// use host_harness::verify::{AllowFailing, VerifyOptions, verify};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let functions = Some(vec!["count_up".to_owned(), "refuse".to_owned()]);
/// // `refuse` always fails, as it should.
/// let allowed = AllowFailing::Functions(vec!["refuse".to_owned()]);
/// let options = VerifyOptions::default().with_functions(functions).with_calls(20).with_allow_failing(allowed);
/// let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_calls| ())?;
/// assert!(verdict.passed(), "{:?}", verdict.differences);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// Verifies a guest under a strategy that is not one of [`RestoreStrategy`](guest_host::RestoreStrategy)'s.
///
/// ```
/// use guest_host::restore::FullCopy;
/// use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions};
/// use host_harness::verify::{VerifyOptions, verify_with};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let options = VerifyOptions::default().with_functions(Some(vec!["count_up".to_owned()])).with_calls(20);
/// // In the place of `FullCopy` stands a strategy of your own.
/// let verdict = verify_with(&guest, Box::new(FullCopy), &options, &MemoryState::new())?;
/// assert_eq!((verdict.passed(), verdict.calls), (true, 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// As [`verify`], with a subject that `change` breaks first: a specimen that verification must catch.
///
/// # Errors
/// As for [`verify`].
#[doc(hidden)]
pub fn verify_changed(
    guest: &Guest,
    options: &VerifyOptions,
    state: &MemoryState,
    change: impl FnOnce(&mut Instance),
) -> Result<Verdict, LoadError> {
    let mut subject = guest.instantiate(&subject_config(options), state.clone())?;
    change(&mut subject);
    run(guest, subject, options, state, &mut |_| ())
}

fn subject_config(options: &VerifyOptions) -> InstanceConfig {
    let wasi = options.config.wasi.repeatable();
    options.config.clone().with_policy(RestorePolicy::EveryCall).with_count(true).with_trace(true).with_wasi(wasi)
}

/// Times that a call is made again when it ended by its deadline on one side only.
const RETRIES: u32 = 2;

fn run(
    guest: &Guest,
    subject: Instance,
    options: &VerifyOptions,
    state: &MemoryState,
    progress: &mut dyn FnMut(u64),
) -> Result<Verdict, LoadError> {
    let subject = in_ring_or_alone(subject, options.ring)?;
    let reference = Reference::new(guest, subject.instance(), subject_config(options), options.ring, state)?;
    let mut draw = Draw::new(guest, options)?;
    // A block that is in no slot is copied, and a guest that only reads the ring may write it.
    let only_reads = options.ring.is_some_and(|ring| ring.role == RingRole::Reader);
    draw.inputs.with_least_size(subject.slot_size(), only_reads);
    let mut verdict = Verdict::new(subject.instance().strategy_name(), options.seed);
    let pages = |tested: &dyn Tested| tested.instance().physical_pages();
    let mut pair = Pair {
        most_pages: pages(&*reference.instance).max(pages(&*subject)),
        guest,
        subject,
        reference,
        residue: Vec::new(),
        previous: None,
        subject_is_new: true,
    };
    let mut tally = Tally::default();
    while let Some((call, callee)) = draw.next(&tally, &mut verdict) {
        let input = draw.input(callee);
        let mut ended = pair.call(call + 1, callee, input.as_ref(), &mut verdict)?;
        draw.inputs.learn(ended.take_block());
        tally.add(callee, ended);
        progress(call + 1);
    }
    tally.conclude(&mut verdict, &draw.functions, &options.allow_failing);
    // Records are missing to extension functions alone.
    let is_function = |name: &String| draw.functions.iter().any(|callee| callee.name == name && !callee.is_stage);
    let unproved: Vec<String> = verdict
        .never_succeeded
        .iter()
        .filter(|failing| !failing.allowed && is_function(&failing.function))
        .map(|failing| failing.function.clone())
        .collect();
    for starving in probe::starving(guest, &unproved, &subject_config(options), state)? {
        let failing = verdict.never_succeeded.iter_mut().find(|failing| failing.function == starving.function);
        failing.into_iter().for_each(|failing| failing.wanted.clone_from(&starving.wanted));
    }
    Ok(verdict)
}

/// The end of one call on both sides.
enum Ended {
    /// It was compared.
    Compared {
        /// It succeeded on the fresh instance, or failed of this.
        result: Result<(), CauseOfFailure>,
        /// A limit on time or instructions ended it.
        cut_off: bool,
        /// The memory block that a stage returned on the fresh instance.
        block: Option<Seen>,
    },
    /// It was cut off by a limit on one side only, however often it was made.
    OneSided {
        /// It was the restored instance, at the last try.
        on_restored: bool,
    },
}

impl Ended {
    /// The block that it returned on the fresh instance.
    fn take_block(&mut self) -> Option<Seen> {
        match self {
            Self::Compared { block, .. } => block.take(),
            Self::OneSided { .. } => None,
        }
    }
}

/// The two instances that run the same calls.
struct Pair<'g> {
    guest: &'g Guest,
    /// Restored after every call.
    subject: Box<dyn Tested>,
    /// Made anew for every call.
    reference: Reference,
    /// The most pages that a call from a fresh instance is known to need.
    most_pages: u64,
    /// The residue that the restore before the next call left in the subject's memory, as it may.
    residue: Vec<Residual>,
    previous: Option<&'g str>,
    /// No function of the subject was called yet. Subject and reference were made with the same state.
    subject_is_new: bool,
}

impl<'g> Pair<'g> {
    /// Makes one call on both sides, compares, and applies its intents.
    fn call(
        &mut self,
        number: u64,
        callee: Callee<'g>,
        input: Option<&Input>,
        verdict: &mut Verdict,
    ) -> Result<Ended, LoadError> {
        let mut on_restored = false;
        self.reference.follow(self.subject.instance())?;
        for _ in 0..=RETRIES {
            let mut differences = Vec::new();
            if std::mem::take(&mut self.subject_is_new) {
                self.compare_new(&mut differences);
            }
            let mut expected = Observed::of(&mut *self.reference.instance, callee, input);
            let found = Observed::of(&mut *self.subject, callee, input);
            let comparable = expected.cut_off == found.cut_off;
            if comparable {
                expected.compare(&found, self.guest, &mut differences);
            }
            self.compare_instances(&expected, &found, &mut differences);
            // What is found after a call is also what the next one, or the next try, may see.
            let residue = std::mem::take(&mut self.residue);
            self.residue = image::compare(&mut *self.subject, &mut differences, &mut verdict.regions);
            let subject = self.subject.instance();
            if subject.last_stats().replaced.is_some() || subject.in_place().is_none() {
                self.compare_new(&mut differences);
            }
            for what in differences {
                verdict.add(Difference {
                    call: number,
                    function: callee.name.to_owned(),
                    previous: self.previous.map(str::to_owned),
                    again: 0,
                    residue: if matches!(what, What::Outcome { .. }) { residue.clone() } else { Vec::new() },
                    what,
                });
            }
            self.previous = Some(callee.name);
            if comparable {
                self.apply(&expected.intents);
                let block = expected.blocks.result.take();
                return Ok(Ended::Compared { result: expected.result, cut_off: expected.cut_off, block });
            }
            on_restored = found.cut_off;
            // Instructions are the same at the next try.
            if !expected.timed_out && !found.timed_out {
                break;
            }
        }
        Ok(Ended::OneSided { on_restored })
    }

    /// Compares the memory of a subject that is new.
    fn compare_new(&self, differences: &mut Vec<What>) {
        image::compare_new(self.subject.instance(), self.reference.instance.instance(), differences);
    }

    /// Looks for creep, and for an instance that was replaced.
    fn compare_instances(&mut self, expected: &Observed, found: &Observed, differences: &mut Vec<What>) {
        self.most_pages = self.most_pages.max(expected.pages);
        if found.cut_off {
            // How far it got is chance, and so is whether a fresh instance got as far. What creeps does so again after
            // the next call.
            self.most_pages = self.most_pages.max(found.pages);
        }
        let pages = self.subject.instance().physical_pages();
        if self.guest.prepared().logical_pages_export.is_some() && pages > self.most_pages {
            differences.push(What::Creep { pages, fresh: self.most_pages });
            // Told once; it is worth telling again when there are still more.
            self.most_pages = pages;
        }
        if self.subject.instance().in_place().is_some() && found.unrestorable {
            differences.push(What::Replaced);
        }
    }

    /// Applies what a call on the fresh instance left to the states of both.
    fn apply(&mut self, intents: &[u8]) {
        for instance in [&mut *self.reference.instance, &mut *self.subject] {
            if let Some(state) = instance.state_mut() {
                // The states are equal, so one that refuses them refuses them on both sides.
                let _ = state.apply(intents);
            }
        }
    }
}

#[cfg(test)]
mod tests;
