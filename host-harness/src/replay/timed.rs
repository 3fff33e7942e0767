//! Timing replays: the clock runs during the call, and not while the instance is restored for the next.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::ReplayOptions;
use crate::measure::{FailedCall, Spread};
use guest_host::{Function, Instance, LoadError};

/// Calls that are made before any is timed, unless they take a tenth of the time that there is.
const WARM_UP: u64 = 10;

/// Calls the function again and again on the instance restored; the spread of its time by operation, in nanoseconds,
/// and how many calls that are. `made` counts the instance's calls. The inner error is that of a call.
pub(super) fn time(
    instance: &mut Instance,
    function: Function,
    operations: u64,
    made: &mut u64,
    options: &ReplayOptions,
) -> Result<Result<(Spread, u64), FailedCall>, LoadError> {
    let (before, mut samples) = (*made, Vec::new());
    let mut begin = Instant::now();
    let mut is_warm = false;
    while !is_warm || samples.is_empty() || begin.elapsed() <= options.budget {
        instance.restore()?;
        let start = Instant::now();
        let called = instance.invoke(function);
        let taken = black_box(start.elapsed());
        *made += 1;
        if let Err(failure) = called {
            return Ok(Err(FailedCall::of(&failure, *made)));
        }
        if is_warm {
            samples.push(per(taken, operations));
            if samples.len() as u64 >= options.repeats {
                break;
            }
        } else if *made - before >= WARM_UP || begin.elapsed() > options.budget / 10 {
            is_warm = true;
            begin = Instant::now();
        }
    }
    let repeats = samples.len() as u64;
    Ok(Ok((Spread::of(samples), repeats)))
}

#[expect(clippy::cast_precision_loss, reason = "operations of a file lie far below 2^53")]
fn per(time: Duration, operations: u64) -> f64 {
    time.as_secs_f64() * 1e9 / operations.max(1) as f64
}
