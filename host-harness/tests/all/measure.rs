//! Counts are exact, failures become rows, baselines stand beside.

use std::time::Duration;

use guest_host::{AdmissionError, EngineConfig, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::measure::{Engines, MeasureOptions, PerCall, Spread, Subject, Variant, bare_call, measure, relate};

use test_support::text_guests;

const KEEP: Variant =
    Variant { strategy: Some(RestoreStrategy::BumpReset), policy: RestorePolicy::EveryCall, residue: Residue::Keep };

fn subject(wasm: &[u8]) -> Subject {
    let engines = Engines::new(&EngineConfig::default()).unwrap();
    Subject::load(&engines, "guest", wasm, PrepareOptions::default()).unwrap()
}

fn few() -> MeasureOptions {
    let mut options = MeasureOptions::default();
    options.calls = 30;
    options.budget = Duration::from_millis(50);
    options.config.deadline = Some(Duration::from_millis(20));
    options
}

#[test]
fn what_the_allocator_counts_is_reported_exactly() {
    let subject = subject(&text_guests::counted());
    for variant in [Variant::NO_RESTORE, Variant::REINSTANTIATE, KEEP] {
        let row = measure(&subject, "allocate", variant, &few(), &MemoryState::new()).unwrap();
        let counts = row.counts.unwrap_or_else(|| panic!("{:?}", row.failure));
        let per_call = [counts.allocations, counts.frees, counts.reallocations, counts.allocated_bytes, counts.grows];
        assert_eq!(per_call, [2.0, 1.0, 0.0, 48.0, 0.0].map(|count| Some(PerCall(count))), "{variant:?}");
        assert!(counts.varies.is_empty() && counts.uneven.is_empty(), "{counts:?}");
        assert_eq!((counts.pages_before, counts.pages_after, counts.crossings), (2, 2, PerCall(0.0)));
        // What is restored is alive no longer; without a restore 24 bytes more with each of ten calls are.
        let peak = if variant == Variant::NO_RESTORE { 8 + 9 * 24 + 48 } else { 8 + 48 };
        assert_eq!(counts.peak_live_bytes, Some(peak), "{variant:?}");
        assert!(counts.instructions.whole().is_some_and(|count| count > 20), "{counts:?}");
        let restores = variant == KEEP;
        assert_eq!(counts.restored_bytes.is_some(), restores, "{variant:?}");
    }
}

#[test]
fn instructions_are_those_of_the_guest_alone() {
    let subject = subject(&text_guests::plain());
    let row = measure(&subject, "do_nothing", Variant::NO_RESTORE, &few(), &MemoryState::new()).unwrap();
    let counts = row.counts.unwrap();
    // The constant and the function's entry.
    assert_eq!(counts.instructions, PerCall(2.0));
    assert_eq!((counts.allocations, counts.peak_live_bytes), (None, None), "nobody counts");
    let row = measure(&subject, "say_hello", Variant::NO_RESTORE, &few(), &MemoryState::new()).unwrap();
    assert_eq!(row.counts.unwrap().crossings, PerCall(1.0));
}

#[test]
fn growth_shows_in_the_pages_and_creep_does_not_under_a_restore() {
    let subject = subject(&text_guests::plain());
    let full_copy = Variant {
        strategy: Some(RestoreStrategy::FullCopy),
        policy: RestorePolicy::EveryCall,
        residue: Residue::Scrub,
    };
    let pages = |variant| {
        let counts = measure(&subject, "grow", variant, &few(), &MemoryState::new()).unwrap().counts.unwrap();
        (counts.pages_before, counts.pages_after)
    };
    assert_eq!(pages(Variant::NO_RESTORE), (2, 12), "ten calls are counted");
    assert_eq!(pages(full_copy), (2, 3));
    assert_eq!(pages(Variant::REINSTANTIATE), (2, 3));
}

#[test]
fn a_function_that_fails_is_a_row_that_says_why() {
    let subject = subject(&text_guests::plain());
    let failure = |function| {
        let row = measure(&subject, function, Variant::REINSTANTIATE, &few(), &MemoryState::new()).unwrap();
        assert!(row.counts.is_none() && row.times.is_none(), "{row:?}");
        row.failure.unwrap()
    };
    assert_eq!(failure("refuse").cause, "guest-error");
    assert!(failure("refuse").message.contains("hello"));
    assert_eq!((failure("abort").cause.as_str(), failure("abort").call), ("unreachable", 1));
    assert_eq!(failure("spin").cause, "deadline-exceeded");
}

#[test]
fn what_cannot_be_measured_at_all_is_an_error() {
    let subject = subject(&text_guests::plain());
    let error = measure(&subject, "none", Variant::NO_RESTORE, &few(), &MemoryState::new()).unwrap_err();
    assert!(matches!(error, LoadError::Function(_)), "{error}");
    let error = measure(&subject, "grow", KEEP, &few(), &MemoryState::new()).unwrap_err();
    assert!(matches!(error, LoadError::Admission(AdmissionError::Strategy { .. })), "{error}");
}

#[test]
fn ratios_are_to_the_baselines_of_the_same_function() {
    let subject = subject(&text_guests::counted());
    let one = |variant| measure(&subject, "allocate", variant, &few(), &MemoryState::new()).unwrap();
    let mut rows = [one(Variant::NO_RESTORE), one(Variant::REINSTANTIATE), one(KEEP)];
    for (row, p50) in rows.iter_mut().zip([100.0, 1000.0, 150.0]) {
        row.times.as_mut().unwrap().invoke = Spread { p50, p99: p50 };
    }
    relate(&mut rows, Spread { p50: 50.0, p99: 60.0 });
    let ratios = rows[2].times.as_ref().unwrap().ratios;
    assert_eq!(
        (ratios.to_bare_call, ratios.to_no_restore, ratios.to_reinstantiate),
        (Some(3.0), Some(1.5), Some(0.15))
    );
    let parts = |row: &host_harness::measure::Row| {
        let times = row.times.as_ref().unwrap();
        (times.call.is_some(), times.restore.is_some())
    };
    assert_eq!([parts(&rows[0]), parts(&rows[1]), parts(&rows[2])], [(true, false), (true, true), (true, true)]);
    assert!(bare_call(&Engines::new(&EngineConfig::default()).unwrap().timing, 100).unwrap().p50 > 0.0);
}
