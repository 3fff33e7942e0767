//! The frame of every function of this contract: what it works on, its place in the trace, and the way back into the guest's
//! memory.

use std::hash::Hasher;
use std::ops::Range;

use guest_abi::names;
use wasmtime::Caller;

use super::own::ExtTinyGo;
use crate::contract::crossing::{crossing as frame, range};
use crate::failure::{Fault, InvalidData};
use crate::host::call::HostCall;
use crate::host::data::{ContractData, HostData};
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::guest_memory::GuestMemory;
use crate::host::memory_location::memory_and_data;
#[cfg(feature = "async")]
use crate::host::mode::Awaiting;
use crate::host::mode::{Blocking, Mode, ready};
use crate::state::State;

/// An instance that may speak this contract.
pub(crate) trait ExtTinyGoView: ContractData {
    /// The host's side of the instance under this contract; `None` before it begins, or under another contract.
    fn exttinygo(&mut self) -> Option<&mut ExtTinyGo>;

    /// Sets it, when the instance begins.
    fn set_exttinygo(&mut self, own: ExtTinyGo);
}

/// The parts of the store's data that a host function uses.
pub(super) struct Crossing<'a> {
    pub(super) memory: GuestMemory<'a>,
    pub(super) own: &'a mut ExtTinyGo,
    pub(super) state: &'a mut dyn State,
    pub(super) dirty_ranges: &'a mut DirtyRanges,
}

/// Runs a host function's body, as [`frame`] does.
#[inline]
pub(super) fn crossing<X: ExtTinyGoView, R>(
    caller: &mut Caller<'_, HostData<X>>,
    body: impl FnOnce(Crossing<'_>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    frame(caller, |memory, data| {
        let HostData { contract, state, dirty_ranges, .. } = data;
        match contract.exttinygo() {
            Some(own) => body(Crossing { memory, own, state: state.as_mut(), dirty_ranges }),
            None => Err(Fault::InvalidGuestData(InvalidData::TooEarly)),
        }
    })
}

/// Traces a crossing that went well: its numbers, and the bytes that were passed.
#[inline]
pub(super) fn trace<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    name: &'static str,
    numbers: &[i64],
    passed: &[(u32, u32)],
    result: i64,
) {
    if caller.data().tracing {
        trace_it(caller, name, numbers, passed, result);
    }
}

#[cold]
fn trace_it<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
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
pub(super) trait Bits {
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
pub(super) fn give<X: ExtTinyGoView>(caller: &mut Caller<'_, HostData<X>>, part: Given) -> wasmtime::Result<i64> {
    match part {
        Given::Packed(packed) => Ok(packed),
        Given::Waiting(part) => give_further_now(caller, part),
    }
}

/// Text or bytes on their way to the guest.
pub(super) enum Given {
    /// They are there.
    Packed(i64),
    /// There is no room for this part of what was read.
    Waiting(Range<usize>),
}

impl Crossing<'_> {
    /// Puts a part of what was read into a buffer with room for it.
    #[inline]
    pub(super) fn give(&mut self, part: Range<usize>) -> Result<Given, Fault> {
        let bytes = &self.own.handles.bytes[part.clone()];
        let Some(place) = self.own.buffers.place(bytes.len()) else {
            return Ok(Given::Waiting(part));
        };
        // Both are 32-bit: the place lies in memory.
        let packed = names::pack(place.start as u32, bytes.len() as u32);
        self.memory.write(place, self.dirty_ranges).copy_from_slice(bytes);
        Ok(Given::Packed(packed))
    }
}

/// The way for a part that has no room, which is seldom.
#[cold]
fn give_further_now<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    part: Range<usize>,
) -> wasmtime::Result<i64> {
    ready(give_further::<Blocking, X>(caller, part))
}

/// The same as [`give`] where the guest's `malloc` may be suspended.
#[cfg(feature = "async")]
pub(super) async fn give_awaiting<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    part: Given,
) -> wasmtime::Result<i64> {
    match part {
        Given::Packed(packed) => Ok(packed),
        Given::Waiting(part) => give_further::<Awaiting, X>(caller, part).await,
    }
}

async fn give_further<M: Mode, X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    part: Range<usize>,
) -> wasmtime::Result<i64> {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX).max(guest_abi::exttinygo::LEAST_FURTHER_BUFFER);
    let malloc = crossing(caller, |crossing| Ok(crossing.own.exports.malloc.clone()))?;
    let address = M::call(&malloc, &mut *caller, length).await?;
    let given = crossing(caller, |mut crossing| {
        if address == 0 {
            return Err(Fault::OutOfMemory { requested: length.into() });
        }
        let buffer = range("buffer from `malloc`", address, length, crossing.memory.len())?;
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
