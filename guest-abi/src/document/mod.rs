//! Documents: an id, a score and nested fields, read in place by paths.
//!
//! # Bytes
//!
//! A document is one CBOR item, an array of three:
//!
//! | element | CBOR |
//! |---|---|
//! | score | a float of 64 bits; 0 if the document has none |
//! | id | a text; empty if the document has none |
//! | fields | a map from text to items, as that of an object |
//!
//! | item | CBOR |
//! |---|---|
//! | integer, from -2^63 to 2^64 - 1 | an integer |
//! | number with a fraction or an exponent | a float of 64 bits |
//! | text | a text, UTF-8 |
//! | `true`, `false`, null | the simple values 21, 20 and 22 |
//! | object | tag 24, and in its byte string a map from text to items |
//! | list | tag 24, and in its byte string an array of items |
//!
//! Tag 24 is "encoded CBOR data item" ([RFC 8949, section 3.4.5.1](https://www.rfc-editor.org/rfc/rfc8949#section-3.4.5.1)).
//! Its byte string states how many bytes an object or a list has, so a reader steps over either without looking into it. All
//! lengths are definite.
//!
//! The map of an object with more than 4 members begins with an index, so that a reader need not walk over the members: its
//! key is the integer 0, and its value a byte string. For `n` members that has `n` bytes, a hash of each name in order, and
//! then `n` little-endian unsigned integers of 32 bits, the offset of each member from the first one. With all operations
//! modulo 256, the hash of a name is `(31 * first ^ 17 * last ^ 7 * middle) + length`, where `middle` is the byte at half
//! its length; that of the empty name is 0.
//!
//! No map has a name twice. Objects and lists are nested at most [`MAX_DEPTH`](crate::cbor::MAX_DEPTH) levels deep, the
//! fields themselves being the first. Writers use the shortest heads; readers take any.
//!
//! # Null and missing
//!
//! Reading gives `None` both where a path leads to nothing and where it leads to null. [`Document::exists`] tells the two
//! apart. A value of another type than the one asked for is an error.
//!
//! ```
//! use guest_abi::document::{DocumentBuf, Path};
//! use guest_abi::path;
//!
//! let order = DocumentBuf::from_json(r#"{"id": "A-17", "shipping": {"address": {"city": "Ulm"}}, "items": [{"price": 9.5}]}"#)?;
//! let order = order.as_document();
//! // Checked when the program is compiled.
//! const CITY: Path<'static> = path!("shipping.address.city");
//! assert_eq!(order.get_str(CITY)?, Some("Ulm"));
//! // Checked with each call.
//! assert_eq!(order.get_f64("items[0].price")?, Some(9.5));
//! assert_eq!(order.get_f64("items[1].price")?, None);
//! assert_eq!((order.id(), order.exists("shipping.zip")?), ("A-17", false));
//! assert_eq!(
//!     order.get_i64("shipping.address.city").unwrap_err().to_string(),
//!     "field `shipping.address.city`: asked for i64, found string"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "alloc")]
mod buffer;
#[cfg(feature = "alloc")]
mod check;
mod item;
#[cfg(feature = "alloc")]
mod json;
mod path;
#[cfg(feature = "alloc")]
mod project;
mod reader;
mod walk;
#[cfg(feature = "alloc")]
mod writer;

#[cfg(feature = "alloc")]
pub use buffer::DocumentBuf;
#[cfg(feature = "alloc")]
pub use check::check;
pub use item::{Item, Items, Members};
#[cfg(feature = "alloc")]
pub use json::{JsonError, JsonOptions};
pub use path::{AsPath, Path, PathError, Step};
pub use reader::{Document, FieldError};
#[cfg(feature = "alloc")]
pub use writer::{ItemWriter, ListWriter, ObjectWriter};

#[cfg(all(test, feature = "alloc"))]
mod tests;
