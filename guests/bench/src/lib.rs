//! One function per cost that is measured, from nothing at all to 300 MB of strings.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

#[cfg(not(feature = "exttinygo"))]
use guest_sdk as sdk;
#[cfg(feature = "exttinygo")]
use guest_sdk_exttinygo as sdk;
use sdk::{Context, KeyBuilder, Result, extension, storage};

/// What a call costs that does nothing.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Builds a key of two fields.
#[extension]
fn one_key(_cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::VIEW, "bench.Counter");
    key.put_i32("Year", black_box(2023)).put_i32("Month", black_box(1));
    black_box(key.bytes()?);
    Ok(())
}

/// Gets a record and reads a field of it.
#[extension]
fn one_get(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    black_box(event.get_i32("Number")?);
    Ok(())
}

/// Gets a record and reads a text of 500 characters of it.
#[extension]
fn one_get_long_string(cx: &mut Context) -> Result<()> {
    let record = cx.get_value(&KeyBuilder::new(storage::RECORD, "bench.Text"))?;
    black_box(record.get_str("Text")?);
    Ok(())
}

/// Gets a record by a key with a field, and leaves the intent to change it.
#[extension]
fn one_get_one_intent(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::VIEW, "bench.Counter");
    key.put_i32("Id", 1);
    let found = cx.get_value(&key)?;
    let amount = found.get_i64("Amount")? + 1;
    cx.update_value(&key, &found)?.put_i64("Amount", amount);
    Ok(())
}

/// Reads 1000 rows and adds up a field.
#[extension]
fn read_1000_rows(cx: &mut Context) -> Result<()> {
    let key = KeyBuilder::new(storage::VIEW, "bench.Rows");
    let mut total = 0;
    let mut rows = cx.read_values(&key)?;
    while let Some(row) = rows.next()? {
        total += row.value().get_i64("Amount")?;
    }
    black_box(total);
    Ok(())
}

/// Crosses to the host five times: gets a record and reads a field of it, each time.
#[extension]
fn five_gets(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::VIEW, "bench.Counter");
    key.put_i32("Id", 1);
    let mut total = 0;
    for _ in 0..5 {
        total += cx.get_value(&key)?.get_i64("Amount")?;
    }
    black_box(total);
    Ok(())
}

/// Gets a record and reads a field of it three times: five calls of the host in a contract where each step is one.
#[extension]
fn five_steps(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let mut total = 0;
    for _ in 0..3 {
        total += event.get_i64("Bytes")?;
    }
    black_box(total);
    Ok(())
}

/// Fills as many bytes of new heap as the event says.
#[extension]
fn fill_heap(cx: &mut Context) -> Result<()> {
    let bytes = heap_bytes(cx)?;
    black_box(vec![1_u8; bytes]);
    Ok(())
}

/// Writes one byte into each 4 KiB of as many bytes of new heap as the event says.
#[extension]
fn touch_heap(cx: &mut Context) -> Result<()> {
    let bytes = heap_bytes(cx)?;
    let mut heap = Vec::<u8>::with_capacity(bytes);
    for byte in heap.spare_capacity_mut().iter_mut().step_by(4096) {
        byte.write(1);
    }
    black_box(heap);
    Ok(())
}

/// How much heap the event wants written.
fn heap_bytes(cx: &mut Context) -> Result<usize> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    Ok(usize::try_from(event.get_i64("Bytes")?)?)
}

/// Keeps growing a static vector by 10,000 integers, each in a box of its own, and leaves its length.
#[extension]
fn append_10000(cx: &mut Context) -> Result<()> {
    #[expect(clippy::vec_box, reason = "the boxes are what is allocated")]
    static NUMBERS: Mutex<Vec<Box<i64>>> = Mutex::new(Vec::new());
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    for number in 0..10_000 {
        numbers.push(Box::new(number));
    }
    let length = i64::try_from(numbers.len())?;
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Length", length);
    Ok(())
}

/// Makes three strings of 100,000 bytes, a thousand times over, and drops the oldest first: of each three, an allocator
/// that gives back the newest block alone gets back one.
#[extension]
fn strings_300mb(_cx: &mut Context) -> Result<()> {
    for _ in 0..1000 {
        let one = black_box("1".repeat(100_000));
        let two = black_box("2".repeat(100_000));
        let three = black_box("3".repeat(100_000));
        drop((one, two, three));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::testing::{Host, MemoryState, RecordWriter};

    fn host() -> Host {
        let mut state = MemoryState::new();
        let mut put = |storage, entity, id: Option<i32>, name: &str, number: Option<i32>| {
            let key = |key: &mut RecordWriter<'_>| {
                if let Some(id) = id {
                    key.put_i32("Id", id);
                }
            };
            state
                .put(storage, entity, key, |value| match number {
                    Some(number) => {
                        value.put_i32(name, number).put_i64("Bytes", 20_000);
                    }
                    None => {
                        value.put_str(name, &"x".repeat(500));
                    }
                })
                .unwrap();
        };
        put(storage::EVENT, "", None, "Number", Some(7));
        put(storage::RECORD, "bench.Text", None, "Text", None);
        put(storage::VIEW, "bench.Counter", Some(1), "Amount", Some(41));
        for id in 0..1000 {
            put(storage::VIEW, "bench.Rows", Some(id), "Amount", Some(id));
        }
        Host::new(state)
    }

    #[test]
    fn every_function_succeeds() {
        let functions: [fn(&mut Context) -> Result<()>; 12] = [
            do_nothing,
            one_key,
            one_get,
            one_get_long_string,
            one_get_one_intent,
            read_1000_rows,
            five_gets,
            five_steps,
            fill_heap,
            touch_heap,
            append_10000,
            strings_300mb,
        ];
        let mut host = host();
        for function in functions {
            host.call(function).unwrap();
        }
    }

    #[test]
    fn an_intent_is_left_for_the_counter() {
        let outcome = host().call(one_get_one_intent);
        outcome.unwrap();
        assert_eq!(outcome.intents().next().unwrap().value.get_i64("Amount"), Ok(42));
    }
}
