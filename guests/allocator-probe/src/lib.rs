//! Runs programs against the guest's own allocator, inside wasm, and checks what it is given.
//!
//! Keys, values and intents do not touch the heap, so the allocator sees what the programs do and nothing else.

mod program;

use std::hint::black_box;

use guest_sdk::{Context, Error, KeyBuilder, Result, extension, storage};

/// Does nothing, for calls in between.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Runs a random program and leaves what the counters must say of it; the next call gets the next seed.
#[extension]
fn program(cx: &mut Context) -> Result<()> {
    let key = KeyBuilder::new(storage::VIEW, "allocator-probe.Program");
    let found = cx.get_value(&key)?;
    let seed = found.get_i64("Seed")?;
    let counted = program::run(seed, found.get_i64("Steps")?).map_err(|wrong| Error::application(1, wrong))?;
    let mut left = cx.update_value(&key, &found)?;
    left.put_i64("Seed", seed + 1);
    left.put_i64("Allocations", counted.allocations).put_i64("Deallocations", counted.deallocations);
    left.put_i64("Reallocations", counted.reallocations).put_i64("AllocatedBytes", counted.allocated_bytes);
    left.put_i64("FreedBytes", counted.freed_bytes);
    Ok(())
}

const LARGE: usize = 300_000;

/// Allocates two large blocks, frees them and does it again, 50 times over.
#[extension]
fn large_blocks_again(cx: &mut Context) -> Result<()> {
    let mut after_first = 0;
    for round in 0..50 {
        let blocks = [black_box(vec![1_u8; LARGE]), black_box(vec![2_u8; LARGE])];
        drop(blocks);
        if round == 0 {
            after_first = pages();
        }
    }
    let mut left = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
    left.put_i64("PagesAfterFirst", after_first).put_i64("PagesAfterLast", pages());
    Ok(())
}

/// Allocates 1 MiB and leaves its address.
#[extension]
fn grow(cx: &mut Context) -> Result<()> {
    let block = black_box(vec![1_u8; 1 << 20]);
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Address", i64::try_from(block.as_ptr().addr())?);
    Ok(())
}

/// Asks for more than there can be and gets nothing.
fn be_refused() -> Result<()> {
    let mut block = Vec::<u8>::new();
    match block.try_reserve_exact(black_box((1 << 31) - 65_536)) {
        Ok(()) => Err(Error::application(2, "2 GiB were served")),
        Err(_) => Ok(()),
    }
}

/// Asks for more than there can be, gets nothing, and allocates a little.
#[extension]
fn refused_and_served(_cx: &mut Context) -> Result<()> {
    be_refused()?;
    let block = black_box(vec![3_u8; 1000]);
    if block.iter().any(|byte| *byte != 3) {
        return Err(Error::application(3, "what was served does not hold what was written"));
    }
    Ok(())
}

/// Asks for more than there can be, gets nothing, and traps for another reason.
#[extension]
fn refused_and_trap(_cx: &mut Context) -> Result<()> {
    be_refused()?;
    trap();
}

/// Traps.
#[extension]
fn trap_only(_cx: &mut Context) -> Result<()> {
    trap();
}

/// Gets a record, then allocates until it fails.
#[extension]
fn get_and_exhaust(cx: &mut Context) -> Result<()> {
    black_box(cx.query_value(&KeyBuilder::new(storage::EVENT, ""))?);
    loop {
        black_box(vec![1_u8; 100_000].leak());
    }
}

/// The size of memory in pages; natively none.
fn pages() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return i64::try_from(core::arch::wasm32::memory_size::<0>()).unwrap_or(-1);
    #[cfg(not(target_arch = "wasm32"))]
    0
}

fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

#[cfg(test)]
mod tests {
    #[test]
    fn programs_pass_with_the_systems_allocator() {
        for seed in 0..20 {
            let counted = super::program::run(seed, 500).unwrap();
            assert_eq!(counted.allocations, counted.deallocations);
        }
    }
}
