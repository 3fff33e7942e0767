//! Exported globals under an engine.

use guest_prepare::PrepareOptions;
use wasmtime::{Instance, Module, Store, Val};

use crate::{engine, prepared};

#[test]
fn globals_that_the_module_keeps_to_itself_can_be_put_back() {
    let wasm = wat::parse_str(
        r#"(module (global $kept (mut i64) (i64.const 40)) (global $v (mut v128) (v128.const i64x2 1 2))
            (func (export "next") (result i64)
                (global.set $kept (i64.add (global.get $kept) (i64.const 1))) (global.get $kept)))"#,
    )
    .unwrap();
    let prepared = prepared(&wasm, PrepareOptions::default());
    let module = Module::new(&engine(), &prepared.wasm).unwrap();
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let next = instance.get_typed_func::<(), i64>(&mut store, "next").unwrap();
    assert_eq!(next.call(&mut store, ()).unwrap(), 41);
    assert_eq!(prepared.globals.len(), 2);
    let kept = instance.get_global(&mut store, &prepared.globals[0].export_name).unwrap();
    assert!(matches!(kept.get(&mut store), Val::I64(41)));
    kept.set(&mut store, Val::I64(40)).unwrap();
    assert_eq!(next.call(&mut store, ()).unwrap(), 41);
}
