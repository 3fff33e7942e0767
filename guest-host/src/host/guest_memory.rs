//! A guest's memory as host functions see it: they read it all, and what they write is marked.

use std::ops::Range;

use guest_prepare::cards::Cards;

use crate::host::dirty_ranges::DirtyRanges;

/// A guest's memory. Its bytes can be had for writing only through [`GuestMemory::write`], so nothing that a host
/// function writes escapes the write barrier or the [`DirtyRanges`].
#[derive(Debug)]
pub(crate) struct GuestMemory<'a> {
    bytes: &'a mut [u8],
    cards: Option<Cards<'a>>,
}

impl<'a> GuestMemory<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a mut [u8], cards: Option<Cards<'a>>) -> Self {
        Self { bytes, cards }
    }

    /// The same memory as far as `end`.
    pub(crate) fn up_to(self, end: usize) -> Self {
        let end = end.min(self.bytes.len());
        Self { bytes: &mut self.bytes[..end], ..self }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All bytes, to be read.
    #[inline]
    pub(crate) fn read(&self) -> &[u8] {
        self.bytes
    }

    /// Bytes that are going to be written. Panics where the range is not in memory.
    ///
    /// In the exchange region the dirty ranges say precisely what was written, so that a restore need not copy back whole
    /// cards of it; elsewhere the cards are marked.
    #[inline]
    pub(crate) fn write(&mut self, range: Range<usize>, dirty_ranges: &mut DirtyRanges) -> &mut [u8] {
        let bytes = &mut self.bytes[range.clone()];
        dirty_ranges.add(&range);
        if let Some(cards) = &mut self.cards
            && !dirty_ranges.covers(&range)
        {
            cards.mark(range);
        }
        bytes
    }

    /// The same as [`GuestMemory::write`], for as long as the memory was lent.
    #[inline]
    pub(crate) fn into_written(mut self, range: Range<usize>, dirty_ranges: &mut DirtyRanges) -> &'a mut [u8] {
        self.write(range.clone(), dirty_ranges);
        &mut self.bytes[range]
    }

    /// Bytes whose pages are going to be replaced by others. The caller keeps account of them.
    #[cfg(all(feature = "map", target_os = "linux"))]
    pub(crate) fn replaced(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        self.bytes.get_mut(range)
    }

    /// The card table, if the guest was prepared with one.
    #[inline]
    pub(crate) fn cards(&self) -> Option<&Cards<'a>> {
        self.cards.as_ref()
    }

    /// The card table, for those who keep account of the writes whose marks they clear.
    #[inline]
    pub(crate) fn cards_mut(&mut self) -> Option<&mut Cards<'a>> {
        self.cards.as_mut()
    }

    /// The bytes and the card table, for those who restore what was written.
    #[inline]
    pub(crate) fn into_parts(self) -> (&'a mut [u8], Option<Cards<'a>>) {
        (self.bytes, self.cards)
    }
}

#[cfg(test)]
mod tests {
    use guest_prepare::cards::Geometry;

    use super::*;

    #[test]
    fn what_is_written_is_marked_and_what_is_read_is_not() {
        let geometry = Geometry::new(256).unwrap();
        let (mut bytes, mut table) = (vec![0; 4096], vec![0; 20]);
        let mut memory = GuestMemory::new(&mut bytes, Some(Cards::new(&mut table, geometry)));
        assert_eq!(memory.read()[300], 0);
        let mut dirty_ranges = DirtyRanges::of(2000..3000);
        memory.write(0..0, &mut dirty_ranges);
        memory.write(255..257, &mut dirty_ranges).fill(7);
        memory.write(1024..1025, &mut dirty_ranges).fill(7);
        memory.write(2500..2600, &mut dirty_ranges).fill(7);
        memory.write(2999..3001, &mut dirty_ranges).fill(7);
        memory.write(4000..4096, &mut dirty_ranges).fill(7);
        assert_eq!(dirty_ranges.named(), [2500..2600, 2999..3000]);
        assert_eq!(memory.read()[255..258], [7, 7, 0]);
        assert_eq!(table, [1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        let cards = Cards::new(&mut table, geometry);
        GuestMemory::new(&mut bytes, Some(cards)).into_parts().1.unwrap().clear(4096);
        assert_eq!(table, [0; 20]);
    }
}
