(module
  (memory 1)
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $bytes i64) (local $block i32)
    (if (result i32) (i64.eqz (global.get $under_way))
      (then
        (global.set $requested_bytes
          (i64.add
            (local.tee $bytes (i64.extend_i32_u (local.get $size)))
            (global.get $requested_bytes)))
        (global.set $allocations (i64.add (global.get $allocations) (i64.const 1)))
        (global.set $under_way (i64.add (local.get $bytes) (i64.const 1)))
        ;; An answer of 0 to a request for some bytes: there is no memory.
        (if (i32.eqz (local.tee $block (call $moved (local.get $size))))
          (then
            (if (i32.eqz (i64.eqz (local.get $bytes)))
              (then
                (global.set $refused_bytes (local.get $bytes))
                ;; Tells the limiter.
                (drop (memory.grow (i32.const -1)))))))
        (global.set $under_way (i64.const 0))
        (local.get $block))
      ;; A call from inside the allocator: it does not count.
      (else (call $moved (local.get $size)))))

  (global $allocations (export "__harness_allocations") (mut i64) (i64.const 0))
  (global $frees (export "__harness_frees") (mut i64) (i64.const 0))
  (global $reallocations (export "__harness_reallocations") (mut i64) (i64.const 0))
  (global $requested_bytes (export "__harness_requested_bytes") (mut i64) (i64.const 0))
  (global $under_way (export "__harness_allocation_under_way") (mut i64) (i64.const 0))
  (global $refused_bytes (export "__harness_refused_allocation") (mut i64) (i64.const 0))
  (func $moved (param $size i32) (result i32)
    (i32.const 1024)))
