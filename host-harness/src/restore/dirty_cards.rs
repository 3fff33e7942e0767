//! Copies back what was written, as the write barrier marked it.

use std::ops::Range;

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::guest_memory::Cards;
use crate::policy::Residue;
use crate::prepare::{Barrier, SLACK};
use crate::snapshot::{RegionKind, Snapshot};

/// Exact, for every guest that can be restored in place, at the cost of what a call wrote.
///
/// The card table is scanned as far as memory physically reaches, a byte for each card of it.
#[derive(Debug, Clone)]
pub struct DirtyCards {
    barrier: Barrier,
}

impl DirtyCards {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self { barrier }
    }
}

impl Restore for DirtyCards {
    fn name(&self) -> &'static str {
        "dirty-cards"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let (memory, cards, snapshot) = target.memory_and_cards();
        let Some(cards) = cards else {
            return Err(RestoreError::NoBarrier);
        };
        let grown = memory.len() != snapshot.memory.len();
        let mut restoring = Restoring { memory, snapshot, bytes: 0 };
        restoring.cards(cards);
        for range in &self.barrier.always {
            restoring.range(range.start as usize..range.end as usize);
        }
        let bytes = restoring.bytes;
        target.restore_globals_after(grown)?;
        Ok(Restored { bytes })
    }
}

struct Restoring<'a> {
    memory: &'a mut [u8],
    snapshot: &'a Snapshot,
    bytes: u64,
}

impl Restoring<'_> {
    /// Restores what the marked cards cover, with the slack around them, and clears the marks.
    fn cards(&mut self, cards: Cards<'_>) {
        const SPACE: usize = 1 << 32;
        let slack = SLACK as usize;
        let used = cards.covering(self.memory.len()).next_multiple_of(BLOCK).min(cards.table.len());
        // The address space is a circle: behind its last card comes the first.
        if cards.table[0] != 0 {
            self.range(SPACE - slack..SPACE);
        }
        if cards.table.last_mut().is_some_and(|mark| std::mem::take(mark) != 0) {
            self.range(SPACE - (1 << cards.shift) - slack..SPACE);
            self.range(0..slack);
        }
        take_runs(&mut cards.table[..used], cards.shift, |run| {
            self.range(run.start.saturating_sub(slack)..run.end + slack);
        });
    }

    /// Puts back what of the range lies in memory: from the snapshot, or with zeros where it was grown since.
    fn range(&mut self, range: Range<usize>) {
        let end = range.end.min(self.memory.len());
        let saved = self.snapshot.memory.len().clamp(range.start.min(end), end);
        if range.start < saved {
            self.bytes += copy_back(self.memory, self.snapshot, range.start..saved);
        }
        if saved < end {
            self.bytes += zero(self.memory, saved..end);
        }
    }
}

/// Bytes of the table that are looked at in one go: enough that looking takes longer than going on to the next.
const BLOCK: usize = 256;

/// What one store instruction leaves in the table.
const MARK: u8 = 1;

/// Clears the marks and tells the bytes of each run of marked cards, as large as they are: to fill or copy a large range
/// takes less than to do so in parts.
fn take_runs(table: &mut [u8], shift: u32, mut tell: impl FnMut(Range<usize>)) {
    let mut run: Option<Range<usize>> = None;
    let (blocks, _) = table.as_chunks_mut::<BLOCK>();
    for (index, block) in blocks.iter_mut().enumerate() {
        if is_clean(block) {
            continue;
        }
        let mut card = first_other_than(0, block, 0);
        while card < BLOCK {
            let end = first_other_than(MARK, block, card + 1);
            let (from, to) = ((index * BLOCK + card) << shift, (index * BLOCK + end) << shift);
            match &mut run {
                Some(run) if run.end == from => run.end = to,
                _ => {
                    if let Some(run) = run.replace(from..to) {
                        tell(run);
                    }
                }
            }
            card = first_other_than(0, block, end);
        }
        block.fill(0);
    }
    if let Some(run) = run {
        tell(run);
    }
}

/// Whether no card of the block is marked. Without a branch on the way, so that it is done by vector instructions.
fn is_clean(block: &[u8; BLOCK]) -> bool {
    let (words, _) = block.as_chunks::<8>();
    words.iter().fold(0, |marks, word| marks | u64::from_ne_bytes(*word)) == 0
}

/// Where in the block, not before `from`, the first byte with another value stands; its length where there is none.
fn first_other_than(value: u8, block: &[u8; BLOCK], from: usize) -> usize {
    const WORD: usize = 8;
    let (words, _) = block.as_chunks::<WORD>();
    let differs = |word: &[u8; WORD]| u64::from_le_bytes(*word) ^ u64::from_le_bytes([value; WORD]);
    let mut before = from % WORD * 8;
    for (index, word) in words.iter().enumerate().skip(from / WORD) {
        let found = differs(word) >> before << before;
        if found != 0 {
            return index * WORD + found.trailing_zeros() as usize / 8;
        }
        before = 0;
    }
    BLOCK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What [`take_runs`] tells, card by card, and whether the table is clear then.
    fn taken(table: &[u8]) -> (Vec<(usize, usize)>, bool) {
        let (mut table, mut runs) = (table.to_vec(), Vec::new());
        take_runs(&mut table, 10, |run| runs.push((run.start >> 10, run.end >> 10)));
        (runs, table.iter().all(|mark| *mark == 0))
    }

    #[test]
    fn a_mark_anywhere_is_taken_once() {
        for at in 0..3 * BLOCK {
            let mut table = [0; 3 * BLOCK];
            table[at] = 1;
            assert_eq!(taken(&table), (vec![(at, at + 1)], true));
        }
        assert_eq!(taken(&[0; 3 * BLOCK]), (vec![], true));
        assert_eq!(taken(&[1; 3 * BLOCK]), (vec![(0, 3 * BLOCK)], true));
    }

    proptest! {
        /// Marks lie in runs of any length, and are not all of the same value.
        #[test]
        fn runs_are_the_marked_cards(lengths in prop::collection::vec((0_usize..70, 0_u8..4), 0..60)) {
            let mut table: Vec<u8> = lengths.iter().flat_map(|(length, mark)| vec![*mark; *length]).collect();
            table.resize(table.len().next_multiple_of(BLOCK), 0);
            let (runs, clear) = taken(&table);
            prop_assert!(clear);
            prop_assert!(runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "{runs:?}");
            let covered: Vec<usize> = runs.into_iter().flat_map(|(start, end)| start..end).collect();
            let marked: Vec<usize> = (0..table.len()).filter(|at| table[*at] != 0).collect();
            prop_assert_eq!(covered, marked);
        }
    }
}
