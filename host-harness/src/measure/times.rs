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

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::row::round;
use super::{FailedCall, MeasureOptions, Ratios, Spread, Times, Variant};
use guest_host::{Engine, Failure, Function, Guest, Instance, LoadError, MemoryState, RestorePolicy, StartError};

/// How long a batch takes, about.
const BATCH: Duration = Duration::from_micros(10);

/// Batches that a figure has at least, unless its budget of time ends.
const BATCHES: u64 = 100;

/// Times one function. The inner error is that of a call.
pub(super) fn time(
    guest: &Guest,
    function: &str,
    variant: Variant,
    options: &MeasureOptions,
    state: &MemoryState,
) -> Result<Result<Times, FailedCall>, LoadError> {
    let function = guest.function(function).map_err(LoadError::Function)?;
    let config = variant.config(&options.config).with_count(false).with_trace(false);
    let mut whole = Stopwatch { instance: guest.instantiate(&config, state.clone())?, function, calls: 0 };
    let plan = match whole.warm_up(options) {
        Ok(plan) => plan,
        Err(failure) => return Ok(Err(FailedCall::of(&failure, whole.calls))),
    };
    let (invoke, calls) = match whole.whole(plan) {
        Ok(spread) => spread,
        Err(failure) => return Ok(Err(FailedCall::of(&failure, whole.calls))),
    };
    drop(whole);
    let mut times = Times {
        calls,
        batch: plan.batch,
        invoke,
        call: variant.strategy.is_none().then_some(invoke),
        restore: None,
        ratios: Ratios::default(),
    };
    if variant.strategy.is_some() && variant.policy == RestorePolicy::EveryCall {
        let config = config.with_policy(RestorePolicy::Never);
        let mut parts = Stopwatch { instance: guest.instantiate(&config, state.clone())?, function, calls: 0 };
        match parts.parts(plan, clock_cost())? {
            Ok((call, restore)) => (times.call, times.restore) = (Some(call), Some(restore)),
            Err(failure) => return Ok(Err(FailedCall::of(&failure, parts.calls))),
        }
    }
    Ok(Ok(times))
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
}

struct Stopwatch {
    instance: Instance,
    function: Function,
    /// Calls made so far.
    calls: u64,
}

impl Stopwatch {
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

    /// Times whole invocations; returns how many, too.
    fn whole(&mut self, plan: Plan) -> Result<(Spread, u64), Failure> {
        let clock = clock_cost();
        let begin = Instant::now();
        let mut samples = Vec::new();
        for batch in 0..plan.batches {
            if batch > 0 && begin.elapsed() > plan.budget {
                break;
            }
            let start = Instant::now();
            for _ in 0..plan.batch {
                self.invoke()?;
            }
            samples.push(per(start.elapsed().saturating_sub(clock_share(clock)), plan.batch));
        }
        let calls = samples.len() as u64 * plan.batch;
        Ok((Spread::of(samples), calls))
    }

    /// Times call and restore apart.
    fn parts(&mut self, plan: Plan, clock: f64) -> Result<Result<(Spread, Spread), Failure>, LoadError> {
        let begin = Instant::now();
        let (mut calls, mut restores) = (Vec::new(), Vec::new());
        for batch in 0..plan.batches {
            if batch > 0 && begin.elapsed() > plan.budget {
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
        Ok(Ok((Spread::of(calls), Spread::of(restores))))
    }
}

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
fn clock_share(clock: f64) -> Duration {
    Duration::from_nanos(clock as u64)
}

/// Times wasmtime's typed call of an empty function `() -> i64` on this engine, with an epoch deadline armed once: the
/// floor that every invocation stands on.
///
/// # Errors
/// [`LoadError`] when the engine refuses.
pub fn bare_call(engine: &Engine, calls: u64) -> Result<Spread, LoadError> {
    let module = wasmtime::Module::new(engine.wasmtime(), EMPTY_MODULE).map_err(engine_failed)?;
    let mut store = wasmtime::Store::new(engine.wasmtime(), ());
    store.set_epoch_deadline(u64::MAX >> 1);
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(engine_failed)?;
    let function = instance.get_typed_func::<(), i64>(&mut store, EMPTY).map_err(engine_failed)?;
    let mut call = || function.call(&mut store, ()).map(black_box).map_err(engine_failed);
    // An empty call is known well enough after a million.
    let plan = Plan::new(calls.clamp(BATCHES * 100, 1_000_000.max(BATCHES * 100)), 20.0, Duration::from_secs(1));
    for _ in 0..plan.batch * 10 {
        call()?;
    }
    let clock = clock_cost();
    let mut samples = Vec::new();
    for _ in 0..plan.batches {
        let start = Instant::now();
        for _ in 0..plan.batch {
            call()?;
        }
        samples.push(per(start.elapsed().saturating_sub(clock_share(clock)), plan.batch));
    }
    Ok(Spread::of(samples))
}

/// Name of the function that [`EMPTY_MODULE`] exports.
const EMPTY: &str = "empty";

/// A module that exports a function `() -> i64` that does nothing, in binary form.
#[rustfmt::skip]
const EMPTY_MODULE: &[u8] = &[
    0x00, b'a', b's', b'm', 1, 0, 0, 0,
    // types: () -> i64
    1, 5, 1, 0x60, 0, 1, 0x7e,
    // functions: one of type 0
    3, 2, 1, 0,
    // exports: function 0
    7, 9, 1, 5, b'e', b'm', b'p', b't', b'y', 0, 0,
    // code: no locals, i64.const 0, end
    10, 6, 1, 4, 0, 0x42, 0, 0x0b,
];

fn engine_failed(error: wasmtime::Error) -> LoadError {
    LoadError::Start(StartError::Instantiate(format!("{error:#}")))
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "numbers of calls lie far below 2^53")]
fn per(duration: Duration, calls: u64) -> f64 {
    nanoseconds(duration) / calls.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_host::EngineConfig;

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
    fn the_bare_call_can_be_timed() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let spread = bare_call(&engine, 1_000).unwrap();
        assert!(spread.p50 > 0.0 && spread.p50 <= spread.p99, "{spread:?}");
    }
}
