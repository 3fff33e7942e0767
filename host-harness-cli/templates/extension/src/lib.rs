//! Extension functions. A host calls each of them by its name.

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

/// The view that `add_order` keeps: a record for each month.
const MONTHS: &str = "example.com/shop.Months";

/// Adds the order in the event to the record of its month, and remembers the order's three largest items.
#[extension]
pub fn add_order(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let order = event.get("ArgumentObject")?;
    let mut amounts = Vec::new();
    for item in order.get("Items")?.items()? {
        amounts.push(i64::from(item.get_i32("Quantity")?) * item.get_i64("Price")?);
    }
    amounts.sort_unstable_by(|one, other| other.cmp(one));
    let total: i64 = amounts.iter().sum();

    let mut key = KeyBuilder::new(storage::VIEW, MONTHS);
    key.put_i32("Year", order.get_i32("Year")?)
        .put_i32("Month", order.get_i32("Month")?);
    let found = cx.query_value(&key)?;
    let mut month = match &found {
        None => {
            let mut month = cx.new_value(&key)?;
            month.put_i64("Orders", 1).put_i64("Total", total);
            month
        }
        Some(found) => {
            let (orders, so_far) = (found.get_i64("Orders")?, found.get_i64("Total")?);
            let mut month = cx.update_value(&key, found)?;
            month
                .put_i64("Orders", orders + 1)
                .put_i64("Total", so_far + total);
            month
        }
    };
    month.put_array("LargestItems", |largest| {
        for amount in amounts.iter().take(3) {
            largest.push_i64(*amount);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use guest_sdk::ErrorCode;
    use guest_sdk::testing::{Failure, Host, MemoryState, Operation};

    use super::*;

    /// A state with an order of these quantities and prices.
    fn with_order(items: &[(i32, i64)]) -> Host {
        let mut state = MemoryState::new();
        let event = |event: &mut guest_sdk::testing::RecordWriter<'_>| {
            event.put_object("ArgumentObject", |order| {
                order.put_i32("Year", 2026).put_i32("Month", 11);
                order.put_array("Items", |list| {
                    for (quantity, price) in items {
                        list.push_object(|item| {
                            item.put_i32("Quantity", *quantity).put_i64("Price", *price);
                        });
                    }
                });
            });
        };
        state.put(storage::EVENT, "", |_| {}, event).unwrap();
        Host::new(state)
    }

    #[test]
    fn the_first_order_makes_the_month_and_the_second_adds_to_it() {
        let mut host = with_order(&[(2, 250), (1, 1200), (10, 30), (1, 5)]);
        for (operation, orders, total) in [(Operation::New, 1, 2005), (Operation::Update, 2, 4010)]
        {
            let outcome = host.call(add_order);
            outcome.unwrap();
            let intent = outcome.intents().next().unwrap();
            assert_eq!((intent.operation, intent.entity), (operation, MONTHS));
            assert_eq!(
                (
                    intent.value.get_i64("Orders"),
                    intent.value.get_i64("Total")
                ),
                (Ok(orders), Ok(total))
            );
            let largest = intent.value.get("LargestItems").unwrap();
            assert_eq!(
                (largest.len(), largest.get_i64_at(0), largest.get_i64_at(2)),
                (Ok(3), Ok(1200), Ok(300))
            );
            host.apply(&outcome).unwrap();
        }
    }

    #[test]
    fn without_an_event_it_fails_and_leaves_nothing() {
        let outcome = Host::new(MemoryState::new()).call(add_order);
        assert!(matches!(
            outcome.unwrap_failure(),
            Failure::Error {
                code: ErrorCode::Absent,
                ..
            }
        ));
        assert_eq!(outcome.intents().count(), 0);
    }
}
