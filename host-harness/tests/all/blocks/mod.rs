//! Memory blocks between guests: the rules under every strategy, and guests that hand each other blocks.

mod adversary;
mod exchange;

use guest_build::Allocator;
use guest_host::blocks::Block;
use guest_host::{Instance, InstanceConfig, MemoryState, RestoreStrategy};

use crate::guests::load;

/// The strategies under which guests have blocks: by marks, by comparing, by the allocator, and by instances that are new.
const STRATEGIES: [RestoreStrategy; 5] = [
    RestoreStrategy::DirtyCards,
    RestoreStrategy::FullCopy,
    RestoreStrategy::Watermark,
    RestoreStrategy::BumpReset,
    RestoreStrategy::Reinstantiate,
];

/// An instance of a guest with the bump allocator.
fn instance(guest: &str, config: &InstanceConfig) -> Instance {
    load(guest, Allocator::BumpReset).instantiate(config, MemoryState::new()).unwrap()
}

/// A block of this size with these bytes, for one reader at a time or for many.
fn published(size: u32, bytes: &[u8], shared: bool) -> Block {
    let block = Block::new(size);
    let mut writing = block.write(shared).unwrap();
    writing.bytes(|block| block[..bytes.len()].copy_from_slice(bytes));
    writing.publish(u32::try_from(bytes.len()).unwrap());
    block
}

/// The bytes that are to be read.
fn bytes(block: &Block) -> Vec<u8> {
    block.read().unwrap().bytes(<[u8]>::to_vec)
}
