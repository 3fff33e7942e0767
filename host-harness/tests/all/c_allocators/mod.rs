//! The allocators behind C's interface, as guests in C are linked with them: a random program of calls from the host, against a
//! byte model and the control block, in a plain wasmtime without anything of the harness.
//!
//! The guest is `guests/c/probe.c`, built by `cargo xtask guests` over each allocator, with and without wasi-libc; and over
//! wasi-libc's own allocator, of which the program knows no better.

mod broken;
mod probe;
mod program;

use std::path::Path;

use guest_abi::{AllocatorKind, ControlBlockImage};
use probe::Probe;
use program::{Program, TOO_MUCH};

/// The modules with an allocator of this project, and what that calls itself.
const OWN: [(&str, AllocatorKind); 6] = [
    ("c-probe-leaking", AllocatorKind::Leaking),
    ("c-probe-bump-reset", AllocatorKind::BumpReset),
    ("c-probe-freelist", AllocatorKind::Freelist),
    ("c-probe-wasi-leaking", AllocatorKind::Leaking),
    ("c-probe-wasi-bump-reset", AllocatorKind::BumpReset),
    ("c-probe-wasi-freelist", AllocatorKind::Freelist),
];

/// The module with the allocator of wasi-libc.
const FOREIGN: &str = "c-probe-wasi-libc";

/// The bytes of a built guest.
fn module(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

fn probe(name: &str) -> Probe {
    Probe::new(&module(name))
}

fn run(probe: &mut Probe, seed: u64, steps: u32) -> Result<(), String> {
    Program::new(probe, seed)?.run(steps)
}

#[test]
fn programs_run_as_modelled() {
    for name in OWN.iter().map(|(name, _)| *name).chain([FOREIGN]) {
        for seed in 0..5 {
            run(&mut probe(name), seed, 1000).unwrap_or_else(|wrong| panic!("{name}, seed {seed}, {wrong}"));
        }
    }
}

#[test]
fn the_control_block_says_which_allocator_it_is() {
    for (name, kind) in OWN {
        let mut probe = probe(name);
        let before = probe.block().expect("it is exported");
        assert_eq!((before.allocator(), before.top), (None, before.heap_base), "{name}");
        assert!(before.counts(), "{name}");
        probe.malloc(1);
        assert_eq!(probe.block().expect("it is exported").allocator(), Some(kind), "{name}");
    }
    assert_eq!(probe(FOREIGN).block(), None);
}

#[test]
fn the_header_has_the_layout_of_the_control_block() {
    // The guest reads its control block as guest_alloc.h declares it, and the host as guest-abi does.
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, module("c-shop-statistics-freelist")).expect("the module is valid");
    let mut linker = wasmtime::Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module).expect("every import has a type");
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("the module can be instantiated");
    let malloc = instance.get_typed_func::<u32, u32>(&mut store, "malloc").expect("malloc");
    let free = instance.get_typed_func::<u32, ()>(&mut store, "free").expect("free");
    for size in [100, 5000, 70_000] {
        malloc.call(&mut store, size).expect("malloc returns");
    }
    let last = malloc.call(&mut store, 7).expect("malloc returns");
    free.call(&mut store, last).expect("free returns");

    let global = instance.get_global(&mut store, "__allocator_control_block").expect("it is exported");
    let at = global.get(&mut store).unwrap_i32().cast_unsigned() as usize;
    let memory = instance.get_memory(&mut store, "memory").expect("memory");
    let image = ControlBlockImage::parse(&memory.data(&store)[at..]).expect("it is a control block");
    assert_eq!((image.allocations, image.deallocations, image.live_bytes()), (4, 1, 75_100));
    let expected = [
        ("WasmGetMallocs", image.allocations),
        ("WasmGetFrees", image.deallocations),
        ("WasmGetHeapInuse", image.live_bytes()),
        ("WasmGetHeapSys", u64::from(image.limit - image.heap_base)),
    ];
    for (name, expected) in expected {
        let function = instance.get_typed_func::<(), u64>(&mut store, name).expect(name);
        assert_eq!(function.call(&mut store, ()).expect("it returns"), expected, "{name}");
    }
}

/// Bytes by which the smallest guest may be larger with an allocator.
const BUDGETS: [(&str, usize); 3] =
    [("c-minimal-leaking", 640), ("c-minimal-bump-reset", 830), ("c-minimal-freelist", 4600)];

#[test]
fn what_an_allocator_adds_to_a_guest_in_c_is_within_its_budget() {
    let baseline = module("c-minimal-none").len();
    for (name, budget) in BUDGETS {
        let added = module(name).len() - baseline;
        println!("{name}: {added} bytes more than {baseline}");
        assert!(added <= budget, "{name} is {added} bytes larger, more than {budget}");
    }
}

#[test]
fn what_wasi_libc_allocates_for_itself_is_counted_too() {
    for (name, _) in OWN.iter().filter(|(name, _)| name.contains("wasi")) {
        let mut probe = probe(name);
        assert_eq!(probe.use_libc(-12345), Some(6), "{name}");
        let image = probe.block().expect("it is exported");
        // Two strings, and one table of handlers that stays.
        assert_eq!((image.allocations - image.deallocations, image.deallocations), (1, 2), "{name}");
        assert!(image.live_bytes() >= 32 * 8, "{name}");
    }
    assert_eq!(probe(FOREIGN).use_libc(7), Some(1));
}

#[test]
fn zeroed_memory_is_zero_after_the_host_has_reset() {
    for name in ["c-probe-bump-reset", "c-probe-wasi-bump-reset"] {
        for by_call in [true, false] {
            let mut probe = probe(name);
            let mut program = Program::new(&mut probe, 1).unwrap();
            program.run(300).unwrap();
            let probe = program.probe();
            probe.call("__alloc_mark").expect("it is exported");
            let marked = probe.block().expect("it is exported");
            for round in 0..3 {
                let dirty = probe.malloc(100_000);
                probe.bytes_mut(dirty, 100_000).fill(0xFF);
                if by_call {
                    probe.call("__alloc_reset").expect("it is exported");
                } else {
                    probe.reset_by_host();
                }
                assert_eq!(probe.block().expect("it is exported").top, marked.mark, "{name}");
                let zeroed = probe.calloc(1000, 100);
                assert_eq!(zeroed, dirty, "{name}, round {round}");
                assert!(probe.bytes(zeroed, 100_000).iter().all(|byte| *byte == 0), "{name}, round {round}");
                probe.reset_by_host();
            }
            program.check_contents().unwrap();
        }
    }
}

#[test]
fn what_failed_is_recorded_and_nothing_else_has_changed() {
    for (name, _) in OWN {
        let mut probe = probe(name);
        let block = probe.malloc(100);
        let before = probe.block().expect("it is exported");
        assert_eq!(probe.realloc(block, TOO_MUCH), 0, "{name}");
        let after = probe.block().expect("it is exported");
        assert_eq!((after.failed_size, after.failed_align), (TOO_MUCH, 16), "{name}");
        assert_eq!((after.allocations, after.reallocations, after.live_bytes()), (1, 0, 100), "{name}");
        assert_eq!(after.top, before.top, "{name}");
        assert_eq!(probe.usable_size(block), 100, "{name}");
    }
}
