//! Allocation traces: recording what a program asks of its allocator, and the text form of it.
//!
//! A program is recorded by wrapping its global allocator:
//!
//! ```
//! use alloc_trace::RecordingAllocator;
//! use std::alloc::System;
//!
//! #[global_allocator]
//! static ALLOCATOR: RecordingAllocator<System> = RecordingAllocator::new(System);
//!
//! # fn main() -> Result<(), alloc_trace::RecordError> {
//! let (words, trace) = ALLOCATOR.record(|| "to be or not".split(' ').map(str::to_owned).collect::<Vec<_>>())?;
//! assert_eq!(words.len(), 4);
//! assert!(trace.to_string().contains("Alloc(2),\n"));
//! // std::fs::write("words.trace", trace.to_string())?;
//! # Ok(())
//! # }
//! ```
//!
//! # The text form
//!
//! One operation a line:
//!
//! | line | meaning |
//! |---|---|
//! | `Alloc(bytes),` | allocates so many bytes |
//! | `Free(n),` | frees the `n`-th allocation made |
//! | `Realloc(n, bytes),` | gives the `n`-th allocation another size; it keeps its number |
//!
//! Allocations are counted from 0, or from 1 as [`Numbering`] says; only `Alloc` counts. Empty lines, and those that
//! begin with `//`, are skipped. What is not freed is still alive at the trace's end.
//!
//! # Alignment
//!
//! The form has no alignments: a block is replayed at the usual one, [`ALIGNMENT`]. An allocation that asks for more is
//! recorded with as many bytes as it takes to find an aligned block of its size inside one that has the usual
//! alignment: `bytes + alignment - ALIGNMENT`. So what is dear about large alignments, the room, is in the trace, and
//! how a certain allocator saves some of it is not.
//!
//! # Threads
//!
//! Every thread is recorded, in the order in which the allocator serves them; while a recording is under way one waits
//! for another. So the trace of a program with threads is valid, and is that of one of the many ways in which they may
//! have taken turns. What should give the same trace each time runs on one thread.
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
