//! A publisher of numbers, and a subscriber. The host's clock drives the publisher.

use guest_sdk::block::Block;
use guest_sdk::{Error, Level, Result, log, stage};

/// The number of a tick: its first 8 bytes. The time follows them.
fn tick(bytes: &[u8]) -> Result<u64> {
    let number = bytes.first_chunk().ok_or_else(|| Error::application(0, "a tick has 16 bytes"))?;
    Ok(u64::from_le_bytes(*number))
}

/// Publishes the square of the number of a tick, for all who subscribe.
#[stage]
pub fn publish(clock: Block) -> Result<Block> {
    let number = tick(&clock.read()?)?;
    let mut block = Block::new(8);
    let mut bytes = block.write_shared()?;
    bytes.copy_from_slice(&(number * number).to_le_bytes());
    bytes.publish(8);
    Ok(block)
}

/// Logs a number.
#[stage]
pub fn subscribe(block: Block) -> Result<()> {
    let bytes = block.read()?;
    let number = bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let number = number.ok_or_else(|| Error::application(1, "a number has 8 bytes"))?;
    log(Level::Info, &format!("received {number}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_subscribers_read_the_same_number() {
        let mut clock = Block::new(16);
        let mut bytes = clock.write().unwrap();
        bytes[0] = 7;
        bytes.publish(16);
        let published = publish(clock).unwrap();
        let (one, other) = (published.duplicate(), published.duplicate());
        let _first = one.read().unwrap();
        assert_eq!(*other.read().unwrap(), 49_u64.to_le_bytes());
        subscribe(published).unwrap();
    }
}
