//! Aggregates: one result for a group of rows.

use std::collections::BTreeMap;

use guest_sdk::{Result, State, aggregate};

/// The state of [`Mean`]: the numbers' count and sum.
#[derive(Default, State)]
struct Mean {
    count: u64,
    sum: f64,
}

/// The arithmetic mean; null for no rows. A number that is not finite stays in the sum of a window when it leaves it.
#[aggregate]
impl Mean {
    fn accumulate(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
    }

    fn retract(&mut self, number: f64) -> Result<()> {
        self.count = self.count.checked_sub(1).ok_or("a number is taken out that was not taken in")?;
        self.sum -= number;
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    fn evaluate(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The state of the percentile: how many numbers lie in each bucket. Buckets grow by a constant ratio, so that a number is known to
/// within [`ERROR`], however many there are; the method is that of DDSketch (Masson, Rim, Lee, 2019).
#[derive(Default, State)]
struct Percentile {
    /// The share that is asked for, of the last row; none before the first.
    share: Option<f64>,
    negative: BTreeMap<i32, u64>,
    zeros: u64,
    positive: BTreeMap<i32, u64>,
}

/// Relative error of a percentile.
const ERROR: f64 = 0.01;

/// Ratio of a bucket's end to its beginning.
const RATIO: f64 = (1.0 + ERROR) / (1.0 - ERROR);

impl Percentile {
    fn bucket(size: f64) -> i32 {
        (size.ln() / RATIO.ln()).ceil() as i32
    }

    /// The size in the middle of a bucket.
    fn size(bucket: i32) -> f64 {
        2.0 * RATIO.powi(bucket) / (RATIO + 1.0)
    }

    /// Changes the count of the bucket that has this number.
    fn count(&mut self, number: f64, change: impl Fn(u64) -> Option<u64>) -> Result<()> {
        let buckets = if number < 0.0 { &mut self.negative } else { &mut self.positive };
        let unknown = "a number is taken out that was not taken in";
        if number == 0.0 {
            self.zeros = change(self.zeros).ok_or(unknown)?;
            return Ok(());
        }
        let bucket = Self::bucket(number.abs());
        match change(buckets.get(&bucket).copied().unwrap_or_default()).ok_or(unknown)? {
            0 => buckets.remove(&bucket),
            count => buckets.insert(bucket, count),
        };
        Ok(())
    }
}

/// The number that a share of the numbers, 0 to 1, is not above, to within one hundredth of its size; null for no rows. Infinite numbers and
/// numbers that are none are left out.
#[aggregate]
impl Percentile {
    fn accumulate(&mut self, number: f64, share: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&share) {
            return Err("the share of a percentile is from 0 to 1".into());
        }
        self.share = Some(share);
        if number.is_finite() { self.count(number, |count| count.checked_add(1)) } else { Ok(()) }
    }

    fn retract(&mut self, number: f64, _share: f64) -> Result<()> {
        if number.is_finite() { self.count(number, |count| count.checked_sub(1)) } else { Ok(()) }
    }

    fn merge(&mut self, other: Self) {
        self.share = other.share.or(self.share);
        self.zeros += other.zeros;
        for (buckets, others) in [(&mut self.negative, other.negative), (&mut self.positive, other.positive)] {
            for (bucket, count) in others {
                *buckets.entry(bucket).or_default() += count;
            }
        }
    }

    fn evaluate(&self) -> Option<f64> {
        let negative = self.negative.iter().rev().map(|(bucket, count)| (-Self::size(*bucket), *count));
        let positive = self.positive.iter().map(|(bucket, count)| (Self::size(*bucket), *count));
        let ascending = negative.chain([(0.0, self.zeros)]).chain(positive).filter(|(_, count)| *count > 0);
        let total: u64 = ascending.clone().map(|(_, count)| count).sum();
        let rank = (self.share? * total.saturating_sub(1) as f64).floor();
        let mut below = 0_u64;
        let found = ascending.map(|(number, count)| {
            below += count;
            (number, below)
        });
        found.into_iter().find(|(_, below)| *below as f64 > rank).map(|(number, _)| number)
    }
}

/// The state of [`LongestText`].
#[derive(Default, State)]
struct LongestText(Option<String>);

/// The longest text; of those that are equally long, the first in the order of their bytes.
#[aggregate]
impl LongestText {
    fn accumulate(&mut self, text: &str) {
        let is_longer = |longest: &String| (text.len(), longest.as_str()) > (longest.len(), text);
        if self.0.as_ref().is_none_or(is_longer) {
            self.0 = Some(text.to_owned());
        }
    }

    fn merge(&mut self, other: Self) {
        if let Some(text) = other.0 {
            self.accumulate(&text);
        }
    }

    fn evaluate(&self) -> Option<String> {
        self.0.clone()
    }
}

/// The state of the aggregate of nulls.
#[derive(Default, State)]
struct CountNulls {
    nulls: i64,
}

/// The number of rows that are null.
#[aggregate]
impl CountNulls {
    fn accumulate(&mut self, number: Option<i64>) {
        self.nulls += i64::from(number.is_none());
    }

    fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
    }

    fn evaluate(&self) -> i64 {
        self.nulls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_near_the_number_of_its_rank() {
        let mut state = Percentile::default();
        for number in -500..=500 {
            state.accumulate(f64::from(number), 0.75).unwrap();
        }
        state.accumulate(f64::NAN, 0.75).unwrap();
        let found = state.evaluate().unwrap();
        assert!((found - 250.0).abs() <= 250.0 * ERROR, "{found}");
        for number in 0..=500 {
            state.retract(f64::from(number), 0.75).unwrap();
        }
        let found = state.evaluate().unwrap();
        assert!((found + 125.0).abs() <= 126.0 * ERROR, "{found}");
        // The state of rows that were all left out says nothing of the share.
        state.merge(Percentile::default());
        assert_eq!(state.evaluate(), Some(found));
        assert!(state.retract(7.0, 0.75).is_err());
        assert!(state.accumulate(7.0, 1.5).is_err());
    }

    #[test]
    fn the_longest_text_does_not_depend_on_the_order() {
        for texts in [["b", "a", ""], ["a", "", "b"], ["", "b", "a"]] {
            let mut state = LongestText::default();
            texts.iter().for_each(|text| state.accumulate(text));
            assert_eq!(state.evaluate().as_deref(), Some("a"));
        }
    }
}
