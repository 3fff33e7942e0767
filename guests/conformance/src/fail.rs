//! Every way to fail that an extension has on both contracts.

use crate::sdk::{Context, KeyBuilder, Result, extension, storage};

use crate::{all, group, own_error, result};

/// Returns an error of its own, after it has left an intent.
#[extension]
fn fails_by_own_error(cx: &mut Context) -> Result<()> {
    cx.new_value(&result("lost"))?.put_bool("Lost", true);
    cx.warn("about to fail");
    Err(own_error())
}

/// Hands on that a record is absent.
#[extension]
fn fails_by_absent_record(cx: &mut Context) -> Result<()> {
    cx.get_value(&result("absent"))?;
    Ok(())
}

/// Hands on that a key is too long.
#[extension]
fn fails_by_long_key(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::<32>::with_capacity(storage::VIEW, "conformance.Rows");
    key.put_str("Text", "longer than there is room");
    cx.get_value(&key)?;
    Ok(())
}

/// Reads a field that is not there.
#[extension]
fn fails_by_missing_field(cx: &mut Context) -> Result<()> {
    cx.get_value(&all())?.get_i32("None")?;
    Ok(())
}

/// Reads a field as another type than it has.
#[extension]
fn fails_by_wrong_type(cx: &mut Context) -> Result<()> {
    cx.get_value(&all())?.get_str("Int32")?;
    Ok(())
}

/// Reads a number as a type that does not hold it.
#[extension]
fn fails_by_range(cx: &mut Context) -> Result<()> {
    cx.get_value(&all())?.get_i32("Int64")?;
    Ok(())
}

/// Reads an element that is not there.
#[extension]
fn fails_by_missing_element(cx: &mut Context) -> Result<()> {
    cx.get_value(&all())?.get("Numbers")?.get_i32_at(3)?;
    Ok(())
}

/// Goes through what is no array.
#[extension]
fn fails_by_no_array(cx: &mut Context) -> Result<()> {
    for item in cx.get_value(&all())?.get("Object")?.items()? {
        item.as_i32()?;
    }
    Ok(())
}

/// Fails at the second of three rows.
#[extension]
fn fails_in_rows(cx: &mut Context) -> Result<()> {
    let every = KeyBuilder::new(storage::VIEW, "conformance.Rows");
    let mut seen = 0;
    cx.read_values(&every)?.for_each(|_| {
        seen += 1;
        if seen == 2 { Err(own_error()) } else { Ok(()) }
    })
}

/// Panics at a row.
#[extension]
fn panics_in_rows(cx: &mut Context) -> Result<()> {
    let partial = group(2);
    cx.read_values(&partial)?.for_each(|row| panic!("a panic at row {}", row.value().get_i32("Number")?))
}

/// Panics with a message that is a literal.
#[extension]
fn panics(_cx: &mut Context) -> Result<()> {
    panic!("a panic")
}
