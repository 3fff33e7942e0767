//! Measuring several things in turns, so that a machine that is busy with something else is so for all of them.

use std::time::{Duration, Instant};

/// How long a turn takes, about.
const TURN: Duration = Duration::from_micros(300);

/// One of the things that are measured: runs itself as many times as it is told, and says how long that took.
pub struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// Something that is measured by running `once` repeatedly.
    pub fn new(name: impl Into<String>, mut once: impl FnMut() + 'a) -> Self {
        let run = move |times| {
            let start = Instant::now();
            for _ in 0..times {
                once();
            }
            start.elapsed()
        };
        Self { name: name.into(), run: Box::new(run) }
    }

    /// Something that takes its own time: each run says how long the part of it took that is measured.
    pub fn timed(name: impl Into<String>, mut once: impl FnMut() -> Duration + 'a) -> Self {
        Self { name: name.into(), run: Box::new(move |times| (0..times).map(|_| once()).sum()) }
    }

    /// What it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it once.
    pub fn run_once(&mut self) {
        (self.run)(1);
    }

    /// Runs it so many times; how long that took.
    pub fn time(&mut self, times: u64) -> Duration {
        (self.run)(times)
    }
}

/// What was measured of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What it is.
    pub name: String,
    /// Nanoseconds of one run, for each round.
    pub rounds: Vec<f64>,
}

impl Measured {
    /// Nanoseconds of one run: the median of the rounds.
    #[must_use]
    pub fn median(&self) -> f64 {
        quantile(&self.rounds, 0.5)
    }

    /// What is left of it without `part`, round by round.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&part.rounds).map(|(whole, part)| whole - part).collect();
        Self { name: self.name.clone(), rounds }
    }

    /// How many times as long as `baseline` it takes: lower quartile, median and upper quartile of the rounds.
    #[must_use]
    pub fn ratio(&self, baseline: &Self) -> [f64; 3] {
        let ratios: Vec<_> = self.rounds.iter().zip(&baseline.rounds).map(|(own, other)| own / other).collect();
        [0.25, 0.5, 0.75].map(|share| quantile(&ratios, share))
    }
}

/// Runs all contenders for `rounds` rounds, in each of which everyone has a turn.
pub fn take_turns(contenders: &mut [Contender<'_>], rounds: usize) -> Vec<Measured> {
    let mut plans: Vec<u64> = Vec::new();
    for contender in &mut *contenders {
        // The first run finds pages that are not there yet, and says little about those to come.
        contender.run_once();
        let mut times = 1;
        while contender.time(times) < TURN && times < 1 << 30 {
            times *= 2;
        }
        plans.push(times);
    }
    let mut measured: Vec<_> =
        contenders.iter().map(|contender| Measured { name: contender.name.clone(), rounds: Vec::new() }).collect();
    for _ in 0..rounds {
        for ((contender, times), measured) in contenders.iter_mut().zip(&plans).zip(&mut measured) {
            let elapsed = contender.time(*times);
            measured.rounds.push(nanoseconds(elapsed) / as_f64(*times));
        }
    }
    measured
}

/// The value below which this share of the values lies.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let at = (as_f64(last as u64) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// A duration in nanoseconds.
#[must_use]
pub fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// A count as a number to calculate with.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of runs and bytes are far below 2^53")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}
