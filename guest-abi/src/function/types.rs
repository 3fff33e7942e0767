//! The types of parameters and results.

use core::fmt;

/// The kind of a function: one result for each row, one for a group of rows, or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// One result for each row.
    Scalar = 0,
    /// One result for a group of rows.
    Aggregate = 1,
    /// Any number of rows for each call.
    Table = 2,
}

impl Kind {
    /// The kind of this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Scalar),
            1 => Some(Self::Aggregate),
            2 => Some(Self::Table),
            _ => None,
        }
    }

    /// Its name in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "function",
            Self::Aggregate => "aggregate",
            Self::Table => "table function",
        }
    }
}

/// What an aggregate does to its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Operation {
    /// Takes rows into their states.
    Accumulate = 0,
    /// Takes rows out of their states again, for windows that slide.
    Retract = 1,
    /// Takes other states into the states.
    Merge = 2,
    /// Makes the results of the states.
    Evaluate = 3,
}

impl Operation {
    /// The operation of this number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Accumulate),
            1 => Some(Self::Retract),
            2 => Some(Self::Merge),
            3 => Some(Self::Evaluate),
            _ => None,
        }
    }
}

/// How far equal arguments give equal results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[repr(u8)]
pub enum Volatility {
    /// Always. A query engine may compute a call of constants once, when it plans.
    #[default]
    Immutable = 0,
    /// Within one query.
    Stable = 1,
    /// Never.
    Volatile = 2,
}

impl Volatility {
    /// The volatility of this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Immutable),
            1 => Some(Self::Stable),
            2 => Some(Self::Volatile),
            _ => None,
        }
    }

    /// Its name, as SQL writes it in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::Stable => "stable",
            Self::Volatile => "volatile",
        }
    }
}

/// A type that is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scalar {
    /// A truth value.
    Bool,
    /// A signed integer of 32 bits.
    I32,
    /// A signed integer of 64 bits.
    I64,
    /// An unsigned integer of 64 bits.
    U64,
    /// A floating-point number of 32 bits.
    F32,
    /// A floating-point number of 64 bits.
    F64,
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A signed integer of 128 bits that counts units of 10 to the power of minus `scale`.
    Decimal {
        /// Decimal digits, 1 to 38.
        precision: u8,
        /// Digits behind the decimal point: at most `precision`; a negative number counts zeros before it.
        scale: i8,
    },
    /// A value of a type of the guest's own, in CBOR.
    Record,
    /// A document: CBOR of the [value model](crate::value).
    Document,
}

impl Scalar {
    /// Its number in the section.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Bool => 0,
            Self::I32 => 1,
            Self::I64 => 2,
            Self::U64 => 3,
            Self::F32 => 4,
            Self::F64 => 5,
            Self::String => 6,
            Self::Bytes => 7,
            Self::Date => 8,
            Self::Timestamp => 9,
            Self::Decimal { .. } => 10,
            Self::Record => 11,
            Self::Document => 12,
        }
    }

    /// The type of this number. `precision` and `scale` are those of a decimal, and 0 for every other type.
    #[cfg(feature = "alloc")]
    pub(super) const fn from_number(number: u8, precision: u8, scale: i8) -> Option<Self> {
        let found = match number {
            0 => Self::Bool,
            1 => Self::I32,
            2 => Self::I64,
            3 => Self::U64,
            4 => Self::F32,
            5 => Self::F64,
            6 => Self::String,
            7 => Self::Bytes,
            8 => Self::Date,
            9 => Self::Timestamp,
            10 if precision >= 1 && precision <= 38 && scale <= precision.cast_signed() => {
                return Some(Self::Decimal { precision, scale });
            }
            11 => Self::Record,
            12 => Self::Document,
            _ => return None,
        };
        if precision == 0 && scale == 0 { Some(found) } else { None }
    }

    /// Bytes of a value in a column. `None` for types whose values have lengths of their own, and for truth values, which
    /// are bits.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::I32 | Self::F32 | Self::Date => Some(4),
            Self::I64 | Self::U64 | Self::F64 | Self::Timestamp => Some(8),
            Self::Decimal { .. } => Some(16),
            Self::Bool | Self::String | Self::Bytes | Self::Record | Self::Document => None,
        }
    }

    /// Whether values are bytes behind an address, with a length of their own.
    #[must_use]
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::String | Self::Bytes | Self::Record | Self::Document)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision}, {scale})"),
            Self::Record => "record",
            Self::Document => "document",
        })
    }
}

/// The items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Items {
    /// Whether an item may be null.
    pub nullable: bool,
}

/// The type of a parameter or of a result.
///
/// ```
/// use guest_abi::function::{Scalar, Type};
///
/// let ty = Type::of(Scalar::String).list().nullable();
/// assert_eq!(ty.to_string(), "list(string)?");
/// assert!(!ty.is_direct());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Type {
    /// The type of the value, or of a list's items.
    pub scalar: Scalar,
    /// The items, if it is a list.
    pub list: Option<Items>,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Type {
    /// A type that is no list and is never null.
    #[must_use]
    pub const fn of(scalar: Scalar) -> Self {
        Self { scalar, list: None, nullable: false }
    }

    /// The same, or null.
    #[must_use]
    pub const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// A list of it, which is never null itself. A list of lists is not a type: this is then a list of the same items.
    #[must_use]
    pub const fn list(self) -> Self {
        let items = match self.list {
            Some(items) => items,
            None => Items { nullable: self.nullable },
        };
        Self { scalar: self.scalar, list: Some(items), nullable: false }
    }

    /// Whether a result of this type is returned as a number, and not as an address.
    #[must_use]
    pub const fn is_direct(self) -> bool {
        !self.nullable
            && self.list.is_none()
            && !self.scalar.is_bytes()
            && !matches!(self.scalar, Scalar::Decimal { .. })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            None => self.scalar.fmt(f)?,
            Some(Items { nullable }) => write!(f, "list({}{})", self.scalar, if nullable { "?" } else { "" })?,
        }
        f.write_str(if self.nullable { "?" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn numbers_of_kinds_and_volatilities_lead_back() {
        for number in 0..5 {
            assert_eq!(Kind::from_number(number).map(|kind| kind as u8), (number < 3).then_some(number));
            assert_eq!(Volatility::from_number(number).map(|kind| kind as u8), (number < 3).then_some(number));
        }
        for number in -1..5 {
            let is_one = (0..4).contains(&number);
            assert_eq!(Operation::from_number(number).map(|operation| operation as i32), is_one.then_some(number));
        }
    }

    #[test]
    fn types_are_written_as_people_write_them() {
        let decimal = Scalar::Decimal { precision: 38, scale: -2 };
        for (ty, text, direct) in [
            (Type::of(Scalar::I64), "i64", true),
            (Type::of(Scalar::I64).nullable(), "i64?", false),
            (Type::of(decimal), "decimal(38, -2)", false),
            (Type::of(Scalar::String), "string", false),
            (Type::of(Scalar::F64).nullable().list(), "list(f64?)", false),
            (Type::of(Scalar::F64).list().list().nullable(), "list(f64)?", false),
        ] {
            assert_eq!((ty.to_string().as_str(), ty.is_direct()), (text, direct));
        }
    }
}
