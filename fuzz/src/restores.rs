//! The oracle on random guests: an instance that is restored after each call gives the outcomes of a fresh instance for
//! each call, and its memory, globals and tables are those of a fresh one, by every strategy that admission grants.
//!
//! It is the harness's own way from a module to a call and back, compared by means of its own: [`host_harness::verify`]
//! asks the same of real guests.

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use guest_abi::control_block::offset::LOWEST_STACK;
use guest_host::admission::Refusal;
use guest_host::restore::Restore;
use guest_host::{
    AdmissionError, ConfigError, Guest, InputError, Instance, InstanceConfig, LoadError, MemoryState, Residue,
    RestorePolicy, RestoreStrategy, StartError, Status,
};
use guest_prepare::{BarrierOptions, PrepareOptions, StoreCounts, prepare};
use wasmtime::Val;

use crate::guests::{self, EXCHANGE};
use crate::modules::PAGE;
use crate::{preparation, puppet};

/// The cause of a call that used up the native stack. An access out of bounds with a lowered stack pointer has it too.
pub(crate) const STACK_OVERFLOW: &str = "stack-overflow";

/// Calls of a sequence.
const CALLS: usize = 6;

/// Runs the guest and the calls that the input describes, by every strategy that serves the guest.
///
/// # Errors
/// What differs from a fresh instance.
pub fn run(input: &[u8]) -> Result<String, String> {
    match Case::read(input) {
        Ok(case) => {
            let strategies = case.strategies();
            let mut ends = BTreeSet::new();
            for strategy in &strategies {
                ends.extend(case.check(*strategy, None).map_err(|wrong| format!("{strategy}: {wrong}"))?);
            }
            let ends: Vec<&str> = ends.into_iter().collect();
            Ok(format!("{} strategies, {}: {}", strategies.len(), case.told(), ends.join(", ")))
        }
        Err(none) => Ok(none),
    }
}

/// Runs the guest that the input describes with a restore of the caller's own; `None` where that is not admitted.
///
/// # Errors
/// What differs from a fresh instance.
pub fn run_with(input: &[u8], restore: &dyn Fn() -> Box<dyn Restore>) -> Result<Option<String>, String> {
    match Case::read(input) {
        Ok(case) if case.guest.admission().full_copy().is_ok() => {
            case.check(RestoreStrategy::FullCopy, Some(restore)).map(|_| Some(case.told()))
        }
        _ => Ok(None),
    }
}

/// Whether a reason against a strategy is in the control block of an instance, and not in its module.
fn is_of_the_allocator(reason: &Refusal) -> bool {
    matches!(
        reason,
        Refusal::BadControlBlock { .. }
            | Refusal::AllocatorNotRun
            | Refusal::UnknownAllocator { .. }
            | Refusal::InconsistentControlBlock { .. }
            | Refusal::NotBumpReset { .. }
    )
}

/// What becomes of the stores of the guest that the input describes; `None` where it has no write barrier.
#[must_use]
pub fn stores(input: &[u8]) -> Option<StoreCounts> {
    let case = Case::read(input).ok()?;
    let info = case.guest.info();
    let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default()));
    prepare(&case.wasm, info, options).ok()?.barrier.map(|barrier| barrier.stores)
}

/// A guest, and what is to be called.
pub(crate) struct Case {
    wasm: Vec<u8>,
    pub(crate) guest: Guest,
    pub(crate) config: InstanceConfig,
    /// Positions in the list of the guest's functions.
    pub(crate) calls: Vec<usize>,
    allocator: bool,
}

impl Case {
    /// Reads the input; where it describes no guest that can be run, says why in a word or two.
    pub(crate) fn read(input: &[u8]) -> Result<Self, String> {
        let mut bytes = Unstructured::new(input);
        let too_short = |_| "too short".to_owned();
        let barrier: BarrierOptions = preparation::barrier(bytes.arbitrary().map_err(too_short)?);
        let lazy: bool = bytes.arbitrary().map_err(too_short)?;
        let keep = bytes.ratio(1, 3).map_err(too_short)?;
        let calls = (0..CALLS).map(|_| bytes.arbitrary::<u8>().map(usize::from));
        let calls: Vec<usize> = calls.collect::<Result<_, _>>().map_err(too_short)?;
        let limit: u64 = bytes.int_in_range(1..=16).map_err(too_short)?;
        let made = guests::guest(&mut bytes).ok_or("no guest")?;
        let options = PrepareOptions::default().with_barrier(Some(barrier));
        let guest = Guest::load(puppet::engine(), "random", &made.wasm, options);
        let guest = guest.map_err(|error| match error {
            // What is appended to a module of wasm-smith's may export a name twice, for one.
            LoadError::Input(InputError::Module(_)) => "no module".to_owned(),
            LoadError::Admission(AdmissionError::Contract(_)) => "no contract".to_owned(),
            error => format!("not loaded: {}", error.to_string().chars().take(40).collect::<String>()),
        })?;
        let mut config = InstanceConfig::default();
        config.policy = if lazy { RestorePolicy::Never } else { RestorePolicy::EveryCall };
        // What strategies may leave is for guests that do not look there.
        config.residue = if keep && made.allocator.is_some() { Residue::Keep } else { Residue::Scrub };
        config.memory_limit = limit * PAGE as u64;
        config.deadline = None;
        config.exchange_size = Some(EXCHANGE);
        config.trace = true;
        config.limits.log_bytes = 4_096;
        let allocator = made.allocator.is_some();
        Ok(Self { wasm: made.wasm, guest, config, calls, allocator })
    }

    pub(crate) fn told(&self) -> String {
        let residue = self.config.residue.name();
        let policy = if self.config.policy == RestorePolicy::Never { "lazy" } else { "every call" };
        let kind = if self.allocator { "allocator" } else { "plain" };
        format!("{kind}, {policy}, {residue}")
    }

    fn strategies(&self) -> Vec<RestoreStrategy> {
        use RestoreStrategy::{BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};
        let admission = self.guest.admission();
        let mut strategies = vec![Reinstantiate];
        if admission.full_copy().is_ok() {
            strategies.extend([FullCopy, DirtyCards]);
        }
        if admission.allocator_aware().is_ok() {
            strategies.extend([Watermark, BumpReset]);
        }
        strategies
    }

    /// Makes an instance. `None` where the guest cannot be initialised, or is not served by the strategy.
    pub(crate) fn instance(
        &self,
        strategy: RestoreStrategy,
        restore: Option<&dyn Fn() -> Box<dyn Restore>>,
    ) -> Result<Option<Instance>, String> {
        let mut config = self.config.clone();
        config.strategy = strategy;
        let made = match restore {
            Some(restore) => self.guest.instantiate_with(restore(), &config, MemoryState::new()),
            None => self.guest.instantiate(&config, MemoryState::new()),
        };
        match made {
            Ok(instance) => Ok(Some(instance)),
            Err(
                LoadError::Start(
                    StartError::Instantiate(_)
                    | StartError::Initialise(_)
                    | StartError::NoExchange { .. }
                    | StartError::ExchangeOutOfBounds { .. },
                )
                | LoadError::Config(ConfigError::LimitBelowMinimum { .. }),
            ) => Ok(None),
            // The strategies are those that the module admits, so what refuses one is the allocator of the instance.
            Err(LoadError::Admission(AdmissionError::Strategy { reasons, .. }))
                if reasons.iter().all(is_of_the_allocator) =>
            {
                Ok(None)
            }
            Err(error) => Err(format!("cannot be instantiated: {error}")),
        }
    }

    fn check(
        &self,
        strategy: RestoreStrategy,
        restore: Option<&dyn Fn() -> Box<dyn Restore>>,
    ) -> Result<BTreeSet<&'static str>, String> {
        let mut ends = BTreeSet::new();
        let Some(pristine) = self.instance(RestoreStrategy::Reinstantiate, None)?.map(Image::of) else {
            return match self.instance(strategy, restore)? {
                None => Ok(BTreeSet::from(["not initialised"])),
                Some(_) => Err("it can be instantiated, and a fresh one cannot".to_owned()),
            };
        };
        let Some(mut subject) = self.instance(strategy, restore)? else {
            // Only what the allocator says of itself can stand against a strategy that admission granted.
            let by_allocator = matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset);
            return if by_allocator { Ok(ends) } else { Err("it cannot be instantiated, a fresh one can".to_owned()) };
        };
        let functions = self.guest.functions();
        for (number, call) in self.calls.iter().enumerate() {
            let function = self.guest.functions()[call % functions.len()].clone();
            let told = |wrong: String| format!("call {number} of `{function}`: {wrong}");
            let Some(mut fresh) = self.instance(RestoreStrategy::Reinstantiate, None)? else {
                return Err("instantiation is not repeatable".to_owned());
            };
            let pages = subject.physical_pages();
            let tail = pages > fresh.physical_pages();
            let expected = Seen::of(&mut fresh, &function);
            let found = Seen::of(&mut subject, &function);
            ends.insert(expected.result.as_ref().map_or_else(|(kind, _)| *kind, |()| "success"));
            // Where the native stack ends depends on the compiled code, and behind the logical end of memory a restored
            // instance may have zeros where a fresh one traps.
            let by_chance = expected.is(STACK_OVERFLOW) || found.is(STACK_OVERFLOW);
            let in_the_tail = tail && expected.is("out-of-bounds");
            let comparable = !by_chance && !in_the_tail;
            if comparable {
                expected.compare(&found).map_err(told)?;
            }
            if subject.status() != Status::Ready {
                return Err(told(format!("it is {:?}", subject.status())));
            }
            if !subject.is_pristine() {
                if comparable && self.config.residue == Residue::Scrub {
                    let (expected, found) = (Image::of(fresh), Image::of_ref(&mut subject));
                    expected.compare(&found).map_err(|wrong| told(format!("before the restore: {wrong}")))?;
                }
                subject.restore().map_err(|error| told(error.to_string()))?;
            }
            if !subject.is_pristine() {
                return Err(told("it is not pristine after a restore".to_owned()));
            }
            let changed = subject.changed_tables();
            if !changed.is_empty() {
                return Err(told(format!("tables {changed:?} were changed")));
            }
            let now = Image::of_ref(&mut subject);
            let compared = match self.config.residue {
                Residue::Scrub => pristine.compare(&now),
                Residue::Keep => pristine.compare_globals(&now),
            };
            compared.map_err(|wrong| told(format!("after the restore: {wrong}")))?;
        }
        Ok(ends)
    }
}

/// What can be seen of a call.
pub(crate) struct Seen {
    pub(crate) result: Result<(), (&'static str, String)>,
    pub(crate) intents: Vec<u8>,
    log: Vec<(u32, String)>,
    pub(crate) output: Vec<u8>,
    pub(crate) trace: Vec<guest_host::TraceEntry>,
}

impl Seen {
    pub(crate) fn of(instance: &mut Instance, function: &str) -> Self {
        let (result, intents, trace) = match instance.invoke_by_name(function) {
            Ok(outcome) => (Ok(()), outcome.intent_bytes().to_vec(), outcome.trace().to_vec()),
            Err(failure) => (Err((failure.cause.kind(), failure.to_string())), Vec::new(), Vec::new()),
        };
        let log = instance.last_log().map(|(level, line)| (level as u32, line.to_owned())).collect();
        let output = instance.last_output().to_vec();
        Self { result, intents, log, output, trace }
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.result.as_ref().is_err_and(|(failed, _)| *failed == kind)
    }

    pub(crate) fn compare(&self, found: &Self) -> Result<(), String> {
        if self.result != found.result {
            return Err(format!("{:?} instead of {:?}", found.result, self.result));
        }
        if self.intents != found.intents || self.log != found.log || self.trace != found.trace {
            return Err(format!("log {:?} instead of {:?}, or intents, or crossings", found.log, self.log));
        }
        if self.output != found.output {
            return Err(format!("output {:?} instead of {:?}", found.output, self.output));
        }
        Ok(())
    }
}

/// What an instance looks like.
pub(crate) struct Image {
    memory: Vec<u8>,
    globals: Vec<(String, String)>,
}

impl Image {
    pub(crate) fn of(mut instance: Instance) -> Self {
        Self::of_ref(&mut instance)
    }

    pub(crate) fn of_ref(instance: &mut Instance) -> Self {
        let mut memory = Vec::new();
        if let Some((bytes, snapshot)) = instance.memory() {
            memory.extend_from_slice(bytes);
            // Only strategies that ask for it have this word maintained.
            if let Some(block) = snapshot.control_block()
                && let Some(word) = memory.get_mut(block.address + LOWEST_STACK..)
            {
                word[..4].fill(0);
            }
        }
        let globals = instance.globals().into_iter().map(|(name, value, _)| (name, bits(&value))).collect();
        Self { memory, globals }
    }

    /// Memory grown since may be there still, and is zero.
    pub(crate) fn compare(&self, found: &Self) -> Result<(), String> {
        let Some((same, beyond)) = found.memory.split_at_checked(self.memory.len()) else {
            return Err(format!("{} bytes of memory instead of {}", found.memory.len(), self.memory.len()));
        };
        if same != self.memory {
            let differing = same.iter().zip(&self.memory).enumerate().filter(|(_, (now, then))| now != then);
            let addresses: Vec<usize> = differing.map(|(at, _)| at).collect();
            return Err(format!("{} bytes differ, the first at {:#x}", addresses.len(), addresses[0]));
        }
        if let Some(at) = beyond.iter().position(|byte| *byte != 0) {
            return Err(format!("{:#x}, behind the memory of a fresh one, is not zero", self.memory.len() + at));
        }
        self.compare_globals(found)
    }

    fn compare_globals(&self, found: &Self) -> Result<(), String> {
        match self.globals.iter().zip(&found.globals).find(|(expected, found)| expected != found) {
            Some((expected, found)) => Err(format!("global {found:?} instead of {expected:?}")),
            None if self.globals.len() == found.globals.len() => Ok(()),
            None => Err("it has other globals".to_owned()),
        }
    }
}

/// A number's bits; of a reference only whether it is one.
fn bits(value: &Val) -> String {
    match value {
        Val::FuncRef(reference) => format!("funcref, null: {}", reference.is_none()),
        other => format!("{other:?}"),
    }
}
