//! The outcome of a successful call.

use std::time::Duration;

use guest_abi::ControlBlockImage;
use guest_abi::intent::Intents;
use wasmtime::Val;

use crate::host::call::{Call, LogLines, TraceEntry};

/// The outcome of a successful call. It borrows the instance's buffers: copy what you need beyond the next call.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// # let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
/// let outcome = instance.invoke_by_name("count_up")?;
/// for intent in outcome.intents() {
///     let intent = intent?;
///     assert_eq!((intent.key.entity, intent.value.field("Amount")?.unwrap().as_i64()?), ("e", 400));
/// }
/// let lines: Vec<&str> = outcome.log().map(|(_level, text)| text).collect();
/// assert_eq!(lines, ["hello"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Outcome<'a> {
    pub(crate) call: &'a Call,
    pub(crate) stats: &'a CallStats,
}

impl<'a> Outcome<'a> {
    /// The intents, in the order in which they were left. They are valid: every one decodes.
    #[must_use]
    pub fn intents(&self) -> Intents<'a> {
        self.call.intents()
    }

    /// The intents in their wire form, for [`State::apply`](crate::State::apply).
    #[must_use]
    pub fn intent_bytes(&self) -> &'a [u8] {
        &self.call.intents
    }

    /// The results of a function of a bare module; empty for other functions.
    #[must_use]
    pub fn results(&self) -> &'a [Val] {
        &self.call.results
    }

    /// The log lines.
    #[must_use]
    pub fn log(&self) -> LogLines<'a> {
        self.call.log()
    }

    /// Log lines that were cut off or dropped because the call logged more than it may.
    #[must_use]
    pub fn log_dropped(&self) -> u64 {
        self.call.log_dropped()
    }

    /// The output of the call through WASI: the last
    /// [`CallLimits::output_bytes`](crate::CallLimits::output_bytes) of it.
    #[must_use]
    pub fn output(&self) -> &'a [u8] {
        self.call.output.bytes()
    }

    /// Bytes that the call wrote to its output before those that are kept.
    #[must_use]
    pub fn output_dropped(&self) -> u64 {
        self.call.output.dropped()
    }

    /// Calls of host functions, with digests; empty unless the instance was asked to trace.
    #[must_use]
    pub fn trace(&self) -> &'a [TraceEntry] {
        &self.call.trace
    }

    /// Figures of the call.
    #[must_use]
    pub fn stats(&self) -> &'a CallStats {
        self.stats
    }
}

/// Figures of one call.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// // Instructions need an engine that counts them; pages and times need an instance that does.
/// let engine = Engine::new(&EngineConfig::default().with_fuel(true))?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let mut instance = guest.instantiate(&InstanceConfig::default().with_count(true), MemoryState::new())?;
/// let stats = *instance.invoke_by_name("count_up")?.stats();
/// assert_eq!((stats.crossings, stats.pages), (1, 2));
/// assert!(stats.instructions > Some(0) && stats.restored_bytes > Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CallStats {
    /// Calls of host functions.
    pub crossings: u64,
    /// The allocations of the call; `None` if they are unknown or not counted. Functions of the guest's own are called only
    /// after successful calls.
    #[cfg_attr(feature = "serde", serde(rename = "allocator"))]
    pub allocations: Option<AllocationStats>,
    /// Pages of 64 KiB that the guest's memory physically had after the call and before the restore; 0 unless asked.
    pub pages: u64,
    /// WebAssembly instructions executed; `None` unless the engine counts them.
    pub instructions: Option<u64>,
    /// Bytes that the restore after the call wrote; `None` when there was none or the instance was replaced.
    pub restored_bytes: Option<u64>,
    /// How long the restore after the call took, or the replacement; `None` when there was none, or nobody asked.
    #[cfg_attr(feature = "serde", serde(rename = "restore_ns", default, with = "nanoseconds"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub restore_time: Option<Duration>,
    /// Why the instance was replaced after the call; `None` when it was restored in place, or not at all.
    pub replaced: Option<Replaced>,
    /// Whether the call ran out of memory first and succeeded on the restored instance.
    pub retried: bool,
}

/// Why an instance was replaced by a new one after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Replaced {
    /// Its strategy does nothing else.
    ByStrategy,
    /// It could not be restored in place, because of what the guest left.
    NotRestorable,
    /// It had more memory than calls needed for [some time](crate::Retention).
    Shrunk,
    /// It is restored by another strategy from now on: what [`Auto`](crate::RestoreStrategy::Auto) learned from its calls.
    AnotherStrategy,
}

impl Replaced {
    /// A word for the reason, for counting and for reports.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::ByStrategy => "by-strategy",
            Self::NotRestorable => "not-restorable",
            Self::Shrunk => "shrunk",
            Self::AnotherStrategy => "another-strategy",
        }
    }
}

impl CallStats {
    /// Forgets the last call. Field by field: what is absent need not be overwritten.
    #[inline]
    pub(crate) fn begin(&mut self, retried: bool) {
        let Self {
            crossings,
            allocations,
            pages,
            instructions,
            restored_bytes,
            restore_time,
            replaced,
            retried: again,
        } = self;
        (*crossings, *pages, *again) = (0, 0, retried);
        (*allocations, *instructions, *restored_bytes) = (None, None, None);
        (*restore_time, *replaced) = (None, None);
    }
}

/// Where it is known from what a call allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum AllocationSource {
    /// The control block of one of this project's allocators.
    #[default]
    ControlBlock,
    /// Functions of the guest's own, of the names in [`guest_abi::exttinygo`].
    GuestFunctions,
    /// Calls of its allocator's functions, which the [preparation](guest_prepare) counts. An allocator's function that a
    /// compiler has put into those that call it is not called, and so not counted.
    CountedCalls,
}

impl AllocationSource {
    /// A word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ControlBlock => "control-block",
            Self::GuestFunctions => "guest-functions",
            Self::CountedCalls => "counted-calls",
        }
    }
}

/// The allocations of one call. A field is `None` if the [source](AllocationStats::source) does not count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AllocationStats {
    /// Where it is known from.
    #[cfg_attr(feature = "serde", serde(rename = "allocations_from"))]
    pub source: AllocationSource,
    /// Allocations.
    pub allocations: u64,
    /// Frees.
    #[cfg_attr(feature = "serde", serde(rename = "frees"))]
    pub deallocations: Option<u64>,
    /// Reallocations.
    pub reallocations: Option<u64>,
    /// Bytes requested.
    pub allocated_bytes: Option<u64>,
    /// Bytes given back.
    pub freed_bytes: Option<u64>,
    /// Largest number of bytes alive at one time since the instance began.
    pub peak_live_bytes: Option<u64>,
    /// Times that memory was grown for the heap.
    pub grows: Option<u64>,
    /// Bytes of heap in use after the call, as the guest's own functions tell.
    pub heap_in_use: Option<u64>,
    /// Bytes that the allocator had from the system after the call, as the guest's own functions tell.
    pub heap_size: Option<u64>,
}

impl AllocationStats {
    /// The difference of two readings of a control block.
    pub(crate) fn between(before: &ControlBlockImage, after: &ControlBlockImage) -> Self {
        Self {
            source: AllocationSource::ControlBlock,
            allocations: after.allocations.wrapping_sub(before.allocations),
            deallocations: Some(after.deallocations.wrapping_sub(before.deallocations)),
            reallocations: Some(after.reallocations.wrapping_sub(before.reallocations)),
            allocated_bytes: Some(after.allocated_bytes.wrapping_sub(before.allocated_bytes)),
            freed_bytes: Some(after.freed_bytes.wrapping_sub(before.freed_bytes)),
            peak_live_bytes: Some(after.peak_live_bytes),
            grows: Some(after.grows.wrapping_sub(before.grows).into()),
            heap_in_use: None,
            heap_size: None,
        }
    }
}

/// Times as a number of nanoseconds.
#[cfg(feature = "serde")]
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_nanos))
    }
}
