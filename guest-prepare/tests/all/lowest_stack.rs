//! The lowest value of the shadow-stack pointer: prepared code keeps the value that a host finds which sees each value,
//! whatever the shape of the code.

use guest_abi::control_block::offset::LOWEST_STACK;
use guest_prepare::{PrepareOptions, Prepared};
use proptest::prelude::*;
use wasmtime::{Caller, Engine, Instance, Linker, Module, Store};

use crate::{engine, prepared};

/// The stack lies below, the control block here, the heap above.
const CONTROL_BLOCK: u32 = 8192;
const HEAP_BASE: u32 = 9216;

fn module(functions: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (import "test" "note" (func $note (param i32)))
            (memory (export "memory") 1) (global $sp (export "__stack_pointer") (mut i32) (i32.const {CONTROL_BLOCK}))
            (global (export "__heap_base") i32 (i32.const {HEAP_BASE}))
            (global (export "__data_end") i32 (i32.const {HEAP_BASE}))
            (global (export "__allocator_control_block") i32 (i32.const {CONTROL_BLOCK}))
            {functions})"#
    );
    wat::parse_str(text).unwrap()
}

fn tracking(wasm: &[u8]) -> Prepared {
    prepared(wasm, PrepareOptions::default().with_lowest_stack(true))
}

/// How a function begins or ends, or what it does in between.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A frame as LLVM makes it.
    Frame(u32),
    /// The same as an addition.
    AddedFrame(u32),
    /// The same, unless the local holds something already.
    FrameInIf(u32),
    /// A frame whose lower end the pointer is not set to.
    FrameUnset(u32),
    /// The pointer becomes so much more than the local that may hold a frame's lower end.
    Above(u32),
    /// The same as a subtraction.
    SubtractedAbove(u32),
    /// That local becomes something else.
    SetLocal(u32),
    /// Bytes of a size that is known late, aligned.
    Allocate(u32),
    Call,
    /// The next steps are made twice, up to the function's end.
    Loop,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop_oneof![4 => (1_u32..5).prop_map(|sixteens| 16 * sixteens), 1 => Just(0), 1 => any::<u32>()];
    prop_oneof![
        4 => bytes().prop_map(Step::Frame),
        1 => bytes().prop_map(Step::AddedFrame),
        1 => bytes().prop_map(Step::FrameInIf),
        1 => bytes().prop_map(Step::FrameUnset),
        4 => bytes().prop_map(Step::Above),
        1 => bytes().prop_map(Step::SubtractedAbove),
        1 => bytes().prop_map(Step::SetLocal),
        1 => bytes().prop_map(Step::Allocate),
        2 => Just(Step::Call),
        1 => Just(Step::Loop),
    ]
}

/// The functions `f0` that calls `f1` that calls `f2`, each with these steps, exported as `run`.
fn program(functions: &[Vec<Step>]) -> Vec<u8> {
    const SET: &str = "global.set $sp (call $note (global.get $sp))";
    let mut text = String::new();
    for (index, steps) in functions.iter().enumerate() {
        text.push_str(&format!("(func $f{index} (local $l i32) (local $left i32)\n"));
        let mut ends = String::new();
        for step in steps {
            let line = match step {
                Step::Frame(bytes) => format!("global.get $sp i32.const {bytes} i32.sub local.tee $l {SET}"),
                Step::AddedFrame(bytes) => {
                    format!("global.get $sp i32.const {} i32.add local.tee $l {SET}", bytes.wrapping_neg())
                }
                Step::FrameInIf(bytes) => {
                    format!(
                        "(if (i32.eqz (local.get $l)) (then global.get $sp i32.const {bytes} i32.sub local.tee $l {SET}))"
                    )
                }
                Step::FrameUnset(bytes) => format!("global.get $sp i32.const {bytes} i32.sub local.set $l"),
                Step::Above(bytes) => format!("local.get $l i32.const {bytes} i32.add {SET}"),
                Step::SubtractedAbove(bytes) => {
                    format!("local.get $l i32.const {} i32.sub {SET}", bytes.wrapping_neg())
                }
                Step::SetLocal(bytes) => format!("(local.set $l (i32.sub (local.get $l) (i32.const {bytes})))"),
                Step::Allocate(bytes) => {
                    format!("(i32.and (i32.sub (global.get $sp) (i32.const {bytes})) (i32.const -16)) {SET}")
                }
                Step::Call if index + 1 < functions.len() => format!("call $f{}", index + 1),
                Step::Call => String::new(),
                // A loop inside another would make all that is in it four times as often.
                Step::Loop if ends.is_empty() => {
                    ends.push_str("(br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))) end\n");
                    "(local.set $left (i32.const 2)) loop".to_owned()
                }
                Step::Loop => String::new(),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&ends);
        text.push_str(")\n");
    }
    text.push_str("(export \"run\" (func $f0))");
    module(&text)
}

/// What the module keeps in its control block after a run, and the lowest value that the host was told of.
fn lowest(engine: &Engine, wasm: &[u8]) -> (u32, u32) {
    let word = (CONTROL_BLOCK as usize) + LOWEST_STACK;
    let mut linker: Linker<u32> = Linker::new(engine);
    let note = |mut caller: Caller<'_, u32>, pointer: u32| *caller.data_mut() = pointer.min(*caller.data());
    linker.func_wrap("test", "note", note).unwrap();
    let mut store = Store::new(engine, u32::MAX);
    let instance: Instance = linker.instantiate(&mut store, &Module::new(engine, wasm).unwrap()).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    memory.write(&mut store, word, &u32::MAX.to_le_bytes()).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "run").unwrap().call(&mut store, ()).unwrap();
    let mut kept = [0; 4];
    memory.read(&store, word, &mut kept).unwrap();
    // What the pointer was at first needs not be kept: the host knows it.
    let with_first = |lowest: u32| lowest.min(CONTROL_BLOCK);
    (with_first(u32::from_le_bytes(kept)), with_first(*store.data()))
}

fn functions() -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 0..8), 1..4)
}

#[test]
fn the_lowest_value_is_kept_whatever_the_code_looks_like() {
    let engine = engine();
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let run = |functions: Vec<Vec<Step>>| {
        let prepared = tracking(&program(&functions));
        assert!(prepared.lowest_stack);
        let (kept, told) = lowest(&engine, &prepared.wasm);
        prop_assert_eq!(kept, told);
        Ok(())
    };
    proptest::test_runner::TestRunner::new(config).run(&functions(), run).unwrap();
}

#[test]
fn a_module_that_keeps_nothing_is_caught() {
    let (kept, told) = lowest(&engine(), &program(&[vec![Step::Frame(16)]]));
    assert_eq!((kept, told), (CONTROL_BLOCK, CONTROL_BLOCK - 16));
}

/// Bytes by which the function grows.
fn grows(body: &str) -> usize {
    let wasm = module(&format!("(func (local $l i32) (local $m i32) {body})"));
    tracking(&wasm).wasm.len() - prepared(&wasm, PrepareOptions::default()).wasm.len()
}

#[test]
fn only_the_end_of_a_frame_that_is_seen_to_be_one_keeps_nothing() {
    let begins = "global.get $sp i32.const 64 i32.sub local.tee $l global.set $sp";
    let ends = "local.get $l i32.const 64 i32.add global.set $sp";
    let one = grows(begins);
    assert!(one > 0);
    assert_eq!(grows(&format!("{begins} {ends}")), one);
    assert_eq!(grows(&format!("{begins} (block (br_if 0 (local.get $m)) {ends} return) {ends}")), one);
    assert_eq!(grows("(drop (i32.sub (global.get $sp) (i32.const 64)))"), 0, "nothing is set");
    for other in [
        format!("{begins} local.get $l i32.const 65 i32.add global.set $sp"),
        format!("{begins} local.get $m i32.const 64 i32.add global.set $sp"),
        format!("{begins} (local.set $l (local.get $m)) {ends}"),
        format!("(local.set $m (i32.const 2)) (loop {begins}) {ends}"),
        format!("{begins} local.get $l i32.const 64 i32.sub global.set $sp"),
    ] {
        assert_eq!(grows(&other), 2 * one, "{other}");
    }
}

#[test]
fn a_module_that_does_not_tell_its_stack_or_has_no_control_block_stays_as_it_is() {
    let with = |sp: &str, block: &str| {
        let text = format!(
            r#"(module (memory (export "memory") 1) (global $sp {sp} (mut i32) (i32.const 8192))
                (global (export "__heap_base") i32 (i32.const 9216)) (global (export "__data_end") i32 (i32.const 9000))
                {block} (func (global.set $sp (i32.const 16))))"#
        );
        let wasm = wat::parse_str(text).unwrap();
        tracking(&wasm).lowest_stack
    };
    let block = |at: u32| format!(r#"(global (export "__allocator_control_block") i32 (i32.const {at}))"#);
    let named = r#"(export "__stack_pointer")"#;
    assert!(with(named, &block(8192)));
    assert!(!with(r#"(export "mine")"#, &block(8192)));
    assert!(!with(named, ""));
    for outside in [0, 8000, 9200, u32::MAX - 50] {
        assert!(!with(named, &block(outside)), "{outside} is not among the statics");
    }
}
