//! A state over a store of the embedder's own: one ordered map that several instances share.

use std::error::Error;

use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::value::ValueRef;
use guest_host::guest_state::record;
use guest_host::{State, StoredState};

// ANCHOR: state
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use guest_host::{OrderedMap, OrderedMapMut};

#[derive(Clone, Default)]
struct Shared(Arc<RwLock<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl OrderedMap for Shared {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Infallible> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .range(first.to_vec()..)
            .all(|(key, value)| visit(key, value));
        Ok(())
    }
}

impl OrderedMapMut for Shared {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Infallible> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(entries);
        Ok(())
    }
}
// ANCHOR_END: state

fn main() -> Result<(), Box<dyn Error>> {
    let store = Shared::default();
    // ANCHOR: use
    let mut one = StoredState::of("tenant one", store.clone());
    one.put("sys.View", "shop.Orders", |key| _ = key.put_i32("Year", 2023), |value| _ = value.put_i64("Amount", 400))?;
    // `Instance::set_state` takes it; `instance.state_mut_as::<StoredState<Shared>>()` returns it.
    let mut state: Box<dyn State> = Box::new(one);
    let key = record::key("sys.View", "shop.Orders", |key| _ = key.put_i32("Year", 2023));
    let value = state.get(&Key::parse(&key)?)?.map(ValueRef::new);
    // ANCHOR_END: use
    println!("{value:?}");
    let shared = state.downcast_mut::<StoredState<Shared>>().ok_or("it has the type that it was given")?;
    println!("{} records", shared.map().0.read().unwrap_or_else(PoisonError::into_inner).len());
    Ok(())
}
