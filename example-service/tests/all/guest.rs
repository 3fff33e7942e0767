//! The guest of the tests.

use test_support::text_guests::guest;

/// A guest with a function for each way in which a call can go.
///
/// `tally` adds 1 to the field `n` of the record `sys.Record tally`. `add_pair` writes the event under itself as a key,
/// to both entities `A` and `B` of `sys.Record`. `answer` leaves the event as a result. `update_of_none` and `refuse` log
/// a line. `spin` never ends.
pub(crate) fn ledger() -> Vec<u8> {
    guest(
        r#"(import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))
           (import "extension" "log" (func $log (param i32 i32 i32)))
           (import "extension" "fail" (func $fail (param i32 i32 i32)))"#,
        r#"
        (data (i32.const 16) "hello")
        (data (i32.const 128) "\6asys.Record\65tally\a0")
        (data (i32.const 160) "\85\00\6asys.Record\65tally\a0\a1\61n\19\00\00")
        (data (i32.const 256) "\69sys.Event\60\a0")
        (data (i32.const 288) "\85\00\6asys.Record\61A")
        (data (i32.const 320) "\85\00\6asys.Record\61B")
        (data (i32.const 352) "\85\00\6asys.Result\60\a0")
        (data (i32.const 384) "\85\01\6asys.Record\64none\a0\a0")
        (data (i32.const 416) "\68my.Store\60\a0")
        (func (export "tally") (result i64) (local $n i32)
          (if (i32.ge_s (call $get (i32.const 128) (i32.const 18) (i32.const 4096) (i32.const 64)) (i32.const 0))
            (then
              (i32.store8 (i32.const 161) (i32.const 1))
              (local.set $n (i32.or
                (i32.shl (i32.load8_u (i32.const 4100)) (i32.const 8)) (i32.load8_u (i32.const 4101))))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (i32.store8 (i32.const 184) (i32.shr_u (local.get $n) (i32.const 8)))
          (i32.store8 (i32.const 185) (local.get $n))
          (i64.or (i64.shl (i64.const 160) (i64.const 32)) (i64.const 26)))
        (func $append (param $at i32) (param $from i32) (param $size i32) (result i32)
          (memory.copy (local.get $at) (local.get $from) (local.get $size))
          (i32.add (local.get $at) (local.get $size)))
        (func $event (result i32) (call $get (i32.const 256) (i32.const 12) (i32.const 4096) (i32.const 4096)))
        (func $from (param $end i32) (result i64)
          (i64.or (i64.shl (i64.const 80000) (i64.const 32))
            (i64.extend_i32_u (i32.sub (local.get $end) (i32.const 80000)))))
        (func (export "add_pair") (result i64) (local $size i32)
          (local.set $size (call $event))
          (call $append (i32.const 80000) (i32.const 288) (i32.const 15))
          (call $append (i32.const 4096) (local.get $size))
          (call $append (i32.const 4096) (local.get $size))
          (call $append (i32.const 320) (i32.const 15))
          (call $append (i32.const 4096) (local.get $size))
          (call $append (i32.const 4096) (local.get $size))
          (call $from))
        (func (export "answer") (result i64) (local $size i32)
          (local.set $size (call $event))
          (call $append (i32.const 80000) (i32.const 352) (i32.const 15))
          (call $append (i32.const 4096) (local.get $size))
          (call $from))
        (func (export "update_of_none") (result i64)
          (call $log (i32.const 2) (i32.const 16) (i32.const 5))
          (i64.or (i64.shl (i64.const 384) (i64.const 32)) (i64.const 20)))
        (func (export "read_unknown") (result i64)
          (drop (call $get (i32.const 416) (i32.const 11) (i32.const 4096) (i32.const 64))) i64.const 0)
        (func (export "refuse") (result i64)
          (call $log (i32.const 2) (i32.const 16) (i32.const 5))
          (call $fail (i32.const 1000) (i32.const 16) (i32.const 5)) i64.const -1)
        (func (export "abort") (result i64) unreachable)
        (func (export "spin") (result i64) (loop $again (br $again)) i64.const 0)
        (func (export "grow_or_abort") (result i64)
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) i64.const 0)"#,
    )
}
