#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

extern crate alloc;

pub mod compact;
mod event_log;
mod operation;
mod parse;
mod record;
mod text;
mod trace;

pub use operation::{ALIGNMENT, MAX_SIZE, Operation};
pub use parse::{MAX_LINE, ParseError, Problem};
pub use record::{RecordError, Recording, RecordingAllocator};
pub use text::{Numbering, Text};
pub use trace::{InvalidOperation, Misuse, Summary, Trace};
