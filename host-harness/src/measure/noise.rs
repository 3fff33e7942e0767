//! Whether the machine is quiet enough for its times to mean something.

use serde::{Deserialize, Serialize};

use super::row::round;
use super::statistics::percentile;

/// How much the machine changed its speed, by the engine's call of an empty function in each round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Noise {
    /// Nanoseconds of that call in a fast round: the 10th percentile.
    pub fast: f64,
    /// Nanoseconds of that call in a slow round: the 90th percentile.
    pub slow: f64,
}

impl Noise {
    /// Slow rounds take this many times as long as fast ones on a machine that is noisy. A quiet machine stays below 1.1.
    pub const LIMIT: f64 = 1.25;

    /// The noise by these rounds; `None` without rounds.
    #[must_use]
    pub fn of(rounds: &[f64]) -> Option<Self> {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent| percentile(&sorted, percent).map(|nanoseconds| round(nanoseconds, 2));
        Some(Self { fast: at(10)?, slow: at(90)? })
    }

    /// The greater of both.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.factor() > self.factor() { other } else { self }
    }

    /// How many times as long a slow round takes as a fast one.
    #[must_use]
    pub fn factor(&self) -> f64 {
        if self.fast > 0.0 { self.slow / self.fast } else { f64::INFINITY }
    }

    /// Whether times of this machine are to be doubted: counts are exact all the same.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.factor() >= Self::LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_changes_its_speed_is_noisy_and_one_with_an_outlier_is_not() {
        let mut rounds = vec![12.0; 20];
        rounds[7] = 40.0;
        assert!(!Noise::of(&rounds).unwrap().is_noisy());
        rounds[8..12].fill(24.0);
        let noise = Noise::of(&rounds).unwrap();
        assert!(noise.is_noisy());
        assert_eq!((noise.fast, noise.slow, noise.factor()), (12.0, 24.0, 2.0));
        assert!(Noise::of(&[]).is_none());
    }
}
