//! Timing replays: the clock runs during the call, and not while the instance is restored for the next.

use std::hint::black_box;
use std::time::Instant;

use super::ReplayOptions;
use crate::error::LoadError;
use crate::guest::Function;
use crate::instance::Instance;
use crate::measure::{FailedCall, Spread};

/// Calls the function again and again on the instance restored; the spread of its time by operation, in nanoseconds,
/// and how many calls that are. The inner error is that of a call.
pub(super) fn time(
    instance: &mut Instance,
    function: Function,
    operations: u64,
    options: &ReplayOptions,
) -> Result<Result<(Spread, u64), FailedCall>, LoadError> {
    let mut samples = Vec::new();
    let begin = Instant::now();
    // The first call only warms code and memory up.
    for call in 0..=options.repeats.max(1) {
        if call > 1 && begin.elapsed() > options.budget {
            break;
        }
        instance.restore()?;
        let start = Instant::now();
        if let Err(failure) = instance.invoke(function) {
            return Ok(Err(FailedCall::of(&failure, call + 1)));
        }
        let taken = black_box(start.elapsed());
        if call > 0 {
            #[expect(clippy::cast_precision_loss, reason = "operations of a file lie far below 2^53")]
            samples.push(taken.as_secs_f64() * 1e9 / operations.max(1) as f64);
        }
    }
    let repeats = samples.len() as u64;
    Ok(Ok((Spread::of(samples), repeats)))
}
