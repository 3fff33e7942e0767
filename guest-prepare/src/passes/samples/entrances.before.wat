(module
  (global $pointer (export "pointer") (mut i32) (i32.const 1024))
  (func $run (export "run") (result i64)
    (global.set $pointer (i32.const 512))
    (i64.const 0)))
