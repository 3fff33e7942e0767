//! The data of an instance's store, which its host functions use.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use wasmtime::{AsContextMut, Val};

use crate::host::call::{Call, CallLimits, HostCall, TraceEntry};
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::limits::MemoryLimiter;
use crate::host::memory_location::MemoryLocation;
use crate::host::secrets::Secrets;
use crate::host::supervisor::Supervisor;
use crate::state::State;
#[cfg(feature = "async")]
use crate::stream::GuestStream;

/// The data of an instance's store.
pub(crate) struct HostData<X> {
    pub(crate) state: Box<dyn State>,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) limits: CallLimits,
    pub(crate) call: Call,
    /// The instance's memory, once it exists.
    pub(crate) memory_location: Option<MemoryLocation>,
    /// The ranges that calls have used since the last restore.
    pub(crate) dirty_ranges: DirtyRanges,
    /// Where the guest sees the end of its memory, if that can be before the memory ends.
    pub(crate) logical: Option<LogicalSize>,
    /// Whether [`Call::trace`] is kept.
    pub(crate) tracing: bool,
    /// Copies of what a host function must read while it writes into the same memory.
    pub(crate) scratch: Vec<u8>,
    /// The secrets that the guest may read while a call runs.
    pub(crate) secrets: Secrets,
    /// Whether the instance has no snapshot yet. What the guest reads now, the snapshot would have.
    pub(crate) is_starting: bool,
    /// The stream that the guest may read and write in the call that runs.
    #[cfg(feature = "async")]
    pub(crate) stream: Option<Box<dyn GuestStream>>,
    /// How long guest code may run between two awaited host functions.
    #[cfg(feature = "async")]
    pub(crate) between: Option<std::time::Duration>,
    /// When guest code that is asked about with each tick must end.
    pub(crate) until: Option<std::time::Instant>,
    /// The contract's own data. The host only says when a call or a restore begins.
    pub(crate) contract: X,
}

/// A contract's own data of an instance.
pub(crate) trait ContractData: Send + 'static {
    /// Forgets the last call.
    fn begin_call(&mut self);

    /// Puts back what is the host's, as the instance was restored.
    fn restored(&mut self);
}

impl<X: ContractData> HostData<X> {
    /// For an instance whose memory may have `memory_limit` bytes, before the instance is there.
    pub(crate) fn new(
        state: Box<dyn State>,
        memory_limit: usize,
        supervisor: Option<Supervisor>,
        limits: CallLimits,
        tracing: bool,
        contract: X,
    ) -> Self {
        Self {
            state,
            limiter: MemoryLimiter::new(memory_limit, supervisor),
            limits,
            call: Call::default(),
            memory_location: None,
            dirty_ranges: DirtyRanges::default(),
            logical: None,
            tracing,
            scratch: Vec::new(),
            secrets: Secrets::default(),
            is_starting: true,
            #[cfg(feature = "async")]
            stream: None,
            #[cfg(feature = "async")]
            between: None,
            until: None,
            contract,
        }
    }

    /// Forgets the last call, and says whether that was refused memory.
    #[inline]
    pub(crate) fn begin_call(&mut self) -> bool {
        self.call.begin();
        self.dirty_ranges.call_begins();
        self.contract.begin_call();
        self.limiter.begin_call()
    }

    /// Puts back what of the instance is the host's, and forgets what is no longer in the guest's memory, which was put back.
    #[inline]
    pub(crate) fn restored(&mut self) {
        self.dirty_ranges.clear();
        self.contract.restored();
    }

    /// Takes note of a crossing, where calls are traced.
    pub(crate) fn trace(&mut self, call: HostCall, result: i64, digest: impl FnOnce(&mut DefaultHasher)) {
        if self.tracing {
            let mut hasher = DefaultHasher::new();
            digest(&mut hasher);
            self.call.trace.push(TraceEntry { call, result, digest: hasher.finish() });
        }
    }
}

/// The logical size of a memory that was prepared for virtual growth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogicalSize {
    /// The global that holds it, in pages.
    pub(crate) pages: wasmtime::Global,
    /// Bytes of a memory that is certainly as large as the guest sees it: nothing was grown since the snapshot.
    pub(crate) certain: usize,
}

/// Bytes that the guest sees of a memory which physically has `physical`. What lies behind is as far out of its bounds as
/// in a fresh instance.
pub(crate) fn visible_bytes<X: 'static>(physical: usize, mut store: impl AsContextMut<Data = HostData<X>>) -> usize {
    match store.as_context().data().logical {
        Some(LogicalSize { pages, certain }) if physical != certain => match pages.get(&mut store) {
            Val::I32(pages) => physical.min(pages.cast_unsigned() as usize * guest_abi::names::PAGE_SIZE as usize),
            _ => physical,
        },
        _ => physical,
    }
}

impl<X> fmt::Debug for HostData<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostData").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

/// The contract of an instance that has none.
#[cfg(test)]
pub(crate) struct NoContract;

#[cfg(test)]
impl ContractData for NoContract {
    fn begin_call(&mut self) {}

    fn restored(&mut self) {}
}
