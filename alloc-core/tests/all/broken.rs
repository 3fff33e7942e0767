//! Allocators with one fault each: the runner must find it, or its silence about others means nothing.
#![expect(unsafe_code, reason = "implements `GlobalAlloc`")]

use alloc_core::{
    ADDRESS_END, AllocatorKind, Memory, PAGE_SIZE, account, bump,
    testing::{FakeMemory, Operation, ResetCalls, Rules, Runner, Violation, pages_stay_flat, programs},
};
use core::{
    alloc::{GlobalAlloc, Layout},
    sync::atomic::Ordering::Relaxed,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

const KIND: AllocatorKind = AllocatorKind::BumpReset;

/// The fault of a [`Specimen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Takes memory that was reset for zero.
    TrustsReset,
    /// Lowers `top` without remembering how high it was.
    ForgetsHighWater,
    /// Gives back what is not the newest.
    GivesBackAny,
    /// Ignores alignments.
    Misaligns,
    /// Counts a `realloc` as an allocation too.
    CountsTwice,
    /// Does not say which request failed.
    HidesFailure,
    /// Refuses what would fit.
    RefusesEarly,
    /// Moves an allocation without what it holds.
    LosesContent,
    /// Grows whenever it needs pages, whether or not there are some.
    NeverReadopts,
    /// Keeps what lies above the mark.
    IgnoresReset,
}

/// A bump allocator with a fault.
struct Specimen<'m> {
    memory: &'m FakeMemory,
    fault: Fault,
}

impl Specimen<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Pages for a request, without looking whether there are any.
    fn grow_blindly(&self, layout: Layout) {
        let block = self.memory.control_block();
        let needed = layout.size() + layout.align();
        if needed > (block.limit.load(Relaxed) - block.top.load(Relaxed)) as usize {
            self.memory.grow(needed as u32 / PAGE_SIZE + 1);
        }
    }
}

// SAFETY: no promise is kept that the fault breaks; only the runner uses it, which expects that.
unsafe impl GlobalAlloc for Specimen<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.memory.control_block();
        let failed = (block.failed_size.load(Relaxed), block.failed_align.load(Relaxed));
        if self.has(Fault::RefusesEarly) && layout.size() > 1000 {
            return alloc_core::claim::refuse(block, layout.size(), layout.align());
        }
        if self.has(Fault::NeverReadopts) {
            self.grow_blindly(layout);
        }
        let align = if self.has(Fault::Misaligns) { 1 } else { layout.align() };
        let pointer = bump::alloc(&self.memory, KIND, 0, Layout::from_size_align(layout.size(), align).unwrap());
        if pointer.is_null() {
            block.failed_align.store(layout.align() as u32, Relaxed);
            if self.has(Fault::HidesFailure) {
                block.failed_size.store(failed.0, Relaxed);
                block.failed_align.store(failed.1, Relaxed);
            }
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let block = self.memory.control_block();
        if self.has(Fault::GivesBackAny) {
            account::deallocated(block, layout.size());
            block.high_water.fetch_max(block.top.load(Relaxed), Relaxed);
            block.top.store(self.memory.address(pointer), Relaxed);
            return;
        }
        let high_water = block.high_water.load(Relaxed);
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::dealloc_newest(&self.memory, 0, pointer, layout) };
        if self.has(Fault::ForgetsHighWater) {
            block.high_water.store(high_water, Relaxed);
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        let pointer = unsafe { self.alloc(layout) };
        if !self.has(Fault::TrustsReset) {
            // SAFETY: the newest allocation.
            unsafe { bump::fill(&self.memory, pointer, layout.size()) };
        }
        pointer
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as the caller's.
        let moved = unsafe { bump::realloc(&self.memory, KIND, 0, pointer, layout, new_size) };
        if self.has(Fault::CountsTwice) && !moved.is_null() {
            account::count(&self.memory.control_block().allocations);
        }
        if self.has(Fault::LosesContent) && moved != pointer && !moved.is_null() {
            // SAFETY: the new allocation is larger than the old one.
            unsafe { moved.write_bytes(0, layout.size()) };
        }
        moved
    }
}

fn rules<'m>() -> Rules<Specimen<'m>> {
    Rules {
        kind: KIND,
        heap_end: ADDRESS_END,
        overhead: 0,
        resets: Some(ResetCalls {
            mark: |specimen| bump::mark(&specimen.memory),
            reset: |specimen| {
                if !specimen.has(Fault::IgnoresReset) {
                    // SAFETY: the runner has given up what lies above the mark.
                    unsafe { bump::reset(&specimen.memory) }
                }
            },
        }),
    }
}

type Check = fn(&FakeMemory, Fault, &[Operation]) -> Result<(), Violation>;

/// Puts a specimen through random programs, always the same ones, and gives what is found.
fn examine(fault: Fault, check: Check) -> Option<String> {
    let config = Config { cases: 512, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&programs(64), |program| {
        let memory = FakeMemory::new(0x0011_0000, 40);
        check(&memory, fault, &program).map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, _)) => Some(reason.message().to_owned()),
        Err(TestError::Abort(reason)) => panic!("not examined: {reason}"),
    }
}

fn once(memory: &FakeMemory, fault: Fault, program: &[Operation]) -> Result<(), Violation> {
    Runner::new(memory, Specimen { memory, fault }, rules()).run(program)
}

fn repeatedly(memory: &FakeMemory, fault: Fault, program: &[Operation]) -> Result<(), Violation> {
    pages_stay_flat(memory, Specimen { memory, fault }, rules(), program, false)
}

#[track_caller]
fn assert_caught(fault: Fault, check: Check, messages: &[&str]) {
    let found = examine(fault, check).unwrap_or_else(|| panic!("{fault:?} goes unnoticed"));
    assert!(messages.iter().any(|message| found.contains(message)), "{fault:?} is noticed as: {found}");
}

#[test]
fn nothing_wrong_is_found_where_nothing_is() {
    assert_eq!(examine(Fault::Nothing, once), None);
    assert_eq!(examine(Fault::Nothing, repeatedly), None);
}

#[test]
fn trusting_reset_memory_to_be_zero_is_caught() {
    assert_caught(Fault::TrustsReset, once, &["is not zero"]);
}

#[test]
fn forgetting_the_high_water_mark_is_caught() {
    assert_caught(Fault::ForgetsHighWater, once, &["is not zero", "is dirty"]);
}

#[test]
fn giving_back_what_is_in_use_is_caught() {
    assert_caught(Fault::GivesBackAny, once, &["overlaps", "is outside of"]);
}

#[test]
fn a_wrong_alignment_is_caught() {
    assert_caught(Fault::Misaligns, once, &["is not aligned"]);
}

#[test]
#[cfg_attr(not(feature = "counters"), ignore = "nothing is counted")]
fn a_wrong_count_is_caught() {
    assert_caught(Fault::CountsTwice, once, &["allocations is"]);
}

#[test]
fn a_failure_without_record_is_caught() {
    assert_caught(Fault::HidesFailure, once, &["failed_size is"]);
}

#[test]
fn a_refusal_without_need_is_caught() {
    assert_caught(Fault::RefusesEarly, once, &["refused, though"]);
}

#[test]
fn content_lost_on_a_move_is_caught() {
    assert_caught(Fault::LosesContent, once, &["is not what was written"]);
}

#[test]
fn a_reset_that_does_nothing_is_caught() {
    assert_caught(Fault::IgnoresReset, once, &["a reset to"]);
}

#[test]
fn growing_without_readopting_is_caught() {
    assert_caught(Fault::NeverReadopts, repeatedly, &["pages after round"]);
}
