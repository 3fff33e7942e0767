(module
  (memory 1 4)
  (func $one_more (result i32)
    (memory.grow (i32.const 1)))
  (func $pages (result i32)
    (memory.size)))
