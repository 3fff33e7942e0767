//! Values of every kind, there and back; the exchange region and its scopes.

use guest_sdk::testing::MemoryState;
use guest_sdk::{ErrorCode, KeyBuilder, Kind, QName, storage};
use proptest::prelude::*;

use crate::{host, number, numbered};

const NAME: QName<'static> = QName { package: "shop", entity: "Order" };

#[test]
fn every_kind_is_put_and_read_back() {
    let key = KeyBuilder::new(storage::RECORD, "kinds");
    let mut host = host(MemoryState::new());
    let written = host.call(|cx| {
        let mut record = cx.new_value(&key)?;
        record
            .put_i32("i32", i32::MIN)
            .put_i64("i64", i64::MAX)
            .put_f32("f32", 1.5)
            .put_f64("f64", 0.1)
            .put_str("text", "größe")
            .put_bytes("bytes", &[0, 255])
            .put_bool("bool", true)
            .put_qname("name", NAME);
        let inner = record.put_object("object", |object| {
            object.put_i32("a", 1).put_bool("b", false);
            "what the closure returns"
        });
        assert_eq!(inner, "what the closure returns");
        record.put_array("array", |array| {
            array.push_i32(1).push_str("two").push_f64(3.5).push_bool(true).push_bytes(b"5").push_qname(NAME);
            array.push_object(|object| {
                object.put_i32("seven", 7);
            });
        });
        Ok(())
    });
    written.unwrap();
    host.apply(&written).unwrap();
    host.call(|cx| {
        let value = cx.get_value(&key)?;
        assert_eq!(value.get_i32("i32")?, i32::MIN);
        assert_eq!(value.get_i64("i64")?, i64::MAX);
        assert_eq!(value.get_f32("f32")?, 1.5);
        assert_eq!(value.get_f64("f64")?, 0.1);
        assert_eq!(value.get_str("text")?, "größe");
        assert_eq!(value.get_bytes("bytes")?, [0, 255]);
        assert!(value.get_bool("bool")?);
        assert_eq!(value.get_qname("name")?, NAME);
        assert_eq!(value.get("object")?.get_i32("a")?, 1);
        assert_eq!(value.find("object")?.unwrap().len()?, 2);
        assert_eq!(value.find("absent")?, None);
        assert_eq!((value.kind()?, value.len()?), (Kind::Object, 10));
        let names: Vec<_> = value.fields()?.map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["i32", "i64", "f32"]);
        let array = value.get("array")?;
        assert_eq!((array.kind()?, array.len()?), (Kind::Array, 7));
        assert_eq!(array.get_i32_at(0)?, 1);
        assert_eq!(array.get_str_at(1)?, "two");
        assert_eq!(array.get_f64_at(2)?, 3.5);
        assert!(array.get_bool_at(3)?);
        assert_eq!(array.get_bytes_at(4)?, b"5");
        assert_eq!(array.get_qname_at(5)?, NAME);
        assert_eq!(array.item(6)?.get_i32("seven")?, 7);
        assert_eq!(array.item(7).unwrap_err().code(), ErrorCode::MissingElement);
        assert_eq!(array.get_i32_at(1).unwrap_err().to_string(), "element 1: asked for i32, found string");
        assert_eq!(array.items()?.count(), 7);
        // Integers are read by any type that holds them exactly, floats as the nearest value.
        assert_eq!(value.get_i64("i32")?, i64::from(i32::MIN));
        assert_eq!(value.get_f32("f64")?, 0.1);
        assert_eq!(value.get_f64("f32")?, 1.5);
        assert_eq!(value.get_i32("i64").unwrap_err().code(), ErrorCode::OutOfRange);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_value_that_was_read_can_be_put_into_an_intent() {
    let mut host = host(numbered(1, "text"));
    let outcome = host.call(|cx| {
        let found = cx.get_value(&number(0))?;
        cx.new_value(&number(9))?.put_value("Copy", found.get("Text")?)?.put_value("Whole", found)?;
        Ok(())
    });
    outcome.unwrap();
    let value = outcome.intents().next().unwrap().value;
    assert_eq!(value.get_str("Copy"), Ok("text"));
    assert_eq!(value.get("Whole").unwrap().get_i32("Number"), Ok(0));
}

#[test]
fn values_stay_while_others_are_read() {
    host(numbered(100, "some text"))
        .call(|cx| {
            let mut values = Vec::new();
            for id in 0..100 {
                values.push(cx.get_value(&number(id))?);
            }
            for (id, value) in (0..).zip(&values) {
                assert_eq!(value.get_i32("Number")?, 10 * id);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_scope_gives_its_room_back_and_no_other() {
    let mut host = host(numbered(100, &"x".repeat(100))).exchange_size(600);
    host.call(|cx| {
        let first = cx.get_value(&number(1))?;
        let mut sum = 0;
        for id in 0..100 {
            sum += cx.scope(|cx| {
                let value = cx.get_value(&number(id))?;
                let inner = cx.scope(|cx| cx.get_value(&number(99))?.get_i32("Number"))?;
                Ok::<_, guest_sdk::Error>(value.get_i32("Number")? + inner - 990)
            })?;
        }
        assert_eq!(sum, 49500);
        assert_eq!(first.get_i32("Number")?, 10);
        Ok(())
    })
    .unwrap();
    let outcome = host.call(|cx| {
        for id in 0..100 {
            cx.get_value(&number(id))?;
        }
        Ok(())
    });
    assert!(outcome.unwrap_failure().to_string().contains("use a larger region"));
}

proptest! {
    #[test]
    fn scalars_come_back_as_they_were_put(
        integer: i64, float: f64, narrow: f32, text: String, bytes: Vec<u8>, truth: bool,
        field in "[A-Za-zäöü]{1,40}", exchange in 4000_usize..70_000,
    ) {
        let key = number(3);
        let mut host = host(MemoryState::new()).exchange_size(exchange);
        let outcome = host.call(|cx| {
            let mut record = cx.new_value(&key)?;
            record.put_object(&field, |object| {
                object.put_i64("i", integer).put_f64("d", float).put_f32("f", narrow).put_str("s", &text);
                object.put_bytes("b", &bytes).put_bool("t", truth);
            });
            Ok(())
        });
        outcome.unwrap();
        host.apply(&outcome).unwrap();
        host.call(|cx| {
            let value = cx.get_value(&key)?.get(&field)?;
            assert_eq!(value.get_i64("i")?, integer);
            assert_eq!(value.get_f64("d")?.to_bits(), float.to_bits());
            assert_eq!(value.get_f32("f")?.to_bits(), narrow.to_bits());
            assert_eq!(value.get_str("s")?, text);
            assert_eq!(value.get_bytes("b")?, bytes);
            assert_eq!(value.get_bool("t")?, truth);
            Ok(())
        }).unwrap();
    }
}
