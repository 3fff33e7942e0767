//! A compact form of traces, which a guest replays without looking anything up.
//!
//! Blocks that are alive at one time have different *slots*, and a slot is used again when its block was freed, so
//! that a table of as many slots as blocks are alive at one time is enough. A step is two little-endian integers of 32
//! bits, as reading them must cost little beside an allocation:
//!
//! | step | first | second |
//! |---|---|---|
//! | allocate | slot | bytes |
//! | reallocate | slot | bytes, and the highest bit |
//! | free | slot | all bits |

use alloc::vec::Vec;

use crate::operation::{MAX_SIZE, Operation};
use crate::trace::Trace;

/// Bytes of a step.
pub const STEP: usize = 8;

/// An operation of a trace in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Allocates a block, which takes a slot that is free.
    Alloc {
        /// The slot.
        slot: u32,
        /// The block's bytes.
        size: u32,
    },
    /// Frees the block in a slot.
    Free {
        /// The slot.
        slot: u32,
    },
    /// Reallocates the block in a slot.
    Realloc {
        /// The slot.
        slot: u32,
        /// The block's new bytes.
        size: u32,
    },
}

/// A trace in the compact form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// The steps, in chunks that begin and end with a whole one.
    pub chunks: Vec<Vec<u8>>,
    /// Slots that are needed.
    pub slots: u32,
}

impl Program {
    /// The compact form of a trace, in chunks of at most so many bytes, or of [`STEP`] where that is more.
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

/// Stands where a size would, and is none.
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

/// The bytes of a chunk are no steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoStep;

/// Reads the steps of a chunk; ends after the first bytes that are none. Takes nothing from the heap.
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
    type Item = Result<Step, NoStep>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let read = self.bytes.split_first_chunk().and_then(|(first, rest)| Some((Step::of(first)?, rest)));
        let (step, rest) = match read {
            Some((step, rest)) => (Ok(step), rest),
            None => (Err(NoStep), &[][..]),
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
            assert_eq!((steps.next(), steps.next()), (Some(Err(NoStep)), None), "{bytes:?}");
        }
    }
}
