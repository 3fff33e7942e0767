//! A compact form of traces, which a guest replays without look-ups.
//!
//! Blocks that are alive at one time have different *slots*. The slot of a freed block is used again, so a replay needs a
//! table of as many slots as blocks are alive at one time. A step is two little-endian integers of 32 bits, because reading
//! it must cost little compared with an allocation:
//!
//! | step | first | second |
//! |---|---|---|
//! | allocate | slot | bytes |
//! | reallocate | slot | bytes, and the highest bit |
//! | free | slot | all bits |
//!
//! ```
//! use alloc_trace::compact::{Program, Step, Steps};
//! use alloc_trace::{Numbering, Trace};
//!
//! let trace = Trace::parse(b"Alloc(8),\nFree(0),\nAlloc(3),\n", Numbering::FromZero)?;
//! let program = Program::of(&trace, 4096);
//! let steps: Vec<Step> = Steps::new(&program.chunks[0]).map(Result::unwrap).collect();
//! assert_eq!(steps[2], Step::Alloc { slot: 0, size: 3 }, "the slot is used again");
//! assert_eq!(program.slots, 1);
//! # Ok::<(), alloc_trace::ParseError>(())
//! ```

use alloc::vec::Vec;

use crate::operation::{MAX_SIZE, Operation};
use crate::trace::Trace;

/// Size of a step in bytes.
pub const STEP: usize = 8;

/// An operation of a trace in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Allocation of a block, which takes a free slot.
    Alloc {
        /// Slot of the block.
        slot: u32,
        /// Size in bytes.
        size: u32,
    },
    /// Free of the block in a slot.
    Free {
        /// Slot of the block.
        slot: u32,
    },
    /// Reallocation of the block in a slot.
    Realloc {
        /// Slot of the block.
        slot: u32,
        /// New size in bytes.
        size: u32,
    },
}

/// A trace in the compact form.
///
/// ```
/// use alloc_trace::compact::{Program, STEP};
/// use alloc_trace::{Numbering, Trace};
///
/// let trace = Trace::parse(b"Alloc(8),\nAlloc(3),\nFree(0),\n", Numbering::FromZero)?;
/// // Chunks of two steps.
/// let program = Program::of(&trace, 2 * STEP);
/// assert_eq!((program.slots, program.chunks.len()), (2, 2));
/// # Ok::<(), alloc_trace::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// Steps, in chunks of whole steps.
    pub chunks: Vec<Vec<u8>>,
    /// Number of slots that a replay needs.
    pub slots: u32,
}

impl Program {
    /// The compact form of a trace, in chunks of at most `chunk` bytes, but of one step at least.
    #[must_use]
    pub fn of(trace: &Trace, chunk: usize) -> Self {
        let most = chunk.max(STEP);
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let (mut slots, mut free, mut of_allocation) = (0, Vec::new(), Vec::new());
        for operation in trace.operations() {
            let step = match *operation {
                Operation::Alloc { size } => {
                    let slot = free.pop().unwrap_or_else(|| {
                        slots += 1;
                        slots - 1
                    });
                    of_allocation.push(slot);
                    Step::Alloc { slot, size }
                }
                Operation::Free { allocation } => {
                    let slot = of_allocation[allocation as usize];
                    free.push(slot);
                    Step::Free { slot }
                }
                Operation::Realloc { allocation, size } => {
                    Step::Realloc { slot: of_allocation[allocation as usize], size }
                }
            };
            match chunks.last_mut() {
                Some(last) if last.len() + STEP <= most => last.extend_from_slice(&step.bytes()),
                _ => chunks.push(step.bytes().to_vec()),
            }
        }
        Self { chunks, slots }
    }
}

/// Marks a size as that of a reallocation; no size has this bit.
const REALLOC: u32 = 1 << 31;

/// Marks a free, in the place of a size.
const FREE: u32 = u32::MAX;

const _: () = assert!(MAX_SIZE | REALLOC < FREE && MAX_SIZE < REALLOC);

impl Step {
    fn bytes(self) -> [u8; STEP] {
        let (slot, second) = match self {
            Self::Alloc { slot, size } => (slot, size),
            Self::Free { slot } => (slot, FREE),
            Self::Realloc { slot, size } => (slot, size | REALLOC),
        };
        let mut bytes = [0; STEP];
        bytes[..4].copy_from_slice(&slot.to_le_bytes());
        bytes[4..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    #[inline]
    const fn of(bytes: &[u8; STEP]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = *bytes;
        let (slot, second) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let size = second & !REALLOC;
        if second == FREE {
            Some(Self::Free { slot })
        } else if size > MAX_SIZE {
            None
        } else if second == size {
            Some(Self::Alloc { slot, size })
        } else {
            Some(Self::Realloc { slot, size })
        }
    }
}

/// Bytes of a chunk that are not a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidStep;

/// Iterator over the steps of a chunk. It ends after the first bytes that are not a step, and does not allocate.
#[derive(Debug, Clone)]
pub struct Steps<'c> {
    bytes: &'c [u8],
}

impl<'c> Steps<'c> {
    /// The steps of a chunk.
    #[must_use]
    pub const fn new(chunk: &'c [u8]) -> Self {
        Self { bytes: chunk }
    }
}

impl Iterator for Steps<'_> {
    type Item = Result<Step, InvalidStep>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let read = self.bytes.split_first_chunk().and_then(|(first, rest)| Some((Step::of(first)?, rest)));
        let (step, rest) = match read {
            Some((step, rest)) => (Ok(step), rest),
            None => (Err(InvalidStep), &[][..]),
        };
        self.bytes = rest;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_chunks_hold_whole_steps() {
        let text = b"Alloc(100),\nAlloc(2147483640),\nFree(0),\nAlloc(3),\nRealloc(2, 70000),\nFree(1),\nFree(2),";
        let trace = Trace::parse(text, crate::Numbering::FromZero).unwrap();
        let expected = [
            Step::Alloc { slot: 0, size: 100 },
            Step::Alloc { slot: 1, size: 2_147_483_640 },
            Step::Free { slot: 0 },
            Step::Alloc { slot: 0, size: 3 },
            Step::Realloc { slot: 0, size: 70_000 },
            Step::Free { slot: 1 },
            Step::Free { slot: 0 },
        ];
        for chunk in [0, 12, 1_000] {
            let program = Program::of(&trace, chunk);
            assert_eq!(program.slots, 2);
            assert!(program.chunks.iter().all(|bytes| bytes.len() <= chunk.max(STEP)), "{program:?}");
            let steps: Vec<_> = program.chunks.iter().flat_map(|chunk| Steps::new(chunk)).map(Result::unwrap).collect();
            assert_eq!(steps, expected);
        }
    }

    #[test]
    fn bytes_that_are_no_steps_end_the_reading() {
        for bytes in [&[0; 7][..], &[0, 0, 0, 0, 0xF9, 0xFF, 0xFF, 0x7F], &[0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]] {
            let mut steps = Steps::new(bytes);
            assert_eq!((steps.next(), steps.next()), (Some(Err(InvalidStep)), None), "{bytes:?}");
        }
    }
}
