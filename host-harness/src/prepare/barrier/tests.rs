//! How much preparation looks at: in proportion to the code, whatever stands in it. What marks cover is tested with an
//! engine.

use std::fmt::Write as _;

use super::scopes::work;
use super::*;
use crate::prepare::{PrepareOptions, prepare};

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
    let options = PrepareOptions { barrier: Some(BarrierOptions::default()), ..PrepareOptions::default() };
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
