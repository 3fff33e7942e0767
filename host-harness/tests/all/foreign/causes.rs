//! The causes of failure, by language and mode: the table of `docs/src/foreign-guests/toolchains.md`.

use guest_host::{Cause, Failure, RestoreStrategy};

use super::{Built, Language, each};
use crate::guests::field;

/// Fails twice and serves as before after each. Returns the failure.
fn fail(built: &Built, strategy: RestoreStrategy, function: &str) -> Failure {
    let told = format!("{}, {strategy}, {function}", built.name);
    let mut instance = built.start(strategy);
    let mut fail = || {
        let failure = instance.invoke_by_name(function).expect_err(&told);
        let outcome = instance.invoke_by_name("what_was_started").expect("it was restored");
        assert_eq!(field(&outcome, "TimesStarted"), 1, "{told}");
        failure
    };
    let first = fail();
    assert_eq!(fail().cause.kind(), first.cause.kind(), "{told}");
    first
}

/// The causes of `index_out_of_range`, `divide_by_zero` and `recurse_for_ever`.
fn causes(name: &str, language: Language) -> [&'static str; 3] {
    match (language, name) {
        // The language checks an index, WebAssembly a divisor, and the engine its stack.
        (Language::AssemblyScript, _) => ["panic", "trap", "stack-overflow"],
        // Frames of Debug fill the shadow stack first. It lies lowest in memory, and below address 0 there is nothing.
        (Language::Zig, "zig-shop-Debug") => ["panic", "panic", "out-of-bounds"],
        (Language::Zig, "zig-shop-ReleaseSafe") => ["panic", "panic", "stack-overflow"],
        // Nothing is checked, and the index is beyond the memory.
        (Language::Zig, _) => ["out-of-bounds", "trap", "stack-overflow"],
        (Language::Go, _) => ["panic", "panic", "stack-overflow"],
    }
}

#[test]
fn failures_have_the_causes_that_the_book_lists() {
    each(|built, strategy| {
        let functions = ["index_out_of_range", "divide_by_zero", "recurse_for_ever"];
        let found = functions.map(|function| fail(built, strategy, function).cause.kind());
        assert_eq!(found, causes(built.name, built.language), "{}, {strategy}", built.name);
    });
}

#[test]
fn a_panic_has_its_message() {
    each(|built, strategy| {
        let failure = fail(built, strategy, "panic_with_message");
        let Cause::Panic { message, .. } = &failure.cause else { panic!("{}, {strategy}: {failure}", built.name) };
        // Go adds the goroutine's trace.
        let (first, trace) = message.split_once('\n').unwrap_or((message, ""));
        assert_eq!(first, "no such order", "{}, {strategy}", built.name);
        let has_trace = trace.contains("goroutine 1 [running]") && trace.contains("main.panicWithMessage");
        assert_eq!(has_trace, built.language == Language::Go, "{}, {strategy}: {message}", built.name);
    });
}
