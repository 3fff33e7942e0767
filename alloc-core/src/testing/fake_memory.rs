//! A linear memory on the native heap, and the host that saves and restores it.
#![expect(unsafe_code, reason = "its bytes are shared with the allocator under test through raw pointers")]

use super::program::Residue;
use crate::{ADDRESS_END, ControlBlock, ControlBlockImage, HEAP_ALIGN, Memory, PAGE_SIZE, claim};
use core::{cell::Cell, ptr::NonNull, slice, sync::atomic::Ordering::Relaxed};
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    vec::Vec,
};

/// Alignment up to which pointers are aligned as their addresses are: 16 MiB.
const BACKING_ALIGN: u32 = 1 << 24;

/// A linear memory that has only its end: from a 16 MiB boundary below the heap to a fixed capacity above it.
///
/// So a heap near 4 GiB costs no more than any other. It cannot test alignments above 16 MiB. Growth can be limited
/// ([`set_spare_pages`](Self::set_spare_pages)); as in WebAssembly, no page goes away.
///
/// ```
/// use std::alloc::{GlobalAlloc as _, Layout};
///
/// use alloc_core::testing::FakeMemory;
/// use alloc_core::{BumpAllocator, Leaking};
///
/// let memory = FakeMemory::new(0x10_0000, 4);
/// let allocator = BumpAllocator::<Leaking, _>::over(&memory);
/// // SAFETY: the size is not 0.
/// let pointer = unsafe { allocator.alloc(Layout::new::<u64>()) };
/// assert!(!pointer.is_null());
/// assert_eq!(memory.image().top, 0x10_0008);
/// ```
#[derive(Debug)]
pub struct FakeMemory {
    block: ControlBlock,
    backing: NonNull<u8>,
    layout: Layout,
    /// Address of the first byte of `backing`.
    first_address: u32,
    /// Result of `memory.size`.
    pages: Cell<u32>,
    /// Number of pages that exist: more than `pages` only if the host virtualises growth.
    physical: Cell<u32>,
    page_limit: Cell<u32>,
    /// Number of pages up to the end of `backing`.
    capacity: u32,
}

/// A saved memory: the bytes that a host copies when it takes a snapshot.
#[derive(Debug, Clone)]
pub struct Saved {
    image: ControlBlockImage,
    pages: u32,
    /// From the heap's start to the high-water mark.
    bytes: Vec<u8>,
}

impl FakeMemory {
    /// A memory whose heap begins at `heap_start`, rounded up, in its last page. It can grow by `spare_pages`.
    ///
    /// # Panics
    /// If the address is 0 or above [`ADDRESS_END`].
    #[must_use]
    pub fn new(heap_start: u32, spare_pages: u32) -> Self {
        assert!((1..=ADDRESS_END).contains(&heap_start), "no heap begins at {heap_start:#x}");
        let start = heap_start.next_multiple_of(HEAP_ALIGN);
        let first_address = start & !(BACKING_ALIGN - 1);
        let pages = (start - 1) / PAGE_SIZE + 1;
        let capacity = pages.saturating_add(spare_pages).min(1 << 16);
        let bytes = u64::from(capacity) * u64::from(PAGE_SIZE) - u64::from(first_address);
        let layout = Layout::from_size_align(bytes as usize, BACKING_ALIGN as usize).expect("a small memory");
        // SAFETY: the size is not 0: the page of `start` lies above `first_address`.
        let Some(backing) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let block = claim::control_block(start);
        let memory = Self {
            block,
            backing,
            layout,
            first_address,
            pages: Cell::new(pages),
            physical: Cell::new(pages),
            page_limit: Cell::new(capacity),
            capacity,
        };
        memory.zero(start, end_of_page(pages));
        memory
    }

    /// Limits further growth to `spare` pages, within the capacity.
    pub fn set_spare_pages(&self, spare: u32) {
        self.page_limit.set(self.physical.get().saturating_add(spare).min(self.capacity));
    }

    /// Number of pages that exist, whatever `memory.size` says.
    #[must_use]
    pub fn physical_pages(&self) -> u32 {
        self.physical.get()
    }

    /// The control block, as a host reads it.
    #[must_use]
    pub fn image(&self) -> ControlBlockImage {
        self.block.image()
    }

    /// Highest end that the heap can have under the present page limit.
    #[must_use]
    pub fn reachable_end(&self) -> u64 {
        let pages = self.page_limit.get().max(self.pages.get());
        (u64::from(pages) * u64::from(PAGE_SIZE)).min(u64::from(ADDRESS_END))
    }

    /// Saves the bytes that a restore needs.
    #[must_use]
    pub fn save(&self) -> Saved {
        let image = self.block.image();
        let bytes = self.bytes(image.heap_base, image.effective_high_water()).to_vec();
        Saved { image, pages: self.pages.get(), bytes }
    }

    /// Restores control block and heap, and zeroes only up to the high-water mark.
    ///
    /// With `virtual_growth`, `memory.size` returns as many pages as there were then; growing adds the existing ones first.
    pub fn restore(&self, saved: &Saved, virtual_growth: bool) {
        let used = self.block.image().effective_high_water();
        let saved_used = saved.image.effective_high_water();
        self.copy_in(saved.image.heap_base, &saved.bytes);
        self.zero(saved_used, used.max(saved_used));
        self.block.rewind(&saved.image);
        if virtual_growth {
            self.pages.set(saved.pages);
        }
    }

    /// Performs the reset of a bump allocator: restores control block and heap below the mark, and sets `top` to the mark.
    ///
    /// Residue that is kept is overwritten with other bytes, as no allocator may rely on them.
    pub fn reset(&self, saved: &Saved, residue: Residue) {
        let used = self.block.image().effective_high_water().max(saved.image.effective_high_water());
        let mark = saved.image.top;
        self.copy_in(saved.image.heap_base, &saved.bytes[..(mark - saved.image.heap_base) as usize]);
        self.block.rewind(&saved.image);
        self.block.top.store(mark, Relaxed);
        match residue {
            Residue::Keep => {
                self.fill(mark, used, 0xA5);
                self.block.high_water.store(used, Relaxed);
            }
            Residue::Scrub => self.zero(mark, used),
        }
    }

    /// Sets the mark, as a host does when it takes its snapshot.
    pub fn mark(&self) {
        self.block.mark.store(self.block.top.load(Relaxed), Relaxed);
    }

    /// First address at or above `address` whose byte is not zero.
    #[must_use]
    pub fn first_dirty(&self, address: u32) -> Option<u32> {
        let bytes = self.bytes(address, end_of_page(self.physical.get()).max(address));
        let offset = bytes.chunks(4096).position(|chunk| chunk != &[0; 4096][..chunk.len()])? * 4096;
        let within = bytes[offset..].iter().position(|byte| *byte != 0)?;
        u32::try_from(offset + within).ok().map(|distance| address + distance)
    }

    /// Whether the bytes from the heap's start are those that were saved.
    #[must_use]
    pub fn matches(&self, saved: &Saved) -> bool {
        let start = saved.image.heap_base;
        self.bytes(start, start + saved.bytes.len() as u32) == saved.bytes
    }

    fn bytes(&self, from: u32, to: u32) -> &[u8] {
        let length = to.saturating_sub(from) as usize;
        // SAFETY: within existing pages, which are initialised. No code of the allocator or of a guest runs while a
        // caller in this file looks at them.
        unsafe { slice::from_raw_parts(self.pointer(from), length) }
    }

    fn copy_in(&self, to: u32, bytes: &[u8]) {
        // SAFETY: within existing pages; `bytes` is a copy on the native heap.
        unsafe { self.pointer(to).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn zero(&self, from: u32, to: u32) {
        self.fill(from, to, 0);
    }

    fn fill(&self, from: u32, to: u32, byte: u8) {
        // SAFETY: callers name existing or just added pages.
        unsafe { self.pointer(from).write_bytes(byte, to.saturating_sub(from) as usize) };
    }
}

impl Drop for FakeMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.backing.as_ptr(), self.layout) };
    }
}

// SAFETY: `backing` reaches from `first_address` to the capacity, is aligned to `BACKING_ALIGN` as `first_address` is, and every page
// is zeroed when it is added. It is never moved before it is dropped, and `&self` keeps it alive.
unsafe impl Memory for FakeMemory {
    fn control_block(&self) -> &ControlBlock {
        &self.block
    }

    fn pages(&self) -> u32 {
        self.pages.get()
    }

    fn grow(&self, pages: u32) -> bool {
        let Some(wanted) = self.pages.get().checked_add(pages) else { return false };
        let physical = self.physical.get();
        if wanted > self.page_limit.get().max(physical) {
            return false;
        }
        if wanted > physical {
            let last = u64::from(wanted) * u64::from(PAGE_SIZE) - u64::from(physical) * u64::from(PAGE_SIZE);
            // SAFETY: the new pages lie within the capacity.
            unsafe { self.pointer(physical * PAGE_SIZE).write_bytes(0, last as usize) };
            self.physical.set(wanted);
        }
        self.pages.set(wanted);
        true
    }

    fn pointer(&self, address: u32) -> *mut u8 {
        self.backing.as_ptr().wrapping_add(address.wrapping_sub(self.first_address) as usize)
    }

    fn address(&self, pointer: *mut u8) -> u32 {
        self.first_address.wrapping_add((pointer.addr() - self.backing.addr().get()) as u32)
    }
}

/// The address behind so many pages; the last 16 bytes of 4 GiB are nobody's.
fn end_of_page(pages: u32) -> u32 {
    pages.checked_mul(PAGE_SIZE).unwrap_or(ADDRESS_END)
}
