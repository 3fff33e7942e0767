//! What a call takes from the heaps: nothing from the host's in steady state, and nothing from the guest's on the SDK's
//! own paths.
#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use guest_build::Allocator;
use guest_host::{Metrics, RestorePolicy, RestoreStrategy};

use super::{RESIDUES, config, instance, strategies};

/// Counts each thread's allocations apart, as tests run side by side.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Counts an allocation of so many bytes.
fn count(bytes: usize) {
    // While a thread ends its counter is gone, and nobody asks for it any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
    live(bytes.cast_signed());
}

fn live(bytes: isize) {
    let _ = LIVE_BYTES.try_with(|live| live.set(live.get() + bytes as i64));
}

/// Bytes that this thread has allocated and not given back; what it gave back for another thread counts against it.
pub(crate) fn live_bytes() -> i64 {
    LIVE_BYTES.get()
}

// SAFETY: every method is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        live(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        live(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `run` runs.
pub(crate) fn allocations_of(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_sees_an_allocation() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(7)))), 1);
    assert_eq!(allocations_of(|| ()), 0);
}

#[test]
fn an_invoke_allocates_nothing_on_the_hosts_heap() {
    for allocator in Allocator::ALL {
        let in_place = strategies(allocator).iter().filter(|strategy| **strategy != RestoreStrategy::Reinstantiate);
        for strategy in in_place {
            for residue in RESIDUES {
                for (policy, count, metrics) in [
                    (RestorePolicy::EveryCall, false, false),
                    (RestorePolicy::EveryCall, true, true),
                    (RestorePolicy::Never, false, true),
                ] {
                    let mut config = config(*strategy, residue);
                    config.policy = policy;
                    config.count = count;
                    config.metrics = metrics.then(Metrics::default);
                    let mut instance = instance("bench", allocator, &config);
                    for name in ["do_nothing", "one_key", "one_get_one_intent"] {
                        let function = instance.guest().function(name).expect("bench has it");
                        let mut call = || {
                            instance.invoke(function).expect("it succeeds");
                        };
                        // The first resolves the function and makes room for what a call leaves.
                        call();
                        let allocations = allocations_of(|| (0..100).for_each(|_| call()));
                        assert_eq!(allocations, 0, "{allocator}, {strategy}, {residue}, {policy}: {name}");
                    }
                }
            }
        }
    }
}

/// Functions of the benchmark guest that do nothing but read and write through the SDK.
const SDK: [&str; 6] =
    ["do_nothing", "one_key", "one_get", "one_get_long_string", "one_get_one_intent", "read_1000_rows"];

#[test]
fn reading_and_writing_takes_nothing_from_the_guests_heap() {
    // The default allocator keeps no counters; calls of it are counted.
    for allocator in Allocator::ALL {
        let mut instance = instance("bench", allocator, &config(RestoreStrategy::FullCopy, super::Residue::Scrub));
        for name in SDK {
            let outcome = instance.invoke_by_name(name).unwrap_or_else(|failure| panic!("{failure}"));
            let stats = outcome.stats().allocations.expect("the allocator counts");
            let calls = (stats.allocations, stats.reallocations, stats.deallocations);
            assert_eq!((calls, stats.allocated_bytes), ((0, Some(0), Some(0)), Some(0)), "{allocator}: {name}");
        }
        // The same count sees one that there is.
        let outcome = instance.invoke_by_name("append_10000").expect("there is room");
        let stats = outcome.stats().allocations.expect("the allocator counts");
        assert_eq!(stats.allocations, 10_001, "{allocator}: a box for each number, and the vector");
    }
}
