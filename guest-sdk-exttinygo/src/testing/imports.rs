//! The imports of the contract, answered by the thread's own host: the same functions as in `imports.rs`.
#![expect(unsafe_code, reason = "the other end of foreign functions: they are handed addresses")]

use core::slice;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use guest_abi::cbor::encode;
use guest_abi::cbor::scan;
use guest_abi::exttinygo::ABSENT;
use guest_abi::key::Key;
use guest_abi::value::{ValueError, ValueRef};
use guest_sdk_core::Kind;
use guest_sdk_core::error::{of_element, of_field};
use guest_sdk_core::testing::{self, Failure, Operation, in_host};
use guest_sdk_core::value::malformed;

use super::Value;
use super::handles::{self, Handles, Part, add, get};
use crate::{Error, Level, QName, Result};

/// Text or bytes that the host has put somewhere: address and length.
pub(crate) type Placed = *const [u8];

/// Those bytes.
///
/// # Safety
/// `placed` is what the host returned in a call that lasts as long as `'call`.
pub(crate) unsafe fn bytes<'call>(placed: Placed) -> &'call [u8] {
    // SAFETY: it lies in a value whose bytes the call's handles keep until the call ends.
    unsafe { &*placed }
}

/// # Safety
/// As [`text`].
unsafe fn lent<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(start, length) }
}

/// Text that the SDK lends.
///
/// # Safety
/// The first `length` bytes behind `start` can be read during the call.
unsafe fn text<'a>(start: *const u8, length: usize) -> &'a str {
    // SAFETY: the caller's promise.
    let bytes = unsafe { lent(start, length) };
    core::str::from_utf8(bytes).expect("the SDK passes text")
}

/// Ends the call with an error, as a host of the contract does where an extension cannot handle it.
fn fault(error: &Error) -> Failure {
    Failure::Error { code: error.code(), message: error.to_string() }
}

fn answer<R>(answer: impl FnOnce(&mut Handles) -> Result<R, Failure>) -> R {
    in_host(|call| {
        call.crossings.fields += 1;
        handles::with(answer)
    })
}

pub(crate) fn log(level: Level, line: &str) {
    testing::log(level, line.as_bytes());
}

pub(crate) unsafe fn get_key(storage: *const u8, storage_len: usize, entity: *const u8, entity_len: usize) -> i64 {
    // SAFETY: the SDK lends both.
    let (storage, entity) = unsafe { (text(storage, storage_len), text(entity, entity_len)) };
    answer(|handles| {
        let mut key = Vec::new();
        encode::name(&mut key, storage);
        encode::name(&mut key, entity);
        encode::mark(&mut key, encode::BEGIN_OBJECT);
        Ok(add(&mut handles.keys, key))
    })
}

pub(crate) unsafe fn query_value(key: i64) -> i64 {
    in_host(|call| {
        call.crossings.get += 1;
        let key = handles::with(|handles| handles.key(key));
        let key = Key::parse(&key).map_err(Failure::InvalidGuestData)?;
        Ok(match call.state.get(&key).map_err(Failure::State)? {
            Some(value) => handles::with(|handles| add(&mut handles.values, Part::whole(value))),
            None => ABSENT,
        })
    })
}

/// Reads the rows of a key, and calls `on_row` with the handles of key and value of each.
pub(crate) fn read_values(key: i64, on_row: &mut dyn FnMut(i64, i64)) {
    let rows = in_host(|call| {
        call.crossings.read += 1;
        let key = handles::with(|handles| handles.key(key));
        let key = Key::parse(&key).map_err(Failure::InvalidGuestData)?;
        let mut out = vec![0; 4096];
        let mut after: Option<Part> = None;
        let mut rows = Vec::new();
        loop {
            let last = after.as_ref().map(|last| ValueRef::new(&last.bytes));
            let length = call.state.read(&key, last, &mut out).map_err(Failure::State)?;
            if length == 0 {
                return Ok(rows);
            }
            if length > out.len() {
                out.resize(length, 0);
                continue;
            }
            let mut at = 0;
            while at < length {
                let end_of = |at| scan::end_of(&out[..length], at).map_err(|error| fault(&malformed(error)));
                let value = end_of(at)?;
                let end = end_of(value)?;
                let key = Part::whole(&out[at..value]);
                after = Some(key.clone());
                rows.push((key, Part::whole(&out[value..end])));
                at = end;
            }
        }
    });
    for (key, value) in rows {
        let (key, value) = in_host(|_| {
            Ok(handles::with(|handles| (add(&mut handles.row_keys, key), add(&mut handles.values, value))))
        });
        on_row(key, value);
    }
}

pub(crate) unsafe fn new_value(key: i64) -> i64 {
    intent(Operation::New, key)
}

pub(crate) unsafe fn update_value(key: i64, _existing: i64) -> i64 {
    intent(Operation::Update, key)
}

fn intent(operation: Operation, key: i64) -> i64 {
    in_host(|call| {
        call.crossings.intents += 1;
        handles::with(|handles| Ok(handles.intent(operation, key)))
    })
}

macro_rules! puts {
    ($($(#[$attribute:meta])* $import:ident($($argument:ident: $type:ty),+) = $put:ident($value:expr);)+) => {$(
        $(#[$attribute])*
        pub(crate) unsafe fn $import(writer: i64, kind: i32, name: *const u8, name_len: usize, $($argument: $type),+) {
            // SAFETY: the SDK lends the name, and what is put.
            let (name, value) = unsafe { (text(name, name_len), $value) };
            answer(|handles| {
                handles.writer(writer, kind).$put(name, value);
                Ok(())
            });
        }
    )+};
}

puts! {
    put_i32(value: i32) = put_i32(value);
    put_i64(value: i64) = put_i64(value);
    put_f32(value: f32) = put_f32(value);
    put_f64(value: f64) = put_f64(value);
    put_bool(value: i32) = put_bool(value != 0);
    put_string(value: *const u8, value_len: usize) = put_str(text(value, value_len));
    put_bytes(value: *const u8, value_len: usize) = put_bytes(lent(value, value_len));
    #[expect(clippy::too_many_arguments, reason = "the contract's import has them")]
    put_qname(package: *const u8, package_len: usize, entity: *const u8, entity_len: usize) =
        put_qname(QName { package: text(package, package_len), entity: text(entity, entity_len) });
}

pub(crate) unsafe fn value_length(value: i64) -> i32 {
    answer(|handles| {
        let items = get(&mut handles.values, value).value().items().map_err(|error| fault(&error))?;
        Ok(i32::try_from(items.count()).expect("an array is short"))
    })
}

/// The part of `whole` that a nested object or array is.
fn nested(whole: &Part, found: Value<'_>, named: impl FnOnce(ValueError) -> Error) -> Result<Part> {
    match found.kind()? {
        Kind::Object | Kind::Array => {}
        found => return Err(named(ValueError::WrongType { asked: "object or array", found })),
    }
    let start = found.encoded()?.as_ptr().addr() - whole.bytes.as_ptr().addr();
    Ok(Part { bytes: whole.bytes.clone(), start })
}

pub(crate) unsafe fn value_as_value(value: i64, name: *const u8, name_len: usize) -> i64 {
    // SAFETY: the SDK lends the name.
    let name = unsafe { text(name, name_len) };
    answer(|handles| {
        let whole = get(&mut handles.values, value);
        let part = whole.value().get(name).and_then(|found| nested(whole, found, |error| of_field(name, error)));
        Ok(add(&mut handles.values, part.map_err(|error| fault(&error))?))
    })
}

pub(crate) unsafe fn value_get_as_value(value: i64, index: u32) -> i64 {
    let index = index as usize;
    answer(|handles| {
        let whole = get(&mut handles.values, value);
        let part = whole.value().item(index).and_then(|found| nested(whole, found, |error| of_element(index, error)));
        Ok(add(&mut handles.values, part.map_err(|error| fault(&error))?))
    })
}

macro_rules! reads {
    ($($of_value:ident $of_key:ident $of_element:ident -> $type:ty = $get:ident $get_at:ident, |$found:ident| $as:expr;)+) => {$(
        pub(crate) unsafe fn $of_value(value: i64, name: *const u8, name_len: usize) -> $type {
            // SAFETY: the SDK lends the name.
            let name = unsafe { text(name, name_len) };
            answer(|handles| {
                let found = get(&mut handles.values, value).value().$get(name);
                found.map(|$found| -> $type { $as }).map_err(|error| fault(&error))
            })
        }

        pub(crate) unsafe fn $of_key(key: i64, name: *const u8, name_len: usize) -> $type {
            // SAFETY: the SDK lends the name.
            let name = unsafe { text(name, name_len) };
            answer(|handles| {
                let found = get(&mut handles.row_keys, key).value().$get(name);
                found.map(|$found| -> $type { $as }).map_err(|error| fault(&error))
            })
        }

        pub(crate) unsafe fn $of_element(value: i64, index: u32) -> $type {
            answer(|handles| {
                let found = get(&mut handles.values, value).value().$get_at(index as usize);
                found.map(|$found| -> $type { $as }).map_err(|error| fault(&error))
            })
        }
    )+};
}

reads! {
    value_as_i32 key_as_i32 value_get_as_i32 -> i32 = get_i32 get_i32_at, |found| found;
    value_as_i64 key_as_i64 value_get_as_i64 -> i64 = get_i64 get_i64_at, |found| found;
    value_as_f32 key_as_f32 value_get_as_f32 -> f32 = get_f32 get_f32_at, |found| found;
    value_as_f64 key_as_f64 value_get_as_f64 -> f64 = get_f64 get_f64_at, |found| found;
    value_as_bool key_as_bool value_get_as_bool -> i64 = get_bool get_bool_at, |found| i64::from(found);
    value_as_string key_as_string value_get_as_string -> Placed = get_str get_str_at, |found| found.as_bytes();
    value_as_bytes key_as_bytes value_get_as_bytes -> Placed = get_bytes get_bytes_at, |found| found;
    value_as_package key_as_package value_get_as_package -> Placed = get_qname get_qname_at, |found| {
        found.package.as_bytes()
    };
    value_as_entity key_as_entity value_get_as_entity -> Placed = get_qname get_qname_at, |found| {
        found.entity.as_bytes()
    };
}
