//! A guest of the exttinygo contract that does what its script says: it calls any host function with any arguments, from
//! its own functions, from `main`, from its callback and from its `malloc`.
//!
//! The script comes as the guest's only argument, two letters a byte, and is in memory before the snapshot.

use std::fmt::Write as _;
use std::sync::LazyLock;

use guest_abi::exttinygo as names;
use guest_host::Guest;
use guest_host::admission::exttinygo_imports;
use guest_prepare::PrepareOptions;
use guest_prepare::module_info::ValueType;

use super::script::{ARGUMENTS, SECTION, SECTIONS, SLOTS, STEP};

/// Where the guest has its texts, one behind the other.
const TEXT: usize = 1_024;

/// Where it keeps what host functions return.
const RESULTS: usize = 8_192;

/// Where its script is.
const SCRIPT: usize = 16_384;

/// Where its arguments are put.
const ARGV: usize = 512;
const ROOM: usize = 32_768;

/// Bytes of memory that it starts with. The heap begins in the middle.
pub(super) const MEMORY: u32 = 2 << 16;

/// Texts that a script may pass: storages, entities and fields of the state, and some that nobody should pass.
pub(super) const TEXTS: [&[u8]; 36] = [
    b"sys.Record",
    b"sys.View",
    b"test.Many",
    b"test.Large",
    b"nobody.Knows",
    b"shop.Customer",
    b"a.b/c.Rows",
    b"a.Absent",
    b"Id",
    b"Year",
    b"Name",
    b"Age",
    b"Big",
    b"Half",
    b"Good",
    b"Logo",
    b"Kind",
    b"Address",
    b"Zip",
    b"Mixed",
    b"Third",
    b"Amount",
    b"Text",
    b"new",
    b"",
    b"View",
    b".a",
    b"a.",
    b"a",
    b"b",
    b"\xFF\xFE",
    b"S\xC3\xB6hne",
    b"S\xC3",
    "ein Name, der länger ist als das, was eine Meldung von ihm behält: ößäöüößäöü".as_bytes(),
    &[b'x'; 300],
    &[b'.'; 1_500],
];

/// Texts of [`TEXTS`] that name storages; entities and then fields follow.
pub(super) const STORAGES: usize = 5;
/// Those that name storages or entities.
pub(super) const ENTITIES: usize = 8;
/// Those that name anything in the state.
pub(super) const NAMES: usize = 24;

/// Address and length of a text.
pub(super) fn place(text: usize) -> (u32, u32) {
    let before: usize = TEXTS[..text].iter().map(|text| text.len()).sum();
    ((TEXT + before) as u32, TEXTS[text].len() as u32)
}

/// A step's function: a host function, or what the guest does itself.
pub(super) struct Operation {
    /// The module that it is imported from.
    pub(super) module: &'static str,
    pub(super) name: String,
    pub(super) params: Vec<ValueType>,
    result: Option<ValueType>,
}

/// Of WASI, what does more than to refuse.
const WASI: [(&str, &str); 14] = [
    ("fd_write", "iiii"),
    ("fd_read", "iiii"),
    ("fd_close", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_filestat_get", "ii"),
    ("clock_time_get", "iIi"),
    ("clock_res_get", "ii"),
    ("random_get", "ii"),
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
];
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// What the guest does itself: name and code, over the arguments that `{0}` and the like stand for. The code leaves whether
/// the steps end here.
pub(super) const OWN: [(&str, &str); 9] = [
    ("return", "i32.const 1"),
    ("grow", "(drop (memory.grow (i32.and {0} (i32.const 7)))) i32.const 0"),
    ("store", "(i64.store {0} {1L}) i32.const 0"),
    ("fill", "(memory.fill {0} {1} (i32.and {2} (i32.const 0xFFFF))) i32.const 0"),
    ("set", "(global.set $other {0L}) i32.const 0"),
    ("mood", "(global.set $mood {0}) (global.set $wild {1}) i32.const 0"),
    ("allocate", "(drop (call $malloc {0})) i32.const 0"),
    ("steps", "(call $steps) i32.const 0"),
    ("unreachable", "unreachable"),
];

/// What `malloc` does, by number: it serves; returns 0; returns any address; grows memory; traps; takes steps, and serves.
pub(super) const MOODS: u32 = 6;

/// Every operation that a script may have; what the guest does itself has no module.
pub(super) fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let host = exttinygo_imports().into_iter().map(|import| Operation {
            module: names::IMPORT_MODULE,
            name: import.name,
            params: import.signature.params.to_vec(),
            result: import.signature.results.first().cloned(),
        });
        let wasi = WASI.into_iter().map(|(name, params)| Operation {
            module: WASI_MODULE,
            name: name.to_owned(),
            params: params.chars().map(|ty| if ty == 'i' { ValueType::I32 } else { ValueType::I64 }).collect(),
            result: (name != "proc_exit").then_some(ValueType::I32),
        });
        let own = OWN.into_iter().map(|(name, _)| Operation {
            module: "",
            name: name.to_owned(),
            params: vec![ValueType::I64; 3],
            result: None,
        });
        host.chain(wasi).chain(own).collect()
    });
    &OPERATIONS
}

/// The guest, loaded once.
pub(super) fn guest() -> &'static Guest {
    static GUEST: LazyLock<Guest> = LazyLock::new(|| {
        let wasm = wat::parse_str(text()).expect("the guest is valid");
        Guest::load(crate::puppet::engine(), "exttinygo", &wasm, PrepareOptions::default())
            .expect("the guest keeps the contract")
    });
    &GUEST
}

fn type_name(ty: &ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F32 => "f32",
        ValueType::F64 => "f64",
        other => panic!("no host function has {other:?}"),
    }
}

/// An argument of the step at `$at`, as this type.
fn argument(index: usize, ty: &ValueType) -> String {
    let long = format!("(call $argument (i32.add (local.get $at) (i32.const {})))", 8 + 16 * index);
    match ty {
        ValueType::I64 => long,
        ValueType::I32 => format!("(i32.wrap_i64 {long})"),
        ValueType::F32 => format!("(f32.reinterpret_i32 (i32.wrap_i64 {long}))"),
        _ => format!("(f64.reinterpret_i64 {long})"),
    }
}

/// Keeps a result of this type where the step wants it.
fn keep(call: &str, ty: &ValueType) -> String {
    let long = match ty {
        ValueType::I64 => call.to_owned(),
        ValueType::I32 => format!("(i64.extend_i32_s {call})"),
        ValueType::F32 => format!("(i64.extend_i32_u (i32.reinterpret_f32 {call}))"),
        _ => format!("(i64.reinterpret_f64 {call})"),
    };
    format!("(call $keep (i32.load offset=4 (local.get $at)) {long})")
}

fn text() -> String {
    let (mut imports, mut functions, mut elements) = (String::new(), String::new(), String::new());
    for (number, operation) in operations().iter().enumerate() {
        let Operation { module, name, params, result } = operation;
        let code = if module.is_empty() {
            let (_, code) = OWN.iter().find(|(own, _)| own == name).expect("it is one of these");
            let with = |code: String, index: usize| {
                code.replace(&format!("{{{index}}}"), &argument(index, &ValueType::I32))
                    .replace(&format!("{{{index}L}}"), &argument(index, &ValueType::I64))
            };
            (0..3).fold((*code).to_owned(), with)
        } else {
            let types: String = params.iter().map(|ty| format!("{} ", type_name(ty))).collect();
            let returns = result.as_ref().map_or(String::new(), |ty| format!("(result {})", type_name(ty)));
            let _ = writeln!(imports, "(import \"{module}\" \"{name}\" (func ${name} (param {types}) {returns}))");
            let arguments: String = params.iter().enumerate().map(|(index, ty)| argument(index, ty)).collect();
            let call = format!("(call ${name} {arguments})");
            format!("{} i32.const 0", result.as_ref().map_or_else(|| call.clone(), |ty| keep(&call, ty)))
        };
        let _ = writeln!(functions, "(func $step{number} (param $at i32) (result i32) {code})");
        let _ = write!(elements, "$step{number} ");
    }
    let data: String = TEXTS.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let sections: String = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(number, name)| format!("(func (export \"{name}\") (call $section (i32.const {number})))\n"))
        .collect();
    format!(
        r#"(module {imports}
  (memory (export "memory") {pages})
  (global $stack_pointer (mut i32) (i32.const 65536))
  (global $heap (mut i32) (i32.const 65536))
  (global $next (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))
  (global $mood (mut i32) (i32.const 0))
  (global $wild (mut i32) (i32.const 0))
  (global $rows (mut i32) (i32.const 0))
  (global $other (mut i64) (i64.const 0))
  (type $step (func (param i32) (result i32)))
  (table funcref (elem {elements}))
  (data (i32.const {TEXT}) "{data}")
  (func (export "WasmAbiVersion_0_0_1"))
  ;; An argument is a number, a result, or the upper or lower half of one, which are address and length.
  (func $argument (param $at i32) (result i64) (local $value i64) (local $kind i32)
    (local.set $kind (i32.load (local.get $at)))
    (local.set $value (i64.load offset=8 (local.get $at)))
    (if (i32.eqz (local.get $kind)) (then (return (local.get $value))))
    (local.set $value (i64.load offset={RESULTS} (i32.mul (i32.const 8)
      (i32.rem_u (i32.wrap_i64 (local.get $value)) (i32.const {SLOTS})))))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (return (i64.shr_u (local.get $value) (i64.const 32)))))
    (if (i32.eq (local.get $kind) (i32.const 3)) (then (return (i64.and (local.get $value) (i64.const 0xFFFFFFFF)))))
    (local.get $value))
  (func $keep (param $slot i32) (param $value i64)
    (i64.store offset={RESULTS} (i32.mul (i32.const 8) (i32.rem_u (local.get $slot) (i32.const {SLOTS})))
      (local.get $value)))
  (func $steps (local $at i32)
    (loop $more
      (if (i32.ge_u (global.get $next) (global.get $end)) (then (return)))
      (local.set $at (i32.add (i32.const {SCRIPT}) (i32.mul (global.get $next) (i32.const {STEP}))))
      (global.set $next (i32.add (global.get $next) (i32.const 1)))
      (br_if $more (i32.eqz (call_indirect (type $step) (local.get $at)
        (i32.rem_u (i32.load (local.get $at)) (i32.const {operations})))))))
  (func $section (param $number i32)
    (global.set $next (i32.mul (local.get $number) (i32.const {SECTION})))
    (global.set $end (i32.add (global.get $next) (i32.const {SECTION})))
    (call $steps))
  {sections}
  (func (export "WasmOnReadValue") (param $key i64) (param $value i64)
    (call $keep (i32.add (i32.const 16) (i32.and (global.get $rows) (i32.const 3))) (local.get $key))
    (call $keep (i32.add (i32.const 20) (i32.and (global.get $rows) (i32.const 3))) (local.get $value))
    (global.set $rows (i32.add (global.get $rows) (i32.const 1)))
    (call $steps))
  (func $malloc (export "malloc") (param $size i32) (result i32) (local $at i32)
    (if (i32.eq (global.get $mood) (i32.const 1)) (then (return (i32.const 0))))
    (if (i32.eq (global.get $mood) (i32.const 2)) (then (return (global.get $wild))))
    (if (i32.eq (global.get $mood) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.eq (global.get $mood) (i32.const 4)) (then unreachable))
    (if (i32.eq (global.get $mood) (i32.const 5)) (then (call $steps)))
    (local.set $at (global.get $heap))
    (if (i64.gt_u (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size)))
                  (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))
      (then (if (i32.eq (i32.const -1)
                  (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
        (then (return (i32.const 0))))))
    (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (local.get $at))
  (func (export "free") (param i32))
  (func (export "WasmGetMallocs") (result i64) (i64.extend_i32_u (global.get $heap)))
  (func (export "WasmGetFrees") (result i64) i64.const 0)
  (func (export "_start") (local $index i32)
    (drop (call $args_get (i32.const {ARGV}) (i32.const {ROOM})))
    (loop $more
      (i32.store8 offset={SCRIPT} (local.get $index) (i32.or
        (i32.shl (i32.sub (i32.load8_u offset={ROOM} (i32.shl (local.get $index) (i32.const 1))) (i32.const 65))
                 (i32.const 4))
        (i32.sub (i32.load8_u offset={after} (i32.shl (local.get $index) (i32.const 1))) (i32.const 65))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $index) (i32.const {bytes}))))
    (memory.fill (i32.const {ROOM}) (i32.const 0) (i32.const {room}))
    (call $section (i32.const {start})))
  {functions})"#,
        pages = MEMORY >> 16,
        operations = operations().len(),
        after = ROOM + 1,
        bytes = SECTIONS * SECTION * STEP,
        room = 2 * SECTIONS * SECTION * STEP,
        start = SECTIONS - 1,
    )
}

// What is laid out above does not overlap: the texts end before the results, the script before the arguments, and those
// before the heap.
const _: () = assert!(8 + 16 * ARGUMENTS == STEP && SCRIPT + SECTIONS * SECTION * STEP <= ROOM);
const _: () = assert!(ROOM + 2 * SECTIONS * SECTION * STEP < 1 << 16);
