;; The guest of the examples in the documentation. `guest-sdk` writes the frame of a guest in Rust.
(module
  (import "extension" "log" (func $log (param i32 i32 i32)))
  (import "extension" "fail" (func $fail (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global (export "__heap_base") i32 (i32.const 4096))
  (@custom "guest-abi" "\01\00\00\00")
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 16) "hello")
  (data (i32.const 32) "\85\00\68sys.View\61e\a1\62Id\01\a1\66Amount\19\01\90")
  ;; Logs a line, and leaves the intent to make a record of sys.View.
  (func (export "count_up") (result i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 1024) (global.get $calls))
    (call $log (i32.const 2) (i32.const 16) (i32.const 5))
    (i64.or (i64.shl (i64.const 32) (i64.const 32)) (i64.const 29)))
  ;; Fails with a code of its own.
  (func (export "refuse") (result i64) (call $fail (i32.const 1000) (i32.const 16) (i32.const 5)) i64.const -1)
  ;; Never ends.
  (func (export "spin") (result i64) (loop $again (br $again)) i64.const 0))
