//! Keys and intents: the functions that make and fill them, and those that find the value of a key.

use guest_abi::ErrorCode;
use guest_abi::cbor::encode;
use guest_abi::exttinygo as names;
use guest_abi::intent::Operation;
use guest_abi::key::Key;
use guest_abi::value::QName;
use wasmtime::{Caller, Linker};

use super::crossing::{Bits, Crossing, ExtTinyGoView, crossing, trace};
use super::handles::HandleKind;
use super::own::ExtTinyGo;
use super::reads::{cut, key_name};
#[cfg(feature = "async")]
use crate::contract::awaiting::awaiting;
use crate::contract::crossing::Passed;
use crate::failure::{Fault, InvalidData};
use crate::host::data::HostData;

/// Defines the functions.
pub(super) fn define<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap(module, names::IMPORT_GET_KEY, get_key)?;
    linker.func_wrap(module, names::IMPORT_GET_VALUE, |mut caller: Caller<'_, _>, key| get_value(&mut caller, key))?;
    linker
        .func_wrap(module, names::IMPORT_QUERY_VALUE, |mut caller: Caller<'_, _>, key| query_value(&mut caller, key))?;
    linker.func_wrap(module, names::IMPORT_NEW_VALUE, new_value)?;
    linker.func_wrap(module, names::IMPORT_UPDATE_VALUE, update_value)?;
    linker.func_wrap(module, names::IMPORT_PANIC, panic)?;
    define_puts(linker)
}

/// Defines the functions that read the state anew, as functions that await it.
#[cfg(feature = "async")]
pub(super) fn define_awaiting<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    let module = names::IMPORT_MODULE;
    linker.func_wrap_async(module, names::IMPORT_GET_VALUE, |mut caller, (key,): (i64,)| {
        Box::new(async move { awaiting(&mut caller, |caller| get_value(caller, key)).await })
    })?;
    linker.func_wrap_async(module, names::IMPORT_QUERY_VALUE, |mut caller, (key,): (i64,)| {
        Box::new(async move { awaiting(&mut caller, |caller| query_value(caller, key)).await })
    })?;
    Ok(())
}

fn get_key<X: ExtTinyGoView>(
    mut caller: Caller<'_, HostData<X>>,
    storage: u32,
    storage_length: u32,
    entity: u32,
    entity_length: u32,
) -> wasmtime::Result<i64> {
    let handle = crossing(&mut caller, |crossing| {
        let Crossing { memory, own, dirty_ranges, .. } = crossing;
        let mut passed = Passed::new(&memory, dirty_ranges);
        let storage = passed.text("storage", storage, storage_length)?;
        let entity = passed.text("entity", entity, entity_length)?;
        qualified("storage", storage)?;
        if !entity.is_empty() {
            qualified("entity", entity)?;
        }
        let (handle, writer) = own.handles.writer(HandleKind::Key)?;
        writer.begin_key(storage, entity);
        ExtTinyGo::hold(&mut own.held, writer.len(), &own.limits)?;
        Ok(handle)
    })?;
    trace(&mut caller, names::IMPORT_GET_KEY, &[], &[(storage, storage_length), (entity, entity_length)], handle);
    Ok(handle)
}

/// That a name is one of a package.
fn qualified(what: &'static str, name: &str) -> Result<(), Fault> {
    match memchr::memrchr(b'.', name.as_bytes()) {
        Some(dot) if dot > 0 && dot + 1 < name.len() => Ok(()),
        _ => Err(Fault::InvalidGuestData(InvalidData::NotQualified { what, name: cut(name, "") })),
    }
}

#[inline]
fn get_value<X: ExtTinyGoView>(caller: &mut Caller<'_, HostData<X>>, key: i64) -> wasmtime::Result<i64> {
    let handle = crossing(caller, |crossing| {
        value_of(crossing, key, |key| {
            let message = format!("no record of `{}` has the key", key_name(key));
            Err(Fault::Guest { code: ErrorCode::Absent, message })
        })
    })?;
    trace(caller, names::IMPORT_GET_VALUE, &[key], &[], handle);
    Ok(handle)
}

#[inline]
fn query_value<X: ExtTinyGoView>(caller: &mut Caller<'_, HostData<X>>, key: i64) -> wasmtime::Result<i64> {
    let handle = crossing(caller, |crossing| value_of(crossing, key, |_| Ok(names::ABSENT)))?;
    trace(caller, names::IMPORT_QUERY_VALUE, &[key], &[], handle);
    Ok(handle)
}

/// A handle for the value of a key, or what `absent` makes of it that there is none.
#[inline]
fn value_of(
    crossing: Crossing<'_>,
    key: i64,
    absent: impl FnOnce(&Key<'_>) -> Result<i64, Fault>,
) -> Result<i64, Fault> {
    let Crossing { own, state, .. } = crossing;
    let ExtTinyGo { handles, held, limits, .. } = own;
    let start = handles.bytes.len();
    let (writer, bytes) = handles.key_and_bytes(key)?;
    let found = writer.with_key(|key| match state.get(key).map_err(Fault::State)? {
        Some(value) => {
            ExtTinyGo::hold(held, value.len(), limits)?;
            bytes.extend_from_slice(value);
            Ok(None)
        }
        None => absent(key).map(Some),
    })??;
    match found {
        Some(instead) => Ok(instead),
        None => handles.part(HandleKind::Value, start..handles.bytes.len()),
    }
}

fn new_value<X: ExtTinyGoView>(mut caller: Caller<'_, HostData<X>>, key: i64) -> wasmtime::Result<i64> {
    let handle = crossing(&mut caller, |crossing| intent(crossing, Operation::New, key))?;
    trace(&mut caller, names::IMPORT_NEW_VALUE, &[key], &[], handle);
    Ok(handle)
}

fn update_value<X: ExtTinyGoView>(
    mut caller: Caller<'_, HostData<X>>,
    key: i64,
    existing: i64,
) -> wasmtime::Result<i64> {
    let handle = crossing(&mut caller, |crossing| {
        crossing.own.handles.read(existing, HandleKind::Value)?;
        intent(crossing, Operation::Update, key)
    })?;
    trace(&mut caller, names::IMPORT_UPDATE_VALUE, &[key, existing], &[], handle);
    Ok(handle)
}

fn intent(crossing: Crossing<'_>, operation: Operation, key: i64) -> Result<i64, Fault> {
    let own = crossing.own;
    let (handle, key, intent) = own.handles.intent(key)?;
    intent.begin_intent(operation, key);
    ExtTinyGo::hold(&mut own.held, intent.len(), &own.limits)?;
    Ok(handle)
}

fn panic<X: ExtTinyGoView>(mut caller: Caller<'_, HostData<X>>, message: u32, length: u32) -> wasmtime::Result<()> {
    let panicked = crossing(&mut caller, |crossing| -> Result<(), Fault> {
        let Crossing { memory, own, dirty_ranges, .. } = crossing;
        let mut passed = Passed::new(&memory, dirty_ranges);
        let message = passed.told("panic message", message, length, own.limits.log_bytes)?;
        Err(Fault::Panic { message, location: None })
    });
    trace(&mut caller, names::IMPORT_PANIC, &[], &[(message, length)], 0);
    panicked
}

/// The writer of this handle and kind is given a field, whose value has about so many bytes.
#[inline]
fn put(
    own: &mut ExtTinyGo,
    handle: i64,
    kind: i32,
    name: &str,
    bytes: usize,
    value: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Fault> {
    let kind = match kind {
        names::WRITER_KEY => HandleKind::Key,
        names::WRITER_INTENT => HandleKind::Intent,
        kind => return Err(Fault::InvalidGuestData(InvalidData::UnknownWriter { kind })),
    };
    let writer = own.handles.written(handle, kind)?;
    let (held, before) = (own.held, writer.len());
    // Before it is copied.
    ExtTinyGo::hold(&mut own.held, name.len() + bytes, &own.limits)?;
    writer.put(name, value)?;
    // A field that is put again gives up what it had.
    own.held = held;
    ExtTinyGo::hold(&mut own.held, writer.len().saturating_sub(before), &own.limits)
}

/// Defines a function that puts a number.
macro_rules! put_number {
    ($linker:expr, $name:literal, $type:ty $(, $($convert:tt)+)?) => {
        $linker.func_wrap(
            names::IMPORT_MODULE,
            $name,
            |mut caller: Caller<'_, HostData<X>>, handle: i64, kind: i32, name: u32, length: u32, value: $type| {
                crossing(&mut caller, |crossing| {
                    let Crossing { memory, own, dirty_ranges, .. } = crossing;
                    let name = Passed::new(&memory, dirty_ranges).text("field name", name, length)?;
                    put(own, handle, kind, name, size_of::<$type>(), |bytes| encode::element(bytes, value $($($convert)+)?))
                })?;
                trace(&mut caller, $name, &[handle, kind.into(), value.bits()], &[(name, length)], 0);
                Ok(())
            },
        )?;
    };
}

/// Defines a function that puts text or bytes.
macro_rules! put_bytes {
    ($linker:expr, $name:literal, $passed:ident) => {
        $linker.func_wrap(
            names::IMPORT_MODULE,
            $name,
            |mut caller: Caller<'_, HostData<X>>,
             handle: i64,
             kind: i32,
             name: u32,
             length: u32,
             value: u32,
             size: u32| {
                crossing(&mut caller, |crossing| {
                    let Crossing { memory, own, dirty_ranges, .. } = crossing;
                    let mut passed = Passed::new(&memory, dirty_ranges);
                    let name = passed.text("field name", name, length)?;
                    let value = passed.$passed("value of a field", value, size)?;
                    put(own, handle, kind, name, value.len(), |bytes| encode::element(bytes, value))
                })?;
                trace(&mut caller, $name, &[handle, kind.into()], &[(name, length), (value, size)], 0);
                Ok(())
            },
        )?;
    };
}

fn define_puts<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    put_number!(linker, "hostRowWriterPutInt32", i32);
    put_number!(linker, "hostRowWriterPutInt64", i64);
    put_number!(linker, "hostRowWriterPutBool", i32, != 0);
    put_number!(linker, "hostRowWriterPutFloat32", f32);
    put_number!(linker, "hostRowWriterPutFloat64", f64);
    put_bytes!(linker, "hostRowWriterPutString", text);
    put_bytes!(linker, "hostRowWriterPutBytes", bytes);
    linker.func_wrap(names::IMPORT_MODULE, "hostRowWriterPutQName", put_qname)?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the contract has them")]
fn put_qname<X: ExtTinyGoView>(
    mut caller: Caller<'_, HostData<X>>,
    handle: i64,
    kind: i32,
    name: u32,
    name_length: u32,
    package: u32,
    package_length: u32,
    entity: u32,
    entity_length: u32,
) -> wasmtime::Result<()> {
    crossing(&mut caller, |crossing| {
        let Crossing { memory, own, dirty_ranges, .. } = crossing;
        let mut passed = Passed::new(&memory, dirty_ranges);
        let name = passed.text("field name", name, name_length)?;
        let package = passed.text("package of a qualified name", package, package_length)?;
        let entity = passed.text("entity of a qualified name", entity, entity_length)?;
        // Without either it is the name of nothing, which is one.
        if package.is_empty() != entity.is_empty() || entity.contains('.') {
            let name = cut(&format!("{package}.{entity}"), "");
            return Err(Fault::InvalidGuestData(InvalidData::NotQualified { what: "value of a field", name }));
        }
        put(own, handle, kind, name, package.len() + entity.len(), |bytes| {
            encode::qname(bytes, QName { package, entity });
        })
    })?;
    let passed = [(name, name_length), (package, package_length), (entity, entity_length)];
    trace(&mut caller, "hostRowWriterPutQName", &[handle, kind.into()], &passed, 0);
    Ok(())
}
