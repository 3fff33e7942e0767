//! The items of a document: values with a type, read in place.

use super::walk;
use crate::cbor::major::{ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED};
use crate::cbor::scan::{self, Unreadable};
use crate::cbor::{EMBEDDED_TAG, Head, WireError, beyond};
use crate::value::{Kind, ValueError, exact_float, exact_size};

pub(super) const FALSE: u8 = 0xF4;
pub(super) const TRUE: u8 = 0xF5;
pub(super) const NULL: u8 = 0xF6;
pub(super) const F64: u8 = 0xFB;

/// An item of a document that is not null.
///
/// Nothing is checked before it is read: each method reports bytes that are not an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    bytes: &'a [u8],
}

impl<'a> Item<'a> {
    /// The item that `bytes` begin with. `None` if it is null.
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.first() == Some(&NULL) { None } else { Some(Self { bytes }) }
    }

    /// The fields of a document, or what is in an object or a list.
    #[inline]
    pub(super) const fn of_map(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes from the item on; others may follow.
    #[cfg(feature = "alloc")]
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The type of the item: [`Kind::Integer`], [`Kind::Float64`], [`Kind::Text`], [`Kind::Bool`], [`Kind::Object`] or
    /// [`Kind::Array`].
    ///
    /// # Errors
    /// [`ValueError::Malformed`] if it is none of a document's.
    pub fn kind(self) -> Result<Kind, ValueError> {
        let initial = *self.bytes.first().ok_or(WireError::Truncated)?;
        Ok(match (initial >> 5, initial) {
            (UNSIGNED | NEGATIVE, _) if initial & 0x1F < 28 => Kind::Integer,
            (TEXT, _) if initial & 0x1F < 28 => Kind::Text,
            (_, FALSE | TRUE) => Kind::Bool,
            (_, F64) => Kind::Float64,
            (MAP, _) => Kind::Object,
            (ARRAY, _) => Kind::Array,
            (TAG, _) => match embedded(self.bytes).and_then(<[u8]>::first).map(|initial| initial >> 5) {
                Some(MAP) => Kind::Object,
                Some(ARRAY) => Kind::Array,
                _ => return Err(WireError::Unsupported { at: 0 }.into()),
            },
            _ => return Err(beyond(initial, 0).into()),
        })
    }

    /// Why the item cannot be read as `asked`, which is what items of the kind `wanted` can be read as.
    #[cold]
    fn unreadable(self, asked: &'static str, wanted: Kind) -> ValueError {
        match self.kind() {
            Ok(found) if found == Kind::Integer && found == wanted => ValueError::OutOfRange { asked, found },
            Ok(found) if found == wanted => WireError::Malformed { at: 0 }.into(),
            Ok(found) => ValueError::WrongType { asked, found },
            Err(error) => error,
        }
    }

    /// The item as text.
    ///
    /// # Errors
    /// [`ValueError`] unless it is text.
    #[inline]
    pub fn as_str(self) -> Result<&'a str, ValueError> {
        scan::text(self.bytes).ok_or_else(|| self.unreadable("string", Kind::Text))
    }

    /// The item as a truth value.
    ///
    /// # Errors
    /// [`ValueError`] unless it is one.
    #[inline]
    pub fn as_bool(self) -> Result<bool, ValueError> {
        match self.bytes.first() {
            Some(&FALSE) => Ok(false),
            Some(&TRUE) => Ok(true),
            _ => Err(self.unreadable("bool", Kind::Bool)),
        }
    }

    /// The item as `i64`. A number with a fraction or an exponent is no integer.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an integer that `i64` holds.
    #[inline]
    pub fn as_i64(self) -> Result<i64, ValueError> {
        scan::integer(self.bytes).ok_or_else(|| self.unreadable("i64", Kind::Integer))
    }

    /// The item as `u64`. A number with a fraction or an exponent is no integer.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an integer that `u64` holds.
    #[inline]
    pub fn as_u64(self) -> Result<u64, ValueError> {
        let small = scan::integer(self.bytes).and_then(|value| u64::try_from(value).ok());
        small.or_else(|| self.large()).ok_or_else(|| self.unreadable("u64", Kind::Integer))
    }

    /// An integer above those of `i64`.
    fn large(self) -> Option<u64> {
        match self.bytes.split_first() {
            Some((0x1B, rest)) => rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
            _ => None,
        }
    }

    /// The item as `f64`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a number; [`ValueError::OutOfRange`] for an integer that `f64` does not hold exactly, as
    /// some beyond 2^53.
    #[inline]
    pub fn as_f64(self) -> Result<f64, ValueError> {
        match self.bytes.split_first() {
            Some((&F64, rest)) => {
                let bytes = rest.first_chunk().ok_or(WireError::Truncated)?;
                Ok(f64::from_be_bytes(*bytes))
            }
            _ => self.integer_as_f64(),
        }
    }

    fn integer_as_f64(self) -> Result<f64, ValueError> {
        let exact = match scan::integer(self.bytes) {
            Some(value) => exact_float(value, 53),
            None => self.large().and_then(|value| exact_size(value, 53)),
        };
        exact.ok_or_else(|| match self.kind() {
            Ok(Kind::Integer) => ValueError::OutOfRange { asked: "f64", found: Kind::Integer },
            _ => self.unreadable("f64", Kind::Float64),
        })
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a list.
    pub fn as_list(self) -> Result<Items<'a>, ValueError> {
        let members = scan::Members::of_array(contents(self.bytes)).and_then(definite);
        let members = members.map_err(|Unreadable| self.unreadable("list", Kind::Array))?;
        Ok(Items { members })
    }

    /// The members of an object.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an object.
    pub fn as_object(self) -> Result<Members<'a>, ValueError> {
        let members = walk::Members::of(contents(self.bytes));
        let members = members.map_err(|Unreadable| self.unreadable("object", Kind::Object))?;
        Ok(Members { members })
    }
}

fn definite(members: scan::Members<'_>) -> Result<scan::Members<'_>, Unreadable> {
    if members.left().is_some() { Ok(members) } else { Err(Unreadable) }
}

/// What the byte string behind tag 24 holds, if `bytes` begin with that.
#[inline]
pub(super) fn embedded(bytes: &[u8]) -> Option<&[u8]> {
    // Most objects and lists, without a call.
    if let [0xD8, 24, 0x58, length, ref content @ ..] = *bytes {
        return content.get(..usize::from(length));
    }
    let tag = Head::read(bytes, 0)?;
    if (tag.major, tag.argument) != (TAG, EMBEDDED_TAG) {
        return None;
    }
    let content = Head::read(bytes, tag.behind)?;
    if content.major != BYTES {
        return None;
    }
    bytes.get(content.behind..)?.get(..content.argument)
}

/// The map or the array of an object, of a list or of a document's fields.
#[inline]
pub(super) fn contents(bytes: &[u8]) -> &[u8] {
    embedded(bytes).unwrap_or(bytes)
}

/// The elements of a list, in order; `None` is null. After an error there are no more.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    members: scan::Members<'a>,
}

impl Items<'_> {
    /// Number of elements left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.members.left().unwrap_or_default()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Option<Item<'a>>, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let element = self.members.next_element()?;
        Some(element.map(Item::of).map_err(|Unreadable| WireError::Malformed { at: 0 }.into()))
    }
}

/// The members of an object, in order: names and items; `None` is null. After an error there are no more.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    members: walk::Members<'a>,
}

impl Members<'_> {
    /// Number of members left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.members.count as u64
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a str, Option<Item<'a>>), ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.members.next().ok().map(|member| {
            let (name, value) = member?;
            Some(core::str::from_utf8(name).map(|name| (name, Item::of(value))))
        });
        match member {
            Some(member) => member.map(|member| member.map_err(|_| WireError::Malformed { at: 0 }.into())),
            None => {
                self.members.count = 0;
                Some(Err(WireError::Malformed { at: 0 }.into()))
            }
        }
    }
}
