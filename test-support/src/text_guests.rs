//! Guests in text form that speak the native contract, each as large as its test needs.

/// The contract's version, the memory, and the exchange region behind the statics.
const FRAME: &str = r#"
  (memory (export "memory") 2)
  (global (export "__heap_base") i32 (i32.const 4096))
  (@custom "guest-abi" "\01\00\00\00")
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
"#;

/// A module of this text inside the frame that every guest has.
#[must_use]
pub fn guest(imports: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {imports} {FRAME} {body})")).expect("the guest of the test is valid")
}

/// A guest without a control block: one function for each way in which a call can end.
///
/// `new_view` leaves the intent to make a record of `sys.View` with the key `Id` 1 and the `Amount` 400.
#[must_use]
pub fn plain() -> Vec<u8> {
    guest(
        r#"(import "extension" "log" (func $log (param i32 i32 i32)))
           (import "extension" "fail" (func $fail (param i32 i32 i32)))"#,
        r#"
        (data (i32.const 16) "hello")
        (data (i32.const 32) "\85\00\68sys.View\61e\a1\62Id\01\a1\66Amount\19\01\90")
        (func (export "do_nothing") (result i64) i64.const 0)
        (func (export "say_hello") (result i64) (call $log (i32.const 2) (i32.const 16) (i32.const 5)) i64.const 0)
        (func (export "refuse") (result i64) (call $fail (i32.const 1000) (i32.const 16) (i32.const 5)) i64.const -1)
        (func (export "new_view") (result i64) (i64.or (i64.shl (i64.const 32) (i64.const 32)) (i64.const 29)))
        (func (export "abort") (result i64) unreachable)
        (func (export "spin") (result i64) (loop $again (br $again)) i64.const 0)
        (func (export "grow") (result i64) (drop (memory.grow (i32.const 1))) i64.const 0)
        (func (export "grow_or_abort") (result i64)
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) i64.const 0)
        (data (i32.const 80) "\1b[31mred\0d\0aResult")
        (func (export "say_and_abort") (result i64)
          (call $log (i32.const 2) (i32.const 16) (i32.const 5))
          (call $log (i32.const 1) (i32.const 80) (i32.const 16)) unreachable)"#,
    )
}

/// A guest with a control block, as a bump allocator keeps it: `allocate` counts two allocations of 24 bytes and one
/// free, and `__guest_init` one allocation of 8.
#[must_use]
pub fn counted() -> Vec<u8> {
    guest(
        "",
        r#"
        (global (export "__allocator_control_block") i32 (i32.const 1024))
        ;; magic, version 1 and kind 2, heap base, top, high-water mark, limit, mark, flags
        (data (i32.const 1024) "CBLK\01\00\02\00\00\10\00\00\00\10\01\00\00\10\01\00\00\00\02\00\00\00\00\00\01\00\00\00")
        (func $add (param $field i32) (param $by i64)
          (i64.store (i32.add (i32.const 1024) (local.get $field))
            (i64.add (i64.load (i32.add (i32.const 1024) (local.get $field))) (local.get $by))))
        (func $allocate (param $size i32)
          (call $add (i32.const 48) (i64.const 1))
          (call $add (i32.const 72) (i64.extend_i32_u (local.get $size)))
          (i32.store (i32.const 1036) (i32.add (i32.load (i32.const 1036)) (local.get $size)))
          (i64.store (i32.const 1112)
            (i64.sub (i64.load (i32.const 1096)) (i64.load (i32.const 1104)))))
        (func (export "__guest_init") (result i32) (call $allocate (i32.const 8)) i32.const 0)
        (func (export "allocate") (result i64)
          (call $allocate (i32.const 24))
          (call $allocate (i32.const 24))
          (call $add (i32.const 56) (i64.const 1))
          (call $add (i32.const 80) (i64.const 24))
          i64.const 0)"#,
    )
}
