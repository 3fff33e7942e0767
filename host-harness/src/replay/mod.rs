//! Replays allocation traces inside guests: how long an allocator takes for what a real program asked, how much memory
//! it takes for it, and what it refuses under a memory limit.
//!
//! The guest is `guests/replay`, built with the allocator that is asked about. It is handed the trace in a compact form
//! through its state, writes to every block that it gets, and checks what it wrote; see [`replay`]. A trace is read
//! from its text form by [`TraceFile::load`].

mod file;
mod row;
mod timed;

use std::time::Duration;

use alloc_trace::Trace;
use alloc_trace::compact::Program;
use guest_abi::names::PAGE_SIZE;
use guest_abi::storage;

use crate::measure::FailedCall;
use guest_host::{Guest, InstanceConfig, LoadError, MemoryState, Outcome, RestorePolicy, StartError};
use guest_prepare::module_info::ContractKind;

pub use alloc_trace::Numbering;
pub use file::{TraceError, TraceFile};
pub use row::{ReplayCounts, ReplayRow, ReplayTimes, TraceSummary};

/// The guest's function that replays the trace.
const REPLAY: &str = "replay";

/// The guest's function that reads the trace and keeps the same books without allocating.
const WALK: &str = "walk";

/// The entity of the records that hold the trace.
const ENTITY: &str = "replay.Trace";

/// Most bytes of a chunk of the trace.
const LARGEST_CHUNK: usize = 32 << 10;

/// Bytes that a chunk's record has around it, and some more.
const AROUND_CHUNK: usize = 64;

/// How a trace is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// Replays that are timed.
    pub repeats: u64,
    /// Time after which a figure uses the replays timed so far.
    pub budget: Duration,
    /// How instances are made. The instance is restored after every replay, whatever the policy.
    pub config: InstanceConfig,
}

impl ReplayOptions {
    guest_prepare::setters! {
        /// Sets [`Self::repeats`].
        with_repeats(repeats: u64);
        /// Sets [`Self::budget`].
        with_budget(budget: Duration);
        /// Sets [`Self::config`].
        with_config(config: InstanceConfig);
    }
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { repeats: 100, budget: Duration::from_secs(1), config: InstanceConfig::default() }
    }
}

/// Replays a trace in a guest with this allocator.
///
/// The counts are those of a fresh instance. The times come afterwards, from an instance that is restored before each
/// replay, so its memory is warm and equals the snapshot.
///
/// ```no_run
/// # use guest_host::Guest;
/// use alloc_trace::Numbering;
/// use host_harness::replay::{ReplayOptions, TraceFile, replay};
///
/// # fn compare(guest: &Guest) -> Result<(), Box<dyn std::error::Error>> {
/// let trace = TraceFile::load("traces/markdown.trace".as_ref(), Numbering::FromZero)?;
/// let row = replay(guest, "freelist", &trace, &ReplayOptions::default())?;
/// println!("{:?}, {:?}", row.counts, row.times);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`LoadError`] when no instance can be made, and [`LoadError::Function`] when the guest is none that replays. A
/// replay that fails is no error: see [`ReplayRow::failure`].
pub fn replay(
    guest: &Guest,
    allocator: &str,
    trace: &TraceFile,
    options: &ReplayOptions,
) -> Result<ReplayRow, LoadError> {
    let functions = [REPLAY, WALK].map(|name| guest.function(name).map_err(LoadError::Function));
    let [replay, walk] = functions;
    let (replay, walk) = (replay?, walk?);
    let config = options.config.clone().with_policy(RestorePolicy::Never).with_count(false).with_trace(false);
    let state = trace_state(&trace.trace, config.exchange_size(ContractKind::Native))?;
    let mut row = ReplayRow::new(&trace.name, allocator);

    let mut instance = guest.instantiate(&config, state.clone())?;
    match instance.invoke(replay) {
        Ok(outcome) => match left(&outcome) {
            Some(left) => row.counts = Some(left.counts(guest, &config)),
            None => row.failure = Some(no_result()),
        },
        Err(failure) => row.failure = Some(FailedCall::of(&failure, 1)),
    }
    if row.failure.is_some() {
        return Ok(row);
    }
    let operations = trace.trace.operations().len() as u64;
    let mut made = 1;
    let mut timed = |function| timed::time(&mut instance, function, operations, &mut made, options);
    let ((operation, repeats), (walk, _)) = match (timed(replay)?, timed(walk)?) {
        (Ok(replay), Ok(walk)) => (replay, walk),
        (Err(failed), _) | (_, Err(failed)) => {
            row.failure = Some(failed);
            return Ok(row);
        }
    };
    row.times = Some(ReplayTimes { repeats, operation, walk });
    Ok(row)
}

/// The state that hands a trace to a guest's function `replay`, in chunks that fit an exchange region of so many bytes.
///
/// # Errors
/// [`StartError::Instantiate`] when a record cannot be encoded.
pub fn trace_state(trace: &Trace, exchange_size: u32) -> Result<MemoryState, LoadError> {
    // The guest keeps a quarter of the region for what it leaves.
    let room = (exchange_size as usize / 4 * 3).saturating_sub(AROUND_CHUNK);
    let program = Program::of(trace, room.min(LARGEST_CHUNK));
    let mut state = MemoryState::new();
    let refused = |error: guest_state::MemoryStateError| LoadError::Start(StartError::Instantiate(error.to_string()));
    let chunks = i64::try_from(program.chunks.len()).unwrap_or(i64::MAX);
    state
        .put(
            storage::RECORD,
            ENTITY,
            |_| {},
            |value| {
                value.put_i64("Chunks", chunks).put_i64("Slots", program.slots.into());
            },
        )
        .map_err(refused)?;
    for (number, steps) in (0_i64..).zip(&program.chunks) {
        let key = |key: &mut guest_abi::value::ObjectEncoder<'_, Vec<u8>>| {
            key.put_i64("Chunk", number);
        };
        state.put(storage::RECORD, ENTITY, key, |value| drop_ref(value.put_bytes("Steps", steps))).map_err(refused)?;
    }
    Ok(state)
}

/// A writer is handed on by those who chain; here the chain ends.
fn drop_ref<T>(_: &mut T) {}

/// The intents of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    failures: u64,
    live_bytes: u64,
    peak_live_bytes: u64,
    table_bytes: u64,
    pages: u64,
}

/// Reads the intent that a replay leaves; nothing when it left another, or none.
fn left(outcome: &Outcome<'_>) -> Option<Left> {
    let value = outcome.intents().next()?.ok()?.value;
    let field = |name: &str| u64::try_from(value.field(name).ok()??.as_i64().ok()?).ok();
    Some(Left {
        failures: field("Failures")?,
        live_bytes: field("LiveBytes")?,
        peak_live_bytes: field("PeakLiveBytes")?,
        table_bytes: field("TableBytes")?,
        pages: field("Pages")?,
    })
}

fn no_result() -> FailedCall {
    let message = "the guest left no result of the replay; give modules that are built from guests/replay".to_owned();
    FailedCall::by_host("invalid-guest-data", message, 1)
}

impl Left {
    fn counts(self, guest: &Guest, config: &InstanceConfig) -> ReplayCounts {
        let memory = self.pages.saturating_mul(PAGE_SIZE.into());
        let heap_base = guest.admission().layout.as_ref().map(|layout| u64::from(layout.heap_base));
        // Neither the exchange region nor the table of blocks is the trace's, and both lie in the heap.
        let heap_bytes = heap_base.map(|heap_base| {
            let others = heap_base + u64::from(config.exchange_size(ContractKind::Native)) + self.table_bytes;
            memory.saturating_sub(others)
        });
        ReplayCounts {
            failed_operations: self.failures,
            peak_live_bytes: self.peak_live_bytes,
            live_bytes: self.live_bytes,
            pages: self.pages,
            heap_bytes,
            fragmentation: heap_bytes.and_then(|heap| row::ratio(heap, self.peak_live_bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_becomes_records_that_fit_the_exchange_region() {
        let trace = Trace::parse("Alloc(70000),\n".repeat(1_000).as_bytes(), Numbering::FromZero).unwrap();
        for exchange_size in [256, 1_024, 65_536] {
            let mut state = trace_state(&trace, exchange_size).unwrap();
            let key = |chunk: Option<i64>| {
                let mut key = Vec::new();
                guest_abi::cbor::encode::element(&mut key, storage::RECORD);
                guest_abi::cbor::encode::element(&mut key, ENTITY);
                let mut fields = guest_abi::value::ObjectEncoder::begin(&mut key);
                if let Some(chunk) = chunk {
                    fields.put_i64("Chunk", chunk);
                }
                fields.end();
                key
            };
            let mut get = |chunk| {
                let key = key(chunk);
                let key = guest_abi::key::Key::parse(&key).unwrap();
                guest_host::State::get(&mut state, &key).unwrap().map(<[u8]>::to_vec)
            };
            let header = get(None).unwrap();
            let header = guest_abi::value::ValueRef::new(&header);
            let chunks = header.field("Chunks").unwrap().unwrap().as_i64().unwrap();
            assert_eq!(header.field("Slots").unwrap().unwrap().as_i64(), Ok(1_000));
            for chunk in 0..chunks {
                assert!(get(Some(chunk)).unwrap().len() <= exchange_size as usize / 4 * 3);
            }
            assert_eq!(get(Some(chunks)), None);
        }
    }
}
