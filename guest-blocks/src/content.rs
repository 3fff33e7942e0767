//! The bytes of a block, on the host's side.

use std::fmt;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// The bytes of a block and of all its parts.
///
/// [`State`](crate::state::State) decides which holder may read or write them. The lock is held only while bytes are copied.
pub(crate) enum Content {
    /// Bytes of the block's own.
    Own(RwLock<Box<[u8]>>),
    /// Bytes that the embedder lends. They are never written.
    Lent(Box<dyn AsRef<[u8]> + Send + Sync>),
    /// Bytes in the memory of the one guest that has the block.
    Local,
}

impl Content {
    pub(crate) fn zeroed(size: usize) -> Self {
        Self::Own(RwLock::new(vec![0; size].into_boxed_slice()))
    }

    /// Whether it can be written.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self, Self::Lent(_))
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// Lends some bytes. A local block has none.
    pub(crate) fn read<T>(&self, range: Range<usize>, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Own(bytes) => read(&bytes.read().unwrap_or_else(PoisonError::into_inner)[range]),
            Self::Lent(bytes) => read(&(**bytes).as_ref()[range]),
            Self::Local => read(&[]),
        }
    }

    /// Lends some bytes for writing. Lent bytes and local blocks have none.
    pub(crate) fn write<T>(&self, range: Range<usize>, write: impl FnOnce(&mut [u8]) -> T) -> T {
        match self {
            Self::Own(bytes) => write(&mut bytes.write().unwrap_or_else(PoisonError::into_inner)[range]),
            Self::Lent(_) | Self::Local => write(&mut []),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Lent(_) => "Lent",
            Self::Local => "Local",
        })
    }
}
