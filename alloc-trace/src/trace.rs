//! A trace: a sequence of operations in which each is valid after those before it.

use alloc::vec::Vec;
use core::fmt;

use crate::operation::{MAX_SIZE, Operation};

/// All requests of a program to its allocator, in order. No block is freed twice or before it was allocated, and no size is
/// larger than [`MAX_SIZE`].
///
/// ```
/// use alloc_trace::{Operation, Trace};
///
/// let trace = Trace::new(vec![
///     Operation::Alloc { size: 100 },
///     Operation::Realloc { allocation: 0, size: 300 },
///     Operation::Free { allocation: 0 },
/// ])?;
/// assert_eq!(trace.summary().peak_live_bytes, 300);
/// assert!(Trace::new(vec![Operation::Free { allocation: 0 }]).is_err());
/// # Ok::<(), alloc_trace::InvalidOperation>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    operations: Vec<Operation>,
}

impl Trace {
    /// A trace of these operations.
    ///
    /// # Errors
    /// [`InvalidOperation`] for the first operation that is not valid after those before it.
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

    /// Totals of the trace.
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

/// Totals of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Number of operations.
    pub operations: u64,
    /// Number of allocations.
    pub allocations: u64,
    /// Number of frees.
    pub frees: u64,
    /// Number of reallocations.
    pub reallocations: u64,
    /// Largest number of bytes alive at one time.
    pub peak_live_bytes: u64,
    /// Largest number of blocks alive at one time.
    pub peak_live_blocks: u64,
    /// Number of bytes alive at the end.
    pub live_bytes: u64,
    /// Number of blocks alive at the end.
    pub live_blocks: u64,
}

/// Reason why an operation is not valid after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// A block that was never allocated.
    NeverAllocated {
        /// Number of the block, from 0.
        allocation: u32,
        /// Number of allocations made before.
        made: u32,
    },
    /// A free of a block that was freed before.
    FreedTwice {
        /// Number of the block, from 0.
        allocation: u32,
        /// Operation that freed it: an index, or the line of a text.
        freed_at: u64,
    },
    /// A reallocation of a block that was freed before.
    ReallocOfFreed {
        /// Number of the block, from 0.
        allocation: u32,
        /// Operation that freed it: an index, or the line of a text.
        freed_at: u64,
    },
    /// A size of more than [`MAX_SIZE`] bytes.
    SizeTooLarge {
        /// Size in bytes.
        size: u32,
    },
    /// An allocation whose number does not fit 32 bits.
    TooManyAllocations,
}

/// An operation that is not valid after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOperation {
    /// Index of the operation.
    pub index: usize,
    /// Reason.
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
