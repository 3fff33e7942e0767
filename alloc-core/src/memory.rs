//! The memory of a guest: pages, addresses, and the control block in it.
#![expect(unsafe_code, reason = "implementing the trait is a promise about raw memory")]

use guest_abi::ControlBlock;

/// A guest's memory, as its allocator sees it.
///
/// Addresses are offsets into linear memory, `u32` on every target. To access memory, turn an address into a pointer with
/// [`pointer`](Self::pointer).
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use alloc_core::Memory;
/// use alloc_core::testing::FakeMemory;
///
/// let memory = FakeMemory::new(0x10_0000, 1);
/// let before = memory.pages();
/// assert!(memory.grow(1));
/// assert!(!memory.grow(1), "one page could be added");
/// assert_eq!(memory.pages(), before + 1);
/// assert_eq!(memory.address(memory.pointer(0x10_0040)), 0x10_0040);
/// # }
/// ```
///
/// # Safety
///
/// An implementation guarantees that the control block began as [`control_block`](crate::claim::control_block) makes it,
/// with an address that is neither 0 nor above [`ADDRESS_END`](crate::ADDRESS_END) and lies in a page that exists or just
/// behind the last. From that address to the end of the last page:
/// - the memory is valid for reads and writes through the pointers of [`pointer`](Self::pointer), which are as far
///   apart as their addresses. It belongs to the allocator alone, except for what a host does between two calls;
/// - a pointer is aligned as its address is, up to every alignment that can be served from the memory;
/// - bytes that nobody has written since the page was added are zero;
/// - pages never move, and none goes away while a pointer into it is in use.
///
/// [`grow`](Self::grow) either adds as many pages as it was asked for or adds none and returns `false`. There are never
/// more than 65536 pages.
pub unsafe trait Memory {
    /// The control block of this memory. It is always the same one.
    fn control_block(&self) -> &ControlBlock;

    /// Number of pages.
    fn pages(&self) -> u32;

    /// Adds zeroed pages. Returns whether that succeeded.
    fn grow(&self, pages: u32) -> bool;

    /// The pointer to an address.
    fn pointer(&self, address: u32) -> *mut u8;

    /// The address of a pointer that [`pointer`](Self::pointer) made, or that was derived from one.
    fn address(&self, pointer: *mut u8) -> u32;
}

// SAFETY: every method is the referenced memory's own.
unsafe impl<M: Memory> Memory for &M {
    fn control_block(&self) -> &ControlBlock {
        (**self).control_block()
    }

    fn pages(&self) -> u32 {
        (**self).pages()
    }

    fn grow(&self, pages: u32) -> bool {
        (**self).grow(pages)
    }

    fn pointer(&self, address: u32) -> *mut u8 {
        (**self).pointer(address)
    }

    fn address(&self, pointer: *mut u8) -> u32 {
        (**self).address(pointer)
    }
}
