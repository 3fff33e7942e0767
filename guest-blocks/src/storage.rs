//! The storage that a guest has offered, and which of it is free.

use std::ops::Range;

use crate::memory::{GUARD, LARGEST_CARD};
use crate::ranges::overlap;
use crate::sys::PAGE;

/// The storage of one guest. Places begin and end at multiples of [`LARGEST_CARD`], and their first and last [`GUARD`] bytes stay free: so
/// a card of the write barrier in a place stands for writes in this place alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Storage {
    /// As they were offered.
    areas: Vec<Range<usize>>,
    /// Free places, in order; no two of them touch.
    free: Vec<Range<usize>>,
    /// Storage that was 0 when the guest was initialised, and is 0 again after each restore.
    zeros: Vec<Range<usize>>,
}

impl Storage {
    /// Storage that a range overlaps.
    pub(crate) fn overlapping(&self, range: &Range<usize>) -> Option<&Range<usize>> {
        self.areas.iter().find(|area| overlap(area, range))
    }

    /// Whether another one was offered in the same pieces.
    pub(crate) fn is_of_same_areas(&self, other: &Self) -> bool {
        self.areas == other.areas
    }

    /// Takes storage that overlaps no other; whether it is large enough for anything.
    pub(crate) fn offer(&mut self, area: Range<usize>) -> bool {
        let usable = whole_cards(area.start + GUARD..area.end.saturating_sub(GUARD));
        let is_usable = usable.start < usable.end && self.areas.len() < MOST_AREAS;
        if is_usable {
            self.areas.push(area);
            self.release(usable);
        }
        is_usable
    }

    /// Takes a place for `bytes` bytes, which begin [`GUARD`] bytes behind its beginning.
    pub(crate) fn take(&mut self, bytes: u32) -> Option<Range<usize>> {
        let length = place(bytes);
        let at = self.free.iter().position(|free| free.len() >= length)?;
        let start = self.free[at].start;
        self.free[at].start += length;
        if self.free[at].is_empty() {
            self.free.remove(at);
        }
        Some(start..start + length)
    }

    /// Takes a place for a mapping of `bytes` bytes, which begins a page behind its beginning. Its bytes are 0 in a restored guest, as
    /// pages are that take the place of a mapping.
    pub(crate) fn take_pages(&mut self, bytes: usize) -> Option<Range<usize>> {
        let length = bytes_mapped(bytes);
        let fits = |free: &Range<usize>| {
            let first = self.zeros.partition_point(|zeros| zeros.end <= free.start);
            let over = self.zeros[first..].iter().take_while(|zeros| zeros.start < free.end);
            let start = over.map(|zeros| {
                let both = whole_cards(zeros.start.max(free.start)..zeros.end.min(free.end));
                (both.len() >= length).then_some(both.start)
            });
            start.flatten().next()
        };
        let (at, start) = self.free.iter().enumerate().find_map(|(at, free)| Some((at, fits(free)?)))?;
        let free = self.free.remove(at);
        let place = start..start + length;
        let rest = [free.start..place.start, place.end..free.end];
        self.free.splice(at..at, rest.into_iter().filter(|rest| !rest.is_empty()));
        Some(place)
    }

    /// Takes note of the storage that is 0 now.
    pub(crate) fn find_zeros(&mut self, memory: &[u8]) {
        let is_zero = |area: &&Range<usize>| memory[(*area).clone()].iter().all(|byte| *byte == 0);
        self.zeros = self.areas.iter().filter(is_zero).cloned().collect();
        self.zeros.sort_unstable_by_key(|zeros| zeros.start);
    }

    /// A place is free again.
    pub(crate) fn release(&mut self, place: Range<usize>) {
        let at = self.free.partition_point(|free| free.start < place.start);
        self.free.insert(at, place);
        let joins =
            |left: usize, free: &[Range<usize>]| free.get(left + 1).is_some_and(|right| free[left].end == right.start);
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if joins(left, &self.free) {
                self.free[left].end = self.free[left + 1].end;
                self.free.remove(left + 1);
            }
        }
    }
}

/// Pieces in which a guest may offer storage.
const MOST_AREAS: usize = 1024;

/// Bytes of the place of a block.
fn place(bytes: u32) -> usize {
    (bytes as usize + 2 * GUARD).next_multiple_of(LARGEST_CARD)
}

/// The first byte of the block in a place.
pub(crate) fn first_byte(place: &Range<usize>) -> usize {
    place.start + GUARD
}

/// The pages of a place that has a mapping.
pub(crate) fn mapped(place: &Range<usize>) -> Range<usize> {
    place.start + PAGE..place.end - PAGE
}

/// A place with the bytes for which marks of its cards may stand. Nobody uses those outside of the place.
pub(crate) fn guarded(place: &Range<usize>) -> Range<usize> {
    place.start - GUARD..place.end + GUARD
}

/// Bytes of the place of a mapping.
fn bytes_mapped(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(PAGE) + 2 * PAGE
}

/// The part of a range that begins and ends at multiples of [`LARGEST_CARD`]; perhaps no bytes.
fn whole_cards(range: Range<usize>) -> Range<usize> {
    let start = range.start.next_multiple_of(LARGEST_CARD);
    start..(range.end / LARGEST_CARD * LARGEST_CARD).max(start)
}

/// Bytes of storage that have a place for `count` blocks of `bytes` each, copied or mapped, wherever the storage begins; `u32::MAX`, which no
/// storage has, if they are more than a memory has.
pub(crate) fn bytes_for(count: u32, bytes: u32, is_mapped: bool) -> u32 {
    let place = if is_mapped { bytes_mapped(bytes as usize) } else { place(bytes) };
    let all = place.checked_mul(count as usize).and_then(|all| all.checked_add(2 * GUARD + LARGEST_CARD - 1));
    all.and_then(|all| u32::try_from(all).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_join_again_whatever_the_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0]] {
            let mut storage = Storage::default();
            assert!(storage.offer(100..100 + bytes_for(3, 5000, false) as usize));
            let places: Vec<_> = (0..3).map(|_| storage.take(5000).unwrap()).collect();
            assert!(places.iter().all(|place| place.len() == 8192 && place.start % LARGEST_CARD == 0));
            assert!(first_byte(&places[0]) + 5000 + GUARD <= places[0].end);
            assert_eq!(storage.take(1), None);
            for at in order {
                storage.release(places[at].clone());
            }
            assert_eq!(storage.free, vec![4096..4096 + 3 * 8192]);
        }
    }

    #[test]
    fn mappings_have_pages_of_zeros_and_a_page_at_either_end() {
        let mut memory = vec![0; 40 * PAGE];
        memory[20 * PAGE] = 1;
        let mut storage = Storage::default();
        assert!(storage.offer(PAGE..8 * PAGE) && storage.offer(20 * PAGE..36 * PAGE));
        assert_eq!(storage.take_pages(1), None, "nobody has looked for zeros");
        storage.find_zeros(&memory);
        // Of 7 pages the first and the last are not whole without the bytes that stay free.
        assert_eq!(storage.take_pages(3 * PAGE + 1), None);
        let place = storage.take_pages(3 * PAGE).unwrap();
        assert_eq!((place.clone(), mapped(&place)), (2 * PAGE..7 * PAGE, 3 * PAGE..6 * PAGE));
        assert_eq!(storage.take_pages(1), None, "the other storage is not 0");
        storage.release(place);
        assert!(storage.take_pages(PAGE).is_some() && storage.take(1).is_some());
    }

    #[test]
    fn as_many_bytes_as_are_asked_for_serve_wherever_they_begin() {
        for bytes in [1, PAGE as u32, 3 * PAGE as u32 + 1] {
            let (mapped, copied) = (bytes_for(1, bytes, true) as usize, bytes_for(1, bytes, false) as usize);
            let memory = vec![0; 2 * PAGE + mapped];
            for start in [0, 1, GUARD, PAGE - GUARD - 1, PAGE - GUARD, PAGE - GUARD + 1, PAGE - 1] {
                let mut storage = Storage::default();
                assert!(storage.offer(PAGE + start..PAGE + start + mapped));
                storage.find_zeros(&memory);
                assert!(storage.take_pages(bytes as usize).is_some(), "{bytes} from {start}");
                let mut storage = Storage::default();
                assert!(storage.offer(PAGE + start..PAGE + start + copied));
                assert!(storage.take(bytes).is_some(), "{bytes} from {start}");
            }
        }
    }

    #[test]
    fn storage_without_a_place_is_no_storage() {
        let mut storage = Storage::default();
        assert!(!storage.offer(4000..8192 + GUARD - 1) && storage.overlapping(&(0..10_000)).is_none());
        assert!(storage.offer(3968..8192 + GUARD));
        assert_eq!(storage.overlapping(&(8319..9000)), Some(&(3968..8320)));
        assert_eq!(storage.overlapping(&(8320..9000)), None);
        assert_eq!((storage.take(4096), storage.take(3840), storage.take(1)), (None, Some(4096..8192), None));
    }

    #[test]
    fn sizes_that_no_memory_has_do_not_wrap_around() {
        let beside = 2 * GUARD + 4095;
        assert_eq!(
            [bytes_for(1, 0, false), bytes_for(1, 3840, false), bytes_for(2, 3841, false)]
                .map(|all| all as usize - beside),
            [4096, 4096, 16_384]
        );
        for (count, bytes) in [(1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (1 << 20, 4097)] {
            assert_eq!([bytes_for(count, bytes, false), bytes_for(count, bytes, true)], [u32::MAX; 2]);
        }
        assert_eq!(bytes_for(0, 7, false) as usize, beside);
    }
}
