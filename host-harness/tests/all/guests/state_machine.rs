//! An instance that did not come to the end of a call or of a restore is never invoked again: it is replaced.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_build::Allocator;
use guest_host::restore::{FullCopy, Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{
    Cause, ConfigError, Instance, LoadError, MemoryState, Residue, RestoreStrategy, StartError, State, StateError,
    Status,
};

use super::{config, field, instance, load, state_of};

/// Whether the guest sees that a call was made before, in the static that it counts in.
pub(super) fn calls_before(instance: &mut Instance) -> i64 {
    let outcome = instance.invoke_by_name("leave_static").expect("it succeeds");
    field(&outcome, "CallsBefore")
}

/// A full copy that does what it is told to do the next time.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) what: Arc<AtomicU32>,
}

pub(super) const FAIL: u32 = 1;
pub(super) const PANIC: u32 = 2;

impl Restore for Next {
    fn name(&self) -> &str {
        "next"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        FullCopy.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        match self.what.swap(0, Relaxed) {
            FAIL => Err(RestoreError::NoControlBlock),
            PANIC => panic!("a restore that panics"),
            _ => FullCopy.restore(target),
        }
    }
}

fn with_next() -> (Instance, Arc<AtomicU32>) {
    let what = Arc::new(AtomicU32::new(0));
    let restore = Box::new(Next { what: Arc::clone(&what) });
    let guest = load("adversary", Allocator::Leaking);
    let config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    (guest.instantiate_with(restore, &config, state_of("adversary")).expect("the guest is admitted"), what)
}

#[test]
fn a_restore_that_fails_leads_to_a_new_instance() {
    let (mut instance, what) = with_next();
    assert_eq!(calls_before(&mut instance), 0);
    assert!(instance.last_stats().restored_bytes.is_some());
    what.store(FAIL, Relaxed);
    assert_eq!(calls_before(&mut instance), 0);
    assert_eq!(instance.last_stats().restored_bytes, None, "it was replaced");
    assert_eq!(instance.status(), Status::Ready);
    assert_eq!(calls_before(&mut instance), 0);
}

#[test]
fn a_restore_that_panics_leaves_a_poisoned_instance_which_the_next_call_replaces() {
    let (mut instance, what) = with_next();
    what.store(PANIC, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| calls_before(&mut instance))).is_err());
    assert_eq!(instance.status(), Status::Poisoned);
    assert_eq!(calls_before(&mut instance), 0);
    assert_eq!(instance.status(), Status::Ready);
}

/// A state whose reads panic as long as they are told to.
#[derive(Debug)]
pub(super) struct Panicking {
    pub(super) inner: MemoryState,
    pub(super) reads: Arc<AtomicU32>,
}

impl State for Panicking {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        assert_ne!(self.reads.load(Relaxed), PANIC, "a state that panics");
        State::get(&mut self.inner, key)
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        State::read(&mut self.inner, key, after, out)
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        State::apply(&mut self.inner, intents)
    }
}

#[test]
fn a_host_function_that_panics_leaves_an_instance_which_the_next_call_replaces() {
    let reads = Arc::new(AtomicU32::new(0));
    let state = Panicking { inner: state_of("adversary"), reads: Arc::clone(&reads) };
    let guest = load("adversary", Allocator::BumpReset);
    let config = config(RestoreStrategy::BumpReset, Residue::Keep);
    let mut instance = guest.instantiate(&config, state).expect("the guest is admitted");
    let mut address = || {
        let outcome = instance.invoke_by_name("leave_exchange_address").expect("the state has the event");
        field(&outcome, "Before")
    };
    assert_eq!(address(), 0);
    reads.store(PANIC, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(&mut address)).is_err());
    reads.store(0, Relaxed);
    assert_eq!(address(), 0);
    assert_eq!(instance.status(), Status::Ready);
}

#[test]
fn an_allocator_that_lies_about_its_heap_is_replaced_rather_than_believed() {
    let config = config(RestoreStrategy::Watermark, Residue::Scrub);
    let mut instance = instance("adversary", Allocator::Leaking, &config);
    instance.invoke_by_name("lie_control_block_high_water").expect("the lie itself succeeds");
    assert_eq!(instance.last_stats().restored_bytes, None, "it was replaced");
    assert_eq!(instance.status(), Status::Ready);
    assert_eq!(calls_before(&mut instance), 0);
}

#[test]
fn a_memory_limit_below_what_the_module_declares_is_refused() {
    let guest = load("bench", Allocator::System);
    let mut config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    config.memory_limit = 65_536;
    let refused = guest.instantiate(&config, MemoryState::new()).expect_err("it has more than one page");
    let LoadError::Config(ConfigError::LimitBelowMinimum { limit, minimum }) = refused else { panic!("{refused}") };
    assert_eq!(limit, 65_536);
    assert!(minimum > limit && minimum.is_multiple_of(65_536), "{minimum}");
    config.memory_limit = minimum;
    // The minimum has no room for the exchange region.
    config.exchange_size = Some(1 << 20);
    let refused = guest.instantiate(&config, MemoryState::new()).expect_err("there is no room");
    assert!(matches!(refused, LoadError::Start(StartError::NoExchange { size: 1_048_576 })), "{refused}");
}

#[test]
fn a_function_that_is_not_there_is_told_with_similar_ones() {
    let mut instance = instance("bench", Allocator::System, &config(RestoreStrategy::FullCopy, Residue::Scrub));
    let failure = instance.invoke_by_name("one_gett").expect_err("there is none");
    let Cause::MissingExport { name, nearest, .. } = &failure.cause else { panic!("{failure}") };
    assert_eq!((name.as_str(), nearest[0].as_str()), ("one_gett", "one_get"));
    assert_eq!(instance.status(), Status::Ready);
}
