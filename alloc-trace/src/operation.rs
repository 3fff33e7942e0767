//! One operation of a trace.

/// Alignment at which blocks are replayed, in bytes: that of the largest ordinary type of wasm32, and what `malloc`
/// gives there at least.
pub const ALIGNMENT: usize = 8;

/// Largest size of a block, in bytes: what a layout of wasm32 with the usual alignment can have.
pub const MAX_SIZE: u32 = (1 << 31) - 8;

/// What a program asked of its allocator. Allocations are numbered from 0 in the order in which they were made,
/// whatever the text form counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Allocates a block, whose number is that of allocations made before.
    Alloc {
        /// Its bytes, at most [`MAX_SIZE`]. A program in Rust never asks for 0; a `malloc` may be asked for it.
        size: u32,
    },
    /// Frees a block.
    Free {
        /// Its number.
        allocation: u32,
    },
    /// Gives a block another size, and perhaps another place.
    Realloc {
        /// Its number, which it keeps.
        allocation: u32,
        /// Its new bytes, at most [`MAX_SIZE`].
        size: u32,
    },
}
