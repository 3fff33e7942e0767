//! Frames, as subscribers receive them.

use std::sync::Arc;

use crate::block::{Block, Reading};

/// A block that was published to a topic, as one subscriber receives it.
///
/// A frame reads its block: nobody can write the block while a queue or a subscriber has a frame of it. Keep the frame until
/// you, or the guest that you gave the block, no longer need the bytes. When the last frame of a block is dropped, its publisher
/// can write the next content into the same block.
///
/// ```
/// use guest_blocks::{Block, Full, Refused, Topic};
///
/// let topic = Topic::new();
/// let subscriber = topic.subscribe("screen", 4, Full::DropOldest);
/// let block = Block::new(8);
/// block.write_shared()?.publish(8);
/// topic.publish(&block)?;
///
/// let frame = subscriber.try_receive()?;
/// assert_eq!(block.write_shared().unwrap_err(), Refused::Busy);
/// drop(frame);
/// assert!(block.write_shared().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Frame {
    reading: Arc<Reading>,
    sequence: u64,
    dropped: u64,
}

impl Frame {
    pub(super) fn new(reading: Arc<Reading>, sequence: u64) -> Self {
        Self { reading, sequence, dropped: 0 }
    }

    pub(super) fn after_dropped(self, dropped: u64) -> Self {
        Self { dropped, ..self }
    }

    /// The published block. All subscribers receive this same block.
    ///
    /// Give a clone of it to a guest by [`BlockTable::insert`](crate::BlockTable::insert), and keep the frame meanwhile.
    #[must_use]
    pub fn block(&self) -> &Block {
        self.reading.block()
    }

    /// Its number in the topic. The first frame of a topic has the number 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Frames that the subscriber's queue dropped between the frame received before and this one. It is the gap between their
    /// sequence numbers.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Lends the published bytes.
    ///
    /// ```
    /// use guest_blocks::{Block, Full, Topic};
    ///
    /// let topic = Topic::new();
    /// let subscriber = topic.subscribe("screen", 4, Full::DropOldest);
    /// topic.publish(&Block::from_bytes(b"frame")?)?;
    /// assert_eq!(subscriber.try_receive()?.bytes(<[u8]>::to_vec), b"frame");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        self.reading.bytes(read)
    }
}
