//! Folders with guests of a few lines.

use std::fs;
use std::path::Path;

use guest_abi::function::Declaration;
use guest_functions::{Kind, Scalar, Type};
use tempfile::TempDir;

/// The greatest common divisor of two numbers.
pub(crate) const GCD: &str = r#"(module (func (export "gcd") (param i64 i64) (result i64) (local i64)
    (loop $again (if (i64.ne (local.get 1) (i64.const 0)) (then
        (local.set 2 (i64.rem_u (local.get 0) (local.get 1)))
        (local.set 0 (local.get 1)) (local.set 1 (local.get 2)) (br $again))))
    (local.get 0)))"#;

/// A configuration with the route of [`GCD`].
pub(crate) const GCD_ROUTE: &str = "[[routes]]\npath = \"/gcd\"\nfunction = \"gcd\"\n";

/// A folder of guests, which ends with the test.
pub(crate) struct Guests {
    folder: TempDir,
}

impl Guests {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a guest: its `guest.toml`, and its module from text.
    pub(crate) fn put(&self, name: &str, config: &str, wat: &str) {
        self.write(name, "guest.toml", config);
        self.write(name, &format!("{name}.wasm"), wat::parse_str(wat).unwrap());
    }

    /// Writes a file of a guest.
    pub(crate) fn write(&self, name: &str, file: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Appends to a file of a guest.
    pub(crate) fn append(&self, name: &str, file: &str, contents: &str) {
        use std::io::Write as _;

        let file = fs::OpenOptions::new().append(true).open(self.path().join(name).join(file));
        file.unwrap().write_all(contents.as_bytes()).unwrap();
    }
}

/// The entry of a declaration, which is a constant.
macro_rules! entry {
    ($name:literal, [$($param:literal: $ty:expr),*], $result:expr) => {{
        const DECLARATION: Declaration<'static> =
            Declaration::new(Kind::Scalar, $name, &[$(($param, $ty)),*], &[("", $result)]);
        DECLARATION.entry::<{ DECLARATION.size() }>().to_vec()
    }};
}

pub(crate) use entry;

/// The text of a section with such entries.
pub(crate) fn section(entries: &[Vec<u8>]) -> String {
    let bytes: String = entries.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{bytes}")"#)
}

/// A guest with signatures: `echo` returns its text or document, `refuse` fails with an error of its own, and `slowly` logs a line, counts to
/// a number and returns it.
pub(crate) fn typed() -> String {
    const NUMBER: Type = Type::of(Scalar::I64);
    let section = [
        entry!("echo", ["text": Type::of(Scalar::String)], Type::of(Scalar::String)),
        entry!("order", ["order": Type::of(Scalar::Document)], Type::of(Scalar::Document)),
        entry!("refuse", [], NUMBER),
        entry!("slowly", ["number": NUMBER], NUMBER),
    ];
    let section = self::section(&section);
    let echo = "(param i32 i32) (result i64)
        (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))";
    format!(
        r#"(module
        (import "extension" "fail" (func $fail (param i32 i32 i32)))
        (import "extension" "log" (func $log (param i32 i32 i32)))
        (memory (export "memory") 8)
        (data (i32.const 512) "hello")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func (export "__guest_function_echo") {echo})
        (func (export "__guest_function_order") {echo})
        (func (export "__guest_function_refuse") (result i64)
            (call $fail (i32.const 1007) (i32.const 512) (i32.const 5)) (i64.const 0))
        (func (export "__guest_function_slowly") (param i64) (result i64) (local i64)
            (call $log (i32.const 2) (i32.const 512) (i32.const 5))
            (loop $again
                (local.set 1 (i64.add (local.get 1) (i64.const 1)))
                (br_if $again (i64.lt_u (local.get 1) (local.get 0))))
            (local.get 1))
        {section})"#
    )
}

/// A guest of HTTP functions: `reply` gives the bytes behind `@@` in the request as its response, and `mirror` one whose body is the bytes of the
/// request.
pub(crate) fn http() -> String {
    const BYTES: Type = Type::of(Scalar::Bytes);
    let section = section(&[entry!("reply", ["request": BYTES], BYTES), entry!("mirror", ["request": BYTES], BYTES)]);
    // {"status": 200, "body": a byte string whose length follows in four bytes
    let mirrored = r"\a2\66status\18\c8\64body\5a";
    format!(
        r#"(module
        (memory (export "memory") 16)
        (data (i32.const 16) "{mirrored}")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func $pack (param i32 i32) (result i64)
            (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
        (func (export "__guest_function_reply") (param $at i32) (param $length i32) (result i64) (local $end i32)
            (local.set $end (i32.add (local.get $at) (local.get $length)))
            (loop $next
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.ne (i32.load16_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 0x4040))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (call $pack (local.get $at) (i32.sub (local.get $end) (local.get $at))))
        (func (export "__guest_function_mirror") (param i32 i32) (result i64)
            (i32.store8 (i32.const 32) (i32.shr_u (local.get 1) (i32.const 24)))
            (i32.store8 (i32.const 33) (i32.shr_u (local.get 1) (i32.const 16)))
            (i32.store8 (i32.const 34) (i32.shr_u (local.get 1) (i32.const 8)))
            (i32.store8 (i32.const 35) (local.get 1))
            (memory.copy (i32.const 36) (local.get 0) (local.get 1))
            (call $pack (i32.const 16) (i32.add (local.get 1) (i32.const 20))))
        {section})"#
    )
}

/// The routes of [`typed`].
pub(crate) const TYPED_ROUTES: &str = r#"
    [[routes]]
    path = "/echo"
    function = "echo"
    [[routes]]
    path = "/order"
    function = "order"
    [[routes]]
    path = "/refuse"
    function = "refuse"
    [[routes]]
    path = "/slowly"
    function = "slowly"
    [limits]
    deadline = "1min"
"#;

/// A program that keeps a count and a digest of the numbers that it is sent, eight bytes each, and answers each with both. The number 0
/// is a question alone. Other messages let it trap, with `spins` in place of that spin.
pub(crate) fn ledger(otherwise: &str) -> String {
    const NUMBER: Type = Type::of(Scalar::I64);
    const BYTES: Type = Type::of(Scalar::Bytes);
    let section = entry!("read", ["connection": NUMBER, "bytes": BYTES], BYTES);
    let section: String = section.iter().map(|byte| format!("\\{byte:02x}")).collect();
    // The count is at 8, the digest at 16, and the one action of the answer begins at 1024.
    format!(
        r#"(module
        (memory (export "memory") 3)
        (data (i32.const 1024) "\01\01\00\00\00")
        (data (i32.const 1037) "\10\00\00\00")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func (export "__guest_function_read") (param $connection i64) (param $at i32) (param $length i32) (result i64)
            (local $number i64)
            (if (i32.ne (local.get $length) (i32.const 8)) (then {otherwise}))
            (local.set $number (i64.load (local.get $at)))
            (if (i64.ne (local.get $number) (i64.const 0)) (then
                (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
                (i64.store (i32.const 16) (i64.add
                    (i64.mul (i64.load (i32.const 16)) (i64.const {LEDGER_FACTOR})) (local.get $number)))))
            (i64.store (i32.const 1029) (local.get $connection))
            (i64.store (i32.const 1041) (i64.load (i32.const 8)))
            (i64.store (i32.const 1049) (i64.load (i32.const 16)))
            (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 33)))
        (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    )
}

/// The factor of the digest in [`ledger`].
pub(crate) const LEDGER_FACTOR: u64 = 1_000_003;

/// A program that keeps a number and answers each message with it, in 8 bytes. A message counts 1, one that begins with `w` after a
/// while, and the end of a connection counts 1000. One that begins with `s` never ends, and one with `t` traps.
pub(crate) fn counter() -> String {
    let section = [
        entry!("read", ["connection": Type::of(Scalar::I64), "bytes": Type::of(Scalar::Bytes)], Type::of(Scalar::Bytes)),
        entry!("closed", ["connection": Type::of(Scalar::I64)], Type::of(Scalar::Bytes)),
    ];
    let section: String = section.concat().iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module
        (import "extension" "log" (func $log (param i32 i32 i32)))
        (memory (export "memory") 8)
        (global $total (mut i64) (i64.const 0))
        (data (i32.const 512) "counted")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func $is (param i32 i32) (result i32) (i32.eq (i32.load8_u (local.get 0)) (local.get 1)))
        (func (export "__guest_function_read") (param i64 i32 i32) (result i64) (local i64)
            (call $log (i32.const 2) (i32.const 512) (i32.const 7))
            (if (call $is (local.get 1) (i32.const 115)) (then (loop $again (br $again))))
            (if (call $is (local.get 1) (i32.const 116)) (then unreachable))
            (if (call $is (local.get 1) (i32.const 119)) (then
                (loop $again
                    (local.set 3 (i64.add (local.get 3) (i64.const 1)))
                    (br_if $again (i64.lt_u (local.get 3) (i64.const 20000000))))))
            (global.set $total (i64.add (global.get $total) (i64.const 1)))
            (i32.store8 (i32.const 1024) (i32.const 1))
            (i32.store (i32.const 1025) (i32.const 1))
            (i64.store (i32.const 1029) (local.get 0))
            (i32.store (i32.const 1037) (i32.const 8))
            (i64.store (i32.const 1041) (global.get $total))
            (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 25)))
        (func (export "__guest_function_closed") (param i64) (result i64)
            (global.set $total (i64.add (global.get $total) (i64.const 1000)))
            (i64.const 0))
        (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    )
}
