//! What exists of an instance in the engine: calling into it, and finding out why a call failed.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use guest_abi::names;
use wasmtime::{Store, Trap, Val, WasmBacktrace};

use super::InstanceConfig;
use super::counting::Counting;
use super::start::refused_request;
use crate::contract::wasi::{is_out_of_memory, panic_message};
use crate::contract::{CallError, Callable, Data};
use crate::failure::Cause;
use crate::guest::{Function, Guest};
use crate::host::window::memory_and_data;
use crate::restore::snapshot::{ControlBlockAt, Handles, Snapshot};
use guest_prepare::module_info::{ContractKind, ModuleInfo};

/// What exists of an instance in the engine.
pub(super) struct Live {
    pub(super) store: Store<Data>,
    pub(super) instance: wasmtime::Instance,
    pub(super) handles: Handles,
    pub(super) counting: Counting,
    pub(super) snapshot: Snapshot,
    /// Resolved when first invoked.
    pub(super) functions: Vec<Option<Callable>>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("handles", &self.handles).finish_non_exhaustive()
    }
}

/// Bytes that a 32-bit memory can have.
const MOST_BYTES: u64 = 1 << 32;

/// A call that failed, before it is given its function's name.
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) backtrace: Vec<String>,
}

impl Failed {
    /// Boxed, as a large error would be copied around for every call that succeeds.
    #[cold]
    pub(super) fn boxed(cause: Cause) -> Box<Self> {
        Box::new(Self { cause, backtrace: Vec::new() })
    }
}

impl Live {
    #[cold]
    pub(super) fn resolve(&mut self, kind: ContractKind, name: &str, function: Function) -> Result<(), Box<Failed>> {
        let found = Callable::find(kind, name, self.instance, &mut self.store);
        let found = found.ok_or_else(|| Failed::boxed(Cause::missing_export(name, &[])))?;
        if let Some(slot) = self.functions.get_mut(function.index) {
            *slot = Some(found);
        }
        Ok(())
    }

    pub(super) fn control_block(&mut self) -> Option<ControlBlockAt> {
        let address = self.snapshot.control_block?.address;
        let (memory, _) = memory_and_data(&mut self.store)?;
        ControlBlockAt::read(memory.read(), address).ok()
    }

    /// Takes note that the guest went on without the memory that it could not have, so that a later call which fails
    /// for another reason does not seem to have failed for this one.
    pub(super) fn forget_refused_request(&mut self) {
        if let Some(block) = self.snapshot.control_block.as_ref()
            && let Some((mut memory, data)) = memory_and_data(&mut self.store)
        {
            let words = refused_request(block.address);
            if words.end <= memory.len() {
                memory.write(words, &mut data.footprint).fill(0);
            }
        }
    }

    /// Bytes of heap in use: what the control block says, or the guest, or where nothing says it all memory above the
    /// statics that the guest sees. What an earlier call grew and a restore took away is not its heap.
    pub(super) fn heap_in_use(&mut self, deadline_ticks: u64) -> u64 {
        if let Some(block) = self.control_block() {
            return block.image.top.saturating_sub(block.image.heap_base).into();
        }
        self.said_heap_in_use(deadline_ticks).unwrap_or_else(|| {
            let statics = self.snapshot.regions.statics().end as u64;
            self.logical_bytes().saturating_sub(statics)
        })
    }

    /// Why a call left no result.
    #[cold]
    pub(super) fn failed(&mut self, error: CallError, guest: &Guest, config: &InstanceConfig) -> Box<Failed> {
        match error {
            CallError::Trapped(error) => self.classify(&error, guest, config),
            CallError::Refused(fault) => {
                let in_use = self.logical_bytes();
                Failed::boxed(fault.into_cause(in_use, self.store.data().limiter.limit() as u64))
            }
        }
    }

    /// Finds out why a call trapped.
    #[cold]
    pub(super) fn classify(&mut self, error: &wasmtime::Error, guest: &Guest, config: &InstanceConfig) -> Box<Failed> {
        let backtrace = error.downcast_ref().map_or_else(Vec::new, |found| symbols(found, guest.info()));
        let fault = self.store.data_mut().call.fault.take();
        let cause = match (fault, error.downcast_ref::<Trap>()) {
            (Some(fault), _) => match fault.into_cause(self.logical_bytes(), config.memory_limit) {
                // These are what a guest does that misses the memory which it asked for.
                gave_up @ (Cause::Panic { .. } | Cause::Exit { .. }) => match (self.out_of_memory(config), gave_up) {
                    (Some(overflow), _) => overflow,
                    (None, Cause::Panic { message, .. }) if is_out_of_memory(&message) => self.overflow(0, config),
                    (None, gave_up) => gave_up,
                },
                other => other,
            },
            (None, Some(trap)) => self.classify_trap(*trap, config),
            (None, None) => Cause::Engine(format!("{error:#}")),
        };
        Box::new(Failed { cause, backtrace })
    }

    pub(super) fn classify_trap(&mut self, trap: Trap, config: &InstanceConfig) -> Cause {
        match trap {
            Trap::Interrupt => Cause::DeadlineExceeded { deadline: config.deadline.unwrap_or(Duration::MAX) },
            Trap::StackOverflow => Cause::StackOverflow,
            // The shadow stack grows down to address 0, and what lies below wraps around to the end of memory.
            Trap::MemoryOutOfBounds if self.shadow_stack_overflowed() => Cause::StackOverflow,
            // Who uses what an allocator could not give, or the allocator itself, may well access what is not there.
            Trap::MemoryOutOfBounds if let Some(requested) = self.failed_allocation() => {
                self.overflow(requested, config)
            }
            Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => Cause::OutOfBounds { what: trap.to_string() },
            Trap::UnreachableCodeReached => {
                let panic = printed_panic(&self.store);
                // Who says what is wrong is believed, unless memory was refused before.
                let told_otherwise = panic.as_deref().is_some_and(|message| !is_out_of_memory(message));
                match self.out_of_memory(config) {
                    Some(overflow) if !told_otherwise || self.was_refused_memory() => overflow,
                    // The message is all there is of one whose heap is a static, for instance.
                    _ if panic.as_deref().is_some_and(is_out_of_memory) => self.overflow(0, config),
                    _ => panic.map_or(Cause::Unreachable, |message| Cause::Panic { message, location: None }),
                }
            }
            trap => Cause::Trap { trap },
        }
    }

    pub(super) fn shadow_stack_overflowed(&mut self) -> bool {
        let Some(index) = self.handles.stack_pointer else {
            return false;
        };
        let now = self.handles.globals[index].1.get(&mut self.store);
        match (now, &self.snapshot.globals[index]) {
            (Val::I32(now), Val::I32(saved)) => now.cast_unsigned() > saved.cast_unsigned(),
            _ => false,
        }
    }

    /// Whether the guest gave up because it could not have the memory that it asked for.
    pub(super) fn out_of_memory(&mut self, config: &InstanceConfig) -> Option<Cause> {
        let requested = match self.control_block() {
            // What an earlier call could not have was forgotten when that call succeeded.
            Some(block) => (block.image.failed_size != 0).then_some(block.image.failed_size.into()),
            None => self.failed_allocation().or_else(|| self.refused_growth()),
        }?;
        Some(self.overflow(requested, config))
    }

    /// Whether there was a request during the call that the guest or the host refused, other than one that is under way.
    fn was_refused_memory(&mut self) -> bool {
        self.snapshot.control_block.is_some()
            || self.refused_allocation().is_some()
            || self.store.data().limiter.refused().is_some()
    }

    /// Bytes of the last growth that was refused during the call, where the guest has no control block that says more.
    fn refused_growth(&mut self) -> Option<u64> {
        if self.snapshot.control_block.is_some() {
            return None;
        }
        let in_use = self.logical_bytes();
        let physical = self.handles.memory.data_size(&self.store);
        self.store.data().limiter.refused().map(|size| match size > physical {
            true => size as u64 - in_use,
            // The engine did not say how much it was. It was more than any memory can have.
            false => MOST_BYTES + u64::from(names::PAGE_SIZE) - in_use,
        })
    }

    fn overflow(&mut self, requested: u64, config: &InstanceConfig) -> Cause {
        Cause::OutOfMemory { requested, in_use: self.logical_bytes(), limit: config.memory_limit }
    }

    /// Bytes of memory that the guest sees.
    pub(super) fn logical_bytes(&mut self) -> u64 {
        self.handles.logical_size(&mut self.store) as u64
    }
}

/// The message of a panic that the guest has printed before it aborted.
pub(super) fn printed_panic(store: &Store<Data>) -> Option<String> {
    panic_message(store.data().call.output.bytes()).map(Cow::into_owned)
}

/// Names of the guest's own functions on the stack, those of the preparation left out.
pub(super) fn symbols(backtrace: &WasmBacktrace, info: &ModuleInfo) -> Vec<String> {
    let own = backtrace.frames().iter().map(wasmtime::FrameInfo::func_index).filter(|index| *index < info.functions());
    own.map(|index| format!("{:#}", rustc_demangle::demangle(&info.function_name(index)))).collect()
}
