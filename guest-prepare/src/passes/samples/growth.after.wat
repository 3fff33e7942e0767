(module
  (memory 1 4)
  (func $one_more (result i32)
    (call $grow (i32.const 1)))
  (func $pages (result i32)
    (global.get $logical_pages))

  (global $logical_pages (export "__harness_logical_pages") (mut i32) (i32.const 1))
  (func $grow (param $delta i32) (result i32)
    (local $old i32) (local $new i32)
    (local.set $old (global.get $logical_pages))
    (if (i32.gt_u (local.get $delta) (i32.sub (i32.const 4) (local.get $old)))
      (then
        ;; More than the maximum: the engine refuses, and tells its limiter.
        (drop (memory.grow (local.get $delta)))
        (return (i32.const -1))))
    (if (i32.gt_u (local.tee $new (i32.add (local.get $old) (local.get $delta))) (memory.size))
      (then
        (if (i32.eq (memory.grow (i32.sub (local.get $new) (memory.size))) (i32.const -1))
          (then (return (i32.const -1))))))
    (global.set $logical_pages (local.get $new))
    (local.get $old)))
