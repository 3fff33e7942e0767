//! The host checks results: lies, traps and errors of guests are errors, and the next call is right.

use guest_abi::function::{Scalar, Type};
use guest_functions::guest_host::Cause;
use guest_functions::{FunctionError, ModuleConfig, Value};

use crate::support::{function, load, native};

/// The failure of a function without parameters that has this body and this result.
fn failure(result: Type, wasm_result: &str, body: &str) -> String {
    let signature = |ty: Type| match (ty.list, ty.nullable, ty.scalar) {
        (None, false, Scalar::Bool) => function!("lie", [], Type::of(Scalar::Bool)),
        (None, false, Scalar::String) => function!("lie", [], Type::of(Scalar::String)),
        (None, true, Scalar::Bool) => function!("lie", [], Type::of(Scalar::Bool).nullable()),
        (None, true, Scalar::I64) => function!("lie", [], Type::of(Scalar::I64).nullable()),
        (None, false, Scalar::Decimal { .. }) => {
            function!("lie", [], Type::of(Scalar::Decimal { precision: 2, scale: 0 }))
        }
        (Some(_), _, Scalar::I64) => function!("lie", [], Type::of(Scalar::I64).list()),
        (Some(_), _, Scalar::Bool) => function!("lie", [], Type::of(Scalar::Bool).list()),
        (Some(_), _, Scalar::String) => function!("lie", [], Type::of(Scalar::String).list()),
        other => panic!("{other:?}"),
    };
    let functions = format!(
        "(func (export \"__guest_function_lie\") (result {wasm_result}) {body})
         (func (export \"__guest_function_honest\") (result i64) (i64.load (i32.const 64)))
         (data (i32.const 512) \"\\ffabc\")"
    );
    let honest = function!("honest", [], Type::of(Scalar::I64));
    let module = load(&native(&functions, &[signature(result), honest].concat()), ModuleConfig::default()).unwrap();
    let error = module.function("lie").unwrap().call_values(&[]).unwrap_err();
    assert_eq!(module.function("honest").unwrap().call::<_, i64>(()).unwrap(), 0, "the memory was put back");
    match error {
        FunctionError::Call(failure) if matches!(failure.cause, Cause::InvalidGuestData(_)) => {
            failure.cause.to_string()
        }
        other => panic!("{other}"),
    }
}

/// Writes a column of these words to address 64, and returns it.
fn column(words: [u32; 8]) -> String {
    let stores = words
        .iter()
        .enumerate()
        .map(|(at, word)| format!("(i32.store (i32.const {}) (i32.const {}))", 64 + 4 * at, word.cast_signed()));
    format!("{} (i64.const {})", stores.collect::<String>(), 64_i64 << 32)
}

#[test]
fn lies_about_a_result_are_told() {
    let string = Type::of(Scalar::String);
    let packed = |address: i64, length: i64| format!("(i64.const {})", address << 32 | length);
    for (ty, wasm, body, expected) in [
        (Type::of(Scalar::Bool), "i32", "(i32.const 7)".to_owned(), "the result is 7, and a truth value is 0 or 1"),
        (string, "i64", packed(524_280, 9), "9 bytes at address 0x7fff8 are outside"),
        (string, "i64", packed(512, 4), "not UTF-8 from byte 0"),
        (string, "i64", "(i64.const -1)".to_owned(), "the result is null, and its type is string"),
        (Type::of(Scalar::I64).nullable(), "i64", packed(512, 4), "has 4 bytes instead of 8"),
        (Type::of(Scalar::Bool).nullable(), "i64", packed(512, 1), "the result is 255"),
        (
            Type::of(Scalar::Decimal { precision: 2, scale: 0 }),
            "i64",
            format!("(i64.store (i32.const 64) (i64.const 100)) {}", packed(64, 16)),
            "more digits than its type, decimal(2, 0)",
        ),
    ] {
        let found = failure(ty, wasm, &body);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn lies_about_a_list_are_told() {
    let (numbers, texts, truths) =
        (Type::of(Scalar::I64).list(), Type::of(Scalar::String).list(), Type::of(Scalar::Bool).list());
    let offsets = |first: i32, second: i32| {
        format!("(i32.store (i32.const 128) (i32.const {first})) (i32.store (i32.const 132) (i32.const {second}))")
    };
    // encoding, rows, values, offsets, validity, first bit, child, reserved
    for (ty, body, expected) in [
        (numbers, format!("(i64.const {})", 524_270_i64 << 32), "the list's column: 32 bytes"),
        (numbers, column([1, 1, 512, 0, 0, 0, 0, 0]), "not a plain one"),
        (numbers, column([9, 1, 512, 0, 0, 0, 0, 0]), "not a plain one"),
        (numbers, column([0, 70_000, 512, 0, 0, 0, 0, 0]), "the list's items: 560000 bytes"),
        (
            numbers,
            column([0, u32::MAX, 512, 0, 0, 0, 0, 0]),
            "the result has 4294967295 items, and a list may have 1048576",
        ),
        (truths, column([0, (1 << 20) + 1, 512, 0, 0, 0, 0, 0]), "and a list may have 1048576"),
        (numbers, column([0, 9, 512, 0, 524_287, 0, 0, 0]), "the list's validity: 2 bytes"),
        (numbers, column([0, 1, 512, 0, 520, 0, 0, 0]), "an item of the result is null"),
        (numbers, column([0, 1, 512, 0, 520, u32::MAX, 0, 0]), "the list's validity"),
        (truths, column([0, 9, 524_287, 0, 0, 0, 0, 0]), "the list's items: 2 bytes"),
        (truths, column([0, 9, 0, 0, 0, 0, 0, 0]), "the list has no items"),
        (texts, column([0, 1, 512, 524_286, 0, 0, 0, 0]), "the list's offsets: 8 bytes"),
        (texts, offsets(4, 0) + &column([0, 1, 512, 128, 0, 0, 0, 0]), "the offsets of item 0 are 4 and 0"),
        (texts, offsets(-4, 0) + &column([0, 1, 512, 128, 0, 0, 0, 0]), "the offsets of item 0 are -4 and 0"),
        (texts, offsets(i32::MAX, i32::MAX) + &column([0, 1, u32::MAX, 128, 0, 0, 0, 0]), "the offset of item 0"),
        (texts, offsets(0, 600_000) + &column([0, 1, 512, 128, 0, 0, 0, 0]), "an item of the list: 600000 bytes"),
        (texts, offsets(0, 4) + &column([0, 1, 512, 128, 0, 0, 0, 0]), "not UTF-8 from byte 0"),
    ] {
        let found = failure(ty, "i64", &body);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn traps_and_errors_of_the_guest_have_their_causes() {
    let functions = r#"
        (func (export "__guest_function_fails") (result i64) (call $fail (i32.const 1007) (i32.const 512) (i32.const 5))
            (i64.const 0))
        (func (export "__guest_function_traps") (param i64) (result i64) (i64.div_s (i64.const 1) (local.get 0)))
        (func (export "__guest_function_spins") (result i64) (loop $again (br $again)) (i64.const 0))
        (data (i32.const 512) "sorry")"#;
    let section = [
        function!("fails", [], Type::of(Scalar::I64)),
        function!("traps", ["by": Type::of(Scalar::I64)], Type::of(Scalar::I64)),
        function!("spins", [], Type::of(Scalar::I64)),
    ];
    let config = ModuleConfig::default();
    let instance = config.instance.clone().with_deadline(Some(std::time::Duration::from_millis(20)));
    let module = load(&native(functions, &section.concat()), config.with_instance(instance)).unwrap();
    let cause = |name: &str, values: &[Value]| match module.function(name).unwrap().call_values(values) {
        Err(FunctionError::Call(failure)) => failure.cause,
        other => panic!("{other:?}"),
    };
    match cause("fails", &[]) {
        Cause::GuestError { code, message } => assert_eq!((code.number(), message.as_str()), (1007, "sorry")),
        other => panic!("{other}"),
    }
    assert!(matches!(cause("traps", &[Value::I64(0)]), Cause::Trap { .. }));
    assert_eq!(module.function("traps").unwrap().call_values(&[Value::I64(1)]).unwrap(), Value::I64(1));
    assert!(matches!(cause("spins", &[]), Cause::DeadlineExceeded { .. }));
}
