//! Memory blocks that the harness makes.

use guest_host::blocks::Block;

/// A block of `size` bytes, which `fill` writes and of which the first `valid` are published. It can be mapped if it has at least
/// `mapped_from` bytes.
pub(crate) fn published(
    (size, valid): (u32, u32),
    shared: bool,
    mapped_from: u32,
    fill: impl FnOnce(&mut [u8]),
) -> Block {
    let block = if size >= mapped_from { Block::mappable(size) } else { Block::new(size) };
    // Nobody else has it.
    if let Ok(mut writing) = block.write_as(shared) {
        writing.bytes(fill);
        writing.publish(valid);
    }
    block
}
