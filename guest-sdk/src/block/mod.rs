//! Memory blocks: large values that guests hand to each other, in place.
//!
//! A [`Block`] is memory of the host. A guest attaches it to write, alone, and publishes bytes; or to read what was published. A
//! [`stage`](macro@crate::stage) is a function that takes a block and returns one.
//!
//! ```
//! use guest_sdk::block::Block;
//! use guest_sdk::{Result, stage};
//!
//! /// Makes a frame.
//! #[stage]
//! fn produce() -> Result<Block> {
//!     let mut block = Block::new(1024);
//!     let mut frame = block.write()?;
//!     frame[..5].copy_from_slice(b"frame");
//!     frame.publish(5);
//!     Ok(block)
//! }
//!
//! /// Writes a frame in capital letters.
//! #[stage]
//! fn shout(mut block: Block) -> Result<Block> {
//!     let mut frame = block.write()?;
//!     frame.make_ascii_uppercase();
//!     frame.republish();
//!     Ok(block)
//! }
//!
//! assert_eq!(*shout(produce()?)?.read()?, *b"FRAME");
//! # Ok::<(), guest_sdk::Error>(())
//! ```
//!
//! # Storage
//!
//! Attachments lie in *storage*, memory of the guest that belongs to the host from then on. The SDK allocates it when an attachment needs
//! more than there is. [`add_storage`] does so before: call it in the [initialisation hook](macro@crate::init), so that each call finds it.
//!
//! # Rules
//!
//! Functions that a type cannot keep from breaking a rule end the call: for instance if a guest makes more blocks than it may have. The
//! rules are those of [`guest_abi::block`].
//!
//! Natively blocks are the process's own, so that tests run stages as they are.

mod stage;

use core::fmt;
use core::mem;
use core::ops::{Deref, DerefMut, Range};

use guest_abi::block::{SHARED, WRITE};

use crate::raw::block as raw;
pub use stage::{StageInput, StageOutput};

/// Memory that guests hand to each other. Dropping it gives up this guest's reference.
#[derive(Debug)]
#[must_use = "a block that is dropped is lost to this guest"]
pub struct Block {
    id: u32,
    /// Its bytes, if this guest made it. Of another guest's block only the published bytes are known.
    size: Option<u32>,
}

/// The access to a part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Guests read it one after the other, and consume it.
    Read,
    /// Many guests read it at the same time.
    ReadShared,
    /// Guests write it one after the other.
    Write,
}

/// Why a block cannot be attached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// The guest has no memory left for it.
    NoStorage,
    /// Another guest has it attached, or there is nothing to read.
    Busy,
    /// Storage that is too small for anything.
    WrongSize,
    /// The host cannot attach it in this way, for instance as its bytes are only read.
    Internal,
}

/// A block that is attached for writing. If it is dropped, nothing is published.
#[must_use = "a block that is not published has nothing to read"]
pub struct Writing<'b> {
    block: &'b mut Block,
    start: *mut u8,
    length: u32,
    unconsumed: u32,
}

/// A block that is attached for reading. If it is dropped, nothing was consumed.
pub struct Reading<'b> {
    block: &'b Block,
    start: *const u8,
    length: u32,
}

/// Allocates storage for attachments, so that calls need not: as much as `count` attachments of `size` bytes need at the same time. Returns
/// whether there was memory for it.
///
/// ```
/// use guest_sdk::{block, init};
///
/// #[init]
/// fn prepare() {
///     block::add_storage(2, 1 << 20);
/// }
/// ```
pub fn add_storage(count: u32, size: u32) -> bool {
    raw::add_storage(raw::optimum_size(count, size))
}

/// Allocates storage for a ring of `slots` blocks of `size` bytes each, if the host has a ring. Returns whether there was memory for it.
pub fn add_ring_storage(slots: u32, size: u32) -> bool {
    // Each slot has a page on either side, and so has the ring.
    const PAGE: u32 = 4096;
    raw::add_storage(raw::optimum_size(slots.saturating_add(1), size.saturating_add(2 * PAGE)))
}

impl Block {
    /// Makes a block of as many bytes, all of them 0. It has nothing to read until something is published.
    pub fn new(size: u32) -> Self {
        Self { id: raw::create(size), size: Some(size) }
    }

    /// A block of these bytes. No other guest can have it.
    pub fn local(bytes: &'static mut [u8]) -> Self {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { id: raw::create_local(bytes), size: Some(size) }
    }

    /// Attaches it for writing. One guest will read what is published, and consume it.
    ///
    /// All bytes are lent if this guest made the block, and otherwise those that are published. They are as they were left.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn write(&mut self) -> Result<Writing<'_>, Refused> {
        self.attach_to_write(WRITE)
    }

    /// Attaches it for writing, as [`Block::write`] does. Many guests may read what is published, at the same time.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn write_shared(&mut self) -> Result<Writing<'_>, Refused> {
        self.attach_to_write(WRITE | SHARED)
    }

    fn attach_to_write(&mut self, flags: u32) -> Result<Writing<'_>, Refused> {
        let (start, unconsumed) = raw::attach(self.id, flags)?;
        let length = self.size.unwrap_or(unconsumed);
        Ok(Writing { block: self, start, length, unconsumed })
    }

    /// Attaches it for reading: the bytes that are published and not consumed.
    ///
    /// # Errors
    /// [`Refused`]; [`Refused::Busy`] also if this guest has it attached already.
    pub fn read(&self) -> Result<Reading<'_>, Refused> {
        let (start, length) = raw::attach(self.id, 0)?;
        Ok(Reading { block: self, start, length })
    }

    /// Another reference to the same block.
    pub fn duplicate(&self) -> Self {
        Self { id: raw::clone(self.id), size: self.size }
    }

    /// A part of it as a block of its own. While a part exists that can be written, the rest cannot be attached.
    ///
    /// A range that is not in the block, or that others use, ends the call.
    pub fn part(&self, range: Range<u32>, mode: Mode) -> Self {
        let flags = match mode {
            Mode::Read => 0,
            Mode::ReadShared => SHARED,
            Mode::Write => WRITE,
        };
        let size = range.end.saturating_sub(range.start);
        Self { id: raw::create_partition(self.id, range.start, size, flags), size: Some(size) }
    }

    /// The block with this number, which the host gave to this guest and which nobody else owns.
    fn from_id(id: u32) -> Self {
        Self { id, size: None }
    }

    /// Its number, for the host.
    fn into_id(self) -> u32 {
        let id = self.id;
        mem::forget(self);
        id
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        raw::drop(self.id);
    }
}

impl Writing<'_> {
    /// Bytes that were published before and not consumed.
    #[must_use]
    pub fn unconsumed(&self) -> usize {
        self.unconsumed as usize
    }

    /// Ends the attachment and publishes the first `valid` bytes; all of them if there are fewer.
    pub fn publish(self, valid: usize) {
        let valid = u32::try_from(valid).unwrap_or(u32::MAX).min(self.length);
        raw::detach(self.block.id, valid);
        mem::forget(self);
    }

    /// Ends the attachment and publishes as many bytes as were published before.
    pub fn republish(self) {
        let valid = self.unconsumed();
        self.publish(valid);
    }
}

#[expect(unsafe_code, reason = "the bytes of an attachment are named by an address")]
mod bytes {
    use core::slice;

    use super::{Deref, DerefMut, Reading, Writing};

    impl Deref for Writing<'_> {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            // SAFETY: the host lends these bytes of the storage until the attachment ends, which happens with `self`. Storage
            // is memory that was allocated, is initialised, and is never freed or used by anything else of this guest. The block
            // has that many bytes: this guest made it so, or as many were published.
            unsafe { slice::from_raw_parts(self.start, self.length as usize) }
        }
    }

    impl DerefMut for Writing<'_> {
        fn deref_mut(&mut self) -> &mut [u8] {
            // SAFETY: as above, and `self` is the only attachment of these bytes.
            unsafe { slice::from_raw_parts_mut(self.start, self.length as usize) }
        }
    }

    impl Deref for Reading<'_> {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            // SAFETY: as for `Writing`. As many bytes were published.
            unsafe { slice::from_raw_parts(self.start, self.length as usize) }
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // Nothing is valid.
        raw::detach(self.block.id, 0);
    }
}

impl Reading<'_> {
    /// Ends the attachment. The first `bytes` will not be read again.
    ///
    /// Of a shared block nobody consumes anything: more than 0 ends the call.
    pub fn consume(self, bytes: usize) {
        raw::detach(self.block.id, u32::try_from(bytes).unwrap_or(u32::MAX).min(self.length));
        mem::forget(self);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        raw::detach(self.block.id, 0);
    }
}

impl fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").field("block", self.block).field("length", &self.length).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("block", self.block).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Refused {
    /// The error with this number in the contract.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn of_code(code: u8) -> Self {
        match code {
            0 => Self::NoStorage,
            1 => Self::Busy,
            2 => Self::WrongSize,
            _ => Self::Internal,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::NoStorage => "there is no memory left to attach a block",
            Self::Busy => "the block is attached already, belongs to several takers, or has nothing to read",
            Self::WrongSize => "the storage is too small",
            Self::Internal => "the host cannot attach the block in this way",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Refused {}

impl From<Refused> for crate::Error {
    fn from(refused: Refused) -> Self {
        refused.message().into()
    }
}
