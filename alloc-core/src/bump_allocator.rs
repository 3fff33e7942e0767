//! [`BumpAllocator`], the type behind `LeakingAllocator` and `BumpResetAllocator`.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait, and a reset is a promise of the caller")]

use crate::{AllocatorKind, ControlBlock, HeaderAlloc, LinearMemory, Memory, account, bump, header_size};
use core::{
    alloc::{GlobalAlloc, Layout},
    marker::PhantomData,
};

/// A global allocator that moves a bump pointer through a guest's memory.
///
/// `P`, either [`Leaking`] or [`BumpReset`], decides what `dealloc` does. Guests use the aliases of the crates
/// `alloc-leaking` and `alloc-bump-reset`, which add the documentation for their users and, for the latter, the
/// functions that a host calls.
///
/// All state is in the [control block](Memory::control_block) of the memory.
///
/// ```
/// use alloc_core::{BumpAllocator, BumpReset, LinearMemory, Memory};
///
/// // Natively this memory has no pages, so there is nothing to allocate; a test gives `over` a fake one.
/// let allocator = BumpAllocator::<BumpReset>::over(LinearMemory::new());
/// allocator.mark();
/// assert_eq!(LinearMemory::new().pages(), 0);
/// ```
#[derive(Debug, Default)]
pub struct BumpAllocator<P, M = LinearMemory> {
    memory: M,
    policy: PhantomData<P>,
}

/// The policy of a [`BumpAllocator`] for freed allocations. Only [`Leaking`] and [`BumpReset`] implement it.
///
/// ```
/// use alloc_core::{AllocatorKind, BumpPolicy, BumpReset, Leaking};
///
/// assert_eq!((Leaking::KIND, Leaking::FREES_NEWEST), (AllocatorKind::Leaking, false));
/// assert_eq!((BumpReset::KIND, BumpReset::FREES_NEWEST), (AllocatorKind::BumpReset, true));
/// ```
pub trait BumpPolicy: sealed::Sealed {
    /// The kind that the control block shows to the host.
    const KIND: AllocatorKind;

    /// Whether `dealloc` of the newest allocation gives its bytes back. `dealloc` of any other only counts.
    const FREES_NEWEST: bool;
}

/// Policy: no `dealloc` gives memory back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leaking;

/// Policy: `dealloc` of the newest allocation gives its bytes back, and a reset gives back all since the mark.
#[derive(Debug, Clone, Copy, Default)]
pub struct BumpReset;

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Leaking {}
    impl Sealed for super::BumpReset {}
}

impl BumpPolicy for Leaking {
    const KIND: AllocatorKind = AllocatorKind::Leaking;
    const FREES_NEWEST: bool = false;
}

impl BumpPolicy for BumpReset {
    const KIND: AllocatorKind = AllocatorKind::BumpReset;
    const FREES_NEWEST: bool = true;
}

impl<P> BumpAllocator<P> {
    /// The allocator of this module's linear memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::over(LinearMemory::new())
    }
}

impl<P, M> BumpAllocator<P, M> {
    /// An allocator of another memory, for tests.
    #[must_use]
    pub const fn over(memory: M) -> Self {
        Self { memory, policy: PhantomData }
    }
}

impl<M: Memory> BumpAllocator<BumpReset, M> {
    /// Sets the mark: what has been allocated until now stays at a [`reset`](Self::reset).
    pub fn mark(&self) {
        bump::mark(&self.memory);
    }

    /// Gives back everything that was allocated since the [`mark`](Self::mark). Without a mark, does nothing.
    ///
    /// # Safety
    /// No allocation made since the mark, and no part that an older one has grown by since, may be used any more.
    pub unsafe fn reset(&self) {
        // SAFETY: the caller gives up everything above the mark.
        unsafe { bump::reset(&self.memory) }
    }
}

impl<P: BumpPolicy, M: Memory> BumpAllocator<P, M> {
    /// Serves `dealloc` of an allocation with so many bytes of header in front of it.
    ///
    /// # Safety
    /// As `GlobalAlloc::dealloc`, for an allocation that this allocator made with this header.
    #[inline]
    unsafe fn free(&self, header: u32, pointer: *mut u8, layout: Layout) {
        if P::FREES_NEWEST {
            // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
            unsafe { bump::dealloc_newest(&self.memory, header, pointer, layout) };
        } else {
            account::deallocated(self.memory.control_block(), layout.size());
        }
    }
}

// SAFETY: `bump` hands out memory between `top` and `limit` only. `top` is lowered to no less than where an allocation
// begins that the caller gives up, or ends that the caller shortens, if it is the newest, or to the mark, above which
// the caller of `reset` has given everything up; so allocations do not overlap, are aligned, and stay where they are.
// It does not unwind.
unsafe impl<P: BumpPolicy, M: Memory> GlobalAlloc for BumpAllocator<P, M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, P::KIND, 0, layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract; `alloc` makes allocations without a header.
        unsafe { self.free(0, pointer, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        bump::alloc_zeroed(&self.memory, P::KIND, 0, layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::realloc(&self.memory, P::KIND, 0, pointer, layout, new_size) }
    }
}

// SAFETY: as above, with the header's bytes taken in front of each allocation. An allocation of no bytes ends above its
// own header, so it lies apart from every other.
unsafe impl<P: BumpPolicy, M: Memory> HeaderAlloc for BumpAllocator<P, M> {
    fn control_block(&self) -> &ControlBlock {
        self.memory.control_block()
    }

    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, P::KIND, header_size(layout.align()), layout)
    }

    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc_zeroed(&self.memory, P::KIND, header_size(layout.align()), layout)
    }

    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract; the header's size follows from the alignment.
        unsafe { self.free(header_size(layout.align()), pointer, layout) };
    }

    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::realloc(&self.memory, P::KIND, header_size(layout.align()), pointer, layout, new_size) }
    }
}
