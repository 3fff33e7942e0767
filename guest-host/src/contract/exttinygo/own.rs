//! The host's side of an instance that speaks this contract.

use std::ops::Range;

use wasmtime::TypedFunc;

use super::buffers::Buffers;
use super::handles::Handles;
use crate::failure::{Fault, InvalidData};
use crate::host::call::CallLimits;

/// The host's side of an instance that speaks this contract.
pub(crate) struct ExtTinyGo {
    pub(super) handles: Handles,
    pub(super) buffers: Buffers,
    pub(super) exports: Exports,
    pub(super) limits: CallLimits,
    /// Bytes of keys, intents and values that the call's handles have made the host hold.
    pub(super) held: usize,
}

/// The guest's functions that the host calls during a call.
#[derive(Clone)]
pub(crate) struct Exports {
    /// `malloc`.
    pub(crate) malloc: TypedFunc<u32, u32>,
    /// `WasmOnReadValue`.
    pub(crate) on_read_value: Option<TypedFunc<(i64, i64), ()>>,
}

impl ExtTinyGo {
    /// That of an instance that has not been initialised yet.
    pub(crate) fn new(exports: Exports, limits: CallLimits) -> Self {
        let handles = Handles::new(limits.handles);
        Self { handles, buffers: Buffers::default(), exports, limits, held: 0 }
    }

    /// Initialisation is over: from here on text and bytes go to this buffer.
    pub(crate) fn initialised(&mut self, buffer: Range<usize>) -> Result<(), Fault> {
        if !self.handles.intents().is_empty() {
            return Err(Fault::InvalidGuestData(InvalidData::IntentTooEarly));
        }
        self.buffers = Buffers::new(buffer);
        Ok(())
    }

    /// Forgets the call before.
    #[inline]
    pub(crate) fn begin_call(&mut self) {
        self.handles.begin_call(self.held);
        self.buffers.begin_call();
        self.held = 0;
    }

    /// The memory is as the snapshot has it, so nothing that was put there since is there any more.
    #[inline]
    pub(crate) fn restore(&mut self) {
        self.handles.restore(self.held);
        self.buffers.restore();
        self.held = 0;
    }

    /// Appends the intents of the call, which is over, to `stream`.
    #[inline]
    pub(crate) fn finish(&mut self, stream: &mut Vec<u8>) -> Result<(), Fault> {
        let limit = self.limits.intent_bytes;
        for intent in self.handles.intents() {
            if intent.len() >= limit.saturating_sub(stream.len()) {
                return Err(Fault::InvalidGuestData(InvalidData::TooManyIntents { limit }));
            }
            intent.append_to(stream);
        }
        Ok(())
    }

    /// Takes note of bytes that are held until the next call.
    #[inline]
    pub(super) fn hold(held: &mut usize, bytes: usize, limits: &CallLimits) -> Result<(), Fault> {
        *held = held.saturating_add(bytes);
        match *held <= limits.held_bytes {
            true => Ok(()),
            false => Err(Fault::InvalidGuestData(InvalidData::TooMuchHeld { limit: limits.held_bytes })),
        }
    }
}
