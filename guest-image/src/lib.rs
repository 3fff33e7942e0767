#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod base;
mod cards;
mod change;
mod delta;
mod encoding;
mod error;
mod file;
mod identity;
mod values;

pub use base::Base;
pub use cards::{CARD, Cards};
pub use change::Change;
pub use delta::Delta;
pub use encoding::{FORMAT, HEADER, Image};
pub use error::{FileError, ImageError};
pub use file::{Durability, ImageFile, Stored};
pub use identity::Identity;
pub use values::{GlobalValue, HostState};
