//! Orders: the command that takes one, and the projector that adds it to a view.

use crate::sdk::{Context, Error, KeyBuilder, Result, Value, extension, storage};

/// The items of an order do not add up to its total.
const WRONG_TOTAL: u32 = 1;
/// There is an order with that number.
const NUMBER_TAKEN: u32 = 2;

/// What the items of an order cost.
pub(crate) fn total_of(order: &Value) -> Result<i64> {
    let mut total = 0;
    for item in order.get("Items")?.items()? {
        total += i64::from(item.get_i32("Quantity")?) * item.get_i64("SinglePrice")?;
    }
    Ok(total)
}

/// Takes an order whose items add up to its total and whose number is free.
#[extension]
fn new_order(cx: &mut Context) -> Result<()> {
    let command = cx.get_value(&KeyBuilder::new(storage::COMMAND_CONTEXT, ""))?;
    let order = command.get("ArgumentObject")?;
    let (total, stated) = (total_of(&order)?, order.get_i64("Total")?);
    if total != stated {
        let message = format!("the items add up to {total}, the order says {stated}");
        return Err(Error::application(WRONG_TOTAL, message));
    }
    let number = order.get_i64("Number")?;
    let mut key = KeyBuilder::new(storage::RECORD, "shop.Order");
    key.put_i64("Number", number);
    if cx.query_value(&key)?.is_some() {
        return Err(Error::application(NUMBER_TAKEN, format!("there is an order {number}")));
    }
    let customer = order.get_i64("Customer")?;
    let express = order.get_bool("Express")?;
    cx.new_value(&key)?.put_i64("Customer", customer).put_i64("Total", total).put_bool("Express", express);
    for (line, item) in (1..).zip(order.get("Items")?.items()?) {
        let mut key = KeyBuilder::new(storage::RECORD, "shop.OrderItem");
        key.put_i64("Order", number).put_i32("Line", line);
        let (article, quantity) = (item.get_str("Article")?, item.get_i32("Quantity")?);
        let price = item.get_i64("SinglePrice")?;
        cx.new_value(&key)?.put_str("Article", article).put_i32("Quantity", quantity).put_i64("SinglePrice", price);
    }
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Number", number);
    cx.info("order taken");
    Ok(())
}

/// Adds the order's total to the view of ordered items.
#[extension]
fn calc_ordered_items(cx: &mut Context) -> Result<()> {
    let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    let order = event.get("ArgumentObject")?;
    let total = total_of(&order)?;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sdk::ErrorCode;
    use crate::sdk::testing::{Failure, Host, MemoryState, Operation, RecordWriter};

    /// A state with an order in `storage`.
    pub(crate) fn ordered(storage: &str, total: i64) -> MemoryState {
        let mut state = MemoryState::new();
        let no_key = |_: &mut RecordWriter<'_>| {};
        let put = state.put(storage, "", no_key, |event| {
            event.put_object("ArgumentObject", |order| {
                order.put_i64("Number", 4711).put_i32("Year", 2023).put_i32("Month", 1).put_i64("Customer", 7);
                order.put_i64("Total", total).put_bool("Express", true);
                order.put_array("Items", |items| {
                    for (quantity, price) in [(2, 50), (3, 100)] {
                        items.push_object(|item| {
                            item.put_i32("Quantity", quantity).put_i64("SinglePrice", price).put_str("Article", "ink");
                        });
                    }
                });
            });
        });
        put.unwrap();
        state
    }

    #[test]
    fn an_order_is_taken_once() {
        let mut host = Host::new(ordered(storage::COMMAND_CONTEXT, 400));
        let outcome = host.call(new_order);
        outcome.unwrap();
        let intents: Vec<_> = outcome.intents().collect();
        assert_eq!(intents.len(), 4);
        assert_eq!((intents[0].entity, intents[0].operation), ("shop.Order", Operation::New));
        assert_eq!(intents[2].key.get_i32("Line"), Ok(2));
        assert_eq!(intents[2].value.get_i64("SinglePrice"), Ok(100));
        assert_eq!(intents[3].value.get_i64("Number"), Ok(4711));
        assert_eq!(outcome.log[0].text, "order taken");
        host.apply(&outcome).unwrap();
        let again = host.call(new_order);
        let taken = Failure::Error { code: ErrorCode::Application(1002), message: "there is an order 4711".into() };
        assert_eq!(*again.unwrap_failure(), taken);
    }

    #[test]
    fn a_wrong_total_is_refused() {
        let outcome = Host::new(ordered(storage::COMMAND_CONTEXT, 399)).call(new_order);
        let message = "the items add up to 400, the order says 399".into();
        let wrong = Failure::Error { code: ErrorCode::Application(1001), message };
        assert_eq!(*outcome.unwrap_failure(), wrong);
    }

    #[test]
    fn the_view_adds_up() {
        let mut host = Host::new(ordered(storage::EVENT, 400));
        for (operation, amount) in [(Operation::New, 400), (Operation::Update, 800), (Operation::Update, 1200)] {
            let outcome = host.call(calc_ordered_items);
            outcome.unwrap();
            let intent = outcome.intents().next().unwrap();
            assert_eq!((intent.operation, intent.value.get_i64("Amount")), (operation, Ok(amount)));
            host.apply(&outcome).unwrap();
        }
    }
}
