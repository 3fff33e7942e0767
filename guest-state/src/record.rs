//! Records in the form in which a state keeps them, for hosts that keep them in a store of their own.
//!
//! Equal keys have equal bytes whatever order their fields come in. Values have definite lengths and each field once. An
//! update changes the fields that it names.
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

pub use crate::canonical::{Fields, Wanted, key_map};
pub use crate::merge::{definite, merged};
