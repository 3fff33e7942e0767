//! Functions of dates, timestamps, decimals, records and null.

use guest_sdk::{Date, Decimal, List, Record, Result, Timestamp, function};
use minicbor::{Decode, Encode};

/// An amount of money.
type Money = Decimal<18, 2>;

/// The day after.
#[function]
fn day_after(Date(day): Date) -> Result<Date> {
    Ok(Date(day.checked_add(1).ok_or("there is no day after the last")?))
}

/// A point in time so many seconds later.
#[function]
fn later(Timestamp(at): Timestamp, seconds: i32) -> Option<Timestamp> {
    at.checked_add(i64::from(seconds) * 1_000_000).map(Timestamp)
}

/// An amount with a tax of so many percent, rounded down.
#[function]
fn with_tax(Decimal(cents): Money, percent: i32) -> Result<Money> {
    let taxed = cents.checked_mul(100 + i128::from(percent)).ok_or("the amount is too large")?;
    Ok(Decimal(taxed.div_euclid(100)))
}

/// A point of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
struct Point {
    /// Distance to the right.
    #[n(0)]
    x: f64,
    /// Distance upwards.
    #[n(1)]
    y: f64,
}

/// A point that is moved.
#[function]
fn moved(Record(point): Record<Point>, x: f64, y: f64) -> Record<Point> {
    Record(Point { x: point.x + x, y: point.y + y })
}

/// The sum of the numbers that are known.
#[function]
fn total(amounts: List<Option<f64>>) -> f64 {
    amounts.iter().flatten().sum()
}

/// Whether a value is known.
#[function]
fn known(value: Option<&[u8]>) -> bool {
    value.is_some()
}

/// How many of the arguments are neither null nor empty nor 0.
#[function(stable)]
#[expect(clippy::too_many_arguments, reason = "one for each type")]
fn all_types(
    truth: bool,
    int: i32,
    long: i64,
    unsigned: u64,
    single: f32,
    double: f64,
    text: &str,
    bytes: &[u8],
    date: Date,
    timestamp: Timestamp,
    decimal: Decimal<38, -2>,
    record: Option<Record<Point>>,
    list: Option<&[f32]>,
    maybe: Option<Decimal<5, 1>>,
) -> i32 {
    let given = [
        truth,
        int != 0,
        long != 0,
        unsigned != 0,
        single != 0.0,
        double != 0.0,
        !text.is_empty(),
        !bytes.is_empty(),
        date != Date(0),
        timestamp != Timestamp(0),
        decimal != Decimal(0),
        record.is_some(),
        list.is_some_and(|list| !list.is_empty()),
        maybe.is_some(),
    ];
    given.into_iter().map(i32::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_by_hand() {
        assert_eq!(day_after(Date(1)), Ok(Date(2)));
        assert!(day_after(Date(i32::MAX)).is_err());
        assert_eq!(later(Timestamp(5), -1), Some(Timestamp(-999_995)));
        assert_eq!(with_tax(Decimal(1999), 19), Ok(Decimal(2378)));
        assert_eq!(moved(Record(Point { x: 1.0, y: 2.0 }), 1.0, 1.0).0, Point { x: 2.0, y: 3.0 });
        assert_eq!((known(None), known(Some(b""))), (false, true));
    }
}
