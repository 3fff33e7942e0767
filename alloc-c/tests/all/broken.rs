//! Allocators with one fault each in how they serve headers: the programs must find it.
#![expect(unsafe_code, reason = "implements `HeaderAlloc`")]

use crate::through::{Through, programs_of_c};
use alloc_core::{
    ADDRESS_END, AllocatorKind, ControlBlock, HeaderAlloc, Memory, bump, header_size,
    testing::{FakeMemory, Rules, Runner},
};
use core::{alloc::Layout, sync::atomic::Ordering::Relaxed};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

const KIND: AllocatorKind = AllocatorKind::BumpReset;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Leaves no room for headers.
    LeavesNoRoom,
    /// Leaves room for one word of a header that has two.
    LeavesOneWord,
    /// Aligns the header instead of what follows it.
    AlignsHeader,
    /// Takes memory for zero that was used before.
    TrustsZero,
    /// Does not say which request failed.
    HidesFailure,
    /// Counts the header.
    CountsHeader,
}

/// A bump allocator with a fault.
struct Specimen<'m> {
    memory: &'m FakeMemory,
    fault: Fault,
}

impl Specimen<'_> {
    fn header(&self, align: usize) -> u32 {
        match self.fault {
            Fault::LeavesNoRoom => 0,
            Fault::LeavesOneWord => 4,
            _ => header_size(align),
        }
    }
}

// SAFETY: the tests prove that it is not what it promises, over a memory in which that does no harm.
unsafe impl HeaderAlloc for Specimen<'_> {
    fn control_block(&self) -> &ControlBlock {
        self.memory.control_block()
    }

    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8 {
        let header = self.header(layout.align());
        let block = self.memory.control_block();
        let failed = block.failed_size.load(Relaxed);
        if self.fault == Fault::AlignsHeader {
            let whole = Layout::from_size_align(layout.size() + header as usize, layout.align());
            let Ok(whole) = whole else { return alloc_core::claim::refuse(block, layout.size(), layout.align()) };
            let pointer = bump::alloc(&self.memory, KIND, 0, whole);
            return if pointer.is_null() { pointer } else { pointer.wrapping_add(header as usize) };
        }
        let pointer = bump::alloc(&self.memory, KIND, header, layout);
        if pointer.is_null() && self.fault == Fault::HidesFailure {
            block.failed_size.store(failed, Relaxed);
        }
        if !pointer.is_null() && self.fault == Fault::CountsHeader {
            block.allocated_bytes.fetch_add(header.into(), Relaxed);
        }
        pointer
    }

    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        let pointer = unsafe { self.alloc_headed(layout) };
        if self.fault != Fault::TrustsZero {
            // SAFETY: the newest allocation.
            unsafe { bump::fill(&self.memory, pointer, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { bump::dealloc_newest(&self.memory, self.header(layout.align()), pointer, layout) };
    }

    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe { bump::realloc(&self.memory, KIND, self.header(layout.align()), pointer, layout, new_size) }
    }
}

/// Puts a specimen through random programs, always the same ones, and gives what is found.
fn examine(fault: Fault) -> Option<String> {
    let config = Config { cases: 512, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&programs_of_c(64, 4096), |program| {
        let memory = FakeMemory::new(0x0011_0000, 40);
        let rules = Rules { kind: KIND, heap_end: ADDRESS_END, overhead: 16, resets: None };
        let found = Runner::new(&memory, Through(Specimen { memory: &memory, fault }), rules).run(&program);
        found.map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, _)) => Some(reason.message().to_owned()),
        Err(TestError::Abort(reason)) => panic!("not examined: {reason}"),
    }
}

#[track_caller]
fn assert_caught(fault: Fault, messages: &[&str]) {
    let found = examine(fault).unwrap_or_else(|| panic!("{fault:?} goes unnoticed"));
    assert!(messages.iter().any(|message| found.contains(message)), "{fault:?} is noticed as: {found}");
}

#[test]
fn nothing_wrong_is_found_where_nothing_is() {
    assert_eq!(examine(Fault::Nothing), None);
}

#[test]
fn a_header_without_room_is_caught() {
    assert_caught(Fault::LeavesNoRoom, &["is not what was written", "usable size", "overlaps"]);
}

#[test]
fn a_long_header_without_room_is_caught() {
    assert_caught(Fault::LeavesOneWord, &["is not what was written", "usable size"]);
}

#[test]
fn an_alignment_of_the_wrong_thing_is_caught() {
    assert_caught(Fault::AlignsHeader, &["is not aligned"]);
}

#[test]
fn trusting_used_memory_to_be_zero_is_caught() {
    assert_caught(Fault::TrustsZero, &["is not zero"]);
}

#[test]
fn a_failure_without_record_is_caught() {
    assert_caught(Fault::HidesFailure, &["failed_size is"]);
}

#[test]
#[cfg_attr(not(feature = "counters"), ignore = "nothing is counted")]
fn a_counted_header_is_caught() {
    assert_caught(Fault::CountsHeader, &["allocated_bytes is"]);
}
