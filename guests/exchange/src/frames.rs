//! A pipeline of three stages over frames of bytes, such as grey pixels.

use guest_sdk::block::Block;
use guest_sdk::{Level, Result, log, stage};

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

/// A frame whose pixels are the mean of two neighbours.
#[stage]
pub fn blend(frame: Block) -> Result<Block> {
    let pixels = frame.read()?;
    // A frame has fewer than 4 GiB.
    let mut result = Block::new(u32::try_from(pixels.len()).unwrap_or(u32::MAX));
    let mut blended = result.write()?;
    for (to, pair) in blended.iter_mut().zip(pixels.windows(2)) {
        *to = pair[0].midpoint(pair[1]);
    }
    if let (Some(to), Some(last)) = (blended.last_mut(), pixels.last()) {
        *to = *last;
    }
    blended.publish(pixels.len());
    Ok(result)
}

/// Logs the mean of a frame.
#[stage]
pub fn measure(frame: Block) -> Result<()> {
    let pixels = frame.read()?;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(*pixel)).sum();
    let mean = sum.checked_div(pixels.len() as u64).unwrap_or(0);
    log(Level::Info, &format!("{} pixels, mean {mean}", pixels.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_through_three_stages() {
        let mut frame = Block::new(4);
        let mut pixels = frame.write().unwrap();
        pixels.copy_from_slice(&[0, 100, 200, 255]);
        pixels.publish(4);
        let frame = blend(brighten(frame).unwrap()).unwrap();
        assert_eq!(*frame.read().unwrap(), [66, 166, 235, 255]);
        measure(frame).unwrap();
    }
}
