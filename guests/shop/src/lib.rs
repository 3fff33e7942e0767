//! The sample guest: orders, mail and a counter, as an application would write them.

mod checksum;
mod mail;
mod order;

#[cfg(not(feature = "exttinygo"))]
use guest_sdk as sdk;
#[cfg(feature = "exttinygo")]
use guest_sdk_exttinygo as sdk;
use sdk::{Context, KeyBuilder, Result, extension, storage};

/// Counts up.
#[extension]
fn count_up(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::RECORD, "shop.Counter");
    key.put_str("Name", "orders");
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

#[cfg(test)]
mod tests {
    use crate::sdk::storage;
    use crate::sdk::testing::{Host, MemoryState};

    #[test]
    fn the_counter_begins_with_one_and_goes_on() {
        let mut host = Host::new(MemoryState::new());
        for expected in 1..4 {
            let outcome = host.call(super::count_up);
            outcome.unwrap();
            assert_eq!(outcome.intents().next().unwrap().value.get_i64("Value"), Ok(expected));
            host.apply(&outcome).unwrap();
        }
        assert_eq!(host.state().len(), 1);
        host.state().check_storage(storage::RECORD).unwrap();
    }
}
