//! A trace: operations of which each makes sense after those before it.

use alloc::vec::Vec;
use core::fmt;

use crate::operation::{MAX_SIZE, Operation};

/// What a program asked of its allocator, from first to last. Nothing in it is freed twice or before it was
/// allocated, and no size is larger than [`MAX_SIZE`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    operations: Vec<Operation>,
}

impl Trace {
    /// A trace of these operations.
    ///
    /// # Errors
    /// [`InvalidOperation`] for the first that makes no sense after those before it.
    pub fn new(operations: Vec<Operation>) -> Result<Self, InvalidOperation> {
        let mut lives = Lives::default();
        for (index, operation) in operations.iter().enumerate() {
            lives.apply(*operation, index as u64).map_err(|misuse| InvalidOperation { index, misuse })?;
        }
        Ok(Self { operations })
    }

    /// A trace of operations that [`Lives`] has checked one by one.
    pub(crate) fn of_checked(operations: Vec<Operation>) -> Self {
        Self { operations }
    }

    /// The operations.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What the trace amounts to.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { operations: self.operations.len() as u64, ..Summary::default() };
        let (mut sizes, mut blocks) = (Vec::new(), 0_u64);
        for operation in &self.operations {
            match *operation {
                Operation::Alloc { size } => {
                    sizes.push(size);
                    blocks += 1;
                    summary.allocations += 1;
                    summary.live_bytes += u64::from(size);
                }
                Operation::Free { allocation } => {
                    blocks -= 1;
                    summary.frees += 1;
                    summary.live_bytes -= u64::from(sizes[allocation as usize]);
                }
                Operation::Realloc { allocation, size } => {
                    summary.reallocations += 1;
                    let old = core::mem::replace(&mut sizes[allocation as usize], size);
                    summary.live_bytes = summary.live_bytes - u64::from(old) + u64::from(size);
                }
            }
            summary.peak_live_bytes = summary.peak_live_bytes.max(summary.live_bytes);
            summary.peak_live_blocks = summary.peak_live_blocks.max(blocks);
        }
        summary.live_blocks = blocks;
        summary
    }
}

/// What a trace amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Operations of any kind.
    pub operations: u64,
    /// Allocations among them.
    pub allocations: u64,
    /// Frees among them.
    pub frees: u64,
    /// Reallocations among them.
    pub reallocations: u64,
    /// Most bytes that are alive at one time.
    pub peak_live_bytes: u64,
    /// Most blocks that are alive at one time.
    pub peak_live_blocks: u64,
    /// Bytes that are alive at the end.
    pub live_bytes: u64,
    /// Blocks that are alive at the end.
    pub live_blocks: u64,
}

/// Why an operation makes no sense after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// It is about a block that was never allocated.
    NeverAllocated {
        /// The block's number, counted from 0.
        allocation: u32,
        /// Allocations made before.
        made: u32,
    },
    /// It frees a block that was freed before.
    FreedTwice {
        /// The block's number, counted from 0.
        allocation: u32,
        /// Which operation freed it: an index, or in a text the line.
        freed_at: u64,
    },
    /// It reallocates a block that was freed before.
    ReallocOfFreed {
        /// The block's number, counted from 0.
        allocation: u32,
        /// Which operation freed it: an index, or in a text the line.
        freed_at: u64,
    },
    /// It asks for more than [`MAX_SIZE`] bytes.
    SizeTooLarge {
        /// The bytes.
        size: u32,
    },
    /// It would be the allocation with a number that 32 bits cannot hold.
    TooManyAllocations,
}

/// An operation that makes no sense after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOperation {
    /// Its index.
    pub index: usize,
    /// Why not.
    pub misuse: Misuse,
}

impl fmt::Display for InvalidOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}: ", self.index)?;
        match self.misuse {
            Misuse::NeverAllocated { allocation, made } => {
                write!(f, "allocation {allocation} was never made; {made} were made before")
            }
            Misuse::FreedTwice { allocation, freed_at } => {
                write!(f, "allocation {allocation} is freed again; operation {freed_at} freed it")
            }
            Misuse::ReallocOfFreed { allocation, freed_at } => {
                write!(f, "allocation {allocation} is reallocated, and operation {freed_at} freed it")
            }
            Misuse::SizeTooLarge { size } => {
                write!(f, "{size} bytes are more than the {MAX_SIZE} that a block can have")
            }
            Misuse::TooManyAllocations => f.write_str("there are more allocations than numbers of 32 bits"),
        }
    }
}

impl core::error::Error for InvalidOperation {}

/// Which allocations are alive, and where the others were freed.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    /// For each allocation, where it was freed, if it was.
    freed_at: Vec<Option<u64>>,
}

impl Lives {
    /// Allocations made so far.
    pub(crate) fn made(&self) -> u32 {
        u32::try_from(self.freed_at.len()).unwrap_or(u32::MAX)
    }

    /// Applies an operation, which stands `at` this place.
    pub(crate) fn apply(&mut self, operation: Operation, at: u64) -> Result<(), Misuse> {
        if let Operation::Alloc { size } | Operation::Realloc { size, .. } = operation
            && size > MAX_SIZE
        {
            return Err(Misuse::SizeTooLarge { size });
        }
        match operation {
            Operation::Alloc { .. } if self.made() == u32::MAX => Err(Misuse::TooManyAllocations),
            Operation::Alloc { .. } => {
                self.freed_at.push(None);
                Ok(())
            }
            Operation::Free { allocation } => {
                let freed = self.of(allocation)?;
                match *freed {
                    Some(freed_at) => Err(Misuse::FreedTwice { allocation, freed_at }),
                    None => {
                        *freed = Some(at);
                        Ok(())
                    }
                }
            }
            Operation::Realloc { allocation, .. } => match *self.of(allocation)? {
                Some(freed_at) => Err(Misuse::ReallocOfFreed { allocation, freed_at }),
                None => Ok(()),
            },
        }
    }

    fn of(&mut self, allocation: u32) -> Result<&mut Option<u64>, Misuse> {
        let made = self.made();
        self.freed_at.get_mut(allocation as usize).ok_or(Misuse::NeverAllocated { allocation, made })
    }
}
