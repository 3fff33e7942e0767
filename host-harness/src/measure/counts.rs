//! The exact counts: two passes over fresh instances, which must agree.

use super::{Counts, FailedCall, MeasureOptions, PerCall, Variant};
use guest_host::{AllocationStats, CallStats, Guest, InstanceConfig, LoadError, MemoryState};

/// One pass.
struct Pass {
    pages_before: u64,
    pages_after: u64,
    calls: Vec<CallStats>,
}

/// Counts what one function does. The inner error is that of a call.
pub(super) fn count(
    guest: &Guest,
    function: &str,
    variant: Variant,
    options: &MeasureOptions,
    state: &MemoryState,
) -> Result<Result<Counts, FailedCall>, LoadError> {
    let config = variant.config(&options.config).with_count(true);
    let calls = options.counted_calls.max(1);
    let run = || pass(guest, function, calls, &config, state);
    let first = match run()? {
        Ok(first) => first,
        Err(failed) => return Ok(Err(failed)),
    };
    Ok(run()?.map(|second| summarise(&first, &second)))
}

fn pass(
    guest: &Guest,
    function: &str,
    calls: u64,
    config: &InstanceConfig,
    state: &MemoryState,
) -> Result<Result<Pass, FailedCall>, LoadError> {
    let function = guest.function(function).map_err(LoadError::Function)?;
    let mut instance = guest.instantiate(config, state.clone())?;
    let mut pass = Pass { pages_before: instance.physical_pages(), pages_after: 0, calls: Vec::new() };
    for call in 1..=calls {
        match instance.invoke(function) {
            Ok(outcome) => pass.calls.push(*outcome.stats()),
            Err(failure) => return Ok(Err(FailedCall::of(&failure, call))),
        }
    }
    pass.pages_after = pass.calls.last().map_or(pass.pages_before, |stats| stats.pages);
    Ok(Ok(pass))
}

/// Reads one count of a call.
type Read = fn(&CallStats) -> Option<u64>;

fn of_allocator(stats: &CallStats, read: fn(&AllocationStats) -> Option<u64>) -> Option<u64> {
    stats.allocations.as_ref().and_then(read)
}

fn summarise(first: &Pass, second: &Pass) -> Counts {
    let mut counts = Counts {
        calls: first.calls.len() as u64,
        pages_before: first.pages_before,
        pages_after: first.pages_after,
        allocations_from: first
            .calls
            .iter()
            .find_map(|stats| stats.allocations)
            .map(|found| found.source.name().to_owned()),
        retried_calls: first.calls.iter().filter(|stats| stats.retried).count() as u64,
        peak_live_bytes: first
            .calls
            .iter()
            .filter_map(|stats| of_allocator(stats, |allocator| allocator.peak_live_bytes))
            .max(),
        ..Counts::default()
    };
    if (first.pages_before, first.pages_after) != (second.pages_before, second.pages_after) {
        counts.varies.push("pages".to_owned());
    }
    let mut per_call = |name: &str, read: Read| {
        let column = |pass: &Pass| pass.calls.iter().map(read).collect::<Vec<_>>();
        let (ours, theirs) = (column(first), column(second));
        if ours != theirs {
            counts.varies.push(name.to_owned());
        } else if ours.windows(2).any(|pair| pair[0] != pair[1]) {
            counts.uneven.push(name.to_owned());
        }
        let known: Vec<u64> = ours.into_iter().flatten().collect();
        let total = known.iter().map(|count| u128::from(*count)).sum();
        (!known.is_empty()).then(|| PerCall::mean(total, known.len() as u64))
    };
    let allocations = per_call("allocations", |stats| of_allocator(stats, |allocator| Some(allocator.allocations)));
    let frees = per_call("frees", |stats| of_allocator(stats, |allocator| allocator.deallocations));
    let reallocations = per_call("reallocations", |stats| of_allocator(stats, |allocator| allocator.reallocations));
    let allocated_bytes =
        per_call("allocated_bytes", |stats| of_allocator(stats, |allocator| allocator.allocated_bytes));
    let grows = per_call("grows", |stats| of_allocator(stats, |allocator| allocator.grows));
    let instructions = per_call("instructions", |stats| stats.instructions);
    let crossings = per_call("crossings", |stats| Some(stats.crossings));
    let restored_bytes = per_call("restored_bytes", |stats| stats.restored_bytes);
    Counts {
        allocations,
        frees,
        reallocations,
        allocated_bytes,
        grows,
        instructions: instructions.unwrap_or_default(),
        crossings: crossings.unwrap_or_default(),
        restored_bytes,
        ..counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(instructions: &[u64], pages_after: u64) -> Pass {
        let call = |count: &u64| {
            let mut stats = CallStats::default();
            (stats.instructions, stats.crossings) = (Some(*count), 2);
            stats
        };
        Pass { pages_before: 17, pages_after, calls: instructions.iter().map(call).collect() }
    }

    #[test]
    fn equal_passes_give_exact_counts() {
        let counts = summarise(&pass(&[7, 7], 18), &pass(&[7, 7], 18));
        assert_eq!((counts.instructions, counts.crossings), (PerCall(7.0), PerCall(2.0)));
        assert!(counts.varies.is_empty() && counts.uneven.is_empty(), "{counts:?}");
        assert_eq!((counts.allocations, counts.restored_bytes), (None, None));
    }

    #[test]
    fn what_differs_from_call_to_call_or_from_pass_to_pass_is_named() {
        let counts = summarise(&pass(&[7, 9], 18), &pass(&[7, 9], 18));
        assert_eq!((counts.instructions, &*counts.uneven), (PerCall(8.0), &["instructions".to_owned()][..]));
        let counts = summarise(&pass(&[7, 9], 18), &pass(&[7, 8], 19));
        assert_eq!(counts.varies, ["pages", "instructions"]);
    }
}
