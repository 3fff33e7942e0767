//! The arrays of a batch, as far as functions take them: told apart once, then read by row or placed whole.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowDictionaryKeyType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray, ListArray, StringArray,
    StringViewArray,
};
use arrow_buffer::{ArrowNativeType as _, NullBuffer};
use arrow_schema::{DataType, TimeUnit};
use guest_abi::function::{Scalar, Type};

/// An array, or one value for all rows.
#[derive(Debug, Clone, Copy)]
pub enum Columnar<'a> {
    /// A value for each row.
    Array(&'a dyn Array),
    /// An array of one row, whose value is that of every row.
    Constant(&'a dyn Array),
}

/// The type of Arrow that a result of this type has, and the best one for arguments of this type. A batch does not check that
/// decimals among the arguments have no more digits than their type.
#[must_use]
pub fn data_type(ty: Type) -> DataType {
    let item = match ty.scalar {
        Scalar::Bool => DataType::Boolean,
        Scalar::I32 => DataType::Int32,
        Scalar::I64 => DataType::Int64,
        Scalar::U64 => DataType::UInt64,
        Scalar::F32 => DataType::Float32,
        Scalar::F64 => DataType::Float64,
        Scalar::String => DataType::Utf8,
        Scalar::Date => DataType::Date32,
        Scalar::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Scalar::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        _ => DataType::Binary,
    };
    match ty.list {
        None => item,
        Some(items) => DataType::new_list(item, items.nullable),
    }
}

/// An array whose type was told apart.
pub(super) struct Cells<'a> {
    pub(super) values: Values<'a>,
    pub(super) nulls: Option<&'a NullBuffer>,
}

/// The values of an array.
pub(super) enum Values<'a> {
    /// Numbers of `width` bytes each, one behind the other.
    Fixed {
        bytes: &'a [u8],
        width: usize,
    },
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextViews(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    ByteViews(&'a BinaryViewArray),
    List {
        array: &'a ListArray,
        items: Box<Cells<'a>>,
    },
    Constant(Box<Cells<'a>>),
    Dictionary {
        keys: Keys<'a>,
        values: Box<Cells<'a>>,
    },
}

/// The keys of a dictionary.
pub(super) enum Keys<'a> {
    /// Signed, of 32 bits, as they cross.
    Plain(&'a [i32]),
    /// Of another width.
    Other(Vec<i32>),
}

impl Keys<'_> {
    pub(super) fn as_slice(&self) -> &[i32] {
        match self {
            Self::Plain(keys) => keys,
            Self::Other(keys) => keys,
        }
    }
}

impl<'a> Cells<'a> {
    /// An argument for a parameter of this type; `None` if the parameter does not take it.
    pub(super) fn of(column: Columnar<'a>, ty: Type) -> Option<Self> {
        match column {
            Columnar::Array(array) => Self::of_array(array, ty),
            Columnar::Constant(array) => {
                let inner = Self::of_array(array, ty)?;
                Some(Self { values: Values::Constant(Box::new(inner)), nulls: None })
            }
        }
    }

    fn of_array(array: &'a dyn Array, ty: Type) -> Option<Self> {
        if let DataType::Dictionary(key, _) = array.data_type() {
            return match **key {
                DataType::Int8 => dictionary::<Int8Type>(array, ty),
                DataType::Int16 => dictionary::<Int16Type>(array, ty),
                DataType::Int32 => {
                    let array = array.as_dictionary::<Int32Type>();
                    let values = Box::new(Self::of_array(array.values().as_ref(), ty)?);
                    let keys = Keys::Plain(array.keys().values());
                    Some(Self { values: Values::Dictionary { keys, values }, nulls: array.keys().nulls() })
                }
                DataType::Int64 => dictionary::<Int64Type>(array, ty),
                DataType::UInt8 => dictionary::<UInt8Type>(array, ty),
                DataType::UInt16 => dictionary::<UInt16Type>(array, ty),
                DataType::UInt32 => dictionary::<UInt32Type>(array, ty),
                DataType::UInt64 => dictionary::<UInt64Type>(array, ty),
                _ => None,
            };
        }
        let values = match (ty.list, array.data_type()) {
            (Some(of), DataType::List(_)) => {
                let array: &ListArray = array.as_list();
                let items = Self::of_array(array.values().as_ref(), Type::of(ty.scalar))?;
                // Guests read the items in place, as a slice.
                if matches!(items.values, Values::Dictionary { .. }) {
                    return None;
                }
                let used = array.value_offsets();
                let used =
                    used.first().zip(used.last()).map_or(0..0, |(first, last)| first.as_usize()..last.as_usize());
                let has_null = |nulls: &NullBuffer| nulls.slice(used.start, used.len()).null_count() > 0;
                if !of.nullable && items.nulls.is_some_and(has_null) {
                    return None;
                }
                Values::List { array, items: Box::new(items) }
            }
            (Some(_), _) => return None,
            (None, data_type) => Self::scalar(array, data_type, ty.scalar)?,
        };
        Some(Self { values, nulls: array.nulls() })
    }

    fn scalar(array: &'a dyn Array, data_type: &DataType, scalar: Scalar) -> Option<Values<'a>> {
        let fixed = |bytes: &'a [u8], width| Values::Fixed { bytes, width };
        Some(match (data_type, scalar) {
            (DataType::Boolean, Scalar::Bool) => Values::Bool(array.as_boolean()),
            (DataType::Int32, Scalar::I32) => fixed(array.as_primitive::<Int32Type>().values().inner(), 4),
            (DataType::Int64, Scalar::I64) => fixed(array.as_primitive::<Int64Type>().values().inner(), 8),
            (DataType::UInt64, Scalar::U64) => fixed(array.as_primitive::<UInt64Type>().values().inner(), 8),
            (DataType::Float32, Scalar::F32) => fixed(array.as_primitive::<Float32Type>().values().inner(), 4),
            (DataType::Float64, Scalar::F64) => fixed(array.as_primitive::<Float64Type>().values().inner(), 8),
            (DataType::Date32, Scalar::Date) => fixed(array.as_primitive::<Date32Type>().values().inner(), 4),
            (DataType::Timestamp(TimeUnit::Microsecond, _), Scalar::Timestamp) => {
                fixed(array.as_primitive::<TimestampMicrosecondType>().values().inner(), 8)
            }
            (DataType::Decimal128(precision, scale), Scalar::Decimal { precision: most, scale: same })
                if *precision <= most && *scale == same =>
            {
                fixed(array.as_primitive::<Decimal128Type>().values().inner(), 16)
            }
            (DataType::Utf8, Scalar::String) => Values::Text(array.as_string()),
            (DataType::LargeUtf8, Scalar::String) => Values::LargeText(array.as_string()),
            (DataType::Utf8View, Scalar::String) => Values::TextViews(array.as_string_view()),
            (DataType::Binary, Scalar::Bytes | Scalar::Record | Scalar::Document) => Values::Bytes(array.as_binary()),
            (DataType::LargeBinary, Scalar::Bytes | Scalar::Record | Scalar::Document) => {
                Values::LargeBytes(array.as_binary())
            }
            (DataType::BinaryView, Scalar::Bytes | Scalar::Record | Scalar::Document) => {
                Values::ByteViews(array.as_binary_view())
            }
            _ => return None,
        })
    }

    /// The value of a row: where it is, and in which row there. `None` is null.
    pub(super) fn locate(&self, row: usize) -> Option<(&Self, usize)> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        match &self.values {
            Values::Constant(inner) => inner.locate(0),
            Values::Dictionary { keys, values } => values.locate(usize::try_from(*keys.as_slice().get(row)?).ok()?),
            _ => Some((self, row)),
        }
    }

    /// Whether a row may be null.
    pub(super) fn may_be_null(&self) -> bool {
        self.nulls.is_some_and(|nulls| nulls.null_count() > 0)
            || match &self.values {
                Values::Constant(inner) | Values::Dictionary { values: inner, .. } => inner.may_be_null(),
                _ => false,
            }
    }

    /// The bytes of a string or of bytes in a row.
    pub(super) fn bytes(&self, row: usize) -> Option<&[u8]> {
        Some(match &self.values {
            Values::Text(array) => array.value(row).as_bytes(),
            Values::LargeText(array) => array.value(row).as_bytes(),
            Values::TextViews(array) => array.value(row).as_bytes(),
            Values::Bytes(array) => array.value(row),
            Values::LargeBytes(array) => array.value(row),
            Values::ByteViews(array) => array.value(row),
            _ => return None,
        })
    }
}

fn dictionary<'a, K: ArrowDictionaryKeyType>(array: &'a dyn Array, ty: Type) -> Option<Cells<'a>> {
    let array = array.as_dictionary_opt::<K>()?;
    let values = Cells::of_array(array.values().as_ref(), ty)?;
    // The key of a null row may be anything.
    let key = |key: &K::Native| key.to_usize().and_then(|key| i32::try_from(key).ok()).unwrap_or(0);
    let keys = Keys::Other(array.keys().values().iter().map(key).collect());
    Some(Cells { values: Values::Dictionary { keys, values: Box::new(values) }, nulls: array.keys().nulls() })
}
