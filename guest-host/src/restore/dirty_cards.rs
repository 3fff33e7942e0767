//! Copies back what was written, as the write barrier marked it.

use std::ops::Range;

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::host::guest_memory::Cards;
use crate::restore::policy::Residue;
use crate::restore::snapshot::{RegionKind, Snapshot};
use guest_prepare::{Barrier, SLACK};

/// Exact, for every guest that can be restored in place, at the cost of what a call wrote.
///
/// The card table is scanned as far as memory physically reaches, a byte for each card of it. What the host wrote into the
/// exchange region is known to the byte and copied back as such.
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
        let Some((memory, cards, footprint, snapshot)) = target.written() else {
            return Err(RestoreError::NoBarrier);
        };
        let grown = memory.len() != snapshot.memory.len();
        let mut restoring = Restoring { memory, snapshot, bytes: 0 };
        restoring.cards(cards);
        for range in footprint.named() {
            restoring.range(range.clone());
        }
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
        let used = cards.covering(self.memory.len());
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

/// What one store instruction leaves in the table, and the host's own writes.
const MARK: u8 = 1;

/// Clears the marks and tells the bytes of each run of marked cards, as large as they are: to fill or copy a large range
/// takes less than to do so in parts.
fn take_runs(table: &mut [u8], shift: u32, mut tell: impl FnMut(Range<usize>)) {
    let mut card = 0;
    while let Some(clean) = memchr::memchr(MARK, &table[card..]) {
        let start = card + clean;
        let end = end_of_run(table, start);
        // Most runs are short: a loop over few bytes takes less than a call.
        table[start..end].iter_mut().for_each(|mark| *mark = 0);
        tell(start << shift..end << shift);
        card = end;
    }
}

/// Where the marks end that begin with that of `start`.
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

    /// What [`take_runs`] tells, card by card, and whether the table is clear then.
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
        /// Marks lie in runs of any length.
        #[test]
        fn runs_are_the_marked_cards(lengths in prop::collection::vec((0_usize..70, 0_u8..=MARK), 0..60)) {
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
