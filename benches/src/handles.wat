;; Gets a record, reads a field of it, and leaves the intent to write it anew with the field increased by one: what the
;; function one_get_one_intent of the guest `bench` does, over an API that passes handles, field by field.
(module
  (import "state" "key" (func $key (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "state" "get_value" (func $get_value (param i32) (result i32)))
  (import "state" "value_as_i64" (func $value_as_i64 (param i32 i32 i32) (result i64)))
  (import "state" "new_value" (func $new_value (param i32) (result i32)))
  (import "state" "put_i64" (func $put_i64 (param i32 i32 i32 i64)))
  (memory (export "memory") 2)
  (data (i32.const 16) "sys.View")
  (data (i32.const 32) "bench.Counter")
  (data (i32.const 64) "Id")
  (data (i32.const 80) "Amount")
  (func (export "one_get_one_intent") (result i64)
    (local $key i32) (local $amount i64)
    ;; storage, entity, and the key's one field with its value
    (local.set $key (call $key
      (i32.const 16) (i32.const 8) (i32.const 32) (i32.const 13) (i32.const 64) (i32.const 2) (i32.const 1)))
    (local.set $amount (call $value_as_i64 (call $get_value (local.get $key)) (i32.const 80) (i32.const 6)))
    (call $put_i64 (call $new_value (local.get $key)) (i32.const 80) (i32.const 6)
      (i64.add (local.get $amount) (i64.const 1)))
    (i64.const 0)))
