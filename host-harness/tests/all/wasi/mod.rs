//! WASI preview 1: what is offered, what is denied, and that restores put back what a guest changed.

mod denied;
mod empty;
mod life;
mod offered;
mod random;

use guest_host::{Guest, HostCall, Instance, InstanceConfig, LoadError, MemoryState};
use guest_prepare::PrepareOptions;

use test_support::text_guests;
use test_support::wasi::imports;

/// The guest's memory has two pages.
const MEMORY: usize = 2 << 16;

fn load(wasm: &[u8]) -> Result<Guest, LoadError> {
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "wasi", wasm, PrepareOptions::default())
}

/// A guest that imports these functions and has this body.
fn guest(names: &[&str], body: &str) -> Guest {
    load(&text_guests::guest(&imports(names), body)).expect("the guest keeps the contract")
}

/// A configuration that traces.
fn traced() -> InstanceConfig {
    let mut config = InstanceConfig::default();
    config.trace = true;
    config
}

fn instance(guest: &Guest, config: &InstanceConfig) -> Instance {
    guest.instantiate(config, MemoryState::new()).expect("it can be instantiated")
}

/// Errno and digest of each function of WASI that a call used.
fn called(instance: &mut Instance, function: &str) -> Vec<(&'static str, i64, u64)> {
    let outcome = instance.invoke_by_name(function).expect("it returns");
    let of = |entry: &guest_host::TraceEntry| match entry.call {
        HostCall::Wasi(name) => (name, entry.result, entry.digest),
        other => panic!("{other:?}"),
    };
    outcome.trace().iter().map(of).collect()
}

/// Errnos alone.
fn errnos(instance: &mut Instance, function: &str) -> Vec<i64> {
    called(instance, function).into_iter().map(|(_, errno, _)| errno).collect()
}
