//! The minimal exchange: one guest makes a block, another increments a byte, and the first one checks it.

use guest_sdk::block::Block;
use guest_sdk::{Error, Result, stage};

/// Bytes of the block.
const SIZE: u32 = 4096;

/// Makes a block whose first byte is 41.
#[stage]
pub fn create() -> Result<Block> {
    let mut block = Block::new(SIZE);
    let mut bytes = block.write()?;
    bytes[0] = 41;
    bytes.publish(SIZE as usize);
    Ok(block)
}

/// Increments the first byte.
#[stage]
pub fn increment(mut block: Block) -> Result<Block> {
    let mut bytes = block.write()?;
    if let Some(first) = bytes.first_mut() {
        *first = first.wrapping_add(1);
    }
    bytes.republish();
    Ok(block)
}

/// Checks that the first byte is 42.
#[stage]
pub fn check(block: Block) -> Result<()> {
    match block.read()?.first() {
        Some(42) => Ok(()),
        Some(other) => Err(Error::application(0, format!("the first byte is {other} and not 42"))),
        None => Err(Error::application(1, "the block has no bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_to_another_guest_and_back() {
        check(increment(create().unwrap()).unwrap()).unwrap();
        let wrong = check(create().unwrap()).unwrap_err();
        assert_eq!(wrong.to_string(), "the first byte is 41 and not 42");
    }
}
