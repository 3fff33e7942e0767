(module
  (memory 1)
  (func $write (param $at i32)
    local.get $at
    i32.const 7
    i32.store
    local.get $at
    i32.const 8
    i32.store offset=4))
