//! C's interface over an allocator that needs layouts.
//!
//! The header holds the layout: directly in front of the allocation lies its size, in 31 bits. The bit above them is set if
//! the allocation is aligned to more than 16 bytes; the alignment then lies in front of the size.
#![expect(unsafe_code, reason = "the interface is one of raw pointers")]

use alloc_core::{HEADED_ALIGN, HeaderAlloc, claim::refuse};
use core::{alloc::Layout, ptr};

/// Bit in the header of an allocation that is aligned to more than [`HEADED_ALIGN`].
const OVERALIGNED: u32 = 1 << 31;

/// Largest alignment that is served, in bytes: 1 GiB.
const LARGEST_ALIGN: usize = 1 << 30;

/// The interface of C's `malloc` over an allocator. See the [crate].
///
/// A request that cannot be served is recorded in the allocator's control block, and the result is the null pointer. The
/// counters there count the bytes that were asked for, without headers.
///
/// ```
/// use alloc_c::Interface;
/// use alloc_core::testing::FakeMemory;
/// use alloc_freelist::FreelistAllocator;
///
/// let memory = FakeMemory::new(0x10_0000, 4);
/// let allocator = FreelistAllocator::over(&memory);
/// let pointer = Interface(&allocator).calloc(10, 8);
/// assert!(!pointer.is_null());
/// assert!(Interface(&allocator).malloc(1 << 30).is_null(), "the memory may grow by 256 KiB");
/// assert_eq!(memory.image().failed_size, 1 << 30);
/// ```
#[derive(Debug)]
pub struct Interface<'a, A>(
    /// The allocator.
    pub &'a A,
);

impl<A: HeaderAlloc> Interface<'_, A> {
    /// Allocates `size` bytes, aligned to 16. For 0 bytes the pointer differs from all that are in use, and may be freed.
    #[inline]
    pub fn malloc(&self, size: usize) -> *mut u8 {
        self.allocate(HEADED_ALIGN, size, A::alloc_headed)
    }

    /// Allocates a zeroed array of `count` elements of `size` bytes.
    #[inline]
    pub fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            Some(size) => self.allocate(HEADED_ALIGN, size, A::alloc_zeroed_headed),
            None => refuse(self.0.control_block(), usize::MAX, HEADED_ALIGN),
        }
    }

    /// Allocates `size` bytes, aligned to `align` and to 16. If `align` is not a power of two, the result is the null pointer
    /// and nothing is recorded: memory has not run out.
    #[inline]
    pub fn aligned_alloc(&self, align: usize, size: usize) -> *mut u8 {
        if !align.is_power_of_two() {
            return ptr::null_mut();
        }
        self.allocate(align.max(HEADED_ALIGN), size, A::alloc_headed)
    }

    /// Frees an allocation. Ignores the null pointer.
    ///
    /// # Safety
    /// The pointer is null, or this interface has returned it, its allocation has not been freed yet, and nothing uses it any
    /// more.
    #[inline]
    pub unsafe fn free(&self, pointer: *mut u8) {
        if !pointer.is_null() {
            // SAFETY: it is an allocation of this interface.
            let layout = unsafe { layout_of(pointer) };
            // SAFETY: it has this layout, and the caller gives it up.
            unsafe { self.0.dealloc_headed(pointer, layout) };
        }
    }

    /// Changes the size of an allocation, in place where the allocator can, and keeps its alignment. The null pointer counts as
    /// an allocation of no bytes. With size 0 the result is an allocation of no bytes. If the result is null, the allocation is
    /// unchanged.
    ///
    /// # Safety
    /// The pointer is null, or this interface has returned it and its allocation has not been freed yet. If the result is not
    /// null, only the result may be used from then on.
    #[inline]
    pub unsafe fn realloc(&self, pointer: *mut u8, size: usize) -> *mut u8 {
        if pointer.is_null() {
            return self.malloc(size);
        }
        // SAFETY: it is an allocation of this interface.
        let old = unsafe { layout_of(pointer) };
        let Ok(new) = Layout::from_size_align(size, old.align()) else {
            return refuse(self.0.control_block(), size, old.align());
        };
        // SAFETY: it has this layout; the new size makes one.
        let moved = unsafe { self.0.realloc_headed(pointer, old, size) };
        if !moved.is_null() {
            // SAFETY: it has just been allocated.
            unsafe { remember(moved, new) };
        }
        moved
    }

    /// Size of an allocation in bytes: the size that was asked for. 0 for the null pointer.
    ///
    /// # Safety
    /// The pointer is null, or this interface has returned it and its allocation has not been freed yet.
    #[inline]
    pub unsafe fn usable_size(&self, pointer: *mut u8) -> usize {
        if pointer.is_null() {
            return 0;
        }
        // SAFETY: it is an allocation of this interface.
        unsafe { layout_of(pointer) }.size()
    }

    #[inline]
    fn allocate(&self, align: usize, size: usize, how: unsafe fn(&A, Layout) -> *mut u8) -> *mut u8 {
        match Layout::from_size_align(size, align) {
            Ok(layout) if align <= LARGEST_ALIGN => {
                // SAFETY: both functions of `HeaderAlloc` take any alignment from 16 bytes to 1 GiB.
                let pointer = unsafe { how(self.0, layout) };
                if !pointer.is_null() {
                    // SAFETY: it has just been allocated.
                    unsafe { remember(pointer, layout) };
                }
                pointer
            }
            _ => refuse(self.0.control_block(), size, align),
        }
    }
}

/// Writes the header.
///
/// # Safety
/// The pointer is an allocation of a [`HeaderAlloc`], with this layout.
#[inline]
unsafe fn remember(pointer: *mut u8, layout: Layout) {
    let header = pointer.cast::<u32>();
    // No allocator of this family serves 2 GiB.
    let mut word = layout.size() as u32;
    if layout.align() > HEADED_ALIGN {
        word |= OVERALIGNED;
        // SAFETY: the header of this alignment has two words.
        unsafe { header.sub(2).write(layout.align() as u32) };
    }
    // SAFETY: every header has a word.
    unsafe { header.sub(1).write(word) };
}

/// Reads the header.
///
/// # Safety
/// The pointer is an allocation whose header [`remember`] has written.
#[inline]
unsafe fn layout_of(pointer: *mut u8) -> Layout {
    let header = pointer.cast::<u32>();
    // SAFETY: every header has a word.
    let word = unsafe { header.sub(1).read() };
    let mut align = HEADED_ALIGN;
    if word & OVERALIGNED != 0 {
        // SAFETY: the header has two words, as the bit says.
        align = unsafe { header.sub(2).read() } as usize;
    }
    // SAFETY: size and alignment are those of the layout that the header was written for.
    unsafe { Layout::from_size_align_unchecked((word & !OVERALIGNED) as usize, align) }
}
