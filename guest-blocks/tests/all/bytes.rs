//! The bytes of a guest's memory: of the heap, or pages that can be replaced by mappings.

use std::ops::{Deref, DerefMut, Range};

use guest_blocks::Pages;

#[cfg(all(feature = "map", target_os = "linux"))]
pub(crate) use mapped::Bytes;

/// Bytes of the heap.
#[cfg(not(all(feature = "map", target_os = "linux")))]
#[derive(Clone)]
pub(crate) struct Bytes(Vec<u8>);

#[cfg(not(all(feature = "map", target_os = "linux")))]
impl Bytes {
    pub(crate) fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    pub(crate) fn pages(&mut self, _: Range<usize>) -> Option<Pages<'_>> {
        None
    }
}

#[cfg(not(all(feature = "map", target_os = "linux")))]
impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(not(all(feature = "map", target_os = "linux")))]
impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(all(feature = "map", target_os = "linux"))]
mod mapped {
    #![expect(unsafe_code, reason = "the memory of a guest is mapped as an engine maps it")]

    use std::{ptr, slice};

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    use super::*;

    /// Pages.
    pub(crate) struct Bytes {
        start: *mut u8,
        size: usize,
    }

    // SAFETY: the pages belong to this value alone.
    unsafe impl Send for Bytes {}

    impl Bytes {
        pub(crate) fn new(size: usize) -> Self {
            // SAFETY: a new mapping.
            let start =
                unsafe { mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
            Self { start: start.unwrap().cast(), size }
        }

        pub(crate) fn pages(&mut self, range: Range<usize>) -> Option<Pages<'_>> {
            // SAFETY: the pages are mapped for this guest, and are unmapped with it.
            unsafe { Pages::new(&mut self[range]) }
        }
    }

    impl Drop for Bytes {
        fn drop(&mut self) {
            // SAFETY: nobody has a reference any more.
            unsafe { munmap(self.start.cast(), self.size) }.unwrap();
        }
    }

    impl Clone for Bytes {
        fn clone(&self) -> Self {
            let mut new = Self::new(self.size);
            new.copy_from_slice(self);
            new
        }
    }

    impl Deref for Bytes {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            // SAFETY: the mapping has that many bytes. A guest that shares some of them with a block is its only writer.
            unsafe { slice::from_raw_parts(self.start, self.size) }
        }
    }

    impl DerefMut for Bytes {
        fn deref_mut(&mut self) -> &mut [u8] {
            // SAFETY: as above.
            unsafe { slice::from_raw_parts_mut(self.start, self.size) }
        }
    }
}
