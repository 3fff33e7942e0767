//! A call of a function of numbers by an embedder that places the arguments and takes the results itself.

use std::ops::Range;

use wasmtime::{Store, ValRaw};

use super::Instance;
use super::invoke::{Body, lost};
use super::live::{Live, UnnamedFailure};
use crate::contract::{CallError, Callable, Data, Numbers};
use crate::failure::{Failure, Fault, InvalidData};
use crate::guest::{Function, Guest};
use crate::host::data::visible_bytes;
use crate::host::memory_location::memory_and_data;
use crate::spans::span;

/// A call under way: the guest's memory, and the function that was asked for.
///
/// See [`Instance::call_with`].
#[derive(Debug)]
pub struct GuestCall<'a> {
    live: &'a mut Live,
    guest: &'a Guest,
    function: Function,
    /// Whether the function was called.
    called: bool,
    /// Whether the function's own callable is an entrance, which puts globals back.
    enters: bool,
    /// Whether globals are as the snapshot has them.
    globals_restored: &'a mut bool,
    /// Whether a call of the guest failed.
    failed: bool,
}

/// Why a call did not come to its end. [`Instance::call_with`] makes a [`Failure`] of it.
#[derive(Debug)]
pub struct GuestCallError(Box<CallError>);

impl GuestCallError {
    /// That the guest left something that is not as it has to be, for instance a result that is not of its type.
    #[must_use]
    #[cold]
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::fault(Fault::InvalidGuestData(InvalidData::Function { what: what.into() }))
    }

    /// That the guest could not allocate memory for the host.
    #[must_use]
    #[cold]
    pub fn out_of_memory(requested: u64) -> Self {
        Self::fault(Fault::OutOfMemory { requested })
    }

    /// That the arguments do not fit the exchange region.
    #[must_use]
    #[cold]
    pub fn arguments_too_large(needed: u64, available: u64) -> Self {
        Self::fault(Fault::ArgumentsTooLarge { needed, available })
    }

    /// Whether the function returned and has reported an error of its own.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        matches!(&*self.0, CallError::Failed(fault) if matches!(**fault, Fault::Guest { .. }))
    }

    #[cfg(feature = "async")]
    pub(super) fn into_inner(self) -> CallError {
        *self.0
    }

    pub(super) fn fault(fault: Fault) -> Self {
        Self(Box::new(CallError::Failed(Box::new(fault))))
    }
}

impl From<CallError> for GuestCallError {
    #[cold]
    fn from(error: CallError) -> Self {
        Self(Box::new(error))
    }
}

impl GuestCall<'_> {
    /// The store of the instance.
    pub(super) fn store_mut(&mut self) -> &mut Store<Data> {
        &mut self.live.store
    }

    /// The guest's memory, as far as the guest sees it.
    #[inline]
    pub fn memory(&mut self) -> &[u8] {
        let store = &mut self.live.store;
        let physical = memory_and_data(store).map_or(0, |(memory, _)| memory.len());
        let visible = visible_bytes(physical, &mut *store);
        match memory_and_data(store) {
            Some((memory, _)) => memory.into_parts().0.get(..visible).unwrap_or_default(),
            None => &[],
        }
    }

    /// The exchange region: addresses of memory that the host may use for the arguments and results of a call. Empty for
    /// bare modules.
    #[must_use]
    #[inline]
    pub fn exchange(&self) -> Range<usize> {
        self.live.snapshot.regions.exchange()
    }

    /// Bytes of the guest's memory that are going to be written. A restore puts them back.
    ///
    /// # Errors
    /// [`GuestCallError`] if they do not lie in the guest's memory.
    #[inline]
    pub fn write(&mut self, range: Range<usize>) -> Result<&mut [u8], GuestCallError> {
        let store = &mut self.live.store;
        let physical = memory_and_data(store).map_or(0, |(memory, _)| memory.len());
        let visible = visible_bytes(physical, &mut *store);
        match memory_and_data(store) {
            Some((memory, data)) if range.start <= range.end && range.end <= visible => {
                Ok(memory.into_written(range, &mut data.dirty_ranges))
            }
            _ => Err(outside(&range, visible)),
        }
    }

    /// Calls the function with the arguments in `slots`, and leaves its results there. `slots` has as many slots as the
    /// function has parameters, or results where those are more; slots of narrower types use the lower bits.
    ///
    /// The function is called once in a call. Functions that prepare its arguments are called before, by
    /// [`GuestCall::call_other`].
    ///
    /// # Errors
    /// [`GuestCallError`] if the guest traps or reports an error, if there are too few slots, and if the function was called
    /// already.
    #[inline]
    pub fn call(&mut self, slots: &mut [ValRaw]) -> Result<(), GuestCallError> {
        if std::mem::replace(&mut self.called, true) {
            return Err(GuestCallError::invalid("the host called the function twice"));
        }
        *self.globals_restored = false;
        let Live { functions, store, .. } = &mut *self.live;
        let called = match functions.get(self.function.index) {
            Some(Some(Callable::Numbers(function))) => function.call(store, slots),
            _ => return Err(CallError::not_of_numbers().into()),
        };
        match called {
            Ok(()) => {
                *self.globals_restored = self.enters;
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                Err(error.into())
            }
        }
    }

    /// Calls another function of the guest's, for instance its allocator's.
    ///
    /// # Errors
    /// As for [`GuestCall::call`], but it may be called any number of times.
    pub fn call_other(&mut self, function: Function, slots: &mut [ValRaw]) -> Result<(), GuestCallError> {
        *self.globals_restored = false;
        let function = self.live.plain(self.guest, function);
        let (function, store) = function.ok_or_else(CallError::not_of_numbers)?;
        let called = function.call(store, slots);
        self.failed |= called.is_err();
        Ok(called?)
    }
}

#[cold]
fn outside(range: &Range<usize>, memory: usize) -> GuestCallError {
    let length = range.end.saturating_sub(range.start);
    let limited = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    GuestCallError::fault(Fault::InvalidGuestData(InvalidData::OutOfBounds {
        what: "what the host writes",
        address: limited(range.start),
        length: limited(length),
        memory: memory as u64,
    }))
}

impl Instance {
    /// Calls a [function of numbers](Guest::export) as [`Instance::invoke`] calls an extension function, with a restore
    /// after it. `body` places the arguments, calls, and takes the results before the restore.
    ///
    /// A call of the guest that fails ends the whole: `body` returns its error, and nothing else helps.
    ///
    /// Under a lazy policy `body` runs a second time if the call ran out of memory.
    ///
    /// ```
    /// use guest_host::wasmtime::ValRaw;
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module (memory (export "memory") 1)
    ///         (func (export "sum") (param i32 i32) (result i32)
    ///             (i32.add (i32.load (local.get 0)) (i32.load (local.get 1)))))"#,
    /// )?;
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let guest = Guest::load(&engine, "sum", &wasm, PrepareOptions::default())?;
    /// let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
    /// let sum = guest.export("sum").expect("the module exports it");
    /// let result = instance.call_with(sum, |call| {
    ///     call.write(0..4)?.copy_from_slice(&40_i32.to_le_bytes());
    ///     call.write(4..8)?.copy_from_slice(&2_i32.to_le_bytes());
    ///     let mut slots = [ValRaw::i32(0), ValRaw::i32(4)];
    ///     call.call(&mut slots)?;
    ///     Ok(slots[0].get_i32())
    /// })?;
    /// assert_eq!((result, instance.is_pristine()), (42, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    #[inline]
    pub fn call_with<T>(
        &mut self,
        function: Function,
        mut body: impl FnMut(&mut GuestCall<'_>) -> Result<T, GuestCallError>,
    ) -> Result<T, Failure> {
        self.call_with_body(function, &mut body, true)
    }

    /// As [`Instance::call_with`], but `body` runs once under every policy: for a call that goes on where an earlier one stopped, which
    /// a restored instance knows nothing of.
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    pub fn call_with_once<T>(
        &mut self,
        function: Function,
        mut body: impl FnMut(&mut GuestCall<'_>) -> Result<T, GuestCallError>,
    ) -> Result<T, Failure> {
        self.call_with_body(function, &mut body, false)
    }

    #[inline(always)]
    fn call_with_body<T>(
        &mut self,
        function: Function,
        body: &mut impl FnMut(&mut GuestCall<'_>) -> Result<T, GuestCallError>,
        may_run_twice: bool,
    ) -> Result<T, Failure> {
        span!(debug_span, "invoke", guest = self.guest.name(), function = self.guest.function_name(function));
        let began = self.begin_counting(function);
        let mut result = None;
        let enters = self.plan.uses_entrances();
        // A call that calls nothing changes no global.
        let with = With { function, enters, body: &mut *body, result: &mut result };
        let mut called = self.attempt_with(function, false, &mut true, with);
        if may_run_twice && self.may_retry(&called) {
            called = self.retry_with(function, &mut |call| body(call).map(|found| result = Some(found)));
        }
        self.ended(function, began, called)?;
        result.ok_or_else(|| self.failure(function, *lost()))
    }

    /// Calls once more. Of any body, so that the first call has the only copy of its own that is inlined.
    #[cold]
    #[inline(never)]
    fn retry_with(
        &mut self,
        function: Function,
        mut body: &mut dyn FnMut(&mut GuestCall<'_>) -> Result<(), GuestCallError>,
    ) -> Result<(), Box<UnnamedFailure>> {
        self.count_restored();
        let enters = self.plan.uses_entrances();
        let with = With { function, enters, body: &mut body, result: &mut None };
        self.attempt_with(function, true, &mut true, with)
    }
}

/// A call as an embedder makes it.
struct With<'b, F, T> {
    function: Function,
    enters: bool,
    body: &'b mut F,
    result: &'b mut Option<T>,
}

impl<F: FnMut(&mut GuestCall<'_>) -> Result<T, GuestCallError>, T> Body for With<'_, F, T> {
    #[inline(always)]
    fn run(self, live: &mut Live, guest: &Guest, globals_restored: &mut bool) -> Result<(), CallError> {
        let Self { function, enters, body, result } = self;
        let mut call = GuestCall { live, guest, function, called: false, enters, globals_restored, failed: false };
        let found = body(&mut call).map_err(|GuestCallError(error)| *error)?;
        if call.failed {
            return Err(*GuestCallError::invalid("a call of the guest failed, and the host went on as if it had not").0);
        }
        *result = Some(found);
        Ok(())
    }
}

impl Live {
    /// Another function than the one that is called, by its own export: an entrance would put globals back that the call
    /// still needs.
    fn plain(&mut self, guest: &Guest, function: Function) -> Option<(&Numbers, &mut Store<Data>)> {
        if self.plain.len() <= function.index {
            self.plain.resize_with(function.index + 1, || None);
        }
        if self.plain[function.index].is_none() {
            let arguments = Ok(Vec::new());
            let name = guest.function_name(function);
            self.plain[function.index] = Callable::find_numbers(name, arguments, self.instance, &mut self.store);
        }
        match &self.plain[function.index] {
            Some(Callable::Numbers(found)) => Some((found, &mut self.store)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arguments, ConfigError, RestoreStrategy, Val};
    use crate::{Cause, Engine, EngineConfig, InstanceConfig, LoadError, MemoryState, PrepareOptions, RestorePolicy};

    fn guest(text: &str) -> Guest {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let wasm = wat::parse_str(text).unwrap();
        Guest::load(&engine, "test", &wasm, PrepareOptions::default()).unwrap()
    }

    fn instance(guest: &Guest, config: &InstanceConfig) -> Instance {
        guest.instantiate(config, MemoryState::new()).unwrap()
    }

    /// An allocator whose state is a global, as that of AssemblyScript, and a function over what was allocated. The memory
    /// is not exported.
    const ALLOCATES: &str = r#"(module (memory 1)
        (global $next (mut i32) (i32.const 64)) (global $calls (mut i64) (i64.const 0))
        (func (export "allocate") (param $size i32) (result i32)
            (global.get $next) (global.set $next (i32.add (global.get $next) (local.get $size))))
        (func (export "join") (param i32 i32) (result i64)
            (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
            (i32.store8 (i32.const 9) (i32.const 1))
            (i64.add (i64.load32_u (local.get 0)) (i64.shl (i64.load32_u (local.get 1)) (i64.const 32))))
        (func (export "calls") (result i64) (global.get $calls))
        (func (export "stored") (result i32) (i32.load8_u (i32.const 9)))
        (func (export "count_and_trap") (global.set $calls (i64.const 9)) (unreachable))
        (func (export "trap") (unreachable)))"#;

    fn number(instance: &mut Instance, name: &str) -> i64 {
        let function = instance.guest().export(name).unwrap();
        let number = |call: &mut GuestCall<'_>| {
            let mut slots = [ValRaw::i64(0)];
            call.call(&mut slots)?;
            Ok(slots[0].get_i64())
        };
        instance.call_with(function, number).unwrap()
    }

    #[test]
    fn a_call_may_allocate_first_and_is_restored_whole() {
        let guest = guest(ALLOCATES);
        let (allocate, join) = (guest.export("allocate").unwrap(), guest.export("join").unwrap());
        for strategy in [RestoreStrategy::Auto, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
            let mut instance = instance(&guest, &InstanceConfig::default().with_strategy(strategy));
            for round in 0..3_u32 {
                let joined = instance.call_with(join, |call| {
                    let mut addresses = [ValRaw::i32(0); 2];
                    for (slot, value) in addresses.iter_mut().zip([round, 7]) {
                        let mut slots = [ValRaw::i32(4)];
                        call.call_other(allocate, &mut slots)?;
                        let address = slots[0].get_u32() as usize;
                        call.write(address..address + 4)?.copy_from_slice(&value.to_le_bytes());
                        *slot = slots[0];
                    }
                    assert_eq!(addresses.map(|slot| slot.get_i32()), [64, 68], "{strategy}, round {round}");
                    call.call(&mut addresses)?;
                    Ok(addresses[0].get_u64())
                });
                assert_eq!(joined.unwrap(), u64::from(round) | 7 << 32);
                assert_eq!((number(&mut instance, "calls"), number(&mut instance, "stored") & 1), (0, 0), "{strategy}");
            }
        }
    }

    #[test]
    fn globals_that_another_function_changed_are_put_back_too() {
        let guest = guest(ALLOCATES);
        let (allocate, calls) = (guest.export("allocate").unwrap(), guest.export("calls").unwrap());
        let mut instance = instance(&guest, &InstanceConfig::default());
        let mut first = || {
            let allocated = |call: &mut GuestCall<'_>| {
                call.call(&mut [ValRaw::i64(0)])?;
                let mut slots = [ValRaw::i32(100)];
                call.call_other(allocate, &mut slots)?;
                Ok(slots[0].get_i32())
            };
            instance.call_with(calls, allocated).unwrap()
        };
        assert_eq!([first(), first()], [64, 64]);
    }

    #[test]
    fn what_the_host_does_wrong_is_an_error_and_no_harm() {
        let guest = guest(ALLOCATES);
        let join = guest.export("join").unwrap();
        let mut instance = instance(&guest, &InstanceConfig::default());
        let failure = instance.call_with(join, |call| call.call(&mut [ValRaw::i32(0)])).unwrap_err();
        assert!(failure.cause.to_string().contains("takes 2 slots"), "{failure}");
        let twice = |call: &mut GuestCall<'_>| {
            call.call(&mut [ValRaw::i32(0); 2])?;
            call.call(&mut [ValRaw::i32(0); 2])
        };
        let failure = instance.call_with(join, twice).unwrap_err();
        assert!(failure.cause.to_string().contains("twice"), "{failure}");
        #[expect(clippy::reversed_empty_ranges, reason = "a range that no memory has")]
        for range in [65_535..65_537, 9..8, usize::MAX - 1..usize::MAX] {
            let failure = instance.call_with(join, |call| call.write(range.clone()).map(drop)).unwrap_err();
            assert_eq!(failure.cause.kind(), "invalid-guest-data", "{failure}");
        }
        assert_eq!(number(&mut instance, "calls"), 0);
        assert!(guest.export("nothing").is_none());
        // A trap that the body does not pass on is a failure all the same, and globals are put back.
        let calls = guest.export("count_and_trap").unwrap();
        let failure = instance.call_with(calls, |call| {
            call.call(&mut []).unwrap_err();
            Ok(())
        });
        assert!(failure.unwrap_err().to_string().contains("went on as if it had not"));
        assert_eq!((number(&mut instance, "calls"), instance.is_pristine()), (0, true));
    }

    #[test]
    fn a_trap_is_a_failure_with_its_cause_and_the_instance_is_restored() {
        let guest = guest(ALLOCATES);
        let mut instance = instance(&guest, &InstanceConfig::default().with_policy(RestorePolicy::Never));
        let trap = guest.export("trap").unwrap();
        let failure = instance.call_with(trap, |call| {
            call.write(9..10)?.fill(1);
            call.call(&mut [])
        });
        let failure = failure.unwrap_err();
        assert!(matches!(failure.cause, Cause::Unreachable) && failure.function == "trap", "{failure}");
        assert_eq!(number(&mut instance, "stored") & 1, 0);
        assert!(!instance.is_pristine());
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn calls_of_typed_functions_are_counted_by_their_exports() {
        let guest = guest(
            r#"(module (memory (export "memory") 1)
                (func (export "__guest_exchange") (param i32) (result i32) (i32.const 64))
                (func (export "calc") (result i64) (i64.const 0))
                (func (export "__guest_function_one") (result i64) (i64.const 1))
                (func (export "__guest_function_trap") (result i64) (unreachable))
                (@custom "guest-abi" "\01\00\00\00"))"#,
        );
        assert_eq!(guest.functions(), ["calc"]);
        let metrics = crate::Metrics::default();
        let config = InstanceConfig::default().with_exchange_size(Some(64)).with_metrics(Some(metrics.clone()));
        let mut instance = instance(&guest, &config);
        assert_eq!(number(&mut instance, "__guest_function_one"), 1);
        let trap = guest.export("__guest_function_trap").unwrap();
        instance.call_with(trap, |call| call.call(&mut [ValRaw::i64(0)])).unwrap_err();
        instance.invoke_by_name("nothing").unwrap_err();
        let text = metrics.text();
        for (function, calls) in [("__guest_function_one", 1), ("__guest_function_trap", 1)] {
            let line = text.lines().find(|line| line.starts_with("guest_invocations_total") && line.contains(function));
            assert!(line.is_some_and(|line| line.ends_with(&format!(" {calls}"))), "{text}");
        }
    }

    #[test]
    fn a_module_without_memory_is_invoked_with_configured_arguments() {
        let add = guest(
            r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
                (func (export "many") (param f32 f64 i64) (result f64 f32 i64 i32)
                    (local.get 1) (local.get 0) (local.get 2) (i32.const 9)))"#,
        );
        let arguments = Arguments::default().of("add", ["20", "0x16"]).of("many", ["1.5", "-2.5", "-3"]);
        for strategy in [RestoreStrategy::Auto, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
            let config = InstanceConfig::default().with_strategy(strategy).with_arguments(arguments.clone());
            let mut instance = instance(&add, &config);
            for _ in 0..3 {
                assert!(matches!(instance.invoke_by_name("add").unwrap().results(), [Val::I32(42)]));
                assert!(instance.is_pristine() && instance.in_place().is_some());
                let outcome = instance.invoke_by_name("many").unwrap();
                let [Val::F64(double), Val::F32(single), Val::I64(-3), Val::I32(9)] = outcome.results() else {
                    panic!("{:?}", outcome.results())
                };
                assert_eq!((f64::from_bits(*double), f32::from_bits(*single)), (-2.5, 1.5));
            }
            assert!(instance.memory().is_some_and(|(memory, _)| memory.is_empty()));
        }
        let mut none = instance(&add, &InstanceConfig::default());
        let failure = none.invoke_by_name("add").unwrap_err();
        assert!(failure.to_string().contains("`(i32, i32) -> i32`, and no arguments were given"), "{failure}");
        let refused = |arguments| {
            let config = InstanceConfig::default().with_arguments(arguments);
            match add.instantiate(&config, MemoryState::new()).unwrap_err() {
                LoadError::Config(ConfigError::Arguments { function, reason }) => (function, reason),
                other => panic!("{other}"),
            }
        };
        let (function, reason) = refused(Arguments::default().of("add", ["1", "x"]));
        assert!(function == "add" && reason.contains("argument 2 is `x`"), "{reason}");
        assert!(refused(Arguments::default().of("ad", ["1"])).1.contains("did you mean `add`?"));
    }
}
