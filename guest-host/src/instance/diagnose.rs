//! Why guest code did not return: one set of rules for calls and for what runs before the snapshot.

use std::borrow::Cow;
use std::time::Duration;

use guest_abi::names;
use guest_prepare::module_info::ModuleInfo;
use wasmtime::{Store, Trap, Val, WasmBacktrace};

use super::counting::CountedCalls;
use crate::contract::Data;
use crate::contract::wasi::{is_out_of_memory, panic_message};
use crate::failure::Cause;
use crate::host::control_block::ControlBlockAt;
use crate::restore::snapshot::Handles;

/// Bytes that a 32-bit memory can have.
const MOST_BYTES: u64 = 1 << 32;

/// An instance whose code did not return.
pub(super) struct Diagnosis<'a> {
    pub(super) store: &'a mut Store<Data>,
    /// `None` where it failed while it was being instantiated.
    pub(super) handles: Option<&'a Handles>,
    /// The counts of its allocator's calls, where the preparation keeps them.
    pub(super) calls: Option<&'a CountedCalls>,
    /// Address of a control block that could be read before.
    pub(super) control_block: Option<usize>,
    /// The shadow-stack pointer when no function runs.
    pub(super) stack_top: Option<u32>,
    /// Bytes of linear memory that it may have.
    pub(super) memory_limit: u64,
    /// How long it might take.
    pub(super) deadline: Duration,
    /// Instructions that it might execute.
    pub(super) max_instructions: u64,
}

impl Diagnosis<'_> {
    /// The cause of the error with which the engine ended the guest's code.
    #[cold]
    pub(super) fn cause(&mut self, error: &wasmtime::Error) -> Cause {
        match (self.store.data_mut().call.fault.take(), error.downcast_ref::<Trap>()) {
            (Some(fault), _) => match fault.into_cause(self.logical_bytes(), self.memory_limit) {
                // A guest that misses the memory which it asked for ends like this.
                gave_up @ (Cause::Panic { .. } | Cause::Exit { .. }) => match (self.out_of_memory(), gave_up) {
                    (Some(overflow), _) => overflow,
                    (None, Cause::Panic { message, .. }) if is_out_of_memory(&message) => self.overflow(0),
                    (None, gave_up) => gave_up,
                },
                other => other,
            },
            (None, Some(trap)) => self.trapped(*trap),
            (None, None) => Cause::Engine(format!("{error:#}")),
        }
    }

    fn trapped(&mut self, trap: Trap) -> Cause {
        match trap {
            Trap::Interrupt => Cause::DeadlineExceeded { deadline: self.deadline },
            Trap::OutOfFuel => Cause::InstructionsExceeded { limit: self.max_instructions },
            Trap::StackOverflow => Cause::StackOverflow,
            // The shadow stack grows down to address 0, and what lies below wraps around to the end of memory.
            Trap::MemoryOutOfBounds if self.shadow_stack_overflowed() => Cause::StackOverflow,
            // A guest that uses a failed allocation, or the allocator itself, may well access memory that is not there.
            Trap::MemoryOutOfBounds if let Some(requested) = self.failed_allocation() => self.overflow(requested),
            Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => Cause::OutOfBounds { what: trap.to_string() },
            Trap::UnreachableCodeReached => {
                let panic = self.printed_panic();
                // A guest that says why it panics is believed, unless memory was refused before.
                let told_otherwise = panic.as_deref().is_some_and(|message| !is_out_of_memory(message));
                match self.out_of_memory() {
                    Some(overflow) if !told_otherwise || self.was_refused_memory() => overflow,
                    // The message is all there is where the heap is a static, for instance.
                    _ if panic.as_deref().is_some_and(is_out_of_memory) => self.overflow(0),
                    _ => panic.map_or(Cause::Unreachable, |message| Cause::Panic { message, location: None }),
                }
            }
            trap => Cause::Trap { trap },
        }
    }

    /// The message of a panic that the guest has printed before it aborted.
    fn printed_panic(&self) -> Option<String> {
        panic_message(self.store.data().call.output.bytes()).map(Cow::into_owned)
    }

    fn shadow_stack_overflowed(&mut self) -> bool {
        let Some((handles, index)) = self.handles.and_then(|handles| Some((handles, handles.stack_pointer?))) else {
            return false;
        };
        match (handles.globals[index].1.get(&mut *self.store), self.stack_top) {
            (Val::I32(now), Some(top)) => now.cast_unsigned() > top,
            _ => false,
        }
    }

    /// That the guest gave up because it could not have the memory that it asked for.
    fn out_of_memory(&mut self) -> Option<Cause> {
        let requested = match self.control_block() {
            // A request that failed in an earlier call was forgotten when that call succeeded.
            Some(block) => (block.image.failed_size != 0).then_some(block.image.failed_size.into()),
            None => self.failed_allocation().or_else(|| self.refused_growth()),
        }?;
        Some(self.overflow(requested))
    }

    /// Whether there was a request during the call that the guest or the host refused, other than one that is under way.
    fn was_refused_memory(&mut self) -> bool {
        self.control_block.is_some()
            || self.calls.is_some_and(|calls| calls.refused_allocation(self.store).is_some())
            || self.store.data().limiter.refused().is_some()
    }

    fn failed_allocation(&mut self) -> Option<u64> {
        self.calls?.failed_allocation(self.store)
    }

    /// Bytes of the last growth that was refused during the call, where the guest has no control block that says more.
    fn refused_growth(&mut self) -> Option<u64> {
        if self.control_block.is_some() {
            return None;
        }
        let in_use = self.logical_bytes();
        let physical = match self.handles {
            Some(handles) => handles.memory.data_size(&*self.store),
            None => self.store.data().limiter.granted(),
        };
        self.store.data().limiter.refused().map(|size| match size > physical {
            true => size as u64 - in_use,
            // The engine did not say how much it was. It was more than any memory can have.
            false => MOST_BYTES + u64::from(names::PAGE_SIZE) - in_use,
        })
    }

    fn control_block(&mut self) -> Option<ControlBlockAt> {
        ControlBlockAt::of(self.store, self.control_block?)
    }

    fn overflow(&mut self, requested: u64) -> Cause {
        Cause::OutOfMemory { requested, in_use: self.logical_bytes(), limit: self.memory_limit }
    }

    /// Bytes of memory that the guest sees.
    fn logical_bytes(&mut self) -> u64 {
        match self.handles {
            Some(handles) => handles.logical_size(&mut *self.store) as u64,
            None => self.store.data().limiter.granted() as u64,
        }
    }
}

/// Names of the guest's own functions on the stack, innermost first, without those of the preparation.
pub(super) fn backtrace(error: &wasmtime::Error, info: &ModuleInfo) -> Vec<String> {
    let frames = error.downcast_ref().map_or(&[][..], WasmBacktrace::frames);
    let own = frames.iter().map(wasmtime::FrameInfo::func_index).filter(|index| *index < info.functions());
    own.map(|index| format!("{:#}", rustc_demangle::demangle(&info.function_name(index)))).collect()
}
