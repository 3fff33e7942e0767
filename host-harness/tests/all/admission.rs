//! Admission against the engine that the harness uses: what admission says can be run, the engine accepts.

use guest_host::admission::Admission;
use guest_host::{InstanceConfig, PrepareOptions};
use guest_prepare::module_info::{ModuleError, ModuleInfo, Proposal};
use host_harness::inspect::inspect;
use wasmtime::{Engine, Module};

/// A module for each proposal that the parser knows, and whether the engine is built with it.
const PROPOSALS: [(&str, &str, bool); 17] = [
    ("mutable globals", "(module (global (export \"g\") (mut i32) (i32.const 0)))", true),
    ("sign extension", "(module (func (drop (i32.extend8_s (i32.const 0)))))", true),
    ("saturating conversions", "(module (func (drop (i32.trunc_sat_f32_s (f32.const 0)))))", true),
    ("multiple values", "(module (func (result i32 i32) i32.const 0 i32.const 0))", true),
    ("bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))", true),
    ("reference types", "(module (table 1 funcref) (func (drop (table.size 0))))", true),
    ("vectors", "(module (func (drop (v128.const i64x2 0 0))))", true),
    (
        "relaxed vectors",
        "(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
        true,
    ),
    ("tail calls", "(module (func $f return_call $f))", true),
    ("extended constants", "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", true),
    ("several memories", "(module (memory 1) (memory 1))", true),
    ("64-bit memory", "(module (memory i64 1))", true),
    ("typed function references", "(module (type $t (func)) (func (param (ref null $t))))", true),
    ("threads", "(module (memory 1 1 shared))", false),
    ("exceptions", "(module (tag))", false),
    ("external references", "(module (func (param externref)))", false),
    ("garbage collection", "(module (type $s (struct)) (func (drop (struct.new $s))))", false),
];

#[test]
fn admission_and_engine_agree_on_what_can_be_run() {
    let engine = Engine::default();
    for (name, text, supported) in PROPOSALS {
        let wasm = wat::parse_str(text).unwrap();
        let admission = Admission::of(&ModuleInfo::analyse(&wasm).unwrap());
        assert_eq!(admission.runnable().is_ok(), supported, "{name}");
        assert_eq!(Module::new(&engine, &wasm).is_ok(), supported, "{name}");
    }
}

#[test]
fn what_neither_knows_is_refused_by_its_name() {
    for (text, name) in [
        (
            "(module (func (param i64 i64 i64 i64) (result i64 i64) \
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))",
            "wide arithmetic",
        ),
        ("(module (memory 1 1 (pagesize 1)))", "custom page sizes"),
    ] {
        let wasm = wat::parse_str(text).unwrap();
        let Err(ModuleError::Proposals { proposals, .. }) = ModuleInfo::analyse(&wasm) else { panic!("{text}") };
        assert_eq!(proposals.iter().map(Proposal::name).collect::<Vec<_>>(), [name]);
        assert!(Module::new(&Engine::default(), &wasm).is_err(), "{text}");
    }
}

#[test]
fn an_import_that_stands_twice_is_listed_once() {
    let wasm = wat::parse_str(
        r#"(module (import "env" "abort" (func)) (import "env" "abort" (func)) (import "env" "abort" (func (param i32))))"#,
    );
    let engine = test_support::compiled::engine();
    let (options, config) = (PrepareOptions::default(), InstanceConfig::default());
    let found = inspect(&engine, "twice", &wasm.unwrap(), options, &config).unwrap();
    let imports: Vec<_> = found.imports.iter().map(|import| format!("{} {}", import.name, import.ty)).collect();
    assert_eq!(imports, ["env.abort () -> ()", "env.abort (i32) -> ()"]);
    let told = found.problems.concat();
    assert_eq!(told.matches("env.abort").count(), 1, "{told}");
}
