//! Flat values: values that a writer builds in place in a byte buffer, and a reader reads in place.
//!
//! Guests hand each other blocks of memory, and a block has another address in each guest. A flat value is independent of
//! its address, because all of its references are offsets. Building one and reading one copies no value and allocates
//! nothing.
//!
//! A Rust type names the type of a value: a scalar, [`Text`], [`Bytes`], [`List`], [`Option`], or a tuple of up to 8 fields
//! as a record. [`Builder`] builds a value from borrowed Rust values, and [`read()`] checks its bytes once and gives a view.
//! No method of the view fails or panics.
//!
//! ```
//! use guest_abi::flat::{self, Builder, List, Text};
//!
//! type Orders = List<(u32, Text, List<Text>)>;
//!
//! let mut block = [0; 128];
//! let bytes = Builder::new(&mut block).build::<Orders>([(7, "Ulm", &["tea", "jam"][..]), (8, "Bonn", &[])])?;
//!
//! let orders = flat::read::<Orders>(bytes)?;
//! let (number, city, items) = orders.get(0).unwrap();
//! assert_eq!((number, city, items.len()), (7, "Ulm", 2));
//! assert_eq!(items.get(1), Some("jam"));
//! assert_eq!(orders.iter().map(|(number, ..)| number).sum::<u32>(), 15);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! All numbers are little-endian. Offsets count from the first byte of the value, and alignments are relative to it.
//!
//! | bytes | content |
//! |---|---|
//! | 0 to 2 | `FLT` |
//! | 3 | version of the layout, 1 |
//! | 4 to 7 | length of the value, including this header |
//! | 8 to 15 | digest of the type |
//! | from 16 on | slot of the value |
//! | behind the slot | parts |
//!
//! Each type has slots of a fixed size:
//!
//! | type | slot | size | alignment |
//! |---|---|---|---|
//! | `bool` | 0 or 1 | 1 | 1 |
//! | `u8` to `u64`, `i8` to `i64`, `f32`, `f64` | the number | 1 to 8 | its size |
//! | [`Text`], [`Bytes`] | offset and number of the bytes, each a `u32` | 8 | 4 |
//! | [`List`] | offset of the first item's slot and number of items, each a `u32` | 8 | 4 |
//! | record | slots of the fields in order, each aligned | a multiple of the alignment | the largest of a field |
//! | [`Option`] | as a record of a `bool` and the value; zeros without a value | as that record | as that record |
//!
//! The bytes of texts and byte strings, and the slots of items, are the parts. Their order is fixed:
//!
//! - The parts of a record are those of its fields, in order.
//! - The parts of a list are those of its items, in order, and then the slots of all items, one behind the other.
//! - Each part begins at the next multiple of its alignment, which is 1 for texts and byte strings. The last part ends the
//!   value.
//! - An empty text, byte string or list has no part, and the offset 0.
//! - All other bytes are zeros.
//!
//! So a value has exactly one form: building the same value again gives the same bytes.
//!
//! The digest of a type is FNV-1a of 64 bits over its name (such as `u32`, or `text`, `bytes`, `list`, `option` and
//! `record`) and then over the digests of its item or its fields, each as 8 bytes. A reader of another type refuses the value.
//! A record with one more field is another type.
//!
//! # Cost
//!
//! [`read()`] visits each byte of a value at most once, valid or not, and uses no more stack than the nesting of the type
//! needs. It compares each offset with the only place where the part may begin, so two offsets never lead to the same
//! bytes. It skips lists of numbers, because any bytes are numbers.
//!
//! Afterwards the n-th item of a list takes constant time. A text is an exception: this crate has no unsafe code, so a view
//! checks the UTF-8 of a text again when you read it. A record is read with all of its fields.

mod area;
mod build;
mod error;
mod layout;
mod list;
mod read;
mod record;
mod types;
mod view;

pub use build::{Build, Builder, Filled, Items, items, list, measure};
pub use error::{BuildError, ReadError};
pub use list::ListBuilder;
pub use read::read;
pub use types::{Bytes, Flat, List, Scalar, Text};
pub use view::{Iter, ListView};

/// The first bytes of a value: three letters and the version of the layout.
const MAGIC: [u8; 4] = *b"FLT\x01";

/// Bytes of the header.
const HEADER: usize = 16;

/// The length of the longest value: each offset and each length is a `u32`.
const MAX_LENGTH: usize = u32::MAX as usize;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
