//! Guests in text form whose allocations are counted without a control block.

use crate::text_guests::guest;

/// An allocator as TinyGo's: names in the name section, a stack pointer that nobody exports, everything by way of
/// `runtime.alloc`, which aborts where memory ends. `malloc` remembers each block in another, as TinyGo's does.
pub const TINYGO: &str = r#"
  (global $stack_pointer (mut i32) (i32.const 2048))
  (global $heap (mut i32) (i32.const 8192))
  (func $runtime.alloc (param $size i32) (param $layout i32) (param $context i32) (result i32) (local $block i32)
    (local.set $block (global.get $heap))
    (global.set $heap (i32.add (global.get $heap)
      (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))
    (block $fits
      (loop $more
        (br_if $fits (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
        (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      unreachable)
    (memory.fill (local.get $block) (i32.const 0) (local.get $size))
    local.get $block)
  (func $malloc (export "malloc") (param $size i32) (result i32) (local $block i32)
    (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
    (local.set $block (call $runtime.alloc (local.get $size) (i32.const 0) (i32.const 0)))
    (i32.store (call $runtime.alloc (i32.const 8) (i32.const 0) (i32.const 0)) (local.get $block))
    local.get $block)
  (func $free (export "free") (param i32))
  (func $calloc (export "calloc") (param i32 i32) (result i32)
    (call $malloc (i32.mul (local.get 0) (local.get 1))))
  (func $realloc (export "realloc") (param $block i32) (param $size i32) (result i32)
    (if (i32.eqz (local.get $size)) (then (call $free (local.get $block)) (return (i32.const 0))))
    (call $runtime.alloc (local.get $size) (i32.const 0) (i32.const 0)))
"#;

/// Functions that use an allocator of these names.
pub const WORK: &str = r#"
  (func (export "work") (result i64) (local $block i32)
    (drop (call $malloc (i32.const 100)))
    (local.set $block (call $malloc (i32.const 200)))
    (drop (call $calloc (i32.const 3) (i32.const 5)))
    (drop (call $realloc (i32.const 0) (i32.const 7)))
    (local.set $block (call $realloc (local.get $block) (i32.const 70)))
    (drop (call $realloc (local.get $block) (i32.const 0)))
    (call $free (i32.const 4096))
    (call $free (i32.const 0))
    (drop (call $malloc (i32.const 0)))
    i64.const 0)
  (func (export "nothing") (result i64) i64.const 0)
  (func (export "abort") (result i64) unreachable)
"#;

/// A guest with that allocator.
#[must_use]
pub fn tinygo() -> Vec<u8> {
    guest("", &format!("{TINYGO} {WORK}"))
}

/// Functions by which a guest tells what it allocated: `allocate` does one allocation of 64 bytes, and a free.
///
/// Each function pushes a frame on the stack and counts its own calls in a global, as nobody should do.
#[must_use]
pub fn tells(mallocs: &str) -> Vec<u8> {
    guest(
        r#"(import "extension" "log" (func $log (param i32 i32 i32)))"#,
        &format!(
            r#"
        (global $stack_pointer (mut i32) (i32.const 2048))
        (global $asked (mut i32) (i32.const 0))
        (global $mallocs (mut i64) (i64.const 7)) (global $frees (mut i64) (i64.const 3))
        (global $calls (mut i32) (i32.const 0))
        (func $tell (param i64) (result i64)
          (global.set $stack_pointer (i32.sub (global.get $stack_pointer) (i32.const 16)))
          (i64.store (global.get $stack_pointer) (i64.const -1))
          (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
          (call $log (i32.const 2) (i32.const 0) (i32.const 1))
          (global.set $stack_pointer (i32.add (global.get $stack_pointer) (i32.const 16)))
          local.get 0)
        (func (export "WasmGetMallocs") (result i64) {mallocs} (call $tell (global.get $mallocs)))
        (func (export "WasmGetFrees") (result i64) (call $tell (global.get $frees)))
        (func (export "WasmGetHeapInuse") (result i64)
          (call $tell (i64.mul (i64.sub (global.get $mallocs) (global.get $frees)) (i64.const 64))))
        (func (export "WasmGetHeapSys") (result i64) (call $tell (i64.const 65536)))
        (func (export "allocate") (result i64)
          (if (i32.ne (global.get $stack_pointer) (i32.const 2048)) (then unreachable))
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (global.set $mallocs (i64.add (global.get $mallocs) (i64.const 1)))
          (global.set $mallocs (i64.add (global.get $mallocs) (i64.const 1)))
          (global.set $frees (i64.add (global.get $frees) (i64.const 1)))
          i64.const 0)
        (func (export "abort") (result i64) unreachable)"#
        ),
    )
}
