//! One operation of a trace.

/// Alignment at which blocks are replayed, in bytes: that of the largest ordinary type of wasm32, and the least that its
/// `malloc` gives.
pub const ALIGNMENT: usize = 8;

/// Largest size of a block, in bytes: that of the largest layout of wasm32 with the usual alignment.
pub const MAX_SIZE: u32 = (1 << 31) - 8;

/// A request of a program to its allocator. Allocations are numbered from 0 in the order in which they were made, also if
/// the text form counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Allocation of a block. Its number is the number of allocations made before it.
    Alloc {
        /// Size in bytes, at most [`MAX_SIZE`]. Programs in Rust never ask for 0 bytes; callers of `malloc` may.
        size: u32,
    },
    /// Free of a block.
    Free {
        /// Number of the block.
        allocation: u32,
    },
    /// Change of a block's size, and perhaps of its address.
    Realloc {
        /// Number of the block, which it keeps.
        allocation: u32,
        /// New size in bytes, at most [`MAX_SIZE`].
        size: u32,
    },
}
