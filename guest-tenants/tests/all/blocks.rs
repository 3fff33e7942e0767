//! Tenants whose guests have memory blocks.

use guest_host::SuspendError;
use guest_tenants::{MemoryStore, TenantError, Tenants};

use super::{call, config, engine, program_of};

/// `add` adds to a number, and `leave` does so too and leaves a block attached.
const TEXT: &str = r#"(module
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[constructor]memory-block" (func $create (param i32) (result i32)))
    (memory (export "memory") 2)
    (global $sum (mut i32) (i32.const 0))
    (func (export "_initialize") (call $add_storage (i32.const 65536) (i32.const 65536) (i32.const 0)))
    (func $add (export "add") (param $by i32) (param i32) (result i32)
        (global.set $sum (i32.add (global.get $sum) (local.get $by))) (global.get $sum))
    (func (export "leave") (param i32 i32) (result i32)
        (call $attach (call $create (i32.const 4096)) (i32.const 1) (i32.const 0))
        (call $add (local.get 0) (local.get 1))))"#;

#[test]
fn a_call_that_leaves_a_block_attached_changes_nothing() {
    let program = program_of(&engine(), "leaves", TEXT);
    let mut tenants = Tenants::new(config(1, 1 << 20), MemoryStore::new());
    let mut add = |tenant: &str, name: &str| tenants.call(tenant, &program, |instance| call(instance, name, 1, 0));
    assert_eq!(add("a", "add").unwrap(), 1);
    for _ in 0..2 {
        let error = add("a", "leave").unwrap_err();
        assert!(matches!(error, TenantError::Suspend(SuspendError::LeftAttached)), "{error}");
    }
    assert_eq!(add("a", "add").unwrap(), 2);
    // Nor when another one has the instance meanwhile.
    assert!(add("a", "leave").is_err());
    assert_eq!((add("b", "add").unwrap(), add("a", "add").unwrap()), (1, 3));
}
