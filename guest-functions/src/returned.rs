//! Results of typed calls: which types of Rust a result can be taken as, and how it is read and checked.

use guest_abi::column::{self, Column, Encoding};
use guest_abi::function::{Items, RESULT_NULL, Scalar, Type};
use guest_abi::names::unpack;
use guest_host::wasmtime::ValRaw;
use guest_host::{GuestCall, GuestCallError};

use crate::memory::{at, document};
use crate::shape::Number;
use crate::value::{Date, Decimal, Timestamp, Value};

/// A value that the result of a function can be taken as.
///
/// These are `bool`, `i32`, `i64`, `u64`, `f32`, `f64`, `String`, `Vec<u8>`, [`Date`], [`Timestamp`], [`Decimal`],
/// [`DocumentBuf`](crate::DocumentBuf), `Vec` of `i32`, `i64`, `u64`, `f32`, `f64` and `String`, `Option` of all of these, and
/// [`Value`].
pub trait Returned: sealed::Returned {}

impl<R: sealed::Returned> Returned for R {}

pub(crate) mod sealed {
    use super::*;

    pub trait Returned: Sized {
        /// Whether it is a number of which any slot is one, and which.
        const NUMBER: Number = Number::None;

        /// The number in a slot.
        fn of_slot(_slot: ValRaw) -> Option<Self> {
            None
        }

        /// The type's name in errors.
        fn name() -> String;

        /// Whether a result of this type can be taken as this; whether that may be null is not asked.
        fn fits(ty: Type) -> bool;

        /// Null, if the type has it.
        fn null() -> Option<Self> {
            None
        }

        /// Takes a result that is not null.
        fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError>;
    }
}

/// Takes a result; `None` is null.
#[inline]
pub(crate) fn take<R: sealed::Returned>(
    call: &mut GuestCall<'_>,
    ty: Type,
    slot: ValRaw,
) -> Result<Option<R>, GuestCallError> {
    if is_null(ty, slot)? {
        return Ok(R::null());
    }
    R::take(call, ty, slot).map(Some)
}

/// Whether the result is null.
#[inline]
pub(crate) fn is_null(ty: Type, slot: ValRaw) -> Result<bool, GuestCallError> {
    if ty.is_direct() || slot.get_i64() != RESULT_NULL {
        return Ok(false);
    }
    if ty.nullable {
        return Ok(true);
    }
    Err(GuestCallError::invalid(format!("the result is null, and its type is {ty}")))
}

/// The bytes to which a packed result leads.
#[inline]
pub(crate) fn packed<'m>(call: &'m mut GuestCall<'_>, slot: ValRaw) -> Result<&'m [u8], GuestCallError> {
    let (address, length) = unpack(slot.get_i64());
    at(call.memory(), "the result", address as usize, length as usize)
}

/// The number to which a packed result leads.
fn number<const WIDTH: usize>(call: &mut GuestCall<'_>, slot: ValRaw) -> Result<[u8; WIDTH], GuestCallError> {
    let bytes = packed(call, slot)?;
    let found = <[u8; WIDTH]>::try_from(bytes);
    found.map_err(|_| GuestCallError::invalid(format!("the result has {} bytes instead of {WIDTH}", bytes.len())))
}

/// The text of a result.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, GuestCallError> {
    std::str::from_utf8(bytes).map_err(|error| {
        GuestCallError::invalid(format!("the result is not UTF-8 from byte {} on", error.valid_up_to()))
    })
}

macro_rules! numbers {
    ($($ty:ty, $name:literal, $scalar:ident, $direct:expr, $packed:expr;)*) => {$(
        impl sealed::Returned for $ty {
            const NUMBER: Number = Number::$scalar;

            #[inline]
            fn of_slot(slot: ValRaw) -> Option<Self> {
                let direct: fn(ValRaw) -> $ty = $direct;
                Some(direct(slot))
            }

            fn name() -> String {
                $name.to_owned()
            }

            #[inline]
            fn fits(ty: Type) -> bool {
                ty.list.is_none() && ty.scalar == Scalar::$scalar
            }

            #[inline]
            fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
                let direct: fn(ValRaw) -> $ty = $direct;
                if ty.is_direct() {
                    return Ok(direct(slot));
                }
                number(call, slot).map($packed)
            }
        }
    )*};
}

numbers! {
    i32, "i32", I32, |slot| slot.get_i32(), i32::from_le_bytes;
    i64, "i64", I64, |slot| slot.get_i64(), i64::from_le_bytes;
    u64, "u64", U64, |slot| slot.get_u64(), u64::from_le_bytes;
    f32, "f32", F32, |slot| f32::from_bits(slot.get_f32()), f32::from_le_bytes;
    f64, "f64", F64, |slot| f64::from_bits(slot.get_f64()), f64::from_le_bytes;
    Date, "date", Date, |slot| Date { days: slot.get_i32() }, |bytes| Date { days: i32::from_le_bytes(bytes) };
    Timestamp, "timestamp", Timestamp, |slot| Timestamp { microseconds: slot.get_i64() },
        |bytes| Timestamp { microseconds: i64::from_le_bytes(bytes) };
}

impl sealed::Returned for bool {
    fn name() -> String {
        "bool".to_owned()
    }

    #[inline]
    fn fits(ty: Type) -> bool {
        ty.list.is_none() && ty.scalar == Scalar::Bool
    }

    #[inline]
    fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        let found = if ty.is_direct() { slot.get_i32() } else { number::<1>(call, slot)?[0].into() };
        match found {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(GuestCallError::invalid(format!("the result is {other}, and a truth value is 0 or 1"))),
        }
    }
}

impl sealed::Returned for Decimal {
    fn name() -> String {
        "decimal".to_owned()
    }

    fn fits(ty: Type) -> bool {
        ty.list.is_none() && matches!(ty.scalar, Scalar::Decimal { .. })
    }

    fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        let units = i128::from_le_bytes(number(call, slot)?);
        checked_decimal(units, ty.scalar)
    }
}

fn checked_decimal(units: i128, scalar: Scalar) -> Result<Decimal, GuestCallError> {
    match scalar {
        Scalar::Decimal { precision, scale } if (Decimal { units, scale }).has_at_most(precision) => {
            Ok(Decimal { units, scale })
        }
        _ => Err(GuestCallError::invalid(format!("the result has more digits than its type, {scalar}"))),
    }
}

impl sealed::Returned for String {
    fn name() -> String {
        "string".to_owned()
    }

    fn fits(ty: Type) -> bool {
        ty.list.is_none() && ty.scalar == Scalar::String
    }

    #[inline]
    fn take(call: &mut GuestCall<'_>, _ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        text(packed(call, slot)?).map(str::to_owned)
    }
}

impl sealed::Returned for Vec<u8> {
    fn name() -> String {
        "bytes".to_owned()
    }

    fn fits(ty: Type) -> bool {
        ty.list.is_none() && matches!(ty.scalar, Scalar::Bytes | Scalar::Record | Scalar::Document)
    }

    #[inline]
    fn take(call: &mut GuestCall<'_>, _ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        Ok(packed(call, slot)?.to_vec())
    }
}

impl<R: sealed::Returned> sealed::Returned for Option<R> {
    fn name() -> String {
        format!("{}?", R::name())
    }

    fn fits(ty: Type) -> bool {
        R::fits(ty)
    }

    fn null() -> Option<Self> {
        Some(None)
    }

    #[inline]
    fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        R::take(call, ty, slot).map(Some)
    }
}

macro_rules! lists {
    ($($ty:ty, $scalar:ident, $item:pat => $value:expr;)*) => {$(
        impl sealed::Returned for Vec<$ty> {
            fn name() -> String {
                format!("list({})", Scalar::$scalar)
            }

            fn fits(ty: Type) -> bool {
                ty.scalar == Scalar::$scalar && ty.list == Some(Items { nullable: false })
            }

            fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
                let items = items(call, ty.scalar, Items { nullable: false }, slot)?;
                let item = |item| match item {
                    $item => Ok($value),
                    _ => Err(GuestCallError::invalid("an item of the result is of another type")),
                };
                items.into_iter().map(item).collect()
            }
        }
    )*};
}

lists! {
    i32, I32, Value::I32(value) => value;
    i64, I64, Value::I64(value) => value;
    u64, U64, Value::U64(value) => value;
    f32, F32, Value::F32(value) => value;
    f64, F64, Value::F64(value) => value;
    String, String, Value::String(value) => value;
}

impl sealed::Returned for Value {
    fn name() -> String {
        "any value".to_owned()
    }

    fn fits(_ty: Type) -> bool {
        true
    }

    fn null() -> Option<Self> {
        Some(Self::Null)
    }

    fn take(call: &mut GuestCall<'_>, ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        if let Some(of) = ty.list {
            return items(call, ty.scalar, of, slot).map(Self::List);
        }
        Ok(match ty.scalar {
            Scalar::Bool => Self::Bool(sealed::Returned::take(call, ty, slot)?),
            Scalar::I32 => Self::I32(sealed::Returned::take(call, ty, slot)?),
            Scalar::I64 => Self::I64(sealed::Returned::take(call, ty, slot)?),
            Scalar::U64 => Self::U64(sealed::Returned::take(call, ty, slot)?),
            Scalar::F32 => Self::F32(sealed::Returned::take(call, ty, slot)?),
            Scalar::F64 => Self::F64(sealed::Returned::take(call, ty, slot)?),
            Scalar::Date => Self::Date(sealed::Returned::take(call, ty, slot)?),
            Scalar::Timestamp => Self::Timestamp(sealed::Returned::take(call, ty, slot)?),
            Scalar::Decimal { .. } => Self::Decimal(sealed::Returned::take(call, ty, slot)?),
            Scalar::String => Self::String(sealed::Returned::take(call, ty, slot)?),
            Scalar::Bytes => Self::Bytes(packed(call, slot)?.to_vec()),
            Scalar::Record => Self::Record(packed(call, slot)?.to_vec()),
            Scalar::Document => Self::Document(sealed::Returned::take(call, ty, slot)?),
            other => return Err(GuestCallError::invalid(format!("the host does not know the type {other}"))),
        })
    }
}

/// Items that a list may have. A bit of the guest's memory is an item of a list of truth values, and takes the host
/// hundreds of bits.
const MOST_ITEMS: usize = 1 << 20;

/// The items of a list: everything in its column is checked.
fn items(call: &mut GuestCall<'_>, scalar: Scalar, of: Items, slot: ValRaw) -> Result<Vec<Value>, GuestCallError> {
    let (address, _) = unpack(slot.get_i64());
    let memory = call.memory();
    let column = at(memory, "the list's column", address as usize, column::SIZE)?;
    let column = column.first_chunk().map(Column::from_bytes).unwrap_or_default();
    if Encoding::from_number(column.encoding) != Some(Encoding::Plain) {
        return Err(GuestCallError::invalid("the list's column is not a plain one"));
    }
    let (rows, first_bit) = (column.rows as usize, column.first_bit as usize);
    // Before anything goes through the rows: their number is the guest's word.
    if rows > MOST_ITEMS {
        return Err(GuestCallError::invalid(format!("the result has {rows} items, and a list may have {MOST_ITEMS}")));
    }
    if rows == 0 {
        return Ok(Vec::new());
    }
    let bits = |what: &str, address: u32| -> Result<Option<&[u8]>, GuestCallError> {
        if address == 0 {
            return Ok(None);
        }
        at(memory, what, address as usize, (rows + first_bit).div_ceil(8)).map(Some)
    };
    let is_set = |bitmap: &[u8], row: usize| bitmap[(row + first_bit) / 8] >> ((row + first_bit) % 8) & 1 == 1;
    let validity = bits("the list's validity", column.validity)?;
    let is_null = |row: usize| validity.is_some_and(|bitmap| !is_set(bitmap, row));
    if !of.nullable && (0..rows).any(is_null) {
        return Err(GuestCallError::invalid("an item of the result is null, and its type has no nulls"));
    }
    let value = |row: usize, value: Result<Value, GuestCallError>| if is_null(row) { Ok(Value::Null) } else { value };
    if scalar == Scalar::Bool {
        let bitmap = match rows {
            0 => &[][..],
            _ => bits("the list's items", column.values)?.unwrap_or_default(),
        };
        if bitmap.len() * 8 < rows {
            return Err(GuestCallError::invalid("the list has no items"));
        }
        return (0..rows).map(|row| value(row, Ok(Value::Bool(is_set(bitmap, row))))).collect();
    }
    if let Some(width) = scalar.width() {
        let length = rows.saturating_mul(width);
        let values = at(memory, "the list's items", column.values as usize, length)?;
        let item = |(row, bytes): (usize, &[u8])| {
            let found = Value::of_little_endian(bytes, scalar)
                .ok_or_else(|| GuestCallError::invalid(format!("the host does not know the type {scalar}")));
            value(
                row,
                found.and_then(|found| match found {
                    Value::Decimal(decimal) => checked_decimal(decimal.units, scalar).map(Value::Decimal),
                    found => Ok(found),
                }),
            )
        };
        return values.chunks_exact(width).enumerate().map(item).collect();
    }
    let offsets = at(memory, "the list's offsets", column.offsets as usize, (rows + 1).saturating_mul(4))?;
    let offset = |row: usize| {
        offsets.get(row * 4..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| i32::from_le_bytes(*bytes))
    };
    let item = |row: usize| {
        let (start, end) = (offset(row), offset(row + 1));
        let (Ok(from), Ok(length)) = (u32::try_from(start), usize::try_from(i64::from(end) - i64::from(start))) else {
            return Err(GuestCallError::invalid(format!("the offsets of item {row} are {start} and {end}")));
        };
        let address = column.values.checked_add(from);
        let address = address.ok_or_else(|| GuestCallError::invalid(format!("the offset of item {row} is {start}")))?;
        let bytes = at(memory, "an item of the list", address as usize, length)?;
        if is_null(row) {
            return Ok(Value::Null);
        }
        value(
            row,
            Ok(match scalar {
                Scalar::String => Value::String(text(bytes)?.to_owned()),
                Scalar::Record => Value::Record(bytes.to_vec()),
                Scalar::Document => Value::Document(document(bytes)?),
                _ => Value::Bytes(bytes.to_vec()),
            }),
        )
    };
    (0..rows).map(item).collect()
}
