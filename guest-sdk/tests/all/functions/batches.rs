//! Calls of many rows.
#![expect(unsafe_code, reason = "a test is the host of its calls")]

use guest_abi::column::Column;
use guest_sdk::function::Function;
use guest_sdk::generated::{RowError, forget_segments};
use guest_sdk::{Date, Decimal, ErrorCode, List, Result, Timestamp, function};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::columns::{Choices, Datum, Kind, Row, column, column_at, placed, room, rows_of};

/// Calls a function with these columns, and returns the rows of its result.
fn call<F: Function>(columns: &[Column], result: (Kind, bool), rows: usize) -> Result<Vec<Row>, RowError> {
    let columns: Vec<u8> = columns.iter().flat_map(|column| column.to_bytes()).collect();
    let (kind, nullable) = result;
    let result = placed(&room(kind, rows, nullable, 3).to_bytes());
    let rows = u32::try_from(rows).unwrap();
    // SAFETY: the columns are of the function's types, and memory that is placed stays.
    unsafe { F::batch(rows, placed(&columns), result) }?;
    Ok(rows_of(kind, column_at(result)))
}

/// Calls a function of one nullable parameter, whose result is the argument.
fn same<F: Function>(kind: Kind, rows: &[Row], choices: &mut Choices) -> Vec<Row> {
    call::<F>(&[column(kind, rows, choices)], (kind, true), rows.len()).unwrap()
}

macro_rules! same_types {
    ($($name:ident: $argument:ty => $result:ty;)+) => {$(
        #[function]
        fn $name(value: $argument) -> $result {
            value.map(Into::into)
        }
    )+};
}

same_types! {
    same_bool: Option<bool> => Option<bool>;
    same_i32: Option<i32> => Option<i32>;
    same_i64: Option<i64> => Option<i64>;
    same_u64: Option<u64> => Option<u64>;
    same_f32: Option<f32> => Option<f32>;
    same_f64: Option<f64> => Option<f64>;
    same_date: Option<Date> => Option<Date>;
    same_timestamp: Option<Timestamp> => Option<Timestamp>;
    same_decimal: Option<Decimal<38, 3>> => Option<Decimal<38, 3>>;
    same_string: Option<&str> => Option<String>;
    same_bytes: Option<&[u8]> => Option<Vec<u8>>;
    same_numbers: Option<&[i64]> => Option<Vec<i64>>;
    same_floats: Option<&[f32]> => Option<Vec<f32>>;
}

/// Lists back as lists: borrowed and owned items, and items that may be null.
#[function]
fn same_words<'a>(words: Option<List<'a, &'a str>>) -> Option<Vec<&'a str>> {
    words.map(|words| words.iter().collect())
}

#[function]
fn same_pieces(pieces: Option<List<Option<&[u8]>>>) -> Option<Vec<Option<Vec<u8>>>> {
    pieces.map(|pieces| pieces.iter().map(|piece| piece.map(<[u8]>::to_vec)).collect())
}

#[function]
fn same_flags(flags: Option<List<bool>>) -> Option<Vec<bool>> {
    flags.map(|flags| flags.iter().collect())
}

#[function]
fn same_doubts(flags: Option<List<Option<bool>>>) -> Option<Vec<Option<bool>>> {
    flags.map(|flags| flags.iter().collect())
}

#[function]
fn same_gaps(numbers: Option<List<Option<Decimal<38, 3>>>>) -> Option<Vec<Option<Decimal<38, 3>>>> {
    numbers.map(|numbers| numbers.iter().collect())
}

#[function]
fn borrowed<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.len() >= second.len() { first } else { second }
}

#[function]
fn shown(words: List<Option<&str>>, flags: List<bool>) -> String {
    format!("{words:?}{flags:?}")
}

#[function]
fn below(a: i64, b: i32) -> bool {
    a < i64::from(b)
}

#[function]
fn nothing() -> i32 {
    7
}

#[function]
fn divided(a: i64, b: i64) -> Result<i64> {
    a.checked_div(b).ok_or_else(|| "no quotient".into())
}

#[function(strict = false)]
fn picky(a: Option<i64>, b: i64) -> i64 {
    a.unwrap_or_default() + b
}

fn i64_row(number: Option<i64>) -> Row {
    number.map(|number| Datum::Number(number.to_le_bytes().to_vec()))
}

fn text(text: &str) -> Row {
    Some(Datum::Bytes(text.into()))
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,3}", "[a-zä]{0,13}", "[ -~]{10,30}"]
}

fn number(width: usize) -> impl Strategy<Value = Datum> {
    // Few different numbers too, so that rows are equal.
    prop_oneof![vec(0_u8..2, width), vec(any::<u8>(), width)].prop_map(Datum::Number)
}

/// Rows of which some are null, and of which all are equal at times.
fn rows_from(value: impl Strategy<Value = Datum> + Clone) -> impl Strategy<Value = Vec<Row>> {
    let equal = (option::of(value.clone()), 1..10_usize).prop_map(|(row, count)| vec![row; count]);
    prop_oneof![2 => vec(option::weighted(0.8, value.clone()), 0..40), 2 => vec(value.prop_map(Some), 0..40), 1 => equal]
}

proptest! {
    #[test]
    fn numbers_arrive_in_every_encoding(
        (b4, b8, b16) in (rows_from(number(4).boxed()), rows_from(number(8).boxed()), rows_from(number(16).boxed())),
        bools in rows_from(any::<bool>().prop_map(Datum::Bool).boxed()),
        seed: u64,
    ) {
        let mut choices = Choices(seed);
        let choices = &mut choices;
        prop_assert_eq!(same::<__guest_function_same_bool>(Kind::Bool, &bools, choices), bools);
        prop_assert_eq!(&same::<__guest_function_same_i32>(Kind::Number(4), &b4, choices), &b4);
        prop_assert_eq!(&same::<__guest_function_same_f32>(Kind::Number(4), &b4, choices), &b4);
        prop_assert_eq!(&same::<__guest_function_same_date>(Kind::Number(4), &b4, choices), &b4);
        prop_assert_eq!(&same::<__guest_function_same_i64>(Kind::Number(8), &b8, choices), &b8);
        prop_assert_eq!(&same::<__guest_function_same_u64>(Kind::Number(8), &b8, choices), &b8);
        prop_assert_eq!(&same::<__guest_function_same_f64>(Kind::Number(8), &b8, choices), &b8);
        prop_assert_eq!(&same::<__guest_function_same_timestamp>(Kind::Number(8), &b8, choices), &b8);
        prop_assert_eq!(&same::<__guest_function_same_decimal>(Kind::Number(16), &b16, choices), &b16);
        forget_segments();
    }

    #[test]
    fn strings_bytes_and_lists_arrive_in_every_encoding(
        texts in rows_from(words().prop_map(|text| Datum::Bytes(text.into_bytes())).boxed()),
        longs in rows_from(vec(number(8).prop_map(Some), 0..5).prop_map(Datum::List).boxed()),
        floats in rows_from(vec(number(4).prop_map(Some), 0..5).prop_map(Datum::List).boxed()),
        seed: u64,
    ) {
        let mut choices = Choices(seed);
        let choices = &mut choices;
        prop_assert_eq!(&same::<__guest_function_same_string>(Kind::Bytes, &texts, choices), &texts);
        prop_assert_eq!(&same::<__guest_function_same_bytes>(Kind::Bytes, &texts, choices), &texts);
        prop_assert_eq!(&same::<__guest_function_same_numbers>(Kind::Slice(8), &longs, choices), &longs);
        prop_assert_eq!(&same::<__guest_function_same_floats>(Kind::Slice(4), &floats, choices), &floats);
        forget_segments();
    }

    #[test]
    fn lists_of_every_item_come_back(
        words in rows_from(vec(words().prop_map(|text| Some(Datum::Bytes(text.into_bytes()))), 0..9).prop_map(Datum::List).boxed()),
        pieces in rows_from(vec(option::of(vec(any::<u8>(), 0..20).prop_map(Datum::Bytes)), 0..9).prop_map(Datum::List).boxed()),
        flags in rows_from(vec(any::<bool>().prop_map(|flag| Some(Datum::Bool(flag))), 0..20).prop_map(Datum::List).boxed()),
        doubts in rows_from(vec(option::of(any::<bool>().prop_map(Datum::Bool)), 0..20).prop_map(Datum::List).boxed()),
        gaps in rows_from(vec(option::of(number(16)), 0..5).prop_map(Datum::List).boxed()),
        seed: u64,
    ) {
        const BYTES: Kind = Kind::List(&Kind::Bytes);
        const BOOLS: Kind = Kind::List(&Kind::Bool);
        const DECIMALS: Kind = Kind::List(&Kind::Number(16));
        let mut choices = Choices(seed);
        let choices = &mut choices;
        prop_assert_eq!(&same::<__guest_function_same_words>(BYTES, &words, choices), &words);
        prop_assert_eq!(&same::<__guest_function_same_pieces>(BYTES, &pieces, choices), &pieces);
        prop_assert_eq!(&same::<__guest_function_same_flags>(BOOLS, &flags, choices), &flags);
        prop_assert_eq!(&same::<__guest_function_same_doubts>(BOOLS, &doubts, choices), &doubts);
        prop_assert_eq!(&same::<__guest_function_same_gaps>(DECIMALS, &gaps, choices), &gaps);
        forget_segments();
    }

    #[test]
    fn views_of_lists_show_every_item(
        rows in vec((vec(option::of(words()), 0..5), vec(any::<bool>(), 0..5)), 0..20),
        seed: u64,
    ) {
        let list = |items: Vec<Row>| Some(Datum::List(items));
        let texts: Vec<Row> = rows
            .iter()
            .map(|row| list(row.0.iter().map(|text| text.as_ref().map(|text| Datum::Bytes(text.clone().into()))).collect()))
            .collect();
        let flags: Vec<Row> =
            rows.iter().map(|row| list(row.1.iter().map(|flag| Some(Datum::Bool(*flag))).collect())).collect();
        let choices = &mut Choices(seed);
        let columns = [
            column(Kind::List(&Kind::Bytes), &texts, choices),
            column(Kind::List(&Kind::Bool), &flags, choices),
        ];
        let found = call::<__guest_function_shown>(&columns, (Kind::Bytes, false), rows.len()).unwrap();
        let expected: Vec<Row> = rows.iter().map(|(texts, flags)| text(&format!("{texts:?}{flags:?}"))).collect();
        prop_assert_eq!(found, expected);
        forget_segments();
    }

    #[test]
    fn a_strict_function_has_null_where_an_argument_is_null(
        rows in vec((option::of(-3..3_i64), option::of(-3..3_i32)), 0..40),
        seed: u64,
    ) {
        let choices = &mut Choices(seed);
        let a: Vec<Row> = rows.iter().map(|row| i64_row(row.0)).collect();
        let b: Vec<Row> =
            rows.iter().map(|row| row.1.map(|number| Datum::Number(number.to_le_bytes().to_vec()))).collect();
        let columns = [column(Kind::Number(8), &a, choices), column(Kind::Number(4), &b, choices)];
        let found = call::<__guest_function_below>(&columns, (Kind::Bool, true), rows.len()).unwrap();
        let expected: Vec<Row> =
            rows.iter().map(|row| Some(Datum::Bool(row.0? < i64::from(row.1?)))).collect();
        prop_assert_eq!(found, expected);
        forget_segments();
    }
}

#[test]
fn results_may_be_borrowed_from_arguments() {
    let choices = &mut Choices(1);
    let columns = [["a", "bcd", ""], ["bc", "a", ""]].map(|rows| column(Kind::Bytes, &rows.map(text), choices));
    assert_eq!(
        call::<__guest_function_borrowed>(&columns, (Kind::Bytes, false), 3),
        Ok(["bc", "bcd", ""].map(text).to_vec())
    );
}

#[test]
fn a_function_without_parameters_is_called_for_each_row() {
    let seven = Some(Datum::Number(7_i32.to_le_bytes().to_vec()));
    assert_eq!(call::<__guest_function_nothing>(&[], (Kind::Number(4), false), 2), Ok(vec![seven; 2]));
}

#[test]
fn the_first_row_that_fails_ends_the_batch() {
    let of = |numbers: [i64; 3]| column(Kind::Number(8), &numbers.map(|number| i64_row(Some(number))), &mut Choices(3));
    let divided = |b| call::<__guest_function_divided>(&[of([8, 9, 10]), of(b)], (Kind::Number(8), false), 3);
    assert_eq!(divided([1, 2, 3]), Ok([8, 4, 3].map(|number| i64_row(Some(number))).to_vec()));
    let failed = divided([1, 0, 0]).unwrap_err();
    assert_eq!((failed.row, failed.error), (1, "no quotient".into()));
}

#[test]
fn null_for_a_function_that_is_not_strict_names_the_parameter() {
    let picky = |a: [Option<i64>; 2], b: [Option<i64>; 2]| {
        let columns = [a, b].map(|rows| column(Kind::Number(8), &rows.map(i64_row), &mut Choices(5)));
        call::<__guest_function_picky>(&columns, (Kind::Number(8), false), 2)
    };
    assert_eq!(picky([None, Some(1)], [Some(2), Some(3)]), Ok(vec![i64_row(Some(2)), i64_row(Some(4))]));
    let failed = picky([Some(1), None], [Some(2), None]).unwrap_err();
    assert_eq!((failed.row, failed.error.code()), (1, ErrorCode::WrongType));
    assert_eq!(failed.error.to_string(), "the argument `b` is null, which its parameter does not take");
}

#[test]
fn null_needs_a_validity_bitmap() {
    let columns = [column(Kind::Number(8), &[None], &mut Choices(5))];
    let failed = call::<__guest_function_same_i64>(&columns, (Kind::Number(8), false), 1).unwrap_err();
    assert_eq!((failed.row, failed.error.code()), (0, ErrorCode::Malformed));
}
