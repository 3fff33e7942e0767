//! Every type crosses there and back, and what does not fit is an error before the call.

use guest_abi::function::{Scalar, Type};
use guest_functions::guest_host::Cause;
use guest_functions::{Date, Decimal, FunctionError, Module, ModuleConfig, Pristine, Timestamp, Value};
use proptest::prelude::*;

use crate::support::{PACK, entry, function, load, native};

const DECIMAL: Type = Type::of(Scalar::Decimal { precision: 30, scale: 4 });

/// Functions that return their argument.
fn echoes() -> Module {
    let numbers = [
        ("bool", "i32"),
        ("i32", "i32"),
        ("date", "i32"),
        ("i64", "i64"),
        ("u64", "i64"),
        ("timestamp", "i64"),
        ("f32", "f32"),
        ("f64", "f64"),
    ];
    let mut functions = String::new();
    for (name, ty) in numbers {
        functions += &format!("(func (export \"__guest_function_{name}\") (param {ty}) (result {ty}) (local.get 0))");
        // The same type, or null: the number's bytes, or nothing.
        let width = if name == "bool" {
            1
        } else if ty.ends_with("32") {
            4
        } else {
            8
        };
        functions += &format!(
            "(func (export \"__guest_function_{name}_or_null\") (param i32 {ty}) (result i64)
                (if (i32.eqz (local.get 0)) (then (return (i64.const -1))))
                ({ty}.store (i32.const 16) (local.get 1))
                (i64.const {}))",
            16_i64 << 32 | width
        );
    }
    for name in ["string", "bytes"] {
        functions += &format!("(func (export \"__guest_function_{name}\") (param i32 i32) (result i64) {PACK})");
        functions += &format!(
            "(func (export \"__guest_function_{name}_or_null\") (param $there i32) (param i32 i32) (result i64)
                (if (i32.eqz (local.get 0)) (then (return (i64.const -1))))
                (i64.or (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32)) (i64.extend_i32_u (local.get 2))))"
        );
    }
    for name in ["list_i64", "list_bool", "list_string", "list_decimal"] {
        functions += &format!(
            "(func (export \"__guest_function_{name}\") (param i32) (result i64)
                (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)))"
        );
    }
    functions += "(func (export \"__guest_function_decimal\") (param i64 i64) (result i64)
        (i64.store (i32.const 16) (local.get 0)) (i64.store (i32.const 24) (local.get 1)) (i64.const 68719476752))";
    let section = [
        function!("bool", ["x": Type::of(Scalar::Bool)], Type::of(Scalar::Bool)),
        function!("i32", ["x": Type::of(Scalar::I32)], Type::of(Scalar::I32)),
        function!("date", ["x": Type::of(Scalar::Date)], Type::of(Scalar::Date)),
        function!("i64", ["x": Type::of(Scalar::I64)], Type::of(Scalar::I64)),
        function!("u64", ["x": Type::of(Scalar::U64)], Type::of(Scalar::U64)),
        function!("timestamp", ["x": Type::of(Scalar::Timestamp)], Type::of(Scalar::Timestamp)),
        function!("f32", ["x": Type::of(Scalar::F32)], Type::of(Scalar::F32)),
        function!("f64", ["x": Type::of(Scalar::F64)], Type::of(Scalar::F64)),
        function!("string", ["x": Type::of(Scalar::String)], Type::of(Scalar::String)),
        function!("bytes", ["x": Type::of(Scalar::Bytes)], Type::of(Scalar::Bytes)),
        function!("decimal", ["x": DECIMAL], DECIMAL),
        function!("bool_or_null", ["x": Type::of(Scalar::Bool).nullable()], Type::of(Scalar::Bool).nullable()),
        function!("i32_or_null", ["x": Type::of(Scalar::I32).nullable()], Type::of(Scalar::I32).nullable()),
        function!("date_or_null", ["x": Type::of(Scalar::Date).nullable()], Type::of(Scalar::Date).nullable()),
        function!("i64_or_null", ["x": Type::of(Scalar::I64).nullable()], Type::of(Scalar::I64).nullable()),
        function!("f64_or_null", ["x": Type::of(Scalar::F64).nullable()], Type::of(Scalar::F64).nullable()),
        function!("string_or_null", ["x": Type::of(Scalar::String).nullable()], Type::of(Scalar::String).nullable()),
        function!("bytes_or_null", ["x": Type::of(Scalar::Bytes).nullable()], Type::of(Scalar::Bytes).nullable()),
        function!("list_i64", ["x": Type::of(Scalar::I64).nullable().list()], Type::of(Scalar::I64).nullable().list()),
        function!("list_bool", ["x": Type::of(Scalar::Bool).nullable().list()], Type::of(Scalar::Bool).nullable().list()),
        function!("list_string", ["x": Type::of(Scalar::String).list()], Type::of(Scalar::String).list()),
        function!("list_decimal", ["x": DECIMAL.list()], DECIMAL.list()),
    ];
    load(&native(&functions, &section.concat()), ModuleConfig::default()).unwrap()
}

/// The value that comes back when a value goes there.
fn echo(module: &Module, name: &str, value: Value) -> Value {
    module.function(name).unwrap().call_values(&[value]).unwrap()
}

fn values() -> impl Strategy<Value = (&'static str, Value)> {
    let decimal = || (-10_i128.pow(29)..10_i128.pow(29)).prop_map(|units| Value::Decimal(Decimal { units, scale: 4 }));
    let list = |item: BoxedStrategy<Value>| prop::collection::vec(item, 0..40).prop_map(Value::List);
    let or_null = |item: BoxedStrategy<Value>| prop_oneof![4 => item, 1 => Just(Value::Null)].boxed();
    prop_oneof![
        any::<bool>().prop_map(|value| ("bool", value.into())),
        any::<i32>().prop_map(|value| ("i32", value.into())),
        any::<i32>().prop_map(|days| ("date", Date { days }.into())),
        any::<i64>().prop_map(|value| ("i64", value.into())),
        any::<u64>().prop_map(|value| ("u64", value.into())),
        any::<i64>().prop_map(|microseconds| ("timestamp", Timestamp { microseconds }.into())),
        any::<f32>().prop_map(|value| ("f32", value.into())),
        any::<f64>().prop_map(|value| ("f64", value.into())),
        any::<String>().prop_map(|value| ("string", value.into())),
        any::<Vec<u8>>().prop_map(|value| ("bytes", value.into())),
        decimal().prop_map(|value| ("decimal", value)),
        any::<Option<bool>>().prop_map(|value| ("bool_or_null", value.into())),
        any::<Option<i32>>().prop_map(|value| ("i32_or_null", value.into())),
        any::<Option<i64>>().prop_map(|value| ("i64_or_null", value.into())),
        any::<Option<f64>>().prop_map(|value| ("f64_or_null", value.into())),
        any::<Option<i32>>().prop_map(|value| ("date_or_null", value.map(|days| Date { days }).into())),
        any::<Option<String>>().prop_map(|value| ("string_or_null", value.into())),
        any::<Option<Vec<u8>>>().prop_map(|value| ("bytes_or_null", value.into())),
        list(or_null(any::<i64>().prop_map(Value::I64).boxed())).prop_map(|value| ("list_i64", value)),
        list(or_null(any::<bool>().prop_map(Value::Bool).boxed())).prop_map(|value| ("list_bool", value)),
        list(any::<String>().prop_map(Value::String).boxed()).prop_map(|value| ("list_string", value)),
        list(decimal().boxed()).prop_map(|value| ("list_decimal", value)),
    ]
}

#[test]
fn every_value_comes_back_as_it_went() {
    let module = echoes();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    runner
        .run(&values(), |(name, value)| {
            prop_assert_eq!(echo(&module, name, value.clone()), value, "{}", name);
            Ok(())
        })
        .unwrap();
}

#[test]
fn types_of_rust_go_there_and_come_back() {
    let module = echoes();
    let of = |name: &str| module.function(name).unwrap();
    assert!(of("bool").call::<_, bool>((true,)).unwrap());
    assert_eq!(of("u64").call::<_, u64>((u64::MAX,)).unwrap(), u64::MAX);
    assert_eq!(of("f32").call::<_, f32>((-0.0_f32,)).unwrap().to_bits(), (-0.0_f32).to_bits());
    assert!(of("f64").call::<_, f64>((f64::NAN,)).unwrap().is_nan());
    assert_eq!(of("string").call::<_, String>(("größe",)).unwrap(), "größe");
    assert_eq!(of("string").call::<_, String>(("",)).unwrap(), "");
    assert_eq!(of("bytes").call::<_, Vec<u8>>((&[0_u8, 255][..],)).unwrap(), [0, 255]);
    assert_eq!(of("i64_or_null").call::<_, Option<i64>>((Some(-1_i64),)).unwrap(), Some(-1));
    assert_eq!(of("i64_or_null").call::<_, Option<i64>>((None::<i64>,)).unwrap(), None);
    assert_eq!(of("i64_or_null").call::<_, i64>((7_i64,)).unwrap(), 7);
    assert_eq!(of("date").call::<_, Date>((Date { days: -1 },)).unwrap(), Date { days: -1 });
    let decimal = Decimal { units: -12_345, scale: 4 };
    assert_eq!(of("decimal").call::<_, Decimal>((decimal,)).unwrap(), decimal);
    assert_eq!(of("list_string").call::<_, Vec<String>>((&["a", "", "ß"][..],)).unwrap(), ["a", "", "ß"]);
    // A result that has items which may be null is not a list of numbers.
    let error = of("list_i64").call::<_, Vec<i64>>((&[1_i64, 2][..],)).unwrap_err();
    assert_eq!(error.to_string(), "the result of `list_i64` has type list(i64?), and list(i64) was asked for");
    let back = of("list_i64").call::<_, Value>((&[1_i64, 2][..],)).unwrap();
    assert_eq!(back, Value::List(vec![Value::I64(1), Value::I64(2)]));
}

#[test]
fn what_does_not_fit_is_told_before_the_call() {
    let module = echoes();
    let message =
        |name: &str, values: &[Value]| module.function(name).unwrap().call_values(values).unwrap_err().to_string();
    for (name, values, expected) in [
        ("i64", &[][..], "`i64(x: i64) -> i64` takes 1 argument, and 0 were given"),
        ("i64", &[Value::I64(1), Value::I64(2)], "`i64(x: i64) -> i64` takes 1 argument, and 2 were given"),
        ("i64", &[Value::I32(1)], "the parameter `x` of `i64` has type i64, and the argument has type i32"),
        (
            "decimal",
            &[Value::Decimal(Decimal { units: 1, scale: 5 })],
            "has type decimal(30, 4), and the argument has type decimal(38, 5)",
        ),
        (
            "list_string",
            &[Value::List(vec![Value::I64(1)])],
            "has type list(string), and the argument has type list(i64)",
        ),
        ("list_string", &[Value::List(vec![Value::Null])], "has type list(string), and the argument has type list"),
        ("list_i64", &[Value::I64(1)], "has type list(i64?), and the argument has type i64"),
    ] {
        let found = message(name, values);
        assert!(found.ends_with(expected), "{found}");
    }
    let too_many_digits = Value::Decimal(Decimal { units: 10_i128.pow(30), scale: 4 });
    assert!(message("decimal", &[too_many_digits]).contains("has type decimal(30, 4)"));
    let error = module.function("string").unwrap().call::<_, i64>(("a",)).unwrap_err().to_string();
    assert_eq!(error, "the result of `string` has type string, and i64 was asked for");
    let long = "x".repeat(300_000);
    match module.function("string").unwrap().call::<_, String>((long.as_str(),)).unwrap_err() {
        FunctionError::Call(failure) => assert!(
            matches!(failure.cause, Cause::ArgumentsTooLarge { needed: 300_000, available: 262_144 }),
            "{failure}"
        ),
        other => panic!("{other}"),
    }
}

#[test]
fn a_null_that_a_parameter_does_not_take_is_null_or_an_error() {
    const I64: Type = Type::of(Scalar::I64);
    let strict = function!("strict", ["x": I64, "y": I64], I64);
    let picky = entry!(
        guest_abi::function::Declaration::new(
            guest_abi::function::Kind::Scalar,
            "picky",
            &[("x", Type::of(Scalar::I64))],
            &[("", Type::of(Scalar::I64))]
        )
        .with_strict(false)
    );
    let functions = "(func (export \"__guest_function_strict\") (param i64 i64) (result i64) (unreachable))
        (func (export \"__guest_function_picky\") (param i64) (result i64) (unreachable))";
    let module = load(&native(functions, &[strict, picky].concat()), ModuleConfig::default()).unwrap();
    let (strict, picky) = (module.function("strict").unwrap(), module.function("picky").unwrap());
    // The guest would trap: it is not called.
    assert_eq!(strict.call_values(&[Value::I64(1), Value::Null]).unwrap(), Value::Null);
    assert_eq!(strict.call::<_, Option<i64>>((None::<i64>, 1_i64)).unwrap(), None);
    let error = strict.call::<_, i64>((None::<i64>, 1_i64)).unwrap_err();
    assert_eq!(error.to_string(), "the result of `strict` is null; ask for an `Option` of it");
    let error = picky.call_values(&[Value::Null]).unwrap_err();
    assert_eq!(error.to_string(), "the parameter `x` of `picky` is never null, and the argument is");
    // An argument of another type is an error beside a null too.
    assert!(matches!(strict.call_values(&[Value::Null, Value::Bool(true)]), Err(FunctionError::ArgumentType { .. })));
}

#[test]
fn every_call_begins_at_the_snapshot() {
    let counts = "(func (export \"__guest_function_count\") (param i32 i32) (result i64)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
        ;; What an earlier call's arguments left behind these would show too.
        (i64.add (i64.extend_i32_u (i32.add (global.get $calls) (i32.load (i32.const 32))))
            (i64.shl (i64.extend_i32_u (i32.load8_u offset=8 (local.get 0))) (i64.const 32))))";
    let section = function!("count", ["x": Type::of(Scalar::String)], Type::of(Scalar::I64));
    let module = load(&native(counts, &section), ModuleConfig::default()).unwrap();
    let count = module.function("count").unwrap();
    let mut caller = module.caller().unwrap();
    for text in ["a long text that is more than eight bytes", "short", "b"] {
        let expected = 2 + if text.len() > 8 { i64::from(text.as_bytes()[8]) << 32 } else { 0 };
        assert_eq!(count.call::<_, i64>((text,)).unwrap(), expected);
        assert_eq!(caller.call::<_, i64>(&count, (text,)).unwrap(), expected);
        assert!(caller.instance().is_pristine());
    }
    let never = ModuleConfig::default().with_pristine(Pristine::Never);
    let module = load(&native(counts, &section), never).unwrap();
    let count = module.function("count").unwrap();
    let mut caller = module.caller().unwrap();
    let counted: Vec<i64> = (0..3).map(|_| caller.call(&count, ("b",)).unwrap()).collect();
    assert_eq!(counted, [2, 4, 6], "the check itself: without a restore the calls see each other");
}
