#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod base;
mod cards;
mod change;
mod delta;
mod encoding;
mod error;
mod file;

pub use base::{Base, Identity};
pub use cards::{CARD, Cards};
pub use change::Change;
pub use delta::{Delta, GlobalValue, HostState};
pub use encoding::{FORMAT, HEADER, Image};
pub use error::{FileError, ImageError};
pub use file::{Durability, ImageFile, Stored};
