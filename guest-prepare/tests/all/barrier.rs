//! The write barrier under an engine: random programs write through constants, pointers, frames and bulk instructions,
//! in blocks, loops and branches, and every byte that they change must be among those that a restore puts back.

use std::fmt::Write as _;
use std::ops::Range;

use guest_prepare::cards::{Cards, Geometry, SLACK};
use guest_prepare::{BarrierOptions, Elisions, ModuleInfo, PrepareOptions, Prepared, prepare};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime::{Engine, Instance, Module, Store, Val};

use crate::{engine, prepared};

const PAGE: usize = 65_536;
const PAGES: usize = 3;
/// First value of the stack pointer; the stack lies below.
const STACK_TOP: u32 = 8_192;
const LOCALS: usize = 4;
/// Fills memory before a program runs. No program writes it.
const UNTOUCHED: u8 = 0xA5;

/// An address, as code computes it.
#[derive(Debug, Clone)]
enum Address {
    Constant(u32),
    Local(usize),
    Plus(Box<Address>, i32),
    Minus(Box<Address>, i32),
    StackPointer,
    /// Read from memory, so that nothing is known of it but that it lies in the first two pages.
    Loaded(u32),
    /// The same, and that it is less than 61: what lies a little below is at the end of the address space.
    Low(u32),
}

#[derive(Debug, Clone)]
enum Statement {
    Set(usize, Address),
    /// With code that is never reached between the address and the value, if so wished.
    Store {
        kind: usize,
        to: Address,
        offset: u32,
        dead: bool,
    },
    Fill {
        to: Address,
        length: Address,
    },
    Copy {
        to: Address,
        length: u32,
    },
    SetStackPointer(Address),
    /// Left at its middle when the bit of the local is set.
    Block {
        local: usize,
        before: Vec<Statement>,
        after: Vec<Statement>,
    },
    If {
        local: usize,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    /// Runs three times.
    Loop(Vec<Statement>),
    Call,
    Return,
}

/// Store instructions, the values that they take, and whether a lane follows.
const STORES: [(&str, &str, &str); 14] = [
    ("i32.store", "(i32.const 0x5A5A5A5A)", ""),
    ("i32.store8", "(i32.const 0x5A)", ""),
    ("i32.store16", "(i32.const 0x5A5A)", ""),
    ("i64.store", "(i64.const 0x5A5A5A5A5A5A5A5A)", ""),
    ("i64.store8", "(i64.const 0x5A)", ""),
    ("i64.store16", "(i64.const 0x5A5A)", ""),
    ("i64.store32", "(i64.const 0x5A5A5A5A)", ""),
    ("f32.store", "(f32.const 3.5)", ""),
    ("f64.store", "(f64.const 3.5)", ""),
    ("v128.store", "(v128.const i64x2 0x5A5A5A5A5A5A5A5A 0x5A5A5A5A5A5A5A5A)", ""),
    ("v128.store8_lane", "(v128.const i64x2 0x5A5A5A5A5A5A5A5A 0)", "1"),
    ("v128.store16_lane", "(v128.const i64x2 0x5A5A5A5A5A5A5A5A 0)", "1"),
    ("v128.store32_lane", "(v128.const i64x2 0x5A5A5A5A5A5A5A5A 0)", "1"),
    ("v128.store64_lane", "(v128.const i64x2 0x5A5A5A5A5A5A5A5A 0)", "0"),
];

fn address() -> impl Strategy<Value = Address> {
    let near_the_end = (PAGES * PAGE) as u32;
    let leaf = prop_oneof![
        2 => (0_u32..12_000).prop_map(Address::Constant),
        1 => (near_the_end - 64..near_the_end + 64).prop_map(Address::Constant),
        1 => (0_u32..200).prop_map(|below| Address::Constant(below.wrapping_neg())),
        // Beyond the most that memory may have, where a mark must not reach anything else in the table.
        1 => (near_the_end..near_the_end * 2).prop_map(Address::Constant),
        4 => (0..LOCALS).prop_map(Address::Local),
        3 => Just(Address::StackPointer),
        2 => (0_u32..4_096).prop_map(Address::Loaded),
        1 => (0_u32..4_096).prop_map(Address::Low),
    ];
    leaf.prop_recursive(2, 4, 1, |inner| {
        let step = prop_oneof![4 => 0_i32..160, 1 => -160_i32..0, 1 => 0_i32..9_000];
        prop_oneof![
            (inner.clone(), step.clone()).prop_map(|(of, by)| Address::Plus(Box::new(of), by)),
            (inner, step).prop_map(|(of, by)| Address::Minus(Box::new(of), by)),
        ]
    })
}

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let offset = || prop_oneof![4 => 0_u32..80, 1 => 0_u32..3_000, 1 => 0xFFFF_FF00_u32..=0xFFFF_FFFF];
    let leaf = prop_oneof![
        3 => (0..LOCALS, address()).prop_map(|(local, to)| Statement::Set(local, to)),
        6 => (0..STORES.len(), address(), offset(), prop::bool::weighted(0.2))
            .prop_map(|(kind, to, offset, dead)| Statement::Store { kind, to, offset, dead }),
        1 => (address(), address()).prop_map(|(to, length)| Statement::Fill { to, length }),
        1 => (address(), 0_u32..3_000).prop_map(|(to, length)| Statement::Fill { to, length: Address::Constant(length) }),
        1 => (address(), 0_u32..3_000).prop_map(|(to, length)| Statement::Copy { to, length }),
        1 => address().prop_map(Statement::SetStackPointer),
        1 => Just(Statement::Call),
    ];
    let block = leaf.prop_recursive(3, 16, 4, |inner| {
        let body = || proptest::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            (0..LOCALS, body(), body()).prop_map(|(local, before, after)| Statement::Block { local, before, after }),
            (0..LOCALS, body(), body()).prop_map(|(local, then, otherwise)| Statement::If { local, then, otherwise }),
            body().prop_map(Statement::Loop),
            body().prop_map(|mut body| {
                body.push(Statement::Return);
                Statement::If { local: 0, then: body, otherwise: Vec::new() }
            }),
        ]
    });
    proptest::collection::vec(block, 1..10)
}

/// The program as a module: a function with a frame of its own, and one that it calls.
fn module(statements: &[Statement], callee: &[Statement], most_pages: usize) -> Vec<u8> {
    module_with("", "(call $callee)", statements, callee, most_pages)
}

/// The same with an import, and this code in the place of a call.
fn module_with(import: &str, call: &str, statements: &[Statement], callee: &[Statement], most_pages: usize) -> Vec<u8> {
    let mut text = format!(
        "(module {import} (memory (export \"memory\") {PAGES} {most_pages}) (global $sp (mut i32) (i32.const {STACK_TOP}))
         (export \"__stack_pointer\" (global $sp))
         (global (export \"__heap_base\") i32 (i32.const 9216)) (global (export \"__data_end\") i32 (i32.const 9216))\n"
    );
    for (name, body) in [("run", statements), ("callee", callee)] {
        let _ = write!(text, "(func ${name} (export \"{name}\")");
        for local in 0..LOCALS {
            let _ = write!(text, " (local $l{local} i32)");
        }
        let _ = writeln!(text, " (local $n0 i32) (local $n1 i32) (local $n2 i32) (local $n3 i32) (local $n4 i32)");
        let call = if name == "run" { call } else { "" };
        body.iter().for_each(|statement| write_statement(&mut text, statement, 0, call));
        text.push_str(")\n");
    }
    text.push(')');
    if !import.is_empty() {
        // A copy may write the bytes that there are, which is not seen to be a write.
        text = text.replace("memory.copy", "memory.fill");
    }
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn write_address(text: &mut String, address: &Address) {
    match address {
        Address::Constant(value) => {
            let _ = write!(text, "(i32.const {})", value.cast_signed());
        }
        Address::Local(local) => {
            let _ = write!(text, "(local.get $l{local})");
        }
        Address::Plus(of, by) | Address::Minus(of, by) => {
            let operation = if matches!(address, Address::Plus(..)) { "add" } else { "sub" };
            let _ = write!(text, "(i32.{operation} ");
            write_address(text, of);
            let _ = write!(text, " (i32.const {by}))");
        }
        Address::StackPointer => text.push_str("(global.get $sp)"),
        Address::Loaded(at) => {
            let _ = write!(text, "(i32.load16_u (i32.const {at}))");
        }
        Address::Low(at) => {
            let _ = write!(text, "(i32.load8_u (i32.const {at}))");
        }
    }
}

fn write_statement(text: &mut String, statement: &Statement, depth: usize, call: &str) {
    let all = |text: &mut String, body: &[Statement]| {
        body.iter().for_each(|statement| write_statement(text, statement, depth + 1, call));
    };
    match statement {
        Statement::Set(local, address) => {
            let _ = write!(text, "(local.set $l{local} ");
            write_address(text, address);
            text.push_str(")\n");
        }
        Statement::Store { kind, to, offset, dead } => {
            let (name, value, lane) = STORES[*kind];
            write_address(text, to);
            if *dead {
                text.push_str(" block br 0 i32.const 0x10000 i32.add local.set $l1 i32.sub local.tee $l2 drop end ");
            }
            let _ = writeln!(text, "{value} {name} offset={offset} {lane}");
        }
        Statement::Fill { to, length } => {
            text.push_str("(memory.fill ");
            write_address(text, to);
            text.push_str(" (i32.const 0x5A) ");
            write_address(text, length);
            text.push_str(")\n");
        }
        Statement::Copy { to, length } => {
            text.push_str("(memory.copy ");
            write_address(text, to);
            let _ = writeln!(text, " (i32.const 100) (i32.const {length}))");
        }
        Statement::SetStackPointer(address) => {
            text.push_str("(global.set $sp ");
            write_address(text, address);
            text.push_str(")\n");
        }
        Statement::Block { local, before, after } => {
            text.push_str("(block\n");
            all(text, before);
            let _ = writeln!(text, "(br_if 0 (i32.and (local.get $l{local}) (i32.const 1)))");
            all(text, after);
            text.push_str(")\n");
        }
        Statement::If { local, then, otherwise } => {
            let _ = writeln!(text, "(if (i32.and (local.get $l{local}) (i32.const 1)) (then");
            all(text, then);
            text.push_str(") (else\n");
            all(text, otherwise);
            text.push_str("))\n");
        }
        Statement::Loop(body) => {
            let _ = writeln!(text, "(local.set $n{depth} (i32.const 3)) (loop");
            all(text, body);
            let _ = writeln!(text, "(br_if 0 (local.tee $n{depth} (i32.sub (local.get $n{depth}) (i32.const 1)))))");
        }
        Statement::Call => text.push_str(call),
        Statement::Return => text.push_str("return\n"),
    }
}

/// The effects of a program: the result of its call, and memory and stack pointer afterwards.
type Done = (Result<(), String>, Vec<u8>, String);

struct Running {
    store: Store<()>,
    instance: Instance,
}

impl Running {
    fn new(engine: &Engine, wasm: &[u8]) -> Self {
        let module = Module::new(engine, wasm).unwrap();
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap().data_mut(&mut store);
        memory.fill(UNTOUCHED);
        // Odd and even numbers, which are addresses in the first two pages.
        for (at, byte) in memory[..4_096].iter_mut().enumerate() {
            *byte = u8::try_from(at * 7 % 61).unwrap();
        }
        Self { store, instance }
    }

    fn run(&mut self) -> Done {
        let run = self.instance.get_typed_func::<(), ()>(&mut self.store, "run").unwrap();
        let result =
            run.call(&mut self.store, ()).map_err(|error| format!("{:?}", error.downcast_ref::<wasmtime::Trap>()));
        let pointer = self.instance.get_global(&mut self.store, "__stack_pointer").unwrap().get(&mut self.store);
        (result, self.memory().to_vec(), format!("{:?}", pointer.i32()))
    }

    fn memory(&mut self) -> &[u8] {
        self.instance.get_memory(&mut self.store, "memory").unwrap().data(&self.store)
    }

    /// The same instance before the next run.
    fn reset_stack_pointer(&mut self) {
        let pointer = self.instance.get_global(&mut self.store, "__stack_pointer").unwrap();
        pointer.set(&mut self.store, Val::I32(STACK_TOP.cast_signed())).unwrap();
    }

    /// The bytes that a restore would put back, without those that it forgets.
    fn covered(&mut self, prepared: &Prepared, forgotten: Forgotten) -> Vec<Range<usize>> {
        let barrier = prepared.barrier.as_ref().unwrap();
        let table = self.instance.get_memory(&mut self.store, barrier.export_name).unwrap();
        // A copy: the marks stay for the next run.
        let mut table = table.data(&self.store).to_vec();
        assert_eq!(table.len(), barrier.cards.table_size());
        if forgotten == Forgotten::End {
            *table.last_mut().unwrap() = 0;
        }
        let mut covered = Vec::new();
        if forgotten != Forgotten::Cards {
            let slack = if forgotten == Forgotten::Slack { SLACK as usize } else { 0 };
            Cards::new(&mut table, barrier.cards).take(PAGES * PAGE, |range| {
                let start = if range.start == 0 { 0 } else { range.start + slack };
                covered.push(start..range.end - slack);
            });
        }
        if forgotten != Forgotten::Always {
            covered.extend(barrier.always.iter().map(|range| range.start as usize..range.end as usize));
        }
        covered
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgotten {
    Nothing,
    Cards,
    Slack,
    Always,
    /// That the address space is a circle.
    End,
}

/// The property: the program does what it does without a barrier, and what it changed is covered, also what a second run
/// changed after the first.
fn check(engine: &Engine, wasm: &[u8], options: BarrierOptions, forgotten: Forgotten) -> Result<(), String> {
    let prepared = marking(wasm, options);
    let (mut plain, mut marking) = (Running::new(engine, wasm), Running::new(engine, &prepared.wasm));
    let before = marking.memory().to_vec();
    for round in 0..2 {
        let (expected, found) = (plain.run(), marking.run());
        if expected != found {
            return Err(format!("round {round}: {:?} instead of {:?}", found.0, expected.0));
        }
        let covered = marking.covered(&prepared, forgotten);
        let mut restored = found.1.clone();
        for range in &covered {
            let range = range.start.min(restored.len())..range.end.min(restored.len());
            restored[range.clone()].copy_from_slice(&before[range]);
        }
        if let Some(missed) = (0..before.len()).find(|at| restored[*at] != before[*at]) {
            return Err(format!("round {round}: address {missed:#x} was changed and is not covered by {covered:x?}"));
        }
        plain.reset_stack_pointer();
        marking.reset_stack_pointer();
    }
    Ok(())
}

fn marking(wasm: &[u8], options: BarrierOptions) -> Prepared {
    prepared(wasm, PrepareOptions::default().with_barrier(Some(options)))
}

fn elisions() -> impl Strategy<Value = Elisions> {
    let some = any::<[bool; 3]>().prop_map(|[constants, repeated, frames]| {
        Elisions::NONE.with_constants(constants).with_repeated(repeated).with_frames(frames)
    });
    prop_oneof![Just(Elisions::ALL), some]
}

fn runner(cases: u32, max_shrink_iters: u32) -> TestRunner {
    let failure_persistence = None;
    TestRunner::new(ProptestConfig { cases, max_shrink_iters, failure_persistence, ..ProptestConfig::default() })
}

#[test]
fn what_a_program_changes_is_covered_whichever_marks_are_left_out() {
    let engine = engine();
    runner(1_000, 300)
        .run(
            &(statements(), statements(), 8_u32..=12, elisions(), any::<bool>()),
            |(run, callee, shift, elisions, full)| {
                let options = BarrierOptions::default().with_card_size(1 << shift).with_elisions(elisions);
                let most_pages = if full { PAGES } else { 1 << 16 };
                check(&engine, &module(&run, &callee, most_pages), options, Forgotten::Nothing)
                    .map_err(TestCaseError::fail)
            },
        )
        .unwrap();
}

#[test]
fn a_restore_that_forgets_a_part_of_what_is_covered_is_caught() {
    let engine = engine();
    for forgotten in [Forgotten::Cards, Forgotten::Slack, Forgotten::Always] {
        let missed = runner(2_000, 0).run(&(statements(), statements()), |(statements, callee)| {
            let options = BarrierOptions::default().with_card_size(256);
            check(&engine, &module(&statements, &callee, PAGES), options, forgotten).map_err(TestCaseError::fail)
        });
        assert!(missed.is_err(), "{forgotten:?}");
    }
}

#[test]
fn a_mark_at_the_end_of_the_address_space_covers_its_beginning() {
    let engine = engine();
    // A local that lies some bytes below address 0, through which is written above it.
    let low = Address::Minus(Box::new(Address::Low(0)), 40);
    let store =
        Statement::Store { kind: 0, to: Address::Plus(Box::new(Address::Local(0)), 60), offset: 0, dead: false };
    let program = module(&[Statement::Set(0, low), store], &[], PAGES);
    let options = BarrierOptions::default();
    assert_eq!(check(&engine, &program, options, Forgotten::Nothing), Ok(()));
    let missed = check(&engine, &program, options, Forgotten::End).unwrap_err();
    assert!(missed.contains("address 0x14 was changed"), "{missed}");
}

/// A store whose host function takes the marks.
#[derive(Default)]
struct Taking {
    /// The memory, as each call of the host function leaves it.
    clean: Vec<u8>,
    missed: Option<String>,
}

/// Takes the marks, compares them with the bytes that were changed since they were taken before, and puts these back.
fn take(mut caller: wasmtime::Caller<'_, Taking>, cards: Geometry) {
    let mut exported = |name: &str| caller.get_export(name).and_then(wasmtime::Extern::into_memory).unwrap();
    let (memory, table) = (exported("memory"), exported("__harness_cards"));
    let clean = std::mem::take(&mut caller.data_mut().clean);
    let now = memory.data(&caller).to_vec();
    let changed: Vec<usize> = (0..now.len()).filter(|at| now[*at] != clean[*at]).collect();
    let (size, slack) = (cards.card_size() as usize, SLACK as usize);
    let marks = &table.data(&caller)[..now.len() / size];
    let lonely = (0..marks.len()).filter(|card| marks[*card] != 0).find(|card| {
        let near = (card * size).saturating_sub(slack)..(card + 1) * size + slack;
        !changed.iter().any(|at| near.contains(at))
    });
    let mut covered = vec![false; now.len()];
    Cards::new(table.data_mut(&mut caller), cards).take(now.len(), |range| {
        covered[range.start.min(now.len())..range.end.min(now.len())].fill(true);
    });
    let missed = changed.iter().find(|at| !covered[**at]);
    let missed = missed.map(|at| format!("address {at:#x} was changed, and has no mark"));
    let missed =
        missed.or_else(|| lonely.map(|card| format!("card {card} has a mark, and nothing was changed near it")));
    memory.data_mut(&mut caller).copy_from_slice(&clean);
    let data = caller.data_mut();
    data.missed = data.missed.take().or(missed);
    data.clean = clean;
}

/// The property: a host function that takes the marks finds all that was changed since it took them before, and no mark that is
/// far from it.
fn check_taking(engine: &Engine, wasm: &[u8], options: BarrierOptions) -> Result<(), String> {
    let prepared = marking(wasm, options);
    let module = Module::new(engine, &prepared.wasm).unwrap();
    let mut linker = wasmtime::Linker::new(engine);
    let cards = prepared.barrier.unwrap().cards;
    linker.func_wrap("host", "take", move |caller: wasmtime::Caller<'_, Taking>| take(caller, cards)).unwrap();
    let mut store = Store::new(engine, Taking::default());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    for (at, byte) in memory.data_mut(&mut store).iter_mut().enumerate() {
        *byte = u8::try_from(at * 7 % 61).unwrap();
    }
    store.data_mut().clean = memory.data(&store).to_vec();
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    // A trap ends it, and proves nothing of what came before.
    let _ = run.call(&mut store, ());
    store.data_mut().missed.take().map_or(Ok(()), Err)
}

#[test]
fn marks_that_a_host_function_takes_cover_all_that_was_changed_since_it_took_them_before() {
    let engine = engine();
    let property = |options: BarrierOptions| {
        let programs = (statements(), statements(), 8_u32..=12, elisions());
        runner(1_000, 300).run(&programs, |(run, callee, shift, elisions)| {
            let import = "(import \"host\" \"take\" (func $take))";
            let wasm = module_with(import, "(call $callee) (call $take)", &run, &callee, PAGES);
            let options = options.with_card_size(1 << shift).with_elisions(elisions);
            check_taking(&engine, &wasm, options).map_err(TestCaseError::fail)
        })
    };
    property(BarrierOptions::default().with_read_in_calls(true)).unwrap();
    let missed = property(BarrierOptions::default()).expect_err("marks from before a call are relied on");
    assert!(missed.to_string().contains("has no mark"), "{missed}");
}

#[test]
fn a_mark_that_is_read_in_calls_lies_near_a_write() {
    // The second store could lie between two marks, of which the later one would also serve the third.
    let wasm = wat::parse_str(
        r#"(module (import "host" "take" (func $take)) (memory (export "memory") 3)
            (func (export "run") (call $write (i32.const 256) (i32.const 0)) (call $take))
            (func $write (param $to i32) (param $far i32)
                (i32.store (local.get $to) (i32.const 0x5A))
                (i32.store offset=500 (local.get $to) (i32.const 0x5A))
                (if (local.get $far) (then (i32.store offset=1000 (local.get $to) (i32.const 0x5A))))))"#,
    );
    let (engine, wasm) = (engine(), wasm.unwrap());
    assert_eq!(check_taking(&engine, &wasm, BarrierOptions::default().with_read_in_calls(true)), Ok(()));
    let lonely = check_taking(&engine, &wasm, BarrierOptions::default()).unwrap_err();
    assert!(lonely.contains("card 1 has a mark"), "{lonely}");
}

/// The marks of the stores of one function.
fn counts(body: &str) -> (u32, u32, u32, u32) {
    let text = format!(
        "(module (memory (export \"memory\") 3) (global $sp (mut i32) (i32.const 8192))
         (export \"__stack_pointer\" (global $sp))
         (global (export \"__heap_base\") i32 (i32.const 9216)) (global (export \"__data_end\") i32 (i32.const 9216))
         (func (param $p i32) (local $f i32) (local $q i32) {body}))"
    );
    let wasm = wat::parse_str(text).unwrap();
    let stores = marking(&wasm, BarrierOptions::default()).barrier.unwrap().stores;
    assert_eq!(stores.stores, stores.marked + stores.constants + stores.repeated + stores.frames);
    (stores.marked, stores.constants, stores.repeated, stores.frames)
}

#[test]
fn stores_to_constant_addresses_need_no_mark() {
    assert_eq!(
        counts("(i32.store (i32.const 8200) (i32.const 1)) (i64.store offset=8 (i32.const 8200) (i64.const 1))"),
        (0, 2, 0, 0)
    );
    // Too many to be copied back by every restore. Two marks that are no further apart than a card is long cover all that
    // lies between.
    let far = |stores: usize, step: usize| -> String {
        (0..stores).map(|at| format!("(i32.store (i32.const {}) (i32.const 1))", at * step)).collect()
    };
    assert_eq!(counts(&far(40, 60)), (4, 0, 36, 0));
    assert_eq!(counts(&far(300, 1200)), (300, 0, 0, 0));
}

#[test]
fn stores_through_one_base_mark_once() {
    let store = |offset: u32| format!("(i32.store offset={offset} (local.get $p) (i32.const 1))");
    assert_eq!(counts(&format!("{}{}{}", store(0), store(8), store(60))), (1, 0, 2, 0));
    assert_eq!(counts(&format!("{}{}", store(0), store(124))), (1, 0, 1, 0), "a mark between them reaches both");
    assert_eq!(counts(&format!("{}{}", store(0), store(125))), (2, 0, 0, 0), "the last byte is beyond the slack");
    let inside: String = [0, 1000, 300, 700, 900].into_iter().map(store).collect();
    assert_eq!(counts(&inside), (2, 0, 3, 0), "the others lie between two marks");
    // Through another local that is known to be near.
    let near = "(local.set $q (i32.add (local.get $p) (i32.const 16))) (i32.store (local.get $q) (i32.const 1))";
    assert_eq!(counts(&format!("{}{near}", store(0))), (1, 0, 1, 0));
    // Behind a loop in which the base moves, and in the other branch.
    let moves = "(loop (local.set $p (i32.add (local.get $p) (i32.const 4))))";
    assert_eq!(counts(&format!("{}{moves}{}", store(0), store(0))), (2, 0, 0, 0));
    let branches = format!("(if (local.get $q) (then {}) (else {}))", store(0), store(0));
    assert_eq!(counts(&format!("{branches}{}", store(0))), (3, 0, 0, 0));
    let inside = format!("(block {})", store(4));
    assert_eq!(counts(&format!("{}{inside}{}", store(0), store(8))), (1, 0, 2, 0), "what was before holds inside");
}

#[test]
fn stores_into_the_own_frame_share_a_mark() {
    let frame = "(global.set $sp (local.tee $f (i32.sub (global.get $sp) (i32.const 128))))";
    let store = |offset: u32| format!("(i32.store offset={offset} (local.get $f) (i32.const 1))");
    assert_eq!(counts(&format!("{frame}{}{}{}", store(0), store(64), store(124))), (1, 0, 0, 2));
    // A frame that is made in one branch is none in the other.
    let made = format!("(if (local.get $p) (then {frame}{}{}) (else {}))", store(0), store(4), store(0));
    assert_eq!(counts(&made), (1, 1, 0, 1), "elsewhere the local is still zero");
}

#[test]
fn bulk_instructions_of_constant_length_share_marks_too() {
    let fill = |length: u32| format!("(memory.fill (local.get $p) (i32.const 0) (i32.const {length}))");
    let store = "(i32.store offset=8 (local.get $p) (i32.const 1))";
    assert_eq!(counts(&format!("{}{store}", fill(64))), (0, 0, 1, 0));
    assert_eq!(counts(&format!("{}{store}", fill(5000))), (0, 0, 1, 0));
    assert_eq!(counts(&format!("{}{store}", fill(0))), (1, 0, 0, 0), "nothing was written");
}

#[test]
fn cards_have_a_size_that_the_table_can_have() {
    let wasm = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    for card_size in [0, 1, 128, 300, 8192, u32::MAX] {
        assert_eq!(Geometry::new(card_size), None);
        let barrier = Some(BarrierOptions::default().with_card_size(card_size));
        let error = prepare(&wasm, &info, PrepareOptions::default().with_barrier(barrier)).unwrap_err();
        assert!(error.to_string().contains("power of two"), "{error}");
    }
}

#[test]
fn code_that_is_not_reached_takes_no_operands_from_around_it() {
    // It leads no address into a local of another type.
    let typed = r#"(func (export "f") (result i64) (local $wide i64)
        (i32.load (i32.const 0)) loop br 0 local.set $wide end i32.const 42 i32.store i64.const 0)"#;
    let wasm = wat::parse_str(format!("(module (memory (export \"memory\") 1) {typed})")).unwrap();
    Module::new(&engine(), marking(&wasm, BarrierOptions::default()).wasm).unwrap();
}
