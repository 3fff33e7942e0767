//! Memory over many calls, and its map.

use std::time::Duration;

use guest_host::{InstanceConfig, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::measure::{Engines, Subject, Variant, memory_map, memory_series};

use test_support::text_guests;

const KEEP: Variant =
    Variant { strategy: Some(RestoreStrategy::BumpReset), policy: RestorePolicy::EveryCall, residue: Residue::Keep };

/// More than any series takes.
const BUDGET: Duration = Duration::from_secs(60);

fn subject(wasm: &[u8]) -> Subject {
    let engines = Engines::new(&test_support::compiled::engine_config()).unwrap();
    Subject::load(&engines, "guest", wasm, PrepareOptions::default()).unwrap()
}

#[test]
fn memory_creeps_without_a_restore_and_not_with_one() {
    let subject = subject(&text_guests::plain());
    let config = InstanceConfig::default();
    let series =
        |variant| memory_series(subject.guest(), "grow", variant, &config, &MemoryState::new(), BUDGET).unwrap();
    let restored = series(Variant::REINSTANTIATE);
    assert_eq!((restored.points.len(), restored.failure), (1 + 40, None));
    assert!(restored.points.iter().all(|point| point.memory_bytes == restored.points[0].memory_bytes));
    let never = series(Variant::NO_RESTORE);
    let (first, last) = (never.points[0], never.points[never.points.len() - 1]);
    assert!(first.memory_bytes < last.memory_bytes, "{never:?}");
    assert_eq!((first.calls, first.heap_bytes), (0, None), "it has no control block");
}

#[test]
fn a_series_ends_with_the_call_that_fails() {
    let subject = subject(&text_guests::plain());
    let config = InstanceConfig::default();
    let never = Variant::NO_RESTORE;
    let series = memory_series(subject.guest(), "abort", never, &config, &MemoryState::new(), BUDGET).unwrap();
    assert_eq!((series.points.len(), series.failure.map(|failure| failure.call)), (1, Some(1)));
}

#[test]
fn the_map_counts_what_each_way_puts_back_and_leaves() {
    let subject = subject(&text_guests::counted());
    let config = InstanceConfig::default();
    let ways = [Variant::NO_RESTORE, Variant::REINSTANTIATE, KEEP];
    let map = memory_map(subject.guest(), "allocate", &ways, &config, &MemoryState::new()).unwrap().unwrap();
    let total = |at: usize| {
        let cells = &map.ways[at].regions;
        (cells.iter().map(|cell| cell.put_back).sum::<u64>(), cells.iter().map(|cell| cell.left).sum::<u64>())
    };
    let (put_back, left) = total(0);
    assert!(put_back == 0 && left > 0, "{map:?}");
    assert!(map.ways[1].regions.is_empty() && map.ways[1].restored_bytes.is_none(), "{map:?}");
    let (put_back, left_by_keep) = total(2);
    assert!(put_back > 0 && left_by_keep < left && map.ways[2].restored_bytes > Some(0), "{map:?}");
    // The regions have neither gaps nor overlaps.
    assert!(map.regions.windows(2).all(|pair| pair[0].end == pair[1].start), "{map:?}");
}
