//! Reading many records: the host calls the guest back for each row.

use guest_abi::exttinygo as names;
use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_abi::wire;
use std::ops::Range;
use wasmtime::{Caller, Linker};

use super::handles::HandleKind;
use super::{Crossing, ExtTinyGo, crossing, trace};
use crate::call::HostData;
use crate::failure::{Fault, InvalidData};
use crate::state::StateError;

/// Bytes of rows that the state is asked for at a time. A row that is larger is asked for alone.
const CHUNK: usize = 4096;

/// Defines the function.
pub(super) fn define(linker: &mut Linker<HostData>) -> wasmtime::Result<()> {
    linker.func_wrap(names::IMPORT_MODULE, names::IMPORT_READ_VALUES, read_values)?;
    Ok(())
}

/// Calls the guest back for each row that matches the key as it is when the read begins. What the guest does meanwhile,
/// reading again included, is its own affair: a row's handles stay valid until the call ends.
fn read_values(mut caller: Caller<'_, HostData>, key: i64) -> wasmtime::Result<()> {
    let (on_read_value, (storage, entity, fields)) = crossing(&mut caller, |crossing| {
        let own = crossing.own;
        let parts = own.handles.written(key, HandleKind::Key)?.key_parts();
        // Admission has seen to it that who imports this has it.
        let Some(on_read_value) = own.exports.on_read_value.clone() else {
            return Err(Fault::InvalidGuestData(InvalidData::TooEarly));
        };
        Ok((on_read_value, parts))
    })?;
    let wanted = Key::of_parts(&storage, &entity, &fields).map_err(wasmtime::Error::new)?;
    let mut last = Vec::new();
    let mut count = 0;
    loop {
        let mut chunk = again(&mut caller, |crossing| read_chunk(crossing, &wanted, &last))?;
        if chunk.is_empty() {
            break;
        }
        while !chunk.is_empty() {
            let (key, value) = again(&mut caller, |crossing| next_row(crossing, &mut chunk, &mut last))?;
            on_read_value.call(&mut caller, (key, value))?;
            count += 1;
        }
    }
    trace(&mut caller, names::IMPORT_READ_VALUES, &[key], &[], count);
    Ok(())
}

/// The same crossing goes on.
fn again<R>(
    caller: &mut Caller<'_, HostData>,
    body: impl FnOnce(Crossing<'_>) -> Result<R, Fault>,
) -> wasmtime::Result<R> {
    caller.data_mut().call.crossings -= 1;
    crossing(caller, body)
}

/// Reads rows behind the one whose key map is `last`, or the first, and returns where they are.
fn read_chunk(crossing: Crossing<'_>, key: &Key<'_>, last: &[u8]) -> Result<Range<usize>, Fault> {
    let Crossing { own, state, .. } = crossing;
    let ExtTinyGo { handles, held, limits, .. } = own;
    let after = (!last.is_empty()).then(|| ValueRef::new(last));
    let start = handles.bytes.len();
    let mut room = CHUNK;
    let written = loop {
        ExtTinyGo::hold(held, room, limits)?;
        handles.bytes.resize(start + room, 0);
        match state.read(key, after, &mut handles.bytes[start..]) {
            Ok(written) if written <= room => break written,
            Ok(wanted) => {
                *held -= room;
                room = wanted;
            }
            Err(error) => {
                handles.bytes.truncate(start);
                return Err(Fault::State(error));
            }
        }
    };
    *held -= room - written;
    handles.bytes.truncate(start + written);
    Ok(start..start + written)
}

/// Handles for the first row of a chunk, which is taken from it; its key becomes the last.
fn next_row(crossing: Crossing<'_>, chunk: &mut Range<usize>, last: &mut Vec<u8>) -> Result<(i64, i64), Fault> {
    let handles = &mut crossing.own.handles;
    let malformed = |error| Fault::State(StateError::new(format!("a row that it read is malformed: {error}")));
    let rows = &handles.bytes[..chunk.end];
    let middle = wire::skip(rows, chunk.start).map_err(malformed)?;
    let end = wire::skip(rows, middle).map_err(malformed)?;
    last.clear();
    last.extend_from_slice(&rows[chunk.start..middle]);
    let key = handles.part(HandleKind::RowKey, chunk.start..middle)?;
    let value = handles.part(HandleKind::Value, middle..end)?;
    chunk.start = end;
    Ok((key, value))
}
