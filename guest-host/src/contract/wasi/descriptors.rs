//! The descriptors 0 to 2: an input that has ended, and two outputs into one captured text.

use std::ops::Range;

use wasmtime::{Caller, Linker};

use super::call::{Digest, MODULE, MOST_BYTES, MOST_ITEMS, WasiError, WasiView, call};
use super::errno::Errno;
use crate::contract::crossing::{Passed, range};
use crate::host::data::HostData;
use crate::host::guest_memory::GuestMemory;

/// The type of file that all three are. Libraries write the lines of such at once instead of holding them back.
const CHARACTER_DEVICE: u8 = 2;

/// The rights of a descriptor, as bits of a word.
mod rights {
    pub(super) const READ: u64 = 1 << 1;
    pub(super) const SET_FLAGS: u64 = 1 << 3;
    pub(super) const WRITE: u64 = 1 << 6;
    pub(super) const FILESTAT_GET: u64 = 1 << 21;
    pub(super) const POLL: u64 = 1 << 27;
}

/// All flags that a descriptor can have.
const FLAGS: u32 = 0b1_1111;

pub(super) const INPUT: u32 = 0;

pub(super) fn define<X: WasiView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "fd_close", close)?;
    linker.func_wrap(MODULE, "fd_fdstat_get", status)?;
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", set_flags)?;
    linker.func_wrap(MODULE, "fd_filestat_get", file_status)?;
    linker.func_wrap(MODULE, "fd_read", read)?;
    linker.func_wrap(MODULE, "fd_write", write)?;
    Ok(())
}

fn close<X: WasiView>(caller: Caller<'_, HostData<X>>, descriptor: u32) -> wasmtime::Result<i32> {
    call(caller, "fd_close", |_, data, _| Ok(data.contract.wasi().change(descriptor, None)?))
}

fn set_flags<X: WasiView>(caller: Caller<'_, HostData<X>>, descriptor: u32, flags: u32) -> wasmtime::Result<i32> {
    call(caller, "fd_fdstat_set_flags", |_, data, _| {
        data.contract.wasi().open(descriptor)?;
        match u16::try_from(flags) {
            Ok(flags) if u32::from(flags) & !FLAGS == 0 => Ok(data.contract.wasi().change(descriptor, Some(flags))?),
            _ => Err(Errno::INVAL.into()),
        }
    })
}

fn status<X: WasiView>(caller: Caller<'_, HostData<X>>, descriptor: u32, out: u32) -> wasmtime::Result<i32> {
    call(caller, "fd_fdstat_get", |memory, data, digest| {
        let flags = data.contract.wasi().open(descriptor)?;
        let may = if descriptor == INPUT { rights::READ } else { rights::WRITE };
        let may = may | rights::SET_FLAGS | rights::FILESTAT_GET | rights::POLL;
        let mut status = [0; 24];
        status[0] = CHARACTER_DEVICE;
        status[2..4].copy_from_slice(&flags.to_le_bytes());
        status[8..16].copy_from_slice(&may.to_le_bytes());
        put("room for a descriptor's status", out, &status, memory, data, digest)
    })
}

fn file_status<X: WasiView>(caller: Caller<'_, HostData<X>>, descriptor: u32, out: u32) -> wasmtime::Result<i32> {
    call(caller, "fd_filestat_get", |memory, data, digest| {
        data.contract.wasi().open(descriptor)?;
        let mut status = [0; 64];
        // Each is another file.
        status[8..12].copy_from_slice(&descriptor.to_le_bytes());
        status[16] = CHARACTER_DEVICE;
        status[24] = 1;
        put("room for a file's status", out, &status, memory, data, digest)
    })
}

fn read<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    descriptor: u32,
    ranges: u32,
    count: u32,
    read: u32,
) -> wasmtime::Result<i32> {
    call(caller, "fd_read", |memory, data, digest| {
        if data.contract.wasi().open(descriptor).is_err() || descriptor != INPUT {
            return Err(Errno::BADF.into());
        }
        for each in named_ranges(ranges, count, memory, data)? {
            let (address, length) = named_range(each, memory);
            range("room for input", address, length, memory.len())?;
        }
        // It has ended.
        put("room for a count of bytes", read, &0_u32.to_le_bytes(), memory, data, digest)
    })
}

fn write<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    descriptor: u32,
    ranges: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<i32> {
    call(caller, "fd_write", |memory, data, digest| {
        if data.contract.wasi().open(descriptor).is_err() || descriptor == INPUT {
            return Err(Errno::BADF.into());
        }
        // Bytes beyond what is taken at once are for the next call, as everywhere.
        let mut room = MOST_BYTES;
        for each in named_ranges(ranges, count, memory, data)? {
            let (address, length) = named_range(each, memory);
            let bytes = Passed::new(memory, &mut data.dirty_ranges).bytes("output", address, length)?;
            let bytes = &bytes[..bytes.len().min(room)];
            room -= bytes.len();
            digest.add(bytes);
            data.call.output.push(bytes, data.limits.output_bytes);
        }
        let total = u32::try_from(MOST_BYTES - room).unwrap_or(u32::MAX);
        put("room for a count of bytes", written, &total.to_le_bytes(), memory, data, digest)
    })
}

/// Where the ranges stand that a guest names in a row, each by address and length.
fn named_ranges<X: WasiView>(
    address: u32,
    count: u32,
    memory: &GuestMemory<'_>,
    data: &mut HostData<X>,
) -> Result<impl Iterator<Item = usize> + use<X>, WasiError> {
    if count > MOST_ITEMS {
        return Err(Errno::INVAL.into());
    }
    let all = range("list of ranges", address, count * 8, memory.len())?;
    data.dirty_ranges.add(&all);
    Ok(all.step_by(8))
}

fn named_range(at: usize, memory: &GuestMemory<'_>) -> (u32, u32) {
    (word(at, memory), word(at + 4, memory))
}

/// The word at a place that lies in memory.
pub(super) fn word(at: usize, memory: &GuestMemory<'_>) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&memory.read()[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Writes a result to where the guest wants it.
pub(super) fn put<X: WasiView>(
    what: &'static str,
    address: u32,
    bytes: &[u8],
    memory: &mut GuestMemory<'_>,
    data: &mut HostData<X>,
    digest: &mut Digest,
) -> Result<(), WasiError> {
    let length = u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)?;
    let out: Range<usize> = range(what, address, length, memory.len())?;
    digest.add(bytes);
    memory.write(out, &mut data.dirty_ranges).copy_from_slice(bytes);
    Ok(())
}
