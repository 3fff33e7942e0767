//! Single cases: where the newest allocation grows, and what happens at the ends of the scale.
#![expect(unsafe_code, reason = "calls a `GlobalAlloc`")]

use alloc_core::{ADDRESS_END, Memory, testing::FakeMemory};
use alloc_leaking::LeakingAllocator;
use core::alloc::{GlobalAlloc, Layout};

const START: u32 = 0x0010_0000;

/// An allocation of so many bytes, or null.
fn alloc(allocator: &impl GlobalAlloc, size: usize, align: usize) -> *mut u8 {
    // SAFETY: no test asks for 0 bytes.
    unsafe { allocator.alloc(layout(size, align)) }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn nothing_is_freed_and_everything_counted() {
    let memory = FakeMemory::new(START, 4);
    let allocator = LeakingAllocator::over(&memory);
    let first = alloc(&allocator, 100, 1);
    // SAFETY: allocated above.
    unsafe { allocator.dealloc(first, layout(100, 1)) };
    let second = alloc(&allocator, 10, 8);
    assert_eq!(memory.address(second), memory.address(first) + 104);
    let image = memory.image();
    assert_eq!(image.top, START + 114);
    if image.counts() {
        assert_eq!((image.allocations, image.deallocations), (2, 1));
        assert_eq!((image.allocated_bytes, image.freed_bytes, image.peak_live_bytes), (110, 100, 100));
    }
}

#[test]
fn the_newest_allocation_grows_and_shrinks_where_it_is() {
    let memory = FakeMemory::new(START, 40);
    let allocator = LeakingAllocator::over(&memory);
    alloc(&allocator, 3, 1);
    let pointer = alloc(&allocator, 5, 1);
    // SAFETY: allocated above, with the layouts that it has by then.
    unsafe {
        // Across pages that are not there yet.
        assert_eq!(allocator.realloc(pointer, layout(5, 1), 1 << 20), pointer);
        assert_eq!(memory.image().top, START + 3 + (1 << 20));
        assert_eq!(allocator.realloc(pointer, layout(1 << 20, 1), 7), pointer);
    }
    let image = memory.image();
    assert_eq!((image.top, image.high_water), (START + 10, START + 3 + (1 << 20)));
}

#[test]
fn an_older_allocation_moves_to_grow_and_stays_to_shrink() {
    let memory = FakeMemory::new(START, 4);
    let allocator = LeakingAllocator::over(&memory);
    let pointer = alloc(&allocator, 32, 8);
    alloc(&allocator, 1, 1);
    // SAFETY: allocated above, with the layouts that it has by then.
    let moved = unsafe {
        assert_eq!(allocator.realloc(pointer, layout(32, 8), 16), pointer);
        allocator.realloc(pointer, layout(16, 8), 17)
    };
    assert_eq!(memory.address(moved), START + 40);
}

#[test]
fn a_grown_allocation_that_does_not_fit_is_refused_and_recorded_as_a_whole() {
    let memory = FakeMemory::new(START, 1);
    let allocator = LeakingAllocator::over(&memory);
    let pointer = alloc(&allocator, 1000, 64);
    // SAFETY: allocated above.
    let refused = unsafe { allocator.realloc(pointer, layout(1000, 64), 1 << 20) };
    assert!(refused.is_null());
    let image = memory.image();
    assert_eq!((image.failed_size, image.failed_align, image.top), (1 << 20, 64, START + 1000));
}

#[test]
fn what_cannot_be_served_changes_nothing_but_the_record() {
    let memory = FakeMemory::new(0xFFF0_0000, 1000);
    let allocator = LeakingAllocator::over(&memory);
    for (size, align) in [
        (i32::MAX as usize, 1),
        (i32::MAX as usize - 15, 16),
        (1 << 30, 1 << 29),
        (u32::MAX as usize, 1),
        (isize::MAX as usize, 1),
        (1, 1 << 30),
        (1, 1 << 40),
    ] {
        assert!(alloc(&allocator, size, align).is_null(), "{size:#x} aligned to {align:#x}");
        let image = memory.image();
        let expected = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        assert_eq!((image.failed_size, image.failed_align), (expected(size), expected(align)));
        assert_eq!((image.top, image.allocations), (0xFFF0_0000, 0));
    }
}

#[test]
fn the_last_byte_below_the_end_is_served() {
    let memory = FakeMemory::new(0xFFF0_0000, 1000);
    let allocator = LeakingAllocator::over(&memory);
    let pointer = alloc(&allocator, (ADDRESS_END - 0xFFF0_0000) as usize, 1);
    assert_eq!(memory.address(pointer), 0xFFF0_0000);
    assert!(alloc(&allocator, 1, 1).is_null());
    assert_eq!(memory.image().top, ADDRESS_END);
}

#[test]
fn large_alignments_are_served() {
    let memory = FakeMemory::new(START + 1, 64);
    let allocator = LeakingAllocator::over(&memory);
    for align in [1 << 16, 1 << 20] {
        let pointer = alloc(&allocator, 1, align);
        assert_eq!(memory.address(pointer) as usize % align, 0);
        assert_eq!(pointer.addr() % align, 0);
    }
}

#[test]
fn fresh_memory_is_not_filled() {
    let memory = FakeMemory::new(START, 4);
    let allocator = LeakingAllocator::over(&memory);
    let saved = memory.save();
    // SAFETY: the sizes are not 0; the bytes written are the allocation's own or nobody's.
    unsafe {
        allocator.alloc_zeroed(layout(64, 1));
        // A host that dirties memory without saying so finds it as it was: the allocator did not write there.
        memory.pointer(START + 100).write(7);
        let pointer = allocator.alloc_zeroed(layout(64, 1));
        assert_eq!(pointer.add(36).read(), 7);
        memory.restore(&saved, false);
        // Below the high-water mark it does.
        memory.control_block().high_water.store(START + 40, core::sync::atomic::Ordering::Relaxed);
        memory.pointer(START + 39).write(7);
        memory.pointer(START + 40).write(8);
        let pointer = allocator.alloc_zeroed(layout(64, 1));
        assert_eq!((pointer.add(39).read(), pointer.add(40).read()), (0, 8));
    }
}
