//! Host functions allocate nothing on the host's heap once a call like it was made.

use guest_host::{InstanceConfig, RestorePolicy, RestoreStrategy};

use super::{guest, load, state};
use crate::guests::heap::allocations_of;

/// `works` makes keys, reads fields, elements, rows and rows within rows, and leaves intents; all that it is given fits the
/// buffer. `takes_buffers` has the host take a further one.
fn worker() -> Vec<u8> {
    guest(|source| {
        let year = source.text("Year");
        let rows = |source: &super::Source| {
            format!(
                "(local.set $key {}) (call $hostRowWriterPutInt32 (local.get $key) (i32.const 0) {year} (i32.const 2023))
                 (call $hostReadValues (local.get $key))",
                source.key("sys.View", "a.b/c.Rows")
            )
        };
        format!(
            r#"(global $depth (mut i32) (i32.const 0))
               (func (export "WasmOnReadValue") (param $row i64) (param $found i64) (local $key i64)
                 (drop (call $hostValueAsInt64 (local.get $found) {amount}))
                 (drop (call $hostKeyAsString (local.get $row) {name}))
                 (if (i32.eqz (global.get $depth)) (then
                   (global.set $depth (i32.const 1)) {within} (global.set $depth (i32.const 0)))))
               (func (export "works") (local $key i64) (local $value i64) (local $mixed i64) (local $intent i64) (local $turn i32)
                 (local.set $turn (i32.const 20))
                 (loop $again
                   (local.set $key {customer})
                   (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {id} (i64.const 7))
                   (local.set $value (call $hostGetValue (local.get $key)))
                   (drop (call $hostValueAsString (local.get $value) {name}))
                   (drop (call $hostValueAsBytes (local.get $value) {logo}))
                   (drop (call $hostValueAsQNamePkg (local.get $value) {kind}))
                   (drop (call $hostValueAsFloat64 (local.get $value) {half}))
                   (local.set $mixed (call $hostValueAsValue (local.get $value) {mixed}))
                   (drop (call $hostValueLength (local.get $mixed)))
                   (drop (call $hostValueGetAsQNameEntity (local.get $mixed) (i32.const 5)))
                   (drop (call $hostQueryValue {absent}))
                   (local.set $intent (call $hostUpdateValue (local.get $key) (local.get $value)))
                   (call $hostRowWriterPutString (local.get $intent) (i32.const 1) {name} {text})
                   (call $hostRowWriterPutQName (local.get $intent) (i32.const 1) {kind} {package} {entity})
                   (call $hostRowWriterPutFloat32 (local.get $intent) (i32.const 1) {half} (f32.const 2.5))
                   (call $hostRowWriterPutFloat32 (local.get $intent) (i32.const 1) {half} (f32.const 1.5))
                   (local.set $turn (i32.sub (local.get $turn) (i32.const 1)))
                   (br_if $again (local.get $turn)))
                 {rows})
               (func (export "takes_buffers") (local $value i64) (local $key i64) (local $turn i32)
                 (local.set $key {customer_again})
                 (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {id} (i64.const 7))
                 (local.set $value (call $hostGetValue (local.get $key)))
                 (local.set $turn (i32.const 1000))
                 (loop $again (drop (call $hostValueAsString (local.get $value) {name}))
                   (local.set $turn (i32.sub (local.get $turn) (i32.const 1))) (br_if $again (local.get $turn))))"#,
            amount = source.text("Amount"),
            name = source.text("Name"),
            within = rows(source),
            customer = source.key("sys.Record", "shop.Customer"),
            customer_again = source.key("sys.Record", "shop.Customer"),
            id = source.text("Id"),
            logo = source.text("Logo"),
            kind = source.text("Kind"),
            half = source.text("Half"),
            mixed = source.text("Mixed"),
            absent = source.key("sys.View", "a.Absent"),
            text = source.text("größe"),
            package = source.text("a/b"),
            entity = source.text("C"),
            rows = rows(source),
        )
    })
}

#[test]
fn host_calls_allocate_nothing_on_the_hosts_heap() {
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::Never] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.policy, config.exchange_size) = (strategy, policy, Some(4000));
            let mut instance = load(&worker()).instantiate(&config, RowsWithoutHeap::new()).unwrap();
            for (function, expected) in [("works", 0), ("takes_buffers", 0)] {
                let function = instance.guest().function(function).unwrap();
                let mut call = || assert!(instance.invoke(function).is_ok());
                // The first resolves the function and makes room for what a call needs.
                call();
                call();
                let allocations = allocations_of(|| (0..50).for_each(|_| call()));
                assert_eq!(allocations, expected, "{strategy}, {policy}");
            }
        }
    }
}

/// A state whose own reads take nothing from the heap: the records of the tests, and three rows for every read.
struct RowsWithoutHeap(guest_host::MemoryState);

impl RowsWithoutHeap {
    fn new() -> Self {
        Self(state())
    }
}

impl guest_host::State for RowsWithoutHeap {
    fn get(&mut self, key: &guest_abi::key::Key<'_>) -> Result<Option<&[u8]>, guest_host::StateError> {
        guest_host::State::get(&mut self.0, key)
    }

    fn read(
        &mut self,
        _: &guest_abi::key::Key<'_>,
        after: Option<guest_abi::value::ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, guest_host::StateError> {
        const ROW: &[u8] = b"\xA1\x64Name\x63one\xA1\x66Amount\x05";
        if after.is_some() {
            return Ok(0);
        }
        let rows = [ROW; 3];
        for (room, row) in out.chunks_exact_mut(ROW.len()).zip(rows) {
            room.copy_from_slice(row);
        }
        Ok(rows.len() * ROW.len())
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, guest_host::StateError> {
        guest_host::State::apply(&mut self.0, intents)
    }
}
