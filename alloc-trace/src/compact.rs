//! A compact form of traces, which a guest replays without looking anything up.
//!
//! Blocks that are alive at one time have different *slots*, and a slot is used again when its block was freed, so
//! that a table of as many slots as blocks are alive at one time is enough. A step is one or two integers in LEB128:
//! the first is `value << 2 | kind`.
//!
//! | kind | value | second integer |
//! |---|---|---|
//! | 0, allocate | bytes | slot |
//! | 1, free | slot | |
//! | 2, reallocate | slot | bytes |

use alloc::vec::Vec;

use crate::operation::Operation;
use crate::trace::Trace;

/// Most bytes that a step takes.
pub const MAX_STEP: usize = 10;

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
    /// The compact form of a trace, in chunks of at most so many bytes, or of [`MAX_STEP`] where that is more.
    #[must_use]
    pub fn of(trace: &Trace, chunk: usize) -> Self {
        let most = chunk.max(MAX_STEP);
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
            let mut bytes = [0; MAX_STEP];
            let length = step.write(&mut bytes);
            match chunks.last_mut() {
                Some(last) if last.len() + length <= most => last.extend_from_slice(&bytes[..length]),
                _ => {
                    let mut next = Vec::with_capacity(most.min(1 << 20));
                    next.extend_from_slice(&bytes[..length]);
                    chunks.push(next);
                }
            }
        }
        Self { chunks, slots }
    }
}

const ALLOC: u64 = 0;
const FREE: u64 = 1;
const REALLOC: u64 = 2;

impl Step {
    /// Writes the step and returns how many bytes it took.
    fn write(self, out: &mut [u8; MAX_STEP]) -> usize {
        let (kind, value, second) = match self {
            Self::Alloc { slot, size } => (ALLOC, size, Some(slot)),
            Self::Free { slot } => (FREE, slot, None),
            Self::Realloc { slot, size } => (REALLOC, slot, Some(size)),
        };
        let length = write_integer(u64::from(value) << 2 | kind, out);
        second.map_or(length, |second| length + write_integer(second.into(), &mut out[length..]))
    }
}

fn write_integer(mut value: u64, out: &mut [u8]) -> usize {
    let mut at = 0;
    loop {
        let seven = (value & 0x7F) as u8;
        value >>= 7;
        out[at] = if value == 0 { seven } else { seven | 0x80 };
        at += 1;
        if value == 0 {
            return at;
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

    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let mut value = 0;
        for (index, byte) in self.bytes.iter().enumerate().take(5) {
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn step(&mut self) -> Option<Step> {
        let first = self.integer()?;
        let value = u32::try_from(first >> 2).ok()?;
        Some(match first & 3 {
            ALLOC => Step::Alloc { slot: u32::try_from(self.integer()?).ok()?, size: value },
            FREE => Step::Free { slot: value },
            REALLOC => Step::Realloc { slot: value, size: u32::try_from(self.integer()?).ok()? },
            _ => return None,
        })
    }
}

impl Iterator for Steps<'_> {
    type Item = Result<Step, NoStep>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let step = self.step().ok_or(NoStep);
        if step.is_err() {
            self.bytes = &[];
        }
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
            assert!(program.chunks.iter().all(|bytes| bytes.len() <= chunk.max(MAX_STEP)), "{program:?}");
            let steps: Vec<_> = program.chunks.iter().flat_map(|chunk| Steps::new(chunk)).map(Result::unwrap).collect();
            assert_eq!(steps, expected);
        }
    }

    #[test]
    fn bytes_that_are_no_steps_end_the_reading() {
        for bytes in [&[3][..], &[0], &[0x80], &[0x81, 0x80, 0x80, 0x80, 0x80, 0], &[2, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] {
            let mut steps = Steps::new(bytes);
            assert_eq!((steps.next(), steps.next()), (Some(Err(NoStep)), None), "{bytes:?}");
        }
    }
}
