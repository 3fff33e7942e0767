//! The sample extension in C, over the exttinygo contract: over each allocator behind C's interface, with and without wasi-libc,
//! and over wasi-libc's own. It leaves what the one in Rust leaves, and is restored as that is.

use guest_build::Allocator;
use guest_host::{AllocationSource, Cause, Guest, Instance, InstanceConfig, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::verify::{VerifyOptions, verify};

use super::{NEVER_REACHED, RESIDUES, config, config_with_policy, engine, field, load, root, state_of, strategies};

/// The modules, with the allocator that each has; `System` is that of wasi-libc.
const MODULES: [(&str, Allocator); 12] = [
    ("c-shop-leaking", Allocator::Leaking),
    ("c-shop-bump-reset", Allocator::BumpReset),
    ("c-shop-freelist", Allocator::Freelist),
    ("c-shop-statistics-freelist", Allocator::Freelist),
    ("c-shop-wasi-leaking", Allocator::Leaking),
    ("c-shop-wasi-bump-reset", Allocator::BumpReset),
    ("c-shop-wasi-freelist", Allocator::Freelist),
    ("c-shop-wasi-libc", Allocator::System),
    ("c-shop-reactor-leaking", Allocator::Leaking),
    ("c-shop-reactor-bump-reset", Allocator::BumpReset),
    ("c-shop-reactor-freelist", Allocator::Freelist),
    ("c-shop-reactor-libc", Allocator::System),
];

/// Sum of the squares of all numbers below 256, which the guest computes before its first call.
const SUM_OF_SQUARES: i64 = 5_559_680;

fn load_c(name: &str) -> Guest {
    let path = root().join(format!("target/guests/{name}.wasm"));
    let wasm = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    });
    Guest::load(engine(), name, &wasm, PrepareOptions::default()).expect("a built guest is admitted")
}

fn start(guest: &Guest, config: &InstanceConfig) -> Instance {
    guest.instantiate(config, state_of("shop")).expect("the guest serves the strategy")
}

/// Every module with every strategy that serves it.
fn each(test: impl Fn(&str, Allocator, &Guest, RestoreStrategy)) {
    for (name, allocator) in MODULES {
        let guest = load_c(name);
        for strategy in strategies(allocator) {
            test(name, allocator, &guest, *strategy);
        }
    }
}

#[test]
fn it_leaves_what_the_sample_in_rust_leaves() {
    let mut rust = load("shop", Allocator::Leaking)
        .instantiate(&config(RestoreStrategy::FullCopy, Residue::Scrub), state_of("shop"))
        .expect("the guest serves the strategy");
    for function in ["calc_ordered_items", "count_up"] {
        let expected = rust.invoke_by_name(function).expect("it succeeds").intent_bytes().to_vec();
        each(|name, _, guest, strategy| {
            let mut instance = start(guest, &config(strategy, Residue::Scrub));
            for _ in 0..3 {
                let outcome = instance.invoke_by_name(function).expect("it succeeds");
                assert_eq!(outcome.intent_bytes(), expected, "{name}, {strategy}, {function}");
            }
        });
    }
}

/// The extension functions of the sample.
const FUNCTIONS: [&str; 9] = [
    "append_for_ever",
    "big_strings",
    "calc_ordered_items",
    "count_up",
    "keep_handle",
    "panic_with_message",
    "read_all",
    "use_kept_handle",
    "what_was_started",
];

/// Those that it has with wasi-libc besides.
const OF_LIBC: [&str; 2] = ["exit_with_3", "print_lines"];

#[test]
fn no_function_of_the_allocator_is_an_extension_function() {
    for (name, _) in MODULES {
        let has_libc = name.contains("wasi") || name.contains("reactor");
        let mut expected: Vec<_> = FUNCTIONS.iter().chain(OF_LIBC.iter().filter(|_| has_libc)).copied().collect();
        expected.sort_unstable();
        let guest = load_c(name);
        let mut functions: Vec<_> = guest.functions().iter().map(String::as_str).collect();
        functions.sort_unstable();
        assert_eq!(functions, expected, "{name}");
    }
}

#[test]
fn what_was_started_is_in_the_snapshot() {
    each(|name, _, guest, strategy| {
        let mut instance = start(guest, &config(strategy, Residue::Scrub));
        for _ in 0..3 {
            let outcome = instance.invoke_by_name("what_was_started").expect("it succeeds");
            assert_eq!(field(&outcome, "TimesStarted"), 1, "{name}, {strategy}");
            assert_eq!(field(&outcome, "SumOfSquares"), SUM_OF_SQUARES, "{name}, {strategy}");
        }
    });
}

#[test]
fn its_allocations_are_counted_and_reset() {
    for (name, allocator) in MODULES {
        let guest = load_c(name);
        let best = *strategies(allocator).last().expect("every guest can at least be re-instantiated");
        let mut instance = start(&guest, &config(best, Residue::Scrub));
        for _ in 0..3 {
            let outcome = instance.invoke_by_name("append_for_ever").expect("there is room");
            assert_eq!(field(&outcome, "Length"), 1, "{name}");
            let counted = outcome.stats().allocations.expect("it is counted, one way or another");
            // Of a foreign allocator the calls are counted.
            let is_own = allocator != Allocator::System;
            assert_eq!(counted.source == AllocationSource::ControlBlock, is_own, "{name}: {:?}", counted.source);
            assert_eq!(counted.allocations, 1, "{name}");
            assert!(!is_own || counted.allocated_bytes == Some(60_004), "{name}: {counted:?}");
        }
    }
}

#[test]
fn a_list_that_grows_for_ever_keeps_growing() {
    for (name, allocator) in MODULES {
        let guest = load_c(name);
        let best = *strategies(allocator).last().expect("every guest can at least be re-instantiated");
        let mut instance = start(&guest, &config_with_policy(best, RestorePolicy::Never));
        let (mut recovered, mut before) = (0, 0);
        for _ in 0..300 {
            let outcome = instance.invoke_by_name("append_for_ever").expect("what overflows is tried again");
            let (length, retried) = (field(&outcome, "Length"), outcome.stats().retried);
            assert_eq!(length, if retried { 1 } else { before + 1 }, "{name}");
            recovered += u32::from(retried);
            before = length;
        }
        // 4 MiB hold less than 70 blocks of 60 KB.
        assert!((4..=6).contains(&recovered), "{name}: {recovered} recoveries");
    }
}

#[test]
fn a_handle_of_an_earlier_call_is_refused() {
    for (name, _) in MODULES {
        let guest = load_c(name);
        let policy = config_with_policy(RestoreStrategy::FullCopy, RestorePolicy::OnError);
        let mut instance = start(&guest, &policy);
        instance.invoke_by_name("keep_handle").expect("to keep it does no harm");
        let failure = instance.invoke_by_name("use_kept_handle").expect_err("it is of another call");
        assert!(matches!(failure.cause, Cause::InvalidGuestData { .. }), "{name}: {failure}");
        assert!(instance.is_pristine(), "{name}");
    }
}

#[test]
fn rows_come_one_at_a_time() {
    each(|name, _, guest, strategy| {
        let mut instance = start(guest, &config(strategy, Residue::Scrub));
        for _ in 0..2 {
            let outcome = instance.invoke_by_name("read_all").expect("it succeeds");
            let seen = ["Rows", "Months", "Amounts"].map(|name| field(&outcome, name));
            assert_eq!(seen, [1, 1, 400], "{name}, {strategy}");
        }
    });
}

#[test]
fn strings_that_do_not_fit_the_buffer_all_stay() {
    let bytes = 4000 * ("Stationery & Söhne".len() + "orders@example.com".len());
    each(|name, _, guest, strategy| {
        let mut instance = start(guest, &config(strategy, Residue::Scrub));
        for _ in 0..3 {
            let outcome = instance.invoke_by_name("big_strings").expect("it succeeds");
            assert_eq!(field(&outcome, "Bytes"), i64::try_from(bytes).expect("few"), "{name}, {strategy}");
            assert_eq!(field(&outcome, "Spoiled"), 0, "{name}, {strategy}");
        }
    });
}

#[test]
fn how_it_ends_is_told() {
    for (name, _) in MODULES {
        let guest = load_c(name);
        let mut instance = start(&guest, &config(RestoreStrategy::FullCopy, Residue::Scrub));
        let failure = instance.invoke_by_name("panic_with_message").expect_err("it panics");
        let Cause::Panic { message, .. } = &failure.cause else { panic!("{name}: {failure}") };
        assert_eq!(message, "no such order", "{name}");
        assert_eq!(instance.last_output(), b"panic: no such order\n", "{name}");
        if guest.functions().iter().any(|function| function == "exit_with_3") {
            let failure = instance.invoke_by_name("exit_with_3").expect_err("it exits");
            assert!(matches!(failure.cause, Cause::Exit { code: 3 }), "{name}: {failure}");
            let outcome = instance.invoke_by_name("print_lines").expect("it prints");
            assert_eq!(outcome.output(), b"line 1 of 3\nline 2 of 3\nline 3 of 3\n", "{name}");
        }
    }
}

#[test]
fn restored_it_does_what_a_fresh_one_does() {
    each(|name, _, guest, strategy| {
        let leaves_residue = matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset);
        for residue in RESIDUES.into_iter().filter(|residue| leaves_residue || *residue == Residue::Scrub) {
            let mut options = VerifyOptions::default();
            options.config = config(strategy, residue);
            options.config.deadline = Some(NEVER_REACHED);
            options.calls = 60;
            options.seed = 20_261_121;
            options.max_differences = usize::MAX;
            let verdict = verify(guest, &options, &state_of("shop"), &mut |_| ()).expect("it serves the strategy");
            let told: Vec<_> = verdict.differences.iter().map(ToString::to_string).collect();
            assert!(told.is_empty(), "{name}, {strategy}, {residue}:\n{}", told.join("\n"));
        }
    });
}
