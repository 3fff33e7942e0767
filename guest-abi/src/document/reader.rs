//! A document, read in place.

use core::fmt;

use super::item::{F64, Item, Items, contents};
use super::path::{AsPath, PathError};
use super::walk::{NOWHERE, UNREADABLE, walk};
use crate::cbor::major::{ARRAY, MAP, TEXT};
use crate::cbor::{Head, WireError, beyond};
use crate::value::ValueError;

/// A document, borrowed from its bytes. See the [module](super) for what they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Document<'a> {
    id: &'a str,
    score: f64,
    bytes: &'a [u8],
    /// The map, and nothing behind it that matters.
    fields: &'a [u8],
}

/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError<'p> {
    /// The path is not well-formed.
    Path {
        /// The path.
        path: &'p str,
        /// Its fault.
        error: PathError,
    },
    /// The path leads to something that cannot be read as asked.
    Value {
        /// The path.
        path: &'p str,
        /// The reason.
        error: ValueError,
    },
}

impl fmt::Display for FieldError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, error } => write!(f, "the path `{path}`: {error}"),
            Self::Value { path, error } => write!(f, "field `{path}`: {error}"),
        }
    }
}

impl core::error::Error for FieldError<'_> {}

/// Bytes before the id.
pub(super) const ID: usize = 1 + 9;

/// First byte of a document: an array of three.
pub(super) const BEGIN: u8 = ARRAY << 5 | 3;

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $read:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// `None` if the path leads to nothing or to null.
        ///
        /// # Errors
        /// [`FieldError`] if the item is not of that type, or the path or the document is not well-formed.
        #[inline]
        pub fn $name<'p>(&self, path: impl AsPath<'p>) -> Result<Option<$type>, FieldError<'p>> {
            match self.get(path)? {
                Some(item) => match item.$read() {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => Err(FieldError::Value { path: path.text(), error }),
                },
                None => Ok(None),
            }
        }
    )+};
}

impl<'a> Document<'a> {
    /// The document of these bytes. Id and score are checked; a field is when it is read.
    ///
    /// # Errors
    /// [`WireError`] if they do not begin as a document does.
    pub fn new(bytes: &'a [u8]) -> Result<Self, WireError> {
        let malformed = |at: usize| match bytes.get(at) {
            Some(initial) => Err(beyond(*initial, at)),
            None => Err(WireError::Truncated),
        };
        let (Some(&BEGIN), Some(&F64)) = (bytes.first(), bytes.get(1)) else {
            return malformed(usize::from(bytes.first() == Some(&BEGIN)));
        };
        let score = bytes.get(2..).and_then(|rest| rest.first_chunk()).ok_or(WireError::Truncated)?;
        let id = match Head::read(bytes, ID) {
            Some(head) if head.major == TEXT => head,
            _ => return malformed(ID),
        };
        let (id, fields) =
            bytes.get(id.behind..).and_then(|rest| rest.split_at_checked(id.argument)).ok_or(WireError::Truncated)?;
        let at = bytes.len() - fields.len();
        let id = core::str::from_utf8(id).map_err(|_| WireError::Malformed { at: ID })?;
        match Head::read(fields, 0) {
            Some(head) if head.major == MAP => Ok(Self { id, score: f64::from_be_bytes(*score), bytes, fields }),
            _ => malformed(at),
        }
    }

    /// A document without an id, a score and fields, whose bytes these are.
    #[cfg(feature = "alloc")]
    pub(super) const fn empty(bytes: &'a [u8]) -> Self {
        Self { id: "", score: 0.0, bytes, fields: bytes.split_at(bytes.len() - 1).1 }
    }

    /// Its id; empty if it has none.
    #[must_use]
    #[inline]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// Its score; 0 if it has none.
    #[must_use]
    #[inline]
    pub const fn score(&self) -> f64 {
        self.score
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its fields, as an object.
    #[must_use]
    #[inline]
    pub const fn fields(&self) -> Item<'a> {
        Item::of_map(self.fields)
    }

    /// The bytes from the item on to which the path leads, if it leads to one.
    #[inline]
    fn find<'p>(&self, path: impl AsPath<'p>) -> Result<Option<&'a [u8]>, FieldError<'p>> {
        let malformed = |error| FieldError::Path { path: path.text(), error };
        let mut steps = path.steps();
        let mut found = self.fields;
        while let Some(step) = steps.next() {
            let step = step.map_err(malformed)?;
            let container = contents(found);
            match walk(container, &step) {
                NOWHERE => {
                    // That the rest of the path is not well-formed must not depend on the document.
                    return steps.try_for_each(|step| step.map(drop)).map_err(malformed).map(|()| None);
                }
                UNREADABLE => {
                    let error = WireError::Malformed { at: self.bytes.len() - self.fields.len() }.into();
                    return Err(FieldError::Value { path: path.text(), error });
                }
                at => found = container.get(at..).unwrap_or_default(),
            }
        }
        Ok(Some(found))
    }

    /// The item to which the path leads.
    ///
    /// `None` if the path leads to nothing or to null.
    ///
    /// # Errors
    /// [`FieldError`] if the path or the document is not well-formed.
    #[inline]
    pub fn get<'p>(&self, path: impl AsPath<'p>) -> Result<Option<Item<'a>>, FieldError<'p>> {
        Ok(self.find(path)?.and_then(Item::of))
    }

    /// Whether the path leads to an item, which may be null.
    ///
    /// # Errors
    /// [`FieldError`] if the path or the document is not well-formed.
    #[inline]
    pub fn exists<'p>(&self, path: impl AsPath<'p>) -> Result<bool, FieldError<'p>> {
        Ok(self.find(path)?.is_some())
    }

    getters! {
        /// The text to which the path leads.
        get_str: &'a str = as_str;
        /// The truth value to which the path leads.
        get_bool: bool = as_bool;
        /// The integer to which the path leads, see [`Item::as_i64`].
        get_i64: i64 = as_i64;
        /// The integer to which the path leads, see [`Item::as_u64`].
        get_u64: u64 = as_u64;
        /// The number to which the path leads, see [`Item::as_f64`].
        get_f64: f64 = as_f64;
        /// The elements of the list to which the path leads.
        get_list: Items<'a> = as_list;
    }

    /// The number of elements of the list to which the path leads.
    ///
    /// `None` if the path leads to nothing or to null.
    ///
    /// # Errors
    /// [`FieldError`] if the item is not a list, or the path or the document is not well-formed.
    #[inline]
    pub fn get_list_len<'p>(&self, path: impl AsPath<'p>) -> Result<Option<u64>, FieldError<'p>> {
        Ok(self.get_list(path)?.map(|items| items.left()))
    }
}
