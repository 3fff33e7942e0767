//! What a guest can pass to the host: keys, values, intents, rows' last keys, log lines, errors, panics, addresses and
//! lengths. Never a panic, every error typed, what is accepted can be read, and what is written is read back.

use alloc_core::ControlBlockImage;
use arbitrary::Unstructured;
use guest_abi::cbor::encode::Sink;
use guest_abi::cbor::{self, Reader};
use guest_abi::key::Key;
use guest_abi::value::{ArrayEncoder, Kind, ObjectEncoder, ValueRef};
use guest_abi::{ErrorCode, Level, intent, names};
use guest_host::{Cause, InstanceConfig, RestoreStrategy, Status};
use guest_state::MemoryState;
use minicbor::Decoder;

use crate::puppet;

/// Reads the input as what its first byte says.
///
/// # Errors
/// The property that is broken.
pub fn run(input: &[u8]) -> Result<String, String> {
    let Some((kind, bytes)) = input.split_first() else { return Ok("empty".to_owned()) };
    match kind % 5 {
        0 => value(bytes),
        1 => key(bytes),
        2 => intents(bytes),
        3 => numbers(bytes),
        _ => calls(bytes),
    }
}

fn value(bytes: &[u8]) -> Result<String, String> {
    let read = |value: ValueRef<'_>| look_at(value, 0);
    let Ok(valid) = Reader::new(bytes).value() else {
        // What came from the host is read without being checked.
        let _ = read(ValueRef::new(bytes));
        return Ok("no value".to_owned());
    };
    let end = valid.len();
    if cbor::skip(bytes, 0) != Ok(end) {
        return Err(format!("a value of {end} bytes is skipped as {:?}", cbor::skip(bytes, 0)));
    }
    let mut other = Decoder::new(bytes);
    match other.skip() {
        Ok(()) if other.position() == end => {}
        Ok(()) => return Err(format!("a value of {end} bytes ends at {} for another reader", other.position())),
        Err(error) => return Err(format!("a value of {end} bytes is none for another reader: {error}")),
    }
    let value = ValueRef::new(valid);
    let kind = read(value).map_err(|error| format!("a valid value cannot be read: {error}"))?;
    let written = copy(value)?;
    if Reader::new(&written).value() != Ok(&written) || cbor::skip(&written, 0) != Ok(written.len()) {
        return Err(format!("a value that was written is not valid: {written:x?}"));
    }
    if copy(ValueRef::new(&written))? != written {
        return Err("a value that was written is read as another one".to_owned());
    }
    Ok(format!("value, {}", kind.name()))
}

/// Reads all of a value, in every way that there is.
fn look_at(value: ValueRef<'_>, depth: u32) -> Result<Kind, String> {
    let _ = (value.as_i32(), value.as_i64(), value.as_f32(), value.as_f64(), value.as_bool());
    let _ = (value.as_str(), value.as_bytes(), value.as_qname(), value.exact_bytes(), value.field("a"));
    let kind = value.kind().map_err(|error| error.to_string())?;
    if depth > cbor::MAX_DEPTH {
        return Err("nested deeper than any value may be".to_owned());
    }
    match kind {
        Kind::Object => {
            for field in value.fields().map_err(|error| error.to_string())? {
                let (_, value) = field.map_err(|error| error.to_string())?;
                look_at(value, depth + 1)?;
            }
        }
        Kind::Array => {
            for item in value.items().map_err(|error| error.to_string())? {
                look_at(item.map_err(|error| error.to_string())?, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(kind)
}

/// The value as this project's writers write it.
fn copy(value: ValueRef<'_>) -> Result<Vec<u8>, String> {
    let mut written = Vec::new();
    let mut writer = ArrayEncoder::begin(&mut written);
    // A value is written into something, and would be one level too deep with it.
    push(value, &mut writer).map_err(|error| format!("a valid value cannot be read: {error}"))?;
    Ok(written.split_off(1))
}

fn push<S: Sink>(value: ValueRef<'_>, writer: &mut ArrayEncoder<'_, S>) -> Result<(), guest_abi::value::ValueError> {
    match value.kind()? {
        Kind::Object => writer.push_object(|object| put_all(value, object))?,
        Kind::Array => writer.push_array(|array| -> Result<(), guest_abi::value::ValueError> {
            for item in value.items()? {
                push(item?, array)?;
            }
            Ok(())
        })?,
        _ => drop(writer.push_value(value.exact_bytes()?)),
    }
    Ok(())
}

fn put_all<S: Sink>(
    value: ValueRef<'_>,
    writer: &mut ObjectEncoder<'_, S>,
) -> Result<(), guest_abi::value::ValueError> {
    for field in value.fields()? {
        let (name, value) = field?;
        match value.kind()? {
            Kind::Object => writer.put_object(name, |object| put_all(value, object))?,
            Kind::Array => writer.put_array(name, |array| -> Result<(), guest_abi::value::ValueError> {
                for item in value.items()? {
                    push(item?, array)?;
                }
                Ok(())
            })?,
            _ => drop(writer.put_value(name, value.exact_bytes()?)),
        }
    }
    Ok(())
}

/// A key, and behind it the value of its record.
fn key(bytes: &[u8]) -> Result<String, String> {
    let mut reader = Reader::new(bytes);
    let Ok(key) = Key::read(&mut reader) else {
        let _ = Key::parse(bytes);
        return Ok("no key".to_owned());
    };
    let (own, rest) = bytes.split_at(reader.position());
    if Key::parse(own) != Ok(key) {
        return Err("a key that is decoded is not parsed".to_owned());
    }
    if let Some(error) = key.fields().find_map(Result::err) {
        return Err(format!("a field of a valid key cannot be read: {error}"));
    }
    let mut state = MemoryState::new();
    state.declare_storage(key.storage);
    let mut room = [0; 256];
    let _ = state.read(&key, None, &mut room);
    let Ok(map) = Reader::new(rest).map() else {
        return Ok("key".to_owned());
    };
    match state.insert(&key, ValueRef::new(map)) {
        Err(_) if state.is_empty() => return Ok("key that no record can have".to_owned()),
        Err(error) => return Err(format!("a record that was refused is there: {error}")),
        Ok(()) => {}
    }
    let found = state.get(&key).map_err(|error| error.to_string())?.map(<[u8]>::to_vec);
    let Some(found) = found else { return Err("a record that was inserted is not there".to_owned()) };
    if cbor::skip(&found, 0) != Ok(found.len()) {
        return Err("a record that was inserted is damaged".to_owned());
    }
    let mut room = vec![0; 2 * bytes.len() + 64];
    let written = state.read(&key, None, &mut room).map_err(|error| error.to_string())?;
    let after = cbor::skip(&room, 0).map_err(|error| format!("a row is damaged: {error}"))?;
    if written == 0 || cbor::skip(&room, after) != Ok(written) {
        return Err(format!("{written} bytes of rows do not hold the record"));
    }
    let last = room[..after].to_vec();
    match state.read(&key, Some(ValueRef::new(&last)), &mut room) {
        Ok(0) => Ok("record".to_owned()),
        other => Err(format!("behind the only record is {other:?}")),
    }
}

fn intents(bytes: &[u8]) -> Result<String, String> {
    let mut state = MemoryState::new();
    state.declare_storage("s");
    let before = state.clone();
    let applied = state.apply(bytes);
    match (intent::validate(bytes), applied) {
        (Ok(0), Ok(0)) => Ok("no intents".to_owned()),
        (Ok(count), applied) => {
            if intent::intents(bytes).filter(Result::is_ok).count() != count {
                return Err("valid intents cannot be read".to_owned());
            }
            match applied {
                Ok(same) if same == count => Ok("intents".to_owned()),
                Ok(other) => Err(format!("{other} of {count} intents were applied")),
                Err(_) if state == before => Ok("intents that cannot be applied".to_owned()),
                Err(error) => Err(format!("intents were applied in part: {error}")),
            }
        }
        (Err(_), Err(_)) if state == before => Ok("invalid intents".to_owned()),
        (Err(error), applied) => Err(format!("invalid intents ({error}) were applied: {applied:?}")),
    }
}

fn numbers(bytes: &[u8]) -> Result<String, String> {
    let mut numbers = Unstructured::new(bytes);
    let number: u32 = numbers.arbitrary().unwrap_or(0);
    if ErrorCode::from_number(number).number() != number {
        return Err(format!("error code {number} is read as another one"));
    }
    if Level::from_number(number).is_some_and(|level| level as u32 != number) {
        return Err(format!("level {number} is read as another one"));
    }
    let other: u32 = numbers.arbitrary().unwrap_or(0);
    if names::unpack(names::pack(number, other)) != (number, other) {
        return Err("an address and a length are read as others".to_owned());
    }
    let block = ControlBlockImage::parse(bytes);
    Ok(if block.is_ok() { "control block" } else { "numbers" }.to_owned())
}

/// Lets a guest make any calls of host functions. However it ends, the instance is ready, as it was, and serves the next
/// call.
fn calls(script: &[u8]) -> Result<String, String> {
    let mut config = InstanceConfig::default();
    config.strategy = RestoreStrategy::FullCopy;
    config.deadline = None;
    config.limits.intent_bytes = 4_096;
    config.limits.log_bytes = 1_024;
    config.memory_limit = 4 << 16;
    config.exchange_size = Some(256);
    let mut instance =
        puppet::guest().instantiate(&config, puppet::state_of(script)).map_err(|error| error.to_string())?;
    let told = match instance.invoke_by_name("run") {
        Ok(outcome) => {
            if outcome.intent_bytes().len() > config.limits.intent_bytes {
                return Err("more intents than there may be".to_owned());
            }
            match outcome.intents().find_map(Result::err) {
                Some(error) => return Err(format!("an intent of a call that succeeded is not valid: {error}")),
                None => if outcome.intent_bytes().is_empty() { "success" } else { "success with intents" }.to_owned(),
            }
        }
        Err(failure) => match &failure.cause {
            Cause::Engine(_) | Cause::NotRestorable { .. } => return Err(failure.to_string()),
            Cause::InvalidGuestData(data) => {
                let text = data.to_string();
                format!("invalid guest data: {}", text.split([':', ' ']).next().unwrap_or_default())
            }
            cause => cause.kind().to_owned(),
        },
    };
    let logged: usize = instance.last_log().map(|(_, line)| line.len()).sum();
    if logged > config.limits.log_bytes {
        return Err(format!("{logged} bytes of log lines"));
    }
    if instance.status() != Status::Ready || !instance.is_pristine() {
        return Err(format!("the instance is {:?} after the call", instance.status()));
    }
    let outcome = instance.invoke_by_name("count").map_err(|error| format!("after it: {error}"))?;
    let before = outcome.log().next().map_or(0, |(_, line)| line.len());
    if before != 0 || outcome.log().count() != 1 || !outcome.intent_bytes().is_empty() {
        return Err("the call before is seen".to_owned());
    }
    Ok(format!("call: {told}"))
}
