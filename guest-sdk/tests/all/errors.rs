//! The errors of an extension, as they reach the host.

use guest_sdk::testing::{Failure, MemoryStateError};
use guest_sdk::{Context, Error, ErrorCode, KeyBuilder, Level, Result, storage};

use crate::{host, number, numbered};

fn failure(extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> Failure {
    host(numbered(2, "two")).call(extension).unwrap_failure().clone()
}

fn error(extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> (ErrorCode, String) {
    match failure(extension) {
        Failure::Error { code, message } => (code, message),
        other => panic!("not an error of the extension: {other}"),
    }
}

#[test]
fn errors_of_the_sdk_arrive_with_code_and_whole_message() {
    assert_eq!(
        error(|cx| cx.get_value(&number(7)).map(drop)),
        (ErrorCode::Absent, "no record of `sys.View shop.Numbers` has the key".into())
    );
    assert_eq!(
        error(|cx| cx.get_value(&number(1))?.get_i32("Text").map(drop)),
        (ErrorCode::WrongType, "field `Text`: asked for i32, found string".into())
    );
    assert_eq!(
        error(|cx| cx.get_value(&number(1))?.get_str("Name").map(drop)),
        (ErrorCode::MissingField, "the object has no field `Name`".into())
    );
    assert_eq!(
        error(|cx| cx.get_value(&number(1))?.item(0).map(drop)),
        (ErrorCode::WrongType, "asked for array, found object".into())
    );
    assert_eq!(
        error(|cx| cx.get_value(&number(1))?.get("Text")?.get("Inner").map(drop)),
        (ErrorCode::WrongType, "field `Inner`: asked for object, found string".into())
    );
    let long = "x".repeat(600);
    assert_eq!(
        error(|cx| {
            let mut key = KeyBuilder::new(storage::VIEW, "shop.Numbers");
            key.put_str("Name", &long).put_i32("Id", 1);
            cx.new_value(&key).map(drop)
        }),
        (
            ErrorCode::KeyTooLong,
            "the key of `sys.View shop.Numbers` is longer than 512 bytes: give `KeyBuilder` a larger capacity".into()
        )
    );
}

#[test]
fn errors_of_the_application_arrive_whole_whatever_their_length() {
    let long = "é".repeat(100_000);
    assert_eq!(error(|_| Err(Error::application(7, long.clone()))), (ErrorCode::Application(1007), long.clone()));
    assert_eq!(error(|_| Err("sold out".into())), (ErrorCode::Application(1000), "sold out".into()));
    assert_eq!(
        error(|_| {
            let number: i32 = "many".parse()?;
            assert_ne!(number, 0);
            Ok(())
        }),
        (ErrorCode::Application(1000), "the text is not an integer of the type asked for".into())
    );
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_says_how_much_it_needs() {
    let outcome =
        host(numbered(1, &"x".repeat(1000))).exchange_size(1024).call(|cx| cx.get_value(&number(0)).map(drop));
    assert_eq!(
        outcome.unwrap_failure().to_string(),
        "error 6: the exchange region has 768 bytes left, the value needs 1017: use a larger region, or read in a \
         `Context::scope`"
    );
}

#[test]
fn a_call_that_fails_leaves_its_log_lines_and_no_intents() {
    let outcome = host(numbered(1, "")).exchange_size(64).call(|cx| {
        cx.log(Level::Warn, "before");
        cx.new_value(&number(5))?.put_str("Text", &"x".repeat(100));
        cx.info("behind");
        Err("no".into())
    });
    assert!(outcome.crossings.intents > 0, "some have been flushed");
    assert!(outcome.encoded_intents().is_empty());
    let lines: Vec<_> = outcome.log.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(lines, [(Level::Warn, "before"), (Level::Info, "behind")]);
}

#[test]
fn a_panic_arrives_with_message_and_place_and_the_thread_goes_on() {
    let line = line!() + 1;
    let panic = failure(|_| panic!("{} of {}", 3, 4));
    let Failure::Panic { message, file, line: at, column } = panic else { panic!("not a panic: {panic}") };
    assert_eq!((message.as_str(), at, column), ("3 of 4", line, 29));
    assert!(file.ends_with("errors.rs"), "{file}");
    host(numbered(1, "")).call(|cx| cx.get_value(&number(0)).map(drop)).unwrap();
}

#[test]
fn what_the_state_refuses_is_no_error_of_the_extension() {
    let unsupported = failure(|cx| {
        // A host traps here, so an extension cannot go on as if nothing was there.
        let _ = cx.query_value(&KeyBuilder::new("sys.Nothing", ""));
        Ok(())
    });
    assert_eq!(unsupported, Failure::State(MemoryStateError::UnsupportedStorage { storage: "sys.Nothing".into() }));
    let mut twice = number(1);
    twice.put_i32("Id", 2);
    let invalid = failure(|cx| cx.query_value(&twice).map(drop));
    assert!(matches!(invalid, Failure::State(MemoryStateError::InvalidKey { .. })), "{invalid}");
}

#[test]
fn a_key_can_be_used_again_after_it_was_too_long() {
    let mut key = KeyBuilder::<32>::with_capacity(storage::VIEW, "shop.Numbers");
    key.put_str("Id", "much too long for the key");
    assert!(key.bytes().is_err());
    key.clear().put_i32("Id", 1);
    host(numbered(2, "")).call(|cx| cx.get_value(&key).map(drop)).unwrap();
    let mut key = KeyBuilder::<8>::with_capacity(storage::VIEW, "shop.Numbers");
    key.clear();
    assert!(key.bytes().is_err(), "storage and entity alone are too long");
}

#[test]
fn exactly_the_capacity_fits() {
    // Two heads and texts, the map's head, its end.
    let used = KeyBuilder::new("abc", "de").bytes().unwrap().len();
    assert_eq!(used, 4 + 3 + 2);
    assert!(KeyBuilder::<9>::with_capacity("abc", "de").bytes().is_ok());
    assert!(KeyBuilder::<8>::with_capacity("abc", "de").bytes().is_err());
}
