//! Values whose types are known at run time, and how people write them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr as _;

use guest_abi::document::DocumentBuf;
use guest_abi::function::{Items, Scalar, Type};
use jiff::civil;

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// The days; negative before.
    pub days: i32,
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// The microseconds; negative before.
    pub microseconds: i64,
}

/// A decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The number in units of 10 to the power of minus `scale`.
    pub units: i128,
    /// Digits behind the decimal point.
    pub scale: i8,
}

impl Decimal {
    /// Whether it has no more decimal digits than this.
    #[must_use]
    pub fn has_at_most(self, precision: u8) -> bool {
        10_u128.checked_pow(precision.into()).is_none_or(|bound| self.units.unsigned_abs() < bound)
    }
}

/// A value of any type that a function may have.
///
/// ```
/// use guest_functions::{Scalar, Type, Value};
///
/// let list = Value::parse("[1, null, 3]", Type::of(Scalar::I64).nullable().list())?;
/// assert_eq!(list, Value::List(vec![Value::I64(1), Value::Null, Value::I64(3)]));
/// let price = Value::parse("-12.5", Type::of(Scalar::Decimal { precision: 10, scale: 2 }))?;
/// assert_eq!(price.to_string(), "-12.50");
/// # Ok::<(), guest_functions::ValueError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer of 32 bits.
    I32(i32),
    /// A signed integer of 64 bits.
    I64(i64),
    /// An unsigned integer of 64 bits.
    U64(u64),
    /// A floating-point number of 32 bits.
    F32(f32),
    /// A floating-point number of 64 bits.
    F64(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date.
    Date(Date),
    /// A point in time.
    Timestamp(Timestamp),
    /// A decimal number.
    Decimal(Decimal),
    /// A value of a type of the guest's own, in CBOR.
    Record(Vec<u8>),
    /// A document.
    Document(DocumentBuf),
    /// A list of values of one type.
    List(Vec<Value>),
}

/// Text that is no value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not of type {ty}: {reason}")]
#[non_exhaustive]
pub struct ValueError {
    /// The text.
    pub text: String,
    /// The type.
    pub ty: Type,
    /// The form of the type's values, or the fault in the text.
    pub reason: Cow<'static, str>,
}

impl ValueError {
    /// That the text is no value of the type, for this reason.
    #[must_use]
    pub fn new(text: &str, ty: Type, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { text: guest_host::text::cut(text, 200).into(), ty, reason: reason.into() }
    }
}

impl Value {
    /// Its type, if it is neither null, nor a decimal, which has many, nor a list.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        Some(match self {
            Self::Null | Self::List(_) | Self::Decimal(_) => return None,
            Self::Bool(_) => Scalar::Bool,
            Self::I32(_) => Scalar::I32,
            Self::I64(_) => Scalar::I64,
            Self::U64(_) => Scalar::U64,
            Self::F32(_) => Scalar::F32,
            Self::F64(_) => Scalar::F64,
            Self::String(_) => Scalar::String,
            Self::Bytes(_) => Scalar::Bytes,
            Self::Date(_) => Scalar::Date,
            Self::Timestamp(_) => Scalar::Timestamp,
            Self::Record(_) => Scalar::Record,
            Self::Document(_) => Scalar::Document,
        })
    }

    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> String {
        match (self, self.scalar()) {
            (_, Some(scalar)) => scalar.to_string(),
            (Self::Decimal(value), _) => format!("decimal(38, {})", value.scale),
            (Self::List(items), _) => match items.iter().find(|item| !matches!(item, Self::Null)) {
                Some(item) => format!("list({})", item.type_name()),
                None => "list".to_owned(),
            },
            _ => "null".to_owned(),
        }
    }

    /// Its bytes, if it is text, bytes, a record or a document.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) | Self::Record(bytes) => Some(bytes),
            Self::Document(document) => Some(document.as_bytes()),
            _ => None,
        }
    }

    /// The bytes of a number, as a column has them; zeros for every other value.
    pub(crate) fn little_endian(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut put = |value: &[u8]| bytes[..value.len()].copy_from_slice(value);
        match self {
            Self::I32(value) | Self::Date(Date { days: value }) => put(&value.to_le_bytes()),
            Self::I64(value) | Self::Timestamp(Timestamp { microseconds: value }) => put(&value.to_le_bytes()),
            Self::U64(value) => put(&value.to_le_bytes()),
            Self::F32(value) => put(&value.to_le_bytes()),
            Self::F64(value) => put(&value.to_le_bytes()),
            Self::Decimal(value) => put(&value.units.to_le_bytes()),
            _ => {}
        }
        bytes
    }

    /// The number of a type that has a [width](Scalar::width), from its bytes.
    pub(crate) fn of_little_endian(bytes: &[u8], scalar: Scalar) -> Option<Self> {
        Some(match scalar {
            Scalar::I32 => Self::I32(i32::from_le_bytes(*bytes.first_chunk()?)),
            Scalar::Date => Self::Date(Date { days: i32::from_le_bytes(*bytes.first_chunk()?) }),
            Scalar::I64 => Self::I64(i64::from_le_bytes(*bytes.first_chunk()?)),
            Scalar::Timestamp => Self::Timestamp(Timestamp { microseconds: i64::from_le_bytes(*bytes.first_chunk()?) }),
            Scalar::U64 => Self::U64(u64::from_le_bytes(*bytes.first_chunk()?)),
            Scalar::F32 => Self::F32(f32::from_le_bytes(*bytes.first_chunk()?)),
            Scalar::F64 => Self::F64(f64::from_le_bytes(*bytes.first_chunk()?)),
            Scalar::Decimal { scale, .. } => {
                Self::Decimal(Decimal { units: i128::from_le_bytes(*bytes.first_chunk()?), scale })
            }
            _ => return None,
        })
    }

    /// Reads a value as people write it: `null` where the type has it, `true` and `false`, numbers, `2026-11-29` for a date,
    /// `2026-11-29T10:00:00Z` for a timestamp, hexadecimal digits for bytes and records, JSON for documents, and
    /// `[1, 2]` for a list. Text is taken as it is; in a list it stands in double quotes, and so does the text `"null"` where the type has null.
    ///
    /// # Errors
    /// [`ValueError`] if the text is no value of the type.
    pub fn parse(text: &str, ty: Type) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        if ty.nullable && trimmed == "null" {
            return Ok(Self::Null);
        }
        let Some(of) = ty.list else {
            return match ty.scalar {
                // Where `null` is null, the text stands in quotes.
                Scalar::String if ty.nullable && trimmed == "\"null\"" => Ok(Self::String("null".to_owned())),
                Scalar::String => Ok(Self::String(text.to_owned())),
                // The error has a place in the text.
                Scalar::Document => DocumentBuf::from_json(text)
                    .map(Self::Document)
                    .map_err(|error| ValueError::new(text, ty, error.to_string())),
                scalar => scalar_of(trimmed, scalar).ok_or_else(|| error(text, ty)),
            };
        };
        let inner = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(|| error(text, ty))?;
        let items = split(inner).ok_or_else(|| error(text, ty))?;
        let item = |item: &str| item_of(item, ty.scalar, of).ok_or_else(|| error(text, ty));
        Ok(Self::List(items.iter().map(|text| item(text)).collect::<Result<_, _>>()?))
    }
}

/// That the text is no value of the type, and the form that its values have.
#[cold]
pub(crate) fn error(text: &str, ty: Type) -> ValueError {
    let reason = match (ty.list, ty.scalar) {
        (Some(_), Scalar::Document) => "write a list of documents as [{\"a\": 1}, {\"a\": 2}]",
        (Some(_), Scalar::String) => "write a list of texts as [\"a\", \"b\"]",
        (Some(_), _) => "write a list as [1, 2, 3]",
        (None, Scalar::Bool) => "write true or false",
        (None, Scalar::I32) => "an integer from -2147483648 to 2147483647",
        (None, Scalar::I64) => "an integer from -9223372036854775808 to 9223372036854775807",
        (None, Scalar::U64) => "an integer from 0 to 18446744073709551615",
        (None, Scalar::F32 | Scalar::F64) => "a number such as 2.5, 1e-3, inf or nan",
        (None, Scalar::Date) => "write a date as 2026-11-29",
        (None, Scalar::Timestamp) => {
            "write a point in time as 2026-11-29T10:00:00Z, with at most six decimals of seconds"
        }
        (None, Scalar::Decimal { .. }) => "a decimal number with no more digits than the type has",
        _ => "write bytes as an even number of hexadecimal digits",
    };
    ValueError::new(text, ty, reason)
}

fn scalar_of(text: &str, scalar: Scalar) -> Option<Value> {
    Some(match scalar {
        Scalar::Bool => Value::Bool(text.parse().ok()?),
        Scalar::I32 => Value::I32(text.parse().ok()?),
        Scalar::I64 => Value::I64(text.parse().ok()?),
        Scalar::U64 => Value::U64(text.parse().ok()?),
        Scalar::F32 => Value::F32(text.parse().ok()?),
        Scalar::F64 => Value::F64(text.parse().ok()?),
        Scalar::String => Value::String(text.to_owned()),
        Scalar::Date => {
            let days = civil::Date::from_str(text).ok()?.since(EPOCH).ok()?.get_days();
            Value::Date(Date { days })
        }
        Scalar::Timestamp => {
            let at = jiff::Timestamp::from_str(text).ok()?;
            let microseconds = at.as_microsecond();
            // Finer fractions would be lost.
            (jiff::Timestamp::from_microsecond(microseconds).ok()? == at).then_some(())?;
            Value::Timestamp(Timestamp { microseconds })
        }
        Scalar::Decimal { precision, scale } => {
            let decimal = Decimal { units: units(text, scale)?, scale };
            decimal.has_at_most(precision).then_some(Value::Decimal(decimal))?
        }
        Scalar::Bytes => Value::Bytes(bytes(text)?),
        Scalar::Record => Value::Record(bytes(text)?),
        Scalar::Document => Value::Document(DocumentBuf::from_json(text).ok()?),
        _ => return None,
    })
}

fn item_of(text: &str, scalar: Scalar, of: Items) -> Option<Value> {
    match scalar {
        _ if of.nullable && text == "null" => Some(Value::Null),
        Scalar::String => quoted(text).map(Value::String),
        scalar => scalar_of(text, scalar),
    }
}

/// The items between commas, where a comma in double quotes or within a document is none.
fn split(inner: &str) -> Option<Vec<&str>> {
    let (mut items, mut start, mut in_quotes, mut escaped) = (Vec::new(), 0, false, false);
    let mut depth = 0_u32;
    for (at, char) in inner.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            '{' | '[' if !in_quotes => depth += 1,
            '}' | ']' if !in_quotes => depth = depth.checked_sub(1)?,
            ',' if !in_quotes && depth == 0 => {
                items.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inner[start..].trim();
    if !(items.is_empty() && last.is_empty()) {
        items.push(last);
    }
    (!in_quotes).then_some(items)
}

/// The text in double quotes, in which a backslash keeps a quote or a backslash.
fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let (mut found, mut escaped) = (String::new(), false);
    for char in inner.chars() {
        match char {
            '"' | '\\' if escaped => found.push(char),
            _ if escaped => return None,
            '"' => return None,
            '\\' => {
                escaped = true;
                continue;
            }
            char => found.push(char),
        }
        escaped = false;
    }
    (!escaped).then_some(found)
}

/// A decimal number in units of 10 to the power of minus `scale`.
fn units(text: &str, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let mut all = format!("{whole}{fraction}");
    // The digits count units of 10 to the power of minus their number behind the point.
    let missing = i64::from(scale) - i64::try_from(fraction.len()).ok()?;
    if missing < 0 {
        let keep = all.len().saturating_sub(usize::try_from(-missing).ok()?);
        let dropped = all.split_off(keep);
        if dropped.bytes().any(|digit| digit != b'0') {
            return None;
        }
    }
    let number: i128 = if all.is_empty() { 0 } else { all.parse().ok()? };
    let number = match u32::try_from(missing) {
        Ok(missing) => number.checked_mul(10_i128.checked_pow(missing)?)?,
        Err(_) => number,
    };
    Some(if negative { -number } else { number })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u8::from_str_radix(pair, 16).ok()
    });
    if digits.len().is_multiple_of(2) { pairs.collect() } else { None }
}

const EPOCH: civil::Date = civil::date(1970, 1, 1);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = jiff::Span::new().try_days(self.days);
        match days.and_then(|days| EPOCH.checked_add(days)) {
            Ok(date) => date.fmt(f),
            Err(_) => write!(f, "day {}", self.days),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.microseconds) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "microsecond {}", self.microseconds),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = (if self.units < 0 { "-" } else { "" }, self.units.unsigned_abs().to_string());
        match usize::try_from(self.scale) {
            Ok(0) => write!(f, "{sign}{digits}"),
            Ok(scale) => {
                let digits = format!("{digits:0>width$}", width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                write!(f, "{sign}{whole}.{fraction}")
            }
            Err(_) if self.units == 0 => f.write_char('0'),
            Err(_) => write!(f, "{sign}{digits}{}", "0".repeat(self.scale.unsigned_abs().into())),
        }
    }
}

/// As [`Value::parse`] reads it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::String(value) => f.write_str(value),
            Self::Date(value) => value.fmt(f),
            Self::Timestamp(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Document(value) => f.write_str(&value.to_json()),
            Self::Bytes(value) | Self::Record(value) => value.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::List(items) => {
                f.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    match item {
                        Self::String(text) => {
                            write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))?;
                        }
                        item => item.fmt(f)?,
                    }
                }
                f.write_char(']')
            }
        }
    }
}

macro_rules! from {
    ($($ty:ty => $variant:ident;)*) => {$(
        impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool;
    i32 => I32;
    i64 => I64;
    u64 => U64;
    f32 => F32;
    f64 => F64;
    &str => String;
    String => String;
    Vec<u8> => Bytes;
    Date => Date;
    Timestamp => Timestamp;
    Decimal => Decimal;
    DocumentBuf => Document;
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, ty: Type) -> String {
        Value::parse(text, ty).map_or_else(|error| format!("error: {}", error.reason), |value| value.to_string())
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        let decimal = |precision, scale| Type::of(Scalar::Decimal { precision, scale });
        for (ty, text) in [
            (Type::of(Scalar::Bool), "true"),
            (Type::of(Scalar::U64), "18446744073709551615"),
            (Type::of(Scalar::F64), "-0.5"),
            (Type::of(Scalar::Date), "2024-02-29"),
            (Type::of(Scalar::Date), "1969-12-31"),
            (Type::of(Scalar::Timestamp), "2026-11-29T10:00:00.000001Z"),
            (decimal(5, 2), "-123.45"),
            (decimal(5, 2), "0.05"),
            (decimal(38, 0), "99999999999999999999999999999999999999"),
            (decimal(5, -2), "1200"),
            (Type::of(Scalar::Bytes), "00ff"),
            (Type::of(Scalar::I32).nullable(), "null"),
            (Type::of(Scalar::I32).nullable().list(), "[1, null, -3]"),
            (Type::of(Scalar::String).list(), r#"["a, b", "c \"d\" \\"]"#),
            (Type::of(Scalar::String).list(), "[]"),
            (Type::of(Scalar::String), " [a] "),
        ] {
            assert_eq!(read(text, ty), text, "{ty}");
        }
    }

    #[test]
    fn what_is_no_value_says_how_one_looks() {
        for (ty, text, part) in [
            (Type::of(Scalar::Bool), "yes", "true or false"),
            (Type::of(Scalar::I32), "2147483648", "integer from"),
            (Type::of(Scalar::I32), "null", "integer from"),
            (Type::of(Scalar::Date), "2023-02-29", "2026-11-29"),
            (Type::of(Scalar::Timestamp), "2026-11-29", "T10:00:00Z"),
            (Type::of(Scalar::Timestamp), "2026-11-29T10:00:00.0000001Z", "six decimals"),
            (Type::of(Scalar::Decimal { precision: 4, scale: 2 }), "100", "digits"),
            (Type::of(Scalar::Decimal { precision: 4, scale: 2 }), "1.234", "digits"),
            (Type::of(Scalar::Decimal { precision: 4, scale: -2 }), "1250", "digits"),
            (Type::of(Scalar::Decimal { precision: 4, scale: 2 }), ".", "digits"),
            (Type::of(Scalar::Bytes), "abc", "hexadecimal"),
            (Type::of(Scalar::Bytes), "0g", "hexadecimal"),
            (Type::of(Scalar::I64).list(), "1, 2", "[1, 2, 3]"),
            (Type::of(Scalar::I64).list(), "[1, null]", "[1, 2, 3]"),
            (Type::of(Scalar::I64).list(), "[1,,2]", "[1, 2, 3]"),
            (Type::of(Scalar::String).list(), "[a]", "\"a\""),
            (Type::of(Scalar::String).list(), r#"["a]"#, "\"a\""),
        ] {
            let found = read(text, ty);
            assert!(found.starts_with("error: ") && found.contains(part), "{text} as {ty}: {found}");
        }
        assert_eq!(Date { days: i32::MAX }.to_string(), "day 2147483647");
        assert_eq!(Timestamp { microseconds: i64::MAX }.to_string(), format!("microsecond {}", i64::MAX));
    }

    proptest! {
        #[test]
        fn decimals_lead_back(units: i128, scale in -5_i8..38) {
            let decimal = Decimal { units: units / 100_000, scale };
            let text = decimal.to_string();
            prop_assert_eq!(super::units(&text, scale), Some(decimal.units), "{}", text);
        }

        #[test]
        fn dates_and_times_lead_back(days in -700_000_i32..2_900_000, microseconds in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            prop_assert_eq!(scalar_of(&Date { days }.to_string(), Scalar::Date), Some(Value::Date(Date { days })));
            let at = Timestamp { microseconds };
            prop_assert_eq!(scalar_of(&at.to_string(), Scalar::Timestamp), Some(Value::Timestamp(at)));
        }

        #[test]
        fn texts_in_lists_lead_back(items in proptest::collection::vec(any::<String>(), 0..5)) {
            let list = Value::List(items.into_iter().map(Value::String).collect());
            prop_assert_eq!(Value::parse(&list.to_string(), Type::of(Scalar::String).list()), Ok(list));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, number in 0_u8..12) {
            let scalars = [Scalar::Bool, Scalar::I32, Scalar::F64, Scalar::Date, Scalar::Timestamp, Scalar::Bytes];
            let ty = Type::of(scalars[usize::from(number) % 6]);
            let _ = Value::parse(&text, if number < 6 { ty } else { ty.nullable().list().nullable() });
            let _ = Value::parse(&text, Type::of(Scalar::Decimal { precision: 38, scale: number.cast_signed() - 6 }));
        }
    }
}
