//! Replaying traces: every allocator serves them, and what it refuses is counted.

use alloc_trace::{Numbering, Operation, Trace};
use guest_build::Allocator;
use guest_host::{LoadError, RestoreStrategy};
use host_harness::replay::{ReplayCounts, ReplayOptions, ReplayRow, TraceFile, replay};

use super::{NEVER_REACHED, best, load, root};

fn options(memory_limit: u64, strategy: RestoreStrategy) -> ReplayOptions {
    let mut options = ReplayOptions::default();
    options.repeats = 2;
    options.config.memory_limit = memory_limit;
    options.config.deadline = Some(NEVER_REACHED);
    options.config.strategy = strategy;
    options
}

fn trace(operations: Vec<Operation>) -> TraceFile {
    TraceFile { name: "test".to_owned(), trace: Trace::new(operations).unwrap() }
}

fn counts(row: &ReplayRow) -> ReplayCounts {
    assert_eq!(row.failure, None, "{row:?}");
    assert!(row.times.is_some_and(|times| times.repeats == 2 && times.operation.p50 > 0.0), "{row:?}");
    row.counts.unwrap()
}

#[test]
fn every_allocator_replays_the_traces_of_this_workspace_however_it_is_restored() {
    for name in ["json", "markdown", "regex", "rust-parser", "template"] {
        let path = root().join("traces").join(name).with_extension("trace");
        let file = TraceFile::load(&path, Numbering::FromZero).unwrap();
        let summary = file.trace.summary();
        for allocator in Allocator::ALL {
            let guest = load("replay", allocator);
            let replay = |strategy| counts(&replay(&guest, "it", &file, &options(64 << 20, strategy)).unwrap());
            let found = replay(RestoreStrategy::FullCopy);
            assert_eq!(found.failed_operations, 0, "{name} {allocator}");
            assert_eq!(found.peak_live_bytes, summary.peak_live_bytes, "{name} {allocator}");
            assert_eq!(found.live_bytes, summary.live_bytes, "{name} {allocator}");
            assert!(found.heap_bytes.unwrap() >= found.peak_live_bytes, "{name} {allocator}: {found:?}");
            assert!(found.fragmentation.unwrap() >= 1.0, "{name} {allocator}: {found:?}");
            assert_eq!(replay(best(allocator)), found, "{name} {allocator}");
        }
    }
}

#[test]
fn what_is_refused_under_a_memory_limit_is_counted_and_the_replay_goes_on() {
    // 50 MB in all, of which 10 kB are alive at one time.
    let alternating =
        (0..5_000).flat_map(|allocation| [Operation::Alloc { size: 10_000 }, Operation::Free { allocation }]);
    let mut operations: Vec<_> = alternating.collect();
    operations.extend([Operation::Alloc { size: 100_000 }, Operation::Realloc { allocation: 5_000, size: 3 << 20 }]);
    operations.extend([Operation::Alloc { size: 3 << 20 }, Operation::Free { allocation: 5_001 }]);
    let file = trace(operations);
    for allocator in Allocator::ALL {
        let guest = load("replay", allocator);
        let found = counts(&replay(&guest, "it", &file, &options(2 << 20, RestoreStrategy::FullCopy)).unwrap());
        assert!(found.pages <= 32, "{allocator}: {found:?}");
        match allocator {
            Allocator::Leaking => assert!(found.failed_operations > 4_000, "{found:?}"),
            // The two that are larger than the limit, and nothing else; the block keeps its size.
            Allocator::System | Allocator::Freelist | Allocator::Wee => {
                assert_eq!((found.failed_operations, found.live_bytes), (2, 100_000), "{allocator}");
            }
            _ => assert!(found.failed_operations >= 2, "{allocator}: {found:?}"),
        }
        let plenty = counts(&replay(&guest, "it", &file, &options(128 << 20, RestoreStrategy::FullCopy)).unwrap());
        assert_eq!((plenty.failed_operations, plenty.live_bytes), (0, 3 << 20), "{allocator}");
    }
}

#[test]
fn a_block_of_no_bytes_and_the_largest_are_asked_for_and_not_more() {
    let none = trace(vec![Operation::Alloc { size: 0 }, Operation::Realloc { allocation: 0, size: 0 }]);
    let largest = trace(vec![Operation::Alloc { size: alloc_trace::MAX_SIZE }]);
    for allocator in Allocator::ALL {
        let guest = load("replay", allocator);
        let options = options(4 << 20, RestoreStrategy::FullCopy);
        let found = counts(&replay(&guest, "it", &none, &options).unwrap());
        assert_eq!((found.failed_operations, found.fragmentation), (0, None), "{allocator}");
        assert_eq!(counts(&replay(&guest, "it", &largest, &options).unwrap()).failed_operations, 1, "{allocator}");
    }
}

#[test]
fn a_small_exchange_region_is_enough() {
    let file = trace((0..100).map(|size| Operation::Alloc { size }).collect());
    let mut options = options(4 << 20, RestoreStrategy::FullCopy);
    options.config.exchange_size = Some(100);
    let found = counts(&replay(&load("replay", Allocator::Freelist), "it", &file, &options).unwrap());
    assert_eq!((found.failed_operations, found.live_bytes), (0, 99 * 100 / 2));
}

#[test]
fn a_guest_that_does_not_replay_is_refused_and_one_that_fails_is_a_row() {
    let file = trace(vec![Operation::Alloc { size: 1 }]);
    let bench = replay(&load("bench", Allocator::Leaking), "it", &file, &options(4 << 20, RestoreStrategy::FullCopy));
    assert!(matches!(bench, Err(LoadError::Function(_))), "{bench:?}");
    let mut options = options(4 << 20, RestoreStrategy::FullCopy);
    options.config.exchange_size = Some(8);
    let row = replay(&load("replay", Allocator::Leaking), "it", &file, &options).unwrap();
    let failure = row.failure.expect("not even the number of chunks fits the region");
    assert!(failure.message.contains("exchange region"), "{failure:?}");
    assert_eq!((row.counts, row.times), (None, None));
}
