//! The fields of objects and the elements of arrays.

use super::{ValueError, ValueRef};
use crate::cbor::WireError;
use crate::cbor::scan::{Members, Unreadable};

/// The elements of an array, in order. See [`ValueRef::items`].
///
/// After an error there are no more. An element is not looked into before it is read: if it is not well-formed, that shows
/// when it is read, or when the next one is asked for.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    members: Members<'a>,
}

impl<'a> Items<'a> {
    pub(super) const fn new(members: Members<'a>) -> Self {
        Self { members }
    }

    /// Number of elements left, if the array states its length.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.members.left()
    }

    /// Position, in bytes from the start of the array, of the next element; or of the last one, once the iterator has
    /// returned one.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.members.position()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<ValueRef<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.members.next_element()?;
        Some(element.map(ValueRef::new).map_err(|Unreadable| fault(&self.members)))
    }
}

/// The fields of an object, in order. See [`ValueRef::fields`]; what [`Items`] says of elements holds for their values.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    members: Members<'a>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(members: Members<'a>) -> Self {
        Self { members }
    }

    /// Number of fields left, if the object states its length.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.members.left()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, ValueRef<'a>), ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.members.next_field()?;
        Some(match field {
            Ok((name, value)) => match core::str::from_utf8(name) {
                Ok(name) => Ok((name, ValueRef::new(value))),
                Err(_) => {
                    self.members.end();
                    Err(WireError::Malformed { at: self.members.position() }.into())
                }
            },
            Err(Unreadable) => Err(fault(&self.members)),
        })
    }
}

/// The first fault in the bytes of the whole array or object.
#[cold]
fn fault(members: &Members<'_>) -> ValueError {
    ValueRef::new(members.bytes()).fault().into()
}
