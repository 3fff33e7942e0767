//! Batches: the same rows in every encoding give the same results as single calls, divided or not, and errors name their row.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int8Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Int32Array, Int64Array, LargeStringArray,
    ListArray, StringArray, UInt64Array,
};
use guest_abi::function::{Scalar, Type};
use guest_build::Allocator;
use guest_functions::guest_host::Cause;
use guest_functions::{Caller, Columnar, FunctionError, Module, ModuleConfig, Pristine, data_type};
use proptest::prelude::*;

use crate::support::{built, function, load, native};

fn module(allocator: Allocator, pristine: Pristine, exchange: u32) -> Module {
    let config = ModuleConfig::default().with_pristine(pristine);
    let instance = config.instance.clone().with_exchange_size(Some(exchange));
    load(&built(allocator), config.with_instance(instance)).unwrap()
}

fn call(caller: &mut Caller, name: &str, columns: &[Columnar<'_>], rows: usize) -> Result<ArrayRef, FunctionError> {
    let function = caller.module().function(name).unwrap();
    caller.call_batch(&function, columns, rows)
}

/// Rows of numbers as one of several arrays of Arrow, with an offset into it.
fn numbers(rows: &[Option<i64>], form: u8) -> ArrayRef {
    let padded = || std::iter::repeat_n(Some(99), 3).chain(rows.iter().copied()).chain([None]);
    let array: ArrayRef = match form % 3 {
        0 => return Arc::new(rows.iter().copied().collect::<Int64Array>()),
        1 => Arc::new(padded().collect::<Int64Array>()),
        _ => {
            let values: Vec<Option<i64>> = padded().collect();
            let mut distinct: Vec<i64> = values.iter().flatten().copied().collect();
            distinct.sort_unstable();
            distinct.dedup();
            let keys: Int32Array = values
                .iter()
                .map(|value| value.map(|value| i32::try_from(distinct.binary_search(&value).unwrap()).unwrap()))
                .collect();
            let distinct = Arc::new(Int64Array::from(distinct));
            Arc::new(DictionaryArray::<Int32Type>::new(keys, distinct))
        }
    };
    array.slice(3, rows.len())
}

fn texts(rows: &[Option<String>], form: u8) -> ArrayRef {
    let padded = || {
        std::iter::repeat_n(Some("a value before the slice"), 3).chain(rows.iter().map(Option::as_deref)).chain([None])
    };
    let array: ArrayRef = match form % 5 {
        0 => return Arc::new(rows.iter().map(Option::as_deref).collect::<StringArray>()),
        1 => Arc::new(padded().collect::<StringArray>()),
        2 => Arc::new(padded().collect::<LargeStringArray>()),
        3 => {
            let mut views = StringViewBuilder::new().with_fixed_block_size(64);
            padded().for_each(|text| views.append_option(text));
            Arc::new(views.finish())
        }
        _ => Arc::new(padded().collect::<DictionaryArray<Int8Type>>()),
    };
    array.slice(3, rows.len())
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

fn number_rows() -> impl Strategy<Value = Vec<Option<i64>>> {
    prop::collection::vec(prop_oneof![8 => (-100_i64..100).prop_map(Some), 1 => Just(None)], 0..80)
}

fn text_rows() -> impl Strategy<Value = Vec<Option<String>>> {
    let text = prop_oneof!["[a-zß]{0,9}", "[a-zß]{10,40}"];
    prop::collection::vec(prop_oneof![8 => text.prop_map(Some), 1 => Just(None)], 0..40)
}

#[test]
fn numbers_in_every_encoding_give_what_single_calls_give() {
    for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
        // 512 bytes are some twenty rows: most batches are divided.
        for exchange in [512, 64 << 10] {
            let module = module(Allocator::BumpReset, pristine, exchange);
            let caller = RefCell::new(module.caller().unwrap());
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
            let strategy = (number_rows(), any::<(u8, u8)>(), any::<Option<i8>>());
            runner
                .run(&strategy, |(rows, (form, other), constant)| {
                    let a = numbers(&rows, form);
                    let reversed: Vec<Option<i64>> = rows.iter().rev().copied().collect();
                    let b = if other % 2 == 0 { numbers(&reversed, 0) } else { numbers(&[constant.map(i64::from)], 1) };
                    let is_constant = other % 2 == 1;
                    let b_column = if is_constant { Columnar::Constant(&b) } else { Columnar::Array(&b) };
                    let found =
                        call(&mut caller.borrow_mut(), "gcd", &[Columnar::Array(&a), b_column], rows.len()).unwrap();
                    let of_b = |row: usize| if is_constant { constant.map(i64::from) } else { reversed[row] };
                    let expected = rows.iter().enumerate().map(|(row, a)| Some(gcd((*a)?, of_b(row)?)));
                    prop_assert_eq!(found.as_primitive::<Int64Type>(), &expected.collect::<Int64Array>());
                    // A parameter that takes null gets it.
                    let found = call(&mut caller.borrow_mut(), "nullable", &[Columnar::Array(&a)], rows.len()).unwrap();
                    let expected: Int64Array = rows.iter().map(|a| a.map(|a| a + 1)).collect();
                    prop_assert_eq!(found.as_primitive::<Int64Type>(), &expected);
                    prop_assert!(pristine == Pristine::Never || caller.borrow().instance().is_pristine());
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn texts_in_every_encoding_give_what_single_calls_give() {
    for allocator in Allocator::ALL {
        for (pristine, exchange) in [(Pristine::Batch, 2 << 10), (Pristine::Batch, 64 << 10), (Pristine::Row, 64 << 10)]
        {
            let module = module(allocator, pristine, exchange);
            let caller = RefCell::new(module.caller().unwrap());
            let levenshtein = module.function("levenshtein").unwrap();
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(12));
            runner
                .run(&(text_rows(), any::<(u8, u8)>()), |(rows, (form, other))| {
                    let array = texts(&rows, form);
                    let found =
                        call(&mut caller.borrow_mut(), "upper", &[Columnar::Array(&array)], rows.len()).unwrap();
                    let expected: StringArray =
                        rows.iter().map(|text| text.as_ref().map(|text| text.to_uppercase())).collect();
                    prop_assert_eq!(found.as_string::<i32>(), &expected);
                    let same = StringArray::from(vec!["straße"]);
                    let columns = if other % 2 == 0 {
                        [Columnar::Array(&array), Columnar::Constant(&same)]
                    } else {
                        [Columnar::Constant(&same), Columnar::Array(&array)]
                    };
                    let found = call(&mut caller.borrow_mut(), "levenshtein", &columns, rows.len()).unwrap();
                    for (row, text) in rows.iter().enumerate() {
                        let found = found.is_valid(row).then(|| found.as_primitive::<Int64Type>().value(row));
                        let single =
                            text.as_ref().map(|text| levenshtein.call::<_, i64>((text.as_str(), "straße")).unwrap());
                        prop_assert_eq!(found, single);
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn lists_bools_and_bytes_cross_too() {
    let module = module(Allocator::Freelist, Pristine::Batch, 64 << 10);
    let mut caller = module.caller().unwrap();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
        Some(vec![Some(-5)]),
    ]);
    for (array, expected) in [
        (Arc::new(lists.clone()) as ArrayRef, vec![Some(3), None, Some(0), Some(-5)]),
        (Arc::new(lists.slice(2, 2)), vec![Some(0), Some(-5)]),
    ] {
        let found = call(&mut caller, "sum_list", &[Columnar::Array(&array)], array.len()).unwrap();
        assert_eq!(found.as_primitive::<Int64Type>(), &Int64Array::from(expected));
    }
    let digits = call(&mut caller, "digits", &[Columnar::Array(&UInt64Array::from(vec![907, 0]))], 2).unwrap();
    let expected =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(9), Some(0), Some(7)]), Some(vec![Some(0)])]);
    assert_eq!(
        digits.as_list::<i32>().value(0).as_primitive::<Int32Type>(),
        expected.value(0).as_primitive::<Int32Type>()
    );
    assert_eq!(digits.data_type(), &data_type(Type::of(Scalar::I32).list()));
    let mut bytes = BinaryViewBuilder::new();
    bytes.append_value([1, 2]);
    bytes.append_null();
    bytes.append_value([7; 40]);
    let known = call(&mut caller, "known", &[Columnar::Array(&bytes.finish())], 3).unwrap();
    assert_eq!(known.as_boolean(), &BooleanArray::from(vec![true, false, true]));
    // No rows are a batch as well.
    let none = call(&mut caller, "digits", &[Columnar::Array(&UInt64Array::from(Vec::<u64>::new()))], 0).unwrap();
    assert_eq!((none.len(), none.data_type()), (0, &data_type(Type::of(Scalar::I32).list())));
}

#[test]
fn errors_name_the_row() {
    for (pristine, exchange) in [(Pristine::Batch, 64 << 10), (Pristine::Batch, 512), (Pristine::Row, 64 << 10)] {
        let module = module(Allocator::Leaking, pristine, exchange);
        let mut caller = module.caller().unwrap();
        let a = Int64Array::from_iter_values(0..50);
        let b: Int64Array = (0..50).map(|row| Some(i64::from(row != 33 && row != 40))).collect();
        match call(&mut caller, "safe_div", &[Columnar::Array(&a), Columnar::Array(&b)], 50).unwrap_err() {
            FunctionError::Row { row, failure } => {
                assert_eq!(row, 33, "{pristine:?}");
                assert!(failure.to_string().contains("divisor is 0"), "{failure}");
            }
            other => panic!("{other}"),
        }
        let nulls: Int64Array = (0..50).map(|row| (row != 17).then_some(1)).collect();
        let error = call(&mut caller, "checked", &[Columnar::Array(&nulls)], 50).unwrap_err();
        match (&error, pristine) {
            (FunctionError::NullInRow { parameter, row, .. }, Pristine::Row) => {
                assert_eq!((parameter.as_str(), *row), ("number", 17));
            }
            (FunctionError::Row { row, failure }, _) => {
                assert!(*row == 17 && failure.to_string().contains("`number`"), "{error}");
            }
            _ => panic!("{error}"),
        }
        // The next batch is right.
        let found = call(&mut caller, "checked", &[Columnar::Array(&a)], 50).unwrap();
        assert_eq!(found.as_primitive::<Int64Type>(), &a);
    }
}

#[test]
fn what_does_not_fit_is_told_before_anything_runs() {
    let module = module(Allocator::Leaking, Pristine::Batch, 4 << 10);
    let mut caller = module.caller().unwrap();
    let (numbers, text) = (Int64Array::from(vec![1, 2]), StringArray::from(vec!["a", "b"]));
    let mut message =
        |name: &str, columns: &[Columnar<'_>], rows| call(&mut caller, name, columns, rows).unwrap_err().to_string();
    let of = |array| Columnar::Array(array);
    assert!(message("gcd", &[of(&numbers)], 2).contains("takes 2 arguments, and 1 was given"));
    let found = message("gcd", &[of(&numbers), of(&text)], 2);
    assert_eq!(found, "the parameter `b` of `gcd` has type i64, and the argument has type Utf8");
    let found = message("gcd", &[of(&numbers), of(&numbers)], 3);
    assert_eq!(found, "the argument for the parameter `a` of `gcd` has 2 rows instead of 3");
    let found = message("gcd", &[of(&numbers), Columnar::Constant(&numbers)], 2);
    assert_eq!(found, "the argument for the parameter `b` of `gcd` has 2 rows instead of 1");
    // One row that is too large is named; its neighbours would fit.
    let long = "x".repeat(5_000);
    let texts = StringArray::from(vec!["a", "b", long.as_str(), "c"]);
    let found = message("upper", &[of(&texts)], 4);
    assert!(found.starts_with("row 2 of the batch: ") && found.contains("has room for 4096"), "{found}");
}

/// A function that traps for 7, spins for 8, and tells another number of rows for 9.
fn adversary() -> Module {
    let functions = r#"
        (func $row (export "__guest_function_odd") (param i64) (result i64)
            (if (i64.eq (local.get 0) (i64.const 7)) (then (unreachable)))
            (if (i64.eq (local.get 0) (i64.const 8)) (then (loop $again (br $again))))
            (i64.mul (local.get 0) (i64.const 2)))
        (func (export "__guest_batch_odd") (param $rows i32) (param $columns i32) (param $result i32) (result i32)
            (local $row i32) (local $from i32) (local $to i32)
            (local.set $from (i32.load offset=8 (local.get $columns)))
            (local.set $to (i32.load offset=8 (local.get $result)))
            (block $end (loop $next
                (br_if $end (i32.ge_u (local.get $row) (local.get $rows)))
                (if (i64.eq (i64.load (local.get $from)) (i64.const 9)) (then (return (i32.const 5))))
                (i64.store (local.get $to) (call $row (i64.load (local.get $from))))
                (local.set $row (i32.add (local.get $row) (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (i32.const 8)))
                (local.set $to (i32.add (local.get $to) (i32.const 8)))
                (br $next)))
            (i32.const -1))"#;
    let config = ModuleConfig::default();
    let instance = config.instance.clone().with_deadline(Some(Duration::from_millis(30)));
    let section = function!("odd", ["x": Type::of(Scalar::I64)], Type::of(Scalar::I64));
    load(&native(functions, &section), config.with_instance(instance)).unwrap()
}

#[test]
fn a_row_that_traps_is_found_and_one_that_never_ends_is_not_searched_for() {
    let module = adversary();
    let mut caller = module.caller().unwrap();
    for at in [0_usize, 1, 62, 63, 99] {
        let rows: Int64Array = (0..100).map(|row| Some(if row == at { 7 } else { 1 })).collect();
        match call(&mut caller, "odd", &[Columnar::Array(&rows)], 100).unwrap_err() {
            FunctionError::Row { row, failure } => {
                assert_eq!(row, at);
                assert!(matches!(failure.cause, Cause::Unreachable), "{failure}");
            }
            other => panic!("{other}"),
        }
    }
    let spins = Int64Array::from(vec![1, 8, 1]);
    match call(&mut caller, "odd", &[Columnar::Array(&spins)], 3).unwrap_err() {
        FunctionError::Call(failure) => assert!(matches!(failure.cause, Cause::DeadlineExceeded { .. }), "{failure}"),
        other => panic!("{other}"),
    }
    let lies = Int64Array::from(vec![9]);
    let error = call(&mut caller, "odd", &[Columnar::Array(&lies)], 1).unwrap_err().to_string();
    assert!(error.contains("ended at row 5 without an error"), "{error}");
    let right = call(&mut caller, "odd", &[Columnar::Array(&Int64Array::from(vec![1, 2]))], 2).unwrap();
    assert_eq!(right.as_primitive::<Int64Type>().values(), &[2, 4]);
}

#[test]
fn a_guest_that_lies_about_its_column_is_told() {
    // The result's column begins at `result`: encoding, rows, values, offsets, validity, first bit, child.
    let lie = |stores: &str, result: &[u8]| {
        let functions = format!(
            r#"(func (export "__guest_function_lie") (param i64) (result i64) (i64.const 0))
               (func (export "__guest_batch_lie") (param $rows i32) (param $columns i32) (param $result i32) (result i32)
                   {stores} (i32.const -1))
               (data (i32.const 512) "\ffabc") (data (i32.const 600) "\c3\9f")"#
        );
        let module = load(&native(&functions, result), ModuleConfig::default()).unwrap();
        let rows = Int64Array::from(vec![1, 2]);
        module.function("lie").unwrap().call_batch(&[Columnar::Array(&rows)], 2).unwrap_err().to_string()
    };
    let word = |offset: u32, value: i32| format!("(i32.store offset={offset} (local.get $result) (i32.const {value}))");
    let at = |address: u32, value: i32| format!("(i32.store (i32.const {address}) (i32.const {value}))");
    let offsets = |values: [i32; 3]| {
        let stores = values.iter().enumerate().map(|(index, value)| at(64 + 4 * index as u32, *value));
        stores.collect::<String>() + &word(12, 64)
    };
    let text = function!("lie", ["x": Type::of(Scalar::I64)], Type::of(Scalar::String));
    let list = function!("lie", ["x": Type::of(Scalar::I64)], Type::of(Scalar::I64).list());
    let money = function!(
        "lie",
        ["x": Type::of(Scalar::I64)],
        Type::of(Scalar::Decimal { precision: 2, scale: 0 })
    );
    let child = |rows: i32, values: i32| at(128, 0) + &at(132, rows) + &at(136, values) + &word(24, 128);
    for (section, stores, expected) in [
        (&text, word(0, 2), "not a plain one"),
        (&text, word(4, 3), "has 3 rows instead of 2"),
        (&text, word(12, 524_284), "the result's offsets: 12 bytes"),
        (&text, offsets([0, 4, 2]), "the offset of row 2 is 2, behind an offset of 4"),
        (&text, offsets([-1, 0, 0]), "the offset of row 0 is -1"),
        (&text, offsets([0, 1, 600_000]) + &word(8, 512), "the result's bytes: 600000 bytes"),
        (&text, offsets([0, 1, 4]) + &word(8, 512), "not UTF-8 from byte 0"),
        (&text, offsets([0, 1, 2]) + &word(8, 600), "the offset of row 1 is within a character"),
        (&text, offsets([16, 17, 18]) + &word(8, -8), "the result's bytes: 2 bytes at address 0x100000008"),
        (&list, offsets([0, 1, 2]) + &child(1, 512), "the last offset is 2, and there are 1 items"),
        (&list, offsets([0, 1, 2]) + &child(2, 524_280), "the items: 16 bytes"),
        (&list, offsets([0, 1, i32::MAX]) + &child(-1, 512), "more than the guest's memory has bytes"),
        (&list, offsets([0, 1, 2]) + &at(128, 3) + &at(132, 2) + &word(24, 128), "not a plain one"),
        (&list, offsets([0, 1, 2]) + &child(2, 512) + &at(144, 1024), "an item of the result is null"),
        (
            &money,
            "(i64.store (i32.load offset=8 (local.get $result)) (i64.const 100))".to_owned(),
            "are not of its type",
        ),
    ] {
        let found = lie(&stores, section);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_list_takes_the_items_of_its_offsets_and_no_others() {
    // Each part has offsets 2, 3, 3 and so on into five items, of which the third is the part's only one.
    let functions = r#"
        (func (export "__guest_function_third") (param i64) (result i64) (i64.const 0))
        (func (export "__guest_batch_third") (param $rows i32) (param $columns i32) (param $result i32) (result i32)
            (local $row i32)
            (i32.store (i32.const 1024) (i32.const 2))
            (loop $next
                (local.set $row (i32.add (local.get $row) (i32.const 1)))
                (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $row) (i32.const 4))) (i32.const 3))
                (br_if $next (i32.lt_u (local.get $row) (local.get $rows))))
            (i32.store offset=12 (local.get $result) (i32.const 1024))
            (i32.store offset=4 (i32.const 128) (i32.const 5))
            (i32.store offset=8 (i32.const 128) (i32.const 256))
            (i64.store offset=16 (i32.const 256) (i64.load (i32.load offset=8 (local.get $columns))))
            (i32.store offset=24 (local.get $result) (i32.const 128))
            (i32.const -1))"#;
    let section = function!("third", ["x": Type::of(Scalar::I64)], Type::of(Scalar::I64).list());
    let config = ModuleConfig::default();
    let instance = config.instance.clone().with_exchange_size(Some(320));
    let module = load(&native(functions, &section), config.with_instance(instance)).unwrap();
    let rows: Int64Array = (0..20).map(Some).collect();
    let found = module.function("third").unwrap().call_batch(&[Columnar::Array(&rows)], 20).unwrap();
    let (lists, mut firsts) = (found.as_list::<i32>(), 0);
    for row in 0..20 {
        let items = lists.value(row);
        let items = items.as_primitive::<Int64Type>().values();
        match items.len() {
            0 => {}
            // The first row of a part has the part's first argument.
            _ => {
                assert_eq!(*items, [i64::try_from(row).unwrap()]);
                firsts += 1;
            }
        }
    }
    assert!((2..20).contains(&firsts), "the batch has several parts: {firsts}");
}

#[test]
fn decimals_of_every_scale_come_back_and_too_many_digits_are_told() {
    let echo = r#"(func (export "__guest_function_same") (param i64 i64) (result i64) (i64.const 0))
        (func (export "__guest_batch_same") (param $rows i32) (param $columns i32) (param $result i32) (result i32)
            (memory.copy (i32.load offset=8 (local.get $result)) (i32.load offset=8 (local.get $columns))
                (i32.mul (local.get $rows) (i32.const 16)))
            (i32.const -1))"#;
    const ROUND: Type = Type::of(Scalar::Decimal { precision: 10, scale: -2 });
    const FINE: Type = Type::of(Scalar::Decimal { precision: 3, scale: 3 });
    for (section, precision, scale) in
        [(function!("same", ["x": ROUND], ROUND), 10, -2), (function!("same", ["x": FINE], FINE), 3, 3)]
    {
        let same = load(&native(echo, &section), ModuleConfig::default()).unwrap().function("same").unwrap();
        let decimals =
            |values: Vec<i128>| Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap();
        let fits = decimals(vec![-999, 0, 7]);
        let found = same.call_batch(&[Columnar::Array(&fits)], 3).unwrap();
        assert_eq!(found.as_primitive::<Decimal128Type>(), &fits);
        let long = decimals(vec![0, 10_i128.pow(precision.into())]);
        let error = same.call_batch(&[Columnar::Array(&long)], 2).unwrap_err().to_string();
        assert!(error.contains(&format!("row 1 has more than {precision} digits")), "{error}");
    }
}

#[test]
fn a_function_without_batches_is_called_by_row_and_its_nulls_are_told() {
    const NUMBER: Type = Type::of(Scalar::I64);
    let functions = r#"(func (export "__guest_function_same") (param i64) (result i64) (local.get 0))
        (func (export "__guest_function_picky") (param i64) (result i64) (local.get 0))"#;
    let picky = crate::support::entry!(
        guest_abi::function::Declaration::new(
            guest_abi::function::Kind::Scalar,
            "picky",
            &[("x", NUMBER)],
            &[("", NUMBER)]
        )
        .with_strict(false)
    );
    let section = [function!("same", ["x": NUMBER], NUMBER), picky].concat();
    let module = load(&native(functions, &section), ModuleConfig::default()).unwrap();
    let rows = Int64Array::from(vec![Some(4), None, Some(6)]);
    let found = module.function("same").unwrap().call_batch(&[Columnar::Array(&rows)], 3).unwrap();
    assert_eq!(found.as_primitive::<Int64Type>(), &rows);
    let error = module.function("picky").unwrap().call_batch(&[Columnar::Array(&rows)], 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1 of the batch: the parameter `x` of `picky` is never null, and the argument is"
    );
}

#[test]
fn slices_of_large_views_and_dictionaries_are_divided() {
    let module = module(Allocator::Freelist, Pristine::Batch, 8 << 10);
    let mut caller = module.caller().unwrap();
    let mut views = StringViewBuilder::new().with_fixed_block_size(1 << 20);
    (0..20_000).for_each(|row| views.append_value(format!("a text that is not in line {row}")));
    let slice = views.finish().slice(7_000, 500);
    let found = call(&mut caller, "upper", &[Columnar::Array(&slice)], 500).unwrap();
    assert!((0..500).all(|row| found.as_string::<i32>().value(row) == slice.value(row).to_uppercase()));
    let distinct: ArrayRef = Arc::new((0..5_000).map(Some).collect::<Int64Array>());
    let keys: Int32Array = (0..600).map(|row| (row % 7 != 0).then_some(row * 8)).collect();
    let dictionary = DictionaryArray::<Int32Type>::new(keys, distinct);
    let found = call(&mut caller, "nullable", &[Columnar::Array(&dictionary)], 600).unwrap();
    let expected: Int64Array = (0..600).map(|row| (row % 7 != 0).then_some(row * 8 + 1)).collect();
    assert_eq!(found.as_primitive::<Int64Type>(), &expected);
}

#[test]
fn a_batch_that_needs_more_memory_than_there_is_is_divided() {
    let config = ModuleConfig::default();
    let instance = config.instance.clone().with_exchange_size(Some(1 << 20)).with_memory_limit(4 << 20);
    let module = load(&built(Allocator::Leaking), config.with_instance(instance)).unwrap();
    // Each of these takes the heap, and nothing is freed before the restore.
    let long = "ß".repeat(400);
    let rows = StringArray::from(vec![long.as_str(); 1_200]);
    let found = module.function("upper").unwrap().call_batch(&[Columnar::Array(&rows)], 1_200).unwrap();
    assert!((0..1_200).all(|row| found.as_string::<i32>().value(row).len() == 800));
}

#[test]
fn more_rows_than_a_batch_may_have_are_refused() {
    let module = adversary();
    let rows = Int64Array::from(vec![1]);
    for count in [(1 << 27) + 1, usize::MAX] {
        let error = module.function("odd").unwrap().call_batch(&[Columnar::Constant(&rows)], count).unwrap_err();
        assert!(matches!(error, FunctionError::TooManyRows { .. }), "{error}");
    }
}

#[test]
fn the_pool_serves_batches_of_many_threads() {
    let module = module(Allocator::Freelist, Pristine::Batch, 64 << 10);
    let gcd = module.function("gcd").unwrap();
    std::thread::scope(|scope| {
        for thread in 1..5_i64 {
            let gcd = &gcd;
            scope.spawn(move || {
                let a: Int64Array = (0..500).map(|row| Some(row * thread)).collect();
                let b = Int64Array::from(vec![thread * 6]);
                for _ in 0..20 {
                    let found = gcd.call_batch(&[Columnar::Array(&a), Columnar::Constant(&b)], 500).unwrap();
                    let found = found.as_primitive::<Int64Type>();
                    let expected = (0..500).map(|row| Some(self::gcd(row * thread, thread * 6)));
                    assert_eq!(found, &expected.collect::<Int64Array>());
                }
            });
        }
    });
}
