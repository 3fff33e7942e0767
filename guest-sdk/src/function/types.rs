//! Types that Rust does not have: dates, timestamps, decimals.

/// A day: the number of days since 1970-01-01.
///
/// ```
/// use guest_sdk::{Date, function};
///
/// /// The day after.
/// #[function]
/// fn day_after(Date(day): Date) -> Option<Date> {
///     day.checked_add(1).map(Date)
/// }
///
/// assert_eq!(day_after(Date(20_000)), Some(Date(20_001)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Date(
    /// Days since 1970-01-01.
    pub i32,
);

/// A point in time: the number of microseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use guest_sdk::{Timestamp, function};
///
/// #[function]
/// fn seconds(Timestamp(micros): Timestamp) -> i64 {
///     micros.div_euclid(1_000_000)
/// }
///
/// assert_eq!(seconds(Timestamp(-1)), -1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Timestamp(
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub i64,
);

/// A decimal number of `PRECISION` digits, of which `SCALE` are behind the decimal point. The precision is 1 to 38; another
/// one does not compile in a function's signature.
///
/// The SDK does not check that a result has at most `PRECISION` digits; the host does.
///
/// ```
/// use guest_sdk::{Decimal, function};
///
/// type Money = Decimal<18, 2>;
///
/// #[function]
/// fn with_tax(Decimal(cents): Money) -> Money {
///     Decimal(cents * 119 / 100)
/// }
///
/// assert_eq!(with_tax(Decimal(1000)), Decimal(1190));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Decimal<const PRECISION: u8, const SCALE: i8>(
    /// The number in units of 10 to the power of minus `SCALE`.
    pub i128,
);
