(module
  (memory 1)
  (func $write (param $at i32)
    local.get $at
    i32.const 7
    ;; Marks the card of the address: a card has 1024 bytes.
    (i32.store8 $cards (i32.shr_u (local.get $at) (i32.const 10)) (i32.const 1))
    i32.store
    local.get $at
    i32.const 8
    ;; The mark above covers this store as well.
    i32.store offset=4)

  (memory $cards (export "__harness_cards") 64 64)
  ;; For instructions such as memory.fill: marks the cards of a range.
  (func $mark_range (param $address i32) (param $length i32)
    (local $first i32) (local $last i32)
    (local.tee $last
      (i32.sub (i32.add (local.get $address) (local.get $length)) (i32.const 1)))
    (if (i32.lt_u (local.get $address)) (then (return)))
    (local.tee $first (i32.shr_u (local.get $address) (i32.const 10)))
    (memory.fill $cards
      (i32.const 1)
      (i32.add
        (i32.sub (i32.shr_u (local.get $last) (i32.const 10)) (local.get $first))
        (i32.const 1)))))
