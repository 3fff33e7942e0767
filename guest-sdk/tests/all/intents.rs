//! Intents through a buffer that they do not fit.

use guest_sdk::testing::{MemoryState, Outcome};
use guest_sdk::{Context, KeyBuilder, ObjectWriter, Result, storage};
use proptest::prelude::*;

use crate::host;

/// A field to be put.
#[derive(Debug, Clone)]
enum Field {
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Truth(bool),
    Object(Vec<(String, Field)>),
    Array(Vec<String>),
}

fn field() -> impl Strategy<Value = Field> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Field::Integer),
        any::<f64>().prop_map(Field::Float),
        "[a-zä]{0,80}".prop_map(Field::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Field::Bytes),
        any::<bool>().prop_map(Field::Truth),
        proptest::collection::vec("[a-z]{0,9}", 0..6).prop_map(Field::Array),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        proptest::collection::vec(("[a-z]{1,8}", inner), 0..5).prop_map(Field::Object)
    })
}

fn put(object: &mut ObjectWriter<'_>, name: &str, field: &Field) {
    match field {
        Field::Integer(value) => {
            object.put_i64(name, *value);
        }
        Field::Float(value) => {
            object.put_f64(name, *value);
        }
        Field::Text(value) => {
            object.put_str(name, value);
        }
        Field::Bytes(value) => {
            object.put_bytes(name, value);
        }
        Field::Truth(value) => {
            object.put_bool(name, *value);
        }
        Field::Object(fields) => object.put_object(name, |object| {
            for (name, field) in fields {
                put(object, name, field);
            }
        }),
        Field::Array(texts) => object.put_array(name, |array| {
            for text in texts {
                array.push_str(text);
            }
        }),
    }
}

fn write(cx: &mut Context, intents: &[Field]) -> Result<()> {
    for (id, field) in (0..).zip(intents) {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Things");
        key.put_i32("Id", id);
        cx.new_value(&key)?.put_object("Wrapped", |object| put(object, "Field", field));
    }
    Ok(())
}

fn written(exchange: usize, intents: &[Field]) -> Outcome {
    host(MemoryState::new()).exchange_size(exchange).call(|cx| write(cx, intents))
}

proptest! {
    #[test]
    fn the_size_of_the_buffer_makes_no_difference(
        intents in proptest::collection::vec(field(), 0..8),
        exchange in 0_usize..2000,
    ) {
        let whole = written(1 << 20, &intents);
        whole.unwrap();
        prop_assert_eq!(whole.crossings.intents, 0);
        prop_assert_eq!(whole.intents().count(), intents.len());
        let cut = written(exchange, &intents);
        cut.unwrap();
        prop_assert_eq!(cut.encoded_intents(), whole.encoded_intents());
    }
}

#[test]
fn an_intent_may_be_larger_than_the_exchange_region() {
    let text = "x".repeat(1_000_000);
    let outcome = host(MemoryState::new()).exchange_size(4096).call(|cx| {
        let mut record = cx.new_value(&KeyBuilder::new(storage::RECORD, ""))?;
        record.put_str("Before", "b").put_str("Text", &text).put_i32("Behind", 1);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(outcome.crossings.intents, 2, "what was before it, and the text as it lies in memory");
    let value = outcome.intents().next().unwrap().value;
    assert_eq!(value.get_str("Text"), Ok(text.as_str()));
    assert_eq!(value.get_i32("Behind"), Ok(1));
}

#[test]
fn an_intent_ends_where_its_writer_is_dropped_even_by_an_error() {
    let outcome = host(MemoryState::new()).call(|cx| {
        let key = KeyBuilder::new(storage::RECORD, "");
        let stopped: Result<()> = cx.new_value(&key)?.put_array("Items", |items| {
            items.push_i32(1);
            items.push_object(|object| {
                object.put_i32("One", 1);
                Err("stop".into())
            })
        });
        assert!(stopped.is_err());
        cx.new_value(&key)?.put_i32("Next", 2);
        Ok(())
    });
    outcome.unwrap();
    let intents: Vec<_> = outcome.intents().collect();
    assert_eq!(intents.len(), 2);
    assert_eq!(intents[0].value.get("Items").unwrap().len(), Ok(2));
    assert_eq!(intents[1].value.get_i32("Next"), Ok(2));
}

#[test]
#[expect(deprecated, reason = "the old names are tested")]
fn the_old_names_of_text_write_the_same() {
    let old = host(MemoryState::new()).call(|cx| {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Things");
        key.put_string("Name", "n");
        let mut intent = cx.new_value(&key)?;
        intent.put_string("Text", "a").put_array("Texts", |array| {
            array.push_string("b").push_object(|object| {
                object.put_string("Inner", "c");
            });
        });
        Ok(())
    });
    let new = host(MemoryState::new()).call(|cx| {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Things");
        key.put_str("Name", "n");
        let mut intent = cx.new_value(&key)?;
        intent.put_str("Text", "a").put_array("Texts", |array| {
            array.push_str("b").push_object(|object| {
                object.put_str("Inner", "c");
            });
        });
        Ok(())
    });
    old.unwrap();
    assert_eq!(old, new);
}
