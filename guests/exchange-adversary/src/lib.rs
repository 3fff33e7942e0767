//! Stages that break the rules of memory blocks. [`increment`] is honest, so that there is a call that can follow the others.

#[cfg(target_arch = "wasm32")]
mod breach;

use guest_sdk::block::{self, Block};
use guest_sdk::{Result, init, stage};

/// Offers storage for four blocks of 64 KiB.
#[init]
fn offer() {
    block::add_storage(4, 65_536);
}

/// Increments the first byte of a block.
#[stage]
pub fn increment(mut block: Block) -> Result<Block> {
    let mut bytes = block.write()?;
    bytes[0] = bytes[0].wrapping_add(1);
    bytes.republish();
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_incremented() {
        let mut block = Block::new(2);
        let mut bytes = block.write().unwrap();
        bytes.copy_from_slice(&[255, 7]);
        bytes.publish(2);
        assert_eq!(*increment(block).unwrap().read().unwrap(), [0, 7]);
    }
}
