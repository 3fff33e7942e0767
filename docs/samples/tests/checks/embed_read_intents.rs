//! The intents of an order are read.

use std::path::Path;

use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, PrepareOptions};
use host_harness::load_state_file;

#[test]
fn the_intents_of_an_order_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let wasm = root.join("target/guests/shop-bump-reset.wasm");
    let guest = Guest::from_file(&engine, &wasm, PrepareOptions::default()).unwrap();
    let state = load_state_file(&root.join("guests/shop/state.json")).unwrap();
    let mut instance = guest.instantiate(&InstanceConfig::default(), state).unwrap();
    let outcome = instance.invoke(guest.function("new_order").unwrap()).unwrap();
    let order = super::read(&outcome).unwrap();
    assert_eq!((order.number, order.quantities), (Some(4711), vec![(1, 2), (2, 3)]));
}
