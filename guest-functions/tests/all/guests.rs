//! Functions that `guest-sdk` made, with each allocator: calls of one row, and that each of them begins at the snapshot.

use arrow_array::StringArray;
use guest_build::Allocator;
use guest_functions::guest_host::{Cause, RestoreStrategy};
use guest_functions::{
    Caller, Columnar, Date, FunctionError, Module, ModuleConfig, Pristine, Timestamp, Type, Value, value_at,
};
use proptest::prelude::*;

use crate::support::{built, load};

fn module(allocator: Allocator) -> Module {
    load(&built(allocator), ModuleConfig::default()).unwrap()
}

#[test]
fn functions_of_every_kind_are_called_with_types_of_rust() {
    for allocator in Allocator::ALL {
        let module = module(allocator);
        let of = |name: &str| module.function(name).unwrap();
        assert_eq!(of("gcd").call::<_, i64>((48_i64, 18_i64)).unwrap(), 6);
        assert_eq!(of("levenshtein").call::<_, i64>(("iPhone 15", "iPhone 14")).unwrap(), 1);
        assert_eq!(of("levenshtein").call::<_, i64>(("größe", "")).unwrap(), 5);
        assert_eq!(of("upper").call::<_, String>(("größe",)).unwrap(), "GRÖSSE");
        assert_eq!(of("upper").call::<_, String>(("",)).unwrap(), "");
        assert_eq!(of("text_score").call::<_, f64>(("a b", "B c")).unwrap(), 0.5);
        assert_eq!(of("nullable").call::<_, Option<i64>>((Some(1_i64),)).unwrap(), Some(2));
        assert_eq!(of("nullable").call::<_, Option<i64>>((None::<i64>,)).unwrap(), None);
        assert_eq!(of("sum_list").call::<_, i64>((&[1_i64, 2, 3][..],)).unwrap(), 6);
        assert_eq!(of("digits").call::<_, Vec<i32>>((907_u64,)).unwrap(), [9, 0, 7]);
        assert_eq!(of("day_after").call::<_, Date>((Date { days: -1 },)).unwrap(), Date { days: 0 });
        let later = of("later").call::<_, Option<Timestamp>>((Timestamp { microseconds: 1 }, -1)).unwrap();
        assert_eq!(later, Some(Timestamp { microseconds: -999_999 }));
        let long = "x".repeat(300);
        assert_eq!(of("levenshtein").call::<_, i64>((long.as_str(), "y")).unwrap(), 300);
        match of("safe_div").call::<_, i64>((1_i64, 0_i64)).unwrap_err() {
            FunctionError::Call(failure) => {
                assert!(
                    matches!(&failure.cause, Cause::GuestError { message, .. } if message.contains("divisor is 0"))
                );
                assert_eq!(failure.function, "safe_div");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn lists_of_every_item_are_results_of_calls_and_of_batches() {
    let texts = StringArray::from(vec![Some("1,Zwei,3"), None, Some(""), Some("7 x -9 Größe ß"), Some(",")]);
    let separator = StringArray::from(vec![","]);
    for allocator in Allocator::ALL {
        for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
            let module = load(&built(allocator), ModuleConfig::default().with_pristine(pristine)).unwrap();
            let mut caller = module.caller().unwrap();
            let parts = module.function("split").unwrap();
            assert_eq!(caller.call::<_, Vec<String>>(&parts, ("a,,ß", ",")).unwrap(), ["a", "", "ß"]);
            for (name, known) in [
                ("split", ["1", "Zwei", "3"].map(Value::from).to_vec()),
                ("numbers_in", vec![Value::Null]),
                ("capitals", vec![Value::Bool(true)]),
            ] {
                let function = module.function(name).unwrap();
                let ty = function.signature().results[0].ty;
                let columns = [Columnar::Array(&texts), Columnar::Constant(&separator)];
                let found = caller.call_batch(&function, &columns[..function.signature().params.len()], 5).unwrap();
                assert_eq!(value_at(&found, ty, 0), Some(Value::List(known)), "{name}");
                for (row, text) in texts.iter().enumerate() {
                    let text = text.map_or(Value::Null, Value::from);
                    let values = [text, Value::from(",")];
                    let values = &values[..function.signature().params.len()];
                    let expected: Value = caller.call(&function, values).unwrap();
                    assert_eq!(
                        value_at(&found, ty, row),
                        Some(expected),
                        "{name}, row {row}, {allocator}, {pristine:?}"
                    );
                }
            }
        }
    }
}

/// Arguments for a function.
fn arguments(name: &'static str) -> BoxedStrategy<Vec<Value>> {
    let text = || prop_oneof!["[a-cß ]{0,12}", "[a-c]{60,80}"].prop_map(Value::String);
    let number = || prop_oneof![-3_i64..4, any::<i64>()].prop_map(Value::I64);
    let or_null = |value: BoxedStrategy<Value>| prop_oneof![5 => value, 1 => Just(Value::Null)].boxed();
    match name {
        "gcd" | "safe_div" => prop::collection::vec(or_null(number().boxed()), 2).boxed(),
        "levenshtein" | "text_score" | "split" => prop::collection::vec(or_null(text().boxed()), 2).boxed(),
        "upper" | "numbers_in" | "capitals" => text().prop_map(|text| vec![text]).boxed(),
        "nullable" | "checked" => or_null(number().boxed()).prop_map(|number| vec![number]).boxed(),
        "digits" => any::<u64>().prop_map(|number| vec![Value::U64(number)]).boxed(),
        "longest" => {
            prop::collection::vec(or_null(text().boxed()), 0..6).prop_map(|texts| vec![Value::List(texts)]).boxed()
        }
        other => panic!("{other}"),
    }
}

const FUNCTIONS: [&str; 12] = [
    "gcd",
    "safe_div",
    "levenshtein",
    "text_score",
    "upper",
    "nullable",
    "checked",
    "digits",
    "longest",
    "split",
    "numbers_in",
    "capitals",
];

fn calls() -> impl Strategy<Value = Vec<(&'static str, Vec<Value>)>> {
    let call = prop::sample::select(&FUNCTIONS[..])
        .prop_flat_map(|name| arguments(name).prop_map(move |values| (name, values)));
    prop::collection::vec(call, 1..30)
}

/// The result, or the error in words.
fn outcome(caller: &mut Caller, name: &str, values: &[Value]) -> Result<Value, String> {
    let function = caller.module().function(name).unwrap();
    caller.call(&function, values).map_err(|error| error.to_string())
}

#[test]
fn a_restored_instance_answers_as_a_fresh_one() {
    for allocator in Allocator::ALL {
        for strategy in [RestoreStrategy::Auto, RestoreStrategy::FullCopy, RestoreStrategy::Watermark] {
            let config = ModuleConfig::default();
            let instance = config.instance.clone().with_strategy(strategy);
            let module = match load(&built(allocator), config.with_instance(instance)) {
                Ok(module) => module,
                // The default allocator keeps no control block.
                Err(_) if strategy == RestoreStrategy::Watermark && allocator == Allocator::System => continue,
                Err(error) => panic!("{error}"),
            };
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
            runner
                .run(&calls(), |calls| {
                    let mut restored = module.caller().unwrap();
                    for (name, values) in &calls {
                        let found = outcome(&mut restored, name, values);
                        let expected = outcome(&mut module.caller().unwrap(), name, values);
                        prop_assert_eq!(found, expected, "{} {:?} with {}, {}", name, values, allocator, strategy);
                        prop_assert!(restored.instance().is_pristine());
                        let (memory, snapshot) = restored.instance().memory().expect("it has a memory");
                        prop_assert!(memory[..snapshot.memory().len()] == *snapshot.memory(), "{} left a trace", name);
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn documentation_and_types_are_those_of_the_source() {
    let module = module(Allocator::Leaking);
    let levenshtein = module.function("levenshtein").unwrap();
    assert_eq!(levenshtein.signature().to_string(), "levenshtein(a: string, b: string) -> i64");
    assert!(levenshtein.signature().documentation.starts_with("The least number of characters"));
    assert_eq!(levenshtein.signature().params[0].ty, Type::of(guest_functions::Scalar::String));
}
