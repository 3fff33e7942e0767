//! Modules that nobody wrote for this host: exports of numbers, and declared functions over an exported allocator.

use guest_functions::{FunctionError, ModuleConfig, Value};

use crate::support::load;

/// The smallest module with a function of two numbers: 41 bytes.
const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";

/// An allocator whose state is a global, and functions over what it gave. Its memory is not exported.
const FOREIGN: &str = r#"(module (memory 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "malloc") (param $size i32) (result i32) (local $found i32)
        (if (i32.gt_u (local.get $size) (i32.const 10000)) (then (return (i32.const 0))))
        (local.set $found (global.get $next))
        (global.set $next (i32.add (global.get $next) (local.get $size)))
        (local.get $found))
    ;; The last byte of both, and where the first one lies.
    (func (export "ends") (param i32 i32 i32 i32) (result i64)
        (i32.store8 (i32.const 512) (i32.load8_u (i32.sub (i32.add (local.get 0) (local.get 1)) (i32.const 1))))
        (i32.store8 (i32.const 513) (i32.load8_u (i32.sub (i32.add (local.get 2) (local.get 3)) (i32.const 1))))
        (i64.const 2199023255554))
    (func (export "where") (param i32 i32) (result i32) (local.get 0))
    (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
    (func (export "nothing") (param i32)) (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2)))"#;

fn config(declarations: &[&str]) -> ModuleConfig {
    ModuleConfig::default().with_declarations(declarations.iter().copied())
}

#[test]
fn exports_of_numbers_are_functions_as_they_are() {
    assert_eq!(ADD.len(), 41);
    let module = load(ADD, ModuleConfig::default()).unwrap();
    assert_eq!(module.function("add").unwrap().call::<_, i32>((i32::MAX, 1)).unwrap(), i32::MIN);
    let module = load(&wat::parse_str(FOREIGN).unwrap(), ModuleConfig::default()).unwrap();
    let shown: Vec<String> = module.signatures().map(ToString::to_string).collect();
    // Functions without a result, and with two, are none.
    assert_eq!(
        shown,
        [
            "malloc(p0: i32) -> i32",
            "ends(p0: i32, p1: i32, p2: i32, p3: i32) -> i64",
            "where(p0: i32, p1: i32) -> i32",
            "half(p0: f64) -> f64"
        ]
    );
    assert_eq!(module.function("half").unwrap().call_values(&[Value::F64(5.0)]).unwrap(), Value::F64(2.5));
    for _ in 0..3 {
        assert_eq!(module.function("malloc").unwrap().call::<_, i32>((100,)).unwrap(), 1024);
    }
}

#[test]
fn texts_go_through_the_exported_allocator_and_every_call_is_pristine() {
    let declared = config(&["ends(a: string, b: string) -> string", "where(a: bytes) -> i32"]);
    let module = load(&wat::parse_str(FOREIGN).unwrap(), declared).unwrap();
    let (ends, at) = (module.function("ends").unwrap(), module.function("where").unwrap());
    for _ in 0..3 {
        assert_eq!(ends.call::<_, String>(("one", "two")).unwrap(), "eo");
        assert_eq!(at.call::<_, i32>((&[1_u8, 2_u8][..],)).unwrap(), 1024);
    }
    let long = vec![0_u8; 10_001];
    match at.call::<_, i32>((long.as_slice(),)).unwrap_err() {
        FunctionError::Call(failure) => assert_eq!(failure.cause.kind(), "out-of-memory"),
        other => panic!("{other}"),
    }
    assert_eq!(at.call::<_, i32>((&[1_u8][..],)).unwrap(), 1024);
}

#[test]
fn declarations_that_the_module_does_not_keep_are_refused() {
    let wasm = wat::parse_str(FOREIGN).unwrap();
    let refused = |declarations: &[&str]| load(&wasm, config(declarations)).unwrap_err().to_string();
    for (declaration, expected) in [
        ("ends(a: string) -> string", "crosses as `(i32, i32) -> i64`"),
        ("end(a: string) -> string", "has no export `end`"),
        ("ends", "write a function as"),
    ] {
        let found = refused(&[declaration]);
        assert!(found.starts_with(&format!("`{declaration}`: ")) && found.contains(expected), "{found}");
    }
    assert!(refused(&["half(x: f64) -> f64", "half(y: f64) -> f64"]).contains("two functions have the name `half`"));
    let wasm = wat::parse_str(FOREIGN.replace("malloc", "get_memory")).unwrap();
    let error = load(&wasm, config(&["where(a: bytes) -> i32"])).unwrap_err().to_string();
    assert!(error.contains("no allocator") && error.contains("`malloc`"), "{error}");
    // Numbers need none.
    assert!(load(&wasm, config(&["half(x: f64) -> f64"])).is_ok());
}
