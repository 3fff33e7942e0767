//! Where the freelist gets its heap from: one contiguous heap that grows upwards, in small steps.

use alloc_core::{AllocatorKind, ControlBlock, Memory, PAGE_SIZE, claim::claim_ahead};
use core::{alloc::Layout, fmt, ptr::NonNull, sync::atomic::Ordering::Relaxed};
use talc::{
    base::{CHUNK_UNIT, Talc, binning::Binning},
    min_first_heap_size,
    source::Source,
};

/// Bytes by which the claimed heap grows at least; its size is a multiple of it.
///
/// Steps count from the heap's base, not from address 0. So the same requests get the same blocks, at the same distance from
/// the base, and take the same instructions, however many bytes of statics a guest has below its heap. Where memory ends
/// within a step, the last step ends there.
///
/// talc writes at the end of what it has claimed, so a host that zeroes up to there zeroes half a step too much on
/// average. A smaller step calls the source more often.
pub const CLAIM_STEP: u32 = 4096;

/// Highest end of the claimed heap: 1 MiB below 4 GiB.
pub const HEAP_END: u32 = 0xFFF0_0000;

/// Largest request, in bytes. On wasm32 a `Layout` may be a few bytes larger; rounded up, such a request belongs to
/// talc's last size class, in which it looks for no gap that this source could make.
pub const LARGEST_REQUEST: usize = (1 << 31) - 64;

/// Bytes that talc may add to a request: a tail of one word, and rounding up to a chunk.
pub(crate) const ROUNDING: usize = 2 * CHUNK_UNIT;

/// A [`Source`] of claimed heap over a guest's memory.
pub(crate) struct PageSource<M> {
    memory: M,
    /// The kind, less that of the freelist: so the allocator's static is all zeros, which a module need not hold.
    kind: u16,
    /// Address of the end of the heap that talc has, which is `top` unless another allocator has moved that; 0 where it
    /// has none.
    end: u32,
}

impl<M: Memory> PageSource<M> {
    pub(crate) const fn new(memory: M, kind: AllocatorKind) -> Self {
        Self { memory, kind: (kind as u16).wrapping_sub(AllocatorKind::Freelist as u16), end: 0 }
    }

    fn kind(&self) -> AllocatorKind {
        if self.kind == 0 { AllocatorKind::Freelist } else { AllocatorKind::Wee }
    }

    pub(crate) fn control_block(&self) -> &ControlBlock {
        self.memory.control_block()
    }

    /// Whether nothing is allocated in the heap from `address` on, where an allocation ends.
    pub(crate) fn is_last<B: Binning>(talc: &Talc<Self, B>, address: *mut u8) -> bool {
        let end = NonNull::new(talc.source.memory.pointer(talc.source.end));
        // SAFETY: `end` is what talc returned last as the end of this heap.
        talc.source.end != 0 && end.is_some_and(|end| unsafe { talc.reserved(end) }.up_to.as_ptr() == address)
    }

    /// Whether a request that no gap can hold makes the heap as large as another page, or about as large.
    ///
    /// The heap's size decides, not its addresses (see [`CLAIM_STEP`]), and not the number of pages: an instance that is
    /// fresh has fewer than one that was restored, and both must do the same.
    pub(crate) fn fills_page(&self, layout: Layout) -> bool {
        let control = self.control_block();
        let size = control.top.load(Relaxed).wrapping_sub(control.heap_base.load(Relaxed));
        let needed = layout.size().wrapping_add(layout.align()).wrapping_add(ROUNDING + CLAIM_STEP as usize);
        size.wrapping_add(needed as u32) ^ size >= PAGE_SIZE
    }
}

impl<M> fmt::Debug for PageSource<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSource").field("end", &self.end).finish_non_exhaustive()
    }
}

// SAFETY: it calls nothing that allocates, and touches no allocator but the one that it is given. When it succeeds, it
// has added a gap that the request fits into, so `allocate` does not ask again.
unsafe impl<M: Memory> Source for PageSource<M> {
    #[cold]
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let memory = &talc.source.memory;
        let top = memory.control_block().top.load(Relaxed);
        // SAFETY: no pointer into a heap is null.
        let old_end = unsafe { NonNull::new_unchecked(memory.pointer(top)) };
        let is_begun = talc.source.end == top;

        // With an alignment above talc's own, only a gap that is longer by the alignment is sure to be found. The heap
        // asks for nothing that exceeds `u32` together with `top`.
        let mut needed = layout.size().wrapping_add(ROUNDING) as u32;
        if layout.align() > CHUNK_UNIT {
            needed = needed.wrapping_add(layout.align() as u32);
        }
        if is_begun {
            // Less the gap at the end of the heap.
            // SAFETY: `old_end` is what talc returned last as the end of this heap.
            let from = memory.address(unsafe { talc.reserved(old_end) }.up_to.as_ptr());
            needed = needed.wrapping_add(from).wrapping_sub(top);
        } else {
            needed = needed.wrapping_add(min_first_heap_size::<B>() as u32);
        }
        // In steps, and then to a multiple of talc's unit: there talc ends a heap, and the next step finds its end again.
        let unit = CHUNK_UNIT as u32;
        if needed > HEAP_END.saturating_sub(top) {
            return Err(());
        }
        // The sum does not wrap, as the heap ends far enough from the end of the address space.
        let step = (needed | (CLAIM_STEP - 1)).wrapping_add(top).wrapping_add(unit) & !(unit - 1);
        let step = step.min(HEAP_END);
        if !claim_ahead(memory, talc.source.kind(), needed, step.wrapping_sub(top)) {
            return Err(());
        }
        // The step may reach beyond the last page that the host grants, where the request does not. Pages are multiples of
        // talc's unit.
        let new_top = step.min(memory.control_block().limit.load(Relaxed));
        // Without progress talc would ask for ever. A gap that holds the request would have been found, so `new_top` is
        // above `top`; should talc ever search otherwise, the request fails.
        if new_top <= top {
            return Err(());
        }
        let new_end = memory.pointer(new_top);
        let end = if is_begun {
            // SAFETY: `claim` made the memory up to `new_top` this allocator's; what lies above `old_end` was not used.
            unsafe { talc.extend(old_end, new_end) }
        } else {
            // SAFETY: `claim` made the memory from `top` to `new_top` this allocator's.
            unsafe { talc.claim(old_end.as_ptr(), new_top.wrapping_sub(top) as usize) }.ok_or(())?
        };
        talc.source.end = talc.source.memory.address(end.as_ptr());
        talc.source.control_block().top.store(new_top, Relaxed);
        Ok(())
    }
}
