(module
  (global $__stack_pointer (mut i32) (i32.const 1024))
  (global $total (export "total") (mut i64) (i64.const 0))
  (global $limit i32 (i32.const 7))
  (export "__harness_global_0" (global $__stack_pointer)))
