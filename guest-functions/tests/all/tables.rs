//! Table functions: rows taken in parts, with each allocator, and what lies about rows.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use guest_abi::function::{Declaration, Kind, Scalar, Type};
use guest_build::Allocator;
use guest_functions::guest_host::{Cause, InstanceConfig};
use guest_functions::{FunctionError, Module, ModuleConfig, Pristine, TableRows};
use proptest::prelude::*;

use crate::support::{built, entry, load, native};

fn module(allocator: Allocator) -> Module {
    load(&built(allocator), ModuleConfig::default()).unwrap()
}

fn text(text: &str) -> Vec<ArrayRef> {
    vec![Arc::new(StringArray::from(vec![text]))]
}

fn numbers(numbers: [Option<i64>; 3]) -> Vec<ArrayRef> {
    numbers.into_iter().map(|number| Arc::new(Int64Array::from(vec![number])) as ArrayRef).collect()
}

fn words(rows: TableRows) -> Vec<(i64, String)> {
    let of = |batch: RecordBatch| -> Vec<(i64, String)> {
        let positions = batch.column(0).as_primitive::<Int64Type>();
        let words = batch.column(1).as_string::<i32>();
        positions.values().iter().copied().zip(words.iter().flatten().map(str::to_owned)).collect()
    };
    rows.flat_map(|batch| of(batch.unwrap())).collect()
}

/// The words of a text as the guest finds them.
fn model(text: &str) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match (letter.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((i64::try_from(from).unwrap(), text[from..at].to_lowercase()));
                start = None;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn rows_are_those_of_the_iterator_however_many_are_taken_at_once() {
    for allocator in Allocator::ALL {
        let tokens = module(allocator).table_function("tokens").unwrap();
        let schema: Vec<String> = tokens.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(schema, ["position", "word"]);
        let config = ProptestConfig { cases: 30, ..ProptestConfig::default() };
        proptest!(config, |(given in "[a-dß0-9 ,.]{0,60}", most in 1_usize..20)| {
            let rows = tokens.call(&text(&given)).unwrap().with_batch_size(most);
            prop_assert_eq!(words(rows), model(&given));
        });
    }
}

/// Whether the first `batches` batches of one row can be taken with so many pages of memory.
fn fits(allocator: Allocator, argument: &[ArrayRef], batches: usize) -> impl Fn(&u64) -> bool {
    move |pages| {
        let instance = ModuleConfig::default().instance.with_memory_limit(*pages << 16);
        let Ok(module) = load(&built(allocator), ModuleConfig::default().with_instance(instance)) else { return false };
        let rows = module.table_function("settings").unwrap().call(argument);
        let taken = |rows: TableRows| rows.with_batch_size(1).take(batches).filter(Result::is_ok).count();
        rows.is_ok_and(|rows| taken(rows) == batches)
    }
}

#[test]
fn a_call_of_many_rows_takes_no_more_memory_than_one_of_few() {
    // One never frees, and one does.
    for allocator in [Allocator::Leaking, Allocator::Freelist] {
        let lines = text(&"a=1\n".repeat(30_000));
        let pages: Vec<u64> = (1..64).collect();
        let fewest = pages.partition_point(|pages| !fits(allocator, &lines, 2)(pages));
        assert!(fits(allocator, &lines, 30_000)(&pages[fewest]), "{allocator}");
    }
}

#[test]
fn a_call_that_runs_out_of_memory_says_so_in_the_middle_of_its_rows() {
    // `tokens` makes a text for each row, and this allocator never frees one.
    let words = "abcdefgh ".repeat(25_000);
    let taken = |pages: u64| -> (usize, Option<FunctionError>) {
        let instance = ModuleConfig::default().instance.with_memory_limit(pages << 16);
        let Ok(module) = load(&built(Allocator::Leaking), ModuleConfig::default().with_instance(instance)) else {
            return (0, None);
        };
        let tokens = module.table_function("tokens").unwrap();
        let Ok(rows) = tokens.call(&text(&words)) else { return (0, None) };
        let (mut count, mut failed) = (0, None);
        for batch in rows.with_batch_size(100) {
            match batch {
                Ok(batch) => count += batch.num_rows(),
                Err(error) => failed = Some(error),
            }
        }
        (count, failed)
    };
    let pages: Vec<u64> = (1..64).collect();
    let fewest = pages[pages.partition_point(|pages| taken(*pages).0 == 0)];
    let (some, failed) = taken(fewest);
    assert!((1..25_000).contains(&some), "{some} rows with {fewest} pages");
    match failed {
        Some(FunctionError::Call(failure)) => assert!(matches!(failure.cause, Cause::OutOfMemory { .. }), "{failure}"),
        other => panic!("{other:?} behind {some} rows"),
    }
    assert!(matches!(taken(200), (25_000, None)));
}

#[test]
fn more_calls_at_once_than_there_may_be_are_an_error_and_not_a_wait() {
    let pool = guest_functions::guest_host::PoolConfig::default().with_warm(0).with_max(1);
    let module = load(&built(Allocator::Leaking), ModuleConfig::default().with_pool(pool)).unwrap();
    let tokens = module.table_function("tokens").unwrap();
    let first = tokens.call(&text("a")).unwrap();
    let error = tokens.call(&text("b")).unwrap_err();
    assert!(error.to_string().contains("all 1 instances of the pool are in use"), "{error}");
    drop(first);
    assert_eq!(words(tokens.call(&text("b")).unwrap()), model("b"));
}

#[test]
fn a_long_series_comes_in_parts() {
    let series = module(Allocator::Leaking).table_function("series").unwrap();
    let mut rows = series.call(&numbers([Some(0), Some(100_000), None])).unwrap();
    let (mut next, mut batches) = (0, 0);
    for batch in &mut rows {
        for number in batch.unwrap().column(0).as_primitive::<Int64Type>().values() {
            assert_eq!(*number, next);
            next += 1;
        }
        batches += 1;
    }
    assert_eq!((next, batches), (100_000, 13));
    assert!(rows.next().is_none());
}

#[test]
fn a_call_that_is_left_leaves_nothing_to_the_next() {
    for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
        let module = load(&built(Allocator::Leaking), ModuleConfig::default().with_pristine(pristine)).unwrap();
        let series = module.table_function("series").unwrap();
        let tokens = module.table_function("tokens").unwrap();
        // Two calls at once, each with an instance of its own.
        let mut left = series.call(&numbers([Some(0), Some(i64::MAX), None])).unwrap();
        assert_eq!(left.next().unwrap().unwrap().num_rows(), 8192);
        assert_eq!(words(tokens.call(&text("a b")).unwrap()), model("a b"));
        let more = left.next().unwrap().unwrap();
        assert_eq!(more.column(0).as_primitive::<Int64Type>().value(0), 8192);
        drop(left);
        for _ in 0..3 {
            assert_eq!(words(tokens.call(&text("c d")).unwrap()), model("c d"));
        }
    }
}

#[test]
fn errors_end_the_rows_and_say_what_failed() {
    let module = module(Allocator::BumpReset);
    let settings = module.table_function("settings").unwrap();
    let mut rows = settings.call(&text("a=1\nb=\nc=x\nd=4")).unwrap().with_batch_size(2);
    let first = rows.next().unwrap().unwrap();
    assert_eq!(first.column(1).as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.0), None]);
    let error = rows.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("`x` is no number") && error.to_string().contains("settings"), "{error}");
    assert!(rows.next().is_none());

    let series = module.table_function("series").unwrap();
    let error = series.call(&numbers([Some(1), Some(2), Some(0)])).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("the step of a series is not 0"), "{error}");
    match series.call(&numbers([None, Some(2), None])).unwrap_err() {
        FunctionError::NullInRow { parameter, .. } => assert_eq!(parameter, "start"),
        other => panic!("{other}"),
    }
    let null: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    assert!(module.table_function("tokens").unwrap().call(&[null]).unwrap().next().is_none());
    assert!(matches!(series.call(&text("a")), Err(FunctionError::Arity { .. })));
    assert!(matches!(settings.call(&numbers([Some(1); 3])[..1]), Err(FunctionError::ArgumentType { .. })));
    let two: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    assert!(matches!(settings.call(&[two]), Err(FunctionError::Rows { expected: 1, found: 2, .. })));
    let error = module.table_function("gcd").unwrap_err();
    assert!(error.to_string().contains("`gcd` is of the kind `function`"), "{error}");
}

#[test]
fn arguments_that_leave_little_room_make_the_parts_smaller() {
    let instance = InstanceConfig::default().with_exchange_size(Some(4096));
    let module = load(&built(Allocator::Leaking), ModuleConfig::default().with_instance(instance)).unwrap();
    let tokens = module.table_function("tokens").unwrap();
    let long = "ab ".repeat(1200);
    assert_eq!(words(tokens.call(&text(&long)).unwrap()), model(&long));
    let error = tokens.call(&text(&"ab ".repeat(1400))).unwrap().next().unwrap().unwrap_err();
    let is_too_large = |cause: &Cause| matches!(cause, Cause::ArgumentsTooLarge { .. });
    assert!(matches!(&error, FunctionError::Call(failure) if is_too_large(&failure.cause)), "{error}");
}

/// A table function of one column of `i64` whose export has this body.
fn lying(body: &str) -> Module {
    let declaration = entry!(Declaration::new(Kind::Table, "lie", &[], &[("of", Type::of(Scalar::I64))]));
    let export = format!(r#"(func (export "__guest_table_lie") (param i32 i32 i32) (result i32) {body})"#);
    load(&native(&export, &declaration), ModuleConfig::default()).unwrap()
}

#[test]
fn lies_about_rows_are_typed_errors() {
    for (body, told) in [
        ("(i32.add (local.get 0) (i32.const 1))", "has more rows than the 8192"),
        ("(i32.const -2)", "has more rows"),
        ("(i32.const -1)", "failed without an error"),
        ("unreachable", "unreachable"),
        ("(call $fail (i32.const 1) (i32.const 0) (i32.const 0)) (i32.const 0)", "lie"),
    ] {
        let module = lying(body);
        let mut rows = module.table_function("lie").unwrap().call(&[]).unwrap();
        let error = rows.next().unwrap().unwrap_err().to_string();
        assert!(error.contains(told), "{body}: {error}");
        assert!(rows.next().is_none());
    }
    // Rows without end: the host takes those that it wants.
    let module = lying("(i32.const 3)");
    let rows = module.table_function("lie").unwrap().call(&[]).unwrap();
    assert_eq!(rows.take(100).map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 300);
}

#[test]
fn a_module_that_is_closed_has_no_calls() {
    let runtime = guest_functions::Runtime::new().unwrap();
    let module = runtime.register("texts", &built(Allocator::Leaking), ModuleConfig::default()).unwrap();
    let tokens = module.table_function("tokens").unwrap();
    let mut rows = tokens.call(&text("a b")).unwrap();
    runtime.close();
    assert!(matches!(tokens.call(&text("a b")), Err(FunctionError::Pool(_))));
    assert_eq!(rows.next().unwrap().unwrap().num_rows(), 2);
}
