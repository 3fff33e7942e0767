//! Tests of tenants through the public interface.

mod blocks;
mod model;
mod stores;

use std::num::NonZeroUsize;

use guest_host::wasmtime::ValRaw;
use guest_host::{Cause, Engine, Failure, Guest, Instance, InstanceConfig, PrepareOptions};
use guest_tenants::{Program, TenantsConfig};

/// A program that keeps a number for each cell, and fails where it is told.
fn text(name: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1 2) (data (i32.const 65000) "{name}")
            (global $calls (mut i32) (i32.const 0))
            (func (export "add") (param $cell i32) (param $by i32) (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (i32.store (local.get $cell) (i32.add (i32.load (local.get $cell)) (local.get $by)))
                (if (i32.eqz (local.get $by)) (then unreachable))
                (i32.load (local.get $cell)))
            (func (export "calls") (param i32 i32) (result i32) (global.get $calls)))"#
    )
}

fn program(engine: &Engine, name: &str) -> Program {
    program_of(engine, name, &text(name))
}

fn program_of(engine: &Engine, name: &str, text: &str) -> Program {
    let wasm = wat::parse_str(text).unwrap();
    let guest = Guest::load(engine, name, &wasm, PrepareOptions::default()).unwrap();
    Program::new(&guest, &InstanceConfig::default().with_memory_limit(2 << 16))
}

fn engine() -> Engine {
    test_support::compiled::engine()
}

fn config(instances: usize, asleep_bytes: usize) -> TenantsConfig {
    let instances = NonZeroUsize::new(instances).unwrap();
    TenantsConfig::default().with_instances(instances).with_asleep_bytes(asleep_bytes)
}

/// Calls a function of the program with two numbers.
fn call(instance: &mut Instance, name: &str, one: u32, other: u32) -> Result<u32, Failure> {
    let function = instance.guest().export(name).unwrap();
    instance.call_with(function, |call| {
        let mut slots = [ValRaw::u32(one), ValRaw::u32(other)];
        call.call(&mut slots)?;
        Ok(slots[0].get_u32())
    })
}

fn is_unreachable(failure: &Failure) -> bool {
    matches!(failure.cause, Cause::Unreachable)
}
