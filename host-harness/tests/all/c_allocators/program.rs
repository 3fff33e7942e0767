//! A random program of calls, and what must hold after each of them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::probe::Probe;

/// A request that no probe has the memory for.
pub(super) const TOO_MUCH: u32 = 1 << 30;

/// `EINVAL` and `ENOMEM` of WASI.
const EINVAL: i32 = 28;
const ENOMEM: i32 = 48;

/// Blocks that are alive at one time.
const SLOTS: usize = 64;

/// A block that is alive. Its bytes are counted up from `fill`.
#[derive(Clone, Debug)]
struct Block {
    address: u32,
    size: u32,
    align: u32,
    fill: u8,
}

impl Block {
    fn content(&self) -> impl Iterator<Item = u8> {
        let fill = self.fill;
        (0..self.size).map(move |at| fill.wrapping_add((at % 251) as u8))
    }

    fn overlaps(&self, other: &Self) -> bool {
        // An allocation of no bytes has its address for itself.
        let end = |block: &Self| u64::from(block.address) + u64::from(block.size.max(1));
        u64::from(self.address) < end(other) && u64::from(other.address) < end(self)
    }
}

/// The expected counters of the control block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    allocations: u64,
    deallocations: u64,
    reallocations: u64,
    allocated_bytes: u64,
    freed_bytes: u64,
    peak_live_bytes: u64,
    failed: (u32, u32),
}

impl Counted {
    fn requested(&mut self, bytes: u32) {
        self.allocated_bytes += u64::from(bytes);
        self.peak_live_bytes = self.peak_live_bytes.max(self.allocated_bytes - self.freed_bytes);
    }
}

/// A program that runs in a probe.
pub(super) struct Program<'p> {
    probe: &'p mut Probe,
    random: ChaCha8Rng,
    live: Vec<Block>,
    counted: Counted,
    /// Where `posix_memalign` puts its result: the program's first allocation.
    result: u32,
}

type Checked<T = ()> = Result<T, String>;

macro_rules! hold {
    ($condition:expr, $($told:tt)+) => {
        if !$condition {
            return Err(format!($($told)+));
        }
    };
}

impl<'p> Program<'p> {
    pub(super) fn new(probe: &'p mut Probe, seed: u64) -> Checked<Self> {
        let counted = Counted::default();
        let mut program = Self { probe, random: ChaCha8Rng::seed_from_u64(seed), live: Vec::new(), counted, result: 0 };
        program.allocate_as(|probe| probe.malloc(8), 8, 16, false)?;
        program.result = program.live.pop().map_or(0, |block| block.address);
        Ok(program)
    }

    /// Runs so many steps.
    pub(super) fn run(&mut self, steps: u32) -> Checked {
        for step in 0..steps {
            self.step().and_then(|()| self.check_counters()).map_err(|wrong| format!("step {step}: {wrong}"))?;
        }
        self.check_contents()
    }

    /// The probe that it runs in.
    pub(super) fn probe(&mut self) -> &mut Probe {
        self.probe
    }

    fn step(&mut self) -> Checked {
        let is_full = self.live.len() >= SLOTS;
        match self.random.random_range(0..100) {
            0..55 if !is_full => self.allocate(),
            0..75 => self.free(),
            75..95 => self.resize(),
            _ => self.fail(),
        }
    }

    fn size(&mut self) -> u32 {
        match self.random.random_range(0..40) {
            0 => 0,
            1 => self.random.random_range(10_000..150_000),
            2..20 => self.random.random_range(0..100),
            _ => self.random.random_range(0..4000),
        }
    }

    fn allocate(&mut self) -> Checked {
        let size = self.size();
        let align = 1 << self.random.random_range(0..13);
        match self.random.random_range(0..4) {
            0 => self.allocate_as(|probe| probe.malloc(size), size, 16, false),
            1 => {
                let count = if size.is_multiple_of(4) { 4 } else { 1 };
                self.allocate_as(|probe| probe.calloc(count, size / count), size, 16, true)
            }
            2 => self.allocate_as(|probe| probe.aligned_alloc(align, size), size, align, false),
            _ => {
                let (result, align) = (self.result, align.max(4));
                let call = |probe: &mut Probe| {
                    let error = probe.posix_memalign(result, align, size);
                    if error == 0 { word(probe, result) } else { 0 }
                };
                self.allocate_as(call, size, align, false)
            }
        }
    }

    fn allocate_as(&mut self, call: impl FnOnce(&mut Probe) -> u32, size: u32, align: u32, zeroed: bool) -> Checked {
        let address = call(self.probe);
        hold!(address != 0, "{size} bytes aligned to {align} are refused");
        let block = Block { address, size, align: align.max(16), fill: self.random.random() };
        self.check_place(&block)?;
        hold!(!zeroed || self.probe.bytes(address, size).iter().all(|byte| *byte == 0), "{block:x?} is not zero");
        self.counted.allocations += 1;
        self.counted.requested(size);
        self.fill(&block);
        self.live.push(block);
        Ok(())
    }

    fn check_place(&mut self, block: &Block) -> Checked {
        let end = u64::from(block.address) + u64::from(block.size);
        hold!(block.address.is_multiple_of(block.align), "{block:x?} is not aligned");
        hold!(end <= self.probe.end_of_memory(), "{block:x?} lies outside of memory");
        let usable = self.probe.usable_size(block.address);
        match self.probe.block() {
            Some(image) => {
                hold!(usable == block.size, "{block:x?} has {usable} usable bytes");
                let heap = image.heap_base..=image.top;
                hold!(heap.contains(&block.address) && end <= image.top.into(), "{block:x?} lies outside of {heap:x?}");
            }
            None => hold!(usable >= block.size, "{block:x?} has {usable} usable bytes"),
        }
        let other = self.live.iter().find(|other| block.overlaps(other));
        hold!(other.is_none(), "{block:x?} overlaps {other:x?}");
        Ok(())
    }

    fn fill(&mut self, block: &Block) {
        let bytes = self.probe.bytes_mut(block.address, block.size);
        bytes.iter_mut().zip(block.content()).for_each(|(byte, content)| *byte = content);
    }

    fn check_content(&self, block: &Block, size: u32) -> Checked {
        let found = self.probe.bytes(block.address, size).iter().copied();
        hold!(found.eq(block.content().take(size as usize)), "{block:x?} does not hold what was written");
        Ok(())
    }

    pub(super) fn check_contents(&self) -> Checked {
        self.live.iter().try_for_each(|block| self.check_content(block, block.size))
    }

    fn pick(&mut self) -> Option<usize> {
        // Mostly one of the newest, which a bump pointer can do more for.
        let live = self.live.len().checked_sub(1)?;
        let back = if self.random.random() { 0 } else { self.random.random_range(0..=live) };
        Some(live - back)
    }

    fn free(&mut self) -> Checked {
        let Some(index) = self.pick() else { return Ok(()) };
        let block = self.live.remove(index);
        self.check_content(&block, block.size)?;
        self.probe.free(block.address);
        self.counted.deallocations += 1;
        self.counted.freed_bytes += u64::from(block.size);
        Ok(())
    }

    fn resize(&mut self) -> Checked {
        let Some(index) = self.pick() else { return Ok(()) };
        let before = self.live.remove(index);
        self.check_content(&before, before.size)?;
        let size = self.size();
        let address = self.probe.realloc(before.address, size);
        hold!(address != 0, "{before:x?} cannot be given {size} bytes");
        // Only this project's allocators promise to keep an alignment.
        let align = if self.probe.block().is_some() { before.align } else { 16 };
        let now = Block { address, size, align, fill: before.fill };
        self.check_place(&now)?;
        self.check_content(&now, size.min(before.size))?;
        self.counted.reallocations += 1;
        match size.checked_sub(before.size) {
            Some(more) => self.counted.requested(more),
            None => self.counted.freed_bytes += u64::from(before.size - size),
        }
        self.fill(&now);
        self.live.push(now);
        Ok(())
    }

    /// Asks for what cannot be served, or makes no sense.
    fn fail(&mut self) -> Checked {
        let size = TOO_MUCH + self.random.random_range(0..1000);
        let (served, failed, error) = match self.random.random_range(0..7) {
            0 => (self.probe.malloc(size) != 0, Some((size, 16)), ENOMEM),
            1 => (self.probe.calloc(size, 1) != 0, Some((size, 16)), ENOMEM),
            2 => (self.probe.calloc(1 << 16, 1 << 16) != 0, Some((u32::MAX, 16)), ENOMEM),
            3 => (self.probe.aligned_alloc(64, size) != 0, Some((size, 64)), ENOMEM),
            4 => (self.probe.malloc(u32::MAX) != 0, Some((u32::MAX, 16)), ENOMEM),
            5 => {
                let error = self.probe.posix_memalign(self.result, 24, 8);
                hold!(error == EINVAL, "an alignment of 24 is error {error}");
                (false, None, 0)
            }
            _ => match self.pick() {
                None => return Ok(()),
                Some(index) => {
                    let block = self.live[index].clone();
                    let served = self.probe.realloc(block.address, size) != 0;
                    self.check_content(&block, block.size)?;
                    (served, Some((size, block.align)), ENOMEM)
                }
            },
        };
        hold!(!served, "{size:#x} bytes are served");
        self.counted.failed = failed.unwrap_or(self.counted.failed);
        let errno = self.probe.call("take_errno");
        hold!(errno.is_none_or(|errno| errno == error), "errno is {errno:?} instead of {error}");
        Ok(())
    }

    fn check_counters(&self) -> Checked {
        let Some(image) = self.probe.block() else { return Ok(()) };
        let found = Counted {
            allocations: image.allocations,
            deallocations: image.deallocations,
            reallocations: image.reallocations,
            allocated_bytes: image.allocated_bytes,
            freed_bytes: image.freed_bytes,
            peak_live_bytes: image.peak_live_bytes,
            failed: (image.failed_size, image.failed_align),
        };
        hold!(found == self.counted, "the control block says {found:?} instead of {:?}", self.counted);
        Ok(())
    }
}

/// A word of memory.
fn word(probe: &Probe, address: u32) -> u32 {
    probe.bytes(address, 4).try_into().map_or(0, u32::from_le_bytes)
}
