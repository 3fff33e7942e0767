//! The card table of the write barrier: its geometry, its marks, and what a mark stands for.
//!
//! Memory is divided into *cards* of 256 to 4096 bytes. The *card table* has one byte for each card of the address space
//! of 4 GiB, whatever the size of the memory. It lies in a second linear memory, which the prepared module exports under
//! the name in [`Barrier::export_name`](crate::Barrier::export_name). A byte of [`MARK`] says that code has written to
//! this card or near it; 0 says that it has not.
//!
//! Three rules connect marks with bytes. The code that marks and the host that restores must both keep them, so both
//! take them from this module:
//!
//! 1. **Slack.** A mark covers its card and [`SLACK`] bytes on either side. So a store that straddles two cards marks one
//!    of them, and stores near each other share a mark.
//! 2. **Circle.** Card addresses wrap around at 4 GiB. The slack behind the last card is address 0 and what follows; the
//!    slack before the first card is the end of the address space.
//! 3. **Neighbours.** Two marks whose addresses are no further apart than a card is long cover everything between them.
//!
//! [`Cards`] keeps these rules for the host.

use std::ops::Range;

use guest_abi::names::PAGE_SIZE;

/// Value of a mark in the table.
pub const MARK: u8 = 1;

/// Bytes on either side of a card that a mark covers as well.
///
/// At least 16, because a store of so many bytes marks only the card of its first byte. A larger slack lets more stores
/// share a mark.
pub const SLACK: u32 = 64;

/// Bytes of the address space.
const SPACE: u64 = 1 << 32;

/// How a card table divides the address space.
///
/// ```
/// use guest_prepare::cards::Geometry;
///
/// let geometry = Geometry::new(1024).expect("a power of two from 256 to 4096");
/// assert_eq!(geometry.card_of(0x1400), 5);
/// assert_eq!(geometry.cards(), 4 << 20);
/// // The table of 4 Mi cards takes 64 pages of 64 KiB.
/// assert_eq!(geometry.table_size(), 64 << 16);
/// assert_eq!(Geometry::new(1000), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// A card is this power of two of bytes.
    shift: u32,
}

impl Geometry {
    /// Bytes of the smallest card. The slack of a card must not reach beyond its neighbours.
    const SMALLEST: u32 = 256;

    /// Bytes of the largest card.
    const LARGEST: u32 = 4096;

    /// Cards of this many bytes. `None` unless it is a power of two from 256 to 4096.
    #[must_use]
    pub const fn new(card_size: u32) -> Option<Self> {
        if card_size.is_power_of_two() && card_size >= Self::SMALLEST && card_size <= Self::LARGEST {
            Some(Self { shift: card_size.ilog2() })
        } else {
            None
        }
    }

    /// Bytes of a card.
    #[must_use]
    #[inline]
    pub const fn card_size(self) -> u32 {
        1 << self.shift
    }

    /// The power of two of bytes that a card has.
    #[must_use]
    #[inline]
    pub const fn shift(self) -> u32 {
        self.shift
    }

    /// Cards in the table.
    #[must_use]
    #[inline]
    pub const fn cards(self) -> u32 {
        1 << (SPACE.ilog2() - self.shift)
    }

    /// Bytes of the memory that holds the table: whole pages of 64 KiB.
    #[must_use]
    pub const fn table_size(self) -> usize {
        self.table_pages() as usize * PAGE_SIZE as usize
    }

    /// Pages of 64 KiB of the memory that holds the table.
    pub(crate) const fn table_pages(self) -> u32 {
        self.cards().div_ceil(PAGE_SIZE)
    }

    /// The card of an address.
    #[must_use]
    #[inline]
    pub const fn card_of(self, address: u32) -> u32 {
        address >> self.shift
    }

    /// Cards whose marks can stand for bytes of a memory of `memory` bytes: those of the memory, and those of the slack
    /// behind it. The last card of the address space counts besides, see [the circle](self).
    #[must_use]
    #[inline]
    pub const fn covering(self, memory: usize) -> usize {
        (memory + SLACK as usize).div_ceil(1 << self.shift)
    }

    /// The cards that lie in a range with the slack around them: their marks stand for nothing outside of it.
    fn alone(self, range: Range<usize>) -> Range<usize> {
        let first = (range.start + SLACK as usize).div_ceil(1 << self.shift);
        first..(range.end.saturating_sub(SLACK as usize) >> self.shift).max(first)
    }

    /// Marks that cover a span of `length` bytes: none further than a card from the next, and the last one no further than
    /// the slack from the end of the span.
    pub(crate) const fn marks_for(self, length: u32) -> u32 {
        1 + length.saturating_sub(SLACK).div_ceil(self.card_size())
    }
}

/// A card table in the host's hands: the bytes of the memory that holds it.
///
/// The host marks what it writes into the guest's memory itself, and when it restores the guest it takes all marks:
///
/// ```
/// use guest_prepare::cards::{Cards, Geometry, MARK};
///
/// let geometry = Geometry::new(1024).expect("a power of two");
/// let mut table = vec![0; geometry.table_size()];
/// let (snapshot, mut memory) = (vec![0; 65536], vec![0; 65536]);
///
/// // A guest writes to address 5000, and its code marks the card.
/// memory[5000] = 7;
/// table[5000 / 1024] = MARK;
/// // The host writes as well.
/// memory[9000..9010].fill(7);
/// Cards::new(&mut table, geometry).mark(9000..9010);
///
/// let mut copied = 0;
/// Cards::new(&mut table, geometry).take(memory.len(), |range| {
///     // A range may reach beyond memory.
///     let range = range.start.min(memory.len())..range.end.min(memory.len());
///     memory[range.clone()].copy_from_slice(&snapshot[range.clone()]);
///     copied += range.len();
/// });
/// assert_eq!(memory, snapshot);
/// assert_eq!(copied, 2 * (1024 + 2 * 64));
/// assert!(table.iter().all(|mark| *mark == 0));
/// ```
#[derive(Debug)]
pub struct Cards<'a> {
    table: &'a mut [u8],
    geometry: Geometry,
}

impl<'a> Cards<'a> {
    /// The table in these bytes, which are all of the memory that the prepared module exports for it.
    #[must_use]
    #[inline]
    pub const fn new(table: &'a mut [u8], geometry: Geometry) -> Self {
        Self { table, geometry }
    }

    /// Marks the cards of a range that lies in the guest's memory.
    ///
    /// # Panics
    /// If the range reaches beyond the address space.
    #[inline]
    pub fn mark(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            let shift = self.geometry.shift;
            self.table[range.start >> shift..=(range.end - 1) >> shift].fill(MARK);
        }
    }

    /// Clears the marks that stand for writes in a range alone. Returns the bytes from the first card that had one to the last; `None` if
    /// no card had one.
    ///
    /// # Panics
    /// If the range reaches beyond the address space.
    pub fn forget(&mut self, range: Range<usize>) -> Option<Range<usize>> {
        let (alone, shift) = (self.alone(range), self.geometry.shift);
        let begin = alone.start << shift;
        let mut marked: Option<Range<usize>> = None;
        // Few cards have marks, and to look for them takes half the time of writing all.
        take_runs(&mut self.table[alone], shift, |run| {
            let first = marked.as_ref().map_or(begin + run.start, |marked| marked.start);
            marked = Some(first..begin + run.end);
        });
        marked
    }

    /// Whether there was certainly a write in a range: a card has a mark, and lies in the range with the slack around it.
    ///
    /// # Panics
    /// If the range reaches beyond the address space.
    #[must_use]
    pub fn is_written(&self, range: Range<usize>) -> bool {
        next_mark(&self.table[self.alone(range)], 0).is_some()
    }

    /// The parts of a range in which there may have been writes, in ascending order and without overlap. The range does not reach
    /// around the end of the address space.
    ///
    /// # Panics
    /// If the range reaches beyond the address space.
    #[must_use]
    pub fn written(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let (shift, slack) = (self.geometry.shift, SLACK as usize);
        let end = (range.end + slack).div_ceil(1 << shift).min(self.table.len());
        let near = (range.start.saturating_sub(slack) >> shift).min(end)..end;
        let (first, marks) = (near.start, &self.table[near]);
        let mut written: Vec<Range<usize>> = Vec::new();
        let mut card = 0;
        while let Some(start) = next_mark(marks, card) {
            card = end_of_run(marks, start);
            let covered = ((first + start) << shift).saturating_sub(slack)..((first + card) << shift) + slack;
            let part = covered.start.max(range.start)..covered.end.min(range.end);
            match written.last_mut() {
                Some(last) if part.start <= last.end => last.end = part.end,
                _ if part.start < part.end => written.push(part),
                _ => {}
            }
        }
        written
    }

    /// Clears the marks that can stand for bytes of a memory of `memory` bytes.
    #[inline]
    pub fn clear(&mut self, memory: usize) {
        let used = self.covering(memory);
        self.table[..used].fill(0);
        if let Some(last) = self.table.last_mut() {
            *last = 0;
        }
    }

    /// Clears the same marks, and calls `restore` with each range of bytes that they cover. Ranges may overlap, and they may
    /// reach beyond memory. A run of marked cards is one range: to copy one large range takes less time than to copy it
    /// in parts.
    #[inline]
    pub fn take(&mut self, memory: usize, mut restore: impl FnMut(Range<usize>)) {
        let slack = SLACK as usize;
        let used = self.covering(memory);
        let first = self.table.first().is_some_and(|mark| *mark != 0);
        let last = self.table.last_mut().is_some_and(|mark| std::mem::take(mark) != 0);
        if first || last {
            self.ends(first, last).into_iter().filter(|range| !range.is_empty()).for_each(&mut restore);
        }
        take_runs(&mut self.table[..used], self.geometry.shift, |run| {
            restore(run.start.saturating_sub(slack)..run.end + slack);
        });
    }

    /// As [`Cards::take`], but for marks from the address `from` on, as if the memory began there.
    #[inline]
    pub fn take_from(&mut self, from: usize, memory: usize, mut restore: impl FnMut(Range<usize>)) {
        let (slack, shift) = (SLACK as usize, self.geometry.shift);
        let cards = from.div_ceil(1 << shift)..self.covering(memory);
        let begin = cards.start << shift;
        if let Some(marks) = self.table.get_mut(cards) {
            take_runs(marks, shift, |run| restore((begin + run.start).saturating_sub(slack)..begin + run.end + slack));
        }
    }

    /// Calls `tell` with the ranges that [`Cards::take`] would, and leaves the marks as they are.
    pub fn marked(&self, memory: usize, mut tell: impl FnMut(Range<usize>)) {
        let slack = SLACK as usize;
        let marks = &self.table[..self.covering(memory)];
        let first = self.table.first().is_some_and(|mark| *mark != 0);
        let last = self.table.last().is_some_and(|mark| *mark != 0);
        if first || last {
            self.ends(first, last).into_iter().filter(|range| !range.is_empty()).for_each(&mut tell);
        }
        let (shift, mut card) = (self.geometry.shift, 0);
        while let Some(start) = next_mark(marks, card) {
            let end = end_of_run(marks, start);
            tell((start << shift).saturating_sub(slack)..(end << shift) + slack);
            card = end;
        }
    }

    /// The ranges around the end of the address space: the slack before the first card if that is marked, and the last card
    /// with its slack. Empty where they are not.
    // Returned, and not handed to a function: what that captures would have to lie in memory for every restore.
    #[cold]
    #[inline(never)]
    fn ends(&self, first: bool, last: bool) -> [Range<usize>; 2] {
        let slack = u64::from(SLACK);
        let last_card = SPACE - u64::from(self.geometry.card_size());
        let before = match (first, last) {
            (_, true) => last_card - slack,
            (true, false) => SPACE - slack,
            (false, false) => SPACE,
        };
        [address(before)..address(SPACE), 0..if last { SLACK as usize } else { 0 }]
    }

    /// The cards of the table that lie in a range with the slack around them.
    fn alone(&self, range: Range<usize>) -> Range<usize> {
        let (alone, most) = (self.geometry.alone(range), self.table.len());
        alone.start.min(most)..alone.end.min(most)
    }

    #[inline]
    fn covering(&self, memory: usize) -> usize {
        self.geometry.covering(memory).min(self.table.len())
    }
}

/// An address as an offset into bytes of the host. A host with addresses of 32 bits can have no memory that reaches up to
/// the end of the address space, so there the highest address of all stands for it.
#[inline]
fn address(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Clears the marks and tells the bytes of each run of marked cards.
#[inline]
fn take_runs(table: &mut [u8], shift: u32, mut tell: impl FnMut(Range<usize>)) {
    let mut card = 0;
    while let Some(start) = next_mark(table, card) {
        let end = end_of_run(table, start);
        // Most runs are short: a loop over few bytes takes less than a call.
        table[start..end].iter_mut().for_each(|mark| *mark = 0);
        tell(start << shift..end << shift);
        card = end;
    }
}

/// The first marked card from `from` on.
#[inline]
fn next_mark(table: &[u8], from: usize) -> Option<usize> {
    // Most tables are short, or the next mark is near. There these loops take fewer instructions than a general search, which
    // has to begin and to end.
    const BLOCK: usize = 64;
    const NEAR: usize = 8 * BLOCK;
    let rest = &table[from..];
    let near = &rest[..rest.len().min(NEAR)];
    let marks_of =
        |block: &[u8; BLOCK]| block.as_chunks().0.iter().fold(0, |all, word| all | u64::from_ne_bytes(*word));
    let clean = near.as_chunks().0.iter().take_while(|block| marks_of(block) == 0).count() * BLOCK;
    let (words, tail) = near[clean..].as_chunks();
    for (number, word) in words.iter().enumerate() {
        let marks = u64::from_le_bytes(*word);
        if marks != 0 {
            return Some(from + clean + number * word.len() + marks.trailing_zeros() as usize / 8);
        }
    }
    if let Some(marked) = tail.iter().position(|mark| *mark != 0) {
        return Some(from + near.len() - tail.len() + marked);
    }
    let far = &rest[near.len()..];
    if far.is_empty() { None } else { memchr::memchr(MARK, far).map(|marked| from + near.len() + marked) }
}

/// Where the run of marks ends that begins with that of `start`.
#[inline]
fn end_of_run(table: &[u8], start: usize) -> usize {
    const SHORT: usize = 8;
    let short = table[start..].iter().take(SHORT).position(|mark| *mark == 0);
    let marked = short.or_else(|| memchr::memchr(0, &table[start..]));
    marked.map_or(table.len(), |marked| start + marked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_covers_the_address_space() {
        for (card_size, cards) in [(256, 1 << 24), (512, 1 << 23), (1024, 1 << 22), (2048, 1 << 21), (4096, 1 << 20)] {
            let geometry = Geometry::new(card_size).unwrap();
            assert_eq!((geometry.card_size(), geometry.cards()), (card_size, cards));
            assert_eq!(geometry.table_size(), cards as usize, "a byte for each card, and pages come out even");
            assert_eq!((geometry.card_of(0), geometry.card_of(u32::MAX)), (0, cards - 1));
            assert_eq!(geometry.covering(65_536), 65_536 / card_size as usize + 1);
        }
        for card_size in [0, 1, 128, 300, 8192, 1 << 31, u32::MAX] {
            assert_eq!(Geometry::new(card_size), None, "{card_size}");
        }
    }

    #[test]
    fn a_span_is_covered_by_marks_a_card_apart() {
        let geometry = Geometry::new(256).unwrap();
        let marks = [0, 64, 65, 320, 321, u32::MAX].map(|length| geometry.marks_for(length));
        assert_eq!(marks, [1, 1, 2, 2, 3, (1 << 24) + 1]);
    }

    /// The table of a small address space: its last card is the last byte.
    fn small(marks: &mut [u8]) -> Cards<'_> {
        Cards::new(marks, Geometry::new(256).unwrap())
    }

    #[test]
    fn marks_are_made_for_every_card_of_a_range_and_cleared_with_that_of_the_end() {
        let mut table = [0; 20];
        small(&mut table).mark(300..300);
        assert_eq!(table, [0; 20]);
        small(&mut table).mark(255..257);
        small(&mut table).mark(1024..1025);
        small(&mut table).mark(1600..2200);
        assert_eq!(table[..10], [1, 1, 0, 0, 1, 0, 1, 1, 1, 0]);
        table[19] = 1;
        table[12] = 1;
        small(&mut table).clear(2560);
        let mut left = [0; 20];
        left[12] = 1;
        assert_eq!(table, left, "card 10 has the slack behind memory, and those above do not matter");
    }

    #[test]
    fn what_a_mark_covers_goes_around_the_end_of_the_address_space() {
        let taken = |marked: usize| {
            let mut table = [0; 20];
            table[marked] = 1;
            let (mut ranges, mut told) = (Vec::new(), Vec::new());
            small(&mut table).marked(2560, |range| told.push((range.start, range.end)));
            assert_eq!(table[marked], 1);
            small(&mut table).take(2560, |range| ranges.push((range.start, range.end)));
            assert_eq!(told, ranges);
            (ranges, table == [0; 20])
        };
        assert_eq!(taken(3), (vec![(768 - 64, 1024 + 64)], true));
        let space = 1_usize << 32;
        assert_eq!(taken(0), (vec![(space - 64, space), (0, 256 + 64)], true));
        assert_eq!(taken(19), (vec![(space - 256 - 64, space), (0, 64)], true));
        assert_eq!(taken(10), (vec![(2560 - 64, 2816 + 64)], true), "the slack before this card is the end of memory");
        assert_eq!(taken(12), (vec![], false));
    }

    #[test]
    fn ranges_at_the_end_of_the_address_space_have_cards_too() {
        let geometry = Geometry::new(1024).unwrap();
        let mut table = vec![0; geometry.table_size()];
        *table.last_mut().unwrap() = MARK;
        let space = 1_usize << 32;
        let mut cards = Cards::new(&mut table, geometry);
        for start in [space - 16, space - 64, space - 1000, space] {
            assert!(!cards.is_written(start..space));
            cards.forget(start..space);
        }
        assert_eq!(cards.written(space - 16..space), vec![space - 16..space; 1]);
        assert_eq!(cards.written(space..space), []);
        // The slack behind the last card is the beginning of memory, so no range up to the end has it to itself.
        cards.forget(0..space);
        assert_eq!(cards.written(space - 4096..space), vec![space - 1024 - 64..space; 1]);
    }

    #[test]
    fn marks_are_taken_from_an_address_on() {
        let mut table = [0; 20];
        for card in [2, 5, 7, 10, 12] {
            table[card] = 1;
        }
        let mut ranges = Vec::new();
        small(&mut table).take_from(5 * 256, 2560, |range| ranges.push((range.start, range.end)));
        let covered = |card: usize| (card * 256 - 64, card * 256 + 256 + 64);
        assert_eq!(ranges, [covered(5), covered(7), covered(10)]);
        assert_eq!(table.iter().filter(|mark| **mark != 0).count(), 2);
        small(&mut table).take_from(9000, 2560, |range| panic!("{range:?}"));
    }

    #[test]
    fn marks_of_a_range_are_read_and_forgotten() {
        let mut table = [0; 20];
        small(&mut table).mark(300..301);
        small(&mut table).mark(1024..1700);
        let cards = small(&mut table);
        assert_eq!(cards.written(0..2000), [192..576, 960..1856]);
        assert_eq!(cards.written(400..1000), [400..576, 960..1000]);
        assert_eq!(cards.written(700..960), []);
        // Card 1 with its slack are the bytes from 192 to 576.
        for (range, expected) in
            [(192..576, true), (193..576, false), (192..575, false), (0..5120, true), (576..960, false)]
        {
            assert_eq!(cards.is_written(range.clone()), expected, "{range:?}");
        }
        let mut cards = cards;
        cards.forget(193..1600);
        assert_eq!(cards.written(0..2000), [192..576, 1472..1856]);
        cards.forget(192..576);
        assert_eq!(cards.written(0..2000), vec![1472..1856; 1]);
    }

    /// The runs that [`take_runs`] reports, in cards, and whether the table is clear afterwards.
    fn taken(table: &[u8]) -> (Vec<(usize, usize)>, bool) {
        let (mut table, mut runs) = (table.to_vec(), Vec::new());
        take_runs(&mut table, 10, |run| runs.push((run.start >> 10, run.end >> 10)));
        (runs, table.iter().all(|mark| *mark == 0))
    }

    #[test]
    fn a_mark_anywhere_is_taken_once() {
        for at in 0..300 {
            let mut table = [0; 300];
            table[at] = 1;
            assert_eq!(taken(&table), (vec![(at, at + 1)], true));
        }
        assert_eq!(taken(&[0; 300]), (vec![], true));
        assert_eq!(taken(&[1; 300]), (vec![(0, 300)], true));
    }

    proptest! {
        /// Marks lie in runs of any length, near each other and far apart.
        #[test]
        fn runs_are_the_marked_cards(
            lengths in prop::collection::vec((prop_oneof![0_usize..70, 400_usize..1200], 0_u8..=MARK), 0..60)
        ) {
            let table: Vec<u8> = lengths.iter().flat_map(|(length, mark)| vec![*mark; *length]).collect();
            let (runs, clear) = taken(&table);
            prop_assert!(clear);
            prop_assert!(runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "{runs:?}");
            let covered: Vec<usize> = runs.into_iter().flat_map(|(start, end)| start..end).collect();
            let marked: Vec<usize> = (0..table.len()).filter(|at| table[*at] != 0).collect();
            prop_assert_eq!(covered, marked);
        }
    }
}
