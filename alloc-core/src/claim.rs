//! Adopting pages, and recording requests that could not be served.
//!
//! The control block's `limit` is the end of the memory that the allocator knows. When a host rewinds the control
//! block, `limit` goes back, but pages that were added since stay, because linear memory cannot shrink. An allocator that
//! needs more than `limit` therefore looks first at how many pages there are, and grows memory only for the rest.

use crate::{ADDRESS_END, Memory, PAGE_SIZE, account};
use core::{
    ptr,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use guest_abi::{AllocatorKind, ControlBlock};

/// Largest number of pages added beyond the need of a request: 16 MiB.
///
/// An eighth of the pages that there are is added on top of the need, so that the number of steps is logarithmic in the
/// size: 22 where a leaking guest takes 6 MiB, and none in a restored instance, which has its pages. (A half made it 7
/// steps, and had a program that holds 0.8 MiB take 26 pages instead of 19.) The cap keeps a large guest from asking for
/// much memory that it never uses.
pub const MOST_PAGES_AHEAD: u32 = 256;

/// A control block as a memory holds it before any allocator has run.
///
/// `heap_start` is the first address that belongs to the allocator. With `limit` there, the first request, whatever it
/// is, takes the path on which pages are adopted.
#[must_use]
pub const fn control_block(heap_start: u32) -> ControlBlock {
    ControlBlock {
        heap_base: AtomicU32::new(heap_start),
        top: AtomicU32::new(heap_start),
        limit: AtomicU32::new(heap_start),
        flags: AtomicU32::new(account::FLAGS),
        ..ControlBlock::new()
    }
}

/// Adopts pages until `limit` is at least `needed` bytes above `top`. Returns whether that succeeded. If it did not, the only
/// change is that pages which existed already may have been adopted.
///
/// `needed` must not be 0.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use alloc_core::claim::claim;
/// use alloc_core::testing::FakeMemory;
/// use alloc_core::{AllocatorKind, PAGE_SIZE};
///
/// // Two pages can be added to the one that ends where the heap begins.
/// let memory = FakeMemory::new(0x10_0000, 2);
/// assert!(claim(&memory, AllocatorKind::Freelist, 2 * PAGE_SIZE));
/// assert_eq!(memory.image().limit, 0x10_0000 + 2 * PAGE_SIZE);
/// assert!(!claim(&memory, AllocatorKind::Freelist, 2 * PAGE_SIZE + 1));
/// # }
/// ```
#[inline]
pub fn claim<M: Memory>(memory: &M, kind: AllocatorKind, needed: u32) -> bool {
    claim_ahead(memory, kind, needed, needed)
}

/// Adopts pages until `limit` is at least `wanted` bytes above `top`, or `needed` bytes where the host does not grant that many.
/// Returns whether it is at least `needed` bytes above.
///
/// `needed` must not be 0, and `wanted` not less.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use alloc_core::claim::claim_ahead;
/// use alloc_core::testing::FakeMemory;
/// use alloc_core::{AllocatorKind, PAGE_SIZE};
///
/// let memory = FakeMemory::new(0x10_0000, 1);
/// assert!(claim_ahead(&memory, AllocatorKind::Freelist, 100, PAGE_SIZE + 1));
/// assert_eq!(memory.image().limit, 0x10_0000 + PAGE_SIZE, "one page could be added");
/// # }
/// ```
#[inline]
pub fn claim_ahead<M: Memory>(memory: &M, kind: AllocatorKind, needed: u32, wanted: u32) -> bool {
    let block = memory.control_block();
    block.kind.store(kind as u16, Relaxed);
    let top = block.top.load(Relaxed);
    // If a sum wraps, it lies below `top`, whose page exists: the memory does not grow for it, and the last line says no.
    let last_page = |bytes: u32| top.wrapping_add(bytes).wrapping_sub(1) / PAGE_SIZE;
    let (least, most) = (last_page(needed), last_page(wanted));
    let pages = memory.pages();
    if most >= pages {
        let missing = |last: u32| last.wrapping_sub(pages).wrapping_add(1);
        let ahead = (pages / 8).min(MOST_PAGES_AHEAD);
        if memory.grow(missing(most).wrapping_add(ahead)) || least >= pages && memory.grow(missing(least)) {
            account::grown(block);
        } else if least >= pages {
            return false;
        }
    }
    let limit = memory.pages().checked_mul(PAGE_SIZE).map_or(ADDRESS_END, |end| end.min(ADDRESS_END));
    block.limit.store(limit, Relaxed);
    needed <= limit.wrapping_sub(top)
}

/// Records a request that cannot be served, for the host to find, and returns the null pointer.
#[cold]
pub fn refuse(block: &ControlBlock, size: usize, align: usize) -> *mut u8 {
    block.failed_size.store(saturate(size), Relaxed);
    block.failed_align.store(saturate(align), Relaxed);
    ptr::null_mut()
}

/// The number, or `u32::MAX` if it is larger. On wasm32 it never is.
#[inline]
fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
