//! CBOR as the contract uses it. Nothing else in this project reads or writes CBOR bytes.
//!
//! - [`Reader`] checks bytes from the other side item by item and accepts exactly the value model.
//! - [`scan`] finds fields and elements in bytes that need not have been checked, as fast as possible.
//! - [`encode`] writes items into a [`Sink`](encode::Sink).
//! - [`Head`] is what all three are made of.
//!
//! ```
//! use guest_abi::cbor::{Reader, encode, scan};
//!
//! let mut bytes = Vec::new();
//! encode::mark(&mut bytes, encode::BEGIN_OBJECT);
//! encode::field(&mut bytes, "Year", 2023_i64);
//! encode::mark(&mut bytes, encode::END);
//!
//! assert_eq!(Reader::new(&bytes).value()?, bytes);
//! let year = scan::field(&bytes, "Year").unwrap().unwrap();
//! assert_eq!(scan::integer(year), Some(2023));
//! # Ok::<(), guest_abi::cbor::WireError>(())
//! ```

mod copy;
pub mod encode;
mod error;
mod head;
mod reader;
pub mod scan;
mod validate;

pub use copy::copy_bytes;
pub use error::WireError;
pub use head::{BREAK, Head, INDEFINITE, major};
pub use reader::Reader;
pub use scan::skip;
pub(crate) use validate::{beyond, fits_i64};
#[cfg(feature = "alloc")]
pub(crate) use validate::{head, text};

/// CBOR tag of a qualified name: an array of two texts, package and entity.
pub const QNAME_TAG: u16 = 0x514E;

/// CBOR tag of a byte string that holds an item ([RFC 8949, section
/// 3.4.5.1](https://www.rfc-editor.org/rfc/rfc8949#section-3.4.5.1)).
pub(crate) const EMBEDDED_TAG: usize = 24;

/// Number of levels to which objects and arrays may be nested.
pub const MAX_DEPTH: u32 = 64;
