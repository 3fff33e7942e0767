//! Every kind of value through every function that both contracts have.

mod fail;

use std::sync::atomic::{AtomicI64, Ordering};

#[cfg(not(feature = "exttinygo"))]
use guest_sdk as sdk;
#[cfg(feature = "exttinygo")]
use guest_sdk_exttinygo as sdk;
use sdk::{Context, Error, ErrorCode, KeyBuilder, Level, QName, Result, Value, extension, storage};

/// What the initialisation hook leaves for the calls.
static FROM_INIT: AtomicI64 = AtomicI64::new(0);

#[sdk::init]
fn initialise() -> Result<()> {
    FROM_INIT.store(4711, Ordering::Relaxed);
    Ok(())
}

fn all() -> KeyBuilder {
    KeyBuilder::new(storage::RECORD, "conformance.All")
}

fn result(name: &str) -> KeyBuilder {
    let mut key = KeyBuilder::new(storage::RESULT, "conformance.Result");
    key.put_str("Name", name);
    key
}

/// Reads a field of every kind by its name, and puts each into a key and into an intent.
#[extension]
fn by_name(cx: &mut Context) -> Result<()> {
    let found = cx.get_value(&all())?;
    let mut key = KeyBuilder::<1024>::with_capacity(storage::VIEW, "conformance.Copies");
    key.put_i32("Int32", found.get_i32("Int32")?).put_i64("Int64", found.get_i64("Int64")?);
    key.put_f32("Float32", found.get_f32("Float32")?).put_f64("Float64", found.get_f64("Float64")?);
    key.put_str("Text", found.get_str("Text")?).put_str("Empty", found.get_str("Empty")?);
    key.put_bytes("Bytes", found.get_bytes("Bytes")?).put_bool("Bool", found.get_bool("Bool")?);
    key.put_qname("QName", found.get_qname("QName")?);
    let mut copy = cx.new_value(&key)?;
    copy.put_i32("Int32", found.get_i32("Int32")?).put_i64("Int64", found.get_i64("Int64")?);
    copy.put_f32("Float32", found.get_f32("Float32")?).put_f64("Float64", found.get_f64("Float64")?);
    copy.put_str("Text", found.get_str("Text")?).put_str("Empty", found.get_str("Empty")?);
    copy.put_bytes("Bytes", found.get_bytes("Bytes")?).put_bool("Bool", found.get_bool("Bool")?);
    copy.put_qname("QName", found.get_qname("QName")?);
    copy.put_i64("FromInit", FROM_INIT.load(Ordering::Relaxed));
    Ok(())
}

/// Reads elements of arrays of every kind by their index.
#[extension]
fn by_index(cx: &mut Context) -> Result<()> {
    let found = cx.get_value(&all())?;
    let (numbers, floats) = (found.get("Numbers")?, found.get("Floats")?);
    let mut copy = cx.new_value(&result("by index"))?;
    copy.put_i32("Int32", numbers.get_i32_at(1)?).put_i64("Int64", numbers.get_i64_at(2)?);
    copy.put_f32("Float32", floats.get_f32_at(0)?).put_f64("Float64", floats.get_f64_at(1)?);
    copy.put_str("Text", found.get("Texts")?.get_str_at(2)?).put_bool("Bool", found.get("Bools")?.get_bool_at(1)?);
    copy.put_bytes("Bytes", found.get("Blobs")?.get_bytes_at(1)?);
    copy.put_qname("QName", found.get("QNames")?.get_qname_at(0)?);
    copy.put_i64("Length", i64::try_from(numbers.len()?)?);
    Ok(())
}

/// Goes through arrays of every kind.
#[extension]
fn by_items(cx: &mut Context) -> Result<()> {
    let found = cx.get_value(&all())?;
    for (line, item) in (0..).zip(found.get("Numbers")?.items()?) {
        let mut key = result("number");
        key.put_i32("Line", line);
        cx.new_value(&key)?.put_i32("Int32", item.as_i32()?).put_i64("Int64", item.as_i64()?);
    }
    for item in found.get("Floats")?.items()? {
        cx.new_value(&result("float"))?.put_f32("Float32", item.as_f32()?).put_f64("Float64", item.as_f64()?);
    }
    for item in found.get("Texts")?.items()? {
        cx.new_value(&result("text"))?.put_str("Text", item.as_str()?);
    }
    for item in found.get("Bools")?.items()? {
        cx.new_value(&result("bool"))?.put_bool("Bool", item.as_bool()?);
    }
    for item in found.get("Blobs")?.items()? {
        cx.new_value(&result("bytes"))?.put_bytes("Bytes", item.as_bytes()?);
    }
    for item in found.get("QNames")?.items()? {
        cx.new_value(&result("qualified name"))?.put_qname("QName", item.as_qname()?);
    }
    Ok(())
}

/// The number in an object, be it a field or an element.
fn number_of(object: &Value) -> Result<i64> {
    object.get_i64("Number")
}

/// Reads objects in arrays in objects.
#[extension]
fn nested(cx: &mut Context) -> Result<()> {
    let object = cx.get_value(&all())?.get("Object")?;
    let array = object.get("Array")?;
    let mut total = 10 * number_of(&array.item(1)?)?;
    for item in array.items()? {
        total += number_of(&item)? + item.get_i64("Number")?;
    }
    cx.new_value(&result("nested"))?.put_i64("Total", total).put_str("Text", object.get_str("Text")?);
    Ok(())
}

/// The rows of a group.
fn group(number: i32) -> KeyBuilder {
    let mut key = KeyBuilder::new(storage::VIEW, "conformance.Rows");
    key.put_i32("Group", number);
    key
}

/// Reads rows one after the other, with all fields of their keys.
#[extension]
fn rows(cx: &mut Context) -> Result<()> {
    let partial = group(1);
    let mut rows = cx.read_values(&partial)?;
    while let Some(row) = rows.next()? {
        let key = row.key();
        let mut copy = cx.new_value(&result("row"))?;
        copy.put_i32("Group", key.get_i32("Group")?).put_i64("Id", key.get_i64("Id")?);
        copy.put_f32("Float32", key.get_f32("Float")?).put_f64("Float64", key.get_f64("Float")?);
        copy.put_str("Text", key.get_str("Text")?).put_bytes("Bytes", key.get_bytes("Bytes")?);
        copy.put_bool("Bool", key.get_bool("Bool")?).put_qname("QName", key.get_qname("QName")?);
        copy.put_i64("Number", row.value().get_i64("Number")?);
    }
    Ok(())
}

/// Reads rows within rows, some of them by a key of which no row is.
#[extension]
fn rows_in_rows(cx: &mut Context) -> Result<()> {
    let every = KeyBuilder::new(storage::VIEW, "conformance.Rows");
    let mut totals = Vec::new();
    cx.read_values(&every)?.for_each(|outer| {
        let mut total = 0;
        for number in 0..3 {
            let partial = group(number);
            cx.read_values(&partial)?.for_each(|inner| {
                total += outer.value().get_i64("Number")? * inner.value().get_i64("Number")?;
                Ok(())
            })?;
        }
        totals.push(total);
        Ok(())
    })?;
    for total in totals {
        cx.new_value(&result("total"))?.put_i64("Total", total);
    }
    Ok(())
}

/// The first row by `next`, the others by `for_each`.
#[extension]
fn rows_both_ways(cx: &mut Context) -> Result<()> {
    let every = KeyBuilder::new(storage::VIEW, "conformance.Rows");
    let mut rows = cx.read_values(&every)?;
    let first = match rows.next()? {
        Some(row) => row.value().get_i64("Number")?,
        None => 0,
    };
    let mut others = 0;
    rows.for_each(|row| {
        others += row.value().get_i64("Number")?;
        Ok(())
    })?;
    cx.new_value(&result("both ways"))?.put_i64("First", first).put_i64("Others", others);
    Ok(())
}

/// Reads in a scope, with a key that is used, cloned, cleared and used again.
#[extension]
fn keys_again(cx: &mut Context) -> Result<()> {
    let mut wide = KeyBuilder::new(storage::VIEW, "conformance.Wide");
    wide.put_i32("Narrow", i32::MIN).put_i64("Wide", i64::MAX);
    let copy = wide.clone();
    let found = cx.scope(|cx| cx.get_value(&wide)?.get_bool("Found"))?;
    wide.clear().put_i32("Narrow", 0).put_i64("Wide", -1);
    let missing = cx.query_value(&wide)?.is_none();
    let existing = cx.get_value(&copy)?;
    cx.update_value(&copy, &existing)?.put_bool("Found", found).put_bool("Missing", missing);
    Ok(())
}

/// Goes on where a record is absent.
#[extension]
fn absent_is_handled(cx: &mut Context) -> Result<()> {
    let absent = match cx.get_value(&result("absent")) {
        Err(error) if error.code() == ErrorCode::Absent => true,
        Err(error) => return Err(error),
        Ok(_) => false,
    };
    cx.new_value(&result("absent"))?.put_bool("Absent", absent);
    Ok(())
}

/// Goes on where a key is too long.
#[extension]
fn long_key_is_handled(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::<32>::with_capacity(storage::VIEW, "conformance.Rows");
    key.put_str("Text", "longer than there is room");
    let message = cx.query_value(&key).map_or_else(|error| error.to_string(), |_| "short".to_owned());
    cx.new_value(&result("long key"))?.put_str("Message", &message);
    Ok(())
}

/// Writes a log line of every level.
#[extension]
fn log_lines(cx: &mut Context) -> Result<()> {
    for level in [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
        cx.log(level, &format!("a line of {}", level as u32));
    }
    cx.info("");
    Ok(())
}

/// A template that a mail is made by.
pub(crate) const TEMPLATE: QName<'_> = QName { package: "conformance", entity: "Template" };

/// Leaves intents without any field.
#[extension]
fn empty_intents(cx: &mut Context) -> Result<()> {
    let _ = cx.new_value(&result("empty"))?;
    let mut key = result("empty");
    key.put_qname("Template", TEMPLATE);
    let found = cx.get_value(&all())?;
    let _ = cx.update_value(&key, &found)?;
    Ok(())
}

/// The error of an extension of its own.
pub(crate) fn own_error() -> Error {
    Error::application(42, "an error of the extension's own")
}
