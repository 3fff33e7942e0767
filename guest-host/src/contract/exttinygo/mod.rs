//! Host side of the exttinygo contract, version 0.0.1: what extensions import that TinyGo compiles for existing hosts.
//!
//! Where guests of the native contract pass keys and values as bytes, these ask for every field by a host function, and
//! handles stand for keys, intents and values. So what is in the native contract a matter of the guest's SDK is one of
//! the host here: `handles` holds what the handles stand for, `writer` encodes keys and intents, `buffers` has the
//! places in the guest's memory where text and bytes come back, and `imports`, `reads` and `rows` are the functions.

mod buffers;
mod handles;
mod imports;
mod reads;
mod rows;
mod writer;

use std::hash::Hasher;
use std::ops::Range;

use guest_abi::names;
use wasmtime::{Caller, Linker, TypedFunc};

use super::Passed;
use crate::failure::{Fault, InvalidData};
use crate::host::call::{CallLimits, HostCall, HostData};
use crate::host::footprint::Footprint;
use crate::host::guest_memory::GuestMemory;
use crate::host::window::memory_and_data;
use crate::state::State;
use buffers::Buffers;
use handles::Handles;

/// What the host has of an instance that speaks this contract.
pub(crate) struct ExtTinyGo {
    handles: Handles,
    buffers: Buffers,
    exports: Exports,
    limits: CallLimits,
    /// Bytes of keys, intents and values that the call's handles have made the host hold.
    held: usize,
}

/// What the host calls of the guest while a call is under way.
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
    fn hold(held: &mut usize, bytes: usize, limits: &CallLimits) -> Result<(), Fault> {
        *held = held.saturating_add(bytes);
        match *held <= limits.held_bytes {
            true => Ok(()),
            false => Err(Fault::InvalidGuestData(InvalidData::TooMuchHeld { limit: limits.held_bytes })),
        }
    }
}

/// Defines the contract's imports.
pub(super) fn define(linker: &mut Linker<HostData>) -> wasmtime::Result<()> {
    imports::define(linker)?;
    reads::define(linker)?;
    rows::define(linker)
}

/// What a host function works on.
struct Crossing<'a> {
    memory: GuestMemory<'a>,
    own: &'a mut ExtTinyGo,
    state: &'a mut dyn State,
    footprint: &'a mut Footprint,
}

/// Runs a host function's body, as [`super::crossing`] does.
#[inline]
fn crossing<R>(
    caller: &mut Caller<'_, HostData>,
    body: impl FnOnce(Crossing<'_>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    super::crossing(caller, |memory, data| {
        let HostData { exttinygo, state, footprint, .. } = data;
        match exttinygo.as_deref_mut() {
            Some(own) => body(Crossing { memory, own, state: state.as_mut(), footprint }),
            None => Err(Fault::InvalidGuestData(InvalidData::TooEarly)),
        }
    })
}

/// Traces a crossing that went well: its numbers, and the bytes that were passed.
#[inline]
fn trace(caller: &mut Caller<'_, HostData>, name: &'static str, numbers: &[i64], passed: &[(u32, u32)], result: i64) {
    if caller.data().tracing {
        trace_it(caller, name, numbers, passed, result);
    }
}

#[cold]
fn trace_it(
    caller: &mut Caller<'_, HostData>,
    name: &'static str,
    numbers: &[i64],
    passed: &[(u32, u32)],
    result: i64,
) {
    let Some((memory, data)) = memory_and_data(caller) else {
        return;
    };
    let bytes = memory.read();
    data.trace(HostCall::ExtTinyGo(name), result, |hasher| {
        numbers.iter().for_each(|number| hasher.write_i64(*number));
        for (address, length) in passed {
            // They were in memory when they were read.
            let from = bytes.get(*address as usize..).unwrap_or_default();
            hasher.write(&from[..from.len().min(*length as usize)]);
        }
    });
}

/// A number as the bits that a trace has of it.
trait Bits {
    fn bits(self) -> i64;
}

impl Bits for i32 {
    fn bits(self) -> i64 {
        self.into()
    }
}

impl Bits for i64 {
    fn bits(self) -> i64 {
        self
    }
}

impl Bits for f32 {
    fn bits(self) -> i64 {
        self.to_bits().into()
    }
}

impl Bits for f64 {
    fn bits(self) -> i64 {
        self.to_bits().cast_signed()
    }
}

/// Has a part of what was read put into the guest's memory, and returns where, packed. Takes a further buffer from the
/// guest where there is no room.
fn give(caller: &mut Caller<'_, HostData>, part: Given) -> wasmtime::Result<i64> {
    match part {
        Given::Packed(packed) => Ok(packed),
        Given::Waiting(part) => give_further(caller, part),
    }
}

/// Text or bytes on their way to the guest.
enum Given {
    /// They are there.
    Packed(i64),
    /// There is no room for this part of what was read.
    Waiting(Range<usize>),
}

impl Crossing<'_> {
    /// Puts a part of what was read into a buffer with room for it.
    #[inline]
    fn give(&mut self, part: Range<usize>) -> Result<Given, Fault> {
        let bytes = &self.own.handles.bytes[part.clone()];
        let Some(place) = self.own.buffers.place(bytes.len()) else {
            return Ok(Given::Waiting(part));
        };
        // Both are 32-bit: the place lies in memory.
        let packed = names::pack(place.start as u32, bytes.len() as u32);
        self.memory.write(place, self.footprint).copy_from_slice(bytes);
        Ok(Given::Packed(packed))
    }
}

#[cold]
fn give_further(caller: &mut Caller<'_, HostData>, part: Range<usize>) -> wasmtime::Result<i64> {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX).max(guest_abi::exttinygo::LEAST_FURTHER_BUFFER);
    let malloc = crossing(caller, |crossing| Ok(crossing.own.exports.malloc.clone()))?;
    let address = malloc.call(&mut *caller, length)?;
    let given = crossing(caller, |mut crossing| {
        if address == 0 {
            return Err(Fault::OutOfMemory { requested: length.into() });
        }
        let buffer = super::range("buffer from `malloc`", address, length, crossing.memory.len())?;
        if !crossing.own.buffers.add(buffer, crossing.memory.len()) {
            return Err(Fault::InvalidGuestData(InvalidData::BuffersOverlap));
        }
        crossing.give(part)
    })?;
    // One crossing, whatever it took.
    caller.data_mut().call.crossings -= 2;
    match given {
        Given::Packed(packed) => Ok(packed),
        Given::Waiting(part) => Err(wasmtime::Error::msg(format!("a new buffer has no room for {} bytes", part.len()))),
    }
}
