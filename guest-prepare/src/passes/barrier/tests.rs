//! How much preparation looks at: in proportion to the code, whatever stands in it. What marks cover is tested with an
//! engine.

use std::fmt::Write as _;

use super::scopes::work;
use super::*;
use crate::{PrepareOptions, prepare};

/// The store number `nth` of a function: far from all others, or from all but a few.
fn store(nth: usize, near: bool, base: &str) -> String {
    let offset = if near { nth / 6 * 506_816 % 100_000_007 + nth % 6 * 90 } else { nth * 506_816 % 100_000_007 };
    format!("(i32.store offset={offset} ({base}) (i32.const 0))")
}

/// How much is looked at for each of so many stores in one function.
fn looked_at(stores: usize, body: impl Fn(usize) -> String) -> u64 {
    let mut text = "(module (memory 1) (func (param i32 i32 i32)".to_owned();
    for nth in 0..stores {
        let _ = writeln!(text, "{}", body(nth));
    }
    text.push_str(&"end ".repeat(text.matches("block").count() + text.matches("loop").count()));
    let wasm = wat::parse_str(text + "))").unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default()));
    work::take();
    let prepared = prepare(&wasm, &info, options).unwrap();
    assert_eq!(prepared.barrier.unwrap().stores.stores as usize, stores);
    work::take() / stores as u64
}

#[test]
fn what_is_looked_at_grows_with_the_number_of_stores_and_no_faster() {
    const MOST: u64 = 2_000;
    let base = |nth: usize| format!("local.get {}", nth % 3);
    for near in [false, true] {
        let bodies: [(&str, &dyn Fn(usize) -> String); 6] = [
            ("one base", &|nth| store(nth, near, "local.get 0")),
            ("some bases", &|nth| store(nth, near, &base(nth))),
            ("no base twice", &|nth| store(nth, near, "i32.load (local.get 0)")),
            ("constants", &|nth| store(nth, near, "i32.const 0")),
            ("blocks", &|nth| format!("block {}", store(nth, near, "local.get 0"))),
            ("loops", &|nth| format!("loop {}", store(nth, near, "local.get 0"))),
        ];
        for (name, body) in bodies {
            for stores in [500, 4_000] {
                let looked_at = looked_at(stores, body);
                assert!((1..=MOST).contains(&looked_at), "{name}, {stores} stores, near: {near}: {looked_at} for each");
            }
        }
    }
}

#[test]
fn locals_that_a_function_does_not_use_are_not_looked_at() {
    const FUNCTIONS: u32 = 20;
    // Of the last local nothing is known, so both stores through it mark.
    let body = "(local.set 40000 (i32.const 1024)) (block (local.set 40000 (i32.load (local.get 0))))
        (i32.store (local.get 40000) (i32.const 0)) (i32.store offset=4 (local.tee 40000 (local.get 40000)) (i32.const 0))
        (i32.store (local.get 0) (i32.const 0)) (i32.store offset=4 (local.get 0) (i32.const 0))";
    let function = format!("(func (param i32) (local{}) {body})", " i32".repeat(40_000));
    let wasm = wat::parse_str(format!("(module (memory 1) {})", function.repeat(FUNCTIONS as usize))).unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default()));
    work::take();
    let prepared = prepare(&wasm, &info, options).unwrap();
    assert!(work::take() < 200 * u64::from(FUNCTIONS));
    ModuleInfo::analyse(&prepared.wasm).unwrap();
    let stores = prepared.barrier.unwrap().stores;
    assert_eq!((stores.stores, stores.marked), (4 * FUNCTIONS, 3 * FUNCTIONS));
}
