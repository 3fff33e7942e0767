//! The bytes of a block, on the host's side.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::slots::Slot;
use crate::sys::{File, Pages};

/// The bytes of a block and of all its parts.
///
/// [`State`](crate::state::State) decides which holder may read or write them. The lock is held while bytes are lent, copied or mapped.
pub(crate) enum Content {
    /// Bytes of the block's own.
    Own(RwLock<Bytes>),
    /// Bytes that the embedder lends. They are never written.
    Lent(Box<dyn AsRef<[u8]> + Send + Sync>),
    /// Bytes in the memory of the one guest that has the block.
    Local,
    /// Bytes of a ring, which are mapped into guests.
    Slot(Slot),
}

/// Bytes of a block's own.
pub(crate) enum Bytes {
    Heap(Aligned),
    /// Bytes that can be mapped into a guest. While one shares them, the host has none.
    File(File),
}

/// Bytes that begin where a line of the cache does: a copy from one line to the next takes less time than one across lines.
pub(crate) struct Aligned {
    bytes: Box<[u8]>,
    /// Where they begin.
    start: usize,
}

impl Aligned {
    const LINE: usize = 64;

    fn zeroed(size: usize) -> Self {
        let bytes = vec![0; size + Self::LINE - 1].into_boxed_slice();
        let start = bytes.as_ptr().addr().next_multiple_of(Self::LINE) - bytes.as_ptr().addr();
        Self { bytes, start }
    }
}

impl Bytes {
    /// As many zeros, in a file if that can be had and is asked for.
    fn zeroed(size: usize, in_file: bool) -> Self {
        match in_file.then(|| File::new(size)) {
            Some(Ok(file)) => Self::File(file),
            _ => Self::Heap(Aligned::zeroed(size)),
        }
    }

    fn get(&self, range: Range<usize>) -> &[u8] {
        let bytes = match self {
            Self::Heap(aligned) => &aligned.bytes[aligned.start..],
            Self::File(file) => file.bytes(),
        };
        bytes.get(range).unwrap_or_default()
    }

    fn get_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let bytes = match self {
            Self::Heap(aligned) => &mut aligned.bytes[aligned.start..],
            Self::File(file) => file.bytes_mut(),
        };
        bytes.get_mut(range).unwrap_or_default()
    }
}

impl Content {
    pub(crate) fn zeroed(size: usize, in_file: bool) -> Self {
        Self::Own(RwLock::new(Bytes::zeroed(size, in_file)))
    }

    /// Whether it can be written.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self, Self::Lent(_))
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// Whether it can be mapped into a guest.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::Own(bytes) if matches!(*read(bytes), Bytes::File(_)))
    }

    /// Lends some bytes. A local block has none.
    pub(crate) fn read<T>(&self, range: Range<usize>, lend: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Own(bytes) => lend(read(bytes).get(range)),
            // An owner that lends fewer bytes than before lends none.
            Self::Lent(bytes) => lend((**bytes).as_ref().get(range).unwrap_or_default()),
            Self::Local => lend(&[]),
            Self::Slot(slot) => lend(&slot.read(range)),
        }
    }

    /// Lends some bytes for writing. Lent bytes and local blocks have none.
    pub(crate) fn write<T>(&self, range: Range<usize>, lend: impl FnOnce(&mut [u8]) -> T) -> T {
        match self {
            Self::Own(bytes) => lend(write(bytes).get_mut(range)),
            Self::Lent(_) | Self::Local => lend(&mut []),
            Self::Slot(slot) => {
                let mut copy = slot.read(range.clone());
                let result = lend(&mut copy);
                slot.write(range.start, &copy);
                result
            }
        }
    }

    /// Makes bytes 0 again. `is_whole` says that they are all.
    pub(crate) fn clear(&self, range: Range<usize>, is_whole: bool) {
        if let Self::Own(bytes) = self
            && is_whole
            && let bytes = &mut *write(bytes)
            && matches!(bytes, Bytes::File(_))
        {
            // A guest may share the file still. It keeps that one to itself.
            *bytes = Bytes::zeroed(range.len(), true);
        } else {
            self.write(range, |bytes| bytes.fill(0));
        }
    }

    /// Does something with the file.
    fn with_file(&self, body: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Own(bytes) => match &mut *write(bytes) {
                Bytes::File(file) => body(file),
                Bytes::Heap(_) => Err(io::ErrorKind::Unsupported.into()),
            },
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Maps the file over pages of the only guest that writes it.
    pub(crate) fn share(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.with_file(|file| file.share(pages))
    }

    /// Maps the file over pages of a guest whose writes nobody else sees.
    pub(crate) fn copy_on_write(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.with_file(|file| file.copy_on_write(pages))
    }

    /// Ends a mapping.
    pub(crate) fn take_back(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.with_file(|file| file.take_back(pages))
    }
}

fn read(bytes: &RwLock<Bytes>) -> RwLockReadGuard<'_, Bytes> {
    bytes.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(bytes: &RwLock<Bytes>) -> RwLockWriteGuard<'_, Bytes> {
    bytes.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Lent(_) => "Lent",
            Self::Local => "Local",
            Self::Slot(_) => "Slot",
        })
    }
}
