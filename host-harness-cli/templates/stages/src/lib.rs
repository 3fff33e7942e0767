//! Stages that hand each other frames: `pipeline.toml` connects them.

use guest_sdk::block::{self, Block};
use guest_sdk::{Level, Result, init, log, stage};

/// Offers storage for one frame of 1 MiB, so that no call needs to.
#[init]
fn offer() {
    block::add_storage(1, 1 << 20);
}

/// Makes each pixel brighter, in place.
#[stage]
pub fn brighten(mut frame: Block) -> Result<Block> {
    let mut pixels = frame.write()?;
    for pixel in pixels.iter_mut() {
        *pixel = pixel.saturating_add(16);
    }
    pixels.republish();
    Ok(frame)
}

/// Logs the mean of a frame.
#[stage]
pub fn measure(frame: Block) -> Result<()> {
    let pixels = frame.read()?;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(*pixel)).sum();
    let mean = sum.checked_div(pixels.len() as u64).unwrap_or(0);
    let told = format!("{} pixels, mean {mean}", pixels.len());
    log(Level::Info, &told);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_becomes_brighter() {
        let mut frame = Block::new(4);
        let mut pixels = frame.write().unwrap();
        pixels.copy_from_slice(&[0, 100, 200, 255]);
        pixels.publish(4);
        let frame = brighten(frame).unwrap();
        assert_eq!(*frame.read().unwrap(), [16, 116, 216, 255]);
        measure(frame).unwrap();
    }
}
