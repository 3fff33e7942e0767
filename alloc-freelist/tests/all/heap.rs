//! The claimed heap: how it grows, what comes back, and where it ends.
#![expect(unsafe_code, reason = "calls a `GlobalAlloc`")]

use alloc_core::{Memory, testing::FakeMemory};
use alloc_freelist::{CLAIM_STEP, FreelistAllocator, HEAP_END};
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
fn the_heap_is_claimed_in_steps() {
    let memory = FakeMemory::new(START, 100);
    let allocator = FreelistAllocator::over(&memory);
    alloc(&allocator, 10, 1);
    assert_eq!(memory.image().top, START + CLAIM_STEP);
    alloc(&allocator, 3000, 1);
    assert_eq!(memory.image().top, START + CLAIM_STEP);
    alloc(&allocator, 10_000, 1);
    assert_eq!(memory.image().top, START + 4 * CLAIM_STEP);
}

/// Allocates blocks of `size` bytes until the heap refuses one.
fn fill(allocator: &impl GlobalAlloc, size: usize) -> Vec<*mut u8> {
    let blocks = core::iter::from_fn(|| Some(alloc(allocator, size, 8)).filter(|block| !block.is_null()));
    blocks.collect()
}

#[test]
fn the_last_step_ends_where_memory_ends() {
    // Rooms that are no multiple of a step, the least of them smaller than one.
    for room in [2_048, 6_000, 9_008, 20_480, 0x1_0000 - 32] {
        for spare in [0, 1] {
            let memory = FakeMemory::new(START - room, spare);
            let allocator = FreelistAllocator::over(&memory);
            let served = fill(&allocator, 100).len() as u32 * 128;
            let room = room + spare * 0x1_0000;
            assert!(room - served < 1_024, "{served} of {room} bytes were served");
            assert_eq!(u64::from(memory.image().top), memory.reachable_end());
        }
    }
}

#[test]
fn before_a_request_is_refused_what_was_freed_is_joined() {
    for room in [20_000, 30_000, 40_000] {
        let memory = FakeMemory::new(START - room, 0);
        let allocator = FreelistAllocator::over(&memory);
        for block in fill(&allocator, 100) {
            // SAFETY: allocated above, with this layout.
            unsafe { allocator.dealloc(block, layout(100, 8)) };
        }
        let size = room as usize - 1_500;
        assert!(!alloc(&allocator, size, 8).is_null(), "{size} of {room} bytes are free");
    }
}

/// Distances from the heap's base, after each request, of the block and of the heap's end.
fn distances(start: u32) -> Vec<(u32, u32)> {
    let memory = FakeMemory::new(start, 100);
    let allocator = FreelistAllocator::over(&memory);
    let mut alive: Vec<(*mut u8, usize)> = Vec::new();
    let mut random = 1_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    let mut found = Vec::new();
    for _ in 0..3_000 {
        let size = (1 + next(8)) << next(12);
        match next(3) {
            // A third of the steps resizes a block. The others free one or allocate one. While no more than 200 blocks are
            // alive, none is freed, so the heap keeps growing.
            0 if !alive.is_empty() => {
                let which = next(alive.len());
                let (pointer, old_size) = alive[which];
                // SAFETY: allocated below, with this layout.
                alive[which] = (unsafe { allocator.realloc(pointer, layout(old_size, 8), size) }, size);
                found.push((memory.address(alive[which].0) - start, memory.image().top - start));
            }
            1 if alive.len() > 200 => {
                let (pointer, size) = alive.swap_remove(next(alive.len()));
                // SAFETY: allocated below, with this layout.
                unsafe { allocator.dealloc(pointer, layout(size, 8)) };
            }
            _ => {
                alive.push((alloc(&allocator, size, 8), size));
                found.push((memory.address(alive[alive.len() - 1].0) - start, memory.image().top - start));
            }
        }
    }
    assert!(memory.image().top - start > 10 * 0x1_0000, "the heap has grown over many pages");
    found
}

#[test]
fn a_heap_with_a_base_that_is_no_multiple_of_talcs_unit_stays_one_heap() {
    let end = |start| distances(start).last().map(|(_, end)| *end).expect("there are requests");
    let (even, odd) = (end(START), end(START + 4));
    // As long as the other, but for a step that the unit may cost: heaps beside each other share nothing at their border.
    assert!(odd.abs_diff(even) < 2 * CLAIM_STEP, "{odd} bytes instead of {even}");
}

#[test]
fn blocks_lie_at_the_same_distance_wherever_the_heap_begins() {
    // Multiples of 32, as natively talc's blocks begin at multiples of that.
    let expected = distances(START);
    for padding in [32, 96, 992, 4096, 4128, 0x8000, 0xFFE0, 0x1_0000] {
        assert_eq!(distances(START + padding), expected, "{padding} bytes higher");
    }
}

#[test]
fn what_was_freed_serves_again_and_neighbours_coalesce() {
    let memory = FakeMemory::new(START, 1000);
    let allocator = FreelistAllocator::over(&memory);
    let round = || {
        let blocks: Vec<_> = (0..8).map(|_| alloc(&allocator, 100_000, 8)).collect();
        // Every second one first, so that gaps have to find each other.
        for block in blocks.iter().step_by(2).chain(blocks.iter().skip(1).step_by(2)) {
            // SAFETY: allocated above.
            unsafe { allocator.dealloc(*block, layout(100_000, 8)) };
        }
        let whole = alloc(&allocator, 800_000, 8);
        // SAFETY: allocated above.
        unsafe { allocator.dealloc(whole, layout(800_000, 8)) };
    };
    round();
    let image = memory.image();
    for _ in 0..100 {
        round();
    }
    assert_eq!((memory.image().top, memory.image().limit), (image.top, image.limit));
}

#[test]
fn an_allocation_grows_into_what_is_free_behind_it() {
    let memory = FakeMemory::new(START, 100);
    let allocator = FreelistAllocator::over(&memory);
    let pointer = alloc(&allocator, 5_000, 8);
    let behind = alloc(&allocator, 10_000, 8);
    alloc(&allocator, 5_000, 8);
    // SAFETY: allocated above, with the layouts that they have by then.
    unsafe {
        allocator.dealloc(behind, layout(10_000, 8));
        assert_eq!(allocator.realloc(pointer, layout(5_000, 8), 10_000), pointer);
        assert_eq!(allocator.realloc(pointer, layout(10_000, 8), 10), pointer);
    }
}

#[test]
fn the_last_allocation_grows_with_the_heap() {
    let memory = FakeMemory::new(START, 100);
    let allocator = FreelistAllocator::over(&memory);
    let pointer = alloc(&allocator, 5_000, 8);
    for size in (5_000..1_000_000).step_by(5_000) {
        // SAFETY: allocated above, with the layout that it has by then.
        assert_eq!(unsafe { allocator.realloc(pointer, layout(size, 8), size + 5_000) }, pointer);
    }
    assert!(memory.image().top - START < 1_000_000 + 4 * CLAIM_STEP, "nothing was left behind");
    // SAFETY: as above.
    assert!(unsafe { allocator.realloc(pointer, layout(1_000_000, 8), 100 << 16) }.is_null());
    assert_eq!(memory.image().failed_size, 100 << 16);
}

#[test]
fn small_blocks_that_were_freed_coalesce_before_memory_grows() {
    let memory = FakeMemory::new(START, 16);
    let allocator = FreelistAllocator::over(&memory);
    for size in [16, 40, 200, 500] {
        let blocks: Vec<_> = (0..).map(|_| alloc(&allocator, size, 8)).take_while(|block| !block.is_null()).collect();
        assert!(blocks.len() * (size + 40) > 900_000, "{size}: {}", blocks.len());
        for block in blocks {
            // SAFETY: allocated above.
            unsafe { allocator.dealloc(block, layout(size, 8)) };
        }
        let whole = alloc(&allocator, 900_000, 8);
        assert!(!whole.is_null(), "{size}");
        // SAFETY: allocated above.
        unsafe { allocator.dealloc(whole, layout(900_000, 8)) };
    }
}

#[test]
fn a_small_block_that_was_freed_is_the_next_of_its_size() {
    let memory = FakeMemory::new(START, 100);
    let allocator = FreelistAllocator::over(&memory);
    let blocks: Vec<_> = (0..100).map(|_| alloc(&allocator, 40, 8)).collect();
    for block in &blocks {
        // SAFETY: allocated above.
        unsafe { allocator.dealloc(*block, layout(40, 8)) };
    }
    for block in blocks.iter().rev() {
        assert_eq!(alloc(&allocator, 37, 16), *block);
    }
}

#[test]
fn large_alignments_are_served_and_freed() {
    let memory = FakeMemory::new(START + 1, 100);
    let allocator = FreelistAllocator::over(&memory);
    let round = || {
        for align in [32, 4096, 1 << 16, 1 << 20] {
            let pointer = alloc(&allocator, 40, align);
            assert_eq!((pointer.addr() % align, memory.address(pointer) as usize % align), (0, 0));
            // SAFETY: allocated above.
            unsafe { allocator.dealloc(pointer, layout(40, align)) };
        }
    };
    round();
    let top = memory.image().top;
    (0..20).for_each(|_| round());
    assert_eq!(memory.image().top, top);
}

#[test]
fn near_4_gib_requests_that_would_wrap_are_refused() {
    let memory = FakeMemory::new(HEAP_END - 0x20_0000, 1000);
    let allocator = FreelistAllocator::over(&memory);
    let mut served = 0;
    while !alloc(&allocator, 60_000, 8).is_null() {
        served += 60_000;
    }
    assert!((0x1C_0000..0x20_0000).contains(&served), "{served:#x}");
    assert!(memory.image().top <= HEAP_END);
    for size in [1 << 20, 1 << 24, 1 << 30, i32::MAX as usize, u32::MAX as usize, isize::MAX as usize] {
        assert!(alloc(&allocator, size, 1).is_null(), "{size:#x}");
        assert_eq!(memory.image().failed_size, u32::try_from(size).unwrap_or(u32::MAX));
    }
    let small = alloc(&allocator, 1, 1);
    assert!(!small.is_null());
    // SAFETY: allocated above.
    assert!(unsafe { allocator.realloc(small, layout(1, 1), i32::MAX as usize) }.is_null());
}

#[test]
fn memory_behind_the_claimed_heap_is_untouched() {
    let memory = FakeMemory::new(START, 100);
    let allocator = FreelistAllocator::over(&memory);
    for size in [1, 5000, 100_000, 3_000_000] {
        alloc(&allocator, size, 8);
        assert_eq!(memory.first_dirty(memory.image().top), None);
    }
}
