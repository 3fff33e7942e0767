//! Random programs, and restores of them, against a model.

use crate::rules;
use alloc_core::testing::{FakeMemory, Runner, pages_stay_flat, programs};
use alloc_freelist::FreelistAllocator;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_run_as_modelled(program in programs(100), start in 0x0010_0001_u32..0x0012_0000) {
        let memory = FakeMemory::new(start, 64);
        Runner::new(&memory, FreelistAllocator::over(&memory), rules()).run(&program)?;
    }

    #[test]
    fn programs_near_4_gib_run_as_modelled(program in programs(100), pages in 1_u32..48) {
        let memory = FakeMemory::new(0xFFF0_0000 - pages * 0x1_0000 + 1, 64);
        Runner::new(&memory, FreelistAllocator::over(&memory), rules()).run(&program)?;
    }

    #[test]
    fn pages_do_not_creep(program in programs(60), virtual_growth: bool) {
        let memory = FakeMemory::new(0x0010_0001, 64);
        pages_stay_flat(&memory, FreelistAllocator::over(&memory), rules(), &program, virtual_growth)?;
    }
}
