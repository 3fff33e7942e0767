//! Where text and bytes come back to the guest: buffers that the host has from the guest's `malloc`.
//!
//! The first is obtained before the snapshot and filled anew from its beginning in each call. What does not fit takes a
//! further one, which stays for later calls until the memory is restored; then it is no longer allocated, and the guest
//! may put there what it likes.

use std::ops::Range;

/// Buffers for which there is room whether or not they were needed.
const KEPT: usize = 256;

/// Buffers, and how far they are filled.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    buffers: Vec<Range<usize>>,
    /// Bytes of all of them.
    bytes: usize,
    /// Those that the snapshot has.
    kept: usize,
    /// The one that is being filled.
    current: usize,
    /// As far as it is filled.
    filled: usize,
}

impl Buffers {
    /// With a buffer that the snapshot has.
    pub(super) fn new(buffer: Range<usize>) -> Self {
        Self { filled: buffer.start, bytes: buffer.len(), buffers: vec![buffer], kept: 1, current: 0 }
    }

    #[inline]
    pub(super) fn begin_call(&mut self) {
        self.current = 0;
        self.filled = self.buffers.first().map_or(0, |first| first.start);
    }

    /// Forgets the further buffers.
    #[inline]
    pub(super) fn restore(&mut self) {
        if self.buffers.len() > self.kept {
            self.forget_further();
        }
        self.begin_call();
    }

    #[cold]
    fn forget_further(&mut self) {
        self.buffers.truncate(self.kept);
        if self.buffers.capacity() > KEPT {
            self.buffers.shrink_to(KEPT);
        }
        self.bytes = self.buffers.iter().map(ExactSizeIterator::len).sum();
    }

    /// Room for so many bytes, if there is any.
    #[inline]
    pub(super) fn place(&mut self, length: usize) -> Option<Range<usize>> {
        if length == 0 {
            return Some(self.filled..self.filled);
        }
        while let Some(buffer) = self.buffers.get(self.current) {
            if length <= buffer.end - self.filled {
                self.filled += length;
                return Some(self.filled - length..self.filled);
            }
            let next = self.buffers.get(self.current + 1)?;
            (self.current, self.filled) = (self.current + 1, next.start);
        }
        None
    }

    /// Adds a buffer in a memory of `memory` bytes, which is filled next. `false` where the buffers would be larger than that
    /// together: the guest gives the same bytes again and again, and there would be no end of them.
    #[must_use]
    pub(super) fn add(&mut self, buffer: Range<usize>, memory: usize) -> bool {
        let bytes = self.bytes + buffer.len();
        if bytes > memory {
            return false;
        }
        self.bytes = bytes;
        self.filled = buffer.start;
        self.current = self.buffers.len();
        self.buffers.push(buffer);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_filled_in_turn_and_forgotten_by_a_restore() {
        let mut buffers = Buffers::new(100..110);
        buffers.begin_call();
        assert_eq!(buffers.place(0), Some(100..100));
        assert_eq!(buffers.place(6), Some(100..106));
        assert_eq!(buffers.place(4), Some(106..110));
        assert_eq!(buffers.place(1), None);
        assert!(buffers.add(500..520, 36));
        assert_eq!(buffers.place(15), Some(500..515));
        assert_eq!(buffers.place(6), None);
        assert!(buffers.add(900..906, 36));
        assert_eq!(buffers.place(6), Some(900..906));
        buffers.begin_call();
        assert_eq!(buffers.place(8), Some(100..108), "from the beginning");
        assert_eq!(buffers.place(8), Some(500..508), "a further one is kept");
        buffers.restore();
        assert_eq!(buffers.place(8), Some(100..108));
        assert_eq!(buffers.place(8), None, "and is gone after a restore");
        assert!(buffers.add(100..120, 30) && !buffers.add(100..120, 49), "two of 20 and one of 10");
    }

    #[test]
    fn buffers_that_cannot_all_be_in_memory_are_refused() {
        let mut buffers = Buffers::new(0..10);
        for _ in 0..3 {
            buffers.begin_call();
            assert!((0..9).all(|_| buffers.add(10..20, 100)));
            assert!(!buffers.add(10..20, 100) && !buffers.add(0..1, 100));
            assert_eq!((buffers.place(10), buffers.place(1)), (Some(10..20), None), "the last one is the one to fill");
            buffers.restore();
        }
    }

    #[test]
    fn without_a_buffer_only_nothing_fits() {
        let mut buffers = Buffers::default();
        buffers.begin_call();
        assert_eq!((buffers.place(0), buffers.place(1)), (Some(0..0), None));
    }
}
