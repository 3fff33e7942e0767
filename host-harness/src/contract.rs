//! Host side of the native contract: the six functions that a guest imports.
//!
//! Nothing that a guest passes is trusted: each range is checked against the memory and each byte against the value
//! model, and what is wrong ends the call with [`Cause::InvalidGuestData`](crate::Cause::InvalidGuestData).

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use guest_abi::Level;
use guest_abi::key::Key;
use guest_abi::names;
use guest_abi::value::ValueRef;
use wasmtime::{Caller, Linker};

use crate::call::{HostCall, HostData, TraceEntry, visible_bytes};
use crate::failure::{Fault, InvalidData};
use crate::footprint::Footprint;
use crate::guest_memory::GuestMemory;
use crate::window::memory_and_data;

/// Defines the contract's imports.
pub(crate) fn define(linker: &mut Linker<HostData>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap(module, names::IMPORT_GET, get)?;
    linker.func_wrap(module, names::IMPORT_READ, read)?;
    linker.func_wrap(module, names::IMPORT_INTENTS, intents)?;
    linker.func_wrap(module, names::IMPORT_LOG, log)?;
    linker.func_wrap(module, names::IMPORT_FAIL, fail)?;
    linker.func_wrap(module, names::IMPORT_PANIC, panic)?;
    Ok(())
}

/// Marker that ends a call from inside a host function; the reason is in [`crate::call::Call::fault`].
#[derive(Debug, thiserror::Error)]
#[error("the host ended the call")]
struct EndCall;

/// Runs a host function's body over the memory that the guest sees and keeps its fault, if any, where the caller finds it.
fn crossing<R>(
    mut caller: Caller<'_, HostData>,
    body: impl FnOnce(GuestMemory<'_>, &mut HostData) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    let end = |fault, data: &mut HostData| {
        data.call.fault = Some(fault);
        wasmtime::Error::new(EndCall)
    };
    let Some((memory, data)) = memory_and_data(&mut caller) else {
        return Err(end(Fault::InvalidGuestData(InvalidData::TooEarly), caller.data_mut()));
    };
    data.call.crossings += 1;
    if data.logical.is_none_or(|logical| logical.certain == memory.len()) {
        return body(memory, data).map_err(|fault| end(fault, data));
    }
    let physical = memory.len();
    let visible = visible_bytes(physical, &mut caller);
    match memory_and_data(&mut caller) {
        Some((memory, data)) => body(memory.up_to(visible), data).map_err(|fault| end(fault, data)),
        None => Err(end(Fault::InvalidGuestData(InvalidData::TooEarly), caller.data_mut())),
    }
}

/// The range that a guest names by address and length, if it lies in memory of `size` bytes.
fn range(what: &'static str, address: u32, length: u32, size: usize) -> Result<Range<usize>, Fault> {
    let end = u64::from(address) + u64::from(length);
    if end <= size as u64 {
        Ok(address as usize..address as usize + length as usize)
    } else {
        Err(Fault::InvalidGuestData(InvalidData::OutOfMemory { what, address, length, memory: size as u64 }))
    }
}

/// What a guest passes. It may have written it into the exchange region.
struct Passed<'m, 'f> {
    memory: &'m [u8],
    footprint: &'f mut Footprint,
}

impl<'m, 'f> Passed<'m, 'f> {
    fn new(memory: &'m GuestMemory<'_>, footprint: &'f mut Footprint) -> Self {
        Self { memory: memory.read(), footprint }
    }

    fn bytes(&mut self, what: &'static str, address: u32, length: u32) -> Result<&'m [u8], Fault> {
        let range = range(what, address, length, self.memory.len())?;
        self.footprint.add(&range);
        Ok(&self.memory[range])
    }

    fn text(&mut self, what: &'static str, address: u32, length: u32) -> Result<&'m str, Fault> {
        std::str::from_utf8(self.bytes(what, address, length)?)
            .map_err(|error| Fault::InvalidGuestData(InvalidData::NotUtf8 { what, at: error.valid_up_to() }))
    }

    fn key(&mut self, address: u32, length: u32) -> Result<Key<'m>, Fault> {
        Key::parse(self.bytes("key", address, length)?)
            .map_err(|error| Fault::InvalidGuestData(InvalidData::Wire { what: "key", error }))
    }
}

/// A length as the `i32` that crosses; the guest reads it as `u32`.
fn length(length: usize) -> Result<i32, Fault> {
    i32::try_from(length)
        .map_err(|_| Fault::State(crate::StateError::new("a value or row of the state is larger than 2 GiB")))
}

impl HostData {
    fn trace(&mut self, call: HostCall, result: i64, digest: impl FnOnce(&mut DefaultHasher)) {
        if self.tracing {
            let mut hasher = DefaultHasher::new();
            digest(&mut hasher);
            self.call.trace.push(TraceEntry { call, result, digest: hasher.finish() });
        }
    }
}

fn get(
    caller: Caller<'_, HostData>,
    key_address: u32,
    key_length: u32,
    out_address: u32,
    out_capacity: u32,
) -> wasmtime::Result<i32> {
    crossing(caller, |mut memory, data| {
        let out = range("room for a value", out_address, out_capacity, memory.len())?;
        let key = Passed::new(&memory, &mut data.footprint).key(key_address, key_length)?;
        let found = data.state.get(&key).map_err(Fault::State)?;
        let result = match found {
            Some(value) => {
                if value.len() <= out.len() {
                    memory.write(out.start..out.start + value.len(), &mut data.footprint).copy_from_slice(value);
                }
                length(value.len())?
            }
            None => names::GET_ABSENT,
        };
        if data.tracing {
            let key = Passed::new(&memory, &mut data.footprint).bytes("key", key_address, key_length)?;
            data.trace(HostCall::Get, result.into(), |hasher| hasher.write(key));
        }
        Ok(result)
    })
}

fn read(
    caller: Caller<'_, HostData>,
    key_address: u32,
    key_length: u32,
    after_address: u32,
    after_length: u32,
    out_address: u32,
    out_capacity: u32,
) -> wasmtime::Result<i32> {
    crossing(caller, |mut memory, data| {
        let out = range("room for rows", out_address, out_capacity, memory.len())?;
        let mut passed = Passed::new(&memory, &mut data.footprint);
        let key = passed.bytes("key", key_address, key_length)?;
        let after = passed.bytes("key of the last row", after_address, after_length)?;
        // What the guest passed, and behind it the rows.
        let mut scratch = std::mem::take(&mut data.scratch);
        scratch.clear();
        scratch.extend_from_slice(key);
        scratch.extend_from_slice(after);
        let passed = scratch.len();
        let written = rows(data, &mut scratch, key_length as usize, &mut memory, out);
        scratch.truncate(passed);
        data.scratch = scratch;
        let result = length(written?)?;
        if data.tracing {
            let passed = data.scratch.clone();
            data.trace(HostCall::Read, result.into(), |hasher| hasher.write(&passed));
        }
        Ok(result)
    })
}

/// Has the rows written behind what the guest passed, and puts those that there are into the guest's memory.
///
/// Written in place they would take longer, not less: a state writes a row in many small parts. And a restore that
/// follows the marks would have to copy back all of the room for rows, as a state could have written anywhere in it.
fn rows(
    data: &mut HostData,
    scratch: &mut Vec<u8>,
    key_length: usize,
    memory: &mut GuestMemory<'_>,
    out: Range<usize>,
) -> Result<usize, Fault> {
    let passed = scratch.len();
    scratch.resize(passed + out.len(), 0);
    let (passed, rows) = scratch.split_at_mut(passed);
    let written = read_rows(data, passed, key_length, rows)?;
    // More than there is room for means that not even one row fits, and nothing was written.
    if let Some(rows) = rows.get(..written) {
        memory.write(out.start..out.start + written, &mut data.footprint).copy_from_slice(rows);
    }
    Ok(written)
}

fn read_rows(data: &mut HostData, passed: &[u8], key_length: usize, out: &mut [u8]) -> Result<usize, Fault> {
    let wire = |what| move |error| Fault::InvalidGuestData(InvalidData::Wire { what, error });
    let (key, after) = passed.split_at(key_length);
    let key = Key::parse(key).map_err(wire("key"))?;
    let after = match after {
        [] => None,
        after => {
            let mut decoder = minicbor::Decoder::new(after);
            guest_abi::wire::validate_key_map(&mut decoder).map_err(wire("key of the last row"))?;
            Some(ValueRef::new(after))
        }
    };
    data.state.read(&key, after, out).map_err(Fault::State)
}

fn intents(caller: Caller<'_, HostData>, address: u32, length: u32) -> wasmtime::Result<()> {
    crossing(caller, |memory, data| data.append_intents(&memory, address, length))
}

impl HostData {
    /// Appends what lies at `address` to the call's intents.
    pub(crate) fn append_intents(&mut self, memory: &GuestMemory<'_>, address: u32, length: u32) -> Result<(), Fault> {
        let bytes = Passed::new(memory, &mut self.footprint).bytes("intents", address, length)?;
        let limit = self.limits.intent_bytes;
        if bytes.len() > limit.saturating_sub(self.call.intents.len()) {
            return Err(Fault::InvalidGuestData(InvalidData::TooManyIntents { limit }));
        }
        self.call.intents.extend_from_slice(bytes);
        Ok(())
    }
}

fn log(caller: Caller<'_, HostData>, level: u32, address: u32, length: u32) -> wasmtime::Result<()> {
    crossing(caller, |memory, data| {
        let line = Passed::new(&memory, &mut data.footprint).text("log line", address, length)?;
        let level = Level::from_number(level).ok_or(Fault::InvalidGuestData(InvalidData::UnknownLogLevel { level }))?;
        data.call.push_log(level, line, data.limits.log_bytes);
        data.trace(HostCall::Log, 0, |hasher| hasher.write(line.as_bytes()));
        Ok(())
    })
}

fn fail(caller: Caller<'_, HostData>, code: u32, address: u32, length: u32) -> wasmtime::Result<()> {
    crossing(caller, |memory, data| {
        let message = Passed::new(&memory, &mut data.footprint).text("error message", address, length)?;
        data.call.error_code = Some(code);
        data.call.error_message.clear();
        let limit = data.limits.log_bytes;
        data.call.error_message.push_str(&message[..message.floor_char_boundary(limit)]);
        data.trace(HostCall::Fail, code.into(), |hasher| hasher.write(message.as_bytes()));
        Ok(())
    })
}

fn panic(
    caller: Caller<'_, HostData>,
    message_address: u32,
    message_length: u32,
    file_address: u32,
    file_length: u32,
    line: u32,
    column: u32,
) -> wasmtime::Result<()> {
    crossing(caller, |memory, data| {
        let limit = data.limits.log_bytes;
        let mut passed = Passed::new(&memory, &mut data.footprint);
        let mut text = |what, address, length| {
            // A panic is reported even if its text is not UTF-8.
            let bytes = passed.bytes(what, address, length)?;
            Ok::<_, Fault>(String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned())
        };
        let message = text("panic message", message_address, message_length)?;
        let file = text("file name of a panic", file_address, file_length)?;
        data.trace(HostCall::Panic, 0, |hasher| hasher.write(message.as_bytes()));
        Err(Fault::Panic { message, file, line, column })
    })
}
