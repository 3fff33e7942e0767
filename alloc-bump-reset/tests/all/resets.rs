//! Marks and resets, one at a time.
#![expect(unsafe_code, reason = "calls a `GlobalAlloc`")]

use alloc_bump_reset::BumpResetAllocator;
use alloc_core::{
    Memory,
    testing::{FakeMemory, Residue},
};
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
fn the_newest_allocation_gives_its_bytes_back_when_it_is_freed() {
    let memory = FakeMemory::new(START, 4);
    let allocator = BumpResetAllocator::over(&memory);
    let older = alloc(&allocator, 8, 8);
    let newest = alloc(&allocator, 100, 8);
    // SAFETY: allocated above.
    unsafe {
        allocator.dealloc(newest, layout(100, 8));
        assert_eq!((memory.image().top, memory.image().high_water), (START + 8, START + 108));
        assert_eq!(alloc(&allocator, 1, 8), newest);
        allocator.dealloc(older, layout(8, 8));
    }
    assert_eq!(memory.image().top, START + 9);
}

#[test]
fn a_mark_before_the_first_allocation_is_the_heaps_start() {
    let memory = FakeMemory::new(START, 4);
    let allocator = BumpResetAllocator::over(&memory);
    allocator.mark();
    assert_eq!(memory.image().mark, START);
    alloc(&allocator, 100, 1);
    // SAFETY: the allocation is not used.
    unsafe { allocator.reset() };
    assert_eq!((memory.image().top, memory.image().high_water), (START, START + 100));
}

#[test]
fn a_reset_without_a_mark_does_nothing() {
    let memory = FakeMemory::new(START, 4);
    let allocator = BumpResetAllocator::over(&memory);
    alloc(&allocator, 100, 1);
    // SAFETY: nothing is given up.
    unsafe { allocator.reset() };
    assert_eq!((memory.image().top, memory.image().high_water), (START + 100, 0));
}

#[test]
fn zeroed_memory_is_zero_after_every_kind_of_reset() {
    for residue in [None, Some(Residue::Keep), Some(Residue::Scrub)] {
        let memory = FakeMemory::new(START, 4);
        let allocator = BumpResetAllocator::over(&memory);
        alloc(&allocator, 10, 1);
        memory.mark();
        let saved = memory.save();
        for _ in 0..3 {
            // SAFETY: the sizes are not 0; nothing is used after it was reset.
            unsafe {
                let pointer = allocator.alloc_zeroed(layout(5000, 1));
                assert_eq!(memory.address(pointer), START + 10);
                assert!((0..5000).all(|at| pointer.add(at).read() == 0), "{residue:?}");
                pointer.write_bytes(0xFF, 5000);
                match residue {
                    None => allocator.reset(),
                    Some(residue) => memory.reset(&saved, residue),
                }
            }
        }
    }
}

#[test]
fn what_a_call_freed_below_the_mark_is_back_after_the_hosts_reset() {
    let memory = FakeMemory::new(START, 4);
    let allocator = BumpResetAllocator::over(&memory);
    let table = alloc(&allocator, 16, 1);
    // SAFETY: allocated above; after the reset it is as at the mark.
    unsafe {
        table.write_bytes(1, 16);
        memory.mark();
        let saved = memory.save();
        allocator.dealloc(table, layout(16, 1));
        assert_eq!(alloc(&allocator, 40, 1), table);
        table.write_bytes(2, 40);
        memory.reset(&saved, Residue::Keep);
        assert!((0..16).all(|at| table.add(at).read() == 1));
    }
    assert_eq!((memory.image().top, memory.image().high_water), (START + 16, START + 40));
}

#[test]
fn pages_of_before_a_reset_are_used_again() {
    let memory = FakeMemory::new(START, 1000);
    let allocator = BumpResetAllocator::over(&memory);
    memory.mark();
    let saved = memory.save();
    alloc(&allocator, 1 << 20, 1);
    let pages = memory.pages();
    for _ in 0..100 {
        memory.reset(&saved, Residue::Keep);
        assert!(!alloc(&allocator, 1 << 20, 1).is_null());
    }
    assert_eq!(memory.pages(), pages);
}
