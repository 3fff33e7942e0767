//! CBOR as the contract uses it. Nothing else in this workspace reads or writes CBOR bytes.

mod head;

pub use head::{BREAK, Head, INDEFINITE, major};
