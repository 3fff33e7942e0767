//! Names, texts and bytes of no bytes, which may be anywhere.

use guest_host::admission::exttinygo_imports;
use guest_host::{Cause, InstanceConfig};
use guest_prepare::module_info::ValueType;

use super::{guest, load, state};
use crate::empty_ranges::NOWHERE;

/// Which of a function's parameters begin a range, by address and length.
fn ranges(name: &str, params: &[ValueType]) -> Vec<usize> {
    let kind = usize::from(name.starts_with("hostRowWriterPut"));
    let (first, ranges) = match name {
        "hostGetKey" => (0, 2),
        "hostPanic" => (0, 1),
        "hostRowWriterPutString" | "hostRowWriterPutBytes" => (2, 2),
        "hostRowWriterPutQName" => (2, 3),
        _ if kind == 1 || name.starts_with("hostValueAs") || name.starts_with("hostKeyAs") => (1 + kind, 1),
        _ => (0, 0),
    };
    let found: Vec<usize> = (0..ranges).map(|range| first + 2 * range).collect();
    assert!(found.iter().all(|at| params[*at..at + 2] == [ValueType::I32, ValueType::I32]), "{name}");
    found
}

/// Calls a function of the contract with ranges of `length` bytes at `at` wherever it takes ranges, for a row that was
/// read, and what came of it: the intents, or the cause of failure in words.
fn outcome(name: &str, params: &[ValueType], results: &[ValueType], at: u32, length: u32) -> Result<Vec<u8>, Cause> {
    let ranges = ranges(name, params);
    let wasm = guest(|source| {
        let of_writer = name.starts_with("hostRowWriterPut");
        let argument = |(index, ty): (usize, &ValueType)| match ty {
            _ if ranges.contains(&index) => format!("(i32.const {at})"),
            _ if index > 0 && ranges.contains(&(index - 1)) => format!("(i32.const {length})"),
            _ if index == 0 && of_writer => "(local.get $intent)".to_owned(),
            _ if index == 0 && name.starts_with("hostKey") => "(local.get $key)".to_owned(),
            _ if index == 0 => "(local.get $value)".to_owned(),
            // The kind of writer, and what is put.
            _ => format!("({ty}.const 1)"),
        };
        let arguments: String = params.iter().enumerate().map(argument).collect();
        let call = format!("(call ${name} {arguments})");
        let call = if results.is_empty() { call } else { format!("(drop {call})") };
        format!(
            r#"(func (export "WasmOnReadValue") (param $key i64) (param $value i64) (local $intent i64)
                 (local.set $intent {}) {call})
               (func (export "f") (local $rows i64)
                 (local.set $rows {})
                 (call $hostRowWriterPutInt32 (local.get $rows) (i32.const 0) {} (i32.const 2024))
                 (call $hostReadValues (local.get $rows)))"#,
            source.seen(),
            source.key("sys.View", "a.b/c.Rows"),
            source.text("Year"),
        )
    });
    let mut instance = load(&wasm).instantiate(&InstanceConfig::default(), state()).expect("it can be instantiated");
    let called = instance.invoke_by_name("f");
    called.map(|outcome| outcome.intent_bytes().to_vec()).map_err(|failure| failure.cause)
}

#[test]
fn ranges_of_no_bytes_are_right_whatever_their_address() {
    let mut checked = 0;
    for import in exttinygo_imports() {
        let (name, signature) = (import.name.as_str(), &import.signature);
        let (params, results) = (&signature.params, &signature.results);
        if ranges(name, params).is_empty() {
            continue;
        }
        let words = |at| outcome(name, params, results, at, 0).map_err(|cause| cause.to_string());
        let somewhere = words(64);
        for at in NOWHERE {
            assert_eq!(words(at), somewhere, "{name} {at:#x}");
            let refused = outcome(name, params, results, at, 1).unwrap_err();
            assert!(matches!(refused, Cause::InvalidGuestData(_)), "{name}: {refused}");
            assert!(refused.to_string().contains(&format!("1 bytes at address {at:#x} are outside")), "{refused}");
        }
        // What it means that a name has no bytes is the function's own affair.
        match (name, somewhere) {
            ("hostGetKey", Err(told)) => assert!(told.contains("storage"), "{told}"),
            ("hostPanic", Err(told)) => assert_eq!(told, "the guest panicked: "),
            (name, Ok(intents)) => assert!(name.starts_with("hostRowWriterPut") && !intents.is_empty(), "{name}"),
            (_, Err(told)) => assert!(told.contains("the object has no field ``"), "{told}"),
        }
        checked += 1;
    }
    assert_eq!(checked, 2 + 8 + 10 + 9);
}

#[test]
fn an_entity_of_no_bytes_is_none() {
    let wasm = guest(|source| {
        let storage = source.text("test.Seen");
        let keys = NOWHERE.map(|at| {
            format!("(drop (call $hostNewValue (call $hostGetKey {storage} (i32.const {at}) (i32.const 0))))")
        });
        format!(r#"(func (export "f") {})"#, keys.concat())
    });
    let mut instance = load(&wasm).instantiate(&InstanceConfig::default(), state()).unwrap();
    let outcome = instance.invoke_by_name("f").unwrap();
    let intents: Vec<_> = outcome.intents().map(Result::unwrap).collect();
    let keys: Vec<_> = intents.iter().map(|intent| (intent.key.storage, intent.key.entity)).collect();
    assert_eq!(keys, [("test.Seen", ""); 2]);
}
