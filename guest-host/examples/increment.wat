;; A bare module with a stage: it increments the first byte of a block.
(module
  (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
  (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
  (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
  (memory (export "memory") 2)

  ;; The second page is for blocks. The results of functions go to address 0.
  (func (export "_initialize")
    (call $add_storage (i32.const 65536) (i32.const 65536) (i32.const 0)))

  (func (export "increment") (param $block i32) (result i32)
    (local $address i32)
    (call $attach (local.get $block) (i32.const 1) (i32.const 0))
    (if (i32.load8_u (i32.const 0)) (then (unreachable)))
    (local.set $address (i32.load (i32.const 4)))
    (i32.store8 (local.get $address) (i32.add (i32.load8_u (local.get $address)) (i32.const 1)))
    ;; As many bytes are valid as were before.
    (call $detach (local.get $block) (i32.load (i32.const 8)))
    (local.get $block)))
