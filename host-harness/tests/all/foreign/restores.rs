//! Restored, each guest does what a fresh one does, and recovers when memory runs out.

use guest_host::{RestorePolicy, RestoreStrategy};
use host_harness::verify::{VerifyOptions, verify};

use super::{Language, built, each};
use crate::guests::{field, state_of};

#[test]
fn restored_it_does_what_a_fresh_one_does() {
    each(|built, strategy| {
        let functions = built.guest.functions().iter().filter(|function| *function != "recurse_for_ever");
        let mut options = VerifyOptions::default();
        options.config = built.config(strategy, RestorePolicy::EveryCall);
        // The depth at which the engine's stack is full is not the guest's: that function has a test of its own.
        options.functions = Some(functions.cloned().collect());
        // A fresh instance of Go's starts its runtime.
        options.calls = if built.language == Language::Go { 30 } else { 60 };
        options.seed = 20_261_128;
        options.max_differences = usize::MAX;
        let verdict = verify(&built.guest, &options, &state_of("shop"), &mut |_| ()).expect("it serves the strategy");
        let told: Vec<_> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{}, {strategy}:\n{}", built.name, told.join("\n"));
        assert!(verdict.failures > 0, "{}, {strategy}: nothing failed", built.name);
        assert!(verdict.skipped.is_empty(), "{}, {strategy}", built.name);
    });
}

/// Recoveries in 600 calls that append 60 KB each. In 4 MiB less the start's two or three pages there are 67 blocks of
/// AssemblyScript's; Zig's are fewer, as the shadow stack takes a page more. Go has 16 MiB less 46 pages, and 64 KiB for a block.
const fn recoveries(language: Language) -> u32 {
    match language {
        Language::AssemblyScript => 8,
        Language::Zig => 9,
        Language::Go => 2,
    }
}

#[test]
fn a_list_that_grows_for_ever_is_recovered_from() {
    for built in built() {
        let mut instance = built.start_with(&built.config(RestoreStrategy::DirtyCards, RestorePolicy::Never));
        let (mut recovered, mut before) = (0, 0);
        for call in 0..600 {
            let outcome = instance
                .invoke_by_name("append_for_ever")
                .unwrap_or_else(|failure| panic!("{}, call {call}, after {before}: {failure}", built.name));
            let (length, retried) = (field(&outcome, "Length"), outcome.stats().retried);
            assert_eq!(length, if retried { 1 } else { before + 1 }, "{}", built.name);
            recovered += u32::from(retried);
            before = length;
        }
        assert_eq!(recovered, recoveries(built.language), "{}", built.name);
    }
}
