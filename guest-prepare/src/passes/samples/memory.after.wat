(module
  (memory 0 0)
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (export "__harness_memory" (memory 0)))
