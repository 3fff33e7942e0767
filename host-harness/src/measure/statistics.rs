//! Statistics of samples that have outliers on one side: medians, and intervals for them that assume no distribution.

use serde::{Deserialize, Serialize};

use super::row::round;

/// Bounds between which a value lies with a probability of 95%; with fewer than six samples, the least and the greatest of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether no value lies in both.
    #[must_use]
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.high < other.low || other.high < self.low
    }
}

/// The median of samples and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval of the median.
    pub interval: Interval,
}

impl Estimate {
    /// The estimate from independent samples, which may be in any order; `None` without samples.
    ///
    /// The interval is that between two order statistics, by the binomial distribution of the number of samples below the
    /// median (the sign test turned around), which holds for every distribution of the samples.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let cut = samples_outside(sorted.len());
        let low = *sorted.get(cut)?;
        let high = sorted[sorted.len() - 1 - cut];
        Some(Self { median: median_of_sorted(&sorted), interval: Interval { low, high } })
    }

    /// The estimate of how many times as large the samples of `left` are as those of `right`, by rounds: sample n of both
    /// comes from round n, so what slows a round down slows both. `None` without a common round.
    #[must_use]
    pub fn of_ratio(left: &[f64], right: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> =
            left.iter().zip(right).filter(|(_, right)| **right > 0.0).map(|(left, right)| left / right).collect();
        Self::of(&ratios)
    }

    /// With so many digits behind the point.
    pub(crate) fn rounded(self, digits: i32) -> Self {
        let interval = Interval { low: round(self.interval.low, digits), high: round(self.interval.high, digits) };
        Self { median: round(self.median, digits), interval }
    }
}

/// The median; 0 without samples.
pub(super) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    median_of_sorted(&samples)
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if !odd.is_multiple_of(2) => sorted[upper],
        _ => f64::midpoint(sorted[upper - 1], sorted[upper]),
    }
}

/// A percentile by nearest rank; `None` without samples.
pub(super) fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// How many of so many sorted samples lie on each side outside of the interval of their median. The bounds are the samples of
/// rank `k` from both ends, where `k` is the largest rank for which at most 2.5% of the binomial distribution with probability
/// one half lies below it.
fn samples_outside(samples: usize) -> usize {
    let Ok(trials) = i32::try_from(samples) else { return 0 };
    let mut term = 0.5_f64.powi(trials);
    let (mut below, mut rank) = (term, 0);
    while below <= 0.025 {
        rank += 1;
        // From one binomial coefficient to the next.
        let (left, taken) = (f64::from(trials) + 1.0 - as_float(rank), as_float(rank));
        term *= left / taken;
        below += term;
    }
    rank.saturating_sub(1)
}

fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables_of_the_sign_test() {
        // Rank of the lower bound, from 1, as textbooks list it for 95%.
        for (samples, rank) in [(5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10)] {
            let cut = samples_outside(samples);
            let listed = if samples < 6 { 0 } else { rank - 1 };
            assert_eq!(cut, listed, "{samples} samples");
        }
        assert_eq!(samples_outside(0), 0);
    }

    #[test]
    fn a_median_lies_in_its_interval_and_one_outlier_does_not_move_it() {
        let mut samples: Vec<f64> = (1..=20).map(f64::from).collect();
        let estimate = Estimate::of(&samples).unwrap();
        assert_eq!(estimate, Estimate { median: 10.5, interval: Interval { low: 6.0, high: 15.0 } });
        samples[19] = 1e9;
        assert_eq!(Estimate::of(&samples).unwrap(), estimate);
        assert_eq!(Estimate::of(&[3.0]).unwrap().interval, Interval { low: 3.0, high: 3.0 });
        assert!(Estimate::of(&[]).is_none());
    }

    #[test]
    fn what_slows_a_round_down_does_not_change_a_ratio() {
        let quiet = [10.0; 20];
        let mut left: Vec<f64> = quiet.iter().map(|time| time * 1.2).collect();
        let mut right = quiet.to_vec();
        for round in 5..15 {
            (left[round], right[round]) = (left[round] * 3.0, right[round] * 3.0);
        }
        let ratio = Estimate::of_ratio(&left, &right).unwrap().rounded(4);
        assert_eq!((ratio.median, ratio.interval.low, ratio.interval.high), (1.2, 1.2, 1.2));
        let far = Interval { low: 2.0, high: 3.0 };
        assert!(ratio.interval.is_apart_from(&far) && far.is_apart_from(&ratio.interval));
        assert!(!far.is_apart_from(&Interval { low: 3.0, high: 4.0 }));
    }
}
