//! The imports and exports of a guest of `guest-sdk-exttinygo` are exactly those that hosts of that contract know.

use std::collections::BTreeSet;

use guest_build::Allocator;
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, Linker, Module, Store, TypedFunc, WasmParams, WasmResults};

use super::named_module;

/// Names of what the module imports, each with its module.
fn imports(wasm: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload.expect("the compiler's module is valid") {
            for import in section.into_imports() {
                let import = import.expect("the compiler's module is valid");
                names.insert(format!("{}.{}", import.module, import.name));
            }
        }
    }
    names
}

/// Names of what the module exports.
fn exports(wasm: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(section) = payload.expect("the compiler's module is valid") {
            names.extend(section.into_iter().map(|export| export.expect("it is valid").name.to_owned()));
        }
    }
    names
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Exports of every guest of the contract.
const EVERY: [&str; 10] = [
    "memory",
    "WasmAbiVersion_0_0_1",
    "_start",
    "malloc",
    "free",
    "calloc",
    "realloc",
    "WasmOnReadValue",
    "WasmGC",
    // The linker's, which hosts of the contract ignore as they do any global.
    "__heap_base",
];

/// Exports of those whose allocator counts.
const COUNTING: [&str; 5] =
    ["__allocator_control_block", "WasmGetHeapInuse", "WasmGetHeapSys", "WasmGetMallocs", "WasmGetFrees"];

#[test]
fn a_guest_exports_what_the_contract_says_and_its_functions() {
    for allocator in Allocator::ALL {
        let mut expected = names(&EVERY);
        expected.extend(names(&["__data_end", "calc_ordered_items", "count_up", "new_order", "send_mail"]));
        if allocator != Allocator::System {
            expected.extend(names(&COUNTING));
        }
        if allocator == Allocator::BumpReset {
            expected.extend(names(&["__alloc_mark", "__alloc_reset"]));
        }
        assert_eq!(exports(&named_module(&format!("shop-{allocator}-exttinygo"))), expected, "{allocator}");
    }
}

/// The imports that a key may need, whatever its fields.
const KEYS: [&str; 9] = [
    "env.hostGetKey",
    "env.hostRowWriterPutBool",
    "env.hostRowWriterPutBytes",
    "env.hostRowWriterPutFloat32",
    "env.hostRowWriterPutFloat64",
    "env.hostRowWriterPutInt32",
    "env.hostRowWriterPutInt64",
    "env.hostRowWriterPutQName",
    "env.hostRowWriterPutString",
];

#[test]
fn a_guest_imports_what_it_uses() {
    let mut expected = names(&KEYS);
    expected.extend(names(&[
        "env.hostNewValue",
        "env.hostQueryValue",
        "env.hostUpdateValue",
        "env.hostValueAsBool",
        "env.hostValueAsBytes",
        "env.hostValueAsFloat64",
        "env.hostValueAsInt32",
        "env.hostValueAsInt64",
        "env.hostValueAsString",
        "env.hostValueAsValue",
        "env.hostValueGetAsString",
        "env.hostValueGetAsValue",
        "env.hostValueLength",
        "wasi_snapshot_preview1.fd_write",
    ]));
    for allocator in Allocator::ALL {
        assert_eq!(imports(&named_module(&format!("shop-{allocator}-exttinygo"))), expected, "{allocator}");
        // What neither reads nor writes imports what it says of a panic.
        let minimal = imports(&named_module(&format!("minimal-{allocator}-exttinygo")));
        assert_eq!(minimal, names(&["wasi_snapshot_preview1.fd_write"]), "{allocator}");
    }
}

#[test]
fn a_guest_that_uses_everything_imports_all_of_the_contract_but_two_functions() {
    let offered = guest_host::admission::exttinygo_imports();
    let mut expected: BTreeSet<_> = offered.iter().map(|known| format!("{}.{}", known.module, known.name)).collect();
    // An absent record is an error that an extension may handle, so it is asked for by `hostQueryValue`; a panic is a
    // line of output, which all hosts of the contract understand.
    assert!(expected.remove("env.hostGetValue") && expected.remove("env.hostPanic"));
    expected.insert("wasi_snapshot_preview1.fd_write".to_owned());
    assert_eq!(imports(&named_module("conformance-leaking-exttinygo")), expected);
}

#[test]
fn a_guest_is_smaller_than_on_the_native_contract() {
    // Finding fields and encoding intents is the host's part here.
    for allocator in Allocator::ALL {
        let native = named_module(&format!("shop-{allocator}")).len();
        let exttinygo = named_module(&format!("shop-{allocator}-exttinygo")).len();
        println!("{allocator}: {exttinygo} bytes, natively {native}");
        assert!(exttinygo < native, "{allocator}: {exttinygo} bytes, natively {native}");
    }
}

/// An instance of a guest that imports nothing but `fd_write`, after its `_start`; without the harness, which would restore
/// it.
struct Bare {
    store: Store<()>,
    instance: wasmtime::Instance,
}

impl Bare {
    fn new(name: &str) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, named_module(name)).expect("the compiler's module is valid");
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap("wasi_snapshot_preview1", "fd_write", |_: i32, _: i32, _: i32, _: i32| 0)
            .expect("nothing else is linked");
        let instance = linker.instantiate(&mut store, &module).expect("it imports nothing else");
        let mut bare = Self { store, instance };
        bare.call::<(), ()>("_start", ());
        bare.call::<(), ()>("WasmAbiVersion_0_0_1", ());
        bare
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        let function: TypedFunc<P, R> =
            self.instance.get_typed_func(&mut self.store, name).expect("it is of that type");
        function.call(&mut self.store, params).expect("it does not trap")
    }

    fn bytes(&mut self, address: u32, length: usize) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        &mut memory.data_mut(&mut self.store)[address as usize..][..length]
    }

    /// Allocations, frees and bytes in use.
    fn counted(&mut self) -> (u64, u64, u64) {
        self.call::<(), ()>("WasmGC", ());
        let mut count = |name| self.call::<(), u64>(name, ());
        (count("WasmGetMallocs"), count("WasmGetFrees"), count("WasmGetHeapInuse"))
    }
}

#[test]
fn the_allocator_serves_the_host_as_in_c_and_counts() {
    /// The bytes that an allocation takes besides its size.
    const HEADER: u64 = 16;
    for allocator in Allocator::ALL {
        let mut guest = Bare::new(&format!("minimal-{allocator}-exttinygo"));
        let counts = allocator != Allocator::System;
        let before = if counts { guest.counted() } else { (0, 0, 0) };
        let first: u32 = guest.call("malloc", 100_u32);
        assert!(first != 0 && first.is_multiple_of(16), "{allocator}: {first:#x}");
        guest.bytes(first, 100).fill(7);
        let second: u32 = guest.call("calloc", (10_u32, 5_u32));
        assert!(guest.bytes(second, 50).iter().all(|byte| *byte == 0), "{allocator}");
        let third: u32 = guest.call("realloc", (first, 300_u32));
        assert!(guest.bytes(third, 100).iter().all(|byte| *byte == 7), "{allocator}");
        assert_eq!(guest.call::<u32, u32>("malloc", u32::MAX), 0, "{allocator}");
        assert_eq!(guest.call::<_, u32>("calloc", (u32::MAX, 2_u32)), 0, "{allocator}");
        guest.call::<u32, ()>("free", second);
        guest.call::<u32, ()>("free", 0);
        if counts {
            let (allocations, frees, in_use) = guest.counted();
            assert_eq!((allocations - before.0, frees - before.1), (2, 1), "{allocator}");
            assert_eq!(in_use - before.2, 300 + HEADER, "{allocator}");
            assert!(guest.call::<(), u64>("WasmGetHeapSys", ()) >= in_use, "{allocator}");
        }
    }
}
