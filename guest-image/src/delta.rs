//! A delta: in which an instance differs from its snapshot.

use std::sync::Arc;

use crate::cards::Cards;
use crate::{Identity, ImageError};

/// Bytes of a page of WebAssembly memory.
pub(crate) const PAGE: u64 = 1 << 16;

/// The differences between an instance and the snapshot of its module: cards of memory, globals, the logical size and what
/// the host keeps for the guest. A sleeping instance is its delta.
///
/// A delta is canonical: two deltas over the same [`Identity`] are equal exactly if the instances are. The host that fills
/// it sees to that, and so does [`Delta::rebase`](crate::Delta::rebase).
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What the host keeps for the guest, if that differs.
    pub host: Option<HostState>,
}

/// The value of a global, by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GlobalValue {
    /// An `i32`.
    I32(u32),
    /// An `i64`.
    I64(u64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
    /// The bits of a `v128`.
    V128(u128),
}

impl GlobalValue {
    /// Number of its type in images, and its bits.
    pub(crate) const fn parts(self) -> (u8, u128) {
        match self {
            Self::I32(bits) => (1, bits as u128),
            Self::I64(bits) => (2, bits as u128),
            Self::F32(bits) => (3, bits as u128),
            Self::F64(bits) => (4, bits as u128),
            Self::V128(bits) => (5, bits),
        }
    }

    /// The value of these parts. Bits that its type does not have must be 0.
    pub(crate) fn of_parts(ty: u8, bits: u128) -> Option<Self> {
        let narrow = || u32::try_from(bits).ok();
        let wide = || u64::try_from(bits).ok();
        match ty {
            1 => narrow().map(Self::I32),
            2 => wide().map(Self::I64),
            3 => narrow().map(Self::F32),
            4 => wide().map(Self::F64),
            5 => Some(Self::V128(bits)),
            _ => None,
        }
    }
}

/// What the host keeps for a guest between two calls: that of WASI which a guest can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct HostState {
    /// Flags of the descriptors 0 to 2; `None` for one that is closed.
    pub descriptors: [Option<u16>; 3],
    /// Nanoseconds by which both clocks are ahead of where they start.
    pub elapsed: u64,
    /// Nanoseconds that the monotonic clock told at least.
    pub monotonic: u64,
    /// Bytes that were taken from seeded randomness.
    pub random_position: u64,
}

impl Delta {
    /// No difference to the snapshot `identity`, of whose memory the guest sees `memory_size` bytes.
    #[must_use]
    pub const fn pristine(identity: Arc<Identity>, memory_size: u64) -> Self {
        Self { identity, memory_size, cards: Cards::new(), globals: Vec::new(), host: None }
    }

    /// Bytes of the host's memory that it takes, beside what it shares with others.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        size_of::<Self>() + self.cards.capacity() + self.globals.capacity() * size_of::<(u32, GlobalValue)>()
    }

    /// Gives memory back that it does not need. Worthwhile for a delta that is kept.
    pub fn shrink_to_fit(&mut self) {
        self.cards.shrink_to_fit();
        self.globals.shrink_to_fit();
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
        Ok(())
    }
}
