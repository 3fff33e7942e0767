//! A guest that does what it is told by a record of the state: it passes any numbers to any host function.

use std::sync::LazyLock;

use guest_abi::key::Key;
use guest_abi::names;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_host::{Engine, EngineConfig, Guest, InstanceAllocation, MemoryState};
use guest_prepare::PrepareOptions;

/// Where the script lies in the guest's memory, as the host function `get` has put it there: a CBOR object with one
/// field, the script's bytes.
const SCRIPT: u32 = 16_384;

/// Bytes of the object before the script, whose length takes two bytes of their own.
const BEFORE: u32 = 6;

/// Most bytes of a script.
pub(crate) const MOST: usize = 4_096;

/// Bytes of a step: the function, two bytes that mean nothing, and up to six numbers.
pub(crate) const STEP: usize = 1 + 6 * 4;

/// The engine of all targets.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let mut config = EngineConfig::default();
        // A pool is made for few instances of few guests.
        config.allocation = InstanceAllocation::OnDemand;
        Engine::new(&config).expect("the machine can run the engine")
    });
    &ENGINE
}

/// The guest: its `run` carries the script out and returns what the last step says, its `count` the calls before it.
pub(crate) fn guest() -> &'static Guest {
    static GUEST: LazyLock<Guest> = LazyLock::new(|| {
        let wasm = wat::parse_str(text()).expect("the puppet is valid");
        Guest::load(engine(), "puppet", &wasm, PrepareOptions::default()).expect("the puppet keeps the contract")
    });
    &GUEST
}

/// A state that has this script.
pub(crate) fn state_of(script: &[u8]) -> MemoryState {
    let mut value = Vec::new();
    let mut writer = ObjectEncoder::begin(&mut value);
    // Always as long as this, so that its length is always written in two bytes.
    let mut padded = script[..script.len().min(MOST)].to_vec();
    padded.resize(MOST, 0xFF);
    writer.put_bytes("s", &padded);
    writer.end();
    let mut state = MemoryState::new();
    let key = Key::of_storage(guest_abi::storage::EVENT);
    state.insert(&key, ValueRef::new(&value)).expect("the state knows the storage of events");
    state
}

fn text() -> String {
    let import = |name: &str, params: usize, result: &str| {
        let params = "i32 ".repeat(params);
        format!("(import \"{}\" \"{name}\" (func ${name} (param {params}) {result}))\n", names::IMPORT_MODULE)
    };
    let imports = [
        import(names::IMPORT_GET, 4, "(result i32)"),
        import(names::IMPORT_READ, 6, "(result i32)"),
        import(names::IMPORT_INTENTS, 2, ""),
        import(names::IMPORT_LOG, 3, ""),
        import(names::IMPORT_FAIL, 3, ""),
        import(names::IMPORT_PANIC, 6, ""),
    ]
    .concat();
    let arguments = |count: usize| {
        let one = |index: usize| format!("(i32.load offset={} (local.get $at)) ", 1 + 4 * index);
        (0..count).map(one).collect::<String>()
    };
    let end = SCRIPT as usize + BEFORE as usize + MOST - STEP;
    // `Key` of the event: storage `sys.Event`, no entity, no fields.
    format!(
        r#"(module {imports}
  (memory (export "memory") 1 4)
  (global (export "__heap_base") i32 (i32.const 32768))
  (@custom "guest-abi" "\01\00\00\00")
  (data (i32.const 16) "\69sys.Event\60\a0")
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 32768)
  (func $calls (result i32)
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (i32.sub (i32.load (i32.const 8)) (i32.const 1)))
  (func (export "count") (result i64)
    (call $log (i32.const 2) (i32.const 64) (call $calls)) i64.const 0)
  (func (export "run") (result i64) (local $at i32)
    (drop (call $calls))
    (drop (call $get (i32.const 16) (i32.const 12) (i32.const {SCRIPT}) (i32.const 16000)))
    (local.set $at (i32.const {begin}))
    (loop $next
      (block $end (block $grow (block $panic (block $fail (block $log (block $intents (block $read (block $get
        (br_table $get $read $intents $log $fail $panic $grow $end (i32.load8_u (local.get $at))))
        (drop (call $get {four})) (br $end)) (drop (call $read {six})) (br $end)) (call $intents {two}) (br $end))
        (call $log {three}) (br $end)) (call $fail {three}) (br $end)) (call $panic {six}) (br $end))
        (drop (memory.grow (i32.and (i32.load offset=1 (local.get $at)) (i32.const 3)))))
      (if (i32.ge_u (i32.load8_u (local.get $at)) (i32.const 7))
        (then (return (i64.load offset=1 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const {STEP})))
      (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))
    i64.const 0))"#,
        begin = SCRIPT + BEFORE,
        two = arguments(2),
        three = arguments(3),
        four = arguments(4),
        six = arguments(6),
    )
}
