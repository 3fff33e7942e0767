//! The heap: talc, and in front of it lists of small blocks that were freed.
//!
//! Looking for a gap, splitting it, and joining it with its neighbours again takes talc some hundred instructions. Most
//! requests are small and soon freed, so a small block that is freed goes to the list of its size, as it is, and
//! the next request of that size takes it from there. Where a list is empty, a block is cut off the *reserve*: a chunk
//! that talc has given, and that small blocks are taken from one after the other.
//!
//! Each small block is a chunk of talc's, whether talc has cut it or the reserve was: so whoever has it can give it
//! back to talc. Before memory grows all lists are given back, and what coalesces then may serve the request.
#![expect(unsafe_code, reason = "raw memory")]

use crate::source::{CLAIM_STEP, LARGEST_REQUEST, PageSource, ROUNDING};
use alloc_core::Memory;
use core::{
    alloc::Layout,
    ptr::{self, NonNull},
    sync::atomic::Ordering::Relaxed,
};
use talc::{
    base::{CHUNK_UNIT, Talc},
    source::Source,
    wasm::WasmBinning,
};

/// Bytes at the end of each chunk that are talc's.
const TAIL: usize = size_of::<usize>();

/// The word that talc holds there while the chunk is allocated and the memory behind it is not free.
///
/// talc keeps the constant to itself; its version is fixed by the workspace's manifest, and the tests let talc look through
/// the whole heap for what it did not write.
const ALLOCATED: usize = 1;

/// Sizes of small blocks: 1, 2, ... so many units of talc's. Vectors double, so the last holds a power of two.
const CLASSES: usize = 33;

/// Bytes that a small block may hold: 524 on wasm32.
const LARGEST_SMALL: usize = CLASSES * CHUNK_UNIT - TAIL;

/// Bytes of a reserve, where a gap can hold it: 2 KiB on wasm32.
const RESERVE: usize = 128 * CHUNK_UNIT;

/// How often that is halved where no gap can hold it.
const MOST_HALVINGS: u32 = 1;

// Every small block can be cut off every reserve.
const _: () = assert!(RESERVE >> MOST_HALVINGS > CLASSES * CHUNK_UNIT);

/// A block in a list; its first word is the next.
type List = Option<NonNull<Block>>;

struct Block {
    next: List,
}

/// A freelist over a guest's memory.
pub(crate) struct Heap<M: Memory> {
    talc: Talc<PageSource<M>, WasmBinning>,
    /// Blocks that were freed, by class. For talc they are allocated.
    lists: [List; CLASSES],
    /// The rest of the reserve: a chunk that is allocated, or nothing. Its tail is talc's.
    reserve: *mut u8,
    reserve_end: *mut u8,
    /// How often [`RESERVE`] must be halved for a gap to hold the next, as far as is known.
    halvings: u32,
}

impl<M: Memory> Heap<M> {
    pub(crate) const fn new(source: PageSource<M>) -> Self {
        Self {
            talc: Talc::new(source),
            lists: [None; CLASSES],
            reserve: ptr::null_mut(),
            reserve_end: ptr::null_mut(),
            halvings: 0,
        }
    }

    pub(crate) fn source(&self) -> &PageSource<M> {
        &self.talc.source
    }

    /// A block, or the null pointer.
    ///
    /// # Safety
    /// The layout's size is not 0.
    #[inline]
    pub(crate) unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => {
                if let Some(block) = self.lists[class] {
                    // SAFETY: a block in a list holds its link, and is nobody else's.
                    self.lists[class] = unsafe { block.as_ref() }.next;
                    return block.as_ptr().cast();
                }
                let block = self.cut(class);
                if block.is_null() { self.refill(class) } else { block }
            }
            // SAFETY: the caller promises that the size is not 0.
            None => unsafe { self.take_large(layout) },
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It is of this heap, has this layout, and is given up.
    #[inline]
    pub(crate) unsafe fn give_back(&mut self, pointer: *mut u8, layout: Layout) {
        match class_of(layout) {
            // SAFETY: a layout of this class is served by such a chunk, and the caller gives it up.
            Some(class) => unsafe { self.put(class, pointer) },
            None => {
                self.halvings = 0;
                // SAFETY: a large block is talc's, with this layout.
                unsafe { self.talc.deallocate(pointer, layout) };
            }
        }
    }

    /// Gives a block another size: returns the block itself, or another that what it holds must be copied to, or the null
    /// pointer. Where it shrinks it is itself.
    ///
    /// # Safety
    /// The block is of this heap and has this layout; the new size is not 0, and that of a layout.
    pub(crate) unsafe fn resize(&mut self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size <= layout.size() {
            // SAFETY: each block is a chunk of talc's, with this layout.
            unsafe { self.talc.shrink(pointer, layout, new_size) };
            return pointer;
        }
        // SAFETY: the caller promises that size and alignment are those of a layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if layout.size() > LARGEST_SMALL {
            // SAFETY: the block is large, and so is the new layout; the rest is the caller's promise.
            unsafe { self.grow_large(pointer, layout, new_layout) }
        } else if chunk_size(layout.size()) == chunk_size(new_size) {
            pointer
        } else {
            // It seldom has a gap behind it; to copy it costs less than to look.
            // SAFETY: the size is larger than another.
            unsafe { self.take(new_layout) }
        }
    }

    /// As `resize`, for a block that talc knows by its layout, and a larger one.
    ///
    /// # Safety
    /// As for `resize`.
    unsafe fn grow_large(&mut self, pointer: *mut u8, layout: Layout, new_layout: Layout) -> *mut u8 {
        if self.refuses(new_layout.size(), new_layout.align()) {
            return ptr::null_mut();
        }
        // SAFETY: the block is talc's, with this layout; the new size is larger.
        if unsafe { self.talc.try_grow_in_place(pointer, layout, new_layout.size()) } {
            return pointer;
        }
        // One that fills pages would leave as large a gap behind, and small ones may be all that is in its way.
        if layout.size() >= CLAIM_STEP as usize {
            self.empty_lists();
            // SAFETY: as above.
            if unsafe { self.talc.try_grow_in_place(pointer, layout, new_layout.size()) } {
                return pointer;
            }
        }
        let end = pointer.wrapping_add(chunk_size(layout.size()));
        if PageSource::is_last(&self.talc, end) {
            // SAFETY: the size is not 0.
            if let Some(block) = unsafe { self.talc.try_allocate(new_layout) } {
                return block.as_ptr();
            }
            // It can grow with the heap; to move it would leave a gap behind.
            // SAFETY: the difference to another size of a layout is one.
            let difference = unsafe { Layout::from_size_align_unchecked(new_layout.size() - layout.size(), 1) };
            if PageSource::acquire(&mut self.talc, difference).is_ok()
                // SAFETY: as above.
                && unsafe { self.talc.try_grow_in_place(pointer, layout, new_layout.size()) }
            {
                return pointer;
            }
        }
        // SAFETY: the size is larger than another.
        unsafe { self.take_large(new_layout) }
    }

    /// Cuts a block off the reserve. The null pointer, if that has no room for it and for something behind it: its tail
    /// is talc's.
    #[inline]
    fn cut(&mut self, class: usize) -> *mut u8 {
        let chunk = (class + 1) * CHUNK_UNIT;
        if chunk >= self.left() {
            return ptr::null_mut();
        }
        let block = self.reserve;
        self.reserve = block.wrapping_add(chunk);
        // SAFETY: the tail lies in the reserve, which is this heap's. What follows the block is the rest of the reserve,
        // which is allocated.
        unsafe { self.reserve.cast::<usize>().sub(1).write(ALLOCATED) };
        block
    }

    /// A small block for which neither its list nor the reserve had one, or the null pointer.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> *mut u8 {
        self.drop_reserve();
        while self.halvings <= MOST_HALVINGS {
            let size = RESERVE >> self.halvings;
            // SAFETY: the size is not 0.
            if let Some(reserve) = unsafe { self.talc.try_allocate(of_chunk(size)) } {
                self.reserve = reserve.as_ptr();
                self.reserve_end = self.reserve.wrapping_add(size);
                return self.cut(class);
            }
            self.halvings += 1;
        }
        // SAFETY: the size is not 0.
        unsafe { self.take_large(of_chunk((class + 1) * CHUNK_UNIT)) }
    }

    /// Takes a block from talc, or gives the null pointer.
    ///
    /// # Safety
    /// The layout's size is not 0.
    #[inline(never)]
    unsafe fn take_large(&mut self, layout: Layout) -> *mut u8 {
        if self.refuses(layout.size(), layout.align()) {
            return ptr::null_mut();
        }
        let mut is_emptied = false;
        loop {
            // SAFETY: the size is not 0.
            if let Some(block) = unsafe { self.talc.try_allocate(layout) } {
                return block.as_ptr();
            }
            // Before another page is used or the request is refused, what coalesces may serve it.
            let must_empty = !is_emptied && self.source().fills_page(layout);
            if must_empty || PageSource::acquire(&mut self.talc, layout).is_err() {
                if is_emptied {
                    return ptr::null_mut();
                }
                self.empty_lists();
                is_emptied = true;
            }
            self.halvings = 0;
        }
    }

    /// Whether talc must not see a request: it is too large, or an address in the claimed heap plus size and alignment,
    /// each rounded up as talc does, may exceed `u32`. talc compares such sums with the ends of gaps; one that wrapped
    /// would look small enough.
    #[inline]
    fn refuses(&self, size: usize, align: usize) -> bool {
        let top = self.source().control_block().top.load(Relaxed);
        // A `Layout` has a size below half of what a `usize` holds and an alignment of at most a quarter: no overflow
        // here.
        size > LARGEST_REQUEST || size.wrapping_add(align).wrapping_add(ROUNDING) > !top as usize
    }

    /// Gives the blocks of all lists and the reserve back to talc.
    fn empty_lists(&mut self) {
        self.drop_reserve();
        for class in 0..CLASSES {
            while let Some(block) = self.lists[class] {
                // SAFETY: a block in a list holds its link.
                self.lists[class] = unsafe { block.as_ref() }.next;
                // SAFETY: it is a chunk of this size, and nobody else's.
                unsafe { self.talc.deallocate(block.as_ptr().cast(), of_chunk((class + 1) * CHUNK_UNIT)) };
            }
        }
    }

    /// Gives what is left of the reserve back to talc.
    fn drop_reserve(&mut self) {
        let left = self.left();
        if left != 0 {
            // SAFETY: what is left is a chunk of so many bytes: its tail is the one that talc wrote.
            unsafe { self.talc.deallocate(self.reserve, of_chunk(left)) };
            self.reserve = self.reserve_end;
        }
    }

    /// Bytes that are left of the reserve.
    #[inline]
    fn left(&self) -> usize {
        self.reserve_end.addr().wrapping_sub(self.reserve.addr())
    }

    /// Puts a block into the list of its class.
    ///
    /// # Safety
    /// It is a chunk of that class, which nobody has.
    #[inline]
    unsafe fn put(&mut self, class: usize, pointer: *mut u8) {
        let block = pointer.cast::<Block>();
        // SAFETY: blocks are aligned to a unit, which has room for a link.
        unsafe { block.write(Block { next: self.lists[class] }) };
        self.lists[class] = NonNull::new(block);
    }
}

/// Bytes that talc takes for a request.
#[inline]
const fn chunk_size(size: usize) -> usize {
    (size + TAIL).next_multiple_of(CHUNK_UNIT)
}

/// The class of a layout, if it is small.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= LARGEST_SMALL && layout.align() <= CHUNK_UNIT;
    // The size is not 0, and a chunk of one unit has class 0.
    is_small.then(|| (layout.size() + TAIL - 1) / CHUNK_UNIT)
}

/// The largest layout that talc serves by a chunk of so many bytes.
#[inline]
fn of_chunk(size: usize) -> Layout {
    // SAFETY: 1 is an alignment, and chunks are far smaller than memory.
    unsafe { Layout::from_size_align_unchecked(size - TAIL, 1) }
}
