//! Failures that end a call, and those that an extension can handle.

use guest_sdk_exttinygo::testing::{Failure, Host, MemoryState, MemoryStateError};
use guest_sdk_exttinygo::{Context, Error, ErrorCode, KeyBuilder, Level, Result, storage};

use crate::{number, numbered};

fn error(extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> (ErrorCode, String) {
    match numbered(2, "two").call(extension).unwrap_failure().clone() {
        Failure::Error { code, message } => (code, message),
        other => panic!("not an error of the extension: {other}"),
    }
}

#[test]
fn an_extension_handles_absence_and_long_keys() {
    numbered(1, "")
        .call(|cx| {
            assert_eq!(cx.get_value(&number(7)).unwrap_err().code(), ErrorCode::Absent);
            assert!(cx.query_value(&number(7))?.is_none());
            let mut long = KeyBuilder::<16>::with_capacity(storage::VIEW, "shop.Numbers");
            long.put_i32("Id", 1);
            assert_eq!(cx.get_value(&long).unwrap_err().code(), ErrorCode::KeyTooLong);
            assert_eq!(cx.new_value(&long).unwrap_err().code(), ErrorCode::KeyTooLong);
            Ok(())
        })
        .unwrap();
}

/// Reads and goes on whatever comes of it.
fn ends<T>(read: impl Fn(&mut Context<'_>) -> Result<T>) -> (ErrorCode, String) {
    error(|cx| {
        let _ = read(cx);
        panic!("the host would have ended the call")
    })
}

#[test]
fn what_cannot_be_read_as_asked_ends_the_call() {
    for (ended, code, message) in [
        (
            ends(|cx| cx.get_value(&number(1))?.get_i32("Text")),
            ErrorCode::WrongType,
            "field `Text`: asked for i32, found string",
        ),
        (
            ends(|cx| cx.get_value(&number(1))?.get_str("Name").map(drop)),
            ErrorCode::MissingField,
            "the object has no field `Name`",
        ),
        (ends(|cx| cx.get_value(&number(1))?.len()), ErrorCode::WrongType, "asked for array, found object"),
        (
            ends(|cx| cx.get_value(&number(1))?.get("Text").map(drop)),
            ErrorCode::WrongType,
            "field `Text`: asked for object or array, found string",
        ),
    ] {
        assert_eq!(ended, (code, message.into()));
    }
}

#[test]
fn errors_of_the_application_arrive_whole() {
    assert_eq!(error(|_| Err(Error::application(7, "no"))), (ErrorCode::Application(1007), "no".into()));
    assert_eq!(error(|_| Err("sold out".into())), (ErrorCode::Application(1000), "sold out".into()));
}

#[test]
fn panics_and_refusals_of_the_state_are_told_apart() {
    let panicked = numbered(0, "").call(|_| panic!("this {}", "text"));
    assert!(matches!(panicked.unwrap_failure(), Failure::Panic { message, .. } if message == "this text"));
    let refused = numbered(0, "").call(|cx| cx.query_value(&KeyBuilder::new("unknown", "")).map(drop));
    assert!(matches!(refused.unwrap_failure(), Failure::State(MemoryStateError::UnsupportedStorage { .. })));
}

#[test]
fn a_call_that_fails_leaves_its_log_lines_and_no_intents() {
    let mut host = Host::new(MemoryState::new());
    let outcome = host.call(|cx| {
        cx.log(Level::Warn, "before");
        cx.new_value(&number(5))?.put_str("Text", "x");
        cx.info("behind");
        Err("no".into())
    });
    assert!(outcome.result.is_err());
    let lines: Vec<_> = outcome.log.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(lines, [(Level::Warn, "before"), (Level::Info, "behind")]);
    assert!(outcome.encoded_intents().is_empty());
    // Handles of the call that failed are gone in the next.
    host.call(|cx| cx.new_value(&number(6)).map(|mut intent| _ = intent.put_i32("Number", 1))).unwrap();
}
