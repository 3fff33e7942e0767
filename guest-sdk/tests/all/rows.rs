//! Reading many rows through little room.

use guest_sdk::testing::{MemoryState, Outcome};
use guest_sdk::{ErrorCode, KeyBuilder, Result, storage};
use proptest::prelude::*;

use crate::{host, number, numbered};

fn all() -> KeyBuilder {
    KeyBuilder::new(storage::VIEW, "shop.Numbers")
}

fn sum(state: MemoryState, exchange: usize, count: &mut i32) -> Outcome {
    host(state).exchange_size(exchange).call(|cx| {
        *count = 0;
        let key = all();
        let mut rows = cx.read_values(&key)?;
        while let Some(row) = rows.next()? {
            assert_eq!(row.key().get_i32("Id")?, *count);
            assert_eq!(row.value().get_i32("Number")?, 10 * *count);
            *count += 1;
        }
        assert!(rows.next()?.is_none(), "the end is where it was");
        Ok(())
    })
}

#[test]
fn many_rows_come_in_few_chunks() {
    let mut count = 0;
    let outcome = sum(numbered(1000, "text"), 65_536, &mut count);
    outcome.unwrap();
    assert_eq!(count, 1000);
    // 1000 rows of about 29 bytes in chunks of 24 KiB, and the crossing that finds the end.
    assert_eq!(outcome.crossings.read, 3);
}

#[test]
fn no_rows_are_no_error() {
    let mut count = 7;
    sum(MemoryState::new(), 65_536, &mut count).unwrap();
    assert_eq!(count, 0);
}

#[test]
fn rows_of_a_partial_key_only() {
    let mut state = MemoryState::new();
    for (year, month) in [(2022, 1), (2022, 2), (2023, 1), (2023, 12)] {
        let put = state.put(
            storage::VIEW,
            "shop.Orders",
            |key| {
                key.put_i32("Month", month).put_i32("Year", year);
            },
            |value| {
                value.put_i32("Sum", year + month);
            },
        );
        put.unwrap();
    }
    let mut found = Vec::new();
    host(state)
        .call(|cx| {
            let mut key = KeyBuilder::new(storage::VIEW, "shop.Orders");
            key.put_i32("Year", 2022);
            cx.read_values(&key)?.for_each(|row| {
                found.push(row.value().get_i32("Sum")?);
                Ok(())
            })
        })
        .unwrap();
    assert_eq!(found, [2023, 2024]);
}

#[test]
fn gets_and_intents_and_other_rows_fit_between_the_steps() {
    let mut host = host(numbered(20, "text"));
    let outcome = host.call(|cx| {
        let key = all();
        let mut rows = cx.read_values(&key)?;
        while let Some(row) = rows.next()? {
            let id = row.key().get_i32("Id")?;
            let same = cx.get_value(&number(id))?;
            assert_eq!(same, row.value());
            let mut others = 0;
            cx.read_values(&key)?.for_each(|other| {
                others += other.value().get_i32("Number")?;
                Ok(())
            })?;
            assert_eq!(others, 1900);
            cx.update_value(&number(id), &same)?.put_i32("Number", others + id);
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(outcome.intents().count(), 20);
    assert_eq!(outcome.intents().last().unwrap().value.get_i32("Number"), Ok(1919));
}

#[test]
fn the_room_of_rows_is_there_again_behind_the_loop() {
    let mut host = host(numbered(30, &"x".repeat(100))).exchange_size(1000);
    host.call(|cx| {
        let key = all();
        for _ in 0..100 {
            let mut rows = cx.read_values(&key)?;
            while rows.next()?.is_some() {}
        }
        // Two at once, dropped in either order, the last two of which keep some room until the call ends.
        for _ in 0..2 {
            let one = cx.read_values(&key)?;
            let mut other = cx.read_values(&key)?;
            assert!(other.next()?.is_some());
            drop(one);
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn rows_that_grow_inside_a_scope_keep_their_room() {
    let mut state = numbered(3, "short");
    for (id, length) in [(10, 300), (11, 310)] {
        let put = state.put(
            storage::VIEW,
            "shop.Numbers",
            |key| {
                key.put_i32("Id", id);
            },
            |value| {
                value.put_i32("Number", 10 * id).put_str("Text", &"x".repeat(length));
            },
        );
        put.unwrap();
    }
    host(state)
        .exchange_size(600)
        .call(|cx| {
            let key = all();
            let mut rows = cx.read_values(&key)?;
            let mut ids = Vec::new();
            loop {
                let row = cx.scope(|cx| {
                    cx.get_value(&number(0))?;
                    Ok::<_, guest_sdk::Error>(match rows.next()? {
                        Some(row) => Some((row.key().get_i32("Id")?, row.value().get_str("Text")?.len())),
                        None => None,
                    })
                })?;
                let Some(row) = row else { break };
                let value = cx.scope(|cx| cx.get_value(&number(1))?.get_i32("Number"))?;
                assert_eq!(value, 10);
                ids.push(row);
            }
            assert_eq!(ids, [(0, 5), (1, 5), (2, 5), (10, 300), (11, 310)]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_row_that_does_not_fit_is_an_error() {
    let outcome = host(numbered(1, &"x".repeat(2000))).exchange_size(2000).call(|cx| {
        let key = all();
        let result = cx.read_values(&key)?.next().map(drop);
        assert_eq!(result.as_ref().unwrap_err().code(), ErrorCode::ExchangeFull);
        result
    });
    assert!(outcome.unwrap_failure().to_string().contains("has 1500 bytes left, the value needs 2"));
}

#[test]
fn an_error_of_the_step_ends_the_loop() {
    let mut steps = 0;
    let outcome = host(numbered(5, "")).call(|cx| -> Result<()> {
        cx.read_values(&all())?.for_each(|_| {
            steps += 1;
            if steps == 2 { Err("enough".into()) } else { Ok(()) }
        })
    });
    assert_eq!(outcome.unwrap_failure().to_string(), "error 1000: enough");
    assert_eq!(steps, 2);
}

proptest! {
    #[test]
    fn every_row_comes_once_and_in_order_whatever_the_room(
        count in 0..60,
        length in 0_usize..200,
        room in 0_usize..3000,
    ) {
        // A row is at most 230 bytes; beside it must lie the key of the one before.
        let mut seen = 0;
        let outcome = sum(numbered(count, &"x".repeat(length)), 400 + room, &mut seen);
        outcome.unwrap();
        prop_assert_eq!(seen, count);
    }
}
