//! A delta: in which an instance differs from its snapshot.

use std::sync::Arc;

use crate::cards::Cards;
use crate::error::ImageError;
use crate::identity::Identity;
use crate::values::{GlobalValue, HostState};

/// Bytes of a page of WebAssembly memory.
pub(crate) const PAGE: u64 = 1 << 16;

/// The differences between an instance and the snapshot of its module: cards of memory, globals, the logical size and what
/// the host keeps for the guest. A sleeping instance is its delta.
///
/// A delta is canonical: two deltas over the same [`Identity`] are equal exactly if the instances are. The host that fills
/// it sees to that, and so does [`Delta::rebase`](crate::Delta::rebase).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delta {
    /// The snapshot that it is a difference to.
    pub identity: Arc<Identity>,
    /// Bytes of memory that the guest sees.
    pub memory_size: u64,
    /// Cards of memory that differ.
    pub cards: Cards,
    /// Globals that differ, by their number in the snapshot, in order.
    pub globals: Vec<(u32, GlobalValue)>,
    /// The state of the host side, if it differs.
    pub host: Option<HostState>,
    /// How often each number of a memory block was used since the snapshot: by slot, up to the last that was used.
    pub block_uses: Vec<u32>,
}

/// Slots in which a guest can have memory blocks.
const MOST_SLOTS: usize = 65_535;

/// How often a slot can be used.
const MOST_USES: u32 = 65_536;

impl Clone for Delta {
    fn clone(&self) -> Self {
        let Self { identity, memory_size, cards, globals, host, block_uses } = self;
        let (identity, cards, globals) = (identity.clone(), cards.clone(), globals.clone());
        Self { identity, memory_size: *memory_size, cards, globals, host: *host, block_uses: block_uses.clone() }
    }

    /// Uses the memory again that it took before.
    fn clone_from(&mut self, other: &Self) {
        let Self { identity, memory_size, cards, globals, host, block_uses } = other;
        self.identity.clone_from(identity);
        self.cards.clone_from(cards);
        self.globals.clone_from(globals);
        self.block_uses.clone_from(block_uses);
        (self.memory_size, self.host) = (*memory_size, *host);
    }
}

impl Delta {
    /// No difference to the snapshot `identity`, of whose memory the guest sees `memory_size` bytes.
    #[must_use]
    pub const fn pristine(identity: Arc<Identity>, memory_size: u64) -> Self {
        Self { identity, memory_size, cards: Cards::new(), globals: Vec::new(), host: None, block_uses: Vec::new() }
    }

    /// Bytes of the host's memory that it takes, beside what it shares with others.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let tables =
            self.globals.capacity() * size_of::<(u32, GlobalValue)>() + self.block_uses.capacity() * size_of::<u32>();
        size_of::<Self>() + self.cards.capacity() + tables
    }

    /// Gives memory back that it does not need. Worthwhile for a delta that is kept.
    pub fn shrink_to_fit(&mut self) {
        self.cards.shrink_to_fit();
        self.globals.shrink_to_fit();
        self.block_uses.shrink_to_fit();
    }

    /// Whether its parts fit together.
    ///
    /// # Errors
    /// [`ImageError::Invalid`], with the contradiction.
    pub fn check(&self) -> Result<(), ImageError> {
        let invalid = |what| Err(ImageError::Invalid { what });
        if !self.memory_size.is_multiple_of(PAGE) || self.memory_size > PAGE << 16 {
            return invalid("its memory is not of whole pages");
        }
        if self.cards.end() as u64 > self.memory_size {
            return invalid("a card lies behind the end of its memory");
        }
        if !self.globals.is_sorted_by(|(one, _), (other, _)| one < other) {
            return invalid("its globals are not in order");
        }
        let used = 1..=MOST_USES;
        if self.block_uses.len() > MOST_SLOTS || !self.block_uses.iter().all(|uses| used.contains(uses)) {
            return invalid("numbers of memory blocks were used more often than they can be, or never");
        }
        Ok(())
    }
}
