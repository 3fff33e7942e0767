//! Random programs through the interface, and restores and resets of them, against a byte model, over each allocator.
#![expect(unsafe_code, reason = "a reset is a promise of its caller")]

use crate::through::{Through, programs_of_c};
use alloc_bump_reset::BumpResetAllocator;
use alloc_core::{
    ADDRESS_END, AllocatorKind, HeaderAlloc, Memory,
    testing::{FakeMemory, Operation, ResetCalls, Rules, Runner, Violation, pages_stay_flat},
};
use alloc_freelist::{CLAIM_STEP, FreelistAllocator, HEAP_END};
use alloc_leaking::LeakingAllocator;
use proptest::prelude::*;

/// Largest alignment in programs for the bump allocators.
const MOST_BUMP: usize = 1 << 20;

/// For the freelist, whose blocks are longer by the alignment: small, so that refusals are held to little.
const MOST_FREELIST: usize = 4096;

/// Bytes that a header takes with the padding in front of it, the alignment of what follows not counted.
const HEADER: u64 = 16;

fn leaking<M: Memory>() -> Rules<Through<LeakingAllocator<M>>> {
    Rules { kind: AllocatorKind::Leaking, heap_end: ADDRESS_END, overhead: HEADER, resets: None }
}

fn bump_reset<M: Memory>() -> Rules<Through<BumpResetAllocator<M>>> {
    Rules {
        kind: AllocatorKind::BumpReset,
        heap_end: ADDRESS_END,
        overhead: HEADER,
        resets: Some(ResetCalls {
            mark: |through| through.0.mark(),
            // SAFETY: the runner gives up what lies above the mark first.
            reset: |through| unsafe { through.0.reset() },
        }),
    }
}

fn freelist<M: Memory>() -> Rules<Through<FreelistAllocator<M>>> {
    let overhead = u64::from(CLAIM_STEP) + 1024 + MOST_FREELIST as u64;
    Rules { kind: AllocatorKind::Freelist, heap_end: HEAP_END, overhead, resets: None }
}

fn run<A: HeaderAlloc>(
    memory: &FakeMemory,
    allocator: A,
    rules: Rules<Through<A>>,
    program: &[Operation],
) -> Result<(), Violation> {
    Runner::new(memory, Through(allocator), rules).run(program)
}

/// The same properties of each allocator.
macro_rules! properties {
    ($($module:ident: $allocator:ident, $rules:ident, $most:ident, $end:expr;)+) => {$(
        mod $module {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

                #[test]
                fn programs_run_as_modelled(
                    program in programs_of_c(100, $most),
                    start in 0x0010_0001_u32..0x0012_0000,
                ) {
                    let memory = FakeMemory::new(start, 64);
                    run(&memory, $allocator::over(&memory), $rules(), &program)?;
                }

                #[test]
                fn programs_near_4_gib_run_as_modelled(program in programs_of_c(100, $most), pages in 1_u32..48) {
                    let memory = FakeMemory::new($end - pages * 0x1_0000 + 1, 64);
                    run(&memory, $allocator::over(&memory), $rules(), &program)?;
                }

                #[test]
                fn pages_do_not_creep(program in programs_of_c(60, $most), virtual_growth: bool) {
                    let memory = FakeMemory::new(0x0010_0001, 64);
                    pages_stay_flat(&memory, Through($allocator::over(&memory)), $rules(), &program, virtual_growth)?;
                }
            }
        }
    )+};
}

properties! {
    over_leaking: LeakingAllocator, leaking, MOST_BUMP, ADDRESS_END;
    over_bump_reset: BumpResetAllocator, bump_reset, MOST_BUMP, ADDRESS_END;
    over_freelist: FreelistAllocator, freelist, MOST_FREELIST, HEAP_END;
}
