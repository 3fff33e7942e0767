//! Recorded programs beside a model of what must be recorded.
#![expect(unsafe_code, reason = "calls an allocator by hand")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use alloc_trace::{ALIGNMENT, MAX_SIZE, Operation, RecordError, RecordingAllocator};
use proptest::prelude::*;

/// The next step of a program.
#[derive(Debug, Clone)]
enum Do {
    Alloc { size: usize, align_log2: u32, zeroed: bool },
    Free(prop::sample::Index),
    Realloc(prop::sample::Index, usize),
}

fn any_program() -> impl Strategy<Value = Vec<Do>> {
    let alloc = (1..5_000_usize, prop_oneof![4 => 0..5_u32, 1 => 0..13_u32], any::<bool>())
        .prop_map(|(size, align_log2, zeroed)| Do::Alloc { size, align_log2, zeroed });
    let index = any::<prop::sample::Index>();
    let step = prop_oneof![
        2 => alloc,
        1 => index.clone().prop_map(Do::Free),
        1 => (index, 1..5_000_usize).prop_map(|(index, size)| Do::Realloc(index, size)),
    ];
    prop::collection::vec(step, 0..120)
}

/// A block that is alive, and its number if the recording saw it begin.
struct Block {
    pointer: *mut u8,
    layout: Layout,
    number: Option<u32>,
}

/// Runs a program, of which the first `before` steps are not recorded, and what must be recorded.
fn run(allocator: &RecordingAllocator<System>, program: &[Do], before: usize) -> (Vec<Operation>, Vec<Operation>) {
    let (mut alive, mut expected, mut made): (Vec<Block>, Vec<Operation>, u32) = (Vec::new(), Vec::new(), 0);
    let mut recording = None;
    let bytes = |layout: Layout| u32::try_from(layout.size() + layout.align().saturating_sub(ALIGNMENT)).unwrap();
    for (index, step) in program.iter().enumerate() {
        if index == before {
            recording = Some(allocator.start().unwrap());
        }
        let mut begin = |layout| {
            recording.is_some().then(|| {
                expected.push(Operation::Alloc { size: bytes(layout) });
                made += 1;
                made - 1
            })
        };
        match step {
            Do::Alloc { size, align_log2, zeroed } => {
                let layout = Layout::from_size_align(*size, 1 << align_log2).unwrap();
                // SAFETY: the layout has more than no bytes.
                let pointer = unsafe { if *zeroed { allocator.alloc_zeroed(layout) } else { allocator.alloc(layout) } };
                assert!(!pointer.is_null());
                alive.push(Block { pointer, layout, number: begin(layout) });
            }
            Do::Free(index) if !alive.is_empty() => {
                let block = alive.swap_remove(index.index(alive.len()));
                // SAFETY: the block is alive and has this layout.
                unsafe { allocator.dealloc(block.pointer, block.layout) };
                expected.extend(block.number.map(|allocation| Operation::Free { allocation }));
            }
            Do::Realloc(index, size) if !alive.is_empty() => {
                let index = index.index(alive.len());
                let block = &mut alive[index];
                // SAFETY: the block is alive and has this layout; the new size is small and not 0.
                block.pointer = unsafe { allocator.realloc(block.pointer, block.layout, *size) };
                assert!(!block.pointer.is_null());
                block.layout = Layout::from_size_align(*size, block.layout.align()).unwrap();
                match block.number {
                    Some(allocation) => expected.push(Operation::Realloc { allocation, size: bytes(block.layout) }),
                    None => block.number = begin(block.layout),
                }
            }
            _ => {}
        }
    }
    let trace = recording.map(|recording| recording.finish().unwrap()).unwrap_or_default();
    for block in alive {
        // SAFETY: the block is alive and has this layout.
        unsafe { allocator.dealloc(block.pointer, block.layout) };
    }
    (trace.operations().to_vec(), expected)
}

proptest! {
    #[test]
    fn a_recorded_program_is_the_models(program in any_program(), before in 0..20_usize) {
        let allocator = RecordingAllocator::new(System);
        let (recorded, expected) = run(&allocator, &program, before);
        prop_assert_eq!(recorded, expected);
        // And the next recording knows nothing of this one.
        let ((), trace) = allocator.record(|| ()).unwrap();
        prop_assert!(trace.operations().is_empty());
    }
}

#[test]
fn one_recording_at_a_time_and_one_that_is_dropped_is_over() {
    let allocator = RecordingAllocator::new(System);
    let first = allocator.start().unwrap();
    assert_eq!(allocator.start().err(), Some(RecordError::AlreadyRecording));
    drop(first);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = allocator.record(|| panic!("the program panics"));
    }));
    assert!(panicked.is_err());
    allocator.start().unwrap().finish().unwrap();
}

/// Serves so many requests and refuses the others.
struct Few(Cell<u32>);

// SAFETY: it serves by an allocator that keeps the contract, or not at all.
unsafe impl GlobalAlloc for Few {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.0.get().checked_sub(1) {
            // SAFETY: the caller keeps the same contract.
            Some(left) => unsafe {
                self.0.set(left);
                System.alloc(layout)
            },
            None => std::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[test]
fn requests_that_are_refused_are_not_recorded() {
    let allocator = RecordingAllocator::new(Few(Cell::new(2)));
    let recording = allocator.start().unwrap();
    let layout = Layout::new::<u64>();
    // SAFETY: the layout has more than no bytes; what was allocated is freed once.
    unsafe {
        let block = allocator.alloc(layout);
        assert!(!block.is_null());
        // The second request was for the log, and there is no third.
        assert!(allocator.alloc(layout).is_null());
        assert!(allocator.realloc(block, layout, 16).is_null());
        allocator.dealloc(block, layout);
    }
    assert_eq!(recording.finish().unwrap().to_string(), "Alloc(8),\nFree(0),\n");
}

#[test]
fn without_memory_for_the_log_there_is_an_error_and_no_half_trace() {
    let allocator = RecordingAllocator::new(Few(Cell::new(1)));
    let recording = allocator.start().unwrap();
    let layout = Layout::new::<u64>();
    // SAFETY: the layout has more than no bytes; what was allocated is freed once.
    unsafe {
        let block = allocator.alloc(layout);
        assert!(!block.is_null());
        allocator.dealloc(block, layout);
    }
    assert_eq!(recording.finish(), Err(RecordError::OutOfMemory));
}

#[test]
fn a_block_that_no_trace_can_have_is_an_error() {
    /// Gives out an address for whatever is asked.
    struct Any;
    // SAFETY: the test writes nothing to what it gets, and the log has a system that serves it.
    unsafe impl GlobalAlloc for Any {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match layout.size() > MAX_SIZE as usize {
                true => std::ptr::without_provenance_mut(4096),
                // SAFETY: the caller keeps the same contract.
                false => unsafe { System.alloc(layout) },
            }
        }
        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller keeps the same contract.
            unsafe { System.dealloc(pointer, layout) };
        }
    }
    let allocator = RecordingAllocator::new(Any);
    let recording = allocator.start().unwrap();
    let size = MAX_SIZE as usize + 1;
    // SAFETY: the layout has more than no bytes.
    let _ = unsafe { allocator.alloc(Layout::from_size_align(size, 8).unwrap()) };
    assert_eq!(recording.finish(), Err(RecordError::SizeTooLarge { size }));
}

#[test]
fn threads_take_turns_and_the_trace_is_valid() {
    static ALLOCATOR: RecordingAllocator<System> = RecordingAllocator::new(System);
    const ROUNDS: u32 = 2_000;
    let layout = Layout::new::<[u64; 3]>();
    let ((), trace) = ALLOCATOR
        .record(|| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..ROUNDS {
                            // SAFETY: the layout has more than no bytes; what was allocated is freed once.
                            unsafe { ALLOCATOR.dealloc(ALLOCATOR.alloc(layout), layout) };
                        }
                    });
                }
            });
        })
        .unwrap();
    let summary = trace.summary();
    assert_eq!((summary.allocations, summary.frees, summary.live_blocks), (4 * 2_000, 4 * 2_000, 0));
}
