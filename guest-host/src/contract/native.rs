//! Host side of the native contract: the functions that a guest imports, how an instance begins, and what a result means.

use std::hash::Hasher;
use std::ops::Range;

use guest_abi::cbor::Reader;
use guest_abi::key::Key;
use guest_abi::names;
use guest_abi::value::ValueRef;
use guest_abi::{ErrorCode, Level};
use wasmtime::{Caller, Linker, Store};

#[cfg(feature = "async")]
use super::awaiting::awaiting;
use super::begin::{Begin, BeginError};
use super::crossing::{Passed, crossing, range};
use crate::failure::{Fault, InvalidData};
use crate::host::call::{Call, HostCall};
use crate::host::data::{ContractData, HostData, visible_bytes};
use crate::host::guest_memory::GuestMemory;
use crate::host::memory_location::memory_and_data;
use crate::host::mode::Mode;

/// Bytes of the exchange region unless the embedder says otherwise.
pub(super) const EXCHANGE_SIZE: u32 = names::DEFAULT_EXCHANGE_SIZE;

/// Bytes below which the host does not halve the exchange region where nobody asked for a size: a quarter of the usual size.
const LEAST_EXCHANGE_SIZE: u32 = EXCHANGE_SIZE / 4;

/// Characters of a secret's name that an error has.
const LONGEST_NAME: usize = 100;

/// Runs what the contract wants run before the snapshot, and returns the exchange region.
pub(super) async fn begin<M: Mode, X: ContractData>(begin: &mut Begin<'_, X>) -> Result<Range<usize>, BeginError> {
    begin.initialise::<M>(names::EXPORT_INITIALIZE).await?;
    if begin.call::<M, (), i32>(names::EXPORT_INIT, ()).await?.is_some_and(|result| result != 0) {
        let fault = reported(&mut begin.store.data_mut().call);
        return Err(BeginError::Failed { function: names::EXPORT_INIT.to_owned(), fault });
    }
    let mut size = begin.exchange_size;
    loop {
        match begin.call::<M, u32, u32>(names::EXPORT_EXCHANGE, size).await? {
            // Nobody asked for the usual size, and in little memory a smaller region serves.
            Some(0) if begin.may_shrink_exchange && size > LEAST_EXCHANGE_SIZE => size /= 2,
            Some(0) if size > 0 => return Err(BeginError::NoExchange { size: begin.exchange_size }),
            Some(address) => return begin.exchange(address, size),
            None => return Ok(0..0),
        }
    }
}

/// Takes over what a function that returned has left: `packed` is its result.
#[inline(always)]
pub(super) fn collect<X: ContractData>(store: &mut Store<HostData<X>>, packed: i64) -> Result<(), Box<Fault>> {
    let call = &store.data().call;
    if packed == 0 && call.error_code.is_none() && call.intents.is_empty() {
        return Ok(());
    }
    collect_what_is_left(store, packed).map_err(Box::new)
}

fn collect_what_is_left<X: ContractData>(store: &mut Store<HostData<X>>, packed: i64) -> Result<(), Fault> {
    let physical = memory_and_data(store).map_or(0, |(memory, _)| memory.len());
    let visible = visible_bytes(physical, &mut *store);
    let Some((memory, data)) = memory_and_data(store) else {
        return Err(Fault::InvalidGuestData(InvalidData::TooEarly));
    };
    let memory = memory.up_to(visible);
    match (data.call.error_code, packed) {
        (_, names::RESULT_FAILED) => return Err(reported(&mut data.call)),
        (Some(_), _) => return Err(Fault::InvalidGuestData(InvalidData::ErrorWithoutFailure)),
        (None, _) => {}
    }
    if packed != 0 {
        let (address, length) = names::unpack(packed);
        data.append_intents(&memory, address, length)?;
    }
    if !data.call.intents.is_empty() {
        guest_abi::intent::validate(&data.call.intents)
            .map_err(|error| Fault::InvalidGuestData(InvalidData::Wire { what: "intents", error }))?;
    }
    Ok(())
}

/// The failure that the guest reported before it returned that it failed.
fn reported(call: &mut Call) -> Fault {
    match call.error_code {
        Some(code) => {
            let message = std::mem::take(&mut call.error_message);
            Fault::Guest { code: ErrorCode::from_number(code), message }
        }
        None => Fault::InvalidGuestData(InvalidData::FailureWithoutError),
    }
}

/// Defines the contract's imports.
pub(super) fn define<X: ContractData>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap(module, names::IMPORT_GET, |mut caller: Caller<'_, _>, key, key_length, out, room| {
        get(&mut caller, key, key_length, out, room)
    })?;
    linker.func_wrap(
        module,
        names::IMPORT_READ,
        |mut caller: Caller<'_, _>, key, key_length, after, after_length, out, room| {
            read(&mut caller, key, key_length, after, after_length, out, room)
        },
    )?;
    linker.func_wrap(module, names::IMPORT_INTENTS, intents)?;
    linker.func_wrap(module, names::IMPORT_LOG, log)?;
    linker.func_wrap(module, names::IMPORT_FAIL, fail)?;
    linker.func_wrap(module, names::IMPORT_PANIC, panic)?;
    linker.func_wrap(module, names::IMPORT_SECRET, secret)?;
    super::streams::define(linker)
}

/// Defines the imports that read the state anew, as functions that await it.
#[cfg(feature = "async")]
pub(super) fn define_awaiting<X: ContractData>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap_async(
        module,
        names::IMPORT_GET,
        |mut caller, (key, key_length, out, room): (u32, u32, u32, u32)| {
            Box::new(async move { awaiting(&mut caller, |caller| get(caller, key, key_length, out, room)).await })
        },
    )?;
    type Read = (u32, u32, u32, u32, u32, u32);
    linker.func_wrap_async(
        module,
        names::IMPORT_READ,
        |mut caller, (key, key_length, after, after_length, out, room): Read| {
            Box::new(async move {
                awaiting(&mut caller, |caller| read(caller, key, key_length, after, after_length, out, room)).await
            })
        },
    )?;
    super::streams::define_awaiting(linker)
}

impl<'m> Passed<'m, '_> {
    fn key(&mut self, address: u32, length: u32) -> Result<Key<'m>, Fault> {
        Key::parse(self.bytes("key", address, length)?)
            .map_err(|error| Fault::InvalidGuestData(InvalidData::Wire { what: "key", error }))
    }
}

/// A length as the `i32` that crosses; the guest reads it as `u32`.
fn length(length: usize) -> Result<i32, Fault> {
    i32::try_from(length)
        .map_err(|_| Fault::State(crate::state::StateError::new("a value or row of the state is larger than 2 GiB")))
}

#[inline]
fn get<X: ContractData>(
    caller: &mut Caller<'_, HostData<X>>,
    key_address: u32,
    key_length: u32,
    out_address: u32,
    out_capacity: u32,
) -> wasmtime::Result<i32> {
    crossing(caller, |mut memory, data| {
        let out = range("room for a value", out_address, out_capacity, memory.len())?;
        let key = Passed::new(&memory, &mut data.dirty_ranges).key(key_address, key_length)?;
        let found = data.state.get(&key).map_err(Fault::State)?;
        let result = match found {
            Some(value) => {
                if value.len() <= out.len() {
                    memory.write(out.start..out.start + value.len(), &mut data.dirty_ranges).copy_from_slice(value);
                }
                length(value.len())?
            }
            None => names::GET_ABSENT,
        };
        if data.tracing {
            let key = Passed::new(&memory, &mut data.dirty_ranges).bytes("key", key_address, key_length)?;
            data.trace(HostCall::Get, result.into(), |hasher| hasher.write(key));
        }
        Ok(result)
    })
}

#[inline]
fn read<X: ContractData>(
    caller: &mut Caller<'_, HostData<X>>,
    key_address: u32,
    key_length: u32,
    after_address: u32,
    after_length: u32,
    out_address: u32,
    out_capacity: u32,
) -> wasmtime::Result<i32> {
    crossing(caller, |mut memory, data| {
        let out = range("room for rows", out_address, out_capacity, memory.len())?;
        let mut passed = Passed::new(&memory, &mut data.dirty_ranges);
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
fn rows<X: ContractData>(
    data: &mut HostData<X>,
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
        memory.write(out.start..out.start + written, &mut data.dirty_ranges).copy_from_slice(rows);
    }
    Ok(written)
}

fn read_rows<X: ContractData>(
    data: &mut HostData<X>,
    passed: &[u8],
    key_length: usize,
    out: &mut [u8],
) -> Result<usize, Fault> {
    let wire = |what| move |error| Fault::InvalidGuestData(InvalidData::Wire { what, error });
    let (key, after) = passed.split_at(key_length);
    let key = Key::parse(key).map_err(wire("key"))?;
    let after = match after {
        [] => None,
        after => {
            Reader::new(after).key_map().map_err(wire("key of the last row"))?;
            Some(ValueRef::new(after))
        }
    };
    data.state.read(&key, after, out).map_err(Fault::State)
}

impl<X: ContractData> HostData<X> {
    /// Appends what lies at `address` to the call's intents.
    fn append_intents(&mut self, memory: &GuestMemory<'_>, address: u32, length: u32) -> Result<(), Fault> {
        let bytes = Passed::new(memory, &mut self.dirty_ranges).bytes("intents", address, length)?;
        let limit = self.limits.intent_bytes;
        if bytes.len() > limit.saturating_sub(self.call.intents.len()) {
            return Err(Fault::InvalidGuestData(InvalidData::TooManyIntents { limit }));
        }
        self.call.intents.extend_from_slice(bytes);
        Ok(())
    }
}

fn intents<X: ContractData>(mut caller: Caller<'_, HostData<X>>, address: u32, length: u32) -> wasmtime::Result<()> {
    crossing(&mut caller, |memory, data| data.append_intents(&memory, address, length))
}

fn log<X: ContractData>(
    mut caller: Caller<'_, HostData<X>>,
    level: u32,
    address: u32,
    length: u32,
) -> wasmtime::Result<()> {
    crossing(&mut caller, |memory, data| {
        let line = Passed::new(&memory, &mut data.dirty_ranges).text("log line", address, length)?;
        let level = Level::from_number(level).ok_or(Fault::InvalidGuestData(InvalidData::UnknownLogLevel { level }))?;
        data.call.push_log(level, line, data.limits.log_bytes);
        data.trace(HostCall::Log, 0, |hasher| hasher.write(line.as_bytes()));
        Ok(())
    })
}

fn fail<X: ContractData>(
    mut caller: Caller<'_, HostData<X>>,
    code: u32,
    address: u32,
    length: u32,
) -> wasmtime::Result<()> {
    crossing(&mut caller, |memory, data| {
        let message = Passed::new(&memory, &mut data.dirty_ranges).text("error message", address, length)?;
        data.call.error_code = Some(code);
        data.call.error_message.clear();
        let limit = data.limits.log_bytes;
        data.call.error_message.push_str(&message[..message.floor_char_boundary(limit)]);
        data.trace(HostCall::Fail, code.into(), |hasher| hasher.write(message.as_bytes()));
        Ok(())
    })
}

/// The trace has the name, and whether there is a value; never anything of the value.
fn secret<X: ContractData>(
    mut caller: Caller<'_, HostData<X>>,
    name_address: u32,
    name_length: u32,
    out_address: u32,
    out_capacity: u32,
) -> wasmtime::Result<i32> {
    crossing(&mut caller, |mut memory, data| {
        let out = range("room for a secret", out_address, out_capacity, memory.len())?;
        let name = Passed::new(&memory, &mut data.dirty_ranges).text("name of a secret", name_address, name_length)?;
        if data.is_starting {
            let name = crate::text::cut(name, LONGEST_NAME).into_owned();
            return Err(Fault::InvalidGuestData(InvalidData::SecretTooEarly { name }));
        }
        let is_there = data.secrets.get(name).is_some();
        data.trace(HostCall::Secret, is_there.into(), |hasher| hasher.write(name.as_bytes()));
        let Some(value) = data.secrets.get(name) else { return Ok(names::SECRET_ABSENT) };
        if value.len() <= out.len() {
            let written = memory.write(out.start..out.start + value.len(), &mut data.dirty_ranges);
            written.copy_from_slice(value.as_bytes());
        }
        length(value.len())
    })
}

fn panic<X: ContractData>(
    mut caller: Caller<'_, HostData<X>>,
    message_address: u32,
    message_length: u32,
    file_address: u32,
    file_length: u32,
    line: u32,
    column: u32,
) -> wasmtime::Result<()> {
    crossing(&mut caller, |memory, data| {
        let limit = data.limits.log_bytes;
        let mut passed = Passed::new(&memory, &mut data.dirty_ranges);
        let message = passed.told("panic message", message_address, message_length, limit)?;
        let file = passed.told("file name of a panic", file_address, file_length, limit)?;
        data.trace(HostCall::Panic, 0, |hasher| hasher.write(message.as_bytes()));
        Err(Fault::Panic { message, location: Some(format!("{file}:{line}:{column}")) })
    })
}
