//! Values of every kind, there and back, and how often that crosses to the host.

use guest_sdk_exttinygo::testing::{Crossings, Host, MemoryState, Operation};
use guest_sdk_exttinygo::{KeyBuilder, QName, storage};
use proptest::prelude::*;

use crate::{number, numbered};

const NAME: QName<'static> = QName { package: "shop", entity: "Order" };

#[test]
fn every_kind_is_put_and_read_back() {
    let mut key = KeyBuilder::<1024>::with_capacity(storage::RECORD, "kinds");
    key.put_i32("i32", -5).put_i64("i64", 1 << 40).put_f32("f32", 0.5).put_f64("f64", 0.1);
    key.put_str("text", "größe").put_bytes("bytes", &[1]).put_bool("bool", false).put_qname("name", NAME);
    let mut host = Host::new(MemoryState::new());
    let written = host.call(|cx| {
        let mut record = cx.new_value(&key)?;
        record.put_i32("i32", i32::MIN).put_i64("i64", i64::MAX).put_f32("f32", 1.5).put_f64("f64", 0.1);
        record.put_str("text", "größe").put_bytes("bytes", &[0, 255]).put_bool("bool", true);
        record.put_qname("name", NAME);
        Ok(())
    });
    written.unwrap();
    host.apply(&written).unwrap();
    host.call(|cx| {
        let value = cx.get_value(&key)?;
        assert_eq!((value.get_i32("i32")?, value.get_i64("i64")?), (i32::MIN, i64::MAX));
        assert_eq!((value.get_f32("f32")?, value.get_f64("f64")?), (1.5, 0.1));
        assert_eq!(value.get_f32("f64")?, 0.1, "the nearest");
        assert_eq!((value.get_str("text")?, value.get_bytes("bytes")?), ("größe", &[0, 255][..]));
        assert!(value.get_bool("bool")?);
        assert_eq!(value.get_qname("name")?, NAME);
        // Numbers are read by any type that holds them exactly.
        assert_eq!(value.get_i64("i32")?, i64::from(i32::MIN));
        Ok(())
    })
    .unwrap();
}

#[test]
fn arrays_and_nested_objects_are_read() {
    let mut state = MemoryState::new();
    let put = state.put(
        storage::EVENT,
        "",
        |_| {},
        |event| {
            event.put_array("Mixed", |array| {
                array.push_i32(1).push_str("two").push_f64(3.5).push_bool(true).push_bytes(b"5").push_qname(NAME);
                array.push_object(|object| {
                    object.put_i32("seven", 7).put_array("inner", |inner| {
                        inner.push_i64(8).push_f32(0.5);
                    });
                });
            });
        },
    );
    put.unwrap();
    Host::new(state)
        .call(|cx| {
            let array = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get("Mixed")?;
            assert_eq!(array.len()?, 7);
            assert_eq!((array.get_i32_at(0)?, array.get_str_at(1)?, array.get_f64_at(2)?), (1, "two", 3.5));
            assert_eq!(
                (array.get_bool_at(3)?, array.get_bytes_at(4)?, array.get_qname_at(5)?),
                (true, &b"5"[..], NAME)
            );
            assert_eq!(array.item(6)?.get("inner")?.get_f32_at(1)?, 0.5);
            let items: Vec<_> = array.items()?.collect();
            assert_eq!((items[0].as_i64()?, items[1].as_str()?, items[2].as_f64()?), (1, "two", 3.5));
            assert_eq!((items[3].as_bool()?, items[4].as_bytes()?, items[5].as_qname()?), (true, &b"5"[..], NAME));
            assert_eq!((items[6].get_i32("seven")?, items[6].get("inner")?.len()?), (7, 2));
            Ok(())
        })
        .unwrap();
}

#[test]
fn each_field_is_a_crossing() {
    let mut host = numbered(1, "text");
    let outcome = host.call(|cx| {
        let found = cx.get_value(&number(0))?;
        let next = found.get_i32("Number")? + 1;
        cx.update_value(&number(0), &found)?.put_i32("Number", next);
        cx.info("done");
        Ok(())
    });
    outcome.unwrap();
    // Two keys of one field each, a field that is read and one that is put.
    assert_eq!(outcome.crossings, Crossings { get: 1, read: 0, intents: 1, log: 1, fields: 6 });
    let intent = outcome.intents().next().unwrap();
    assert_eq!((intent.operation, intent.key.get_i32("Id")), (Operation::Update, Ok(0)));
    assert_eq!(host.apply(&outcome), Ok(1));
}

#[test]
fn texts_stay_until_the_call_ends() {
    numbered(100, "some text")
        .call(|cx| {
            let mut texts = Vec::new();
            for id in 0..100 {
                texts.push(cx.get_value(&number(id))?.get_str("Text")?);
            }
            assert!(texts.iter().all(|text| *text == "some text"));
            let sum: i32 = (0..100)
                .map(|id| cx.scope(|cx| cx.get_value(&number(id))?.get_i32("Number")))
                .sum::<guest_sdk_exttinygo::Result<_>>()?;
            assert_eq!(sum, 49500);
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_thread_has_a_host_of_its_own() {
    numbered(1, "here")
        .call(|cx| {
            let there = std::thread::spawn(|| numbered(0, "").call(|cx| cx.get_value(&number(0)).map(drop)));
            assert!(there.join().unwrap().result.is_err());
            assert_eq!(cx.get_value(&number(0))?.get_str("Text")?, "here");
            Ok(())
        })
        .unwrap();
}

proptest! {
    #[test]
    fn a_record_is_found_by_the_key_that_it_was_put_with(
        narrow: i32, wide: i64, shift in 0..64_u32, float in -1.0e30_f32..1.0e30, double in -1.0e300_f64..1.0e300,
        truth: bool, text in "[a-zä]{0,300}", bytes: Vec<u8>, name in "[A-Za-zä]{1,60}",
    ) {
        let mut key = KeyBuilder::<4096>::with_capacity(storage::RECORD, &text);
        key.put_i32("Narrow", narrow >> (shift / 2)).put_i64("Wide", wide >> shift).put_bool("Truth", truth);
        key.put_f32("Float", float).put_f64("Double", double).put_str(&name, &text).put_bytes("Bytes", &bytes);
        key.put_qname("QName", QName { package: &text, entity: &name });
        let mut host = Host::new(MemoryState::new());
        let outcome = host.call(|cx| {
            cx.new_value(&key)?.put_str("Text", &text).put_bytes("Bytes", &bytes);
            Ok(())
        });
        outcome.unwrap();
        host.apply(&outcome).unwrap();
        host.call(|cx| {
            let found = cx.get_value(&key)?;
            assert_eq!(found.get_str("Text")?, text);
            assert_eq!(found.get_bytes("Bytes")?, bytes);
            Ok(())
        }).unwrap();
    }
}

#[test]
#[expect(deprecated, reason = "the old names are tested")]
fn the_old_names_of_text_write_the_same() {
    let mut host = Host::new(MemoryState::new());
    let old = host.call(|cx| {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Things");
        key.put_string("Name", "n");
        cx.new_value(&key)?.put_string("Text", "a");
        Ok(())
    });
    let new = host.call(|cx| {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Things");
        key.put_str("Name", "n");
        cx.new_value(&key)?.put_str("Text", "a");
        Ok(())
    });
    old.unwrap();
    assert_eq!(old, new);
}
