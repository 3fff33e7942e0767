//! Programs of allocations, frees, resets and restores, by each of our allocators over a fake memory, against the byte
//! model of `alloc-core`.

use alloc_bump_reset::BumpResetAllocator;
use alloc_core::testing::{FakeMemory, Operation, ResetCalls, Residue, Rules, Runner, pages_stay_flat};
use alloc_core::{ADDRESS_END, AllocatorKind};
use alloc_freelist::{CLAIM_STEP, FreelistAllocator, HEAP_END};
use alloc_leaking::LeakingAllocator;
use arbitrary::{Result, Unstructured};

/// Pages that the fake memory can still grow by.
const SPARE_PAGES: u32 = 64;

/// Steps of the longest program.
const MOST_STEPS: usize = 400;

/// Runs the program that the input describes.
///
/// # Errors
/// The first violation.
pub fn run(input: &[u8]) -> std::result::Result<String, String> {
    let Ok(plan) = Plan::read(&mut Unstructured::new(input)) else { return Ok("too short".to_owned()) };
    plan.run().map_err(|violation| format!("{}: {violation}", plan.allocator.name()))?;
    let steps = if plan.program.is_empty() { "no steps" } else { "steps" };
    let repeated = if plan.repeated.is_some() { ", repeated" } else { "" };
    Ok(format!("{} {steps}{repeated}{}", plan.allocator.name(), if plan.at_the_end { ", near 4 GiB" } else { "" }))
}

struct Plan {
    allocator: AllocatorKind,
    at_the_end: bool,
    start: u32,
    /// Whether the program is repeated, and with virtual growth or without.
    repeated: Option<bool>,
    program: Vec<Operation>,
}

impl Plan {
    fn read(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let allocator = *bytes.choose(&[
            AllocatorKind::Leaking,
            AllocatorKind::BumpReset,
            AllocatorKind::Freelist,
            AllocatorKind::Wee,
        ])?;
        let at_the_end = bytes.ratio(1, 4)?;
        let start = if at_the_end {
            // The freelist leaves the last MiB alone.
            let end: u32 = if is_bump(allocator) { 0xFFFF_FFF0 } else { 0xFFF0_0000 };
            end - bytes.int_in_range(1..=47)? * 0x1_0000 + 1
        } else {
            bytes.int_in_range(0x0010_0001..=0x0011_FFFF)?
        };
        let repeated = if bytes.ratio(1, 4)? { Some(bytes.arbitrary()?) } else { None };
        let mut program = Vec::new();
        while !bytes.is_empty() && program.len() < MOST_STEPS {
            program.push(operation(bytes)?);
        }
        Ok(Self { allocator, at_the_end, start, repeated, program })
    }

    fn run(&self) -> std::result::Result<(), alloc_core::testing::Violation> {
        let memory = FakeMemory::new(self.start, SPARE_PAGES);
        match self.allocator {
            AllocatorKind::Leaking => self.carry_out(&memory, LeakingAllocator::over(&memory), bump_rules(None)),
            AllocatorKind::BumpReset => {
                let resets = ResetCalls { mark: BumpResetAllocator::mark, reset: BumpResetAllocator::reset };
                self.carry_out(&memory, BumpResetAllocator::over(&memory), bump_rules(Some(resets)))
            }
            kind => {
                // A step of the claim, its records, and rounding.
                let overhead = u64::from(CLAIM_STEP) + 1024;
                let rules = Rules { kind, heap_end: HEAP_END, overhead, resets: None };
                self.carry_out(&memory, FreelistAllocator::of_kind(&memory, kind), rules)
            }
        }
    }

    fn carry_out<A: std::alloc::GlobalAlloc>(
        &self,
        memory: &FakeMemory,
        allocator: A,
        rules: Rules<A>,
    ) -> std::result::Result<(), alloc_core::testing::Violation> {
        match self.repeated {
            Some(virtual_growth) => pages_stay_flat(memory, allocator, rules, &self.program, virtual_growth),
            None => Runner::new(memory, allocator, rules).run(&self.program),
        }
    }
}

const fn is_bump(kind: AllocatorKind) -> bool {
    matches!(kind, AllocatorKind::Leaking | AllocatorKind::BumpReset)
}

fn bump_rules<A>(resets: Option<ResetCalls<A>>) -> Rules<A> {
    let kind = if resets.is_some() { AllocatorKind::BumpReset } else { AllocatorKind::Leaking };
    Rules { kind, heap_end: ADDRESS_END, overhead: 0, resets }
}

fn operation(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match bytes.int_in_range(0..=23)? {
        0..=8 => Operation::Allocate { size: size(bytes)?, align: align(bytes)?, zeroed: bytes.arbitrary()? },
        9..=12 => Operation::Deallocate(bytes.arbitrary::<u8>()?.into()),
        13..=16 => Operation::Reallocate { which: bytes.arbitrary::<u8>()?.into(), size: size(bytes)? },
        17 => Operation::Mark,
        18 => Operation::MarkByCall,
        19 => Operation::Reset(if bytes.arbitrary()? { Residue::Keep } else { Residue::Scrub }),
        20 => Operation::ResetByCall,
        21 => Operation::Snapshot,
        22 => Operation::Restore { virtual_growth: bytes.arbitrary()? },
        _ => Operation::LimitPages(bytes.int_in_range(0..=8)?),
    })
}

/// Mostly small, sometimes some pages, and sometimes around what an address holds.
fn size(bytes: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match bytes.int_in_range(0..=7)? {
        0..=3 => bytes.int_in_range(1..=64)?,
        4 | 5 => bytes.int_in_range(65..=4096)?,
        6 => bytes.int_in_range(4097..=300_000)?,
        _ => {
            let power = 1_usize << bytes.int_in_range(12..=33)?;
            power - 32 + bytes.int_in_range(0..=64)?
        }
    })
}

fn align(bytes: &mut Unstructured<'_>) -> Result<usize> {
    let log = bytes.int_in_range(0..=20)?;
    Ok(1 << if log > 16 { log } else { log / 3 })
}
