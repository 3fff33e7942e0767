//! Calls of one row: how each type crosses.
#![expect(unsafe_code, reason = "a test is the host of its calls")]

use guest_abi::function::RESULT_NULL;
use guest_abi::names::unpack;
use guest_sdk::generated::address;
use guest_sdk::{Date, Decimal, List, Result, Timestamp, function};

use super::columns::{Choices, Datum, Kind, Row, bytes_at, column_at, items_of, placed_column, rows_of};

#[function]
fn numbers(truth: bool, int: i32, long: i64, unsigned: u64, single: f32, double: f64) -> f64 {
    f64::from(u8::from(truth)) + f64::from(int) + long as f64 + unsigned as f64 + f64::from(single) + double
}

#[function]
fn is_first(Date(day): Date, Timestamp(time): Timestamp, Decimal(units): Decimal<20, 0>) -> bool {
    day == 1 && time == 1 && units == -1
}

#[function]
fn texts(text: &str, bytes: Option<&[u8]>) -> String {
    format!("{text}{bytes:?}")
}

#[function]
fn chosen(numbers: Option<&[i32]>, words: List<&str>) -> Vec<i32> {
    let words = words.iter().map(|_| 1).sum();
    numbers.unwrap_or_default().iter().chain(&[words]).copied().collect()
}

#[function]
fn halved(number: Option<i64>) -> Result<Option<i64>, &'static str> {
    match number {
        Some(number) if number % 2 == 1 => Err("odd"),
        number => Ok(number.map(|number| number / 2)),
    }
}

#[function]
fn doubled(number: Option<Decimal<38, 2>>) -> Option<Decimal<38, 2>> {
    Some(Decimal(number?.0 * 2))
}

#[function]
fn tail(bytes: &[u8]) -> &[u8] {
    bytes.get(1..).unwrap_or_default()
}

#[function]
fn negated(truth: Option<bool>) -> Option<bool> {
    truth.map(|truth| !truth)
}

/// The bytes of a packed result.
fn packed(result: Result<i64>) -> Vec<u8> {
    let (address, length) = unpack(result.unwrap());
    bytes_at(address, length as usize)
}

fn lent(bytes: &[u8]) -> (u32, u32) {
    (address(bytes.as_ptr(), bytes.len()), u32::try_from(bytes.len()).unwrap())
}

#[test]
fn numbers_cross_as_numbers() {
    // SAFETY: no argument is an address; the same in the two tests that follow.
    let result =
        unsafe { __guest_function_numbers::row(1, (), (), 2, (), (), 3, (), (), 4, (), (), 0.5, (), (), 0.25, (), ()) };
    assert_eq!(result, Ok(10.75));
    // SAFETY: as above.
    let first = |low, high| unsafe { __guest_function_is_first::row(1, (), (), 1, (), (), low, high, ()) };
    assert_eq!((first(u64::MAX, -1), first(u64::MAX, 0)), (Ok(1), Ok(0)));
}

#[test]
fn null_is_a_parameter_of_its_own() {
    // SAFETY: no argument is an address.
    let halved = |is, number| unsafe { __guest_function_halved::row(is, number, ()) };
    assert_eq!((packed(halved(1, 8)), halved(0, 0)), (4_i64.to_le_bytes().to_vec(), Ok(RESULT_NULL)));
    assert_eq!(halved(1, 3), Err("odd".into()));
    // SAFETY: no argument is an address.
    let doubled = |is, low, high| unsafe { __guest_function_doubled::row(is, low, high) };
    assert_eq!(
        (packed(doubled(1, 5, 1)), doubled(0, 0, 0)),
        ((10 + (2_i128 << 64)).to_le_bytes().to_vec(), Ok(RESULT_NULL))
    );
    // SAFETY: no argument is an address.
    let negated = |is, truth| unsafe { __guest_function_negated::row(is, truth, ()) };
    assert_eq!((packed(negated(1, 0)), packed(negated(1, 1)), negated(0, 0)), (vec![1], vec![0], Ok(RESULT_NULL)));
}

#[test]
fn texts_and_bytes_cross_as_address_and_length() {
    let (start, length) = lent("äö".as_bytes());
    // SAFETY: the bytes are static, and UTF-8.
    let texts = |is, first, second| unsafe { __guest_function_texts::row(start, length, (), is, first, second) };
    assert_eq!(packed(texts(1, start, 2)), "äöSome([195, 164])".as_bytes());
    assert_eq!(packed(texts(0, 0, 0)), "äöNone".as_bytes());
    // The address of nothing may be 0.
    assert_eq!(packed(texts(1, 0, 0)), "äöSome([])".as_bytes());
    let (start, length) = lent(b"abc");
    // SAFETY: the bytes are static.
    let tail = unsafe { __guest_function_tail::row(start, length, ()) };
    assert_eq!(packed(tail), b"bc");
}

#[test]
fn lists_cross_as_the_column_of_their_items() {
    let number = |number: i32| Some(Datum::Number(number.to_le_bytes().to_vec()));
    let choices = &mut Choices(9);
    let numbers = placed_column(items_of(Kind::Slice(4), &[number(5), number(6)], choices));
    let words: [Row; 3] = ["a", "b", "a long word that is not in its view"].map(|word| Some(Datum::Bytes(word.into())));
    let words = placed_column(items_of(Kind::List(&Kind::Bytes), &words, choices));
    // SAFETY: both are columns that stay.
    let chosen = |is, numbers| unsafe { __guest_function_chosen::row(is, numbers, (), words, (), ()) };
    for (result, expected) in
        [(chosen(1, numbers), vec![number(5), number(6), number(3)]), (chosen(0, 0), vec![number(3)])]
    {
        let (column, none) = unpack(result.unwrap());
        assert_eq!((none, rows_of(Kind::Number(4), column_at(column))), (0, expected));
    }
}

#[cfg(feature = "minicbor")]
#[test]
fn records_cross_in_cbor() {
    use guest_sdk::{ErrorCode, Record};
    use minicbor::{Decode, Encode};

    #[derive(Encode, Decode)]
    struct Point<'a> {
        #[n(0)]
        x: i32,
        #[b(1)]
        name: &'a str,
    }

    #[function]
    fn moved<'a>(Record(point): Record<Point<'a>>, by: Option<Record<Point<'a>>>) -> Record<Point<'a>> {
        let by = by.map_or(0, |Record(by)| by.x);
        Record(Point { x: point.x + by, ..point })
    }

    let point = minicbor::to_vec(Point { x: 3, name: "here" }).unwrap();
    let (start, length) = lent(&point);
    // SAFETY: the bytes live until the end of the test.
    let moved = |length, is| unsafe { __guest_function_moved::row(start, length, (), is, start, length) };
    assert_eq!(packed(moved(length, 1)), minicbor::to_vec(Point { x: 6, name: "here" }).unwrap());
    assert_eq!(packed(moved(length, 0)), point);
    assert_eq!(moved(length - 1, 0).unwrap_err().code(), ErrorCode::Malformed);

    let rows = [Some(Datum::Bytes(point.clone())), None];
    let column = super::columns::plain(Kind::Bytes, &rows, &mut Choices(2));
    let columns = super::columns::placed(&[column.to_bytes(), column.to_bytes()].concat());
    let result = super::columns::placed(&super::columns::room(Kind::Bytes, 2, true, 0).to_bytes());
    // SAFETY: the columns are of the function's types, and memory that is placed stays.
    let done = unsafe { <__guest_function_moved as guest_sdk::function::Function>::batch(2, columns, result) };
    assert_eq!(done, Ok(()));
    let expected = minicbor::to_vec(Point { x: 6, name: "here" }).unwrap();
    assert_eq!(rows_of(Kind::Bytes, column_at(result)), [Some(Datum::Bytes(expected)), None]);

    // A null makes a strict function's result null, whatever else is wrong with the row.
    #[function]
    fn strict(_point: Record<Point<'_>>, number: i64) -> i64 {
        number
    }
    let points = [vec![0xFF], vec![0xFF]].map(|bytes| Some(Datum::Bytes(bytes)));
    let points = super::columns::plain(Kind::Bytes, &points, &mut Choices(2));
    let numbers = [None, Some(Datum::Number(vec![1; 8]))];
    let numbers = super::columns::plain(Kind::Number(8), &numbers, &mut Choices(2));
    let columns = super::columns::placed(&[points.to_bytes(), numbers.to_bytes()].concat());
    let result = super::columns::placed(&super::columns::room(Kind::Number(8), 2, true, 0).to_bytes());
    // SAFETY: as above.
    let failed = unsafe { <__guest_function_strict as guest_sdk::function::Function>::batch(2, columns, result) };
    let failed = failed.unwrap_err();
    assert_eq!((failed.row, failed.error.code()), (1, ErrorCode::Malformed));
}
