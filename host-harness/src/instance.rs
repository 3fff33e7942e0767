//! An instance: invoking its functions, and keeping it pristine.

use std::fmt;
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use guest_abi::control_block::offset;
use guest_abi::{ControlBlock, ErrorCode, names};
use wasmtime::{Global, Store, Trap, TypedFunc, Val, WasmBacktrace};

use crate::admission::{check_bump_reset, check_control_block};
use crate::aligned::AlignedBytes;
use crate::call::{Call, CallLimits, HostData, LogLines, LogicalSize, visible_bytes};
use crate::error::LoadError;
use crate::failure::{Cause, Failure, InvalidData};
use crate::guest::{Compiled, Function, Guest};
use crate::module_info::ModuleInfo;
use crate::outcome::{AllocationStats, CallStats, Outcome};
use crate::policy::{Residue, RestorePolicy, RestoreStrategy};
use crate::prepare::{Barrier, CARDS_EXPORT, Prepared, SAVED_EXPORT_PREFIX};
use crate::restore::{BumpReset, DirtyCards, FullCopy, Restore, RestoreError, Restored, Target, Watermark};
use crate::snapshot::{ControlBlockAt, Handles, RegionPlan, Regions, Snapshot, reset_ranges};
use crate::state::State;
use crate::window::{self, CardMemory, memory_and_data};

/// How an [`Instance`] is made and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceConfig {
    /// How it is restored. Left to the harness by default.
    pub strategy: RestoreStrategy,
    /// When it is restored.
    pub policy: RestorePolicy,
    /// What becomes of residue.
    pub residue: Residue,
    /// Bytes of linear memory that it may have.
    pub memory_limit: u64,
    /// How long a call may take; `None` for ever.
    pub deadline: Option<Duration>,
    /// How long initialisation may take.
    pub init_deadline: Duration,
    /// Bytes of its exchange region.
    pub exchange_size: u32,
    /// Bounds on what a call may leave.
    pub limits: CallLimits,
    /// Whether [`CallStats`] include the allocator's counters and the page count, which costs some nanoseconds.
    pub count: bool,
    /// Whether calls of host functions are traced.
    pub trace: bool,
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self {
            strategy: RestoreStrategy::Auto,
            policy: RestorePolicy::default(),
            residue: Residue::default(),
            memory_limit: 128 << 20,
            deadline: Some(Duration::from_secs(1)),
            init_deadline: Duration::from_secs(10),
            exchange_size: names::DEFAULT_EXCHANGE_SIZE,
            limits: CallLimits::default(),
            count: false,
            trace: false,
        }
    }
}

/// A strategy, and why it was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The strategy; never [`RestoreStrategy::Auto`] for an instance that the harness restores.
    pub strategy: RestoreStrategy,
    /// Why, in words.
    pub reason: &'static str,
}

impl Choice {
    const RESIDUE_KEPT: Self = Self {
        strategy: RestoreStrategy::BumpReset,
        reason: "residue may be kept, and the guest's allocator can be reset",
    };
    const EVERY_BYTE: Self = Self {
        strategy: RestoreStrategy::DirtyCards,
        reason: "the guest can be restored in place, and what its stores mark costs least to put back",
    };
    const NOT_IN_PLACE: Self =
        Self { strategy: RestoreStrategy::Reinstantiate, reason: "the guest cannot be restored in place" };

    const fn asked(strategy: RestoreStrategy) -> Self {
        Self { strategy, reason: "it was asked for" }
    }

    /// What to try first for a guest.
    fn first(guest: &Guest, residue: Residue) -> Self {
        let admission = guest.admission();
        if residue == Residue::Keep && admission.allocator_aware().is_ok() {
            Self::RESIDUE_KEPT
        } else if admission.full_copy().is_ok() {
            Self::EVERY_BYTE
        } else {
            Self::NOT_IN_PLACE
        }
    }
}

/// Whether an instance may be invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It may.
    Ready,
    /// A call is under way.
    Running,
    /// A call or a restore did not come to its end. It is replaced before the next call.
    Poisoned,
}

/// A guest in memory, with its snapshot.
#[derive(Debug)]
pub struct Instance {
    guest: Guest,
    /// With the strategy that was picked, where that was left open.
    config: InstanceConfig,
    choice: Choice,
    mechanism: Mechanism,
    /// The guest's module as it is prepared for the mechanism.
    compiled: Arc<Compiled>,
    /// Ticks of the engine's clock that a call may take.
    deadline_ticks: u64,
    /// Whether the engine counts instructions.
    fuel: bool,
    status: Status,
    /// Whether nothing was called since it was made or restored.
    pristine: bool,
    /// `None` only while the instance is being replaced, or after that failed.
    live: Option<Live>,
    /// The state, while there is no live instance to hold it.
    orphan: Option<Box<HostData>>,
    /// Figures of the last call, also of one that failed.
    last_stats: CallStats,
}

/// How the instance returns to its snapshot.
#[derive(Debug)]
enum Mechanism {
    Replace,
    InPlace {
        restore: Box<dyn Restore>,
        /// Whether calls go through the entrances that put globals back, which is one of the harness's own ways.
        entrances: bool,
    },
}

/// What exists of an instance in the engine.
struct Live {
    store: Store<HostData>,
    instance: wasmtime::Instance,
    handles: Handles,
    snapshot: Snapshot,
    /// Resolved when first invoked.
    functions: Vec<Option<TypedFunc<(), i64>>>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("handles", &self.handles).finish_non_exhaustive()
    }
}

/// Bytes that a 32-bit memory can have.
const MOST_BYTES: u64 = 1 << 32;

/// Ticks that never pass.
const NO_DEADLINE: u64 = u64::MAX >> 1;

impl Guest {
    /// Makes an instance that reads `state`, initialises it and takes its snapshot.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be instantiated or initialised, or not be restored by the strategy.
    pub fn instantiate(&self, config: &InstanceConfig, state: impl State + 'static) -> Result<Instance, LoadError> {
        let choice = match config.strategy {
            RestoreStrategy::Auto => Choice::first(self, config.residue),
            asked => Choice::asked(asked),
        };
        let (mechanism, compiled) = self.mechanism(choice.strategy, config)?;
        let mut instance = self.unborn(mechanism, compiled, choice, config, Box::new(state))?;
        match instance.replace() {
            // Which allocator keeps the control block shows only in an instance.
            Err(LoadError::Allocator { .. }) if config.strategy == RestoreStrategy::Auto => {
                instance.choice = Choice::EVERY_BYTE;
                instance.config.strategy = instance.choice.strategy;
                (instance.mechanism, instance.compiled) = self.mechanism(instance.choice.strategy, config)?;
                instance.replace()?;
            }
            made => made?,
        }
        Ok(instance)
    }

    /// How a strategy restores, and the module prepared for it.
    fn mechanism(
        &self,
        strategy: RestoreStrategy,
        config: &InstanceConfig,
    ) -> Result<(Mechanism, Arc<Compiled>), LoadError> {
        let admission = self.admission();
        let refuse = |reasons| LoadError::Strategy { strategy: strategy.name(), reasons };
        let entrances = config.policy == RestorePolicy::EveryCall
            && !self.engine().config().fuel
            && !self.prepared().entrances.is_empty();
        let own = |restore| Mechanism::InPlace { restore, entrances };
        let mechanism = match strategy {
            RestoreStrategy::Auto | RestoreStrategy::Reinstantiate => Mechanism::Replace,
            RestoreStrategy::FullCopy => {
                admission.full_copy().map_err(refuse)?;
                own(Box::new(FullCopy))
            }
            RestoreStrategy::DirtyCards => {
                admission.full_copy().map_err(refuse)?;
                let compiled = self.marking()?;
                let mechanism = match &compiled.prepared.barrier {
                    Some(barrier) => own(Box::new(DirtyCards::new(barrier.clone()))),
                    // Admission refuses every module that has no barrier.
                    None => Mechanism::Replace,
                };
                return Ok((mechanism, compiled));
            }
            RestoreStrategy::Watermark => {
                admission.allocator_aware().map_err(refuse)?;
                own(Box::new(Watermark))
            }
            RestoreStrategy::BumpReset => {
                admission.allocator_aware().map_err(refuse)?;
                own(Box::new(BumpReset))
            }
        };
        Ok((mechanism, self.plain()))
    }

    /// Makes an instance that is restored by a strategy of the embedder's own; `config.strategy` means nothing then.
    ///
    /// # Errors
    /// As for [`Guest::instantiate`].
    pub fn instantiate_with(
        &self,
        restore: Box<dyn Restore>,
        config: &InstanceConfig,
        state: impl State + 'static,
    ) -> Result<Instance, LoadError> {
        self.admission().full_copy().map_err(|reasons| LoadError::Strategy { strategy: "custom", reasons })?;
        let mechanism = Mechanism::InPlace { restore, entrances: false };
        let choice = Choice::asked(config.strategy);
        let mut instance = self.unborn(mechanism, self.plain(), choice, config, Box::new(state))?;
        instance.replace()?;
        Ok(instance)
    }

    /// An instance that is still to be made, in the place of none.
    fn unborn(
        &self,
        mechanism: Mechanism,
        compiled: Arc<Compiled>,
        choice: Choice,
        config: &InstanceConfig,
        state: Box<dyn State>,
    ) -> Result<Instance, LoadError> {
        let minimum =
            self.info().memories.first().map_or(0, |memory| memory.ty.minimum.saturating_mul(names::PAGE_SIZE.into()));
        if config.memory_limit < minimum {
            return Err(LoadError::LimitBelowMinimum { limit: config.memory_limit, minimum });
        }
        let data = host_data(config, state);
        Ok(Instance {
            guest: self.clone(),
            config: InstanceConfig { strategy: choice.strategy, ..config.clone() },
            choice,
            mechanism,
            compiled,
            deadline_ticks: config.deadline.map_or(NO_DEADLINE, |deadline| self.engine().ticks(deadline)),
            fuel: self.engine().config().fuel,
            status: Status::Poisoned,
            pristine: false,
            live: None,
            orphan: Some(Box::new(data)),
            last_stats: CallStats::default(),
        })
    }
}

/// What the host functions of an instance work on.
fn host_data(config: &InstanceConfig, state: Box<dyn State>) -> HostData {
    let limit = usize::try_from(config.memory_limit).unwrap_or(usize::MAX);
    HostData::new(state, limit, config.limits, config.trace)
}

impl Instance {
    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// How the instance was configured.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Whether it may be invoked.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The strategy that was asked for or picked, and why.
    #[must_use]
    pub fn strategy(&self) -> Choice {
        self.choice
    }

    /// Whether the guest is as its snapshot has it. Under a lazy policy it is not after a call that was not followed by a
    /// restore.
    #[must_use]
    pub fn is_pristine(&self) -> bool {
        self.status == Status::Ready && self.pristine
    }

    /// Name of the strategy by which it is restored.
    #[must_use]
    pub fn strategy_name(&self) -> &str {
        match &self.mechanism {
            Mechanism::Replace => RestoreStrategy::Reinstantiate.name(),
            Mechanism::InPlace { restore, .. } => restore.name(),
        }
    }

    /// The strategy, where it restores in place.
    pub(crate) fn in_place(&self) -> Option<&dyn Restore> {
        match &self.mechanism {
            Mechanism::Replace => None,
            Mechanism::InPlace { restore, .. } => Some(restore.as_ref()),
        }
    }

    /// Lets the guest read another state from now on; what it read before is dropped. The snapshot stays as it is: what
    /// the guest made of the earlier state while it was initialised remains.
    pub fn set_state(&mut self, state: impl State + 'static) {
        match (&mut self.live, &mut self.orphan) {
            (Some(live), _) => live.store.data_mut().state = Box::new(state),
            (None, Some(orphan)) => orphan.state = Box::new(state),
            // It went down with a panic of the embedder's own code: the instance can be made again with this one.
            (None, None) => self.orphan = Some(Box::new(host_data(&self.config, Box::new(state)))),
        }
    }

    /// The state that the guest reads.
    pub fn state_mut(&mut self) -> Option<&mut dyn State> {
        let data = match (&mut self.live, &mut self.orphan) {
            (Some(live), _) => live.store.data_mut(),
            (None, Some(orphan)) => orphan.as_mut(),
            (None, None) => return None,
        };
        Some(data.state.as_mut())
    }

    /// Pages of 64 KiB that its memory physically has.
    #[must_use]
    pub fn physical_pages(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.handles.memory.size(&live.store))
    }

    /// The instance's memory as it is now, and its snapshot.
    #[must_use]
    pub fn memory(&self) -> Option<(&[u8], &Snapshot)> {
        self.live.as_ref().map(|live| (live.handles.memory.data(&live.store), &live.snapshot))
    }

    /// The mutable globals as they are now: name, value, and the value in the snapshot.
    pub fn globals(&mut self) -> Vec<(String, Val, Val)> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        let Live { store, handles, snapshot, .. } = live;
        let globals = handles.globals.iter().zip(&snapshot.globals);
        globals.map(|((name, global), saved)| (name.clone(), global.get(&mut *store), *saved)).collect()
    }

    /// Figures of the last call, also of one that failed.
    #[must_use]
    pub fn last_stats(&self) -> &CallStats {
        &self.last_stats
    }

    /// What the last call left with the host, also one that failed.
    pub(crate) fn last_call(&self) -> Option<&Call> {
        let orphan = self.orphan.as_ref().map(|data| &data.call);
        self.live.as_ref().map(|live| &live.store.data().call).or(orphan)
    }

    /// The log lines of the last call, whether it succeeded or failed, until the next call. Of a call that was tried
    /// again they are those of the second try; there are none before the first call, and of a call for which there was
    /// no instance.
    ///
    /// They are what a failed call leaves besides its [`Failure`]: its intents are never handed out.
    #[must_use]
    pub fn last_log(&self) -> LogLines<'_> {
        self.last_call().map(Call::log).unwrap_or_default()
    }

    /// Log lines of the last call, also of one that failed, that were cut off or dropped because it logged more than it
    /// may.
    #[must_use]
    pub fn last_log_dropped(&self) -> u64 {
        self.last_call().map_or(0, Call::log_dropped)
    }

    /// Names of the tables whose elements differ from the snapshot.
    pub fn changed_tables(&mut self) -> Vec<String> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        let now = live.handles.table_images(&mut live.store);
        let tables = live.handles.tables.iter().zip(now.iter().zip(&live.snapshot.tables));
        tables.filter(|(_, (now, saved))| now != saved).map(|((name, _), _)| name.clone()).collect()
    }

    /// Invokes the function of this name. See [`Instance::invoke`].
    ///
    /// # Errors
    /// As for [`Instance::invoke`], and [`Cause::MissingExport`].
    pub fn invoke_by_name(&mut self, name: &str) -> Result<Outcome<'_>, Failure> {
        let function = self.guest.function(name).map_err(|cause| Failure {
            function: name.to_owned(),
            cause,
            backtrace: Vec::new(),
            retried: false,
        })?;
        self.invoke(function)
    }

    /// Invokes a function: arms the deadline, calls, collects the outcome and applies the restore policy.
    ///
    /// After a failure the instance is restored whatever the policy. A call that ran out of memory under a lazy
    /// policy is tried once more on the restored instance, since extensions are pure.
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    pub fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        let mut called = self.attempt(function, false);
        if let Err(failed) = &called
            && self.config.policy.is_lazy()
            && matches!(failed.cause, Cause::OutOfMemory { .. })
            && self.status == Status::Ready
        {
            called = self.attempt(function, true);
        }
        match (called, &self.live) {
            (Ok(()), Some(live)) => Ok(Outcome { call: &live.store.data().call, stats: &self.last_stats }),
            (Ok(()), None) => Err(self.failure(function, *Failed::boxed(not_restorable("it was lost")))),
            (Err(failed), _) => Err(self.failure(function, *failed)),
        }
    }

    #[cold]
    fn failure(&self, function: Function, failed: Failed) -> Failure {
        let function = self.guest.function_name(function).to_owned();
        Failure { function, cause: failed.cause, backtrace: failed.backtrace, retried: self.last_stats.retried }
    }

    /// One call and the restore that follows it.
    fn attempt(&mut self, function: Function, retried: bool) -> Result<(), Box<Failed>> {
        self.last_stats.begin(retried);
        if self.status != Status::Ready
            && let Err(error) = self.replace()
        {
            // The log lines of the call before are not this one's.
            if let Some(data) = &mut self.orphan {
                data.call.begin();
            }
            return Err(Failed::boxed(not_restorable(error)));
        }
        self.status = Status::Running;
        let called = self.call(function);
        let restore = called.is_err() || self.config.policy == RestorePolicy::EveryCall || self.wants_restore();
        self.status = Status::Poisoned;
        if restore {
            let globals_restored = called.is_ok() && self.uses_entrances();
            if let Some(restored) = self.restore_in_place(globals_restored) {
                self.last_stats.restored_bytes = Some(restored.bytes);
            } else if let Err(error) = self.replace()
                && called.is_ok()
            {
                // Where the call itself failed, what it failed of is the better reason.
                return Err(Failed::boxed(not_restorable(error)));
            }
        } else {
            if let Some(live) = &mut self.live {
                live.forget_refused_request();
            }
            self.status = Status::Ready;
            self.pristine = false;
        }
        called
    }

    /// Whether calls go through entrances that put the guest's own globals back.
    fn uses_entrances(&self) -> bool {
        matches!(self.mechanism, Mechanism::InPlace { entrances: true, .. })
    }

    /// Whether the policy asks for a restore after a call that succeeded.
    fn wants_restore(&mut self) -> bool {
        match self.config.policy {
            RestorePolicy::EveryCall => true,
            RestorePolicy::OnError | RestorePolicy::Never => false,
            RestorePolicy::OnHeapAbove(bytes) => self.live.as_mut().is_none_or(|live| live.heap_in_use() > bytes),
        }
    }

    fn call(&mut self, function: Function) -> Result<(), Box<Failed>> {
        let entrances = self.uses_entrances();
        let stats = &mut self.last_stats;
        let Some(live) = &mut self.live else {
            return Err(Failed::boxed(not_restorable("it was lost")));
        };
        if !matches!(live.functions.get(function.index), Some(Some(_))) {
            let name = self.guest.function_name(function);
            let entrance =
                self.compiled.prepared.entrances.iter().find(|entrance| entrances && entrance.function == name);
            live.resolve(entrance.map_or(name, |entrance| &entrance.export_name), function)?;
        }
        let data = live.store.data_mut();
        data.call.begin();
        data.limiter.begin_call();
        live.store.set_epoch_deadline(self.deadline_ticks);
        let counting = self.config.count;
        let before = if counting { live.control_block() } else { None };
        let fuel = self.fuel;
        if fuel {
            // Cannot fail: the engine was configured to count.
            let _ = live.store.set_fuel(u64::MAX);
        }
        // Not cloned: a clone of a typed function counts its type's references, which costs more than the call.
        let called = match &live.functions[function.index] {
            Some(typed) => typed.call(&mut live.store, ()),
            None => return Err(Failed::boxed(not_restorable("its function was lost"))),
        };
        if fuel {
            stats.instructions = live.store.get_fuel().ok().map(|left| u64::MAX - left);
        }
        if counting {
            let after = live.control_block();
            let counted = before.zip(after).filter(|(_, after)| after.image.counts());
            stats.allocations = counted.map(|(before, after)| AllocationStats::between(&before.image, &after.image));
            stats.pages = live.handles.memory.size(&live.store);
        }
        stats.crossings = live.store.data().call.crossings;
        match called {
            Ok(packed) => live.collect(packed),
            Err(error) => Err(live.classify(&error, &self.guest, &self.config)),
        }
    }

    /// Restores the instance now, whatever the policy. `None` when it was replaced rather than restored in place.
    ///
    /// # Errors
    /// [`LoadError`] when it could neither be restored nor replaced; the next call tries to replace it again.
    pub fn restore(&mut self) -> Result<Option<Restored>, LoadError> {
        match self.restore_in_place(false) {
            Some(restored) => Ok(Some(restored)),
            None => self.replace().map(|()| None),
        }
    }

    /// Restores the instance, unless it has to be replaced; `globals_restored` says that the guest's own globals are
    /// back already.
    #[inline]
    fn restore_in_place(&mut self, globals_restored: bool) -> Option<Restored> {
        self.status = Status::Poisoned;
        let (Mechanism::InPlace { restore, .. }, Some(live)) = (&mut self.mechanism, &mut self.live) else {
            return None;
        };
        let mut target = Target {
            store: &mut live.store,
            handles: &live.handles,
            snapshot: &live.snapshot,
            residue: self.config.residue,
            globals_restored,
        };
        let restored = restore.restore(&mut target).ok()?;
        self.status = Status::Ready;
        self.pristine = true;
        Some(restored)
    }

    /// Makes a new instance in the place of the old one.
    fn replace(&mut self) -> Result<(), LoadError> {
        self.status = Status::Poisoned;
        let mut data = match (self.live.take(), self.orphan.take()) {
            (Some(live), _) => window::into_data(live.store),
            (None, Some(orphan)) => *orphan,
            // The state went down with a panic of the embedder's own code.
            (None, None) => return Err(LoadError::Instantiate("its state was lost".to_owned())),
        };
        // The last call's outcome outlives the instance that it came from.
        let last_call = std::mem::take(&mut data.call);
        let mut store = Store::new(self.guest.engine().wasmtime(), data);
        let in_place = matches!(self.mechanism, Mechanism::InPlace { .. });
        let started = Live::start(&self.guest, &self.compiled, &self.config, in_place, &mut store);
        store.data_mut().call = last_call;
        match started {
            Ok((instance, handles, snapshot)) => {
                let functions = vec![None; self.guest.functions().len()];
                self.live = Some(Live { store, instance, handles, snapshot, functions });
                self.status = Status::Ready;
                self.pristine = true;
                Ok(())
            }
            Err(error) => {
                self.orphan = Some(Box::new(window::into_data(store)));
                Err(error)
            }
        }
    }
}

fn not_restorable(reason: impl ToString) -> Cause {
    Cause::NotRestorable { reasons: vec![reason.to_string()] }
}

/// A call that failed, before it is given its function's name.
struct Failed {
    cause: Cause,
    backtrace: Vec<String>,
}

impl Failed {
    /// Boxed, as a large error would be copied around for every call that succeeds.
    #[cold]
    fn boxed(cause: Cause) -> Box<Self> {
        Box::new(Self { cause, backtrace: Vec::new() })
    }
}

impl Live {
    /// Instantiates, initialises and takes the snapshot.
    fn start(
        guest: &Guest,
        compiled: &Compiled,
        config: &InstanceConfig,
        in_place: bool,
        store: &mut Store<HostData>,
    ) -> Result<(wasmtime::Instance, Handles, Snapshot), LoadError> {
        store.data_mut().logical = None;
        store.data_mut().call.begin();
        store.data_mut().limiter.begin_call();
        store.limiter(|data| &mut data.limiter);
        store.set_epoch_deadline(guest.engine().ticks(config.init_deadline));
        if guest.engine().config().fuel {
            store.set_fuel(u64::MAX).map_err(LoadError::engine)?;
        }
        let barrier = compiled.prepared.barrier.as_ref();
        store.data_mut().limiter.grant_card_table(barrier.map(Barrier::table_size));
        let instantiated = compiled.pre.instantiate(&mut *store);
        store.data_mut().limiter.grant_card_table(None);
        let instance = instantiated.map_err(|error| LoadError::Instantiate(format!("{error:#}")))?;
        let handles = handles(guest, &compiled.prepared, &instance, store)?;
        window::open(store, handles.memory, handles.cards);
        let logical_pages = handles.logical_pages.map(|index| handles.globals[index].1);
        store.data_mut().logical = logical_pages.map(|pages| LogicalSize { pages, certain: 0 });
        let exchange = initialise(guest, config, &instance, &handles, store)?;
        let snapshot = take_snapshot(guest, config, in_place, &handles, exchange, store)?;
        if let Some((memory, _)) = memory_and_data(store)
            && let (memory, Some(cards)) = memory.into_parts()
        {
            cards.clear(memory.len());
        }
        Ok((instance, handles, snapshot))
    }

    #[cold]
    fn resolve(&mut self, name: &str, function: Function) -> Result<(), Box<Failed>> {
        let typed = self
            .instance
            .get_typed_func(&mut self.store, name)
            .map_err(|_| Failed::boxed(Cause::missing_export(name, &[])))?;
        if let Some(slot) = self.functions.get_mut(function.index) {
            *slot = Some(typed);
        }
        Ok(())
    }

    fn control_block(&mut self) -> Option<ControlBlockAt> {
        let address = self.snapshot.control_block?.address;
        let (memory, _) = memory_and_data(&mut self.store)?;
        ControlBlockAt::read(memory.read(), address).ok()
    }

    /// Takes note that the guest went on without the memory that it could not have, so that a later call which fails
    /// for another reason does not seem to have failed for this one.
    fn forget_refused_request(&mut self) {
        if let Some(block) = self.snapshot.control_block.as_ref()
            && let Some((mut memory, _)) = memory_and_data(&mut self.store)
        {
            let words = refused_request(block.address);
            if words.end <= memory.len() {
                memory.write(words).fill(0);
            }
        }
    }

    /// Bytes of heap in use: what the allocator says, or where it says nothing all memory above the statics.
    fn heap_in_use(&mut self) -> u64 {
        match self.control_block() {
            Some(block) => block.image.top.saturating_sub(block.image.heap_base).into(),
            None => {
                let size = self.handles.memory.data_size(&self.store);
                size.saturating_sub(self.snapshot.regions.statics().end) as u64
            }
        }
    }

    /// Takes over what a function that returned has left.
    fn collect(&mut self, packed: i64) -> Result<(), Box<Failed>> {
        let call = &self.store.data().call;
        if packed == 0 && call.error_code.is_none() && call.intents.is_empty() {
            return Ok(());
        }
        let physical = memory_and_data(&mut self.store).map_or(0, |(memory, _)| memory.len());
        let visible = visible_bytes(physical, &mut self.store);
        let Some((memory, data)) = memory_and_data(&mut self.store) else {
            return Err(Failed::boxed(not_restorable("its memory was lost")));
        };
        let memory = &memory.read()[..visible];
        match (data.call.error_code, packed) {
            (Some(code), names::RESULT_FAILED) => {
                let message = std::mem::take(&mut data.call.error_message);
                return Err(Failed::boxed(Cause::GuestError { code: ErrorCode::from_number(code), message }));
            }
            (Some(_), _) => return Err(Failed::boxed(Cause::InvalidGuestData(InvalidData::ErrorWithoutFailure))),
            (None, names::RESULT_FAILED) => {
                return Err(Failed::boxed(Cause::InvalidGuestData(InvalidData::FailureWithoutError)));
            }
            (None, _) => {}
        }
        if packed != 0 {
            let (address, length) = names::unpack(packed);
            data.append_intents(memory, address, length).map_err(|fault| Failed::boxed(fault.into()))?;
        }
        if !data.call.intents.is_empty() {
            guest_abi::intent::validate(&data.call.intents).map_err(|error| {
                Failed::boxed(Cause::InvalidGuestData(InvalidData::Wire { what: "intents", error }))
            })?;
        }
        Ok(())
    }

    /// Finds out why a call trapped.
    #[cold]
    fn classify(&mut self, error: &wasmtime::Error, guest: &Guest, config: &InstanceConfig) -> Box<Failed> {
        let backtrace = error.downcast_ref().map_or_else(Vec::new, |found| symbols(found, guest.info()));
        let fault = self.store.data_mut().call.fault.take();
        let cause = match (fault, error.downcast_ref::<Trap>()) {
            (Some(fault), _) => match Cause::from(fault) {
                panic @ Cause::Panic { .. } => self.out_of_memory(config).unwrap_or(panic),
                other => other,
            },
            (None, Some(trap)) => self.classify_trap(*trap, config),
            (None, None) => Cause::Engine(format!("{error:#}")),
        };
        Box::new(Failed { cause, backtrace })
    }

    fn classify_trap(&mut self, trap: Trap, config: &InstanceConfig) -> Cause {
        match trap {
            Trap::Interrupt => Cause::DeadlineExceeded { deadline: config.deadline.unwrap_or(Duration::MAX) },
            Trap::StackOverflow => Cause::StackOverflow,
            // The shadow stack grows down to address 0, and what lies below wraps around to the end of memory.
            Trap::MemoryOutOfBounds if self.shadow_stack_overflowed() => Cause::StackOverflow,
            Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => Cause::OutOfBounds { what: trap.to_string() },
            Trap::UnreachableCodeReached => self.out_of_memory(config).unwrap_or(Cause::Unreachable),
            trap => Cause::Trap { trap },
        }
    }

    fn shadow_stack_overflowed(&mut self) -> bool {
        let Some(index) = self.handles.stack_pointer else {
            return false;
        };
        let now = self.handles.globals[index].1.get(&mut self.store);
        match (now, &self.snapshot.globals[index]) {
            (Val::I32(now), Val::I32(saved)) => now.cast_unsigned() > saved.cast_unsigned(),
            _ => false,
        }
    }

    /// Whether the guest gave up because it could not have the memory that it asked for.
    fn out_of_memory(&mut self, config: &InstanceConfig) -> Option<Cause> {
        let in_use = self.logical_bytes();
        let requested = match self.control_block() {
            // What an earlier call could not have was forgotten when that call succeeded.
            Some(block) => (block.image.failed_size != 0).then_some(block.image.failed_size.into()),
            None => None,
        };
        let physical = self.handles.memory.data_size(&self.store);
        let refused = self.store.data().limiter.refused().map(|size| match size > physical {
            true => size as u64 - in_use,
            // The engine did not say how much it was. It was more than any memory can have.
            false => MOST_BYTES + u64::from(names::PAGE_SIZE) - in_use,
        });
        let requested = requested.or(refused.filter(|_| self.snapshot.control_block.is_none()))?;
        Some(Cause::OutOfMemory { requested, in_use, limit: config.memory_limit })
    }

    /// Bytes of memory that the guest sees.
    fn logical_bytes(&mut self) -> u64 {
        self.handles.logical_size(&mut self.store) as u64
    }
}

/// Names of the guest's own functions on the stack, those of the preparation left out.
fn symbols(backtrace: &WasmBacktrace, info: &ModuleInfo) -> Vec<String> {
    let own = backtrace.frames().iter().map(wasmtime::FrameInfo::func_index).filter(|index| *index < info.functions());
    own.map(|index| format!("{:#}", rustc_demangle::demangle(&info.function_name(index)))).collect()
}

/// Finds the parts of an instance that a restore reaches.
fn handles(
    guest: &Guest,
    prepared: &Prepared,
    instance: &wasmtime::Instance,
    store: &mut Store<HostData>,
) -> Result<Handles, LoadError> {
    let missing = |what: &str| LoadError::Instantiate(format!("the instance has no {what}"));
    let memory_name = guest.info().memory_export().ok_or_else(|| missing("exported memory"))?;
    let memory = instance.get_memory(&mut *store, memory_name).ok_or_else(|| missing("memory"))?;
    let mut globals: Vec<(String, Global)> = Vec::new();
    let stack_pointer_global =
        guest.admission().layout.as_ref().and_then(|layout| layout.stack_pointer.as_ref()).map(|found| found.global);
    let mut stack_pointer = None;
    let mut saved = Vec::new();
    for exported in &prepared.globals {
        let name = &exported.export_name;
        let global = instance.get_global(&mut *store, name).ok_or_else(|| missing(name))?;
        if stack_pointer_global == Some(exported.index) {
            stack_pointer = Some(globals.len());
        }
        let named = guest.info().globals.get(exported.index as usize).and_then(|global| global.name.clone());
        globals.push((named.unwrap_or_else(|| name.clone()), global));
        if !prepared.entrances.is_empty() {
            let name = format!("{SAVED_EXPORT_PREFIX}{}", exported.index);
            saved.push(instance.get_global(&mut *store, &name).ok_or_else(|| missing(&name))?);
        }
    }
    let mut logical_pages = None;
    if let Some(name) = prepared.logical_pages_export {
        let global = instance.get_global(&mut *store, name).ok_or_else(|| missing(name))?;
        logical_pages = Some(globals.len());
        globals.push((name.to_owned(), global));
    }
    let exports: Vec<String> = guest.info().exports.iter().map(|export| export.name.clone()).collect();
    let tables = exports
        .into_iter()
        .filter_map(|name| instance.get_table(&mut *store, &name).map(|table| (name, table)))
        .collect();
    let mut cards = None;
    if let Some(barrier) = &prepared.barrier {
        let memory = instance.get_memory(&mut *store, CARDS_EXPORT).ok_or_else(|| missing(CARDS_EXPORT))?;
        cards = Some(CardMemory { memory, shift: barrier.card_size.ilog2(), deepest: barrier.deepest as usize });
    }
    Ok(Handles { memory, cards, globals, saved, stack_pointer, logical_pages, tables })
}

/// Runs what the contract wants run before the snapshot and returns the exchange region.
fn initialise(
    guest: &Guest,
    config: &InstanceConfig,
    instance: &wasmtime::Instance,
    handles: &Handles,
    store: &mut Store<HostData>,
) -> Result<std::ops::Range<usize>, LoadError> {
    if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, names::EXPORT_INITIALIZE) {
        initialize
            .call(&mut *store, ())
            .map_err(|error| init_failure(names::EXPORT_INITIALIZE, &error, guest, store))?;
    }
    if let Ok(init) = instance.get_typed_func::<(), i32>(&mut *store, names::EXPORT_INIT) {
        let result =
            init.call(&mut *store, ()).map_err(|error| init_failure(names::EXPORT_INIT, &error, guest, store))?;
        if result != 0 {
            let call = &mut store.data_mut().call;
            let cause = match call.error_code {
                Some(code) => Cause::GuestError {
                    code: ErrorCode::from_number(code),
                    message: std::mem::take(&mut call.error_message),
                },
                None => Cause::InvalidGuestData(InvalidData::FailureWithoutError),
            };
            return Err(initialise_error(names::EXPORT_INIT, cause, Vec::new()));
        }
    }
    let Ok(exchange) = instance.get_typed_func::<i32, i32>(&mut *store, names::EXPORT_EXCHANGE) else {
        return Ok(0..0);
    };
    let size = config.exchange_size;
    let address = exchange
        .call(&mut *store, size.cast_signed())
        .map_err(|error| init_failure(names::EXPORT_EXCHANGE, &error, guest, store))?
        .cast_unsigned();
    if address == 0 {
        return Err(LoadError::Exchange { size });
    }
    let end = address as usize + size as usize;
    if end > handles.memory.data_size(&*store) {
        return Err(LoadError::ExchangeOutOfMemory { size, address });
    }
    Ok(address as usize..end)
}

fn initialise_error(function: &str, cause: Cause, backtrace: Vec<String>) -> LoadError {
    LoadError::Initialise(Box::new(Failure { function: function.to_owned(), cause, backtrace, retried: false }))
}

#[cold]
fn init_failure(function: &str, error: &wasmtime::Error, guest: &Guest, store: &mut Store<HostData>) -> LoadError {
    let backtrace = error.downcast_ref().map_or_else(Vec::new, |found| symbols(found, guest.info()));
    let cause = match (store.data_mut().call.fault.take(), error.downcast_ref::<Trap>()) {
        (Some(fault), _) => fault.into(),
        (None, Some(Trap::UnreachableCodeReached)) => Cause::Unreachable,
        (None, Some(Trap::StackOverflow)) => Cause::StackOverflow,
        (None, Some(trap)) => Cause::Trap { trap: *trap },
        (None, None) => Cause::Engine(format!("{error:#}")),
    };
    initialise_error(function, cause, backtrace)
}

/// Sets the reset mark and saves everything that a restore puts back.
fn take_snapshot(
    guest: &Guest,
    config: &InstanceConfig,
    in_place: bool,
    handles: &Handles,
    exchange: std::ops::Range<usize>,
    store: &mut Store<HostData>,
) -> Result<Snapshot, LoadError> {
    let admission = guest.admission();
    let memory = handles.memory.data_mut(&mut *store);
    let mut control_block = None;
    if let Some(address) = admission.control_block.map(|address| address as usize) {
        if let Ok(block) = ControlBlockAt::read(memory, address)
            && block.image.allocator() == Some(guest_abi::AllocatorKind::BumpReset)
        {
            let at = address + offset::MARK;
            memory[at..at + 4].copy_from_slice(&block.image.top.to_le_bytes());
        }
        if ControlBlockAt::read(memory, address).is_ok() {
            memory[refused_request(address)].fill(0);
        }
        control_block = ControlBlockAt::read(memory, address).ok();
    }
    if matches!(config.strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset) {
        check_allocator(guest, config.strategy, memory)?;
    }
    let size = memory.len();
    // An instance that is replaced needs no copy of its memory, and making one would cost more than the rest.
    let memory = AlignedBytes::copy_of(if in_place { memory } else { &[] });
    let (shadow_stack, statics) = match &admission.layout {
        Some(layout) => {
            let range = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
            (layout.stack.as_ref().map_or(0..0, range), range(&layout.statics))
        }
        None => (0..0, 0..size),
    };
    let heap_end = control_block.map_or(statics.end, |block| block.image.effective_high_water() as usize);
    let plan = RegionPlan {
        snapshot_heap: statics.end..heap_end.max(statics.end),
        shadow_stack,
        statics,
        control_block: control_block.map(|block| block.address),
        exchange,
        memory: size,
    };
    if let Some(logical) = &mut store.data_mut().logical {
        // Only a restore puts the logical size below the physical one, and never below that of the snapshot.
        logical.certain = size;
    }
    let globals: Vec<Val> = handles.globals.iter().map(|(_, global)| global.get(&mut *store)).collect();
    for (saved, value) in handles.saved.iter().zip(&globals) {
        saved.set(&mut *store, *value).map_err(LoadError::engine)?;
    }
    let regions = Regions::new(plan);
    let mark = control_block.map_or(0, |block| block.image.top as usize).min(size);
    Ok(Snapshot {
        reset: reset_ranges(&regions, mark),
        regions,
        globals,
        tables: if in_place { handles.table_images(&mut *store) } else { Vec::new() },
        memory,
        control_block,
    })
}

/// Where the control block at `address` has the request that could not be served.
fn refused_request(address: usize) -> std::ops::Range<usize> {
    address + offset_of!(ControlBlock, failed_size)..address + offset_of!(ControlBlock, failed_align) + 4
}

/// Whether the allocator that was found supports the strategy.
fn check_allocator(guest: &Guest, strategy: RestoreStrategy, memory: &[u8]) -> Result<(), LoadError> {
    let refuse = |reason| LoadError::Allocator { strategy: strategy.name(), reason };
    let (Some(layout), Some(address)) = (&guest.admission().layout, guest.admission().control_block) else {
        return Ok(());
    };
    let bytes = memory.get(address as usize..).unwrap_or_default();
    let image = guest_abi::ControlBlockImage::parse(bytes);
    let size = memory.len() as u64;
    match strategy {
        RestoreStrategy::BumpReset => check_bump_reset(image, layout, size).map_err(refuse),
        _ => check_control_block(image, layout, size).map(drop).map_err(refuse),
    }
}

impl From<RestoreError> for LoadError {
    fn from(error: RestoreError) -> Self {
        Self::Instantiate(error.to_string())
    }
}
