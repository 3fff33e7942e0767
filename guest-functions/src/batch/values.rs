//! Single values as arrays, and the values of an array: for callers whose types are known at run time only.

use arrow_array::{Array, ArrayRef};
use guest_abi::document::DocumentBuf;
use guest_abi::function::{Scalar, Type};

use super::cells::{Cells, Columnar, Values};
use super::collect::Collected;
use crate::argument::sealed::Argument as _;
use crate::value::{Date, Decimal, Timestamp, Value};

/// An array of these values, as an argument of this type. `None` if one of them is not of the type.
///
/// ```
/// use guest_functions::{Scalar, Type, Value, array_of, value_at};
///
/// let ty = Type::of(Scalar::I64).nullable();
/// let array = array_of(ty, &[Value::I64(7), Value::Null]).expect("they are of the type");
/// assert_eq!(value_at(&array, ty, 0), Some(Value::I64(7)));
/// assert_eq!(value_at(&array, ty, 1), Some(Value::Null));
/// assert!(array_of(ty, &[Value::Bool(true)]).is_none());
/// ```
#[must_use]
pub fn array_of(ty: Type, values: &[Value]) -> Option<ArrayRef> {
    let mut array = Collected::new(ty, values.len(), true);
    for value in values {
        if !(*value == Value::Null || value.fits(ty)) {
            return None;
        }
        array.push(value).ok()?;
    }
    array.finish().ok()
}

/// The value in a row of an array, as one of this type. `None` if the array is not of the type, or has no such row.
#[must_use]
pub fn value_at(array: &dyn Array, ty: Type, row: usize) -> Option<Value> {
    let cells = Cells::of(Columnar::Array(array), ty)?;
    (row < array.len()).then(|| cells.value(ty, row)).flatten()
}

impl Cells<'_> {
    fn value(&self, ty: Type, row: usize) -> Option<Value> {
        let Some((cells, row)) = self.locate(row) else {
            return Some(Value::Null);
        };
        if ty.list.is_some() {
            let Values::List { array, items } = &cells.values else { return None };
            let offsets = array.value_offsets();
            let range = usize::try_from(offsets[row]).ok()?..usize::try_from(offsets[row + 1]).ok()?;
            let item = Type::of(ty.scalar);
            return range.map(|at| items.value(item, at)).collect::<Option<_>>().map(Value::List);
        }
        let bytes = || cells.bytes(row).map(<[u8]>::to_vec);
        match ty.scalar {
            Scalar::Bool => match &cells.values {
                Values::Bool(array) => Some(Value::Bool(array.value(row))),
                _ => None,
            },
            Scalar::String => String::from_utf8(bytes()?).ok().map(Value::String),
            Scalar::Bytes => bytes().map(Value::Bytes),
            Scalar::Record => bytes().map(Value::Record),
            Scalar::Document => DocumentBuf::from_bytes(bytes()?).ok().map(Value::Document),
            scalar => {
                let Values::Fixed { bytes, width } = &cells.values else { return None };
                number(scalar, bytes.get(row * width..(row + 1) * width)?)
            }
        }
    }
}

/// The number of these little-endian bytes.
fn number(scalar: Scalar, bytes: &[u8]) -> Option<Value> {
    let four = || bytes.try_into().ok().map(i32::from_le_bytes);
    let eight = || bytes.try_into().ok().map(i64::from_le_bytes);
    Some(match scalar {
        Scalar::I32 => Value::I32(four()?),
        Scalar::F32 => Value::F32(f32::from_bits(four()?.cast_unsigned())),
        Scalar::Date => Value::Date(Date { days: four()? }),
        Scalar::I64 => Value::I64(eight()?),
        Scalar::U64 => Value::U64(eight()?.cast_unsigned()),
        Scalar::F64 => Value::F64(f64::from_bits(eight()?.cast_unsigned())),
        Scalar::Timestamp => Value::Timestamp(Timestamp { microseconds: eight()? }),
        Scalar::Decimal { scale, .. } => {
            Value::Decimal(Decimal { units: bytes.try_into().ok().map(i128::from_le_bytes)?, scale })
        }
        _ => return None,
    })
}
