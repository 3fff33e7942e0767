//! The functions that a guest imports.

use std::hash::Hasher as _;

use guest_abi::block;
use guest_blocks::{Area, Refused, Violation};
use wasmtime::{Caller, Linker};

use super::{BlocksView, Own};
use crate::contract::crossing::{crossing, range};
use crate::failure::{Fault, InvalidData};
use crate::host::call::HostCall;
use crate::host::data::HostData;

/// Defines them.
pub(in crate::contract) fn define<X: BlocksView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = block::IMPORT_MODULE;
    linker.func_wrap(module, block::CREATE, |mut caller: Caller<'_, _>, size: u32| {
        number(&mut caller, block::CREATE, &[size], |own| own.table.create(size))
    })?;
    linker.func_wrap(module, block::MINIMUM_SIZE, |mut caller: Caller<'_, _>, id: u32| {
        number(&mut caller, block::MINIMUM_SIZE, &[id], |own| own.table.minimum_size(id))
    })?;
    linker.func_wrap(module, block::OPTIMUM_SIZE, |mut caller: Caller<'_, _>, count: u32, size: u32| {
        number(&mut caller, block::OPTIMUM_SIZE, &[count, size], |own| Ok(own.table.optimum_size(count, size)))
    })?;
    linker.func_wrap(module, block::ADD_STORAGE, add_storage)?;
    linker.func_wrap(module, block::ATTACH, attach)?;
    linker.func_wrap(module, block::DETACH, |mut caller: Caller<'_, _>, id: u32, bytes: u32| {
        nothing(&mut caller, block::DETACH, &[id, bytes], |own| own.table.detach(&mut own.memory, id, bytes))
    })?;
    linker.func_wrap(module, block::CLONE, |mut caller: Caller<'_, _>, id: u32| {
        number(&mut caller, block::CLONE, &[id], |own| own.table.duplicate(id))
    })?;
    linker.func_wrap(module, block::CREATE_LOCAL, |mut caller: Caller<'_, _>, address: u32, size: u32| {
        let create = |own: &mut Own<'_, '_>| own.table.create_local(&own.memory, address, size, own.taken);
        number(&mut caller, block::CREATE_LOCAL, &[address, size], create)
    })?;
    linker.func_wrap(
        module,
        block::CREATE_PARTITION,
        |mut caller: Caller<'_, _>, id: u32, start: u32, size: u32, flags: u32| {
            number(&mut caller, block::CREATE_PARTITION, &[id, start, size, flags], |own| {
                own.table.create_partition(&mut own.memory, id, start, size, flags)
            })
        },
    )?;
    linker.func_wrap(module, block::DROP, |mut caller: Caller<'_, _>, id: u32| {
        nothing(&mut caller, block::DROP, &[id], |own| own.table.drop_block(id))
    })?;
    Ok(())
}

/// Offers storage. The result is a tag, and behind it the error.
fn add_storage<X: BlocksView>(
    mut caller: Caller<'_, HostData<X>>,
    address: u32,
    size: u32,
    out: u32,
) -> wasmtime::Result<()> {
    let offered = |own: &mut Own<'_, '_>| own.table.add_storage(&own.memory, address, size, own.taken);
    let result = |offered| match offered {
        Ok(()) => [0, 0],
        Err(refused) => [1, Refused::code(refused)],
    };
    with_result(&mut caller, block::ADD_STORAGE, &[address, size], out, offered, result)
}

/// Attaches a block. The result is a tag, and at 4 the error, or the address and at 8 the bytes.
fn attach<X: BlocksView>(mut caller: Caller<'_, HostData<X>>, id: u32, flags: u32, out: u32) -> wasmtime::Result<()> {
    let attached = |own: &mut Own<'_, '_>| own.table.attach(&mut own.memory, id, flags);
    let result = |attached| {
        let mut result = [0; block::ATTACH_RESULT];
        match attached {
            Ok(Area { address, bytes }) => {
                result[4..8].copy_from_slice(&address.to_le_bytes());
                result[8..].copy_from_slice(&bytes.to_le_bytes());
            }
            Err(refused) => (result[0], result[4]) = (1, Refused::code(refused)),
        }
        result
    };
    with_result(&mut caller, block::ATTACH, &[id, flags], out, attached, result)
}

/// Runs a function, and writes its result to the guest's memory.
fn with_result<X: BlocksView, T, const N: usize>(
    caller: &mut Caller<'_, HostData<X>>,
    name: &'static str,
    numbers: &[u32],
    out: u32,
    body: impl FnOnce(&mut Own<'_, '_>) -> Result<Result<T, Refused>, Violation>,
    result: impl FnOnce(Result<T, Refused>) -> [u8; N],
) -> wasmtime::Result<()> {
    // An array of bytes has fewer than 4 GiB.
    let length = u32::try_from(N).unwrap_or(u32::MAX);
    run(caller, name, numbers, |own| {
        // Before anything is done that the guest would not hear of.
        let out = range("result of a function of memory blocks", out, length, own.memory.memory.len())?;
        let result = result(body(own).map_err(Fault::Block)?);
        own.memory.memory.write(out, own.memory.dirty_ranges).copy_from_slice(&result);
        Ok(((), result.iter().fold(0, |all, byte| all << 8 | i64::from(*byte))))
    })
}

/// Runs a function that returns a number.
fn number<X: BlocksView>(
    caller: &mut Caller<'_, HostData<X>>,
    name: &'static str,
    numbers: &[u32],
    body: impl FnOnce(&mut Own<'_, '_>) -> Result<u32, Violation>,
) -> wasmtime::Result<u32> {
    run(caller, name, numbers, |own| body(own).map(|number| (number, number.into())).map_err(Fault::Block))
}

/// Runs a function that returns nothing.
fn nothing<X: BlocksView>(
    caller: &mut Caller<'_, HostData<X>>,
    name: &'static str,
    numbers: &[u32],
    body: impl FnOnce(&mut Own<'_, '_>) -> Result<(), Violation>,
) -> wasmtime::Result<()> {
    run(caller, name, numbers, |own| body(own).map(|()| ((), 0)).map_err(Fault::Block))
}

/// Runs a function, and traces it with its numbers and the number of its result.
fn run<X: BlocksView, R>(
    caller: &mut Caller<'_, HostData<X>>,
    name: &'static str,
    numbers: &[u32],
    body: impl FnOnce(&mut Own<'_, '_>) -> Result<(R, i64), Fault>,
) -> wasmtime::Result<R> {
    crossing(caller, |mut memory, data| {
        let HostData { contract, dirty_ranges, .. } = &mut *data;
        let Some(blocks) = contract.blocks() else {
            return Err(Fault::InvalidGuestData(InvalidData::TooEarly));
        };
        let (result, number) = body(&mut blocks.with(&mut memory, dirty_ranges))?;
        data.trace(HostCall::Block(name), number, |hasher| numbers.iter().for_each(|number| hasher.write_u32(*number)));
        Ok(result)
    })
}
