//! Restored, each guest does what a fresh one does, and memory that runs out is recovered from.

use guest_host::{RestorePolicy, RestoreStrategy};
use host_harness::verify::{VerifyOptions, verify};

use super::{Go, built, each, field, state};

/// Functions that end by themselves; `recurse_for_ever` has a test of its own.
const FUNCTIONS: [&str; 10] = [
    "append_for_ever",
    "calc_ordered_items",
    "count_up",
    "count_words",
    "divide_by_zero",
    "index_out_of_range",
    "panic_with_message",
    "read_all",
    "send_mail",
    "what_was_started",
];

#[test]
fn restored_it_does_what_a_fresh_one_does() {
    each(|built, strategy| {
        let mut options = VerifyOptions::default();
        options.config = built.config(strategy);
        options.functions = Some(FUNCTIONS.map(str::to_owned).to_vec());
        // A fresh instance of Go's has to start its runtime.
        options.calls = if built.language == Go { 30 } else { 60 };
        options.seed = 20_261_128;
        options.max_differences = usize::MAX;
        let verdict = verify(&built.guest, &options, &state(), &mut |_| ()).expect("it serves the strategy");
        let told: Vec<_> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{}, {strategy}:\n{}", built.name, told.join("\n"));
        assert!(verdict.failures > 0, "{}, {strategy}", built.name);
    });
}

#[test]
fn a_list_that_grows_for_ever_is_recovered_from() {
    for built in built() {
        let mut instance = built.start_with(&built.config_with_policy(RestorePolicy::Never));
        let (mut recovered, mut before) = (0, 0);
        for _ in 0..600 {
            let outcome = instance
                .invoke_by_name("append_for_ever")
                .unwrap_or_else(|failure| panic!("{}, after {before}: {failure}", built.name));
            let (length, retried) = (field(&outcome, "Length"), outcome.stats().retried);
            assert_eq!(length, if retried { 1 } else { before + 1 }, "{}", built.name);
            recovered += u32::from(retried);
            before = length;
        }
        assert!(recovered >= 2, "{}: {recovered} recoveries", built.name);
        let _ = RestoreStrategy::DirtyCards;
    }
}
