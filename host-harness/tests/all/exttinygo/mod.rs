//! Guests of the exttinygo contract: what the host functions do, what they do not stand, and that nothing is left.

mod contract;
mod counts;
mod empty;
mod heap;
mod misuse;
mod overflow;
mod restores;
mod shapes;

use std::cell::RefCell;
use std::path::Path;

use guest_host::admission::exttinygo_imports;
use guest_host::{Guest, MemoryState};
use guest_prepare::PrepareOptions;
use host_harness::parse_state;

/// Where a guest's text lies.
const TEXT: usize = 1024;

/// Of WASI, what guests print and exit with.
const WASI: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
"#;

/// As TinyGo's guests have it: stack pointer and heap pointer are unexported globals, and nothing says where the heap
/// begins. The host's buffer comes from a bump allocator that returns 0 when it has no more.
const FRAME: &str = r#"
  (memory (export "memory") 2)
  (global $stack_pointer (mut i32) (i32.const 65536))
  (global $heap (mut i32) (i32.const 70000))
  (func (export "WasmAbiVersion_0_0_1"))
  (func $malloc (export "malloc") (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $heap))
    (if (i32.gt_u (i32.add (local.get $at) (local.get $size)) (i32.shl (memory.size) (i32.const 16)))
      (then (if (i32.eq (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))) (i32.const -1))
        (then (return (i32.const 0))))))
    (global.set $heap (i32.add (local.get $at) (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))
    (local.get $at))
  (func (export "free") (param i32))
"#;

/// The text of a guest, which lies one behind the other.
#[derive(Default)]
pub(crate) struct Source {
    text: RefCell<String>,
}

impl Source {
    /// Address and length of a text, as arguments.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut all = self.text.borrow_mut();
        let at = TEXT + all.len();
        all.push_str(text);
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// A key of this storage and entity.
    pub(crate) fn key(&self, storage: &str, entity: &str) -> String {
        format!("(call $hostGetKey {} {})", self.text(storage), self.text(entity))
    }

    /// An intent for a new record of `test.Seen`, without a key's fields.
    pub(crate) fn seen(&self) -> String {
        format!("(call $hostNewValue {})", self.key("test.Seen", ""))
    }
}

/// A module of the contract: all its imports, the frame, and this.
pub(crate) fn guest(body: impl FnOnce(&Source) -> String) -> Vec<u8> {
    guest_in(FRAME, body)
}

fn guest_in(frame: &str, body: impl FnOnce(&Source) -> String) -> Vec<u8> {
    let source = Source::default();
    let body = body(&source);
    let list = |kind: &str, types: &[_]| match types {
        [] => String::new(),
        types => format!("({kind} {})", types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    };
    let imports: String = exttinygo_imports()
        .iter()
        .map(|import| {
            let params = list("param", &import.signature.params);
            let results = list("result", &import.signature.results);
            format!("(import \"env\" \"{0}\" (func ${0} {params} {results}))\n", import.name)
        })
        .collect();
    let callback = match body.contains("\"WasmOnReadValue\"") {
        true => "",
        false => "(func (export \"WasmOnReadValue\") (param i64 i64))",
    };
    let text = source.text.borrow().escape_default().to_string().replace("\\'", "'");
    let module = format!("(module {imports} {WASI} {frame} {callback} (data (i32.const {TEXT}) \"{text}\") {body})");
    wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}"))
}

pub(crate) fn load(wasm: &[u8]) -> Guest {
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "exttinygo", wasm, PrepareOptions::default()).expect("the guest keeps the contract")
}

/// The state that the guests of these tests read.
pub(crate) fn state() -> MemoryState {
    let state = r#"[
      {"storage": "sys.Record", "entity": "shop.Customer", "key": {"Id": 7}, "value": {
        "Name": "Söhne", "Age": 41, "Large": 4294967296, "Half": 0.5, "Third": 0.1, "Good": true,
        "Logo": {"$bytes": "AQID"}, "Kind": {"$qname": ["shop", "Best"]}, "Address": {"City": "Ulm", "Zip": [8, 9]},
        "Mixed": ["text", 5, 6.5, true, {"$bytes": "BA=="}, {"$qname": ["a", "B"]}, {"In": 1}, [2]]}},
      {"storage": "sys.View", "entity": "a.b/c.Rows", "key": {"Year": 2023, "Name": "one"}, "value": {"Amount": 1}},
      {"storage": "sys.View", "entity": "a.b/c.Rows", "key": {"Year": 2023, "Name": "two"}, "value": {"Amount": 20}},
      {"storage": "sys.View", "entity": "a.b/c.Rows", "key": {"Year": 2024, "Name": "three"}, "value": {"Amount": 300}}
    ]"#;
    parse_state(state, Path::new("state.json")).expect("the state of the test is valid")
}
