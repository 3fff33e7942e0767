//! The ranges of the exchange region that calls used since the last restore: those that the host wrote or the guest named.
//!
//! A guest that writes into the region names what it wrote before its function returns: keys, intents and kept rows to
//! the host functions that take them, pending intents in its result. So says the contract. Of a call that did not succeed
//! nothing is known, as it may have been about to name something.

use std::ops::Range;

/// Parts of the region that are kept apart: intents, values, rows of two reads that are nested.
const PARTS: usize = 4;

/// Bytes between two parts up to which they are taken for one: copying these costs less than one part more.
const GAP: usize = 64;

/// The ranges of the exchange region that calls used since the last restore.
#[derive(Debug, Default)]
pub(crate) struct DirtyRanges {
    exchange: Range<usize>,
    /// The used parts; those that are counted lie within the exchange region.
    parts: [Range<usize>; PARTS],
    count: usize,
    /// A call has begun and did not succeed, so everything may have been used.
    unknown: bool,
}

impl DirtyRanges {
    /// None yet, of this exchange region, which lies in memory.
    pub(crate) fn of(exchange: Range<usize>) -> Self {
        Self { exchange, ..Self::default() }
    }

    #[inline]
    pub(crate) fn call_begins(&mut self) {
        self.unknown = true;
    }

    /// The call has named everything.
    #[inline]
    pub(crate) fn call_succeeded(&mut self) {
        self.unknown = false;
    }

    /// Takes note of a range that the host wrote or the guest named, wherever it lies.
    #[inline]
    pub(crate) fn add(&mut self, range: &Range<usize>) {
        let (start, end) = (range.start.max(self.exchange.start), range.end.min(self.exchange.end));
        if start < end {
            self.add_within(start..end);
        }
    }

    #[inline]
    fn add_within(&mut self, range: Range<usize>) {
        let parts = &mut self.parts[..self.count];
        match parts.iter_mut().find(|part| distance(part, &range) <= GAP) {
            Some(near) => join(near, &range),
            None => self.add_apart(range),
        }
    }

    #[cold]
    fn add_apart(&mut self, range: Range<usize>) {
        match self.parts.get_mut(self.count) {
            Some(free) => {
                *free = range;
                self.count += 1;
            }
            None => {
                let nearest = self.parts.iter_mut().min_by_key(|part| distance(part, &range));
                nearest.into_iter().for_each(|part| join(part, &range));
            }
        }
    }

    /// Whether a call did not succeed, so that nothing is known of what it used.
    #[inline]
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// The used parts of the exchange region. They may overlap.
    #[inline]
    pub(crate) fn exchange(&self) -> &[Range<usize>] {
        if self.unknown { std::slice::from_ref(&self.exchange) } else { &self.parts[..self.count] }
    }

    /// The parts of the exchange region that the host wrote or the guest named. They contain everything that the host wrote
    /// there, whether or not a call succeeded. They may overlap.
    #[inline]
    pub(crate) fn named(&self) -> &[Range<usize>] {
        &self.parts[..self.count]
    }

    /// Whether a range lies in the exchange region, so that it is known once it was added.
    #[inline]
    pub(crate) fn covers(&self, range: &Range<usize>) -> bool {
        self.exchange.start <= range.start && range.end <= self.exchange.end
    }

    /// Nothing is used any more.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.unknown = false;
    }
}

/// Bytes between two ranges.
fn distance(one: &Range<usize>, other: &Range<usize>) -> usize {
    other.start.saturating_sub(one.end).max(one.start.saturating_sub(other.end))
}

fn join(part: &mut Range<usize>, range: &Range<usize>) {
    *part = part.start.min(range.start)..part.end.max(range.end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_that_lie_close_are_one_and_others_are_not() {
        let mut dirty_ranges = DirtyRanges::of(1000..9000);
        for range in [1000..1100, 3000..3010, 3010..3050, 3100..3120, 0..999, 9000..9001, 2000..2000] {
            dirty_ranges.add(&range);
        }
        assert_eq!(dirty_ranges.exchange(), [1000..1100, 3000..3120]);
        dirty_ranges.add(&(8000..20_000));
        dirty_ranges.add(&(0..1010));
        assert_eq!(dirty_ranges.exchange(), [1000..1100, 3000..3120, 8000..9000]);
        dirty_ranges.clear();
        assert!(dirty_ranges.exchange().is_empty());
    }

    #[test]
    fn of_a_call_that_did_not_succeed_everything_is_used() {
        let mut dirty_ranges = DirtyRanges::of(1000..9000);
        dirty_ranges.call_begins();
        dirty_ranges.add(&(2000..2100));
        assert!(dirty_ranges.is_unknown());
        assert_eq!(dirty_ranges.exchange(), std::slice::from_ref(&(1000..9000)));
        assert_eq!(dirty_ranges.named(), std::slice::from_ref(&(2000..2100)));
        assert!(
            dirty_ranges.covers(&(1000..9000))
                && !dirty_ranges.covers(&(999..1001))
                && !dirty_ranges.covers(&(8999..9001))
        );
        dirty_ranges.call_succeeded();
        assert_eq!(dirty_ranges.exchange(), std::slice::from_ref(&(2000..2100)));
        dirty_ranges.call_begins();
        dirty_ranges.clear();
        assert!(!dirty_ranges.is_unknown() && dirty_ranges.exchange().is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_of_the_region_that_was_named_is_used(
            region in (0_usize..300, 0_usize..3000),
            ranges in proptest::collection::vec((0_usize..3500, 0_usize..200), 0..30),
        ) {
            let region = region.0..region.0 + region.1;
            let mut dirty_ranges = DirtyRanges::of(region.clone());
            let mut named = vec![false; 4000];
            for (start, length) in ranges {
                dirty_ranges.add(&(start..start + length));
                named[start..start + length].fill(true);
            }
            let used = dirty_ranges.exchange();
            prop_assert_eq!(used, dirty_ranges.named());
            prop_assert!(used.iter().all(|part| region.start <= part.start && part.end <= region.end));
            for at in region.filter(|at| named[*at]) {
                prop_assert!(used.iter().any(|part| part.contains(&at)), "{at} in {used:?}");
            }
        }
    }
}
