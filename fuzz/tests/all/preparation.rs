//! The target `preparation` on random modules, and proof that it catches what is broken.

use std::cell::Cell;

use fuzz::modules::{random_bytes, random_module};
use fuzz::preparation::{Forgotten, check, check_barrier, damaged, engine};
use guest_prepare::module_info::{ModuleInfo, Tracked};
use guest_prepare::{BarrierOptions, Elisions, PrepareOptions, prepare};
use proptest::prelude::*;

#[test]
fn random_modules_compute_the_same_and_are_restored_exactly() {
    let config =
        ProptestConfig { cases: 800, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let counts = Cell::new((0_u32, 0_u32));
    let most_counted = Cell::new(0);
    runner
        .run(&(any::<u64>(), 200_usize..4_000, any::<bool>()), |(seed, length, count)| {
            let Some(wasm) = random_module(&random_bytes(seed, length)) else { return Ok(()) };
            let admitted = check(engine(), &wasm, count, Forgotten::Nothing).map_err(TestCaseError::fail)?;
            let info = ModuleInfo::analyse(&wasm).unwrap();
            let grows = info.instructions.any(Tracked::MemoryGrow);
            let counted = prepare(&wasm, &info, PrepareOptions::default()).map_or(0, |prepared| prepared.counted.len());
            most_counted.set(most_counted.get().max(if count { counted } else { 0 }));
            let (all_admitted, all_growing) = counts.get();
            counts.set((all_admitted + u32::from(admitted), all_growing + u32::from(admitted && grows)));
            Ok(())
        })
        .unwrap();
    let (admitted, growing) = counts.get();
    assert!(admitted > 0 && growing > 0, "{admitted} admitted, {growing} of them grow: the sample shows nothing");
    assert!(most_counted.get() > 1, "no function of random code is counted: the sample shows nothing");
}

#[test]
fn random_modules_change_only_what_the_write_barrier_covers() {
    let config =
        ProptestConfig { cases: 400, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() };
    let changed = Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&(any::<u64>(), 200_usize..4_000, 10_u32..=12, any::<[bool; 3]>()), |(seed, length, shift, left_out)| {
            let Some(wasm) = random_module(&random_bytes(seed, length)) else { return Ok(()) };
            let [constants, repeated, frames] = left_out;
            let elisions = Elisions::NONE.with_constants(constants).with_repeated(repeated).with_frames(frames);
            let barrier = BarrierOptions::default().with_card_size(1 << shift).with_elisions(elisions);
            let bytes = check_barrier(engine(), &wasm, barrier, true).map_err(TestCaseError::fail)?;
            changed.set(changed.get() + bytes);
            Ok(())
        })
        .unwrap();
    assert!(changed.get() > 0, "the sample shows nothing");
}

#[test]
fn marks_that_are_not_looked_at_are_missed() {
    let barrier = BarrierOptions::default().with_elisions(Elisions::NONE);
    let caught = (0..1_000).any(|seed| {
        let wasm = random_module(&random_bytes(seed, 3_000));
        wasm.is_some_and(|wasm| check_barrier(engine(), &wasm, barrier, false).is_err())
    });
    assert!(caught);
}

#[test]
fn a_restore_that_forgets_something_is_caught() {
    for forgotten in [Forgotten::Memory, Forgotten::Globals, Forgotten::LogicalSize] {
        let caught = (0..1_000).any(|seed| {
            let wasm = random_module(&random_bytes(seed, 3_000));
            wasm.is_some_and(|wasm| check(engine(), &wasm, true, forgotten).is_err())
        });
        assert!(caught, "{forgotten:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_modules_are_refused_or_prepared_never_a_panic(
        seed: u64,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let Some(mut wasm) = random_module(&random_bytes(seed, 1_000)) else { return Ok(()) };
        for (at, byte) in damage {
            let at = at.index(wasm.len());
            wasm[at] = byte;
        }
        if let Some(cut) = cut {
            wasm.truncate(cut.index(wasm.len()));
        }
        damaged(&wasm).map_err(TestCaseError::fail)?;
    }
}
