//! The results of the sample, which every call after a restore leaves again.

use guest_build::Allocator;
use guest_host::{AdmissionError, AllocationSource, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy};

use super::{Language, STRATEGIES, built, each};
use crate::guests::{config, field, load, state_of};

#[test]
fn it_leaves_what_the_sample_in_rust_leaves() {
    let mut rust = load("shop", Allocator::Leaking)
        .instantiate(&config(RestoreStrategy::FullCopy, Residue::Scrub), state_of("shop"))
        .expect("the guest serves the strategy");
    for function in ["calc_ordered_items", "count_up", "send_mail"] {
        let expected = rust.invoke_by_name(function).expect("it succeeds").intent_bytes().to_vec();
        assert!(!expected.is_empty());
        each(|built, strategy| {
            let mut instance = built.start(strategy);
            for call in 0..3 {
                let outcome = instance
                    .invoke_by_name(function)
                    .unwrap_or_else(|failure| panic!("{}, {strategy}, {function}, {call}: {failure}", built.name));
                assert_eq!(outcome.intent_bytes(), expected, "{}, {strategy}, {function}, {call}", built.name);
            }
        });
    }
}

#[test]
fn admission_allows_the_strategies_that_need_no_allocator_of_this_project() {
    for built in built() {
        for strategy in RestoreStrategy::ALL {
            let made = built.guest.instantiate(&built.config(strategy, RestorePolicy::EveryCall), MemoryState::new());
            let expected = STRATEGIES.contains(&strategy);
            assert_eq!(made.is_ok(), expected, "{} with {strategy}", built.name);
            let refused = matches!(made, Err(LoadError::Admission(AdmissionError::Strategy { .. })));
            assert_eq!(refused, !expected, "{} with {strategy}", built.name);
        }
        let auto = built.start(RestoreStrategy::Auto);
        assert_eq!(auto.strategy().strategy, RestoreStrategy::DirtyCards, "{}", built.name);
    }
}

#[test]
fn no_function_of_a_compiler_is_an_extension_function() {
    let expected = [
        "append_for_ever",
        "calc_ordered_items",
        "count_up",
        "count_words",
        "divide_by_zero",
        "index_out_of_range",
        "panic_with_message",
        "read_all",
        "recurse_for_ever",
        "send_mail",
        "what_was_started",
    ];
    for built in built() {
        let mut functions: Vec<_> = built.guest.functions().iter().map(String::as_str).collect();
        functions.sort_unstable();
        assert_eq!(functions, expected, "{}", built.name);
    }
}

/// Sum of the table of CRC-32. Its entries are the 256 elements of a linear space; in each of the 32 bits that any of them has, just
/// one half of them have it: 128 * (2^32 - 1).
const SUM_OF_TABLE: i64 = 549_755_813_760;

#[test]
fn results_of_the_start_are_in_the_snapshot() {
    each(|built, strategy| {
        let mut instance = built.start(strategy);
        for _ in 0..3 {
            let outcome = instance.invoke_by_name("what_was_started").expect("it succeeds");
            assert_eq!(field(&outcome, "TimesStarted"), 1, "{}, {strategy}", built.name);
            assert_eq!(field(&outcome, "SumOfTable"), SUM_OF_TABLE, "{}, {strategy}", built.name);
        }
    });
}

#[test]
fn rows_come_one_at_a_time() {
    each(|built, strategy| {
        let mut instance = built.start(strategy);
        for _ in 0..2 {
            let outcome = instance.invoke_by_name("read_all").expect("it succeeds");
            let seen = ["Rows", "Months", "Amounts"].map(|name| field(&outcome, name));
            assert_eq!(seen, [1, 1, 400], "{}, {strategy}", built.name);
        }
    });
}

/// The pages at the start, and the source and number of the allocations in a call of `count_words`.
///
/// The program makes 5,000 words, one allocation each; the rest is for the map, which Zig enlarges seven times on the way to 512
/// places. In AssemblyScript each number's text is an allocation too, save for the 20 zeros, whose text is a constant.
fn counts(name: &str) -> (u64, AllocationSource, u64) {
    match name {
        // The compiler has put the allocator's function into its callers, so no call of it is left.
        "as-shop-incremental" | "as-shop-minimal" => (3, AllocationSource::CountedCalls, 0),
        "as-shop-stub" => (2, AllocationSource::CountedCalls, 9_999),
        "go-shop" => (46, AllocationSource::GuestFunctions, 5_017),
        _ => (4, AllocationSource::CountedCalls, 5_007),
    }
}

#[test]
fn allocations_of_a_call_are_counted() {
    for built in built() {
        let mut instance = built.start(RestoreStrategy::DirtyCards);
        let pages = instance.physical_pages();
        for call in 0..3 {
            let outcome = instance.invoke_by_name("count_words").expect("there is room");
            assert_eq!([field(&outcome, "Words"), field(&outcome, "OfWord7")], [250, 20], "{}", built.name);
            let counted = outcome.stats().allocations.expect("it is counted, one way or another");
            let found = (pages, counted.source, counted.allocations);
            assert_eq!(found, counts(built.name), "{}, {call}: {counted:?}", built.name);
            if built.language == Language::Zig {
                assert_eq!(counted.deallocations, Some(counted.allocations), "{}: it frees everything", built.name);
            }
        }
    }
}
