//! Memory blocks: those that stages are called with, and those that a call leaves.

use std::collections::VecDeque;
use std::ops::Range;

use guest_host::blocks::{Block, Counts, Refused, RingGroup};
use rand::Rng as _;
use rand::RngCore as _;
use rand_chacha::ChaCha8Rng;

use super::tested::Tested;
use crate::blocks::published;

/// Results of earlier calls that later ones may get as their input.
const RESULTS: usize = 8;

/// Draws the blocks that stages are called with.
///
/// Half of them have the bytes of an earlier result: many stages can only do with what another stage made.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The last results of fresh instances.
    results: VecDeque<Input>,
    /// Bytes that a block has at least: those of a slot, where blocks are of a ring.
    least_size: u32,
    /// Whether no block has more.
    is_exact: bool,
}

/// The state of a block that a stage is called with.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// All bytes of the block.
    bytes: Vec<u8>,
    /// Bytes that are published, from the first on.
    published: u32,
    /// Those among them that were consumed.
    consumed: u32,
    is_shared: bool,
}

impl Inputs {
    /// Gives blocks at least as many bytes as a slot has, so that those that fit are in slots. If `is_exact`, all fit.
    pub(super) fn with_least_size(&mut self, slot_size: u32, is_exact: bool) {
        (self.least_size, self.is_exact) = (slot_size, is_exact);
    }

    /// The next one; `None` for no block.
    pub(super) fn draw(&mut self, random: &mut ChaCha8Rng) -> Option<Input> {
        let input = self.drawn(random)?.of_at_least(self.least_size);
        Some(if self.is_exact { input.of_at_most(self.least_size) } else { input })
    }

    fn drawn(&self, random: &mut ChaCha8Rng) -> Option<Input> {
        match random.random_range(0..16) {
            0 => None,
            1 => Some(Input { published: 0, consumed: 0, ..Input::random(random.random_range(0..=4096), random) }),
            2 => Some(Input::random(large(random), random)),
            3..=10 if !self.results.is_empty() => {
                let index = random.random_range(0..self.results.len());
                self.results.get(index).cloned()
            }
            _ => Some(Input::random(random.random_range(1..=4096), random)),
        }
    }

    /// Takes note of the result of a call on a fresh instance.
    pub(super) fn learn(&mut self, result: Option<Seen>) {
        let Some(Seen { unread, is_shared, bytes, refused: None, .. }) = result else { return };
        if let Some(bytes) = bytes.get(unread.start as usize..unread.end as usize).filter(|bytes| !bytes.is_empty()) {
            let published = unread.end - unread.start;
            self.results.truncate(RESULTS - 1);
            self.results.push_front(Input { bytes: bytes.to_vec(), published, consumed: 0, is_shared });
        }
    }
}

/// Bytes of a block that is large: from 64 KiB to 1 MiB.
fn large(random: &mut ChaCha8Rng) -> u32 {
    let size = 1 << random.random_range(16..=20);
    let more = if random.random() { random.random_range(0..1024) } else { 0 };
    (size + more).min(1 << 20)
}

impl Input {
    /// One with random bytes: mostly all of them published, and none consumed.
    fn random(size: u32, random: &mut ChaCha8Rng) -> Self {
        let mut bytes = vec![0; size as usize];
        random.fill_bytes(&mut bytes);
        let published = if random.random_range(0..4) == 0 { random.random_range(0..=size) } else { size };
        let is_shared: bool = random.random();
        let consumes = !is_shared && published > 1 && random.random_range(0..4) == 0;
        let consumed = if consumes { random.random_range(1..published) } else { 0 };
        Self { bytes, published, consumed, is_shared }
    }

    /// The same in a block of at least `size` bytes.
    fn of_at_least(mut self, size: u32) -> Self {
        let size = self.bytes.len().max(size as usize);
        self.bytes.resize(size, 0);
        self
    }

    /// The same in a block of at most `size` bytes.
    fn of_at_most(mut self, size: u32) -> Self {
        self.bytes.truncate(size as usize);
        self.published = self.published.min(size);
        // Some of what was published is left, as before.
        self.consumed = self.consumed.min(self.published.saturating_sub(1));
        self
    }

    /// Bytes of the block.
    fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// A block in this state. It can be mapped if it has at least `mapped_from` bytes.
    pub(super) fn block(&self, mapped_from: u32) -> Block {
        let fill = |bytes: &mut [u8]| bytes.copy_from_slice(&self.bytes);
        let block = published((self.size(), self.published), self.is_shared, mapped_from, fill);
        self.consume(&block);
        block
    }

    /// A block in this state that is in a slot of a ring. `None` if it has another size than a slot, or no slot is free.
    pub(super) fn block_in(&self, group: &mut RingGroup) -> Option<Block> {
        if self.size() != group.slot_size() {
            return None;
        }
        let block = group.slot()?;
        let fill = |bytes: &mut [u8]| {
            bytes.copy_from_slice(&self.bytes);
            self.published
        };
        group.fill(&block, self.is_shared, fill).ok()?;
        self.consume(&block);
        Some(block)
    }

    /// Consumes what was consumed.
    fn consume(&self, block: &Block) {
        if self.consumed > 0
            && let Ok(reading) = block.read()
        {
            reading.consume(self.consumed);
        }
    }
}

/// All bytes of a block that nobody has attached, which stay as they are. All of them are published afterwards.
///
/// # Errors
/// If it cannot be attached for writing.
pub(super) fn all_bytes(block: &Block) -> Result<Vec<u8>, Refused> {
    let mut writing = block.write_as(block.is_shared())?;
    let bytes = writing.bytes(|bytes| bytes.to_vec());
    writing.publish(block.size());
    Ok(bytes)
}

/// As [`all_bytes`], also of a block that is in a slot of a ring.
pub(super) fn all_bytes_in(group: &mut RingGroup, block: &Block) -> Result<Vec<u8>, Refused> {
    match all_bytes(block) {
        Err(Refused::Internal) => {
            let mut all = Vec::new();
            group.fill(block, block.is_shared(), |bytes| {
                all.extend_from_slice(bytes);
                block.size()
            })?;
            Ok(all)
        }
        found => found,
    }
}

/// The blocks of one call, after the restore.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Blocks {
    pub(super) input: Option<Seen>,
    pub(super) result: Option<Seen>,
    /// A block in the ring that the call had nothing to do with.
    pub(super) bystander: Option<Seen>,
    /// Attachments that the call made.
    pub(super) attached: u64,
    /// Bytes that it published, or was given to read. The bytes that were copied depend on the write barrier.
    pub(super) handed_over: u64,
}

/// The state of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size: u32,
    pub(super) unread: Range<u32>,
    pub(super) is_shared: bool,
    /// All its bytes; those that are to be read, where it cannot be attached for writing.
    pub(super) bytes: Vec<u8>,
    /// Why it cannot be attached for writing; `None` if everybody has given it back.
    pub(super) refused: Option<Refused>,
}

impl Blocks {
    /// Those of a call with this input, which had this result and began at these counts.
    pub(super) fn of(instance: &mut dyn Tested, before: Counts, input: Option<&Block>, result: Option<Block>) -> Self {
        let now = instance.block_counts();
        // The result may be the input. So nothing is attached before both were looked at.
        let input = input.map(|block| (Seen::unattached(block), block));
        let result = result.map(|block| (Seen::unattached(&block), block));
        // The result may also be a part of the input, which keeps the input from being written.
        let result = result.map(|(seen, block)| seen.with(instance.bytes_of(&block), &block));
        let bystander = instance.bystander().map(|block| {
            let seen = Seen::unattached(&block);
            seen.with(instance.bytes_of(&block), &block)
        });
        Self {
            bystander,
            input: input.map(|(seen, block)| seen.with(instance.bytes_of(block), block)),
            result,
            attached: now.attached.saturating_sub(before.attached),
            handed_over: now.handed_over.saturating_sub(before.handed_over),
        }
    }
}

impl Seen {
    /// Without the bytes.
    fn unattached(block: &Block) -> Self {
        let bytes = Vec::new();
        Self { size: block.size(), unread: block.unread(), is_shared: block.is_shared(), bytes, refused: None }
    }

    /// With all the bytes; with those that are to be read, where the block cannot be attached for writing.
    fn with(self, all: Result<Vec<u8>, Refused>, block: &Block) -> Self {
        match all {
            Ok(bytes) => Self { bytes, ..self },
            Err(refused) => {
                let bytes = block.read().map(|reading| reading.bytes(<[u8]>::to_vec)).unwrap_or_default();
                Self { bytes, refused: Some(refused), ..self }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use guest_host::blocks::Mode;
    use rand::SeedableRng as _;

    use super::*;

    fn look_at(block: &Block) -> Seen {
        Seen::unattached(block).with(all_bytes(block), block)
    }

    #[test]
    fn the_same_seed_draws_the_same_blocks_of_every_kind() {
        let draw = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut inputs = Inputs::default();
            let drawn = (0..200).map(move |_| {
                let drawn = inputs.draw(&mut random);
                if let Some(input) = drawn.as_ref().filter(|input| input.bytes.len() == 7) {
                    inputs.learn(Some(look_at(&input.block(u32::MAX))));
                }
                drawn.map(|input| (Seen::unattached(&input.block(u32::MAX)), input.bytes))
            });
            drawn.collect::<Vec<_>>()
        };
        let drawn = draw(7);
        assert!(drawn == draw(7) && drawn != draw(8));
        let count = |is: fn(&Seen) -> bool| drawn.iter().flatten().filter(|(seen, _)| is(seen)).count();
        assert!(drawn.iter().any(Option::is_none));
        assert!(count(|seen| seen.unread.is_empty()) > 5);
        assert!(count(|seen| seen.size >= 1 << 16) > 5 && count(|seen| seen.size > 1 << 20) == 0);
        assert!(count(|seen| seen.unread.start > 0) > 5);
        assert!(count(|seen| seen.unread.end < seen.size) > 5);
        let shared = count(|seen| seen.is_shared);
        assert!((50..150).contains(&shared), "{shared}");
    }

    #[test]
    fn results_become_inputs() {
        let mut inputs = Inputs::default();
        let result = Block::new(10);
        let mut writing = result.write().unwrap();
        writing.bytes(|bytes| bytes.copy_from_slice(b"0123456789"));
        writing.publish(8);
        result.read().unwrap().consume(3);
        let empty = Block::new(10);
        inputs.learn(Some(look_at(&empty)));
        inputs.learn(None);
        assert_eq!(inputs.results.len(), 0, "there is nothing to read");
        let seen = look_at(&result);
        (0..20).for_each(|_| inputs.learn(Some(seen.clone())));
        assert_eq!(inputs.results.len(), RESULTS);
        let block = inputs.results[0].block(u32::MAX);
        assert_eq!((block.size(), block.read().unwrap().bytes(<[u8]>::to_vec)), (5, b"34567".to_vec()));
    }

    #[test]
    fn blocks_that_are_no_larger_than_a_slot_are_in_slots() {
        let Ok(mut group) = RingGroup::new(1, 5000) else { return };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut inputs = Inputs::default();
        inputs.with_least_size(group.slot_size(), false);
        let mut in_slots = 0;
        for input in std::iter::repeat_with(|| inputs.draw(&mut random)).take(200).flatten() {
            assert!(input.size() >= 8192);
            let Some(block) = input.block_in(&mut group) else {
                assert!(input.size() > 8192);
                continue;
            };
            in_slots += 1;
            let copied = input.block(u32::MAX);
            assert_eq!((block.size(), block.unread(), block.is_shared()), (8192, copied.unread(), copied.is_shared()));
            assert!(block.write().is_err(), "it is in the ring");
            assert!(input.block_in(&mut group).is_none(), "no slot is free");
            assert_eq!(all_bytes_in(&mut group, &block), all_bytes(&copied));
        }
        assert!(in_slots > 100, "{in_slots}");
    }

    #[test]
    fn a_block_is_seen_whole_and_left_as_it_is() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let input = Input { published: 60, consumed: 20, is_shared: false, ..Input::random(100, &mut random) };
        let block = input.block(u32::MAX);
        let seen = look_at(&block);
        assert_eq!((seen.size, seen.unread.clone(), seen.is_shared, seen.refused), (100, 20..60, false, None));
        assert_eq!(seen.bytes, input.bytes);
        assert_eq!(look_at(&block).bytes, input.bytes);
        // One that somebody reads.
        let reading = block.read().unwrap();
        assert_eq!(look_at(&block).refused, Some(Refused::Busy));
        drop(reading);
        let part = block.part(10..20, Mode::Write).unwrap();
        assert_eq!(look_at(&part).bytes, input.bytes[10..20]);
        assert_eq!(look_at(&block).refused, Some(Refused::Busy));
    }
}
