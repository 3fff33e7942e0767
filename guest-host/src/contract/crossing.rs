//! The frame of every host function, whatever its contract: it finds the memory that the guest sees, checks ranges, and keeps
//! the fault that ends the call.

use std::ops::Range;

use wasmtime::Caller;

use crate::failure::{Fault, InvalidData};
use crate::host::data::{ContractData, HostData, visible_bytes};
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::guest_memory::GuestMemory;
use crate::host::memory_location::memory_and_data;

/// Marker that ends a call from inside a host function; the reason is in [`Call::fault`](crate::host::call::Call::fault).
#[derive(Debug, thiserror::Error)]
#[error("the host ended the call")]
struct EndCall;

/// Runs a host function's body over the memory that the guest sees and keeps its fault, if any, where the caller finds it.
#[inline]
pub(crate) fn crossing<X: ContractData, R>(
    caller: &mut Caller<'_, HostData<X>>,
    body: impl FnOnce(GuestMemory<'_>, &mut HostData<X>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    let end = |fault, data: &mut HostData<X>| {
        data.call.fault = Some(fault);
        wasmtime::Error::new(EndCall)
    };
    let Some((memory, data)) = memory_and_data(caller) else {
        return Err(end(Fault::InvalidGuestData(InvalidData::TooEarly), caller.data_mut()));
    };
    data.call.crossings += 1;
    if data.logical.is_none_or(|logical| logical.certain == memory.len()) {
        return body(memory, data).map_err(|fault| end(fault, data));
    }
    let physical = memory.len();
    let visible = visible_bytes(physical, &mut *caller);
    match memory_and_data(caller) {
        Some((memory, data)) => body(memory.up_to(visible), data).map_err(|fault| end(fault, data)),
        None => Err(end(Fault::InvalidGuestData(InvalidData::TooEarly), caller.data_mut())),
    }
}

/// The same crossing goes on, after the host function has waited.
#[cfg(feature = "async")]
pub(crate) fn again<X: ContractData, R>(
    caller: &mut Caller<'_, HostData<X>>,
    body: impl FnOnce(GuestMemory<'_>, &mut HostData<X>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    caller.data_mut().call.crossings -= 1;
    crossing(caller, body)
}

/// The range that a guest names by address and length, if it lies in memory of `size` bytes.
///
/// Languages give empty slices addresses at which there is no memory: Zig 0xffffffff, or 0xaaaaaaaa.
pub(crate) fn range(what: &'static str, address: u32, length: u32, size: usize) -> Result<Range<usize>, Fault> {
    let end = u64::from(address) + u64::from(length);
    if end <= size as u64 {
        Ok(address as usize..address as usize + length as usize)
    } else if length == 0 {
        Ok(0..0)
    } else {
        Err(Fault::InvalidGuestData(InvalidData::OutOfBounds { what, address, length, memory: size as u64 }))
    }
}

/// Reads the guest's arguments from its memory. The guest may have written them into the exchange region.
pub(crate) struct Passed<'m, 'f> {
    memory: &'m [u8],
    dirty_ranges: &'f mut DirtyRanges,
}

impl<'m, 'f> Passed<'m, 'f> {
    pub(crate) fn new(memory: &'m GuestMemory<'_>, dirty_ranges: &'f mut DirtyRanges) -> Self {
        Self { memory: memory.read(), dirty_ranges }
    }

    pub(crate) fn bytes(&mut self, what: &'static str, address: u32, length: u32) -> Result<&'m [u8], Fault> {
        let range = range(what, address, length, self.memory.len())?;
        self.dirty_ranges.add(&range);
        Ok(&self.memory[range])
    }

    pub(crate) fn text(&mut self, what: &'static str, address: u32, length: u32) -> Result<&'m str, Fault> {
        std::str::from_utf8(self.bytes(what, address, length)?)
            .map_err(|error| Fault::InvalidGuestData(InvalidData::NotUtf8 { what, at: error.valid_up_to() }))
    }

    /// Of a panic's text, which is reported even if it is not UTF-8, as much as is kept.
    pub(crate) fn told(
        &mut self,
        what: &'static str,
        address: u32,
        length: u32,
        limit: usize,
    ) -> Result<String, Fault> {
        let bytes = self.bytes(what, address, length)?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned())
    }
}
