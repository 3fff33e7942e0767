//! Where blocks come from: the guest's own allocator, which is what is replayed, or nowhere.
#![expect(unsafe_code, reason = "calls the allocator by hand, as the program that was recorded did through its types")]

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ptr::NonNull;

use alloc_trace::ALIGNMENT;

/// A block that is alive. Its first and last bytes hold a pattern of its slot and size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    start: NonNull<u8>,
    pub(crate) size: u32,
}

/// A block does not hold what was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overwritten;

/// Gives blocks and takes them back.
pub(crate) trait Heap {
    /// A block of so many bytes, if there is room.
    fn allocate(&self, slot: u32, size: u32) -> Option<Block>;

    /// Takes a block of this heap back.
    fn free(&self, slot: u32, block: Block) -> Result<(), Overwritten>;

    /// The same block with another size, if there is room; if not, the old one is as it was.
    fn reallocate(&self, slot: u32, block: Block, size: u32) -> Result<Option<Block>, Overwritten>;
}

/// No memory at all.
pub(crate) struct NoHeap;

impl Heap for NoHeap {
    #[inline]
    fn allocate(&self, _slot: u32, size: u32) -> Option<Block> {
        Some(Block { start: NonNull::dangling(), size })
    }

    #[inline]
    fn free(&self, _slot: u32, _block: Block) -> Result<(), Overwritten> {
        Ok(())
    }

    #[inline]
    fn reallocate(&self, _slot: u32, block: Block, size: u32) -> Result<Option<Block>, Overwritten> {
        Ok(Some(Block { size, ..block }))
    }
}

/// The guest's allocator, and blocks that are checked.
pub(crate) struct OwnHeap;

/// The layout of a block. A `malloc` gives a block for 0 bytes too; here it has one.
fn layout(size: u32) -> Option<Layout> {
    Layout::from_size_align((size as usize).max(1), ALIGNMENT).ok()
}

impl Heap for OwnHeap {
    #[inline]
    fn allocate(&self, slot: u32, size: u32) -> Option<Block> {
        // SAFETY: the layout has at least one byte.
        let start = NonNull::new(unsafe { alloc(layout(size)?) })?;
        let block = Block { start, size };
        // SAFETY: it was just given, and nobody else has it.
        unsafe { block.fill(slot) };
        Some(block)
    }

    #[inline]
    fn free(&self, slot: u32, block: Block) -> Result<(), Overwritten> {
        // SAFETY: the block is of this heap, so it was filled when it was given, and is taken back only once.
        unsafe {
            block.check_begin(slot, block.size)?;
            block.check_end(slot)?;
            if let Some(layout) = layout(block.size) {
                dealloc(block.start.as_ptr(), layout);
            }
        }
        Ok(())
    }

    fn reallocate(&self, slot: u32, block: Block, size: u32) -> Result<Option<Block>, Overwritten> {
        // SAFETY: as for `free`.
        unsafe {
            block.check_begin(slot, block.size)?;
            block.check_end(slot)?;
        }
        let (Some(old), Some(new)) = (layout(block.size), layout(size)) else {
            return Ok(None);
        };
        // SAFETY: the block is of this heap and has the old layout; the new one has at least one byte.
        let start = unsafe { realloc(block.start.as_ptr(), old, new.size()) };
        let Some(start) = NonNull::new(start) else {
            return Ok(None);
        };
        let moved = Block { start, size };
        // SAFETY: the first bytes of the block, as many as it had and still has, hold what they held.
        unsafe {
            moved.check_begin(slot, block.size)?;
            moved.fill(slot);
        }
        Ok(Some(moved))
    }
}

/// The guest's allocator and as little else as there can be: of a block only the first byte is written, and nothing is
/// checked.
pub(crate) struct BareHeap;

impl Heap for BareHeap {
    #[inline]
    fn allocate(&self, _slot: u32, size: u32) -> Option<Block> {
        // SAFETY: the layout has at least one byte.
        let start = NonNull::new(unsafe { alloc(layout(size)?) })?;
        // SAFETY: it has at least one byte, and nobody else has it.
        unsafe { start.write_volatile(1) };
        Some(Block { start, size })
    }

    #[inline]
    fn free(&self, _slot: u32, block: Block) -> Result<(), Overwritten> {
        if let Some(layout) = layout(block.size) {
            // SAFETY: the block is of this heap, with this layout, and is taken back only once.
            unsafe { dealloc(block.start.as_ptr(), layout) };
        }
        Ok(())
    }

    #[inline]
    fn reallocate(&self, _slot: u32, block: Block, size: u32) -> Result<Option<Block>, Overwritten> {
        let (Some(old), Some(new)) = (layout(block.size), layout(size)) else {
            return Ok(None);
        };
        // SAFETY: the block is of this heap and has the old layout; the new one has at least one byte.
        let start = unsafe { realloc(block.start.as_ptr(), old, new.size()) };
        Ok(NonNull::new(start).map(|start| Block { start, size }))
    }
}

/// Bytes of a pattern.
const PATTERN: usize = size_of::<u64>();

/// What is written to the begin of a block in a slot when it has so many bytes. The end gets its complement.
#[inline]
const fn pattern(slot: u32, size: u32) -> u64 {
    ((slot as u64) << 32 | size as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Block {
    /// Writes the pattern.
    ///
    /// # Safety
    /// The block is alive and nobody else's.
    #[inline]
    unsafe fn fill(self, slot: u32) {
        let (size, pattern) = (self.size as usize, pattern(slot, self.size));
        // SAFETY: a block has `size` bytes, and what is written lies in them.
        unsafe {
            match size.checked_sub(PATTERN) {
                Some(end) => {
                    self.start.cast().write_unaligned(pattern);
                    // In a block of fewer than two patterns the end takes some of the begin.
                    self.start.add(end).cast().write_unaligned(!pattern);
                }
                None => self.start.copy_from_nonoverlapping(NonNull::from(&pattern).cast(), size),
            }
        }
    }

    /// Whether the first bytes are what was written when the block had `old` bytes, of which it has the first ones.
    ///
    /// # Safety
    /// The block is alive, and was filled when it had `old` bytes.
    #[inline]
    unsafe fn check_begin(self, slot: u32, old: u32) -> Result<(), Overwritten> {
        let pattern = pattern(slot, old);
        // The end's pattern may have taken some of it.
        let begin = if old as usize >= PATTERN { PATTERN.min(old as usize - PATTERN) } else { old as usize };
        let begin = begin.min(self.size as usize);
        // SAFETY: the block has these bytes, and they were written.
        let is = unsafe {
            match begin {
                PATTERN => self.start.cast::<u64>().read_unaligned() == pattern,
                _ => std::slice::from_raw_parts(self.start.as_ptr(), begin) == &pattern.to_ne_bytes()[..begin],
            }
        };
        if is { Ok(()) } else { Err(Overwritten) }
    }

    /// Whether the last bytes are what was written.
    ///
    /// # Safety
    /// The block is alive and was filled.
    #[inline]
    unsafe fn check_end(self, slot: u32) -> Result<(), Overwritten> {
        let Some(end) = (self.size as usize).checked_sub(PATTERN) else {
            return Ok(());
        };
        // SAFETY: the block has these bytes, and they were written.
        let found: u64 = unsafe { self.start.add(end).cast().read_unaligned() };
        if found == !pattern(slot, self.size) { Ok(()) } else { Err(Overwritten) }
    }
}

#[cfg(test)]
mod tests {
    use alloc_trace::compact::Step;

    use super::*;
    use crate::replay::blocks::Blocks;

    #[test]
    fn a_byte_that_is_overwritten_at_begin_or_end_is_found() {
        for size in [1, 3, 7, 8, 9, 15, 16, 17, 100] {
            for at in [0, size - 1] {
                let block = OwnHeap.allocate(5, size).unwrap();
                // SAFETY: the byte is the block's.
                let byte = unsafe { block.start.add(at as usize) };
                // SAFETY: the block was filled, so the byte was written; nobody else has it.
                unsafe { byte.write(!byte.read()) };
                assert_eq!(OwnHeap.free(5, block), Err(Overwritten), "byte {at} of {size}");
                // SAFETY: the same byte is put back, and then the block is what it was.
                unsafe { byte.write(!byte.read()) };
                assert_eq!(OwnHeap.free(5, block), Ok(()), "{size}");
            }
        }
    }

    /// An allocator that is broken: it gives the same bytes to everyone.
    struct Shared(Block);

    impl Heap for Shared {
        fn allocate(&self, slot: u32, size: u32) -> Option<Block> {
            assert!(size <= self.0.size);
            let block = Block { start: self.0.start, size };
            // SAFETY: the bytes are those of a block that is alive, and no other holds on to what is in them.
            unsafe { block.fill(slot) };
            Some(block)
        }

        fn free(&self, slot: u32, block: Block) -> Result<(), Overwritten> {
            // SAFETY: the bytes are those of a block that is alive, and were filled when it was given.
            unsafe { block.check_begin(slot, block.size).and_then(|()| block.check_end(slot)) }
        }

        fn reallocate(&self, slot: u32, block: Block, size: u32) -> Result<Option<Block>, Overwritten> {
            self.free(slot, block)?;
            Ok(self.allocate(slot, size))
        }
    }

    #[test]
    fn an_allocator_that_gives_bytes_twice_is_found_out() {
        let heap = Shared(OwnHeap.allocate(0, 64).unwrap());
        for last in [Step::Free { slot: 0 }, Step::Realloc { slot: 0, size: 8 }] {
            let mut blocks = Blocks::new(&heap, 2).unwrap();
            blocks.apply(Step::Alloc { slot: 0, size: 48 }).unwrap();
            blocks.apply(Step::Alloc { slot: 1, size: 16 }).unwrap();
            let found = blocks.apply(last).unwrap_err();
            assert!(found.to_string().contains("does not hold what was written"), "{found}");
        }
    }

    #[test]
    fn blocks_keep_their_begin_through_reallocations() {
        let mut block = OwnHeap.allocate(1, 20).unwrap();
        for size in [40, 12, 3, 9, 1_000, 0, 8] {
            block = OwnHeap.reallocate(1, block, size).unwrap().unwrap();
        }
        OwnHeap.free(1, block).unwrap();
    }
}
