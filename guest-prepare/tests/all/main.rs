//! Prepared modules under an engine, as it is and without a host around it: a file for each topic.

mod barrier;
mod counted_calls;
mod globals;
mod growth;
mod lowest_stack;
mod offsets;

use guest_prepare::{ModuleInfo, PrepareOptions, Prepared, prepare};
use wasmtime::{Config, Engine, OptLevel};

/// An engine that compiles quickly.
fn engine() -> Engine {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    Engine::new(&config).unwrap()
}

/// A module as it is prepared with these options.
fn prepared(wasm: &[u8], options: PrepareOptions) -> Prepared {
    prepare(wasm, &ModuleInfo::analyse(wasm).unwrap(), options).unwrap()
}
