//! Documents, with each allocator: calls of one row and of many, that each begins at the snapshot, and lies of guests.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, StringArray};
use guest_abi::ControlBlockImage;
use guest_abi::function::{Scalar, Type};
use guest_build::Allocator;
use guest_functions::guest_host::Cause;
use guest_functions::{Caller, Columnar, DocumentBuf, FunctionError, Module, ModuleConfig, Pristine, Value};
use proptest::prelude::*;

use crate::support::{built, function, load, native};

fn document(json: &str) -> DocumentBuf {
    DocumentBuf::from_json(json).unwrap_or_else(|error| panic!("{error}\n{json}"))
}

const ORDER: &str = r#"{"id":"A-1","score":0.5,"total":12.5,"tags":["new",null,"new"],"items":[{"sku":"x"},{"sku":"y"}],
    "shipping":{"address":{"city":"Ulm"}}}"#;

fn module(allocator: Allocator) -> Module {
    load(&built(allocator), ModuleConfig::default()).unwrap()
}

#[test]
fn functions_filter_score_and_project_documents() {
    for allocator in Allocator::ALL {
        let module = module(allocator);
        let of = |name: &str| module.function(name).unwrap();
        let order = document(ORDER);
        assert!(of("ships_to").call::<_, bool>((&order, "Ulm", 12.5)).unwrap());
        assert!(!of("ships_to").call::<_, bool>((&order, "Ulm", 13.0)).unwrap());
        assert_eq!(of("tag_score").call::<_, f64>((&order, "new")).unwrap(), 2.5);
        assert_eq!(of("city").call::<_, Option<String>>((&order,)).unwrap(), Some("Ulm".to_owned()));
        assert_eq!(of("city").call::<_, Option<String>>((document("{}"),)).unwrap(), None);
        let summary: DocumentBuf = of("summary").call((&order,)).unwrap();
        let expected = r#"{"total":12.5,"items":[{"sku":"x"}],"shipping":{"address":{"city":"Ulm"}}}"#;
        assert_eq!((summary.to_json().as_str(), summary.as_document().id()), (expected, "A-1"));
        let line: Option<DocumentBuf> = of("line").call((Some(&order),)).unwrap();
        let line = line.unwrap();
        assert_eq!((line.to_json().as_str(), line.as_document().score()), (r#"{"order":"A-1","items":2}"#, 12.5));
        assert_eq!(of("having").call::<_, Value>((&order, "items[1]")).unwrap(), Value::Document(order.clone()));
        assert_eq!(of("having").call::<_, Value>((&order, "items[2]")).unwrap(), Value::Null);
        assert!(of("matches").call::<_, bool>((&order, r#"shipping."address".city"#, "Ulm")).unwrap());
        assert!(!of("matches").call::<_, bool>((None::<DocumentBuf>, "a", "")).unwrap());
    }
}

#[test]
fn errors_name_the_field_and_the_path() {
    let module = module(Allocator::Leaking);
    let message = |name: &str, values: &[Value]| match module.function(name).unwrap().call_values(values).unwrap_err() {
        FunctionError::Call(failure) => match failure.cause {
            Cause::GuestError { message, .. } => message,
            other => panic!("{other}"),
        },
        other => other.to_string(),
    };
    let wrong = Value::Document(document(r#"{"shipping":{"address":{"city":7}}}"#));
    assert_eq!(
        message("city", std::slice::from_ref(&wrong)),
        "field `shipping.address.city`: asked for string, found integer"
    );
    let path = message("having", &[wrong, Value::from("a..b")]);
    let told =
        "the path `a..b`: a name is missing: write one on both sides of a dot, or \"\" for the empty name, at byte 2";
    assert_eq!(path, told);
    assert_eq!(
        message("city", &[Value::from("{}")]),
        "the parameter `document` of `city` has type document, and the argument has type string"
    );
    let function = module.function("city").unwrap();
    match function.call::<_, Option<String>>((&b"\x83\xFB"[..],)).unwrap_err() {
        FunctionError::Call(failure) => assert!(failure.cause.to_string().contains("an argument is not a document")),
        other => panic!("{other}"),
    }
}

#[test]
fn reading_fields_takes_nothing_from_the_heap() {
    let order = document(ORDER);
    for allocator in [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist, Allocator::Wee] {
        // What a call has counted stays where the instance is not restored.
        let config = ModuleConfig::default().with_pristine(Pristine::Never);
        let module = load(&built(allocator), config).unwrap();
        let mut caller = module.caller().unwrap();
        let mut allocations = |name: &str, values: &[Value]| {
            let counted = |caller: &Caller| {
                let (memory, snapshot) = caller.instance().memory().expect("it has a memory");
                let block = snapshot.control_block().expect("it keeps a control block");
                let image = ControlBlockImage::parse(&memory[block.address..]).unwrap();
                image.allocations + image.reallocations
            };
            let function = module.function(name).unwrap();
            let before = counted(&caller);
            caller.call::<_, Value>(&function, values).unwrap();
            counted(&caller) - before
        };
        let order = Value::Document(order.clone());
        assert_eq!(allocations("ships_to", &[order.clone(), Value::from("Ulm"), Value::F64(1.0)]), 0, "{allocator}");
        assert_eq!(allocations("tag_score", &[order.clone(), Value::from("new")]), 0, "{allocator}");
        assert_eq!(allocations("matches", &[order.clone(), Value::from("items[1].sku"), Value::from("y")]), 0);
        assert_eq!(allocations("having", &[order.clone(), Value::from("a.b[7].\"c\"")]), 0);
        assert_ne!(allocations("summary", &[order]), 0, "the count counts");
    }
}

fn json() -> impl Strategy<Value = String> {
    let city = prop_oneof!["\"(Ulm|Bonn|ß)\"", Just("null".to_owned()), Just("7".to_owned())];
    let shipping = prop_oneof![
        3 => city.prop_map(|city| format!("{{\"address\":{{\"zip\":\"1\",\"city\":{city}}}}}")),
        1 => Just("{}".to_owned()),
        1 => Just("[1]".to_owned()),
    ];
    let items = prop::collection::vec("\\{\"sku\":\"[a-c]{0,40}\"\\}", 0..4);
    let tags = prop::collection::vec(prop_oneof![Just("\"new\""), Just("null"), Just("1")], 0..4);
    (any::<u8>(), shipping, items, tags, -3_i32..40).prop_map(|(id, shipping, items, tags, total)| {
        let (items, tags) = (items.join(","), tags.join(","));
        format!(
            "{{\"id\":{id},\"score\":{total},\"shipping\":{shipping},\"items\":[{items}],\"tags\":[{tags}],\"total\":{total}.5}}"
        )
    })
}

/// A function, and its arguments behind the document.
fn calls() -> impl Strategy<Value = (&'static str, Vec<Value>)> {
    let text = |text: &str| Value::from(text);
    prop::sample::select(vec![
        ("ships_to", vec![text("Ulm"), Value::F64(9.0)]),
        ("tag_score", vec![text("new")]),
        ("city", vec![]),
        ("summary", vec![]),
        ("line", vec![]),
        ("having", vec![text("items[1].sku")]),
        ("having", vec![text("items[")]),
        ("matches", vec![text("shipping.address.zip"), text("1")]),
    ])
}

#[test]
fn a_restored_instance_answers_as_a_fresh_one() {
    for allocator in Allocator::ALL {
        let module = module(allocator);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
        let sequence = prop::collection::vec((calls(), json()), 1..20);
        runner
            .run(&sequence, |sequence| {
                let mut restored = module.caller().unwrap();
                for ((name, rest), json) in &sequence {
                    let function = module.function(name).unwrap();
                    let values = [&[Value::Document(document(json))], rest.as_slice()].concat();
                    let found = restored.call::<_, Value>(&function, values.as_slice());
                    let expected = module.caller().unwrap().call::<_, Value>(&function, values.as_slice());
                    let text = |result: Result<Value, FunctionError>| result.map_err(|error| error.to_string());
                    prop_assert_eq!(text(found), text(expected), "{} {} with {}", name, json, allocator);
                    let (memory, snapshot) = restored.instance().memory().expect("it has a memory");
                    prop_assert!(memory[..snapshot.memory().len()] == *snapshot.memory(), "{} left a trace", name);
                }
                Ok(())
            })
            .unwrap();
    }
}

/// The results of a batch as values.
fn values(array: &ArrayRef, rows: usize) -> Vec<Value> {
    let value = |row: usize| {
        if array.is_null(row) {
            return Value::Null;
        }
        match array.data_type() {
            arrow_schema::DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
            arrow_schema::DataType::Float64 => Value::F64(array.as_primitive::<Float64Type>().value(row)),
            arrow_schema::DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
            _ => Value::Document(DocumentBuf::from_bytes(array.as_binary::<i32>().value(row).to_vec()).unwrap()),
        }
    };
    (0..rows).map(value).collect()
}

#[test]
fn a_batch_of_documents_gives_what_single_calls_give() {
    for allocator in Allocator::ALL {
        for (pristine, exchange) in [(Pristine::Batch, 64 << 10), (Pristine::Batch, 2 << 10), (Pristine::Row, 64 << 10)]
        {
            let config = ModuleConfig::default().with_pristine(pristine);
            let instance = config.instance.clone().with_exchange_size(Some(exchange));
            let module = load(&built(allocator), config.with_instance(instance)).unwrap();
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(6));
            let rows = prop::collection::vec(prop::option::weighted(0.9, json()), 1..40);
            runner
                .run(&(calls(), rows), |((name, rest), rows)| {
                    let function = module.function(name).unwrap();
                    let mut caller = module.caller().unwrap();
                    let rows: Vec<Option<DocumentBuf>> = rows.iter().map(|row| row.as_deref().map(document)).collect();
                    let documents: BinaryArray =
                        rows.iter().map(|row| row.as_ref().map(DocumentBuf::as_bytes)).collect();
                    let constants: Vec<ArrayRef> = rest
                        .iter()
                        .map(|value| -> ArrayRef {
                            match value {
                                Value::F64(value) => std::sync::Arc::new(Float64Array::from(vec![*value])),
                                value => std::sync::Arc::new(StringArray::from(vec![value.to_string()])),
                            }
                        })
                        .collect();
                    let columns: Vec<Columnar<'_>> = std::iter::once(Columnar::Array(&documents))
                        .chain(constants.iter().map(|array| Columnar::Constant(array)))
                        .collect();
                    let mut alone = module.caller().unwrap();
                    let mut single = |row: &Option<DocumentBuf>| {
                        let values = [&[Value::from(row.clone())], rest.as_slice()].concat();
                        alone.call::<_, Value>(&function, values.as_slice())
                    };
                    let expected: Vec<Result<Value, FunctionError>> = rows.iter().map(&mut single).collect();
                    match caller.call_batch(&function, &columns, rows.len()) {
                        Ok(found) => {
                            let expected: Vec<Value> = expected.into_iter().map(Result::unwrap).collect();
                            prop_assert_eq!(values(&found, rows.len()), expected, "{} with {}", name, allocator);
                        }
                        Err(FunctionError::Row { row, .. }) => {
                            prop_assert_eq!(expected.iter().position(Result::is_err), Some(row), "{}", name);
                        }
                        Err(other) => panic!("{name}: {other}"),
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn a_result_that_is_no_document_is_told() {
    // A document with a name twice at 512, and an empty one at 544; the offsets of two rows at 576.
    let functions = r#"
        (func (export "__guest_function_lie") (result i64) (i64.or (i64.shl (i64.const 512) (i64.const 32)) (i64.const 18)))
        (func (export "__guest_function_honest") (result i64) (i64.or (i64.shl (i64.const 544) (i64.const 32)) (i64.const 12)))
        (func (export "__guest_batch_lie") (param i32 i32 i32) (result i32)
            (i32.store offset=8 (local.get 2) (i32.const 532))
            (i32.store offset=12 (local.get 2) (i32.const 576))
            (i32.const -1))
        (data (i32.const 512) "\83\fb\00\00\00\00\00\00\00\00\60\a2\61a\01\61a\01")
        (data (i32.const 544) "\83\fb\00\00\00\00\00\00\00\00\60\a0")
        (data (i32.const 576) "\0c\00\00\00\18\00\00\00\18\00\00\00")"#;
    let document = Type::of(Scalar::Document);
    let section =
        [function!("lie", [], Type::of(Scalar::Document)), function!("honest", [], Type::of(Scalar::Document))];
    let module = load(&native(functions, &section.concat()), ModuleConfig::default()).unwrap();
    let honest: DocumentBuf = module.function("honest").unwrap().call(()).unwrap();
    assert_eq!((honest.to_json().as_str(), document.to_string().as_str()), ("{}", "document"));
    let lie = module.function("lie").unwrap();
    let error = lie.call::<_, DocumentBuf>(()).unwrap_err().to_string();
    assert!(error.contains("the result is not a document: a name that the object has twice at byte 15"), "{error}");
    let error = lie.call_batch(&[], 2).unwrap_err().to_string();
    assert!(error.ends_with("row 1 is not a document: the CBOR ends in the middle of an item"), "{error}");
}
