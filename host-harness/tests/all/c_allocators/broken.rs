//! Allocators in WebAssembly text with one fault each: the program must find it.

use super::{probe::Probe, run};

/// A bump allocator that grows when it must and frees nothing. Each placeholder is where a fault goes.
const SPECIMEN: &str = r#"
(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 1024))
  ;; Room for the size at 16 bytes in front of what is given.
  (func $take (param $align i32) (param $size i32) (result i32)
    (local $at i32) (local $end i64)
    (if (i32.ge_u (local.get $size) (i32.const LARGEST)) (then (return (i32.const 0))))
    (if (i32.lt_u (local.get $align) (i32.const LEAST_ALIGN)) (then (local.set $align (i32.const LEAST_ALIGN))))
    (local.set $at
      (i32.and
        (i32.add (i32.add (global.get $top) (i32.const 16)) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (local.set $end (i64.extend_i32_u (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const BEHIND))))
    (if (i64.gt_u (local.get $end) (i64.mul (i64.extend_i32_u (memory.size)) (i64.const 65536))) (then
      (if (i32.eq (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2))) (i32.const -1))
        (then (return (i32.const 0))))))
    (global.set $top (i32.wrap_i64 (local.get $end)))
    (i32.store (i32.sub (local.get $at) (i32.const 16)) (local.get $size))
    (local.get $at))
  (func (export "malloc") (param i32) (result i32) (call $take (i32.const 1) (local.get 0)))
  (func (export "aligned_alloc") (param i32 i32) (result i32) (call $take (local.get 0) (local.get 1)))
  (func (export "calloc") (param i32 i32) (result i32)
    (local $at i32)
    (if (i64.gt_u (i64.mul (i64.extend_i32_u (local.get 0)) (i64.extend_i32_u (local.get 1))) (i64.const 0xffffffff))
      (then (return (i32.const 0))))
    (local.set $at (call $take (i32.const 1) (i32.mul (local.get 0) (local.get 1))))
    CALLOC
    (local.get $at))
  (func (export "posix_memalign") (param i32 i32 i32) (result i32)
    (local $at i32)
    (if (i32.ne (i32.popcnt (local.get 1)) (i32.const 1)) (then (return (i32.const EINVAL))))
    (local.set $at (call $take (local.get 1) (local.get 2)))
    (if (i32.eqz (local.get $at)) (then (return (i32.const 48))))
    (i32.store (local.get 0) (local.get $at))
    (i32.const 0))
  (func $size (export "malloc_usable_size") (param i32) (result i32)
    (i32.load (i32.sub (local.get 0) (i32.const 16))))
  (func (export "realloc") (param $old i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (call $take (i32.const 1) (local.get $size)))
    (if (local.get $at) (then
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $size) (call $size (local.get $old)) (i32.lt_u (local.get $size) (call $size (local.get $old)))))
      REALLOC))
    (local.get $at))
  (func (export "free") (param i32) FREE))
"#;

/// A specimen without a fault.
const RIGHT: [(&str, &str); 7] = [
    ("LARGEST", "0x3fffffff"),
    ("LEAST_ALIGN", "16"),
    ("BEHIND", "0"),
    ("CALLOC", ""),
    ("EINVAL", "28"),
    ("REALLOC", ""),
    ("FREE", ""),
];

/// The program's verdict on a specimen with these faults.
fn examine(faults: &[(&str, &str)]) -> Option<String> {
    let mut text = SPECIMEN.to_owned();
    for (name, with) in faults.iter().chain(&RIGHT) {
        text = text.replace(name, with);
    }
    let wasm = wat::parse_str(&text).expect("the specimen is valid");
    (0..8).find_map(|seed| run(&mut Probe::new(&wasm), seed, 1000).err())
}

#[track_caller]
fn assert_caught(fault: (&str, &str), messages: &[&str]) {
    let found = examine(&[fault]).unwrap_or_else(|| panic!("{fault:?} goes unnoticed"));
    assert!(messages.iter().any(|message| found.contains(message)), "{fault:?} is noticed as: {found}");
}

#[test]
fn nothing_wrong_is_found_where_nothing_is() {
    assert_eq!(examine(&[]), None);
}

#[test]
fn faults_are_caught() {
    assert_caught(("LEAST_ALIGN", "8"), &["is not aligned"]);
    // The next allocation begins inside of this one, with its header.
    assert_caught(("BEHIND", "-40"), &["does not hold what was written"]);
    assert_caught(("CALLOC", "(i32.store8 (local.get $at) (i32.const 1))"), &["is not zero"]);
    assert_caught(("EINVAL", "0"), &["an alignment of 24 is error 0"]);
    assert_caught(("REALLOC", "(i32.store8 (local.get $at) (i32.const 0xab))"), &["does not hold what was written"]);
    assert_caught(
        ("FREE", "(i32.store8 (i32.const 1040) (i32.const 1)) (global.set $top (local.get 0))"),
        &["overlaps", "is not zero", "does not hold what was written"],
    );
    assert_caught(("LARGEST", "64"), &["are refused"]);
}

#[test]
fn a_request_that_must_fail_and_does_not_is_caught() {
    // Everything is served, at the same place: nothing is written there before it is noticed.
    let wrong = "(if (i32.ge_u (local.get 0) (i32.const 0x40000000)) (then (return (i32.const 1024))))";
    let text = SPECIMEN.replacen(
        "(param i32) (result i32) (call $take",
        &format!("(param i32) (result i32) {wrong} (call $take"),
        1,
    );
    let text = RIGHT.iter().fold(text, |text, (name, with)| text.replace(name, with));
    let wasm = wat::parse_str(&text).expect("the specimen is valid");
    let found = (0..8).find_map(|seed| run(&mut Probe::new(&wasm), seed, 1000).err()).expect("it is caught");
    assert!(found.contains("bytes are served"), "{found}");
}
