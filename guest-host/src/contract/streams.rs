//! The host functions with which a guest reads and writes the stream of a call.

use guest_abi::names;
use wasmtime::{Caller, Linker};

use super::crossing::crossing;
use crate::failure::{Fault, InvalidData};
use crate::host::data::{ContractData, HostData};

/// Defines them where calls block: there is no stream.
pub(super) fn define<X: ContractData>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap(module, names::IMPORT_STREAM_READ, |mut caller: Caller<'_, _>, _: u32, _: u32| {
        none::<X, i32>(&mut caller)
    })?;
    linker.func_wrap(module, names::IMPORT_STREAM_WRITE, |mut caller: Caller<'_, _>, _: u32, _: u32| {
        none::<X, ()>(&mut caller)
    })?;
    Ok(())
}

fn none<X: ContractData, R>(caller: &mut Caller<'_, HostData<X>>) -> wasmtime::Result<R> {
    crossing(caller, |_, _| Err(Fault::InvalidGuestData(InvalidData::NoStream)))
}

#[cfg(feature = "async")]
pub(super) use awaiting::define_awaiting;

#[cfg(feature = "async")]
mod awaiting {
    use std::hash::Hasher as _;

    use super::*;
    use crate::contract::crossing::{Passed, again, range};
    use crate::host::call::HostCall;
    use crate::stream::{GuestStream, MOST_AT_ONCE, StreamError};

    /// Defines them as functions that await the stream.
    pub(in crate::contract) fn define_awaiting<X: ContractData>(
        linker: &mut Linker<HostData<X>>,
    ) -> wasmtime::Result<()> {
        let module = names::IMPORT_MODULE;
        linker.func_wrap_async(module, names::IMPORT_STREAM_READ, |mut caller, (out, room): (u32, u32)| {
            Box::new(async move { read(&mut caller, out, room).await })
        })?;
        linker.func_wrap_async(module, names::IMPORT_STREAM_WRITE, |mut caller, (address, length): (u32, u32)| {
            Box::new(async move { write(&mut caller, address, length).await })
        })?;
        Ok(())
    }

    async fn read<X: ContractData>(caller: &mut Caller<'_, HostData<X>>, out: u32, room: u32) -> wasmtime::Result<i32> {
        let most = room.min(MOST_AT_ONCE as u32);
        crossing(caller, |memory, data| {
            // Before it waits, so that nothing that was read is lost.
            range("room for a piece of the stream", out, most, memory.len())?;
            stream(data).map(drop)
        })?;
        if most == 0 {
            return Ok(0);
        }
        let found = match stream(caller.data_mut()) {
            Ok(stream) => stream.read(most as usize).await.map_err(Fault::Stream),
            Err(fault) => Err(fault),
        };
        caller.data_mut().go_on();
        again(caller, |mut memory, data| {
            let found = found?;
            if found.len() > most as usize {
                return Err(Fault::Stream(StreamError::new("the host read more of the stream than there is room for")));
            }
            let start = range("room for a piece of the stream", out, most, memory.len())?.start;
            memory.write(start..start + found.len(), &mut data.dirty_ranges).copy_from_slice(&found);
            // At most as many as a piece has.
            let length = i32::try_from(found.len()).unwrap_or(i32::MAX);
            data.trace(HostCall::StreamRead, length.into(), |hasher| hasher.write(&found));
            Ok(length)
        })
    }

    async fn write<X: ContractData>(
        caller: &mut Caller<'_, HostData<X>>,
        address: u32,
        length: u32,
    ) -> wasmtime::Result<()> {
        crossing(caller, |memory, data| {
            let bytes = Passed::new(&memory, &mut data.dirty_ranges).bytes("piece of a stream", address, length)?;
            data.trace(HostCall::StreamWrite, 0, |hasher| hasher.write(bytes));
            stream(data).map(drop)
        })?;
        let (mut address, mut left) = (address, length);
        while left > 0 {
            let piece = left.min(MOST_AT_ONCE as u32);
            let bytes = again(caller, |memory, data| {
                Ok(Passed::new(&memory, &mut data.dirty_ranges).bytes("piece of a stream", address, piece)?.to_vec())
            })?;
            let written = match stream(caller.data_mut()) {
                Ok(stream) => stream.write(bytes).await.map_err(Fault::Stream),
                Err(fault) => Err(fault),
            };
            caller.data_mut().go_on();
            again(caller, |_, _| written)?;
            left -= piece;
            // The last piece may end where addresses do.
            address = address.wrapping_add(piece);
        }
        Ok(())
    }

    fn stream<X>(data: &mut HostData<X>) -> Result<&mut (dyn GuestStream + 'static), Fault> {
        data.stream.as_deref_mut().ok_or(Fault::InvalidGuestData(InvalidData::NoStream))
    }
}
