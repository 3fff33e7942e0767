(module
  (memory 1)
  (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 1024))
  (global (export "__allocator_control_block") i32 (i32.const 1024))
  (global (export "__data_end") i32 (i32.const 2048))
  (global (export "__heap_base") i32 (i32.const 2048))
  (func $framed (local $frame i32)
    ;; Makes a frame of 32 bytes.
    (global.set $__stack_pointer
      (local.tee $frame (i32.sub (global.get $__stack_pointer) (i32.const 32))))
    ;; Puts the pointer back.
    (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 32)))))
