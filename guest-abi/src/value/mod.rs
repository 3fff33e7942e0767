//! The value model: views that read it in place and writers that encode it in place.
//!
//! A [`ValueRef`] borrows the bytes of one CBOR item and decodes on demand. [`ObjectEncoder`] and [`ArrayEncoder`] append to
//! any [`Sink`](crate::cbor::encode::Sink).

mod encoders;
mod members;

use crate::cbor::major::{ARRAY, BYTES, MAP, NEGATIVE, SIMPLE, TAG, TEXT, UNSIGNED};
use crate::cbor::scan::{self, Members};
use crate::cbor::{INDEFINITE, QNAME_TAG, Reader, WireError, beyond, fits_i64, skip};

pub use encoders::{ArrayEncoder, ObjectEncoder};
pub use members::{Fields, Items};

/// A qualified name: an entity of a package.
///
/// ```
/// use guest_abi::value::QName;
///
/// assert_eq!(QName { package: "shop", entity: "Order" }.to_string(), "shop.Order");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QName<'a> {
    /// Package, for example `sys`.
    pub package: &'a str,
    /// Entity of the package.
    pub entity: &'a str,
}

impl core::fmt::Display for QName<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.package, self.entity)
    }
}

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Signed integer of up to 64 bits.
    Integer,
    /// Float of 32 bits.
    Float32,
    /// Float of 64 bits.
    Float64,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// Truth value.
    Bool,
    /// Qualified name, a [`QName`].
    QName,
    /// Named fields.
    Object,
    /// Values in order.
    Array,
}

impl Kind {
    /// The word for it in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float32 => "f32",
            Self::Float64 => "f64",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::QName => "qualified name",
            Self::Object => "object",
            Self::Array => "array",
        }
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Reason why a value cannot be read as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// Value of another kind.
    WrongType {
        /// Type that was asked for.
        asked: &'static str,
        /// Kind of the value.
        found: Kind,
    },
    /// Integer that the type asked for cannot hold exactly, or float beyond its range.
    OutOfRange {
        /// Type that was asked for.
        asked: &'static str,
        /// Kind of the value.
        found: Kind,
    },
    /// Bytes that are not a value of the model.
    Malformed(WireError),
}

impl From<WireError> for ValueError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

impl core::fmt::Display for ValueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::WrongType { asked, found } => write!(f, "asked for {asked}, found {found}"),
            Self::OutOfRange { asked, found } => {
                write!(f, "the {found} does not fit {asked} exactly")
            }
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ValueError {}

/// A value, borrowed from the bytes that encode it.
///
/// ```
/// use guest_abi::value::{Kind, ObjectEncoder, ValueRef};
///
/// let mut bytes = Vec::new();
/// let mut object = ObjectEncoder::begin(&mut bytes);
/// object.put_i32("Year", 2023).put_str("Name", "Ulm");
/// object.end();
///
/// let value = ValueRef::new(&bytes);
/// assert_eq!(value.kind()?, Kind::Object);
/// assert_eq!(value.field("Year")?.unwrap().as_i64()?, 2023);
/// assert_eq!(value.field("absent")?, None);
/// # Ok::<(), guest_abi::value::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a> {
    bytes: &'a [u8],
}

impl<'a> ValueRef<'a> {
    /// The value at the start of `bytes`. Bytes that follow it are ignored.
    ///
    /// Nothing is checked yet: each reading method reports bytes that are not a value.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes from the start of the encoding on; more may follow the value.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Exactly the bytes of this value.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] if they are not well-formed.
    pub fn exact_bytes(self) -> Result<&'a [u8], ValueError> {
        let end = skip(self.bytes, 0)?;
        Ok(self.bytes.get(..end).unwrap_or_default())
    }

    /// Kind of the value, by its first bytes.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] if it has none of the model's.
    pub fn kind(self) -> Result<Kind, ValueError> {
        let initial = *self.bytes.first().ok_or(WireError::Truncated)?;
        Ok(match (initial >> 5, initial & 0x1F) {
            (UNSIGNED | NEGATIVE, 0..27) => Kind::Integer,
            (UNSIGNED | NEGATIVE, 27) if self.bytes.len() < 2 => return Err(WireError::Truncated.into()),
            (UNSIGNED | NEGATIVE, 27) if fits_i64(self.bytes, 0) => Kind::Integer,
            (BYTES, 0..=27) => Kind::Bytes,
            (TEXT, 0..=27) => Kind::Text,
            (ARRAY, 0..=27 | INDEFINITE) => Kind::Array,
            (MAP, 0..=27 | INDEFINITE) => Kind::Object,
            (TAG, 0..=27) => Kind::QName,
            (SIMPLE, 20 | 21) => Kind::Bool,
            (SIMPLE, 26) => Kind::Float32,
            (SIMPLE, 27) => Kind::Float64,
            _ => return Err(beyond(initial, 0).into()),
        })
    }

    /// Why the value cannot be read as `asked`, which is what values of the kind `wanted` can be read as.
    #[cold]
    fn unreadable(self, asked: &'static str, wanted: Kind) -> ValueError {
        match self.kind() {
            Ok(found) if found == wanted => self.fault().into(),
            Ok(found) => ValueError::WrongType { asked, found },
            Err(error) => error,
        }
    }

    /// The fault in bytes that could not be read, although their kind is right.
    fn fault(self) -> WireError {
        // Bytes that are valid could have been read.
        Reader::new(self.bytes).value().err().unwrap_or(WireError::Malformed { at: 0 })
    }

    /// The value as `i32`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a number that `i32` holds exactly.
    pub fn as_i32(self) -> Result<i32, ValueError> {
        let value = self.integer("i32")?;
        i32::try_from(value).map_err(|_| ValueError::OutOfRange { asked: "i32", found: Kind::Integer })
    }

    /// The value as `i64`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a number that `i64` holds exactly.
    pub fn as_i64(self) -> Result<i64, ValueError> {
        self.integer("i64")
    }

    fn integer(self, asked: &'static str) -> Result<i64, ValueError> {
        scan::integer(self.bytes).ok_or_else(|| self.unreadable(asked, Kind::Integer))
    }

    /// The value as `f32`. A 64-bit float gives the nearest value; infinities and NaN stay what they are.
    ///
    /// ```
    /// use guest_abi::value::{ObjectEncoder, ValueRef};
    ///
    /// let mut bytes = Vec::new();
    /// let mut object = ObjectEncoder::begin(&mut bytes);
    /// object.put_f64("Price", 1.1).put_f64("Mass", 1e39);
    /// object.end();
    ///
    /// let value = ValueRef::new(&bytes);
    /// assert_eq!(value.field("Price")?.unwrap().as_f32()?, 1.1);
    /// assert!(value.field("Mass")?.unwrap().as_f32().is_err());
    /// # Ok::<(), guest_abi::value::ValueError>(())
    /// ```
    ///
    /// # Errors
    /// [`ValueError`] unless it is an integer that `f32` holds exactly, or a float that is not beyond the range of `f32`.
    #[expect(clippy::cast_possible_truncation, reason = "the nearest float is wanted, and integers are checked")]
    pub fn as_f32(self) -> Result<f32, ValueError> {
        match self.kind()? {
            Kind::Float32 => self.fixed().map(f32::from_be_bytes),
            Kind::Float64 => {
                let value = self.fixed().map(f64::from_be_bytes)?;
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    Err(ValueError::OutOfRange { asked: "f32", found: Kind::Float64 })
                } else {
                    Ok(narrow)
                }
            }
            Kind::Integer => {
                let value = self.integer("f32")?;
                exact_float(value, 24)
                    .map(|value| value as f32)
                    .ok_or(ValueError::OutOfRange { asked: "f32", found: Kind::Integer })
            }
            found => Err(ValueError::WrongType { asked: "f32", found }),
        }
    }

    /// The value as `f64`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a float, or an integer that `f64` holds exactly.
    pub fn as_f64(self) -> Result<f64, ValueError> {
        match self.kind()? {
            Kind::Float32 => self.fixed().map(f32::from_be_bytes).map(f64::from),
            Kind::Float64 => self.fixed().map(f64::from_be_bytes),
            Kind::Integer => exact_float(self.integer("f64")?, 53)
                .ok_or(ValueError::OutOfRange { asked: "f64", found: Kind::Integer }),
            found => Err(ValueError::WrongType { asked: "f64", found }),
        }
    }

    /// The bytes behind the first one.
    fn fixed<const N: usize>(self) -> Result<[u8; N], ValueError> {
        let bytes = self.bytes.get(1..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(ValueError::Malformed(WireError::Truncated))
    }

    /// The value as text.
    ///
    /// # Errors
    /// [`ValueError`] unless it is text.
    pub fn as_str(self) -> Result<&'a str, ValueError> {
        scan::text(self.bytes).ok_or_else(|| self.unreadable("string", Kind::Text))
    }

    /// The value as bytes.
    ///
    /// # Errors
    /// [`ValueError`] unless it is bytes.
    pub fn as_bytes(self) -> Result<&'a [u8], ValueError> {
        scan::bytes(self.bytes).ok_or_else(|| self.unreadable("bytes", Kind::Bytes))
    }

    /// The value as a truth value.
    ///
    /// # Errors
    /// [`ValueError`] unless it is one.
    pub fn as_bool(self) -> Result<bool, ValueError> {
        match self.bytes.first() {
            Some(0xF4) => Ok(false),
            Some(0xF5) => Ok(true),
            _ => Err(self.unreadable("bool", Kind::Bool)),
        }
    }

    /// The value as a qualified name.
    ///
    /// # Errors
    /// [`ValueError`] unless it is one.
    pub fn as_qname(self) -> Result<QName<'a>, ValueError> {
        let mut reader = Reader::new(self.bytes);
        match reader.head() {
            Ok(head) if head.major != TAG => return Err(self.unreadable("qualified name", Kind::QName)),
            Ok(head) if head.argument == usize::from(QNAME_TAG) => {}
            Ok(_) => return Err(WireError::Unsupported { at: 0 }.into()),
            Err(_) => return Err(self.unreadable("qualified name", Kind::QName)),
        }
        let array = reader.head()?;
        if (array.major, array.argument) != (ARRAY, 2) {
            return Err(WireError::Unsupported { at: 0 }.into());
        }
        Ok(QName { package: reader.text()?, entity: reader.text()? })
    }

    /// The fields of an object, in the order in which they were written.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an object.
    pub fn fields(self) -> Result<Fields<'a>, ValueError> {
        match Members::of_object(self.bytes) {
            Ok(members) => Ok(Fields::new(members)),
            Err(_) => Err(self.unreadable("object", Kind::Object)),
        }
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an array.
    pub fn items(self) -> Result<Items<'a>, ValueError> {
        match Members::of_array(self.bytes) {
            Ok(members) => Ok(Items::new(members)),
            Err(_) => Err(self.unreadable("array", Kind::Array)),
        }
    }

    /// The field of an object with this name, if it has one. A name that was written twice means its first value.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an object.
    pub fn field(self, name: &str) -> Result<Option<ValueRef<'a>>, ValueError> {
        match scan::field(self.bytes, name) {
            Ok(found) => Ok(found.map(ValueRef::new)),
            Err(_) => Err(self.unreadable("object", Kind::Object)),
        }
    }
}

/// `value` as a float if its significant bits fit `precision`.
pub(crate) fn exact_float(value: i64, precision: u32) -> Option<f64> {
    let size = exact_size(value.unsigned_abs(), precision)?;
    Some(if value < 0 { -size } else { size })
}

/// The same of a number without a sign.
pub(crate) fn exact_size(magnitude: u64, precision: u32) -> Option<f64> {
    if magnitude == 0 {
        return Some(0.0);
    }
    let significant = 64 - magnitude.leading_zeros() - magnitude.trailing_zeros();
    #[expect(clippy::cast_precision_loss, reason = "checked: the significant bits fit")]
    (significant <= precision).then_some(magnitude as f64)
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
