//! Reading many rows: by steps, by a closure, inside each other.

use guest_sdk_exttinygo::testing::{Host, MemoryState};
use guest_sdk_exttinygo::{KeyBuilder, QName, storage};

use crate::{number, numbered};

fn all() -> KeyBuilder {
    KeyBuilder::new(storage::VIEW, "shop.Numbers")
}

#[test]
fn both_ways_give_every_row_in_order() {
    for count in [0, 1, 1000] {
        let outcome = numbered(count, &"x".repeat(100)).call(|cx| {
            let key = all();
            let mut rows = cx.read_values(&key)?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                assert_eq!(row.value().get_i32("Number")?, 10 * row.key().get_i32("Id")?);
                ids.push(row.key().get_i32("Id")?);
            }
            assert!(rows.next()?.is_none(), "the end is where it was");
            assert_eq!(ids, (0..count).collect::<Vec<_>>());
            cx.read_values(&key)?.for_each(|row| {
                assert_eq!(row.key().get_i64("Id")?, i64::from(ids.remove(0)));
                Ok(())
            })?;
            assert!(ids.is_empty());
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(outcome.crossings.read, 2);
    }
}

#[test]
fn rows_of_which_some_were_asked_for_go_on_behind_them() {
    let outcome = numbered(5, "").call(|cx| {
        let key = all();
        let mut rows = cx.read_values(&key)?;
        rows.next()?;
        let mut rest = Vec::new();
        rows.for_each(|row| {
            rest.push(row.key().get_i32("Id")?);
            Ok(())
        })?;
        assert_eq!(rest, [1, 2, 3, 4]);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(outcome.crossings.read, 1);
}

#[test]
fn rows_of_a_partial_key_and_whatever_a_key_has() {
    let name = QName { package: "shop", entity: "Order" };
    let mut state = MemoryState::new();
    for year in [2022, 2023] {
        let put = state.put(
            storage::VIEW,
            "shop.Orders",
            |key| {
                key.put_i32("Year", year).put_str("Text", "größe").put_bytes("Bytes", &[0, 255]);
                key.put_bool("Bool", true).put_qname("Name", name).put_f32("Narrow", 0.5).put_f64("Float", 0.25);
            },
            |_| {},
        );
        put.unwrap();
    }
    let mut seen = 0;
    Host::new(state)
        .call(|cx| {
            let mut key = KeyBuilder::new(storage::VIEW, "shop.Orders");
            key.put_i32("Year", 2023);
            cx.read_values(&key)?.for_each(|row| {
                let key = row.key();
                assert_eq!((key.get_i32("Year")?, key.get_str("Text")?), (2023, "größe"));
                assert_eq!((key.get_bytes("Bytes")?, key.get_bool("Bool")?), (&[0, 255][..], true));
                assert_eq!((key.get_f32("Narrow")?, key.get_f64("Float")?), (0.5, 0.25));
                assert_eq!(key.get_qname("Name")?, name);
                seen += 1;
                Ok(())
            })
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn gets_intents_and_other_rows_fit_between_the_steps() {
    let outcome = numbered(20, "text").call(|cx| {
        let key = all();
        let mut rows = cx.read_values(&key)?;
        while let Some(row) = rows.next()? {
            let id = row.key().get_i32("Id")?;
            let mut others = 0;
            cx.read_values(&key)?.for_each(|other| {
                others += other.value().get_i32("Number")?;
                Ok(())
            })?;
            let same = cx.get_value(&number(id))?;
            cx.update_value(&number(id), &same)?.put_i32("Number", others + id);
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(outcome.intents().count(), 20);
    assert_eq!(outcome.intents().last().unwrap().value.get_i32("Number"), Ok(1919));
}
