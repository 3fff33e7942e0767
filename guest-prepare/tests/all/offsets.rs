//! Offsets of a trap in a prepared module.

use guest_prepare::PrepareOptions;
use wasmtime::{Instance, Module, Store, WasmBacktrace};

use crate::{engine, prepared};

/// Offsets of the frames of a trap, innermost first.
fn trap_offsets(wasm: &[u8], function: &str) -> Vec<u64> {
    let mut store = Store::new(&engine(), ());
    let module = Module::new(store.engine(), wasm).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_typed_func::<(), ()>(&mut store, function).unwrap();
    let error = function.call(&mut store, ()).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    backtrace.frames().iter().map(|frame| frame.module_offset().unwrap() as u64).collect()
}

#[test]
fn offsets_of_a_trap_lead_back_to_the_original_module() {
    let wasm = wat::parse_str(
        r#"(module (memory 1)
            (func $inner (drop (memory.grow (memory.size))) (drop (i32.load (i32.const -1))))
            (func (export "outer") (drop (memory.size)) (drop (memory.size)) call $inner))"#,
    )
    .unwrap();
    let prepared = prepared(&wasm, PrepareOptions::default());
    let original = trap_offsets(&wasm, "outer");
    let moved = trap_offsets(&prepared.wasm, "outer");
    assert_eq!(original.len(), 2);
    assert_ne!(moved, original);
    let translated: Vec<u64> = moved.iter().map(|offset| prepared.offsets.original(*offset).unwrap()).collect();
    assert_eq!(translated, original);
}
