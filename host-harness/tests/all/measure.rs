//! Counts are exact, failures become rows, baselines stand beside.

use std::time::Duration;

use guest_host::{AdmissionError, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::measure::{
    Candidate, Engines, Interval, MeasureOptions, PerCall, Row, Subject, Variant, bare_call, measure, measure_together,
};

use test_support::text_guests;

const KEEP: Variant =
    Variant { strategy: Some(RestoreStrategy::BumpReset), policy: RestorePolicy::EveryCall, residue: Residue::Keep };

fn subject(wasm: &[u8]) -> Subject {
    let engines = Engines::new(&test_support::compiled::engine_config()).unwrap();
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
fn ratios_are_to_the_baselines_of_the_same_function_round_by_round() {
    let subject = subject(&text_guests::counted());
    let candidate = |function, variant| Candidate { subject: &subject, function, variant };
    let candidates = [Variant::NO_RESTORE, Variant::REINSTANTIATE, KEEP].map(|variant| candidate("allocate", variant));
    let mut steps = Vec::new();
    let together =
        measure_together(&candidates, &few(), &MemoryState::new(), &mut |done, all| steps.push((done, all))).unwrap();
    assert_eq!((steps.first(), steps.last(), steps.len()), (Some(&(1, 23)), Some(&(23, 23)), 23));
    let rows: Vec<Row> = together.rows.into_iter().map(Result::unwrap).collect();
    let times: Vec<_> = rows.iter().map(|row| row.times.as_ref().unwrap()).collect();
    assert!(times.iter().all(|times| times.rounds.len() == 20), "{times:?}");
    assert_eq!(times[0].ratios.to_no_restore, Some(1.0));
    assert_eq!(times[1].ratios.to_reinstantiate, Some(1.0));
    for times in &times {
        let Interval { low, high } = times.interval;
        assert!(low <= high && low > 0.0, "{times:?}");
        for ratio in [times.ratios.to_bare_call, times.ratios.to_no_restore, times.ratios.to_reinstantiate] {
            assert!(ratio.is_some_and(|ratio| ratio > 0.0), "{times:?}");
        }
    }
    let parts = |at: usize| (times[at].call.is_some(), times[at].restore.is_some());
    assert_eq!([parts(0), parts(1), parts(2)], [(true, false), (true, true), (true, true)]);
    assert!(together.noise.is_some_and(|noise| noise.fast <= noise.slow), "{:?}", together.noise);
    assert!(!together.bare_call.is_empty());
}

#[test]
fn a_candidate_that_cannot_be_measured_does_not_keep_the_others_from_it() {
    let subject = subject(&text_guests::plain());
    let candidate = |function, variant| Candidate { subject: &subject, function, variant };
    let candidates = [
        candidate("do_nothing", KEEP),
        candidate("refuse", Variant::REINSTANTIATE),
        candidate("do_nothing", Variant::REINSTANTIATE),
    ];
    let rows = measure_together(&candidates, &few(), &MemoryState::new(), &mut |_, _| ()).unwrap().rows;
    let [refused, failed, measured] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(matches!(refused, Err(LoadError::Admission(_))), "{refused:?}");
    assert!(failed.as_ref().is_ok_and(|row| row.failure.is_some() && row.times.is_none()), "{failed:?}");
    assert!(measured.as_ref().is_ok_and(|row| row.times.is_some()), "{measured:?}");
    assert!(measure_together(&[], &few(), &MemoryState::new(), &mut |_, _| ()).unwrap().rows.is_empty());
}

#[test]
fn the_bare_call_is_timed() {
    assert!(bare_call(&Engines::new(&test_support::compiled::engine_config()).unwrap().timing, 100).unwrap().p50 > 0.0);
}
