//! What the sample leaves, and that every call after a restore leaves it again.

use guest_host::{AllocationSource, Guest, LoadError, MemoryState, RestoreStrategy};
use guest_prepare::PrepareOptions;

use super::{AssemblyScript, Go, Language, STRATEGIES, Zig, built, each, engine, field, guests, state};

#[test]
fn it_leaves_what_the_sample_in_rust_leaves() {
    let wasm = std::fs::read(guests().join("shop-leaking.wasm")).expect("run `cargo xtask guests` first");
    let rust = Guest::load(engine(), "shop", &wasm, PrepareOptions::default()).expect("it is admitted");
    let mut config = guest_host::InstanceConfig::default();
    config.strategy = RestoreStrategy::FullCopy;
    let mut rust = rust.instantiate(&config, state()).expect("it serves the strategy");
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
fn admission_allows_what_needs_no_allocator_of_this_project() {
    for built in built() {
        for strategy in RestoreStrategy::ALL {
            let made = built.guest.instantiate(&built.config(strategy), MemoryState::new());
            let refused = matches!(made, Err(LoadError::Strategy { .. } | LoadError::Allocator { .. }));
            assert_eq!(made.is_ok(), STRATEGIES.contains(&strategy), "{} with {strategy}", built.name);
            assert_eq!(refused, !STRATEGIES.contains(&strategy), "{} with {strategy}", built.name);
        }
        let auto = built.start(RestoreStrategy::Auto);
        assert_eq!(auto.strategy().strategy, RestoreStrategy::DirtyCards, "{}", built.name);
    }
}

#[test]
fn nothing_that_the_compiler_exports_is_an_extension_function() {
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

/// Sum of the 256 entries of the table of CRC-32.
const SUM_OF_TABLE: i64 = 549_755_813_760;

#[test]
fn what_was_started_is_in_the_snapshot() {
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

/// What `count_words` allocates and frees, as the harness is told.
const fn counts(language: Language, name: &str) -> (AllocationSource, u64, u64) {
    let _ = name;
    match language {
        AssemblyScript => (AllocationSource::CountedCalls, 0, 0),
        Zig => (AllocationSource::CountedCalls, 0, 0),
        Go => (AllocationSource::GuestFunctions, 0, 0),
    }
}

#[test]
fn what_a_call_allocates_is_counted() {
    for built in built() {
        let mut instance = built.start(RestoreStrategy::DirtyCards);
        for call in 0..3 {
            let outcome = instance.invoke_by_name("count_words").expect("there is room");
            assert_eq!([field(&outcome, "Words"), field(&outcome, "OfWord7")], [250, 20], "{}", built.name);
            let counted = outcome.stats().allocations.expect("it is counted, one way or another");
            let found = (counted.source, counted.allocations, counted.deallocations);
            assert_eq!(found, counts(built.language, built.name), "{}, {call}: {counted:?}", built.name);
        }
    }
}
