//! Keys on the wire: storage, entity and the key's fields.

use minicbor::decode::Decoder;

use crate::value::{Fields, ValueRef};
use crate::wire::{self, WireError};

/// A key, borrowed from its wire form: text storage, text entity, map of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Storage, for instance [`crate::storage::VIEW`].
    pub storage: &'a str,
    /// Entity of the storage; empty where the storage has none.
    pub entity: &'a str,
    fields: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads and checks the key that `decoder` stands before, and moves behind it.
    ///
    /// # Errors
    /// [`WireError`] when there is no valid key.
    pub fn decode(decoder: &mut Decoder<'a>) -> Result<Self, WireError> {
        let storage = wire::text(decoder)?;
        let entity = wire::text(decoder)?;
        let start = decoder.position();
        wire::validate_key_map(decoder)?;
        Ok(Self { storage, entity, fields: &decoder.input()[start..decoder.position()] })
    }

    /// The key that `bytes` hold, all of them.
    ///
    /// # Errors
    /// [`WireError`] when they are no valid key, or more than one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut decoder = Decoder::new(bytes);
        let key = Self::decode(&mut decoder)?;
        match decoder.position() {
            end if end == bytes.len() => Ok(key),
            end => Err(WireError::Malformed { at: end }),
        }
    }

    /// The key of this storage and entity whose fields are the map `fields`.
    ///
    /// # Errors
    /// [`WireError`] when that is no valid map of a key, or more than one.
    pub fn of_parts(storage: &'a str, entity: &'a str, fields: &'a [u8]) -> Result<Self, WireError> {
        let mut decoder = Decoder::new(fields);
        wire::validate_key_map(&mut decoder)?;
        match decoder.position() {
            end if end == fields.len() => Ok(Self { storage, entity, fields }),
            end => Err(WireError::Malformed { at: end }),
        }
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
