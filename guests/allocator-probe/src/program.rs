//! A random program of allocations over a fixed number of slots.
#![expect(unsafe_code, reason = "calls the allocator by hand")]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};

/// Blocks that are alive at one time.
const SLOTS: usize = 48;

/// Largest block of an ordinary step, in bytes.
const LARGEST: u32 = 6000;

/// What the allocator's counters must have grown by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) allocations: i64,
    pub(crate) deallocations: i64,
    pub(crate) reallocations: i64,
    pub(crate) allocated_bytes: i64,
    pub(crate) freed_bytes: i64,
}

/// A block that is alive. Each of its bytes is `fill`.
#[derive(Debug, Clone, Copy)]
struct Block {
    pointer: *mut u8,
    layout: Layout,
    fill: u8,
}

/// Runs `steps` random steps and then frees what is left.
pub(crate) fn run(seed: i64, steps: i64) -> Result<Counted, &'static str> {
    let mut random = Random(seed.cast_unsigned().wrapping_mul(2).wrapping_add(1));
    let mut slots = [None; SLOTS];
    let mut counted = Counted::default();
    for _ in 0..steps {
        let slot = &mut slots[random.below(SLOTS as u32) as usize];
        *slot = match *slot {
            None => Some(allocate(&mut random, &mut counted)?),
            Some(block) if random.below(3) == 0 => Some(resize(block, &mut random, &mut counted)?),
            Some(block) => {
                free(block, &mut counted)?;
                None
            }
        };
    }
    slots.into_iter().flatten().try_for_each(|block| free(block, &mut counted))?;
    Ok(counted)
}

fn bytes(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn allocate(random: &mut Random, counted: &mut Counted) -> Result<Block, &'static str> {
    // Mostly small ones, now and then one of up to 100 KB, and alignments up to a page.
    let bound = if random.below(40) == 0 { 100_000 } else { LARGEST };
    let size = random.below(bound) as usize + 1;
    let alignments = if random.below(20) == 0 { 17 } else { 5 };
    let align = 1_usize << random.below(alignments);
    let layout = Layout::from_size_align(size, align).map_err(|_| "a layout that is none")?;
    let zeroed = random.below(3) == 0;
    // SAFETY: the size is not 0.
    let pointer = unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } };
    if pointer.is_null() {
        return Err("a block was refused");
    }
    if !pointer.addr().is_multiple_of(align) {
        return Err("a block is not aligned");
    }
    // SAFETY: the block has this many bytes, and zeroed ones are initialised.
    if zeroed && unsafe { std::slice::from_raw_parts(pointer, size) }.iter().any(|byte| *byte != 0) {
        return Err("a zeroed block is not zero");
    }
    counted.allocations += 1;
    counted.allocated_bytes += bytes(size);
    let fill = random.below(255) as u8 + 1;
    // SAFETY: the block has this many bytes.
    unsafe { pointer.write_bytes(fill, size) };
    Ok(Block { pointer, layout, fill })
}

fn resize(block: Block, random: &mut Random, counted: &mut Counted) -> Result<Block, &'static str> {
    check(block, block.layout.size())?;
    let (old_size, new_size) = (block.layout.size(), random.below(2 * LARGEST) as usize + 1);
    // SAFETY: the block is alive and has this layout; the new size is not 0 and small.
    let pointer = unsafe { realloc(block.pointer, block.layout, new_size) };
    if pointer.is_null() {
        return Err("a reallocation was refused");
    }
    if !pointer.addr().is_multiple_of(block.layout.align()) {
        return Err("a reallocated block is not aligned");
    }
    counted.reallocations += 1;
    if new_size > old_size {
        counted.allocated_bytes += bytes(new_size - old_size);
    } else {
        counted.freed_bytes += bytes(old_size - new_size);
    }
    let layout = Layout::from_size_align(new_size, block.layout.align()).map_err(|_| "a layout that is none")?;
    let block = Block { pointer, layout, fill: block.fill };
    check(block, old_size.min(new_size))?;
    // SAFETY: the block has this many bytes.
    unsafe { pointer.write_bytes(block.fill, new_size) };
    Ok(block)
}

fn free(block: Block, counted: &mut Counted) -> Result<(), &'static str> {
    check(block, block.layout.size())?;
    counted.deallocations += 1;
    counted.freed_bytes += bytes(block.layout.size());
    // SAFETY: the block is alive, has this layout, and is not used any more.
    unsafe { dealloc(block.pointer, block.layout) };
    Ok(())
}

/// Whether a block still holds what was written to its first `size` bytes. Another one that overlaps it, or an
/// allocator that writes into it, would have changed that.
fn check(block: Block, size: usize) -> Result<(), &'static str> {
    // SAFETY: the block is alive, and at least this many bytes of it were written.
    let content = unsafe { std::slice::from_raw_parts(block.pointer, size) };
    if content.iter().all(|byte| *byte == block.fill) { Ok(()) } else { Err("a block was overwritten") }
}

/// xorshift64: George Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u32) -> u32 {
        ((self.next() >> 32) % u64::from(bound)) as u32
    }
}
