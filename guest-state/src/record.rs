//! Records in the form in which a state keeps them, for hosts that keep them in a store of their own.
//!
//! Equal keys have equal bytes whatever order their fields come in. Values have definite lengths and each field once. An
//! update changes the fields that it names.
//!
//! [`StoredState`](crate::StoredState) puts all of them together, over any ordered map of bytes. Use them one by one where a
//! store has columns instead, or an order of its own.
//!
//! ```
//! use guest_abi::key::Key;
//! use guest_abi::storage;
//! use guest_state::record::{Fields, Wanted, key_map};
//!
//! // {"Month": 1, "Year": 2023} in either order is one record.
//! let (one, other) = (b"\xA2\x65Month\x01\x64Year\x19\x07\xE7", b"\xA2\x64Year\x19\x07\xE7\x65Month\x01");
//! let fields = Fields::of(&Key::of_parts(storage::VIEW, "shop.Orders", one)?)?;
//! assert_eq!(fields, Fields::of(&Key::of_parts(storage::VIEW, "shop.Orders", other)?)?);
//!
//! let partial = Key::of_parts(storage::VIEW, "shop.Orders", b"\xA1\x65Month\x01")?;
//! assert!(Wanted::of(&partial)?.matches(&key_map(&fields.bytes, fields.count)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use guest_abi::cbor::encode;
use guest_abi::value::ObjectEncoder;

pub use crate::canonical::{Fields, Wanted, canonical_key, key_map};
pub use crate::merge::{definite, merged};

/// The wire form of a key, whose fields the closure fills. [`Key::parse`](guest_abi::key::Key::parse) reads it.
///
/// ```
/// use guest_abi::key::Key;
/// use guest_state::record::key;
///
/// let bytes = key("sys.View", "shop.Orders", |key| { key.put_i32("Year", 2023); });
/// let key = Key::parse(&bytes)?;
/// assert_eq!((key.storage, key.entity), ("sys.View", "shop.Orders"));
/// # Ok::<(), guest_abi::cbor::WireError>(())
/// ```
#[must_use]
pub fn key(storage: &str, entity: &str, fill: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::element(&mut bytes, storage);
    encode::element(&mut bytes, entity);
    let mut fields = ObjectEncoder::begin(&mut bytes);
    fill(&mut fields);
    fields.end();
    bytes
}

/// The value of a record, whose fields the closure fills: an object of indefinite length. [`definite`] makes it what guests
/// may read.
///
/// ```
/// use guest_abi::value::ValueRef;
/// use guest_state::record::{definite, object};
///
/// let value = object(|value| { value.put_i64("Amount", 400); });
/// assert_eq!(definite(ValueRef::new(&value))?, b"\xA1\x66Amount\x19\x01\x90");
/// # Ok::<(), guest_abi::cbor::WireError>(())
/// ```
#[must_use]
pub fn object(fill: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut fields = ObjectEncoder::begin(&mut bytes);
    fill(&mut fields);
    fields.end();
    bytes
}

/// Whole rows, as many as fit: the answer to a read with a partial key.
///
/// ```
/// use guest_state::record::Page;
///
/// let mut page = Page::new(10);
/// assert!(page.push(b"\xA1\x61n\x01", b"\xA0"), "there is room for more");
/// assert!(!page.push(b"\xA1\x61n\x02", b"\xA0"), "the page is full");
/// assert!(!page.push(b"\xA1\x61n\x03", b"\xA0"), "this one does not fit");
/// assert_eq!(page.rows(), b"\xA1\x61n\x01\xA0\xA1\x61n\x02\xA0");
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    rows: Vec<u8>,
    room: usize,
}

impl Page {
    /// A page with `room` bytes.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self { rows: Vec::new(), room }
    }

    /// Adds a row, its key map and its value, if it fits. The first one is added even if it is larger than the page.
    /// Returns whether there is room for another.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        if !self.rows.is_empty() && self.rows.len() + key.len() + value.len() > self.room {
            return false;
        }
        self.rows.extend_from_slice(key);
        self.rows.extend_from_slice(value);
        self.rows.len() < self.room
    }

    /// The rows, one behind the other.
    #[must_use]
    pub fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// The rows, one behind the other.
    #[must_use]
    pub fn into_rows(self) -> Vec<u8> {
        self.rows
    }

    /// Copies the rows to the start of `out` and returns the number of bytes: 0 without rows. If the only row is larger
    /// than `out`, writes nothing and returns the number of bytes that it needs.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        if let Some(out) = out.get_mut(..self.rows.len()) {
            out.copy_from_slice(&self.rows);
        }
        self.rows.len()
    }
}
