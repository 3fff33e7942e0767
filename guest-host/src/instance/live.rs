//! The parts of an instance that exist in the engine.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use wasmtime::{Store, Val};

use super::InstanceConfig;
use super::counting::Counting;
use super::diagnose::{Diagnosis, backtrace};
use super::start::Started;
use super::suspend::Suspension;
use crate::arguments::{Arguments, MissingArguments};
use crate::contract::{CallError, Callable, Data};
use crate::failure::Cause;
use crate::guest::{Function, Guest};
use crate::host::control_block::{self, ControlBlockAt};
use crate::host::memory_location::memory_and_data;
use crate::host::mode::{Deadline, Mode};
use crate::restore::snapshot::{Handles, Snapshot};
use crate::restore::{Restore, RestoreError};

/// The parts of an instance that exist in the engine.
pub(super) struct Live {
    pub(super) store: Store<Data>,
    pub(super) instance: wasmtime::Instance,
    pub(super) handles: Handles,
    pub(super) counting: Counting,
    pub(super) snapshot: Snapshot,
    /// Resolved when first invoked.
    pub(super) functions: Vec<Option<Callable>>,
    /// The same by their own exports, where a call needs several functions.
    pub(super) plain: Vec<Option<Callable>>,
    pub(super) suspension: Suspension,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("handles", &self.handles).finish_non_exhaustive()
    }
}

/// A [`Failure`](crate::failure::Failure) without the name of its function.
pub(super) struct UnnamedFailure {
    pub(super) cause: Cause,
    pub(super) backtrace: Vec<String>,
}

impl UnnamedFailure {
    /// Boxed, as a large error would be copied around for every call that succeeds.
    #[cold]
    pub(super) fn boxed(cause: Cause) -> Box<Self> {
        Box::new(Self { cause, backtrace: Vec::new() })
    }
}

impl Live {
    /// An instance that was started in this store; `functions` is the number of its guest's functions.
    pub(super) fn new(store: Store<Data>, started: Started, functions: usize) -> Self {
        let Started { instance, handles, counting, snapshot } = started;
        let functions = std::iter::repeat_with(|| None).take(functions).collect();
        let suspension = Suspension::default();
        Self { store, instance, handles, counting, snapshot, functions, plain: Vec::new(), suspension }
    }

    #[cold]
    pub(super) fn resolve(
        &mut self,
        guest: &Guest,
        name: &str,
        function: Function,
        arguments: &Arguments,
    ) -> Result<(), Box<UnnamedFailure>> {
        let found = if guest.is_of_numbers(function) {
            let own = guest.function_name(function);
            let signature = guest.info().exported_function(own).cloned().unwrap_or_default();
            // Whether they fit was checked when the instance was made.
            let slots = arguments.slots(own, &signature).map_err(|_| Box::new(MissingArguments { signature }));
            Callable::find_numbers(name, slots, self.instance, &mut self.store)
        } else {
            Callable::find(guest.info().contract(), name, self.instance, &mut self.store)
        };
        let found = found.ok_or_else(|| UnnamedFailure::boxed(Cause::missing_export(name, &[])))?;
        if let Some(slot) = self.functions.get_mut(function.index) {
            *slot = Some(found);
        }
        Ok(())
    }

    pub(super) fn control_block(&mut self) -> Option<ControlBlockAt> {
        let address = self.snapshot.control_block?.address;
        ControlBlockAt::of(&mut self.store, address)
    }

    /// Takes note that the guest went on without the memory that it could not have, so that a later call which fails
    /// for another reason does not seem to have failed for this one.
    #[inline]
    pub(super) fn forget_refused_request(&mut self) {
        if let Some(block) = self.snapshot.control_block.as_ref()
            && let Some((memory, _)) = memory_and_data(&mut self.store)
        {
            let request = control_block::refused_request(block.address);
            let words = memory.read().get(request.clone()).and_then(|words| words.first_chunk());
            if words.is_some_and(|words| u64::from_ne_bytes(*words) != 0) {
                self.clear(request);
            }
        }
    }

    /// Zeroes bytes of the guest's memory.
    #[cold]
    fn clear(&mut self, range: Range<usize>) {
        if let Some((mut memory, data)) = memory_and_data(&mut self.store) {
            memory.write(range, &mut data.dirty_ranges).fill(0);
        }
    }

    /// Bytes of heap in use: what the control block says, or the guest, or where neither does, all memory above the
    /// statics that the guest sees. Memory that an earlier call grew and a restore took away is not its heap.
    pub(super) async fn heap_in_use<M: Mode>(&mut self, deadline: Deadline) -> u64 {
        if let Some(block) = self.control_block() {
            return block.image.top.saturating_sub(block.image.heap_base).into();
        }
        if let Some(said) = self.said_heap_in_use::<M>(deadline).await {
            return said;
        }
        let statics = self.snapshot.regions.statics().end as u64;
        self.logical_bytes().saturating_sub(statics)
    }

    /// Puts the mutable globals back, after this strategy has put memory back. `own_restored` says that an entrance has put
    /// the guest's own globals back already.
    #[inline(always)]
    pub(super) fn restore_globals(&mut self, own_restored: bool, restore: &dyn Restore) -> Result<(), RestoreError> {
        // The logical size lies between that of the snapshot and the physical one, which is at most what was granted. Where
        // those are equal, it is both.
        let grown = self.store.data().limiter.granted() > self.snapshot.memory.len();
        if own_restored && !grown {
            return Ok(());
        }
        self.set_globals(own_restored, grown, restore)
    }

    #[inline(never)]
    fn set_globals(&mut self, own_restored: bool, grown: bool, restore: &dyn Restore) -> Result<(), RestoreError> {
        let Self { store, handles, snapshot, .. } = self;
        for (index, ((name, global), saved)) in handles.globals.iter().zip(&snapshot.globals).enumerate() {
            let is_due = if handles.logical_pages == Some(index) { grown } else { !own_restored };
            if is_due && !is_forgotten(restore, handles, index) {
                let set = global.set(&mut *store, *saved);
                set.map_err(|error| RestoreError::Global { name: name.clone(), reason: error.to_string() })?;
            }
        }
        Ok(())
    }

    /// Ends a call that failed, and says why. Nothing is under way in the guest's allocator any more.
    #[cold]
    pub(super) fn failed(&mut self, error: CallError, guest: &Guest, config: &InstanceConfig) -> Box<UnnamedFailure> {
        let failed = match error {
            CallError::Trapped(error) => {
                let stack_top = match self.handles.stack_pointer.map(|index| self.snapshot.globals[index]) {
                    Some(Val::I32(top)) => Some(top.cast_unsigned()),
                    _ => None,
                };
                let mut diagnosis = Diagnosis {
                    store: &mut self.store,
                    handles: Some(&self.handles),
                    calls: self.counting.calls.as_ref(),
                    control_block: self.snapshot.control_block.map(|block| block.address),
                    stack_top,
                    memory_limit: config.memory_limit,
                    deadline: config.deadline.unwrap_or(Duration::MAX),
                    max_instructions: config.max_instructions.unwrap_or(u64::MAX),
                };
                let cause = diagnosis.cause(&error);
                Box::new(UnnamedFailure { cause, backtrace: backtrace(&error, guest.info()) })
            }
            CallError::Failed(fault) => {
                let in_use = self.logical_bytes();
                UnnamedFailure::boxed(fault.into_cause(in_use, self.store.data().limiter.limit() as u64))
            }
        };
        self.leave_allocator();
        failed
    }

    /// Bytes of memory that the guest sees.
    pub(super) fn logical_bytes(&mut self) -> u64 {
        self.handles.logical_size(&mut self.store) as u64
    }
}

/// Whether a broken specimen leaves this global as it is.
#[cfg(feature = "specimens")]
fn is_forgotten(restore: &dyn Restore, handles: &Handles, index: usize) -> bool {
    use crate::restore::ForgottenGlobals;
    match restore.forgotten_globals() {
        ForgottenGlobals::None => false,
        ForgottenGlobals::Own => handles.logical_pages != Some(index),
        ForgottenGlobals::StackPointer => handles.stack_pointer == Some(index),
        ForgottenGlobals::LogicalSize => handles.logical_pages == Some(index),
    }
}

#[cfg(not(feature = "specimens"))]
fn is_forgotten(_restore: &dyn Restore, _handles: &Handles, _index: usize) -> bool {
    false
}
