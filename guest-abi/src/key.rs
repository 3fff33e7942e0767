//! Keys on the wire: storage, entity and the key's fields.

use crate::cbor::{Reader, WireError};
use crate::value::{Fields, ValueRef};

/// A key, borrowed from its wire form: text storage, text entity, map of fields.
///
/// ```
/// use guest_abi::key::Key;
/// use guest_abi::storage;
///
/// let key = Key::parse(b"\x68sys.View\x6bshop.Orders\xA1\x62Id\x07")?;
/// assert_eq!((key.storage, key.entity), (storage::VIEW, "shop.Orders"));
/// let (name, value) = key.fields().next().unwrap()?;
/// assert_eq!((name, value.as_i32()?), ("Id", 7));
/// # Ok::<(), guest_abi::value::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Storage, for instance [`crate::storage::VIEW`].
    pub storage: &'a str,
    /// Entity of the storage; empty where the storage has none.
    pub entity: &'a str,
    fields: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads and checks the key at the reader's position, and moves behind it.
    ///
    /// # Errors
    /// [`WireError`] if there is no valid key.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let storage = reader.text()?;
        let entity = reader.text()?;
        Ok(Self { storage, entity, fields: reader.key_map()? })
    }

    /// The key that all of `bytes` are the wire form of.
    ///
    /// # Errors
    /// [`WireError`] if they are no valid key, or more than one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        at_end(&reader)?;
        Ok(key)
    }

    /// The key of this storage and entity whose fields are the map `fields`.
    ///
    /// # Errors
    /// [`WireError`] if `fields` is no valid map of a key, or more than one.
    pub fn of_parts(storage: &'a str, entity: &'a str, fields: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(fields);
        let fields = reader.key_map()?;
        at_end(&reader)?;
        Ok(Self { storage, entity, fields })
    }

    /// A key without an entity and without fields.
    #[must_use]
    pub const fn of_storage(storage: &'a str) -> Self {
        Self { storage, entity: "", fields: &[0xA0] }
    }

    /// The fields as an object.
    #[must_use]
    pub const fn object(&self) -> ValueRef<'a> {
        ValueRef::new(self.fields)
    }

    /// The fields, in the order in which the guest put them.
    ///
    /// # Panics
    /// Never: the map was checked when the key was read.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.object().fields().expect("the map was checked when the key was read")
    }
}

fn at_end(reader: &Reader<'_>) -> Result<(), WireError> {
    if reader.is_at_end() { Ok(()) } else { Err(WireError::Malformed { at: reader.position() }) }
}
