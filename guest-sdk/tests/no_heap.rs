//! The paths of the SDK take nothing from the heap: counted by the test's own global allocator, exactly 0.
//!
//! Allocations of the native host while it answers are not the extension's and are left out.
#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use guest_abi::column::{Column, Encoding};
use guest_sdk::function::Function;
use guest_sdk::generated::address;
use guest_sdk::testing::{Host, MemoryState, Outcome, host_is_running};
use guest_sdk::{Context, Document, DocumentBuf, Error, KeyBuilder, List, QName, Result, function, path, storage};

struct Counting;

thread_local! {
    static COUNTED: Cell<Option<usize>> = const { Cell::new(None) };
}

fn count() {
    if !host_is_running()
        && let Some(count) = COUNTED.get()
    {
        COUNTED.set(Some(count + 1));
    }
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of an extension, and what the call left.
fn allocations(exchange: usize, extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> (usize, Outcome) {
    let mut state = MemoryState::new();
    for id in 0..200 {
        let put = state.put(
            storage::VIEW,
            "shop.Numbers",
            |key| {
                key.put_i32("Id", id);
            },
            |value| {
                value.put_i32("Number", id).put_str("Text", "text").put_f64("Float", 0.5);
                value.put_bytes("Bytes", b"bytes").put_bool("Truth", true).put_f32("Narrow", 0.5);
                value.put_qname("Name", QName { package: "shop", entity: "Order" });
                value.put_array("Array", |array| {
                    array.push_i32(1).push_str("two");
                });
            },
        );
        put.unwrap();
    }
    let mut counted = 0;
    let outcome = Host::new(state).exchange_size(exchange).call(|cx| {
        COUNTED.set(Some(0));
        let result = extension(cx);
        counted = COUNTED.take().unwrap();
        result
    });
    (counted, outcome)
}

fn number(id: i32) -> KeyBuilder {
    let mut key = KeyBuilder::new(storage::VIEW, "shop.Numbers");
    key.put_i32("Id", id);
    key
}

#[test]
fn the_counter_counts() {
    let (count, outcome) = allocations(65_536, |_| {
        drop(std::hint::black_box(vec![1_u8]));
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(count, 1);
}

#[test]
fn reading_and_writing_allocates_nothing() {
    // With little room, so that chunks are many and intents are flushed.
    for exchange in [2048, 65_536] {
        let (count, outcome) = allocations(exchange, |cx| {
            let found = cx.get_value(&number(1))?;
            let sum =
                f64::from(found.get_i32("Number")?) + found.get_f64("Float")? + f64::from(found.get_f32("Narrow")?);
            assert!(
                found.get_bool("Truth")?
                    && found.get_bytes("Bytes")?.len() == 5
                    && found.get_qname("Name")?.package == "shop"
            );
            assert!(cx.query_value(&number(1000))?.is_none());
            for item in found.get("Array")?.items()? {
                let _ = (item.kind()?, item.as_i32().is_ok());
            }
            assert_eq!(found.get("Array")?.get_str_at(1)?, "two");
            assert_eq!(found.fields()?.count(), 8);
            let key = KeyBuilder::new(storage::VIEW, "shop.Numbers");
            let mut rows = cx.read_values(&key)?;
            while let Some(row) = rows.next()? {
                let id = row.key().get_i32("Id")?;
                let text = row.value().get_str("Text")?;
                let mut record = cx.update_value(&number(id), &row.value())?;
                record.put_str("Text", text).put_f64("Float", sum).put_value("Copy", row.value())?;
                record.put_object("Object", |object| {
                    object.put_i32("One", 1).put_i64("Two", 2).put_f32("Three", 3.0).put_bool("Four", true);
                    object.put_bytes("Five", b"5").put_qname("Six", QName { package: "a", entity: "b" });
                    object.put_array("Seven", |array| {
                        array.push_i32(1).push_str("2");
                    });
                });
            }
            drop(rows);
            cx.scope(|cx| cx.get_value(&number(5)).map(drop))?;
            cx.info("a log line");
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(outcome.intents().count(), 200);
        assert_eq!(count, 0, "with an exchange region of {exchange} bytes");
    }
}

#[test]
fn failing_allocates_nothing() {
    let failing: [fn(&mut Context<'_>) -> Result<()>; 8] = [
        |cx| cx.get_value(&number(1000)).map(drop),
        |cx| cx.get_value(&number(1))?.get_i32("Text").map(drop),
        |cx| {
            cx.get_value(&number(1))?
                .get("a name that is longer than what an error keeps of it, by some bytes")
                .map(drop)
        },
        |cx| cx.get_value(&number(1))?.get("Array")?.item(9).map(drop),
        |cx| {
            let mut key = number(1);
            key.put_bytes("Long", &[0; 600]);
            cx.new_value(&key).map(drop)
        },
        |cx| loop {
            cx.get_value(&number(1))?;
        },
        |_| Err("literal".into()),
        |_| Err(Error::application(1, "literal")),
    ];
    for (at, extension) in failing.into_iter().enumerate() {
        let (count, outcome) = allocations(65_536, extension);
        assert!(outcome.result.is_err());
        assert_eq!(count, 0, "the {at}th");
    }
}

#[function(strict = false)]
fn sizes(numbers: &[i64], words: List<&str>, word: Option<&str>, number: i64) -> i64 {
    let known = numbers.iter().sum::<i64>() + number + i64::from(word.is_some());
    words.iter().fold(known, |sum, word| sum + word.chars().map(|_| 1).sum::<i64>())
}

/// The address of a static value.
fn address_of<T>(value: &'static T) -> u32 {
    address(std::ptr::from_ref(value).cast(), size_of::<T>())
}

#[test]
fn typed_functions_allocate_nothing_for_arguments_and_numbers() {
    let rows = 4;
    let (ones, ends) = (address_of(&[1_i64; 4]), address_of(&[0_u32, 1, 2, 3, 4]));
    let numbers = Column { rows, values: ones, ..Column::default() };
    let words = Column { rows, values: address_of(b"word"), offsets: ends, ..Column::default() };
    let placed = |column: Column| address_of(Box::leak(Box::new(column)));
    let list = |items| Column { rows, offsets: ends, child: placed(items), ..Column::default() };
    let child = placed(words);
    let constant = Column { encoding: Encoding::Constant as u32, rows, child, ..Column::default() };
    let null = Column { validity: address_of(&[0b1011_u8]), ..numbers };
    for (last, done) in [(numbers, Ok(())), (null, Err(2))] {
        for word in [words, constant] {
            let columns = address_of(Box::leak(Box::new([list(numbers), list(words), word, last])));
            let room: &'static mut [i64; 4] = Box::leak(Box::default());
            let values = address(room.as_mut_ptr().cast(), size_of_val(room));
            let result: &'static mut Column = Box::leak(Box::new(Column { rows, values, ..Column::default() }));
            let result = address(std::ptr::from_mut(result).cast(), size_of::<Column>());
            let (count, _) = allocations(65_536, |_| {
                // SAFETY: the columns are of the function's types, and static.
                let called = unsafe { <__guest_function_sizes as Function>::batch(rows, columns, result) };
                assert_eq!(called.map_err(|failed| failed.row), done);
                Ok(())
            });
            assert_eq!(count, 0);
        }
    }
}

/// Reads fields of every type, by paths of both kinds.
#[function]
fn fields(document: Document, path: &str) -> Result<f64> {
    let mut sum = document.score() + document.get_f64(path!("a.b[1].c"))?.unwrap_or(0.0);
    for item in document.get_list("a.b")?.into_iter().flatten() {
        sum += if item?.is_some() { 1.0 } else { 0.0 };
    }
    let known = document.get_bool(path!("yes"))? == Some(true) && document.get_str(path)?.is_some();
    let length = document.get_list_len("a.\"b\"")?.unwrap_or(0);
    Ok(sum + document.get_i64("a.b.0")?.unwrap_or(0) as f64 + length as f64 + f64::from(u8::from(known)))
}

#[test]
fn reading_the_fields_of_a_document_allocates_nothing() {
    let json = r#"{"id": "x", "score": 0.5, "a": {"b": [7, {"c": 0.25}, null]}, "yes": true, "text": "t"}"#;
    let document = DocumentBuf::from_json(json).unwrap();
    for (path, sum) in [("text", Ok(13.75)), ("id.x", Ok(12.75)), ("a.b", Err(())), ("a..b", Err(()))] {
        let (count, _) = allocations(65_536, |_| {
            assert_eq!(fields(document.as_document(), path).map_err(drop), sum, "{path}");
            Ok(())
        });
        assert_eq!(count, 0, "{path}");
    }
}

#[test]
fn building_and_reading_flat_values_allocates_nothing() {
    use guest_sdk::flat::{Builder, List, Text, items, measure, read};

    type Lines = List<(u32, Option<Text>, List<f64>)>;
    let mut buffer = vec![0; 4096];
    let (count, _) = allocations(65_536, |_| {
        let words = ["tea", "", "jam"];
        let lines = items(words.iter().zip(1..).map(|(word, number)| (number, Some(*word), [0.5, 0.25])));
        let size = measure::<Lines>(&lines).unwrap();
        assert!(Builder::new(&mut buffer[..size - 1]).build::<Lines>(&lines).is_err());
        let bytes = Builder::new(&mut buffer).build::<Lines>(&lines).unwrap();
        assert!(read::<Lines>(&bytes[..size - 1]).is_err());
        let sum = read::<Lines>(bytes).unwrap().iter().fold(0.0, |sum, (number, word, numbers)| {
            sum + f64::from(number) + word.map_or(0, str::len) as f64 + numbers.iter().sum::<f64>()
        });
        assert_eq!(sum, 14.25);
        let mut list = Builder::new(&mut buffer).list::<(Text, List<Text>)>().unwrap();
        while list.push(("a line", words)).is_ok() {}
        let pushed = list.len();
        assert_eq!(read::<List<(Text, List<Text>)>>(list.finish()).unwrap().len(), pushed);
        Ok(())
    });
    assert_eq!(count, 0);
}
