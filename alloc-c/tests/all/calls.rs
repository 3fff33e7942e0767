//! Single calls, at the edges of what C's functions are defined for, over each allocator.
#![expect(unsafe_code, reason = "frees and resizes through raw pointers")]

use alloc_bump_reset::BumpResetAllocator;
use alloc_c::{HeaderAlloc, Interface};
use alloc_core::{Memory, testing::FakeMemory};
use alloc_freelist::FreelistAllocator;
use alloc_leaking::LeakingAllocator;

const START: u32 = 0x0010_0000;

/// An interface and its memory.
type Case<'a> = (&'a FakeMemory, &'a dyn Calls);

/// The interface, whatever the allocator is.
trait Calls {
    fn malloc(&self, size: usize) -> *mut u8;
    fn calloc(&self, count: usize, size: usize) -> *mut u8;
    fn aligned_alloc(&self, align: usize, size: usize) -> *mut u8;
    fn realloc(&self, pointer: *mut u8, size: usize) -> *mut u8;
    fn free(&self, pointer: *mut u8);
    fn usable_size(&self, pointer: *mut u8) -> usize;
}

impl<A: HeaderAlloc> Calls for A {
    fn malloc(&self, size: usize) -> *mut u8 {
        Interface(self).malloc(size)
    }

    fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        Interface(self).calloc(count, size)
    }

    fn aligned_alloc(&self, align: usize, size: usize) -> *mut u8 {
        Interface(self).aligned_alloc(align, size)
    }

    fn realloc(&self, pointer: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the tests pass what they were given, once.
        unsafe { Interface(self).realloc(pointer, size) }
    }

    fn free(&self, pointer: *mut u8) {
        // SAFETY: the tests pass what they were given, once.
        unsafe { Interface(self).free(pointer) };
    }

    fn usable_size(&self, pointer: *mut u8) -> usize {
        // SAFETY: the tests pass what is alive.
        unsafe { Interface(self).usable_size(pointer) }
    }
}

/// Does the same over each allocator.
fn with_each(test: impl Fn(Case<'_>)) {
    let memory = || FakeMemory::new(START, 40);
    let (one, two, three) = (memory(), memory(), memory());
    test((&one, &LeakingAllocator::over(&one)));
    test((&two, &BumpResetAllocator::over(&two)));
    test((&three, &FreelistAllocator::over(&three)));
}

/// The last failed request, according to the control block.
fn failed(memory: &FakeMemory) -> (u32, u32) {
    (memory.image().failed_size, memory.image().failed_align)
}

#[test]
fn no_bytes_have_addresses_of_their_own() {
    with_each(|(memory, calls)| {
        let pointers =
            [calls.malloc(0), calls.malloc(0), calls.calloc(0, 8), calls.aligned_alloc(64, 0), calls.malloc(1)];
        for (index, pointer) in pointers.iter().enumerate() {
            assert!(!pointer.is_null());
            assert!(!pointers[..index].contains(pointer), "{pointers:?}");
            assert!(memory.address(*pointer).is_multiple_of(16));
        }
        assert_eq!(calls.usable_size(pointers[0]), 0);
        pointers.iter().for_each(|pointer| calls.free(*pointer));
    });
}

#[test]
#[cfg_attr(not(feature = "counters"), ignore = "nothing is counted")]
fn null_is_freed_measured_and_resized() {
    with_each(|(memory, calls)| {
        calls.free(core::ptr::null_mut());
        assert_eq!(calls.usable_size(core::ptr::null_mut()), 0);
        assert_eq!(memory.image().deallocations, 0);
        let pointer = calls.realloc(core::ptr::null_mut(), 10);
        assert_eq!(calls.usable_size(pointer), 10);
        assert_eq!((memory.image().allocations, memory.image().reallocations), (1, 0));
    });
}

#[test]
#[cfg_attr(not(feature = "counters"), ignore = "nothing is counted")]
fn an_allocation_resized_to_nothing_is_still_one() {
    with_each(|(memory, calls)| {
        let pointer = calls.realloc(calls.malloc(100), 0);
        assert!(!pointer.is_null());
        assert_eq!(calls.usable_size(pointer), 0);
        calls.free(pointer);
        let image = memory.image();
        assert_eq!((image.allocations, image.reallocations, image.deallocations), (1, 1, 1));
        assert_eq!((image.allocated_bytes, image.freed_bytes), (100, 100));
    });
}

#[test]
fn an_array_that_no_address_can_hold_is_refused_and_recorded() {
    with_each(|(memory, calls)| {
        assert!(calls.calloc(usize::MAX, 2).is_null());
        assert_eq!(failed(memory), (u32::MAX, 16));
        assert!(calls.malloc(usize::MAX).is_null());
        assert!(calls.malloc(isize::MAX as usize - 15).is_null());
        assert_eq!(failed(memory), (u32::MAX, 16));
        assert!(!calls.malloc(1000).is_null());
    });
}

#[test]
#[cfg_attr(not(feature = "counters"), ignore = "nothing is counted")]
fn what_there_is_no_memory_for_is_refused_and_recorded_as_it_was_asked_for() {
    with_each(|(memory, calls)| {
        let pointer = calls.malloc(100);
        assert!(calls.malloc(3_000_001).is_null());
        assert_eq!(failed(memory), (3_000_001, 16));
        assert!(calls.aligned_alloc(64, 3_000_002).is_null());
        assert_eq!(failed(memory), (3_000_002, 64));
        assert!(calls.calloc(3, 1_000_001).is_null());
        assert_eq!(failed(memory), (3_000_003, 16));
        assert!(calls.realloc(pointer, 3_000_004).is_null());
        assert_eq!(failed(memory), (3_000_004, 16));
        assert!(calls.realloc(pointer, usize::MAX).is_null());
        assert_eq!(failed(memory), (u32::MAX, 16));
        assert_eq!(calls.usable_size(pointer), 100);
        assert_eq!((memory.image().allocations, memory.image().allocated_bytes), (1, 100));
    });
}

#[test]
fn an_alignment_that_is_none_is_refused_and_not_recorded() {
    with_each(|(memory, calls)| {
        for align in [0, 3, 24, usize::MAX] {
            assert!(calls.aligned_alloc(align, 8).is_null(), "{align}");
        }
        assert_eq!(failed(memory), (0, 0));
        assert!(calls.aligned_alloc(1 << 31, 8).is_null());
        assert_eq!(failed(memory), (8, 1 << 31));
        assert!(calls.aligned_alloc(1 << 31, 0).is_null());
    });
}

#[test]
fn alignments_are_kept_when_an_allocation_moves() {
    with_each(|(memory, calls)| {
        for align in [1, 16, 32, 64, 4096] {
            let mut pointer = calls.aligned_alloc(align, 40);
            for size in [39, 3000, 10, 70_000] {
                // Another allocation behind it lets nothing grow where it is.
                calls.malloc(1);
                pointer = calls.realloc(pointer, size);
                assert!(memory.address(pointer).is_multiple_of(align.max(16) as u32), "{align}");
                assert_eq!(calls.usable_size(pointer), size);
            }
        }
    });
}

#[test]
fn the_newest_allocation_grows_where_it_is() {
    with_each(|(_, calls)| {
        calls.malloc(10);
        let pointer = calls.malloc(8000);
        assert_eq!(calls.realloc(pointer, 20_000), pointer);
        assert_eq!(calls.realloc(pointer, 500), pointer);
    });
}

#[test]
fn a_small_allocation_over_a_bump_pointer_takes_4_bytes_more() {
    let memory = FakeMemory::new(START, 4);
    let allocator = LeakingAllocator::over(&memory);
    let first = Interface(&allocator).malloc(12);
    assert_eq!(memory.address(first), START + 16);
    for _ in 0..10 {
        Interface(&allocator).malloc(12);
    }
    assert_eq!(memory.image().top, START + 16 * 11 + 12);
}

#[test]
fn a_freed_newest_allocation_gives_its_header_back() {
    let memory = FakeMemory::new(START, 4);
    let allocator = BumpResetAllocator::over(&memory);
    let calls: &dyn Calls = &allocator;
    let kept = calls.malloc(12);
    let top = memory.image().top;
    for align in [16, 64] {
        let pointer = calls.aligned_alloc(align, 100);
        calls.free(pointer);
        assert!(memory.image().top < memory.address(pointer));
        assert_eq!(calls.aligned_alloc(align, 100), pointer);
        calls.free(pointer);
    }
    assert!(memory.image().top >= top);
    assert_eq!(calls.usable_size(kept), 12);
}
