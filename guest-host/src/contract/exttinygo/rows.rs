//! Reading many records: the host calls the guest back for each row.

use guest_abi::cbor::skip;
use guest_abi::exttinygo as names;
use guest_abi::value::ValueRef;
use std::ops::Range;
use wasmtime::{Caller, Linker, TypedFunc};

use super::crossing::{Crossing, ExtTinyGoView, crossing, trace};
use super::handles::HandleKind;
use super::own::ExtTinyGo;
#[cfg(feature = "async")]
use crate::contract::awaiting::awaiting;
use crate::failure::{Fault, InvalidData};
use crate::host::data::HostData;
use crate::state::StateError;

/// Bytes of rows that the state is asked for at a time. A row that is larger is asked for alone.
const CHUNK: usize = 4096;

/// Defines the function.
pub(super) fn define<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    linker.func_wrap(names::IMPORT_MODULE, names::IMPORT_READ_VALUES, read_values)?;
    Ok(())
}

/// Calls the guest back for each row that matches the key as it is when the read begins. What the guest does meanwhile,
/// reading again included, is its own affair: a row's handles stay valid until the call ends.
fn read_values<X: ExtTinyGoView>(mut caller: Caller<'_, HostData<X>>, key: i64) -> wasmtime::Result<()> {
    let on_read_value = begin(&mut caller, key)?;
    let mut last = 0..0;
    let mut count = 0;
    loop {
        let mut chunk = again(&mut caller, |crossing| read_chunk(crossing, &last))?;
        if chunk.is_empty() {
            break;
        }
        while !chunk.is_empty() {
            let (key, value) = again(&mut caller, |crossing| next_row(crossing, &mut chunk, &mut last))?;
            on_read_value.call(&mut caller, (key, value))?;
            count += 1;
        }
    }
    end(&mut caller, key, count)
}

/// Defines the function so that it awaits the state, and the guest that it calls back.
#[cfg(feature = "async")]
pub(super) fn define_awaiting<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(names::IMPORT_MODULE, names::IMPORT_READ_VALUES, |mut caller, (key,): (i64,)| {
        Box::new(async move {
            let on_read_value = begin(&mut caller, key)?;
            let mut last = 0..0;
            let mut count = 0;
            loop {
                let read = |caller: &mut Caller<'_, _>| again(caller, |crossing| read_chunk(crossing, &last));
                let mut chunk = awaiting(&mut caller, read).await?;
                if chunk.is_empty() {
                    return end(&mut caller, key, count);
                }
                while !chunk.is_empty() {
                    let row = again(&mut caller, |crossing| next_row(crossing, &mut chunk, &mut last))?;
                    on_read_value.call_async(&mut caller, row).await?;
                    count += 1;
                }
            }
        })
    })?;
    Ok(())
}

/// A read begins: returns the function that takes its rows.
fn begin<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    key: i64,
) -> wasmtime::Result<TypedFunc<(i64, i64), ()>> {
    crossing(caller, |crossing| {
        let own = crossing.own;
        // Reads inside reads have a copy of their key each, until they end.
        let copied = own.handles.begin_read(key)?;
        ExtTinyGo::hold(&mut own.held, copied, &own.limits)?;
        // Admission rejects a guest that imports this function without exporting that one.
        own.exports.on_read_value.clone().ok_or(Fault::InvalidGuestData(InvalidData::TooEarly))
    })
}

/// Ends the innermost read; `count` is the number of its rows.
fn end<X: ExtTinyGoView>(caller: &mut Caller<'_, HostData<X>>, key: i64, count: i64) -> wasmtime::Result<()> {
    again(caller, |crossing| {
        crossing.own.held -= crossing.own.handles.end_read();
        Ok(())
    })?;
    trace(caller, names::IMPORT_READ_VALUES, &[key], &[], count);
    Ok(())
}

/// The same crossing goes on.
fn again<X: ExtTinyGoView, R>(
    caller: &mut Caller<'_, HostData<X>>,
    body: impl FnOnce(Crossing<'_>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    caller.data_mut().call.crossings -= 1;
    crossing(caller, body)
}

/// Reads rows of the innermost read behind the one whose key map is at `last`, or the first, and returns where they are.
fn read_chunk(crossing: Crossing<'_>, last: &Range<usize>) -> Result<Range<usize>, Fault> {
    let Crossing { own, state, .. } = crossing;
    let ExtTinyGo { handles, held, limits, .. } = own;
    let Some((key, bytes)) = handles.read_key_and_bytes() else {
        return Err(Fault::InvalidGuestData(InvalidData::TooEarly));
    };
    let start = bytes.len();
    let held_before = *held;
    let mut room = CHUNK;
    let read = key.with_key(|key| {
        loop {
            ExtTinyGo::hold(held, room, limits)?;
            bytes.resize(start + room, 0);
            let (before, rows) = bytes.split_at_mut(start);
            let after = (!last.is_empty()).then(|| ValueRef::new(&before[last.clone()]));
            let written = state.read(key, after, rows).map_err(Fault::State)?;
            *held -= room.saturating_sub(written);
            if written <= room {
                return Ok(written);
            }
            *held -= room;
            room = written;
        }
    });
    let written = match read {
        Ok(Ok(written)) => written,
        Ok(Err(fault)) | Err(fault) => {
            // As if it had not begun: it begins again where the state's answer is awaited.
            bytes.truncate(start);
            *held = held_before;
            return Err(fault);
        }
    };
    bytes.truncate(start + written);
    Ok(start..start + written)
}

/// Handles for the first row of a chunk, which is taken from it; its key becomes the last.
fn next_row(crossing: Crossing<'_>, chunk: &mut Range<usize>, last: &mut Range<usize>) -> Result<(i64, i64), Fault> {
    let handles = &mut crossing.own.handles;
    let malformed = |error| Fault::State(StateError::new(format!("a row that it read is malformed: {error}")));
    let rows = &handles.bytes[..chunk.end];
    let middle = skip(rows, chunk.start).map_err(malformed)?;
    let end = skip(rows, middle).map_err(malformed)?;
    let key = handles.part(HandleKind::RowKey, chunk.start..middle)?;
    let value = handles.part(HandleKind::Value, middle..end)?;
    *last = chunk.start..middle;
    chunk.start = end;
    Ok((key, value))
}
