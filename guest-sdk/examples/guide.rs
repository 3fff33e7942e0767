//! The samples of the book's guide to extensions, with their tests. It compiles natively and for wasm32.

use std::sync::OnceLock;

use guest_sdk::{Context, Error, ErrorCode, KeyBuilder, Level, QName, Result, extension, init, storage};

// ANCHOR: count_up
/// Counts up.
#[extension]
fn count_up(cx: &mut Context) -> Result<()> {
    let key = KeyBuilder::new(storage::RECORD, "shop.Counter");
    match cx.query_value(&key)? {
        None => {
            cx.new_value(&key)?.put_i64("Value", 1);
        }
        Some(found) => {
            let value = found.get_i64("Value")? + 1;
            cx.update_value(&key, &found)?.put_i64("Value", value);
        }
    }
    Ok(())
}
// ANCHOR_END: count_up

// ANCHOR: nested
/// Sends a mail to whom the order names.
#[extension]
fn confirm_order(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let order = event.get("ArgumentObject")?;
    let mut mail = cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?;
    mail.put_string("Subject", "Your order").put_qname("Kind", QName { package: "shop", entity: "Confirmation" });
    mail.put_object("To", |to| {
        to.put_string("Address", order.get_str("Mail")?);
        Ok::<(), Error>(())
    })?;
    mail.put_array("Lines", |lines| {
        for item in order.get("Items")?.items()? {
            lines.push_string(item.get_str("Name")?);
        }
        Ok(())
    })
}
// ANCHOR_END: nested

// ANCHOR: rows
/// Adds up the year's months.
#[extension]
fn total_of_year(cx: &mut Context) -> Result<()> {
    let mut year = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
    year.put_i32("Year", 2023);
    let mut total = 0;
    let mut rows = cx.read_values(&year)?;
    while let Some(row) = rows.next()? {
        let month = row.key().get_i32("Month")?;
        if (1..=12).contains(&month) {
            total += row.value().get_i64("Amount")?;
        }
    }
    drop(rows);
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Total", total);
    Ok(())
}
// ANCHOR_END: rows

// ANCHOR: scope
/// Adds up ten thousand records, one after the other.
#[extension]
fn total_of_records(cx: &mut Context) -> Result<()> {
    let mut total = 0;
    for id in 0..10_000 {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.Article");
        key.put_i64("Id", id);
        total += cx.scope(|cx| match cx.query_value(&key)? {
            Some(article) => article.get_i64("Stock"),
            None => Ok(0),
        })?;
    }
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Stock", total);
    Ok(())
}
// ANCHOR_END: scope

// ANCHOR: errors
/// The first of this extension's own codes: it crosses as 1000.
const NOTHING_ORDERED: u32 = 0;
/// The second: 1001.
const TOO_MUCH_ORDERED: u32 = 1;

/// Refuses orders of nothing and orders of too much.
#[extension]
fn check_order(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let items = event.get("ArgumentObject")?.get("Items")?;
    if items.len()? == 0 {
        return Err(Error::application(NOTHING_ORDERED, "the order has no items"));
    }
    for (index, item) in items.items()?.enumerate() {
        let quantity = item.get_i32("Quantity")?;
        if quantity > 1000 {
            let message = format!("item {index}: {quantity} are more than we sell at once");
            return Err(Error::application(TOO_MUCH_ORDERED, message));
        }
    }
    match event.find("Approved")?.map(|approved| approved.as_bool()) {
        Some(Err(error)) if error.code() == ErrorCode::WrongType => cx.warn("`Approved` should be a bool"),
        Some(approved) => cx.log(Level::Debug, if approved? { "approved" } else { "not approved" }),
        None => {}
    }
    Ok(())
}
// ANCHOR_END: errors

// ANCHOR: init
static SQUARES: OnceLock<Vec<u64>> = OnceLock::new();

/// Builds the table once, before the host takes its snapshot.
#[init]
fn build_squares() {
    SQUARES.get_or_init(|| (0..1000).map(|number| number * number).collect());
}

/// Looks a square up.
#[extension]
fn square(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let number = usize::try_from(event.get_i64("Number")?)?;
    let square = SQUARES.get().and_then(|squares| squares.get(number)).ok_or("numbers go up to 999")?;
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Square", i64::try_from(*square)?);
    Ok(())
}
// ANCHOR_END: init

fn main() {
    println!("This example is made of extensions and their tests: `cargo test -p guest-sdk --example guide`.");
}

// ANCHOR: tests
#[cfg(test)]
mod tests {
    use guest_sdk::testing::{Failure, Host, MemoryState, Operation};

    use super::*;

    #[test]
    fn the_first_call_makes_the_counter_and_the_second_raises_it() {
        let mut host = Host::new(MemoryState::new());
        let outcome = host.call(count_up);
        outcome.unwrap();
        let intent = outcome.intents().next().unwrap();
        assert_eq!(intent.operation, Operation::New);
        assert_eq!(intent.value.get_i64("Value"), Ok(1));
        host.apply(&outcome).unwrap();

        let outcome = host.call(count_up);
        assert_eq!(outcome.intents().next().unwrap().value.get_i64("Value"), Ok(2));
        assert_eq!(outcome.crossings.get, 1);
    }
    // ANCHOR_END: tests

    fn with_event(fill: impl FnOnce(&mut guest_sdk::testing::RecordWriter<'_>)) -> Host {
        let mut state = MemoryState::new();
        state.put(storage::EVENT, "", |_| {}, fill).unwrap();
        Host::new(state)
    }

    #[test]
    fn the_mail_is_built_from_the_order() {
        let mut host = with_event(|event| {
            event.put_object("ArgumentObject", |order| {
                order.put_string("Mail", "who@example.com");
                order.put_array("Items", |items| {
                    items.push_object(|item| {
                        item.put_string("Name", "tea");
                    });
                });
            });
        });
        let outcome = host.call(confirm_order);
        outcome.unwrap();
        let mail = outcome.intents().next().unwrap();
        assert_eq!(mail.value.get("To").unwrap().get_str("Address"), Ok("who@example.com"));
        assert_eq!(mail.value.get("Lines").unwrap().get_str_at(0), Ok("tea"));
    }

    #[test]
    fn rows_and_records_are_added_up() {
        let mut state = MemoryState::new();
        for month in 1..=12 {
            let key = |key: &mut guest_sdk::testing::RecordWriter<'_>| {
                key.put_i32("Year", 2023).put_i32("Month", month);
            };
            state
                .put(storage::VIEW, "example.com/shop.OrderedItems", key, |value| {
                    value.put_i64("Amount", 10);
                })
                .unwrap();
        }
        state
            .put(
                storage::RECORD,
                "shop.Article",
                |key| {
                    key.put_i64("Id", 7);
                },
                |value| {
                    value.put_i64("Stock", 3);
                },
            )
            .unwrap();
        let mut host = Host::new(state);
        let outcome = host.call(total_of_year);
        assert_eq!(outcome.intents().next().unwrap().value.get_i64("Total"), Ok(120));
        let outcome = host.call(total_of_records);
        assert_eq!(outcome.intents().next().unwrap().value.get_i64("Stock"), Ok(3));
    }

    #[test]
    fn an_order_of_nothing_is_refused_with_its_code() {
        let mut host = with_event(|event| {
            event.put_object("ArgumentObject", |order| order.put_array("Items", |_| ()));
        });
        // ANCHOR: failure
        let outcome = host.call(check_order);
        let expected =
            Failure::Error { code: ErrorCode::Application(1000), message: "the order has no items".to_owned() };
        assert_eq!(outcome.unwrap_failure(), &expected);
        // ANCHOR_END: failure
    }

    #[test]
    fn a_square_is_looked_up() {
        build_squares();
        let outcome = with_event(|event| {
            event.put_i64("Number", 12);
        })
        .call(square);
        assert_eq!(outcome.intents().next().unwrap().value.get_i64("Square"), Ok(144));
    }
}
