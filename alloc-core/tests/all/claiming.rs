//! Pages: adopted before they are grown, grown ahead of the need, and no more than needed when that is refused.

use alloc_core::{
    ADDRESS_END,
    AllocatorKind::Leaking,
    Memory, PAGE_SIZE,
    claim::{MOST_PAGES_AHEAD, claim, claim_ahead},
    testing::FakeMemory,
};

const START: u32 = 0x0010_0000;

/// A memory with a heap of so many pages, none of them claimed, and so many to spare.
fn memory(pages: u32, spare: u32) -> FakeMemory {
    let memory = FakeMemory::new(START, pages + spare);
    assert!(memory.grow(pages));
    memory.set_spare_pages(spare);
    memory
}

#[test]
fn the_first_claim_adopts_what_is_there() {
    let memory = memory(3, 10);
    assert!(claim(&memory, Leaking, 1));
    let image = memory.image();
    assert_eq!((image.heap_base, image.top, image.limit), (START, START, START + 3 * PAGE_SIZE));
    assert_eq!((image.grows, image.kind), (0, Leaking as u16));
}

#[test]
fn memory_grows_by_an_eighth_of_itself_beyond_the_need() {
    let memory = memory(40, 100);
    let before = memory.pages();
    assert!(claim(&memory, Leaking, 42 * PAGE_SIZE));
    assert_eq!(memory.pages(), before + 2 + before / 8);
    assert_eq!(memory.image().limit, memory.pages() * PAGE_SIZE);
}

#[test]
fn a_large_memory_grows_by_the_cap() {
    let memory = memory(3000, 1000);
    let before = memory.pages();
    assert!(claim(&memory, Leaking, 3001 * PAGE_SIZE));
    assert_eq!(memory.pages(), before + 1 + MOST_PAGES_AHEAD);
}

#[test]
fn where_only_the_need_is_granted_the_need_is_taken() {
    let memory = memory(40, 2);
    let before = memory.pages();
    assert!(claim(&memory, Leaking, 42 * PAGE_SIZE));
    assert_eq!(memory.pages(), before + 2);
    assert!(!claim(&memory, Leaking, 42 * PAGE_SIZE + 1));
    assert_eq!(memory.image().limit, memory.pages() * PAGE_SIZE);
}

#[test]
fn what_is_wanted_beyond_the_need_is_taken_where_it_is_granted() {
    // Two pages are wanted, and an eighth of what there is on top of them; one is needed.
    for (spare, grown) in [(4, 4), (3, 1), (1, 1)] {
        let memory = memory(0, spare);
        let before = memory.pages();
        assert!(claim_ahead(&memory, Leaking, PAGE_SIZE, PAGE_SIZE + 1));
        assert_eq!(memory.pages(), before + grown, "{spare} pages can be added");
        assert_eq!(memory.image().limit, memory.pages() * PAGE_SIZE);
    }
    let memory = memory(1, 0);
    assert!(claim_ahead(&memory, Leaking, 1, PAGE_SIZE + 1), "what there is is enough");
    assert!(!claim_ahead(&memory, Leaking, PAGE_SIZE + 1, PAGE_SIZE + 2));
}

#[test]
fn many_small_claims_grow_rarely() {
    let memory = memory(0, 1000);
    for bytes in 1..=500 {
        assert!(claim(&memory, Leaking, bytes * PAGE_SIZE));
    }
    let expected = if cfg!(feature = "counters") { 1..=32 } else { 0..=0 };
    assert!(expected.contains(&memory.image().grows), "{} grows", memory.image().grows);
}

#[test]
fn after_a_restore_pages_are_adopted_again() {
    let memory = memory(0, 1000);
    let saved = memory.save();
    for _ in 0..100 {
        assert!(claim(&memory, Leaking, 20 * PAGE_SIZE));
        memory.restore(&saved, false);
        assert_eq!(memory.image().limit, START);
    }
    assert_eq!(memory.pages(), START / PAGE_SIZE + 20 + 2);
}

#[test]
fn the_end_of_the_address_space_is_the_end() {
    let memory = FakeMemory::new(0xFFFE_0000, 10);
    assert!(claim(&memory, Leaking, 0x1_FFF0));
    assert_eq!((memory.pages(), memory.image().limit), (1 << 16, ADDRESS_END));
    assert!(!claim(&memory, Leaking, 0x1_FFF1));
    // Sums that wrap are no smaller for it.
    assert!(!claim(&memory, Leaking, 0x2_0001));
    assert!(!claim(&memory, Leaking, u32::MAX));
    assert_eq!(memory.image().limit, ADDRESS_END);
}
