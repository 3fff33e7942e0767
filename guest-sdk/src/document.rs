//! Documents: an id, a score and nested fields, which functions filter, score and project.
//!
//! A function takes a [`Document`] or an `Option` of one, and reads its fields where the host has put them: nothing is
//! decoded in advance, and reading takes no heap. A path that is made by [`path!`](crate::path!) is parsed when the guest
//! is compiled; a text is parsed with each call.
//!
//! ```
//! use guest_sdk::{Document, DocumentBuf, Result, function, path};
//!
//! /// Whether an order goes to a city.
//! #[function]
//! fn goes_to(order: Document, city: &str) -> Result<bool> {
//!     Ok(order.get_str(path!("shipping.address.city"))? == Some(city))
//! }
//!
//! /// The order's city and total alone.
//! #[function]
//! fn summary(order: Document) -> Result<DocumentBuf> {
//!     Ok(order.project([path!("shipping.address.city"), path!("total")])?)
//! }
//!
//! let order = DocumentBuf::from_json(r#"{"total": 12.5, "shipping": {"address": {"city": "Ulm", "zip": "89073"}}}"#)?;
//! assert_eq!(goes_to(order.as_document(), "Ulm"), Ok(true));
//! assert_eq!(summary(order.as_document())?.to_json(), r#"{"total":12.5,"shipping":{"address":{"city":"Ulm"}}}"#);
//! // Missing is no error, another type is one.
//! assert_eq!(order.as_document().get_str("shipping.name")?, None);
//! assert!(order.as_document().get_i64("total").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use guest_abi::document::{
    AsPath, Document, DocumentBuf, FieldError, Item, ItemWriter, Items, JsonError, JsonOptions, ListWriter, Members,
    ObjectWriter, Path, PathError, Step,
};
