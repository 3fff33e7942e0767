//! Ranges of bytes.

use std::ops::Range;

/// Whether two ranges have a byte in common.
pub(crate) fn overlap<T: Ord>(one: &Range<T>, other: &Range<T>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The rest of a range after others are taken out.
pub(crate) fn without<T: Copy + Ord>(range: Range<T>, others: impl IntoIterator<Item = Range<T>>) -> Vec<Range<T>> {
    let mut rest = vec![range];
    for other in others {
        let split = |range: Range<T>| [range.start..range.end.min(other.start), range.start.max(other.end)..range.end];
        rest = rest.into_iter().flat_map(split).filter(|range| range.start < range.end).collect();
    }
    rest
}

/// The same numbers in ascending ranges that neither overlap nor touch.
pub(crate) fn joined(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u32>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "these are lists of ranges")]
    fn ranges_are_taken_out_wherever_they_are() {
        for (others, rest) in [
            (vec![], vec![10..20]),
            (vec![0..10, 20..30], vec![10..20]),
            (vec![0..12, 18..30], vec![12..18]),
            (vec![12..14, 13..15], vec![10..12, 15..20]),
            (vec![0..30], vec![]),
            (vec![10..11, 19..20, 14..15], vec![11..14, 15..19]),
        ] {
            assert_eq!(without(10..20, others.clone()), rest, "{others:?}");
        }
        assert!(overlap(&(1..3), &(2..4)) && !overlap(&(1..3), &(3..4)) && !overlap(&(1..3), &(0..1)));
    }
}
