//! How times are taken.
//!
//! A call with its restore takes tens of nanoseconds, and reading the clock takes as long. So calls are timed in
//! batches, of such a size that a batch takes about ten microseconds, with the clock read before and after; a call that
//! takes longer is a batch of its own. The percentiles are those of the batches' means: for short calls they hide what
//! a single call among hundreds may suffer, for long ones they are those of single calls.
//!
//! Call and restore alone are timed in another run over the same alternation of both, with the clock read in between.
//! The cost of reading the clock is measured at the start and subtracted from each part; for parts of tens of nanoseconds
//! some nanoseconds of doubt remain, so that the parts need not add up to the whole. Restoring in a loop without calls
//! in between would be exact to the nanosecond and mean nothing, as there would be nothing to restore.
//!
//! # Rounds
//!
//! A machine changes its speed while it measures: its clock, its caches and its other work do that. So rows that are
//! compared are not timed one after the other. They take turns in up to 20 rounds, each a twentieth of every row's
//! batches, in an order that changes from round to round. What slows one round down slows all rows in it, and a ratio of two
//! rows is the median of their ratios round by round.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::row::round;
use super::statistics::{Estimate, median};
use super::{FailedCall, MeasureOptions, Ratios, Spread, Times, Variant};
use guest_host::{Failure, Function, Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy};

/// How long a batch takes, about.
const BATCH: Duration = Duration::from_micros(10);

/// Batches that a figure has at least, unless its budget of time ends.
const BATCHES: u64 = 100;

/// Rounds in which the rows that are compared take turns.
pub(super) const ROUNDS: u32 = 20;

/// Takes the times of one row, round by round.
pub(super) struct Stopwatch {
    plan: Plan,
    /// Restored as the row's policy has it.
    whole: Runner,
    /// Restored by hand, so that call and restore are timed apart; `None` where that is not possible.
    parts: Option<Runner>,
    restores: bool,
    invokes: Vec<f64>,
    calls_alone: Vec<f64>,
    restores_alone: Vec<f64>,
    rounds: Vec<f64>,
    /// Time taken by whole calls and by parts, each of which has the budget.
    spent: Duration,
}

impl Stopwatch {
    /// Makes instances of a guest, and calls the function until code and caches are warm. The inner error is that of a call.
    pub(super) fn new(
        guest: &Guest,
        function: &str,
        variant: Variant,
        options: &MeasureOptions,
        state: &MemoryState,
    ) -> Result<Result<Self, FailedCall>, LoadError> {
        let function = guest.function(function).map_err(LoadError::Function)?;
        let config = variant.config(&options.config).with_count(false).with_trace(false);
        let runner = |config: InstanceConfig| -> Result<Runner, LoadError> {
            Ok(Runner { instance: guest.instantiate(&config, state.clone())?, function, calls: 0 })
        };
        let mut whole = runner(config.clone())?;
        let plan = match whole.warm_up(options) {
            Ok(plan) => plan,
            Err(failure) => return Ok(Err(FailedCall::of(&failure, whole.calls))),
        };
        let apart = variant.strategy.is_some() && variant.policy == RestorePolicy::EveryCall;
        let parts = apart.then(|| runner(config.with_policy(RestorePolicy::Never))).transpose()?;
        Ok(Ok(Self {
            plan,
            whole,
            parts,
            restores: variant.strategy.is_some(),
            invokes: Vec::new(),
            calls_alone: Vec::new(),
            restores_alone: Vec::new(),
            rounds: Vec::new(),
            spent: Duration::ZERO,
        }))
    }

    /// Times its share of this round, unless its budget is spent or there is nothing left to time.
    pub(super) fn round(&mut self, round: u32, clock: f64) -> Result<Result<(), FailedCall>, LoadError> {
        let batches = self.plan.batches_of(round);
        if batches == 0 || (round > 0 && self.spent > self.plan.budget) {
            return Ok(Ok(()));
        }
        let begin = Instant::now();
        let samples = match self.whole.batches(self.plan, batches, clock) {
            Ok(samples) => samples,
            Err(failure) => return Ok(Err(FailedCall::of(&failure, self.whole.calls))),
        };
        self.spent += begin.elapsed();
        self.rounds.push(median(samples.clone()));
        self.invokes.extend(samples);
        let Some(parts) = &mut self.parts else { return Ok(Ok(())) };
        match parts.batches_apart(self.plan, batches, clock)? {
            Ok((calls, restores)) => {
                self.calls_alone.extend(calls);
                self.restores_alone.extend(restores);
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(FailedCall::of(&failure, parts.calls))),
        }
    }

    /// The times of all rounds; without ratios, for which other rows are needed.
    pub(super) fn times(self) -> Times {
        let calls = self.invokes.len() as u64 * self.plan.batch;
        let invoke = Spread::of(self.invokes);
        let (call, restore) = match self.parts {
            Some(_) => (Some(Spread::of(self.calls_alone)), Some(Spread::of(self.restores_alone))),
            None => ((!self.restores).then_some(invoke), None),
        };
        let estimate = Estimate::of(&self.rounds).unwrap_or_default().interval;
        let interval = super::Interval { low: round(estimate.low, 1), high: round(estimate.high, 1) };
        let rounds = self.rounds.into_iter().map(|nanoseconds| round(nanoseconds, 2)).collect();
        Times { calls, batch: self.plan.batch, invoke, interval, call, restore, ratios: Ratios::default(), rounds }
    }
}

/// How many calls are timed and in which portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    batch: u64,
    batches: u64,
    budget: Duration,
}

impl Plan {
    fn new(calls: u64, per_call: f64, budget: Duration) -> Self {
        let most = (calls / BATCHES).max(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range of integers")]
        let batch = (nanoseconds(BATCH) / per_call.max(1.0)).ceil().clamp(1.0, 1e6) as u64;
        let batch = batch.min(most);
        Self { batch, batches: (calls / batch).max(1), budget }
    }

    /// Batches of one round; the first rounds have those that cannot be divided evenly.
    fn batches_of(&self, round: u32) -> u64 {
        let rounds = u64::from(ROUNDS);
        self.batches / rounds + u64::from(u64::from(round) < self.batches % rounds)
    }
}

/// An instance whose function is called.
struct Runner {
    instance: Instance,
    function: Function,
    /// Calls made so far.
    calls: u64,
}

impl Runner {
    fn invoke(&mut self) -> Result<(), Failure> {
        self.calls += 1;
        black_box(self.instance.invoke(self.function)?);
        Ok(())
    }

    /// Makes calls until code and caches are warm, and plans by how long they took.
    fn warm_up(&mut self, options: &MeasureOptions) -> Result<Plan, Failure> {
        let calls = (options.calls / 10).clamp(1, 10_000);
        let begin = Instant::now();
        let mut done = 0;
        while done < calls && (done == 0 || begin.elapsed() < options.budget / 10) {
            self.invoke()?;
            done += 1;
        }
        Ok(Plan::new(options.calls, per(begin.elapsed(), done), options.budget))
    }

    /// Makes calls before a round's batches, as other instances had the caches since the last round: a batch of short calls, none
    /// of long ones.
    fn settle(&mut self, plan: Plan) -> Result<(), Failure> {
        if plan.batch > 1 {
            for _ in 0..plan.batch {
                self.invoke()?;
            }
        }
        Ok(())
    }

    /// Nanoseconds per call of so many batches; fewer where they take more than a round's share of the budget.
    fn batches(&mut self, plan: Plan, batches: u64, clock: f64) -> Result<Vec<f64>, Failure> {
        self.settle(plan)?;
        let begin = Instant::now();
        let mut samples = Vec::new();
        for batch in 0..batches {
            if batch > 0 && begin.elapsed() > plan.budget / ROUNDS {
                break;
            }
            let start = Instant::now();
            for _ in 0..plan.batch {
                self.invoke()?;
            }
            samples.push(per(start.elapsed().saturating_sub(clock_share(clock)), plan.batch));
        }
        Ok(samples)
    }

    /// As [`Runner::batches`], of the call and of the restore.
    fn batches_apart(&mut self, plan: Plan, batches: u64, clock: f64) -> Result<Result<Apart, Failure>, LoadError> {
        let begin = Instant::now();
        let (mut calls, mut restores) = (Vec::new(), Vec::new());
        for batch in 0..batches {
            if batch > 0 && begin.elapsed() > plan.budget / ROUNDS {
                break;
            }
            let (mut in_call, mut in_restore) = (Duration::ZERO, Duration::ZERO);
            let mut start = Instant::now();
            for _ in 0..plan.batch {
                if let Err(failure) = self.invoke() {
                    return Ok(Err(failure));
                }
                let called = Instant::now();
                black_box(self.instance.restore()?);
                let restored = Instant::now();
                in_call += called - start;
                in_restore += restored - called;
                start = restored;
            }
            calls.push((per(in_call, plan.batch) - clock).max(0.0));
            restores.push((per(in_restore, plan.batch) - clock).max(0.0));
        }
        Ok(Ok((calls, restores)))
    }
}

/// Nanoseconds of calls and of restores.
type Apart = (Vec<f64>, Vec<f64>);

/// Cost of reading the clock, in nanoseconds.
#[must_use]
pub fn clock_cost() -> f64 {
    const READINGS: u32 = 1_000;
    let round_trip = || {
        let start = Instant::now();
        for _ in 0..READINGS {
            black_box(Instant::now());
        }
        per(start.elapsed(), READINGS.into())
    };
    round((0..20).map(|_| round_trip()).fold(f64::INFINITY, f64::min), 1)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tens of nanoseconds")]
pub(super) fn clock_share(clock: f64) -> Duration {
    Duration::from_nanos(clock as u64)
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "numbers of calls lie far below 2^53")]
pub(super) fn per(duration: Duration, calls: u64) -> f64 {
    nanoseconds(duration) / calls.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_calls_are_batched_and_long_ones_are_not() {
        let plan = |calls, per_call| {
            let plan = Plan::new(calls, per_call, Duration::from_secs(1));
            (plan.batch, plan.batches)
        };
        assert_eq!(plan(100_000, 50.0), (200, 500));
        assert_eq!(plan(10_000, 50.0), (100, 100), "so many batches that a 99th percentile exists");
        assert_eq!(plan(10_000, 1e6), (1, 10_000));
        assert_eq!(plan(3, 50.0), (1, 3));
        assert_eq!(plan(0, 50.0), (1, 1));
    }

    #[test]
    fn the_rounds_have_all_batches() {
        for batches in [1, 7, 20, 109] {
            let plan = Plan { batch: 1, batches, budget: Duration::from_secs(1) };
            let rounds: Vec<u64> = (0..ROUNDS).map(|round| plan.batches_of(round)).collect();
            assert_eq!(rounds.iter().sum::<u64>(), batches);
            assert!(rounds.iter().max().unwrap() - rounds.iter().min().unwrap() <= 1, "{rounds:?}");
        }
    }
}
