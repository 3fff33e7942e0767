//! An allocator takes the same instructions wherever its heap begins, so counts do not change with a guest's statics.

use std::mem::offset_of;

use benches::guests;
use benches::heaps::Workload;
use benches::instructions::counting_engine;
use guest_abi::ControlBlock;
use guest_abi::control_block::MAGIC;
use guest_host::{Engine, Guest};
use guest_prepare::PrepareOptions;

/// Bytes of statics that are added below the heap: multiples of 16, as the linker aligns the heap's base.
const PADDINGS: [u32; 5] = [0, 16, 112, 1008, 4096];

/// Loads a guest of the benchmark with its heap moved up by `padding` bytes. The control block, a static, has the heap's base.
fn padded(engine: &Engine, name: &str, padding: u32) -> Guest {
    let mut module = std::fs::read(guests::path(name)).expect("`cargo xtask guests` builds the guest");
    let block = module.windows(4).position(|word| word == MAGIC.to_le_bytes()).expect("the guest has a control block");
    let mut move_up = |at: usize| {
        let word = module[block + at..].first_chunk_mut().expect("the block is whole");
        *word = (u32::from_le_bytes(*word) + padding).to_le_bytes();
    };
    move_up(offset_of!(ControlBlock, heap_base));
    move_up(offset_of!(ControlBlock, top));
    move_up(offset_of!(ControlBlock, limit));
    let options = PrepareOptions::default().with_count_allocations(false);
    Guest::load(engine, name, &module, options).expect("the guest can be loaded")
}

/// Instructions of a workload, in memory that has the pages for it.
fn instructions(workload: Workload, guest: &Guest) -> u64 {
    let mut instance = workload.of_guest(guest).expect("an instance can be made");
    let mut run = || {
        instance.restore().expect("the instance can be restored");
        let outcome = instance.invoke_by_name(workload.function()).expect("the workload runs");
        outcome.stats().instructions.expect("the engine counts")
    };
    run();
    run()
}

#[test]
fn counts_do_not_depend_on_where_the_heap_begins() {
    let engine = counting_engine().expect("the machine has engines");
    for name in ["replay-freelist", "replay-wee", "replay-leaking", "replay-bump-reset"] {
        for workload in [Workload::Random, Workload::Trace("markdown")] {
            let counts = PADDINGS.map(|padding| instructions(workload, &padded(&engine, name, padding)));
            assert_eq!(counts, [counts[0]; PADDINGS.len()], "{} of {name}", workload.name());
        }
    }
}
