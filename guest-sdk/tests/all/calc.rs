//! The design's example, end to end.

use guest_sdk::testing::{MemoryState, Operation};
use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

#[extension]
fn calc_ordered_items(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let order = event.get("ArgumentObject")?;
    let mut total = 0;
    for item in order.get("Items")?.items()? {
        total += i64::from(item.get_i32("Quantity")?) * item.get_i64("SinglePrice")?;
    }
    let mut key = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
    key.put_i32("Year", order.get_i32("Year")?).put_i32("Month", order.get_i32("Month")?);
    match cx.query_value(&key)? {
        None => {
            cx.new_value(&key)?.put_i64("Amount", total);
        }
        Some(found) => {
            let amount = found.get_i64("Amount")? + total;
            cx.update_value(&key, &found)?.put_i64("Amount", amount);
        }
    }
    Ok(())
}

#[test]
fn the_first_call_makes_the_record_and_the_second_changes_it() {
    let mut state = MemoryState::new();
    state
        .put(
            storage::EVENT,
            "",
            |_| {},
            |event| {
                event.put_object("ArgumentObject", |order| {
                    order.put_i32("Year", 2023).put_i32("Month", 1);
                    order.put_array("Items", |items| {
                        for (quantity, price) in [(2, 50), (1, 300)] {
                            items.push_object(|item| {
                                item.put_i32("Quantity", quantity).put_i64("SinglePrice", price);
                            });
                        }
                    });
                });
            },
        )
        .unwrap();
    let mut host = crate::host(state);

    let outcome = host.call(calc_ordered_items);
    outcome.unwrap();
    assert_eq!(outcome.crossings.get, 2);
    assert_eq!(outcome.crossings.intents, 0);
    let intents: Vec<_> = outcome.intents().collect();
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].operation, Operation::New);
    assert_eq!(intents[0].entity, "example.com/shop.OrderedItems");
    assert_eq!(intents[0].key.get_i32("Year"), Ok(2023));
    assert_eq!(intents[0].value.get_i64("Amount"), Ok(400));
    assert_eq!(host.apply(&outcome), Ok(1));

    let outcome = host.call(calc_ordered_items);
    let intent = outcome.intents().next().unwrap();
    assert_eq!(intent.operation, Operation::Update);
    assert_eq!(intent.value.get_i64("Amount"), Ok(800));
    assert_eq!(host.apply(&outcome), Ok(1));
    assert_eq!(host.state().len(), 2);
}
