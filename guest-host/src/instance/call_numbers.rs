//! A call of a function of numbers by an embedder that has nothing to place.

use wasmtime::ValRaw;

use super::Instance;
use super::invoke::Body;
use super::live::{Live, UnnamedFailure};
use crate::contract::{CallError, Callable};
use crate::failure::Failure;
use crate::guest::{Function, Guest};
use crate::spans::span;

impl Instance {
    /// Calls a [function of numbers](Guest::export) with the arguments in `slots`, and leaves its results there. A restore follows
    /// as after [`Instance::invoke`]. `slots` has as many slots as the function has parameters, or results where those are more;
    /// slots of narrower types use the lower bits.
    ///
    /// It does what [`Instance::call_with`] does, for a function whose arguments are numbers only, without a body that places them.
    ///
    /// ```
    /// use guest_host::wasmtime::ValRaw;
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module (func (export "sum") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))"#,
    /// )?;
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let guest = Guest::load(&engine, "sum", &wasm, PrepareOptions::default())?;
    /// let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
    /// let sum = guest.export("sum").expect("the module exports it");
    /// let mut slots = [ValRaw::i64(40), ValRaw::i64(2)];
    /// instance.call_numbers(sum, &mut slots)?;
    /// assert_eq!((slots[0].get_i64(), instance.is_pristine()), (42, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Failure`] with its cause. The function is not called if there are too few slots, or if it is not one of numbers.
    pub fn call_numbers(&mut self, function: Function, slots: &mut [ValRaw]) -> Result<(), Failure> {
        span!(debug_span, "invoke", guest = self.guest.name(), function = self.guest.function_name(function));
        let began = self.begin_counting(function);
        let mut globals_restored = self.plan.uses_entrances();
        let with = Slots { function, slots: &mut *slots };
        let mut called = self.attempt_with(function, false, &mut globals_restored, with);
        if self.may_retry(&called) {
            called = self.retry_numbers(function, slots);
        }
        self.ended(function, began, called)
    }

    /// Calls once more. A call that did not come to its end has left the arguments in the slots.
    #[cold]
    #[inline(never)]
    fn retry_numbers(&mut self, function: Function, slots: &mut [ValRaw]) -> Result<(), Box<UnnamedFailure>> {
        self.count_restored();
        let mut globals_restored = self.plan.uses_entrances();
        self.attempt_with(function, true, &mut globals_restored, Slots { function, slots })
    }
}

/// A call whose arguments are in slots.
struct Slots<'s> {
    function: Function,
    slots: &'s mut [ValRaw],
}

impl Body for Slots<'_> {
    #[inline(always)]
    fn run(self, live: &mut Live, _guest: &Guest, _globals_restored: &mut bool) -> Result<(), CallError> {
        match live.functions.get(self.function.index) {
            Some(Some(Callable::Numbers(function))) => function.call(&mut live.store, self.slots),
            _ => Err(CallError::not_of_numbers()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Engine, EngineConfig, InstanceConfig, MemoryState, PrepareOptions, RestorePolicy};

    /// `count` adds to a global and to memory. `once` takes a page, and has none left for a second call of the same instance.
    const COUNTS: &str = r#"(module (memory (export "memory") 1 2) (global $calls (mut i64) (i64.const 0))
        (func (export "count") (param $by i64) (result i64)
            (global.set $calls (i64.add (global.get $calls) (local.get $by)))
            (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (local.get $by)))
            (i64.add (global.get $calls) (i64.load (i32.const 8))))
        (func (export "once") (param i64) (result i64)
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
            (local.get 0))
        (func (export "swap") (param i32) (result i32 i64) (i32.const 7) (i64.const 8))
        (func (export "trap") (param i64) (result i64) (unreachable)))"#;

    fn guest() -> Guest {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        Guest::load(&engine, "test", &wat::parse_str(COUNTS).unwrap(), PrepareOptions::default()).unwrap()
    }

    fn call(instance: &mut Instance, name: &str, number: i64) -> Result<i64, Failure> {
        let function = instance.guest().export(name).unwrap();
        let mut slots = [ValRaw::i64(number), ValRaw::i64(0)];
        instance.call_numbers(function, &mut slots).map(|()| slots[0].get_i64())
    }

    #[test]
    fn every_call_begins_at_the_snapshot_unless_the_policy_says_otherwise() {
        let guest = guest();
        for (policy, expected) in [
            (RestorePolicy::EveryCall, [6, 8]),
            (RestorePolicy::OnHeapAbove(0), [6, 14]),
            (RestorePolicy::OnError, [6, 14]),
            (RestorePolicy::Never, [6, 14]),
        ] {
            let config = InstanceConfig::default().with_policy(policy);
            let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
            let found = [3, 4].map(|number| call(&mut instance, "count", number).unwrap());
            assert_eq!(found, expected, "{policy:?}");
            assert_eq!(instance.is_pristine(), expected == [6, 8]);
            // A failure is followed by a restore whatever the policy.
            assert!(matches!(call(&mut instance, "trap", 1).unwrap_err().cause, Cause::Unreachable));
            assert_eq!(call(&mut instance, "count", 5).unwrap(), 10);
        }
    }

    #[test]
    fn a_call_that_took_more_heap_than_the_policy_allows_is_followed_by_a_restore() {
        let guest = guest();
        for (most, is_restored) in [(0, true), (1 << 16, false)] {
            let config = InstanceConfig::default().with_policy(RestorePolicy::OnHeapAbove(most));
            let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
            call(&mut instance, "once", 1).unwrap();
            assert_eq!(instance.is_pristine(), is_restored, "{most}");
        }
    }

    #[test]
    fn a_call_that_ran_out_of_memory_under_a_lazy_policy_has_its_arguments_the_second_time() {
        let config = InstanceConfig::default().with_policy(RestorePolicy::Never).with_memory_limit(2 << 16);
        let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
        for number in [11, 12, 13] {
            assert_eq!(call(&mut instance, "once", number).unwrap(), number);
            assert_eq!(instance.last_stats().retried, number > 11);
        }
    }

    #[test]
    fn slots_are_counted_before_the_call() {
        let guest = guest();
        let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap();
        let swap = guest.export("swap").unwrap();
        let failure = instance.call_numbers(swap, &mut [ValRaw::i32(1)]).unwrap_err();
        assert_eq!((failure.function.as_str(), failure.to_string().contains("takes 2 slots")), ("swap", true));
        let mut slots = [ValRaw::i32(1), ValRaw::i32(0)];
        instance.call_numbers(swap, &mut slots).unwrap();
        assert_eq!((slots[0].get_i32(), slots[1].get_i64()), (7, 8));
    }
}
