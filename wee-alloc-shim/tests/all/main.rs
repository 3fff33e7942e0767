//! Integration tests: the interface, and the leak that is not there.
#![expect(unsafe_code, reason = "calls a `GlobalAlloc`")]

use alloc_core::{AllocatorKind, Memory, testing::FakeMemory};
use alloc_freelist::FreelistAllocator;
use core::alloc::{GlobalAlloc, Layout};
use wee_alloc::WeeAlloc;

// As guests write it. Natively it is the system's allocator, so this test runs on it.
#[global_allocator]
static ALLOCATOR: WeeAlloc = WeeAlloc::INIT;

/// What the original promises of its type.
const fn shared<T: Sync>(_: &T) {}
const _: () = shared(&ALLOCATOR);

#[test]
fn it_serves_this_test() {
    let words: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(words.concat().len(), 2890);
}

#[test]
fn the_lifetime_of_the_original_is_there() {
    fn kind_of<'a>() -> WeeAlloc<'a> {
        WeeAlloc::INIT
    }
    assert_eq!(format!("{:?}", kind_of()), "WeeAlloc { .. }");
    assert_eq!(wee_alloc::PAGE_SIZE.0, 65_536);
}

#[test]
fn two_large_allocations_freed_and_made_again_do_not_grow_memory() {
    let memory = FakeMemory::new(0x0010_0000, 1000);
    // What `WeeAlloc` is on wasm32.
    let allocator = FreelistAllocator::of_kind(&memory, AllocatorKind::Wee);
    let layout = Layout::from_size_align(1 << 20, 8).unwrap();
    let round = || {
        // SAFETY: the size is not 0, and what is allocated here is freed here.
        unsafe {
            let both = [allocator.alloc(layout), allocator.alloc(layout)];
            assert!(both.iter().all(|pointer| !pointer.is_null()));
            both.iter().for_each(|pointer| allocator.dealloc(*pointer, layout));
        }
    };
    round();
    let (pages, top) = (memory.pages(), memory.image().top);
    (0..100).for_each(|_| round());
    assert_eq!((memory.pages(), memory.image().top), (pages, top));
    assert_eq!(memory.image().allocator(), Some(AllocatorKind::Wee));
}
