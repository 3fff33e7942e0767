//! A folder with programs of a few lines.

use std::fs;
use std::path::Path;

use guest_abi::function::Declaration;
use guest_functions::{Kind, Scalar, Type};
use tempfile::TempDir;

/// A folder of guests, which ends with the test.
pub(crate) struct Guests {
    folder: TempDir,
}

impl Guests {
    /// A folder with the guest `count`.
    pub(crate) fn new() -> Self {
        let guests = Self { folder: tempfile::tempdir().unwrap() };
        guests.put("count", "memory = \"256KiB\"\ndeadline = \"100ms\"\n", &count());
        guests
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a program with these limits, whose module is in text form.
    pub(crate) fn put(&self, name: &str, limits: &str, wat: &str) {
        let program =
            format!("[program]\nwebsocket = \"/{{tenant}}\"\nmessage = \"1KiB\"\n[limits]\nbody = \"1KiB\"\n{limits}");
        self.write(name, &program, wat);
    }

    /// Writes a guest, whose module is in text form.
    pub(crate) fn write(&self, name: &str, config: &str, wat: &str) {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("guest.toml"), config).unwrap();
        fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(wat).unwrap()).unwrap();
    }
}

/// The entry of a function's declaration, as text.
macro_rules! entry {
    ($name:literal, [$($param:literal: $scalar:expr),*]) => {{
        const DECLARATION: Declaration<'static> = Declaration::new(
            Kind::Scalar,
            $name,
            &[$(($param, Type::of($scalar))),*],
            &[("", Type::of(Scalar::Bytes))],
        );
        DECLARATION.entry::<{ DECLARATION.size() }>().iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
    }};
}

/// A program with `functions`, whose declarations are `section`.
fn module(functions: &str, section: &str) -> String {
    format!(
        r#"(module
        (memory (export "memory") 4)
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        ;; Puts an action before the bytes at 131089, and returns it: kind, one connection, which is 0, and the length.
        (func $write (param $length i32) (result i64)
            (i32.store8 (i32.const 131072) (i32.const 1))
            (i32.store (i32.const 131073) (i32.const 1))
            (i64.store (i32.const 131077) (i64.const 0))
            (i32.store (i32.const 131085) (local.get $length))
            (i64.or (i64.shl (i64.const 131072) (i64.const 32))
                (i64.extend_i32_u (i32.add (local.get $length) (i32.const 17)))))
        {functions}
        (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    )
}

/// Counts its events, and keeps a sum over all their bytes in order. It answers with both, and the event: 4 and 8 bytes, and
/// the rest. It traps at an event that begins with `!`, and does not end at one with `?`.
pub(crate) fn count() -> String {
    let read = r#"(func (export "__guest_function_read") (param $connection i64) (param $from i32) (param $length i32) (result i64)
        (local $at i32) (local $first i32) (local $sum i64)
        (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))
        (local.set $first (i32.load8_u (local.get $from)))
        (if (i32.eq (local.get $first) (i32.const 33)) (then unreachable))
        (if (i32.eq (local.get $first) (i32.const 63)) (then (loop $ever (br $ever))))
        (local.set $sum (i64.load (i32.const 1032)))
        (block $end (loop $again
            (br_if $end (i32.ge_u (local.get $at) (local.get $length)))
            (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31))
                (i64.load8_u (i32.add (local.get $from) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $again)))
        (i64.store (i32.const 1032) (local.get $sum))
        (i32.store (i32.const 131089) (i32.load (i32.const 1024)))
        (i64.store (i32.const 131093) (local.get $sum))
        (memory.copy (i32.const 131101) (local.get $from) (local.get $length))
        (call $write (i32.add (local.get $length) (i32.const 12))))"#;
    module(read, &entry!("read", ["connection": Scalar::I64, "bytes": Scalar::Bytes]))
}

/// A program that wants to know of its connection: it writes `c` and how often it was connected, repeats what it reads, closes at an
/// event that begins with `x`, and writes more than it may at one with `l`.
pub(crate) fn greeter() -> String {
    let functions = r#"(func (export "__guest_function_connected") (param i64) (param i32 i32) (result i64)
            (i32.store8 (i32.const 1024) (i32.add (i32.load8_u (i32.const 1024)) (i32.const 1)))
            (i32.store8 (i32.const 131089) (i32.const 99))
            (i32.store8 (i32.const 131090) (i32.add (i32.load8_u (i32.const 1024)) (i32.const 48)))
            (call $write (i32.const 2)))
        (func (export "__guest_function_read") (param i64) (param $from i32) (param $length i32) (result i64)
            (if (i32.eq (i32.load8_u (local.get $from)) (i32.const 120)) (then
                (i32.store8 (i32.const 131072) (i32.const 2))
                (i32.store (i32.const 131073) (i32.const 1))
                (i64.store (i32.const 131077) (i64.const 0))
                (return (i64.or (i64.shl (i64.const 131072) (i64.const 32)) (i64.const 13)))))
            (if (i32.eq (i32.load8_u (local.get $from)) (i32.const 108)) (then
                (drop (memory.grow (i32.const 8)))
                (return (call $write (i32.const 400000)))))
            (memory.copy (i32.const 131089) (local.get $from) (local.get $length))
            (call $write (local.get $length)))
        (func (export "__guest_function_closed") (param i64) (result i64)
            (call $write (i32.const 1)))"#;
    let section = [
        entry!("connected", ["connection": Scalar::I64, "peer": Scalar::String]),
        entry!("read", ["connection": Scalar::I64, "bytes": Scalar::Bytes]),
        entry!("closed", ["connection": Scalar::I64]),
    ];
    module(functions, &section.concat())
}

/// A program that writes 100 messages of one byte when it is connected, and as many as the first two bytes of an event say.
pub(crate) fn chatter() -> String {
    let functions = r#"(func $many (param $count i32) (result i64)
            (local $at i32)
            (local.set $at (i32.const 131072))
            (block $end (loop $again
                (br_if $end (i32.eqz (local.get $count)))
                (i32.store8 (local.get $at) (i32.const 1))
                (i32.store offset=1 (local.get $at) (i32.const 1))
                (i64.store offset=5 (local.get $at) (i64.const 0))
                (i32.store offset=13 (local.get $at) (i32.const 1))
                (i32.store8 offset=17 (local.get $at) (i32.const 120))
                (local.set $at (i32.add (local.get $at) (i32.const 18)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br $again)))
            (i64.or (i64.shl (i64.const 131072) (i64.const 32))
                (i64.extend_i32_u (i32.sub (local.get $at) (i32.const 131072)))))
        (func (export "__guest_function_connected") (param i64) (param i32 i32) (result i64)
            (call $many (i32.const 100)))
        (func (export "__guest_function_read") (param i64) (param $from i32) (param i32) (result i64)
            (call $many (i32.load16_u (local.get $from))))"#;
    let section = [
        entry!("connected", ["connection": Scalar::I64, "peer": Scalar::String]),
        entry!("read", ["connection": Scalar::I64, "bytes": Scalar::Bytes]),
    ];
    module(functions, &section.concat())
}
