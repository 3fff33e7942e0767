//! The modules before and after each pass that its documentation shows: the pass makes of the one the other.
//!
//! Two modules are compared by their parts. Types and names do not count: the preparation gives each added function a type
//! of its own, and no name.

use wasmparser::{Operator, Parser, Payload};

use super::allocations::CountedCalls;
use super::barrier::{BarrierOptions, WriteBarrier};
use super::entrances::SecondEntrances;
use super::globals::GlobalExports;
use super::growth::VirtualGrowth;
use super::memory::MemoryExport;
use super::stack::LowestStack;
use super::*;
use crate::splice::splice;

/// The parts of a module, a line for each.
fn parts(wasm: &[u8]) -> Vec<String> {
    let info = ModuleInfo::analyse(wasm).expect("the module is valid");
    let signature = |function: u32| info.signature(function).expect("a function has a type").to_string();
    let mut parts = Vec::new();
    let mut defined = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::MemorySection(section) => parts.extend(section.into_iter().map(|ty| format!("{:?}", ty.unwrap()))),
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.unwrap();
                    let init: Vec<Operator<'_>> =
                        global.init_expr.get_operators_reader().into_iter().map(Result::unwrap).collect();
                    parts.push(format!("{:?} {init:?}", global.ty));
                }
            }
            Payload::ExportSection(section) => {
                parts.extend(section.into_iter().map(|export| format!("{:?}", export.unwrap())))
            }
            Payload::CodeSectionEntry(body) => {
                parts.push(format!("function {defined}: {}", signature(defined)));
                for group in body.get_locals_reader().unwrap() {
                    let (count, ty) = group.unwrap();
                    parts.extend((0..count).map(|_| format!("  local {ty}")));
                }
                parts.extend(
                    body.get_operators_reader()
                        .unwrap()
                        .into_iter()
                        .map(|operator| format!("  {:?}", operator.unwrap())),
                );
                defined += 1;
            }
            Payload::TypeSection(_) | Payload::FunctionSection(_) | Payload::CodeSectionStart { .. } => {}
            Payload::CustomSection(_) | Payload::Version { .. } | Payload::End(_) => {}
            other => panic!("a sample has a section that is not compared: {other:?}"),
        }
    }
    parts
}

/// Asserts that a pass makes of the first module the second one.
fn check<P: Pass>(before: &str, after: &str, pass: P) -> P::Report {
    let (wasm, expected) = (wat::parse_str(before).unwrap(), wat::parse_str(after).unwrap());
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let mut changes = Changes::new(&info);
    let report = pass.plan(&Context { wasm: &wasm, info: &info }, &mut changes).unwrap();
    let (made, _) = splice(&wasm, changes).unwrap();
    let (made, expected) = (parts(&made), parts(&expected));
    assert_eq!(made, expected, "made:\n{}\nexpected:\n{}", made.join("\n"), expected.join("\n"));
    report
}

/// Both texts of the sample of this name.
macro_rules! sample {
    ($name:literal) => {
        (
            include_str!(concat!("samples/", $name, ".before.wat")),
            include_str!(concat!("samples/", $name, ".after.wat")),
        )
    };
}

#[test]
fn globals_are_exported() {
    let (before, after) = sample!("globals");
    assert_eq!(check(before, after, GlobalExports).len(), 2);
}

#[test]
fn a_memory_is_exported() {
    let (before, after) = sample!("memory");
    assert_eq!(check(before, after, MemoryExport), "__harness_memory");
    let hidden = "(module (memory 1))";
    assert_eq!(check(hidden, r#"(module (memory (export "__harness_memory") 1))"#, MemoryExport), "__harness_memory");
    let own = r#"(module (memory (export "m") 1))"#;
    assert_eq!(check(own, own, MemoryExport), "m");
}

#[test]
fn growth_is_virtual() {
    let (before, after) = sample!("growth");
    assert_eq!(check(before, after, VirtualGrowth), Some("__harness_logical_pages"));
}

#[test]
fn stores_mark() {
    let (before, after) = sample!("barrier");
    let barrier = check(before, after, WriteBarrier(BarrierOptions::default())).unwrap();
    assert_eq!((barrier.stores.marked, barrier.stores.repeated), (1, 1));
}

#[test]
fn the_lowest_stack_is_kept() {
    let (before, after) = sample!("stack");
    assert!(check(before, after, LowestStack));
}

#[test]
fn entrances_put_globals_back() {
    let (before, after) = sample!("entrances");
    let info = ModuleInfo::analyse(&wat::parse_str(before).unwrap()).unwrap();
    let module = Context { wasm: &[], info: &info };
    let globals = GlobalExports.plan(&module, &mut Changes::new(&info)).unwrap();
    assert_eq!(check(before, after, SecondEntrances { globals: &globals }).entrances.len(), 1);
}

#[test]
fn calls_of_the_allocator_are_counted() {
    let (before, after) = sample!("allocations");
    assert_eq!(check(before, after, CountedCalls).0.len(), 1);
}

#[test]
fn a_pass_that_is_left_out_changes_nothing() {
    let (before, _) = sample!("growth");
    assert_eq!(check(before, before, None::<VirtualGrowth>), None);
}

#[test]
#[should_panic(expected = "made:")]
fn a_sample_that_is_out_of_date_is_caught() {
    let (before, after) = sample!("growth");
    check(before, &after.replace("i32.const -1", "i32.const -2"), VirtualGrowth);
}
