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

/// Bytes of the table that are looked at in one go.
const GROUP: usize = 64;

struct Restoring<'a> {
    memory: &'a mut [u8],
    snapshot: &'a Snapshot,
    bytes: u64,
}

impl Restoring<'_> {
    /// Restores what the marked cards cover, with the slack around them, and clears the marks.
    fn cards(&mut self, cards: Cards<'_>) {
        let used = cards.covering(self.memory.len()).next_multiple_of(GROUP).min(cards.table.len());
        // The address space is a circle: behind its last card comes the first.
        let last_dirty = cards.table.last_mut().is_some_and(|mark| std::mem::take(mark) != 0);
        let first_dirty = cards.table[0] != 0;
        if last_dirty {
            self.range((1 << 32) - (1 << cards.shift) - SLACK as usize..1 << 32);
            self.range(0..SLACK as usize);
        }
        if first_dirty {
            self.range((1 << 32) - SLACK as usize..1 << 32);
        }
        let (groups, _) = cards.table[..used].as_chunks_mut::<GROUP>();
        for (index, group) in groups.iter_mut().enumerate() {
            if is_clean(group) {
                continue;
            }
            let mut card = 0;
            while let Some(start) = next(group, card, |mark| mark != 0) {
                let end = next(group, start, |mark| mark == 0).unwrap_or(GROUP);
                let (from, to) = ((index * GROUP + start) << cards.shift, (index * GROUP + end) << cards.shift);
                self.range(from.saturating_sub(SLACK as usize)..to + SLACK as usize);
                card = end;
            }
            group.fill(0);
        }
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

/// Whether no card of the group is marked. Without a branch on the way, so that it is done by vector instructions.
fn is_clean(group: &[u8; GROUP]) -> bool {
    let (words, _) = group.as_chunks::<8>();
    words.iter().fold(0, |marks, word| marks | u64::from_ne_bytes(*word)) == 0
}

fn next(group: &[u8; GROUP], from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    group[from..].iter().position(|mark| wanted(*mark)).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_anywhere_in_a_group_is_seen() {
        assert!(is_clean(&[0; GROUP]));
        for at in 0..GROUP {
            let mut group = [0; GROUP];
            group[at] = 1;
            assert!(!is_clean(&group));
            assert_eq!(next(&group, 0, |mark| mark != 0), Some(at));
            assert_eq!(next(&group, at, |mark| mark == 0), (at + 1 < GROUP).then_some(at + 1));
        }
    }
}
