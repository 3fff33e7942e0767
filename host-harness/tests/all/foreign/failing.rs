//! How calls fail, and what is told of it.

use guest_host::{Cause, Failure, RestorePolicy, RestoreStrategy};

use super::{AssemblyScript, Built, Go, Zig, built, field};

/// A failing call after which the instance serves as before; what the guest printed, too.
fn fail(built: &Built, function: &str) -> (Failure, String) {
    let mut instance = built.start(RestoreStrategy::DirtyCards);
    let mut failure = None;
    for _ in 0..2 {
        let failed = instance.invoke_by_name(function).expect_err("it fails").into_owned();
        if let Some(before) = failure.replace(failed.clone()) {
            assert_eq!(failed.cause, before.cause, "{}, {function}", built.name);
        }
    }
    let output = String::from_utf8_lossy(instance.last_output()).into_owned();
    let outcome = instance.invoke_by_name("what_was_started").expect("it was restored");
    assert_eq!(field(&outcome, "TimesStarted"), 1, "{}, {function}", built.name);
    (failure.expect("it failed twice"), output)
}
