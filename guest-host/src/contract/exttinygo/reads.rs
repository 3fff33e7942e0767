//! The parts of values: the functions that find a field or an element and hand it over as the type that is asked for.
//!
//! Under the native contract `guest-sdk` returns these failures to the extension. Here they have the same codes and
//! messages.

use guest_abi::ErrorCode;
use guest_abi::cbor::{WireError, skip};
use guest_abi::exttinygo as names;
use guest_abi::key::Key;
use guest_abi::value::{Kind, ValueError, ValueRef};
use std::fmt::{self, Display};
use wasmtime::{Caller, Linker};

#[cfg(feature = "async")]
use super::crossing::give_awaiting;
use super::crossing::{Bits, Crossing, ExtTinyGoView, Given, crossing, give, trace};
use super::handles::{HandleKind, Handles};
use crate::contract::crossing::Passed;
use crate::failure::Fault;
use crate::host::data::HostData;
use crate::state::StateError;

/// Bytes that are kept of a name in a message.
const NAME: usize = 62;

/// A name, or two, as far as they are kept in a message.
pub(super) fn cut(name: &str, more: &str) -> String {
    const CUT: &str = "...";
    let mut whole = if more.is_empty() { name.to_owned() } else { format!("{name} {more}") };
    if whole.len() > NAME {
        whole.truncate(whole.floor_char_boundary(NAME - CUT.len()));
        whole.push_str(CUT);
    }
    whole
}

/// Storage and entity of a key, for a message.
pub(super) fn key_name(key: &Key<'_>) -> String {
    cut(key.storage, key.entity)
}

/// Which part of a value is asked for.
#[derive(Clone, Copy)]
enum Place<'a> {
    Field(&'a str),
    Element(i32),
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "field `{}`", cut(name, "")),
            Self::Element(index) => write!(f, "element {index}"),
        }
    }
}

/// A part of a value was found to be something else.
#[cold]
fn mismatch(place: Option<Place<'_>>, error: ValueError) -> Fault {
    let code = match error {
        ValueError::WrongType { .. } => ErrorCode::WrongType,
        ValueError::OutOfRange { .. } => ErrorCode::OutOfRange,
        error => return Fault::State(StateError::new(format!("a value that it read is malformed: {error}"))),
    };
    Fault::Guest { code, message: place.map_or_else(|| error.to_string(), |place| format!("{place}: {error}")) }
}

/// Where in the bytes that were read the part of a value begins.
#[inline]
fn find(handles: &mut Handles, handle: i64, kind: HandleKind, place: Place<'_>) -> Result<usize, Fault> {
    let (part, bytes) = handles.read(handle, kind)?;
    let range = part.range();
    let bytes = &bytes[range.clone()];
    let value = ValueRef::new(bytes);
    let whole = |error| mismatch(None, error);
    match place {
        Place::Field(name) => match value.field(name).map_err(whole)? {
            // What follows the field's value up to the end of the whole follows it here as well.
            Some(found) => Ok(range.end - found.bytes().len()),
            None => Err(missing_field(name)),
        },
        Place::Element(index) => {
            let length = array_length(value).map_err(whole)?;
            let wanted = match u32::try_from(index) {
                Ok(wanted) if u64::from(wanted) < length => wanted,
                _ => return Err(missing_element(index, length)),
            };
            let malformed = |error: WireError| whole(error.into());
            let (from, mut at) = match part.nearest(wanted) {
                Some(near) => near,
                None => (0, value.items().map_err(whole)?.position()),
            };
            for index in from..wanted {
                part.pass(index, at, wanted);
                at = skip(bytes, at).map_err(malformed)?;
            }
            part.remember(wanted, at);
            Ok(range.start + at)
        }
    }
}

#[cold]
fn missing_field(name: &str) -> Fault {
    let message = format!("the object has no field `{}`", cut(name, ""));
    Fault::Guest { code: ErrorCode::MissingField, message }
}

#[cold]
fn missing_element(index: i32, length: u64) -> Fault {
    let message = format!("the array has no element {index}, its length is {length}");
    Fault::Guest { code: ErrorCode::MissingElement, message }
}

fn array_length(value: ValueRef<'_>) -> Result<u64, ValueError> {
    let items = value.items()?;
    match items.left() {
        Some(length) => Ok(length),
        None => items.map(|item| item.map(|_| 1)).sum(),
    }
}

/// Reads a part of a value as a number.
#[inline]
fn numbers<X: ExtTinyGoView, T>(
    caller: &mut Caller<'_, HostData<X>>,
    handle: i64,
    kind: HandleKind,
    asked: Asked,
    read: impl FnOnce(ValueRef<'_>) -> Result<T, ValueError>,
) -> wasmtime::Result<T> {
    crossing(caller, |crossing| {
        let Crossing { memory, own, dirty_ranges, .. } = crossing;
        let place = asked.place(&mut Passed::new(&memory, dirty_ranges))?;
        let at = find(&mut own.handles, handle, kind, place)?;
        read(ValueRef::new(&own.handles.bytes[at..])).map_err(|error| mismatch(Some(place), error))
    })
}

/// Puts text or bytes of a part of a value into the guest's memory.
#[inline]
fn texts<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    handle: i64,
    kind: HandleKind,
    asked: Asked,
    read: impl FnOnce(ValueRef<'_>) -> Result<&[u8], ValueError>,
) -> wasmtime::Result<i64> {
    let given = text(caller, handle, kind, asked, read)?;
    give(caller, given)
}

/// Finds text or bytes of a part of a value, and puts them into the guest's memory where there is room.
#[inline]
fn text<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    handle: i64,
    kind: HandleKind,
    asked: Asked,
    read: impl FnOnce(ValueRef<'_>) -> Result<&[u8], ValueError>,
) -> wasmtime::Result<Given> {
    crossing(caller, |mut crossing| {
        let Crossing { memory, own, dirty_ranges, .. } = &mut crossing;
        let place = asked.place(&mut Passed::new(memory, dirty_ranges))?;
        let at = find(&mut own.handles, handle, kind, place)?;
        let all = &own.handles.bytes;
        let found = read(ValueRef::new(&all[at..])).map_err(|error| mismatch(Some(place), error))?;
        // It is a part of what was read.
        let start = found.as_ptr().addr() - all.as_ptr().addr();
        let part = start..start + found.len();
        crossing.give(part)
    })
}

/// A handle for a part of a value that has parts itself.
fn nested<X: ExtTinyGoView>(
    caller: &mut Caller<'_, HostData<X>>,
    handle: i64,
    kind: HandleKind,
    asked: Asked,
) -> wasmtime::Result<i64> {
    crossing(caller, |crossing| {
        let Crossing { memory, own, dirty_ranges, .. } = crossing;
        let place = asked.place(&mut Passed::new(&memory, dirty_ranges))?;
        let at = find(&mut own.handles, handle, kind, place)?;
        match ValueRef::new(&own.handles.bytes[at..]).kind() {
            Ok(Kind::Object | Kind::Array) => {}
            Ok(found) => return Err(mismatch(Some(place), ValueError::WrongType { asked: "object or array", found })),
            Err(error) => return Err(mismatch(Some(place), error)),
        }
        // Where it ends shows when it is read; to find that out here would mean to go through all of it.
        let end = own.handles.read(handle, kind)?.0.range().end;
        own.handles.part(HandleKind::Value, at..end)
    })
}

fn value_length<X: ExtTinyGoView>(mut caller: Caller<'_, HostData<X>>, value: i64) -> wasmtime::Result<i32> {
    let length = crossing(&mut caller, |crossing| {
        let (part, bytes) = crossing.own.handles.read(value, HandleKind::Value)?;
        let length = array_length(ValueRef::new(&bytes[part.range()])).map_err(|error| mismatch(None, error))?;
        i32::try_from(length).map_err(|_| Fault::State(StateError::new("an array has more than 2^31 elements")))
    })?;
    trace(&mut caller, names::IMPORT_VALUE_LENGTH, &[value], &[], length.into());
    Ok(length)
}

/// Defines the functions that read a part of one type: of a value by name and by index, and of a row's key. `$read` is
/// one of `numbers`, `texts` and `nested`; the last reads nothing of keys.
macro_rules! reads {
    ($linker:expr, $type:literal => $result:ty, $read:ident $(, $as:expr)?) => {
        reads!(named $linker, concat!("hostValueAs", $type), HandleKind::Value, $result, $read $(, $as)?);
        reads!(indexed $linker, concat!("hostValueGetAs", $type), $result, $read $(, $as)?);
        $(reads!(named $linker, concat!("hostKeyAs", $type), HandleKind::RowKey, $result, $read, $as);)?
    };
    (named $linker:expr, $name:expr, $kind:expr, $result:ty, $read:ident $(, $as:expr)?) => {
        $linker.func_wrap(
            names::IMPORT_MODULE,
            $name,
            |mut caller: Caller<'_, HostData<X>>, handle: i64, name: u32, length: u32| -> wasmtime::Result<$result> {
                let found = $read(&mut caller, handle, $kind, Asked::Field(name, length) $(, $as)?)?;
                trace(&mut caller, $name, &[handle], &[(name, length)], found.bits());
                Ok(found)
            },
        )?;
    };
    (indexed $linker:expr, $name:expr, $result:ty, $read:ident $(, $as:expr)?) => {
        $linker.func_wrap(
            names::IMPORT_MODULE,
            $name,
            |mut caller: Caller<'_, HostData<X>>, handle: i64, index: i32| -> wasmtime::Result<$result> {
                let found = $read(&mut caller, handle, HandleKind::Value, Asked::Element(index) $(, $as)?)?;
                trace(&mut caller, $name, &[handle, index.into()], &[], found.bits());
                Ok(found)
            },
        )?;
    };
}

/// Defines the functions that read text or bytes of a part again, so that they await the guest's `malloc`.
#[cfg(feature = "async")]
macro_rules! awaiting_texts {
    ($linker:expr, $type:literal, $as:expr) => {
        awaiting_texts!(named $linker, concat!("hostValueAs", $type), HandleKind::Value, $as);
        awaiting_texts!(named $linker, concat!("hostKeyAs", $type), HandleKind::RowKey, $as);
        $linker.func_wrap_async(
            names::IMPORT_MODULE,
            concat!("hostValueGetAs", $type),
            |mut caller, (handle, index): (i64, i32)| {
                Box::new(async move {
                    let given = text(&mut caller, handle, HandleKind::Value, Asked::Element(index), $as)?;
                    let found = give_awaiting(&mut caller, given).await?;
                    trace(&mut caller, concat!("hostValueGetAs", $type), &[handle, index.into()], &[], found.bits());
                    wasmtime::Result::Ok(found)
                })
            },
        )?;
    };
    (named $linker:expr, $name:expr, $kind:expr, $as:expr) => {
        $linker.func_wrap_async(
            names::IMPORT_MODULE,
            $name,
            |mut caller, (handle, name, length): (i64, u32, u32)| {
                Box::new(async move {
                    let given = text(&mut caller, handle, $kind, Asked::Field(name, length), $as)?;
                    let found = give_awaiting(&mut caller, given).await?;
                    trace(&mut caller, $name, &[handle], &[(name, length)], found.bits());
                    wasmtime::Result::Ok(found)
                })
            },
        )?;
    };
}

/// Defines the functions that may call the guest's `malloc`, as functions that await it.
#[cfg(feature = "async")]
pub(super) fn define_awaiting<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    awaiting_texts!(linker, "String", |value| value.as_str().map(str::as_bytes));
    awaiting_texts!(linker, "Bytes", |value| value.as_bytes());
    awaiting_texts!(linker, "QNamePkg", |value| value.as_qname().map(|name| name.package.as_bytes()));
    awaiting_texts!(linker, "QNameEntity", |value| value.as_qname().map(|name| name.entity.as_bytes()));
    Ok(())
}

/// Which part of a value the guest asks for: a field by the address and length of its name, or an element.
#[derive(Clone, Copy)]
enum Asked {
    Field(u32, u32),
    Element(i32),
}

impl Asked {
    #[inline]
    fn place<'m>(self, passed: &mut Passed<'m, '_>) -> Result<Place<'m>, Fault> {
        match self {
            Self::Field(name, length) => passed.text("field name", name, length).map(Place::Field),
            Self::Element(index) => Ok(Place::Element(index)),
        }
    }
}

/// Defines the functions.
pub(super) fn define<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    linker.func_wrap(names::IMPORT_MODULE, names::IMPORT_VALUE_LENGTH, value_length)?;
    reads!(linker, "Int32" => i32, numbers, |value| value.as_i32());
    reads!(linker, "Int64" => i64, numbers, |value| value.as_i64());
    reads!(linker, "Bool" => i64, numbers, |value| value.as_bool().map(i64::from));
    reads!(linker, "Float32" => f32, numbers, |value| value.as_f32());
    reads!(linker, "Float64" => f64, numbers, |value| value.as_f64());
    reads!(linker, "String" => i64, texts, |value| value.as_str().map(str::as_bytes));
    reads!(linker, "Bytes" => i64, texts, |value| value.as_bytes());
    reads!(linker, "QNamePkg" => i64, texts, |value| value.as_qname().map(|name| name.package.as_bytes()));
    reads!(linker, "QNameEntity" => i64, texts, |value| value.as_qname().map(|name| name.entity.as_bytes()));
    reads!(linker, "Value" => i64, nested);
    Ok(())
}
