//! The difference between an instance's memory and its snapshot, as cards of an image.

use std::ops::Range;

use guest_image::{CARD, Cards};

use super::Target;
use crate::host::memory_location::memory_and_data;
use crate::restore::policy::Residue;
use crate::restore::snapshot::Snapshot;

/// Cards of memory that may differ from the snapshot. Kept from one time to the next, so that it takes no allocation.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Numbers of cards, in any order until they are sorted.
    ranges: Vec<Range<usize>>,
}

impl Touched {
    /// Adds the cards of a range of addresses, as far as it lies in a memory of `size` bytes.
    fn add(&mut self, range: &Range<usize>, size: usize) {
        let end = range.end.min(size);
        if range.start < end {
            self.ranges.push(range.start / CARD..end.div_ceil(CARD));
        }
    }

    /// Sorts the ranges, and joins those that overlap or touch.
    fn join(&mut self) -> &[Range<usize>] {
        self.ranges.sort_unstable_by_key(|range| range.start);
        self.ranges.dedup_by(|next, range| {
            let joins = next.start <= range.end;
            if joins {
                range.end = range.end.max(next.end);
            }
            joins
        });
        &self.ranges
    }
}

impl Target<'_> {
    /// Puts the cards into `found` in which the first `size` bytes of memory differ from the snapshot. What no safe guest reads
    /// after a call counts as unchanged where residue is scrubbed: the shadow stack and the exchange region.
    pub(crate) fn difference(&mut self, size: usize, touched: &mut Touched, found: &mut Cards) {
        found.clear();
        touched.ranges.clear();
        let Some((memory, data)) = memory_and_data(self.store) else {
            return;
        };
        let (memory, cards) = memory.into_parts();
        let size = size.min(memory.len());
        match cards {
            Some(cards) => {
                cards.marked(size, |range| touched.add(&range, size));
                data.dirty_ranges.named().iter().for_each(|range| touched.add(range, size));
                self.always.iter().for_each(|range| touched.add(&super::addresses(range), size));
            }
            None => touched.add(&(0..size), size),
        }
        let regions = self.snapshot.regions();
        let dead = match self.residue {
            Residue::Scrub => [regions.shadow_stack(), regions.exchange()],
            Residue::Keep => [0..0, 0..0],
        };
        for range in touched.join() {
            compare(memory, self.snapshot, range.clone(), &dead, found);
        }
    }
}

/// How a card is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lives {
    /// All of it.
    Whole,
    /// None of it.
    Not,
    /// A part of it.
    Partly,
}

impl Lives {
    fn of(card: usize, dead: &[Range<usize>; 2]) -> Self {
        let own = card * CARD..(card + 1) * CARD;
        let touching = |dead: &&Range<usize>| dead.start < own.end && own.start < dead.end;
        let mut touching = dead.iter().filter(touching);
        match (touching.next(), touching.next()) {
            (None, _) => Self::Whole,
            (Some(dead), None) if dead.start <= own.start && own.end <= dead.end => Self::Not,
            _ => Self::Partly,
        }
    }
}

/// Appends the cards of a range in which memory differs from the snapshot.
fn compare(memory: &[u8], snapshot: &Snapshot, range: Range<usize>, dead: &[Range<usize>; 2], found: &mut Cards) {
    let mut card = range.start;
    while card < range.end {
        match Lives::of(card, dead) {
            Lives::Not => card += 1,
            Lives::Partly => {
                let own = card * CARD..(card + 1) * CARD;
                let mut bytes = [0; CARD];
                bytes.copy_from_slice(&memory[own.clone()]);
                for dead in dead {
                    for at in dead.start.max(own.start)..dead.end.min(own.end) {
                        bytes[at - own.start] = snapshot.memory().get(at).copied().unwrap_or(0);
                    }
                }
                if !is_saved(&bytes, snapshot, card) {
                    push(found, card, &bytes);
                }
                card += 1;
            }
            Lives::Whole => {
                // As far as the next dead part: to look for one at each card would take longer than to compare it.
                let starts = dead.iter().filter(|dead| !dead.is_empty() && dead.start >= card * CARD);
                let end = starts.map(|dead| dead.start / CARD).fold(range.end, usize::min);
                compare_whole(memory, snapshot, card..end, found);
                card = end;
            }
        }
    }
}

/// The same for cards of which nothing is dead.
fn compare_whole(memory: &[u8], snapshot: &Snapshot, range: Range<usize>, found: &mut Cards) {
    let differs = |card: usize| !is_saved(&memory[card * CARD..(card + 1) * CARD], snapshot, card);
    let mut card = range.start;
    while card < range.end {
        let first = card;
        while card < range.end && differs(card) {
            card += 1;
        }
        if first < card {
            push(found, first, &memory[first * CARD..card * CARD]);
        }
        // This one does not differ.
        card += 1;
    }
}

/// Whether the bytes of a card are as in the snapshot, or zero where that has none.
#[inline]
fn is_saved(bytes: &[u8], snapshot: &Snapshot, card: usize) -> bool {
    match snapshot.memory().get(card * CARD..(card + 1) * CARD) {
        Some(saved) => bytes == saved,
        None => bytes.iter().all(|byte| *byte == 0),
    }
}

fn push(found: &mut Cards, card: usize, bytes: &[u8]) {
    // A memory has at most 4 GiB.
    found.push(u32::try_from(card).unwrap_or(u32::MAX), bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_become_cards_in_order() {
        let mut touched = Touched::default();
        for range in [3000..3001, 0..1, 255..257, 5000..900_000, 700..700, 2999..3100, 8192..9000] {
            touched.add(&range, 8192);
        }
        assert_eq!(touched.join(), [0..2, 11..13, 19..32]);
    }

    proptest! {
        /// Memory that was grown since, dead parts anywhere, and any ranges that contain what was written.
        #[test]
        fn every_byte_that_differs_and_lives_is_found_and_no_equal_card(
            writes in prop::collection::vec((0_usize..6000, 1_usize..700, any::<u8>()), 0..8),
            more in prop::collection::vec((0_usize..9000, 0_usize..900), 0..5),
            dead in any::<[(u16, u16); 2]>(),
        ) {
            let saved: Vec<u8> = (0..16 * CARD).map(|at| (at / 100) as u8).collect();
            let snapshot = Snapshot::of_memory(&saved);
            let (mut memory, mut touched) = ([&saved[..], &[0; 8 * CARD]].concat(), Touched::default());
            for (at, length, byte) in writes {
                let range = at..(at + length).min(memory.len());
                memory[range.clone()].fill(byte);
                touched.add(&range, memory.len());
            }
            more.iter().for_each(|(at, length)| touched.add(&(*at..at + length), memory.len()));
            let start = usize::from(dead[0].0) % 3000;
            let end = start + usize::from(dead[0].1) % 1500;
            let other = end + usize::from(dead[1].0) % 600;
            let dead = [start..end, other..other + usize::from(dead[1].1) % 2000];
            let mut found = Cards::new();
            for range in touched.join() {
                compare(&memory, &snapshot, range.clone(), &dead, &mut found);
            }
            let was = |at: usize| saved.get(at).copied().unwrap_or(0);
            let mut again: Vec<u8> = (0..memory.len()).map(was).collect();
            for (address, bytes) in found.iter() {
                again[address..address + bytes.len()].copy_from_slice(bytes);
            }
            let is_dead = |at: usize| dead.iter().any(|dead| dead.contains(&at));
            let expected: Vec<u8> = (0..memory.len()).map(|at| if is_dead(at) { was(at) } else { memory[at] }).collect();
            prop_assert!(again == expected);
            for card in 0..24 {
                let is_equal = (card * CARD..(card + 1) * CARD).all(|at| expected[at] == was(at));
                prop_assert_eq!(found.get(u32::try_from(card).unwrap()).is_none(), is_equal, "card {}", card);
            }
        }
    }
}
