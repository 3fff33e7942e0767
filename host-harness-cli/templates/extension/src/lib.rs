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
    use guest_sdk::testing::{Failure, Host, MemoryState};

    use super::*;

    #[test]
    fn the_first_order_makes_the_month() {
        let mut state = MemoryState::new();
        let event = |event: &mut guest_sdk::testing::RecordWriter<'_>| {
            event.put_object("ArgumentObject", |order| {
                order.put_i32("Year", 2026).put_i32("Month", 12);
                order.put_array("Items", |items| {
                    items.push_object(|item| {
                        item.put_i32("Quantity", 2).put_i64("Price", 250);
                    });
                });
            });
        };
        state.put(storage::EVENT, "", |_| {}, event).unwrap();
        let outcome = Host::new(state).call(add_order);
        outcome.unwrap();
        let expected = "\
new sys.View example.com/shop.Months {Month: 12, Year: 2026}
  LargestItems: [500]
  Orders: 1
  Total: 500";
        assert_eq!(outcome.intents().to_string(), expected);
    }

    #[test]
    fn each_order_is_added_to_its_month() {
        // An order, and its month with the order before it: the records that `host-harness` reads.
        let mut host = Host::from_state_file("state.json");
        let outcome = host.call(add_order);
        outcome.unwrap();
        let expected = "\
update sys.View example.com/shop.Months {Month: 11, Year: 2026}
  LargestItems: [1200, 500, 300]
  Orders: 2
  Total: 2400";
        assert_eq!(outcome.intents().to_string(), expected);
        host.apply(&outcome).unwrap();

        let outcome = host.call(add_order);
        let intent = outcome.intents().next().unwrap();
        assert_eq!(intent.value.get_i64("Orders"), Ok(3));
        assert_eq!(intent.value.get_i64("Total"), Ok(4400));
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
