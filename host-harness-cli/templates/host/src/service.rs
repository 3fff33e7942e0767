//! The guest, its pool of instances, and what a request does.

use std::error::Error;

use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::storage;
use guest_host::guest_abi::value::{ObjectEncoder, ValueRef};
use guest_host::guest_state::record;
use guest_host::{
    Engine, EngineConfig, Function, Guest, InstanceAllocation, InstanceConfig, Pool, PoolConfig,
    PrepareOptions, State,
};

use crate::store::{Session, Store};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How often an order is tried while other orders change the same records.
const TRIES: usize = 100;

/// Serves orders with a guest.
pub(crate) struct Service {
    pool: Pool,
    add_order: Function,
    store: Store,
}

/// An order: its month, and the quantity and price of each item.
struct Order {
    year: i32,
    month: i32,
    items: Vec<(i32, i64)>,
}

impl Service {
    /// Compiles the guest and makes a pool of `instances` instances.
    ///
    /// # Errors
    /// The guest cannot be loaded or started, or lacks the function `add_order`.
    pub(crate) fn new(guest: &[u8], store: Store, instances: usize) -> Result<Self> {
        let mut engine = EngineConfig::default();
        engine.allocation = InstanceAllocation::pooling(u32::try_from(instances)?);
        let engine = Engine::new(&engine)?;
        let guest = Guest::load(&engine, "guest", guest, PrepareOptions::default())?;
        let add_order = guest.function("add_order")?;
        let size = PoolConfig::default().with_warm(1).with_max(instances);
        let empty = store.clone();
        let pool = Pool::new(&guest, &InstanceConfig::default(), &size, move || {
            empty.session(|_| {})
        })?;
        Ok(Self {
            pool,
            add_order,
            store,
        })
    }

    /// Has the guest add an order, and answers with the record of its month.
    ///
    /// # Errors
    /// The line is no order, the guest failed, or other orders kept this one from being applied.
    pub(crate) fn order(&self, line: &str) -> Result<String> {
        let order = Order::parse(line)
            .ok_or("an order is a year, a month and items, such as: 2026 11 2x250 1x1200")?;
        for _ in 0..TRIES {
            if self.call(&order)? {
                return self.month(&order);
            }
        }
        Err("too many orders at the same time".into())
    }

    /// One call; `false` if another order came first.
    fn call(&self, order: &Order) -> Result<bool> {
        let session = self.session(order)?;
        // Waits for an instance. It goes back to the pool, restored, at the end.
        let mut instance = self.pool.take()?;
        instance.set_state(session.clone());
        let outcome = instance.invoke(self.add_order)?;
        for (level, line) in outcome.log() {
            eprintln!("{level:?}: {line}");
        }
        Ok(session.commit(outcome.intent_bytes())?)
    }

    fn session(&self, order: &Order) -> Result<Session> {
        let fill = |event: &mut ObjectEncoder<'_, Vec<u8>>| {
            event.put_object("ArgumentObject", |object| {
                object
                    .put_i32("Year", order.year)
                    .put_i32("Month", order.month);
                object.put_array("Items", |items| {
                    for (quantity, price) in &order.items {
                        items.push_object(|item| {
                            item.put_i32("Quantity", *quantity).put_i64("Price", *price);
                        });
                    }
                });
            });
        };
        Ok(self.store.session(fill)?)
    }

    /// The record of the order's month.
    fn month(&self, order: &Order) -> Result<String> {
        let key = record::key(storage::VIEW, "example.com/shop.Months", |key| {
            key.put_i32("Year", order.year)
                .put_i32("Month", order.month);
        });
        let mut session = self.store.session(|_| {})?;
        let value = session
            .get(&Key::parse(&key)?)?
            .map(ValueRef::new)
            .ok_or("the guest left no record of the month")?;
        let field = |name| {
            Ok::<_, Box<dyn Error + Send + Sync>>(
                value.field(name)?.ok_or("a field is missing")?.as_i64()?,
            )
        };
        Ok(format!(
            "{}-{:02}: {} orders, {} in total",
            order.year,
            order.month,
            field("Orders")?,
            field("Total")?
        ))
    }
}

impl Order {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (year, month) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let item = |word: &str| {
            let (quantity, price) = word.split_once('x')?;
            Some((quantity.parse().ok()?, price.parse().ok()?))
        };
        Some(Self {
            year,
            month,
            items: words.map(item).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest whose `add_order` leaves the intent to make the record of November 2026, with 1 order of 1700.
    const GUEST: &str = r#"(module
        (memory (export "memory") 2)
        (global (export "__heap_base") i32 (i32.const 4096))
        (@custom "guest-abi" "\01\00\00\00")
        (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
        (data (i32.const 32) "\85\00\68sys.View\77example.com/shop.Months\a2\64Year\19\07\ea\65Month\0b\a2\66Orders\01\65Total\19\06\a4")
        (func (export "add_order") (result i64) (i64.or (i64.shl (i64.const 32) (i64.const 32)) (i64.const 69))))"#;

    fn service() -> Service {
        Service::new(&wat::parse_str(GUEST).unwrap(), Store::default(), 2).unwrap()
    }

    #[test]
    fn what_the_guest_asks_for_is_in_the_store() {
        let service = service();
        for _ in 0..3 {
            assert_eq!(
                service.order("2026 11 2x250 1x1200").unwrap(),
                "2026-11: 1 orders, 1700 in total"
            );
        }
        let other_month = service.order("2026 12 1x1").unwrap_err().to_string();
        assert_eq!(other_month, "the guest left no record of the month");
        assert!(
            service
                .order("2026")
                .unwrap_err()
                .to_string()
                .starts_with("an order is a year")
        );
    }

    #[test]
    fn a_call_that_read_old_records_is_not_applied() {
        let service = service();
        let (one, other) = (
            service.store.session(|_| {}).unwrap(),
            service.store.session(|_| {}).unwrap(),
        );
        assert!(one.commit(&[]).unwrap());
        assert!(
            !other.commit(&[]).unwrap(),
            "the other read what was there before"
        );
    }
}
